//! Replies of token endpoints, polled for a device code or not.

use super::said::{Belief, Said, listen};
use super::{Decision, Ground, Taken, known_code};
use crate::classify::body::{Flag, Format, Source, holds_codes};
use crate::classify::codes::meaning_of_code;
use crate::classify::meaning::Meaning;
use crate::classify::verdict::EndpointKind;
use crate::classify::words::{Reading, read_text};

pub(super) fn decide<'a>(taken: &Taken<'a>) -> Decision<'a> {
    let success = (200..300).contains(&taken.status);
    if success && taken.facts.has(Flag::ACCESS_TOKEN) {
        return Decision::by_status(Meaning::NotAuth);
    }
    let oauth = known_code(taken, taken.kind).map(|(meaning, fact)| Decision::by_fact(meaning, &fact));
    match taken.status {
        407 => return Decision::by_status(Meaning::ClientMisconfigured),
        420 | 429 => {
            return oauth
                .filter(|told| told.meaning == Meaning::SlowDown)
                .unwrap_or(Decision::by_status(Meaning::RateLimited));
        }
        408 | 425 | 500..=599 => return on_token_server_error(oauth),
        _ => {}
    }
    let said = listen(&taken.facts, Belief::Refusal);
    match oauth {
        Some(told) if told.meaning == Meaning::GrantDead => on_dead_grant(taken, told, &said),
        Some(told) => on_known_code(taken, told, &said),
        None => on_unknown_code(taken, &said),
    }
}

/// A server that is ill cannot be believed when it calls a grant dead.
fn on_token_server_error(oauth: Option<Decision<'_>>) -> Decision<'_> {
    match oauth {
        Some(told) if matches!(told.meaning, Meaning::RateLimited | Meaning::SlowDown | Meaning::DpopNonceRequired) => {
            told
        }
        Some(_) | None => Decision::by_status(Meaning::Transient),
    }
}

/// Whether this reply may cost a person a login at all: a parsed body of the token endpoint, and a
/// status that a server gives when it has made up its mind.
pub(crate) fn may_kill(taken: &Taken<'_>) -> bool {
    taken.kind != EndpointKind::Resource
        && matches!(taken.format, Format::Json | Format::Form)
        && matches!(taken.status, 200..=299 | 400..=407 | 409..=419 | 421..=424 | 426..=428 | 430..=499)
}

/// The strictest test, for it costs a person a login: a code of the vocabulary, in JSON or a form,
/// under a key that holds codes. What stands beside it may soften the verdict and never harden it.
fn on_dead_grant<'a>(taken: &Taken<'a>, told: Decision<'a>, said: &Said<'a>) -> Decision<'a> {
    let Ground::Fact(dead) = told.ground else { return Decision::by_status(Meaning::Unknown) };
    if !may_kill(taken) || dead.source != Source::Body {
        return Decision::by_fact(Meaning::Unknown, &dead);
    }
    if !holds_codes(dead.key) {
        // A code where a sentence belongs has to name the refresh token itself.
        let meaning = if said.dead_refresh.is_some() { Meaning::GrantDead } else { Meaning::Unknown };
        return Decision::by_fact(meaning, &dead);
    }
    // Sub-codes name a step-up that the grant survives: deleting it there loses it for nothing.
    let step_up =
        taken.facts.codes().find(|fact| meaning_of_code(taken.kind, fact.text) == Some(Meaning::StepUpRequired));
    if let Some(fact) = step_up.copied().or(said.step_up) {
        return Decision::by_fact(Meaning::StepUpRequired, &fact);
    }
    if taken.facts.claims.is_some() {
        return Decision { meaning: Meaning::StepUpRequired, ground: Ground::Field("body claims") };
    }
    if let Some(fact) = said.rate {
        return Decision::by_fact(Meaning::RateLimited, &fact);
    }
    match said.assertion {
        Some(fact) => Decision::by_fact(Meaning::ClientMisconfigured, &fact),
        None => told,
    }
}

/// A known code that does not call the grant dead. `invalid_request` about the refresh token
/// itself is the one that does after all (it is how LinkedIn says `invalid_grant`).
fn on_known_code<'a>(taken: &Taken<'a>, told: Decision<'a>, said: &Said<'a>) -> Decision<'a> {
    let Ground::Fact(code) = told.ground else { return told };
    let vague = told.meaning == Meaning::ClientMisconfigured && code.text.eq_ignore_ascii_case(b"invalid_request");
    match said.dead_refresh.filter(|_| vague && may_kill(taken)) {
        Some(fact) => Decision::by_fact(Meaning::GrantDead, &fact),
        None => told,
    }
}

fn on_unknown_code<'a>(taken: &Taken<'a>, said: &Said<'a>) -> Decision<'a> {
    let refused = may_kill(taken) && taken.format == Format::Json && matches!(taken.status, 200 | 400 | 401 | 403);
    let told = [
        (said.rate, Meaning::RateLimited),
        (said.step_up, Meaning::StepUpRequired),
        // A parsed error about the refresh token itself, by a name that nobody registered.
        (said.dead_refresh.filter(|_| refused), Meaning::GrantDead),
        (said.client, Meaning::ClientMisconfigured),
        (said.api_key, Meaning::ClientMisconfigured),
    ];
    if let Some(decision) = told.into_iter().find_map(|(fact, meaning)| Some(Decision::by_fact(meaning, &fact?))) {
        return decision;
    }
    // "Bad credentials" are the client's here, but of a bad token it is not said whose it is.
    let token_is_bad =
        [said.expired, said.refused].into_iter().flatten().any(|fact| !read_text(fact.text).says(Reading::CREDENTIALS));
    match taken.status {
        // RFC 6749 5.2: 401 is for failed client authentication.
        401 if !token_is_bad => Decision::by_status(Meaning::ClientMisconfigured),
        404 | 405 | 410 | 415 | 422 => Decision::by_status(Meaning::ClientMisconfigured),
        _ => Decision::by_status(Meaning::Unknown),
    }
}
