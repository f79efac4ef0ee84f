//! Replies of protected resources.

use super::said::{Belief, Said, listen};
use super::{Decision, Taken, known_code};
use crate::classify::body::{Fact, Flag, Format, Role, Source};
use crate::classify::codes::meaning_of_code;
use crate::classify::meaning::Meaning;
use crate::classify::verdict::EndpointKind;

pub(super) fn decide<'a>(taken: &Taken<'a>) -> Decision<'a> {
    match taken.status {
        200..=299 => on_success(taken),
        300..=399 => on_redirect(taken),
        // The proxy on the way wants credentials of its own (RFC 9110 15.5.8).
        407 => Decision::by_status(Meaning::ClientMisconfigured),
        408 | 425 => Decision::by_status(Meaning::Transient),
        420 | 429 => Decision::by_status(Meaning::RateLimited),
        400 | 401 | 403 | 419 | 440 | 498 | 499 => on_refusal(taken),
        402..=499 => on_other_client_error(taken),
        501 | 505 | 506 | 508 | 510 => Decision::by_status(Meaning::NotAuth),
        500..=599 => on_server_error(taken),
        // Not a status of HTTP.
        _ => Decision::by_status(Meaning::Unknown),
    }
}

/// A status that has nothing to do with authorization, unless a challenge says otherwise.
fn on_other_client_error<'a>(taken: &Taken<'a>) -> Decision<'a> {
    let challenge = taken.facts.codes().filter(|fact| fact.source == Source::Challenge);
    for fact in challenge {
        if let Some(meaning) = meaning_of_code(taken.kind, fact.text) {
            return Decision::by_fact(meaning, fact);
        }
    }
    Decision::by_status(Meaning::NotAuth)
}

fn on_refusal<'a>(taken: &Taken<'a>) -> Decision<'a> {
    let status = effective_status(taken);
    let refusal = !matches!(status, 400 | 200);
    let said = listen(&taken.facts, if refusal { Belief::Refusal } else { Belief::Named });
    if let Some(decision) = by_code(taken, &said, status) {
        return decision;
    }
    if let Some(decision) = by_words(&said, status) {
        return decision;
    }
    by_status(taken, &said, status)
}

/// The status the body gives itself, where HTTP's own says nothing: GraphQL and Esri tunnel it.
fn effective_status(taken: &Taken<'_>) -> u16 {
    if !matches!(taken.status, 200 | 400) {
        return taken.status;
    }
    taken
        .facts
        .codes()
        .find_map(|fact| match fact.text {
            b"401" => Some(401),
            b"403" => Some(403),
            b"429" => Some(429),
            b"498" => Some(498),
            b"499" => Some(499),
            _ => None,
        })
        .unwrap_or(taken.status)
}

/// By a whole code. A code that calls the token bad is refined by what else is said: many servers
/// send `invalid_token` and put "expired" into the sentence beside it.
fn by_code<'a>(taken: &Taken<'a>, said: &Said<'a>, status: u16) -> Option<Decision<'a>> {
    let (meaning, fact) = known_code(taken, EndpointKind::Resource)?;
    if meaning != Meaning::AccessTokenInvalid {
        return Some(Decision::by_fact(meaning, &fact));
    }
    let better = match () {
        () if fact.source == Source::Challenge => None,
        () => said.scope_lacking.or(said.step_up).filter(|_| status != 400),
    };
    if better.is_some() {
        return by_words(said, status);
    }
    Some(said.expired.map_or_else(
        || Decision::by_fact(Meaning::AccessTokenInvalid, &fact),
        |expired| Decision::by_fact(Meaning::AccessTokenExpired, &expired),
    ))
}

