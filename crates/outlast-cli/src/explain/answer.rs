//! A judgement as it is printed: for programs by [`Given`], for people as lines of text. What a
//! server says is shown redacted; some echo the token they refuse.

use super::case::{Case, Kind};
use crate::output;
use outlast::Timestamp;
use outlast::classify::explanation::{Explanation, explain};
use outlast::classify::redaction::{REDACTED, redact};
use outlast::classify::{Judgement, Verdict};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest address that is shown, in bytes.
const ADDRESS_BYTES_MAX: usize = 150;

/// What a reply gives besides its verdict, for whoever acts on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Given {
    /// The scopes that are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    /// How long to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<Seconds>,
    /// Where the resource's metadata is (RFC 9728 5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_metadata: Option<String>,
    /// The authentication context classes asked for (RFC 9470 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acr_values: Option<String>,
    /// Largest age of the sign-in, in seconds (RFC 9470 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<u64>,
    /// The claims request, as it is to be sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) claims: Option<String>,
    /// The DPoP nonce, as it is to be sent back (RFC 9449 8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
}

/// A wait in seconds; without a fraction where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Seconds {
    /// With a fraction.
    Fraction(f64),
    /// Without.
    Whole(u64),
}

impl From<Duration> for Seconds {
    fn from(wait: Duration) -> Self {
        if wait.subsec_nanos() == 0 { Self::Whole(wait.as_secs()) } else { Self::Fraction(wait.as_secs_f64()) }
    }
}

impl Given {
    /// What a judgement carries; [`without_secrets`] comes first.
    pub(crate) fn of(judgement: &Judgement) -> Self {
        let given = Self {
            resource_metadata: judgement.resource_metadata.clone(),
            retry_after: judgement.retry_after.map(Seconds::from),
            ..Self::default()
        };
        match &judgement.verdict {
            Verdict::DpopNonceRequired { nonce } => Self { nonce: nonce.clone(), ..given },
            Verdict::InsufficientScope { scopes } => Self { scopes: scopes.clone(), ..given },
            Verdict::StepUpRequired(step_up) => Self {
                acr_values: step_up.acr_values.clone(),
                max_age: step_up.max_age.map(|age| age.as_secs()),
                claims: step_up.claims.clone(),
                ..given
            },
            Verdict::AccessTokenExpired
            | Verdict::AccessTokenInvalid
            | Verdict::AuthorizationPending
            | Verdict::ClientMisconfigured
            | Verdict::GrantDead
            | Verdict::NotAuth
            | Verdict::PermissionDenied
            | Verdict::RateLimited { .. }
            | Verdict::SlowDown
            | Verdict::Transient { .. }
            | Verdict::Unknown => given,
        }
    }
}

/// The judgement with everything taken out of it that may be a token or a person's address. A
/// claims request and a nonce stay: they are made to be sent back as they are.
#[must_use]
pub(crate) fn without_secrets(mut judgement: Judgement) -> Judgement {
    judgement.resource_metadata = judgement.resource_metadata.map(|address| shown_address(&address));
    match &mut judgement.verdict {
        Verdict::InsufficientScope { scopes } => scopes.iter_mut().for_each(|scope| *scope = shown_word(scope)),
        Verdict::StepUpRequired(step_up) => {
            step_up.acr_values = step_up.acr_values.take().map(|values| shown_word(&values));
        }
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::ClientMisconfigured
        | Verdict::DpopNonceRequired { .. }
        | Verdict::GrantDead
        | Verdict::NotAuth
        | Verdict::PermissionDenied
        | Verdict::RateLimited { .. }
        | Verdict::SlowDown
        | Verdict::Transient { .. }
        | Verdict::Unknown => {}
    }
    judgement
}

/// A scope or the like: whole or not at all.
fn shown_word(word: &str) -> String {
    if redact(word).contains(REDACTED) { REDACTED.to_owned() } else { word.to_owned() }
}

/// An address, without its query where that may hold a secret.
fn shown_address(address: &str) -> String {
    let plain = |text: &str| text.len() <= ADDRESS_BYTES_MAX && !redact(text).contains(REDACTED);
    let path = address.split(['?', '#']).next().unwrap_or_default();
    [address, path].into_iter().find(|text| plain(text)).unwrap_or(REDACTED).to_owned()
}

