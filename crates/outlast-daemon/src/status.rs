//! How a grant stands, for people and programs. No token is part of it.

use outlast::{
    Cause, Code, Grant, GrantHandle, GrantSettings, Outage, Recovery, Renewal, Standing, Timestamp, grant_type,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A renewal takes less than this, unless its process died or was stopped.
const RENEWAL_TIME_MAX: Duration = Duration::from_secs(60);

/// How one grant stands. Moments are whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GrantStatus {
    /// The grant's name.
    pub name: String,
    /// `live`, `cooling-down`, `parked`, `renewing` or `empty`.
    pub standing: String,
    /// What stands in the way, as a [`Code`]; nothing while all is well.
    pub code: Option<String>,
    /// The same in words.
    pub detail: Option<String>,
    /// Since when it stands so, where the record tells.
    #[serde(default)]
    pub since: Option<u64>,
    /// Names the token set; rises with every renewal.
    pub generation: u64,
    /// When the access token ends, where the server said so.
    pub access_token_expires_at: Option<u64>,
    /// How many seconds that is from now; 0 once it has passed.
    pub seconds_left: Option<u64>,
    /// When the grant itself ends, where known.
    pub grant_ends_at: Option<u64>,
    /// Whether that is only reckoned from the provider's documented idle life: every renewal moves it.
    #[serde(default)]
    pub grant_ends_estimated: bool,
    /// When the last renewal succeeded.
    pub last_renewed_at: Option<u64>,
    /// When the next renewal is due.
    pub next_renewal_at: Option<u64>,
    /// The last thing that went wrong.
    pub last_trouble: Option<TroubleStatus>,
    /// Scopes that resources asked for and that the next login will ask the person for.
    #[serde(default)]
    pub scope_wanted: Vec<String>,
    /// Scopes of the configuration that the server did not grant (RFC 6749 5.1).
    #[serde(default)]
    pub scope_not_granted: Vec<String>,
    /// What the person should do.
    pub what_to_do: String,
    /// RFC name of the grant type.
    pub grant_type: String,
    /// The one address that receives the token.
    pub upstream: Option<String>,
    /// Whether the access token has ended or its renewal is overdue.
    pub renewal_required_soon: bool,
}

/// Something that went wrong with a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TroubleStatus {
    /// What kind, as a [`Code`].
    pub code: String,
    /// When.
    pub at: u64,
    /// In words that hold no secret.
    pub detail: String,
}

impl GrantStatus {
    /// How the grant of `handle` stands at `now`, by its record.
    pub fn of(handle: &GrantHandle, grant: &Grant, now: Timestamp) -> Self {
        let described = Self::describe(handle.settings(), grant, handle.due_at(grant), now);
        if let Some(copied) = handle.copied() {
            return Self {
                code: Some(Code::AdoptNeeded.as_str().to_owned()),
                detail: Some(format!("not renewed: the store {}", copied.describe())),
                what_to_do: format!(
                    "if the store is in use elsewhere, stop it there; then take the grant over here with: outlast adopt {}",
                    grant.id
                ),
                next_renewal_at: None,
                ..described
            };
        }
        if handle.is_persisted() {
            return described;
        }
        Self {
            code: Some(Code::StoreUnwritable.as_str().to_owned()),
            detail: Some("the renewed token set is not on disk yet, for the disk refuses it".to_owned()),
            what_to_do: "make room on the disk, or mend it, before this process is stopped: it holds the only copy, \
                         and goes on trying to write it"
                .to_owned(),
            ..described
        }
    }

    /// [`GrantStatus::of`], with what all processes know of its server: a server that is down is told
    /// before this grant has met it (F30).
    pub async fn with_server(handle: &GrantHandle, grant: &Grant, now: Timestamp) -> Self {
        Self::of(handle, grant, now).under(handle.outage().await, now)
    }

    /// With an outage of its server, where nothing nearer stands in the way.
    fn under(self, outage: Outage, now: Timestamp) -> Self {
        if self.code.is_some() || !outage.is_down() {
            return self;
        }
        let next = match outage.permits(now) {
            Err(until) => format!("in {} s at the soonest", now.until(until).as_secs().max(1)),
            Ok(()) => "when a token is needed".to_owned(),
        };
        Self {
            code: Some(Code::ServerUnreachable.as_str().to_owned()),
            detail: Some(
                "its authorization server is taken to be down: the last requests to it, of whichever grants and \
                 processes, were not answered"
                    .to_owned(),
            ),
            what_to_do: format!("wait: one request, {next}, finds out whether it is back; the held token is kept"),
            ..self
        }
    }

