//! Carries out what a grant type wrote, one attempt each: the only place where a renewal meets the
//! world. Asks for the lease.

use crate::command;
use crate::keeper::{Entry, Parts};
use crate::key_request;
use outlast_core::classify::{Evidence, Verdict};
use outlast_core::outcome::judge;
use outlast_core::strategy::Redemption;
use outlast_core::token::TokenType;
use outlast_core::wire::Fault;
use outlast_core::{Code, Grant, Lease, Outcome, Provider, Reply, Secret, Timestamp, TokenResponse};
use outlast_oauth::assertion;
use std::time::Duration;

/// Carries `redemption` out, and says what it came to.
pub(crate) async fn carry_out(
    parts: &Parts,
    entry: &Entry,
    held: &Grant,
    lease: &Lease,
    redemption: Redemption,
    provider: &Provider,
) -> Outcome {
    // For what is not sent over a connection: the endpoint looks again, right before the first byte.
    if !lease.watch().is_held() {
        return Outcome::Unsent(Fault::LeaseLost);
    }
    match redemption {
        Redemption::Ask { request, key } => key_request::rotate(parts, entry, lease, &request, &key).await,
        Redemption::Post(request) => {
            // Said here in words: the endpoint has only a fault to say it with.
            if let Err(error) = assertion::check_request(&request) {
                return unwritable(&error.to_string());
            }
            let answer = parts.endpoint.send(lease, &request).await;
            bound(entry, judge(&answer, &provider.quirks, &|reply| read(entry, reply)))
        }
        Redemption::Known(response) => Outcome::Renewed(with_life(entry, response)),
        Redemption::Sign(assertion) => match assertion::sign(&assertion, parts.clock.now()) {
            Ok(signed) => Outcome::Renewed(signed_token(&signed, assertion.life)),
            Err(error) => unwritable(&error.to_string()),
        },
        Redemption::Run { command, input } => run(parts, entry, held, &command, input.as_ref()).await,
    }
}

/// A JWT that is the access token itself.
fn signed_token(signed: &Secret, life: Duration) -> TokenResponse {
    TokenResponse { access: signed.clone(), expires_in: Some(life), ..TokenResponse::bearer("") }
}

/// A token that is not bound to the grant's key though it should be is not used (N32): whoever took it
/// would need no key. What is held stays.
pub(crate) fn bound(entry: &Entry, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Renewed(response) if entry.terms.dpop && response.token_type != TokenType::Dpop => {
            let detail = "the server gave a token that is not bound to the grant's key: have DPoP set up for this \
                          client at the server, or remove dpop from the configuration";
            Outcome::Discarded { code: Code::ClientMisconfigured, detail: detail.to_owned() }
        }
        other => other,
    }
}

/// Runs a command under the lease, so that whichever process comes second finds what it brought.
async fn run(parts: &Parts, entry: &Entry, held: &Grant, command: &[String], input: Option<&Secret>) -> Outcome {
    let secrets: Vec<Secret> = held.tokens.iter().map(|tokens| tokens.access.clone()).collect();
    let printed = command::run(command, input, &secrets).await;
    let now = parts.clock.now();
    match printed.and_then(|output| entry.grant_type.read_output(&output, &entry.terms, now)) {
        // It was told the key that it is to replace.
        Ok(response) if input == Some(&response.access) => {
            Outcome::CommandFailed { detail: "the command printed the key that it was to replace".to_owned() }
        }
        Ok(response) => bound(entry, Outcome::Renewed(not_younger(held, response, entry.terms.token_life, now))),
        Err(detail) => Outcome::CommandFailed { detail },
    }
}

/// With the configured life where nothing else tells; but a tool that prints the token we have
/// has not made it younger.
fn not_younger(held: &Grant, response: TokenResponse, life: Option<Duration>, now: Timestamp) -> TokenResponse {
    let same = held.tokens.as_ref().filter(|tokens| tokens.access == response.access);
    let left = same.and_then(|tokens| tokens.expires_at).map(|end| now.until(end)).filter(|left| !left.is_zero());
    TokenResponse { expires_in: response.expires_in.or(left).or(life), ..response }
}

/// The token set in a reply, as the grant type reads it.
pub(crate) fn read(entry: &Entry, reply: &Reply) -> Option<TokenResponse> {
    entry.grant_type.read(reply, &entry.terms).map(|response| with_life(entry, response))
}

/// With the configured life where the server tells none.
fn with_life(entry: &Entry, response: TokenResponse) -> TokenResponse {
    TokenResponse { expires_in: response.expires_in.or(entry.terms.token_life), ..response }
}

/// A renewal that cannot be written: the configuration has to be mended.
pub(crate) fn unwritable(why: &str) -> Outcome {
    let evidence = Evidence { place: "grant type", found: why.to_owned() };
    Outcome::Refused(Verdict::ClientMisconfigured, evidence)
}