/// By what is said in words, the statement that narrows the recovery most first.
fn by_words<'a>(said: &Said<'a>, status: u16) -> Option<Decision<'a>> {
    let token_is_bad = said.expired.or(said.refused);
    let ordered = [
        (said.scope_lacking, Meaning::InsufficientScope),
        (said.step_up, Meaning::StepUpRequired),
        (said.rate, Meaning::RateLimited),
        (said.expired.filter(|_| said.api_key.is_none() || said.refused.is_some()), Meaning::AccessTokenExpired),
        (said.api_key.filter(|_| said.refused.is_none()), Meaning::ClientMisconfigured),
        (said.client.filter(|_| token_is_bad.is_none()), Meaning::ClientMisconfigured),
        (said.refused, Meaning::AccessTokenInvalid),
        // Said in so many words, it holds at 401 as well: a renewal brings no permission.
        (said.no_permission, Meaning::PermissionDenied),
        (said.unauthenticated.filter(|_| status == 403 && said.unsupported.is_some()), Meaning::PermissionDenied),
        (said.unauthenticated.filter(|_| status != 400), Meaning::AccessTokenInvalid),
    ];
    ordered.into_iter().find_map(|(fact, meaning)| Some(Decision::by_fact(meaning, &fact?)))
}

fn by_status<'a>(taken: &Taken<'a>, said: &Said<'a>, status: u16) -> Decision<'a> {
    match status {
        400 if taken.facts.has(Flag::TRANSIENT) => Decision::by_status(Meaning::Transient),
        400 => denied_by_name(taken).unwrap_or(Decision::by_status(Meaning::NotAuth)),
        200 => Decision::by_status(Meaning::NotAuth),
        403 if said.unauthenticated.is_none() => on_forbidden(taken),
        429 => Decision::by_status(Meaning::RateLimited),
        // The login timeout of IIS; the others are Esri's for a bad or missing token.
        440 => Decision::by_status(Meaning::AccessTokenExpired),
        // Laravel's, for the token of a form.
        419 => Decision::by_status(Meaning::Unknown),
        _ => Decision::by_status(Meaning::AccessTokenInvalid),
    }
}

fn on_forbidden<'a>(taken: &Taken<'a>) -> Decision<'a> {
    if taken.fields.retry_after.is_some() {
        return Decision::by_field(Meaning::RateLimited, "header Retry-After");
    }
    if taken.fields.rate_used_up {
        return Decision::by_field(Meaning::RateLimited, "header X-RateLimit-Remaining");
    }
    // A page is the work of an edge or a portal; the application was not asked.
    if taken.format == Format::Html || taken.fields.edge || is_edge_text(taken) {
        return Decision::by_status(Meaning::Unknown);
    }
    Decision::by_status(Meaning::PermissionDenied)
}

/// Cloudflare's `error code: 1020`, in plain text.
fn is_edge_text(taken: &Taken<'_>) -> bool {
    taken.format == Format::Text && taken.facts.iter().any(|fact| fact.text.starts_with(b"error code: 1"))
}

fn on_server_error<'a>(taken: &Taken<'a>) -> Decision<'a> {
    let said = listen(&taken.facts, Belief::Named);
    if let Some(rate) = said.rate {
        return Decision::by_fact(Meaning::RateLimited, &rate);
    }
    // SOAP sends every fault with 500, and many frameworks let a token error through as one.
    if taken.status == 500 && taken.format != Format::Html {
        if let Some(fact) = said.expired {
            return Decision::by_fact(Meaning::AccessTokenExpired, &fact);
        }
        let refused = said.refused.or_else(|| soap_refusal(taken));
        if let Some(fact) = refused.filter(|fact| taken.facts.has(Flag::SOAP) || fact.role == Role::Code) {
            return Decision::by_fact(Meaning::AccessTokenInvalid, &fact);
        }
    }
    Decision::by_status(Meaning::Transient)
}

/// A SOAP fault that calls a session or token bad, by whatever name.
fn soap_refusal<'a>(taken: &Taken<'a>) -> Option<Fact<'a>> {
    taken.facts.has(Flag::SOAP).then(|| listen(&taken.facts, Belief::Refusal).refused).flatten()
}

/// Success by its status. Only a body that calls itself an error, or a gRPC status, is heard.
fn on_success<'a>(taken: &Taken<'a>) -> Decision<'a> {
    if let Some(decision) = by_grpc(taken) {
        return decision;
    }
    if taken.format == Format::Html {
        return on_page(taken);
    }
    if !taken.facts.has(Flag::ENVELOPE) || taken.facts.has(Flag::ACCESS_TOKEN) {
        return Decision::by_status(Meaning::NotAuth);
    }
    let status = effective_status(taken);
    let belief = if status == 200 { Belief::Named } else { Belief::Refusal };
    let said = listen(&taken.facts, belief);
    let told = by_code(taken, &said, status).or_else(|| by_words(&said, status));
    match (told, status) {
        (Some(decision), _) => decision,
        (None, 401 | 498 | 499) => Decision::by_status(Meaning::AccessTokenInvalid),
        (None, 403) => Decision::by_status(Meaning::PermissionDenied),
        (None, 429) => Decision::by_status(Meaning::RateLimited),
        (None, _) => denied_by_name(taken).unwrap_or(Decision::by_status(Meaning::NotAuth)),
    }
}