    /// Of a grant whose record cannot be had: `detail` says why, in words without secrets.
    pub fn unreadable(settings: &GrantSettings, code: Code, detail: String) -> Self {
        let unknown = Self::describe(settings, &Grant::empty(&settings.terms()), None, Timestamp::default());
        Self {
            standing: "unreadable".to_owned(),
            code: Some(code.as_str().to_owned()),
            detail: Some(detail),
            what_to_do: "find out what is wrong with the store: outlast doctor".to_owned(),
            ..unknown
        }
    }

    /// The same from plain data; `due_at` is when the held token set is due for renewal.
    pub fn describe(settings: &GrantSettings, grant: &Grant, due_at: Option<Timestamp>, now: Timestamp) -> Self {
        let expires_at = grant.tokens.as_ref().and_then(|tokens| tokens.expires_at);
        let seen = see(settings, grant, now);
        let estimate = if grant.ends_at.is_none() { idle_end(settings, grant) } else { None };
        let next = match grant.standing {
            Standing::CoolingDown { until } => Some(due_at.map_or(until, |due| due.max(until))),
            Standing::Parked { .. } | Standing::Revoking { .. } => None,
            Standing::Live | Standing::Renewing { .. } => due_at,
        };
        Self {
            name: grant.id.to_string(),
            standing: seen.standing.to_owned(),
            code: seen.code.map(|code| code.as_str().to_owned()),
            detail: seen.detail,
            since: since(grant).map(Timestamp::as_secs),
            generation: grant.generation.0,
            access_token_expires_at: expires_at.map(Timestamp::as_secs),
            seconds_left: expires_at.map(|end| now.until(end).as_secs()),
            grant_ends_at: grant.ends_at.or(estimate).map(Timestamp::as_secs),
            grant_ends_estimated: estimate.is_some(),
            last_renewed_at: grant.renewed_at.map(Timestamp::as_secs),
            next_renewal_at: next.filter(|_| renewable(settings, grant)).map(Timestamp::as_secs),
            last_trouble: grant.trouble.as_ref().map(|trouble| TroubleStatus {
                code: trouble.code.as_str().to_owned(),
                at: trouble.at.as_secs(),
                detail: trouble.detail.clone(),
            }),
            scope_wanted: grant.scope_wanted(&settings.terms()),
            scope_not_granted: grant.scope_not_granted(&settings.terms()),
            what_to_do: seen.what_to_do,
            grant_type: settings.grant_type.clone(),
            upstream: settings.upstream.as_ref().map(ToString::to_string),
            renewal_required_soon: [expires_at, due_at].into_iter().flatten().any(|at| at <= now),
        }
    }
}

struct Seen {
    standing: &'static str,
    code: Option<Code>,
    detail: Option<String>,
    what_to_do: String,
}

fn see(settings: &GrantSettings, grant: &Grant, now: Timestamp) -> Seen {
    match grant.standing {
        Standing::CoolingDown { until } => cooling_down(grant, until, now),
        Standing::Parked { cause, .. } => parked(settings, grant, cause),
        Standing::Renewing { since, .. } => renewing(grant, now.since(since) > RENEWAL_TIME_MAX),
        Standing::Revoking { .. } => Seen {
            standing: "revoking",
            code: Some(Code::RevocationPending),
            detail: Some("somebody signed out, and the server has not revoked the tokens yet".to_owned()),
            what_to_do: format!("finish with: outlast logout {}", grant.id),
        },
        Standing::Live if grant.tokens.is_none() => empty(settings, grant),
        Standing::Live => live(settings, grant, now),
    }
}

fn since(grant: &Grant) -> Option<Timestamp> {
    match grant.standing {
        Standing::CoolingDown { .. } => grant.trouble.as_ref().map(|trouble| trouble.at),
        Standing::Live => None,
        Standing::Parked { since, .. } | Standing::Renewing { since, .. } | Standing::Revoking { since, .. } => {
            Some(since)
        }
    }
}

fn renewing(grant: &Grant, overdue: bool) -> Seen {
    let detail = if grant.in_doubt {
        Some("a renewal was sent and its answer was lost; Outlast finds out by itself whether it went through")
    } else if overdue {
        Some("a renewal was begun and never ended: its process died or was stopped; whoever asks next finds out")
    } else {
        None
    };
    Seen {
        standing: "renewing",
        code: detail.map(|_| Code::InDoubt),
        detail: detail.map(str::to_owned),
        what_to_do: "wait".to_owned(),
    }
}