/// What decided, in one line.
pub(crate) fn evidence(judgement: &Judgement) -> String {
    let evidence = &judgement.evidence;
    if evidence.found.is_empty() {
        evidence.place.to_owned()
    } else {
        format!("{}: {}", evidence.place, evidence.found)
    }
}

/// One reply, judged and explained.
#[derive(Debug)]
pub(crate) struct Answer {
    kind: Kind,
    status: u16,
    provider: Option<&'static str>,
    judgement: Judgement,
    explanation: Explanation,
    documented_at: Option<&'static str>,
}

impl Answer {
    /// Judges the reply; `now` is when it came.
    pub(crate) fn to(case: &Case<'_>, now: Timestamp) -> Self {
        let judgement = without_secrets(case.judge(now));
        Self {
            kind: case.kind,
            status: case.status,
            provider: case.quirks.provider(),
            explanation: explain(case.kind.endpoint(), &judgement),
            judgement,
            documented_at: case.documented_at(),
        }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({
            "class": self.judgement.verdict.class(),
            "recovery": self.judgement.verdict.recovery(),
            "meaning": self.explanation.meaning,
            "evidence": self.explanation.why,
            "outlast": self.explanation.outlast,
            "what_to_do": self.explanation.person,
            "code": self.explanation.code.map(|code| code.as_str()),
            "see": self.explanation.code.map(output::page),
            "endpoint_kind": self.kind.name(),
            "status": self.status,
            "provider": self.provider,
            "documented_at": self.documented_at,
        });
        if let (Some(members), Ok(Value::Object(given))) =
            (object.as_object_mut(), serde_json::to_value(Given::of(&self.judgement)))
        {
            members.extend(given);
        }
        object
    }

    /// For people.
    pub(crate) fn to_text(&self) -> String {
        let (verdict, told) = (&self.judgement.verdict, &self.explanation);
        let mut lines = vec![
            line("verdict", &format!("{}: {}", verdict.class(), told.meaning)),
            line("why", &told.why),
            line("recovery", verdict.recovery()),
            line("Outlast", told.outlast),
            line("you", &told.person),
        ];
        lines.extend(self.given_lines());
        if let Some(address) = self.documented_at {
            lines.push(line("source", address));
        }
        if let Some(code) = told.code {
            lines.push(line("see", &output::page(code)));
        }
        lines.join("\n")
    }

    fn given_lines(&self) -> Vec<String> {
        let given = Given::of(&self.judgement);
        let waits = given.retry_after.map(|wait| match wait {
            Seconds::Fraction(seconds) => format!("{seconds} s"),
            Seconds::Whole(seconds) => format!("{seconds} s"),
        });
        let asked = |value: Option<String>, name: &str| value.map(|_| format!("given; --json prints {name} as it is"));
        let rows = [
            ("scopes", (!given.scopes.is_empty()).then(|| given.scopes.join(" "))),
            ("wait", waits),
            ("metadata", given.resource_metadata),
            ("acr", given.acr_values),
            ("max age", given.max_age.map(|age| format!("{age} s"))),
            ("claims", asked(given.claims, "them")),
            ("nonce", asked(given.nonce, "it")),
        ];
        rows.into_iter().filter_map(|(name, value)| Some(line(name, &value?))).collect()
    }
}

fn line(name: &str, text: &str) -> String {
    format!("{:<10}{text}", format!("{name}:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_what_may_be_a_secret() {
        let plain = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp?v=2";
        assert_eq!(shown_address(plain), plain);
        assert_eq!(shown_address("https://a.example/x?token=s3cr3t-v4lue"), "https://a.example/x");
        assert_eq!(shown_address("https://jane:pw@a.example/x?y"), REDACTED);
        assert_eq!(shown_address(&format!("https://a.example/{}", "a/".repeat(ADDRESS_BYTES_MAX))), REDACTED);
    }

    #[test]
    fn a_wait_has_a_fraction_only_where_there_is_one() {
        let text = |millis| serde_json::to_string(&Seconds::from(Duration::from_millis(millis))).unwrap();
        assert_eq!((text(30_000).as_str(), text(1500).as_str(), text(0).as_str()), ("30", "1.5", "0"));
    }

    #[test]
    fn a_scope_that_looks_like_a_token_is_not_shown() {
        assert_eq!(shown_word("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.sig"), REDACTED);
        for scope in ["https://www.googleapis.com/auth/cloud-platform", "crm.objects.contacts.read", "repo"] {
            assert_eq!(shown_word(scope), scope);
        }
    }
}
