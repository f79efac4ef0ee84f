//! Ten thousand cases of each: schedule, back-off, jitter, breaker, what a renewal leaves behind, and what
//! is shown of a server's words (T10).

#![allow(clippy::unwrap_used)]

use outlast_core::breaker::{Breaker, FORCED_GAP, FORCED_PER_WINDOW_MAX, WINDOW};
use outlast_core::classify::redaction::{SHOWN_CHARACTERS_MAX, redact};
use outlast_core::classify::{Evidence, StepUp, Verdict};
use outlast_core::freshness::{BACK_OFF_FIRST, BACK_OFF_MAX, Freshness, Lead, back_off, doubt_delay, freshness};
use outlast_core::plan::{By, Rejected};
use outlast_core::settle::{RETRY_AFTER_MAX, begin};
use outlast_core::strategy::{Recovery, Renewal, Rotation};
use outlast_core::wire::Fault;
use outlast_core::{
    Ask, Cause, Code, Generation, Grant, GrantId, Outcome, Plan, Secret, Standing, Strategy, Terms, Timestamp,
    TokenResponse, TokenSet, plan, settle,
};
use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use std::time::Duration;

/// At least so many of each; more by `PROPTEST_CASES`.
const CASES: u32 = 10_000;
const BORN: u64 = 1_800_000_000_000;
/// A little over ten years, the longest life that is believed.
const LIFE_MILLIS_MAX: u64 = 3660 * 86_400_000;