fn live(settings: &GrantSettings, grant: &Grant, now: Timestamp) -> Seen {
    let ended = grant.tokens.as_ref().and_then(|tokens| tokens.expires_at).is_some_and(|end| end <= now);
    if ended && !renewable(settings, grant) {
        return parked(settings, grant, Cause::NotRenewable);
    }
    if let Some(until) = grant.breaker.open_until(now) {
        return Seen {
            standing: "live",
            code: Some(Code::RejectedAfterRenewal),
            detail: Some("a resource goes on refusing tokens that were just renewed for it".to_owned()),
            what_to_do: format!(
                "find out why the resource refuses them; the next refusal that renews may come in {} s",
                now.until(until).as_secs()
            ),
        };
    }
    Seen { standing: "live", code: None, detail: None, what_to_do: wanted(settings, grant) }
}

/// What would open the resources that asked for more than the grant has.
fn wanted(settings: &GrantSettings, grant: &Grant) -> String {
    let scope = grant.scope_wanted(&settings.terms());
    if !scope.is_empty() {
        format!(
            "a resource wants more scope ({}): have its owner sign in with: outlast login {}",
            scope.join(" "),
            grant.id
        )
    } else if grant.wanted.asks_for_sign_in() {
        format!("a resource wants a newer sign-in: have its owner sign in with: outlast login {}", grant.id)
    } else {
        "nothing".to_owned()
    }
}

fn empty(settings: &GrantSettings, grant: &Grant) -> Seen {
    if renewable(settings, grant) {
        let what_to_do = "nothing: a token is obtained when it is first asked for".to_owned();
        return Seen { standing: "empty", code: None, detail: None, what_to_do };
    }
    Seen { standing: "empty", ..parked(settings, grant, Cause::NeverGranted) }
}

fn cooling_down(grant: &Grant, until: Timestamp, now: Timestamp) -> Seen {
    let trouble = grant.trouble.as_ref();
    let code = trouble.map_or(Code::CoolingDown, |trouble| trouble.code);
    let left = now.until(until).as_secs();
    let what_to_do = match code.advice() {
        outlast::Advice::FixConfig => format!("mend the configuration of [grant.{}], then try again", grant.id),
        outlast::Advice::AskUser => {
            "sign in again with the tool that owns this grant; its command is run again by itself".to_owned()
        }
        outlast::Advice::Decide | outlast::Advice::ReportBug | outlast::Advice::Retry | outlast::Advice::Wait => {
            format!("wait: the next renewal is tried in {left} s, the held token is kept")
        }
    };
    Seen {
        standing: "cooling-down",
        code: Some(code),
        detail: trouble.map(|trouble| trouble.detail.clone()),
        what_to_do,
    }
}

fn parked(settings: &GrantSettings, grant: &Grant, cause: Cause) -> Seen {
    let recovery = grant_type::find(&settings.grant_type).map(|row| row.strategy().recovery);
    let what_to_do = match recovery {
        Some(Recovery::Operator) => format!("mend the configuration of [grant.{}]", grant.id),
        Some(Recovery::Owner) => "sign in again with the tool that owns this grant".to_owned(),
        Some(Recovery::User) | None => {
            // A refresh token that was handed in came from a login that is not ours to repeat.
            if settings.grant_type == "refresh_token" {
                format!(
                    "have its owner sign in again, and take the new token set over with: outlast import {}",
                    grant.id
                )
            } else {
                format!("have its owner sign in again with: outlast login {}", grant.id)
            }
        }
    };
    Seen { standing: "parked", code: Some(cause.code()), detail: Some(cause.describe().to_owned()), what_to_do }
}

/// When a grant ends if it is not renewed, by the documents of its provider. A grant that also has an absolute life may
/// end sooner, at a moment that the record does not tell (it keeps no login): nothing is said of it.
fn idle_end(settings: &GrantSettings, grant: &Grant) -> Option<Timestamp> {
    let tokens = grant.tokens.as_ref().filter(|tokens| tokens.refresh.is_some())?;
    let parked = matches!(grant.standing, Standing::Parked { .. });
    let life = settings.idle_life.filter(|_| !parked)?;
    Some(grant.renewed_at.unwrap_or(tokens.issued_at).plus(life))
}