/// `FORBIDDEN` and the like, where the status says nothing: GraphQL, AWS.
fn denied_by_name<'a>(taken: &Taken<'a>) -> Option<Decision<'a>> {
    const NAMES: [&[u8]; 5] =
        [b"FORBIDDEN", b"PERMISSION_DENIED", b"ACCESS_DENIED", b"AccessDeniedException", b"UNAUTHORIZED"];
    let fact = taken.facts.codes().find(|fact| NAMES.iter().any(|name| fact.text.eq_ignore_ascii_case(name)))?;
    let unauthorized = fact.text.eq_ignore_ascii_case(b"UNAUTHORIZED");
    let meaning = if unauthorized { Meaning::AccessTokenInvalid } else { Meaning::PermissionDenied };
    Some(Decision::by_fact(meaning, fact))
}

/// gRPC answers 200 and puts its own status into the header or a trailer.
fn by_grpc<'a>(taken: &Taken<'a>) -> Option<Decision<'a>> {
    let meaning = match taken.fields.grpc_status? {
        b"7" => Meaning::PermissionDenied,
        b"8" => Meaning::RateLimited,
        b"4" | b"13" | b"14" => Meaning::Transient,
        b"16" => Meaning::AccessTokenInvalid,
        b"2" => Meaning::Unknown,
        _ => Meaning::NotAuth,
    };
    let said = listen(&taken.facts, Belief::Refusal);
    if meaning == Meaning::AccessTokenInvalid
        && let Some(fact) = said.expired
    {
        return Some(Decision::by_fact(Meaning::AccessTokenExpired, &fact));
    }
    if meaning == Meaning::PermissionDenied
        && let Some(fact) = said.scope_lacking
    {
        return Some(Decision::by_fact(Meaning::InsufficientScope, &fact));
    }
    Some(Decision::by_field(meaning, "header grpc-status"))
}

/// A page where an answer was due: the sign-in page of Azure DevOps comes with 203; a firewall's
/// comes with 200. Other pages are what was asked for.
fn on_page<'a>(taken: &Taken<'a>) -> Decision<'a> {
    for fact in taken.facts.iter() {
        if contains(fact.text, b"sign in") || contains(fact.text, b"log in") || contains(fact.text, b"login") {
            // A renewal helps no captive portal, so with 200 it stays open.
            let meaning = if taken.status == 203 { Meaning::AccessTokenInvalid } else { Meaning::Unknown };
            return Decision::by_fact(meaning, fact);
        }
        if contains(fact.text, b"request rejected")
            || contains(fact.text, b"access denied")
            || contains(fact.text, b"blocked")
        {
            return Decision::by_fact(Meaning::Unknown, fact);
        }
    }
    Decision::by_status(Meaning::NotAuth)
}

/// A redirect to a sign-in page is how web applications say 401.
fn on_redirect<'a>(taken: &Taken<'a>) -> Decision<'a> {
    const PAGES: [&[u8]; 7] = [b"signin", b"_signin", b"sign-in", b"sign_in", b"login", b"log-in", b"authorize"];
    let Some(location) = taken.fields.location else { return Decision::by_status(Meaning::NotAuth) };
    let path = location.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or(location);
    let mut segments = path.split(|byte| *byte == b'/').map(|part| part.split(|b| *b == b'.').next().unwrap_or(part));
    if taken.status != 304 && segments.any(|part| PAGES.iter().any(|page| part.eq_ignore_ascii_case(page))) {
        return Decision::by_field(Meaning::AccessTokenInvalid, "header Location");
    }
    Decision::by_status(Meaning::NotAuth)
}

fn contains(text: &[u8], phrase: &[u8]) -> bool {
    text.get(..512).unwrap_or(text).windows(phrase.len()).any(|part| part.eq_ignore_ascii_case(phrase))
}