const ROTATING: Strategy = Strategy {
    grant_type: "refresh_token",
    rfc: "RFC 6749 6",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

fn ids() -> impl Generate<Value = GrantId> {
    "[a-z0-9_][a-zA-Z0-9._-]{0,63}".prop_map(|name| GrantId::parse(&name).unwrap())
}

/// From a millisecond to ten years, each magnitude as often as the next.
fn lives() -> impl Generate<Value = Option<Duration>> {
    let magnitudes = (0..38_u32, any::<u64>()).prop_map(|(bits, noise)| (1_u64 << bits) + noise % (1_u64 << bits));
    prop::option::weighted(0.9, magnitudes.prop_map(|millis| Duration::from_millis(millis.min(LIFE_MILLIS_MAX))))
}

/// Moments around a life: most of them within it or a little after.
fn ages() -> impl Generate<Value = u64> {
    prop_oneof![0..=400_000_u64, any::<u32>().prop_map(u64::from), Just(u64::MAX / 2)]
}

fn moment(millis: u64) -> Timestamp {
    Timestamp::from_millis(BORN.saturating_add(millis))
}

fn tokens(life: Option<Duration>) -> TokenSet {
    let response =
        TokenResponse { expires_in: life, refresh: Some(Secret::new("held-refresh")), ..TokenResponse::bearer("held") };
    TokenSet::first(response, moment(0))
}

fn terms(id: GrantId) -> Terms {
    Terms::new(id, "refresh_token", "https://as.example")
}

fn standings() -> impl Generate<Value = Standing> {
    let causes = prop_oneof![
        Just(Cause::Dead),
        Just(Cause::LostRotation),
        Just(Cause::LoggedOut),
        Just(Cause::StepUp),
        Just(Cause::NeverGranted)
    ];
    prop_oneof![
        ages().prop_map(|until| Standing::CoolingDown { until: moment(until) }),
        Just(Standing::Live),
        (causes, ages()).prop_map(|(cause, since)| Standing::Parked { cause, since: moment(since) }),
        (ages(), any::<u8>()).prop_map(|(since, attempt)| Standing::Renewing { since: moment(since), attempt }),
        (ages(), ages())
            .prop_map(|(since, retry)| Standing::Revoking { since: moment(since), retry_at: moment(retry) }),
    ]
}

fn grants() -> impl Generate<Value = Grant> {
    (ids(), lives(), standings(), any::<u8>(), any::<bool>(), 1..1000_u64).prop_map(
        |(id, life, standing, failures, in_doubt, generation)| Grant {
            generation: Generation(generation),
            tokens: Some(tokens(life)),
            standing,
            failures,
            in_doubt,
            ..Grant::empty(&terms(id))
        },
    )
}

fn waits() -> impl Generate<Value = Option<Duration>> {
    prop::option::of(any::<u64>().prop_map(Duration::from_millis))
}

fn verdicts() -> impl Generate<Value = Verdict> {
    prop_oneof![
        Just(Verdict::AccessTokenExpired),
        Just(Verdict::AccessTokenInvalid),
        Just(Verdict::AuthorizationPending),
        Just(Verdict::ClientMisconfigured),
        Just(Verdict::GrantDead),
        Just(Verdict::NotAuth),
        Just(Verdict::PermissionDenied),
        Just(Verdict::SlowDown),
        Just(Verdict::StepUpRequired(StepUp::default())),
        Just(Verdict::Unknown),
        waits().prop_map(|retry_after| Verdict::RateLimited { retry_after }),
        waits().prop_map(|retry_after| Verdict::Transient { retry_after }),
    ]
}

fn outcomes() -> impl Generate<Value = Outcome> {
    let detail = || "what happened".to_owned();
    let faults = prop_oneof![Just(Fault::Connect), Just(Fault::Tls), Just(Fault::Unsigned), Just(Fault::Insecure)];
    let responses = (lives(), prop::option::of("[!-~]{0,40}")).prop_map(|(expires_in, refresh)| TokenResponse {
        expires_in,
        refresh: refresh.map(Secret::new),
        ..TokenResponse::bearer("new")
    });
    prop_oneof![
        Just(Outcome::CommandFailed { detail: detail() }),
        Just(Outcome::Discarded { code: Code::ServerMisbehaved, detail: detail() }),
        Just(Outcome::InDoubt { detail: detail() }),
        Just(Outcome::Redirected { detail: detail() }),
        verdicts().prop_map(|verdict| Outcome::Refused(verdict, Evidence { place: "body", found: "x".to_owned() })),
        responses.prop_map(Outcome::Renewed),
        faults.prop_map(Outcome::Unsent),
    ]
}

fn asks() -> impl Generate<Value = Ask> {
    let by = prop_oneof![Just(By::Person), any::<bool>().prop_map(|accepted| By::Resource { accepted })];
    let rejected = (0..1000_u64, by).prop_map(|(generation, by)| Rejected { generation: Generation(generation), by });
    (any::<u32>(), prop::option::of(rejected))
        .prop_map(|(secs, rejected)| Ask { min_ttl: Duration::from_secs(u64::from(secs) / 1000), rejected })
}

/// A token by the looks of it: letters and digits, long enough to be guessed by nobody.
fn secrets() -> impl Generate<Value = String> {
    let mixed = "[a-zA-Z0-9_-]{18,60}".prop_map(|noise| format!("Q7{noise}"));
    let known = ("(ghp_|gho_|sk-|xoxb-|eyJ|glpat-|ya29\\.|AKIA|1//)", "[a-zA-Z0-9]{12,40}")
        .prop_map(|(prefix, noise)| format!("{prefix}{noise}"));
    prop_oneof![mixed, known]
}

/// What may stand between words: anything that is no part of one.
const GAP: &str = "[ \"'(){}\\[\\],;<>|\\n\\t]";

fn many() -> ProptestConfig {
    let told = ProptestConfig::default();
    ProptestConfig { cases: told.cases.max(CASES), failure_persistence: None, ..told }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn d11_a_token_is_due_between_70_and_80_per_cent_of_its_life_and_never_fresh_after_its_end(
        id in ids(), life in lives(), age in ages(), within in waits(),
    ) {
        let (held, now) = (tokens(life), moment(age));
        let lead = Lead::of(&id).at_most(within);
        if let (Some(life), None) = (life, within) {
            let due = lead.due_at(&held).unwrap().since(held.issued_at).as_millis();
            let (early, late) = (life.as_millis() * 700 / 1000, life.as_millis() * 800 / 1000);
            prop_assert!((early..=late).contains(&due), "{due} of {life:?}");
        }
        if let (Some(within), Some(due)) = (within, lead.due_at(&held)) {
            prop_assert!(due.since(held.issued_at) <= within);
        }
        let ended = held.expires_at.is_some_and(|end| now >= end);
        prop_assert_eq!(freshness(&held, lead, now) == Freshness::Expired, ended);
        let due = lead.due_at(&held).is_some_and(|due| now >= due);
        prop_assert_eq!(freshness(&held, lead, now) == Freshness::Fresh, !ended && !due);
    }

    #[test]
    fn nothing_is_served_that_has_ended_or_is_complained_about_and_nothing_renewed_against_an_obstacle(
        grant in grants(), ask in asks(), age in ages(),
    ) {
        let now = moment(age);
        match plan(&grant, &ROTATING, ask, Lead::of(&grant.id), now) {
            Plan::Serve(held) | Plan::ServeAndRenew(held) => {
                prop_assert!(held.expires_at.is_none_or(|end| end > now));
                prop_assert!(ask.rejected.is_none_or(|rejected| rejected.generation < grant.generation));
                let revoking = matches!(grant.standing, Standing::Revoking { .. });
                prop_assert!(!revoking);
            }
            Plan::Wait { until } => prop_assert!(until > now && now.until(until) <= RETRY_AFTER_MAX),
            Plan::NeedsUser(_) | Plan::Renew => {}
        }
        let renews =
            matches!(plan(&grant, &ROTATING, ask, Lead::of(&grant.id), now), Plan::Renew | Plan::ServeAndRenew(_));
        // F19: nothing lasts for longer than an hour; whoever wrote that had another clock.
        let passed = |until: Timestamp| until <= now || now.until(until) > RETRY_AFTER_MAX;
        match grant.standing {
            Standing::CoolingDown { until } => prop_assert!(!renews || passed(until)),
            Standing::Parked { .. } | Standing::Revoking { .. } => prop_assert!(!renews),
            Standing::Renewing { since, attempt } => prop_assert!(!renews || passed(since.plus(doubt_delay(attempt)))),
            Standing::Live => {}
        }
    }

    #[test]
    fn s1_whatever_comes_of_an_attempt_no_token_is_lost_and_no_generation_falls(
        grant in grants(), ask in asks(), outcome in outcomes(), age in ages(), took in ages(),
    ) {
        let intent = begin(&grant, &terms(grant.id.clone()), ask, moment(age));
        prop_assert_eq!(&intent.tokens, &grant.tokens);
        prop_assert_eq!(intent.generation, grant.generation);
        let noted = matches!(intent.standing, Standing::Renewing { since, .. } if since == moment(age));
        prop_assert!(noted);
        let after_a_crash = matches!(grant.standing, Standing::Renewing { .. });
        prop_assert!(intent.in_doubt || !(grant.in_doubt || after_a_crash), "a doubt is forgotten");

        let (renewed, in_doubt) =
            (matches!(outcome, Outcome::Renewed(_)), matches!(outcome, Outcome::InDoubt { .. }));
        let now = moment(age.saturating_add(took));
        let next = settle(&intent, &ROTATING, outcome, now);
        let held = next.tokens.as_ref().unwrap();
        prop_assert!(held.refresh.as_ref().is_some_and(|token| !token.is_empty()));
        if renewed {
            prop_assert_eq!((next.generation, next.standing), (grant.generation.next(), Standing::Live));
            prop_assert!(!next.in_doubt && next.failures == 0);
        } else {
            prop_assert_eq!(&next.tokens, &grant.tokens);
            prop_assert_eq!(next.generation, grant.generation);
            prop_assert!(next.in_doubt >= intent.in_doubt && next.failures >= grant.failures && next.trouble.is_some());
        }
        prop_assert!(!in_doubt || next.in_doubt);
        if let Standing::CoolingDown { until } = next.standing {
            let pause = now.until(until);
            prop_assert!(pause <= RETRY_AFTER_MAX && (pause > Duration::ZERO || until == now.plus(Duration::MAX)));
        }
    }

    #[test]
    fn pauses_grow_up_to_a_minute_and_differ_between_grants_by_a_tenth_at_most(id in ids(), failures in 1..u8::MAX) {
        let (pause, next) = (back_off(&id, failures), back_off(&id, failures + 1));
        let doubled = BACK_OFF_FIRST.saturating_mul(1 << (u32::from(failures) - 1).min(10)).min(BACK_OFF_MAX);
        prop_assert!(pause <= doubled && pause >= doubled * 9 / 10, "{pause:?} of {doubled:?}");
        prop_assert!(pause <= next);
        prop_assert!(doubt_delay(failures) <= doubt_delay(failures + 1) && doubt_delay(failures) <= BACK_OFF_MAX);
        prop_assert!(doubt_delay(failures) >= Duration::from_millis(500));
    }

    #[test]
    fn d12_no_course_of_refusals_forces_more_than_six_renewals_an_hour_or_two_in_half_a_minute(
        course in prop::collection::vec((0..1_200_000_u64, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let (mut breaker, mut now, mut forced) = (Breaker::default(), moment(0), Vec::new());
        for (pause, accepted, in_time) in course {
            now = now.plus(Duration::from_millis(pause));
            if in_time {
                breaker = breaker.renewed_in_time();
            } else if breaker.permits(accepted, now).is_ok() {
                breaker = breaker.forced_at(accepted, now);
                forced.push(now);
            }
        }
        for window in forced.windows(2) {
            prop_assert!(window[1].since(window[0]) >= FORCED_GAP);
        }
        for window in forced.windows(FORCED_PER_WINDOW_MAX + 1) {
            prop_assert!(window[FORCED_PER_WINDOW_MAX].since(window[0]) >= WINDOW);
        }
    }

    #[test]
    fn f74_no_token_is_shown_wherever_it_stands_in_a_servers_words(
        before in "[a-zA-Z0-9 .,:_-]{0,80}", gap in GAP, secret in secrets(), end in GAP, after in "\\PC{0,40}",
    ) {
        let shown = redact(&format!("{before}{gap}{secret}{end}{after}"));
        prop_assert!(!shown.contains(&secret[..8.min(secret.len())]) || before.contains(&secret[..8]), "{shown}");
        prop_assert!(shown.chars().count() <= SHOWN_CHARACTERS_MAX + 12);
        prop_assert!(!shown.chars().any(char::is_control));
    }
}