fn renewable(settings: &GrantSettings, grant: &Grant) -> bool {
    let renewal = grant_type::find(&settings.grant_type).map(|row| row.strategy().renewal);
    match renewal {
        Some(Renewal::Delegate | Renewal::Remint) => true,
        Some(Renewal::Refresh) => grant.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some()),
        Some(Renewal::Never) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outlast::{GrantId, Provider, Secret, Server, Terms, TokenResponse, TokenSet, Trouble};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn settings(grant_type: &str) -> GrantSettings {
        GrantSettings {
            client_id: "agent".to_owned(),
            upstream: Some("https://api.example.com/".parse().unwrap()),
            ..GrantSettings::new(GrantId::parse("crm").unwrap(), grant_type, Server::from(Provider::default()))
        }
    }

    fn grant(refresh: Option<&str>, issued_at: Timestamp) -> Grant {
        let terms = Terms {
            client_id: "agent".to_owned(),
            ..Terms::new(GrantId::parse("crm").unwrap(), "refresh_token", "https://login.example.com")
        };
        let response = TokenResponse {
            refresh: refresh.map(Secret::new),
            expires_in: Some(Duration::from_secs(600)),
            ..TokenResponse::bearer("CANARY-access")
        };
        Grant::empty(&terms).granted(&terms, TokenSet::first(response, issued_at))
    }

    fn see_grant(grant: &Grant) -> GrantStatus {
        GrantStatus::describe(&settings("refresh_token"), grant, Some(NOW.plus(Duration::from_secs(450))), NOW)
    }

    #[test]
    fn a_live_grant_has_time_left_and_nothing_to_do() {
        let seen = see_grant(&grant(Some("CANARY-refresh"), NOW));
        assert_eq!((seen.standing.as_str(), seen.code, seen.what_to_do.as_str()), ("live", None, "nothing"));
        assert_eq!((seen.seconds_left, seen.access_token_expires_at), (Some(600), Some(1_000_600)));
        assert_eq!((seen.next_renewal_at, seen.renewal_required_soon), (Some(1_000_450), false));
        assert_eq!(seen.upstream.as_deref(), Some("https://api.example.com/"));
    }

    #[test]
    fn the_end_of_a_grant_is_reckoned_from_its_last_renewal_where_only_an_idle_life_is_documented() {
        let day = Duration::from_secs(24 * 60 * 60);
        let life = Duration::from_secs(60 * 24 * 60 * 60);
        let of = |idle_life: Option<Duration>, grant: &Grant| {
            let settings = GrantSettings { idle_life, ..settings("refresh_token") };
            let seen = GrantStatus::describe(&settings, grant, None, NOW);
            (seen.grant_ends_at, seen.grant_ends_estimated)
        };
        let imported = grant(Some("r"), NOW);
        assert_eq!(of(Some(life), &imported), (Some(NOW.plus(life).as_secs()), true));
        let renewed = Grant { renewed_at: Some(NOW.plus(day)), ..imported.clone() };
        assert_eq!(of(Some(life), &renewed), (Some(NOW.plus(day).plus(life).as_secs()), true));
        let told = Grant { ends_at: Some(NOW.plus(day)), ..renewed.clone() };
        assert_eq!(of(Some(life), &told), (Some(NOW.plus(day).as_secs()), false), "what the server said goes first");
        let parked = Grant { standing: Standing::Parked { cause: Cause::LostRotation, since: NOW }, ..renewed };
        assert_eq!(of(Some(life), &parked), (None, false));
        assert_eq!(of(Some(life), &grant(None, NOW)), (None, false), "nothing to renew with");
        assert_eq!(of(None, &imported), (None, false), "nothing is known of the provider");
    }

    #[test]
    fn no_token_is_part_of_a_status() {
        let text = serde_json::to_string(&see_grant(&grant(Some("CANARY-refresh"), NOW))).unwrap();
        assert!(!text.contains("CANARY"), "{text}");
    }

    #[test]
    fn a_status_reads_back_as_it_was_written() {
        let seen = see_grant(&grant(Some("r"), NOW));
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<GrantStatus>(&text).unwrap(), seen);
    }

    #[test]
    fn an_expired_token_that_cannot_be_renewed_waits_for_its_owner() {
        let long_ago = NOW.minus(Duration::from_secs(3600));
        let seen = see_grant(&grant(None, long_ago));
        assert_eq!((seen.standing.as_str(), seen.code.as_deref()), ("parked", Some("needs-user")));
        assert_eq!((seen.seconds_left, seen.next_renewal_at), (Some(0), None));
        assert!(seen.what_to_do.contains("outlast import crm"), "{}", seen.what_to_do);
        let renewable = see_grant(&grant(Some("r"), long_ago));
        assert_eq!((renewable.standing.as_str(), renewable.renewal_required_soon), ("live", true));
    }

    #[test]
    fn a_pause_tells_its_trouble_and_what_ends_it() {
        let trouble = |code| Trouble { code, at: NOW, detail: "in words".to_owned() };
        let standing = Standing::CoolingDown { until: NOW.plus(Duration::from_secs(500)) };
        let paused = |code| Grant { standing, trouble: Some(trouble(code)), ..grant(Some("r"), NOW) };
        let ill = see_grant(&paused(Code::ServerUnreachable));
        assert_eq!((ill.standing.as_str(), ill.code.as_deref()), ("cooling-down", Some("server-unreachable")));
        assert_eq!((ill.detail.as_deref(), ill.next_renewal_at), (Some("in words"), Some(1_000_500)));
        assert!(ill.what_to_do.contains("500 s"), "{}", ill.what_to_do);
        let wrong = see_grant(&paused(Code::ClientMisconfigured));
        assert!(wrong.what_to_do.contains("[grant.crm]"), "{}", wrong.what_to_do);
        assert_eq!(wrong.last_trouble.unwrap().code, "client-misconfigured");
    }

    #[test]
    fn f30_an_outage_is_told_where_nothing_nearer_stands_in_the_way() {
        let down = (0..4).fold(Outage::default(), |outage, _| outage.after(false, true, NOW));
        let seen = see_grant(&grant(Some("r"), NOW)).under(down, NOW);
        assert_eq!((seen.standing.as_str(), seen.code.as_deref()), ("live", Some("server-unreachable")));
        assert!(seen.what_to_do.contains("wait: one request, in 2 s at the soonest"), "{}", seen.what_to_do);
        let later = see_grant(&grant(Some("r"), NOW)).under(down, NOW.plus(Duration::from_secs(3600)));
        assert!(later.what_to_do.contains("when a token is needed"), "{}", later.what_to_do);
        let up = see_grant(&grant(Some("r"), NOW));
        assert_eq!(
            up.clone().under(Outage::default().after(false, false, NOW), NOW),
            up,
            "one lost answer is no outage"
        );
        let parked = Grant { standing: Standing::Parked { cause: Cause::Dead, since: NOW }, ..grant(Some("r"), NOW) };
        assert_eq!(see_grant(&parked).under(down, NOW), see_grant(&parked), "a person can end that one now");
    }

    #[test]
    fn what_a_parked_grant_needs_depends_on_who_can_revive_it() {
        let parked =
            Grant { standing: Standing::Parked { cause: Cause::LostRotation, since: NOW }, ..grant(Some("r"), NOW) };
        let seen = see_grant(&parked);
        assert_eq!((seen.standing.as_str(), seen.code.as_deref()), ("parked", Some("lost-rotation")));
        assert!(seen.what_to_do.contains("outlast import crm"));
        let minted = GrantStatus::describe(&settings("client_credentials"), &parked, None, NOW);
        assert!(minted.what_to_do.contains("configuration"), "{}", minted.what_to_do);
    }

    #[test]
    fn an_empty_grant_that_can_mint_needs_nobody() {
        let empty = Grant { tokens: None, ..grant(None, NOW) };
        let minting = GrantStatus::describe(&settings("client_credentials"), &empty, None, NOW);
        assert_eq!((minting.standing.as_str(), minting.code), ("empty", None));
        let waiting = GrantStatus::describe(&settings("refresh_token"), &empty, None, NOW);
        assert_eq!((waiting.standing.as_str(), waiting.code.as_deref()), ("empty", Some("needs-user")));
    }

    #[test]
    fn n47_f46_scopes_that_are_wanted_or_were_not_granted_are_told() {
        let mut live = grant(Some("r"), NOW);
        live.wanted = live.wanted.with_scope(&["files:read".to_owned()]);
        let seen = see_grant(&live);
        assert_eq!(seen.scope_wanted, ["files:read"]);
        assert!(seen.what_to_do.contains("files:read") && seen.what_to_do.contains("outlast login crm"));
        let settings = GrantSettings { scope: vec!["a".to_owned(), "b".to_owned()], ..settings("refresh_token") };
        live.tokens.as_mut().unwrap().scope = Some(vec!["a".to_owned(), "files:read".to_owned()]);
        let seen = GrantStatus::describe(&settings, &live, None, NOW);
        assert_eq!((seen.scope_not_granted, seen.scope_wanted), (vec!["b".to_owned()], vec![]));
    }

    #[test]
    fn a_renewal_whose_answer_was_lost_is_in_doubt() {
        let standing = Standing::Renewing { since: NOW, attempt: 1 };
        let under_way = Grant { standing, ..grant(Some("r"), NOW) };
        assert_eq!((see_grant(&under_way).standing.as_str(), see_grant(&under_way).code), ("renewing", None));
        let in_doubt = Grant { in_doubt: true, ..under_way };
        assert_eq!(see_grant(&in_doubt).code.as_deref(), Some("in-doubt"));
    }
}
