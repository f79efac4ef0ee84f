//! A verdict in words: what Outlast does about it, and what the person should do. Pure text; the
//! words are safe to hand to an agent: they say wait, stop or ask, and never look elsewhere.

use super::verdict::{EndpointKind, Judgement, Verdict};
use crate::error::Code;

/// A verdict in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the reply means.
    pub meaning: &'static str,
    /// Why it was judged so: the evidence, redacted.
    pub why: String,
    /// What Outlast does on such a reply.
    pub outlast: &'static str,
    /// What the person should do.
    pub person: String,
    /// The error page, where the verdict leads to one of the product's failures.
    pub code: Option<Code>,
}

/// Explains a judgement.
pub fn explain(kind: EndpointKind, judgement: &Judgement) -> Explanation {
    let verdict = &judgement.verdict;
    Explanation {
        meaning: meaning(verdict),
        why: why(judgement),
        outlast: outlast(kind, verdict),
        person: person(kind, verdict),
        code: code(verdict),
    }
}

fn why(judgement: &Judgement) -> String {
    let evidence = &judgement.evidence;
    if evidence.found.is_empty() {
        evidence.place.to_owned()
    } else {
        format!("{}: {}", evidence.place, evidence.found)
    }
}

/// What a verdict means.
pub const fn meaning(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::AccessTokenExpired => "the access token has run out",
        Verdict::AccessTokenInvalid => "the access token is refused, and its age is not said to be why",
        Verdict::AuthorizationPending => "the person has not answered yet",
        Verdict::ClientMisconfigured => "the client is refused: its id, secret, redirect, grant type or key",
        Verdict::DpopNonceRequired { .. } => "the server wants a DPoP proof with its nonce",
        Verdict::GrantDead => "the grant is dead: expired, revoked or unknown",
        Verdict::InsufficientScope { .. } => "the token is good but lacks scopes",
        Verdict::NotAuth => "this has nothing to do with authorization",
        Verdict::PermissionDenied => "the token is good, and the answer is no",
        Verdict::RateLimited { .. } => "there were too many requests",
        Verdict::SlowDown => "the device flow is polled too fast",
        Verdict::StepUpRequired(_) => "the person must prove more than the token shows",
        Verdict::Transient { .. } => "the server, or the way to it, is ill",
        Verdict::Unknown => "the reply does not say what is wrong",
    }
}

/// What Outlast does on such a reply.
pub const fn outlast(kind: EndpointKind, verdict: &Verdict) -> &'static str {
    match (kind, verdict) {
        (_, Verdict::AccessTokenExpired) => "renews the token and sends the request again, once",
        (_, Verdict::AccessTokenInvalid) => {
            "renews the token once and sends the request again; if that is refused too, it stops renewing for a while"
        }
        (_, Verdict::AuthorizationPending) => "goes on polling at the interval the server gave",
        (EndpointKind::Resource, Verdict::ClientMisconfigured) => "passes the reply on; a renewal would not help",
        (_, Verdict::ClientMisconfigured) => "keeps the grant and tries again only after a long pause",
        (_, Verdict::DpopNonceRequired { .. }) => "asks again with the nonce",
        (_, Verdict::GrantDead) => "parks the grant, tells the person once, and waits for a login",
        (_, Verdict::InsufficientScope { .. }) => "passes the reply on; a renewal brings the same scopes",
        (_, Verdict::NotAuth) => "passes the reply on unchanged",
        (_, Verdict::PermissionDenied) => {
            "passes the reply on; no other token of this grant would be answered otherwise"
        }
        (_, Verdict::RateLimited { .. }) => "waits as long as the server asks, at most an hour",
        (_, Verdict::SlowDown) => "polls five seconds more slowly",
        (_, Verdict::StepUpRequired(_)) => "keeps the grant and hands what the server asks for to the next login",
        (_, Verdict::Transient { .. }) => "backs off and tries again; the grant is kept",
        (_, Verdict::Unknown) => "keeps everything as it is and passes the reply on",
    }
}

/// What the person should do.
pub fn person(kind: EndpointKind, verdict: &Verdict) -> String {
    match verdict {
        Verdict::AccessTokenExpired => "Nothing.".to_owned(),
        Verdict::AccessTokenInvalid => {
            "Nothing, unless it comes back after the renewal: then sign in again with `outlast login`.".to_owned()
        }
        Verdict::AuthorizationPending => "Finish the sign-in in the browser.".to_owned(),
        Verdict::ClientMisconfigured => {
            "Correct the client's settings in the configuration; signing in again does not help.".to_owned()
        }
        Verdict::DpopNonceRequired { .. } | Verdict::NotAuth | Verdict::SlowDown => "Nothing.".to_owned(),
        Verdict::GrantDead if kind == EndpointKind::Device => "Start the sign-in anew with `outlast login`.".to_owned(),
        Verdict::GrantDead => "Sign in again with `outlast login`.".to_owned(),
        Verdict::InsufficientScope { scopes } if scopes.is_empty() => {
            "Add the scope this request needs to the configuration and sign in again with `outlast login`.".to_owned()
        }
        Verdict::InsufficientScope { scopes } => {
            format!(
                "Add {} to the scope in the configuration and sign in again with `outlast login`.",
                scopes.join(" ")
            )
        }
        Verdict::PermissionDenied => "Ask whoever owns the resource for access, or leave it.".to_owned(),
        Verdict::RateLimited { retry_after: Some(wait) } => format!("Wait {} seconds.", wait.as_secs().max(1)),
        Verdict::RateLimited { retry_after: None } => "Wait a few minutes, then go on more slowly.".to_owned(),
        Verdict::StepUpRequired(_) => {
            "Sign in interactively with `outlast login`, and answer what the provider asks.".to_owned()
        }
        Verdict::Transient { .. } => "Wait; if it lasts, look at the provider's status page.".to_owned(),
        Verdict::Unknown => {
            "Read the reply itself; the provider's documentation of its errors may say more.".to_owned()
        }
    }
}

/// The failure of the product that a verdict leads to, where it leads to one.
pub const fn code(verdict: &Verdict) -> Option<Code> {
    match verdict {
        Verdict::AccessTokenInvalid => Some(Code::RejectedAfterRenewal),
        Verdict::ClientMisconfigured => Some(Code::ClientMisconfigured),
        Verdict::GrantDead | Verdict::InsufficientScope { .. } | Verdict::StepUpRequired(_) => Some(Code::NeedsUser),
        Verdict::RateLimited { .. } => Some(Code::CoolingDown),
        Verdict::Transient { .. } => Some(Code::ServerUnreachable),
        Verdict::AccessTokenExpired
        | Verdict::AuthorizationPending
        | Verdict::DpopNonceRequired { .. }
        | Verdict::NotAuth
        | Verdict::PermissionDenied
        | Verdict::SlowDown
        | Verdict::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Quirks, classify};
    use http::HeaderMap;

    fn explained(kind: EndpointKind, status: u16, body: &str) -> Explanation {
        explain(kind, &classify(kind, status, &HeaderMap::new(), body.as_bytes(), &Quirks::default()))
    }

    #[test]
    fn a_dead_grant_is_explained_with_its_evidence_and_its_mend() {
        let told = explained(EndpointKind::Token, 400, r#"{"error":"invalid_grant"}"#);
        assert_eq!(told.why, "body error: invalid_grant");
        assert!(told.person.contains("outlast login"), "{told:?}");
        assert_eq!(told.code, Some(Code::NeedsUser));
    }

    #[test]
    fn scopes_and_waits_are_named_where_the_reply_names_them() {
        let told = explained(EndpointKind::Resource, 403, r#"{"error":"insufficient_scope","scope":"files.read"}"#);
        assert!(told.person.contains("files.read"), "{told:?}");
        let told = explained(EndpointKind::Resource, 429, r#"{"retry_after":17}"#);
        assert_eq!(told.person, "Wait 17 seconds.");
    }

    #[test]
    fn a_client_refused_at_a_resource_is_not_said_to_keep_the_grant_waiting() {
        let token = explained(EndpointKind::Token, 400, r#"{"error":"invalid_client"}"#);
        let resource = explained(EndpointKind::Resource, 401, r#"{"error":"invalid_client"}"#);
        assert_ne!(token.outlast, resource.outlast);
    }
}
