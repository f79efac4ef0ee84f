//! Carries out the requests that rotate an API key: under the grant's lease, by the same hardened client
//! as renewals, once each.

use crate::keeper::{Entry, Parts};
use outlast_core::outcome::describe;
use outlast_core::token::TokenType;
use outlast_core::wire::{Answer, Fault, Reply};
use outlast_core::{KeyRequest, Lease, Outcome, Secret};
use outlast_oauth::key_request;

/// Sends `asked`, authenticated by `key`.
async fn send(parts: &Parts, entry: &Entry, lease: &Lease, asked: &KeyRequest, key: &Secret) -> Answer {
    let presentation = &entry.settings.presentation;
    match presentation.value(TokenType::Bearer, key) {
        Some(value) => {
            parts.endpoint.send(lease, &key_request(asked, key, (presentation.field().clone(), value))).await
        }
        // A key that cannot stand in a header.
        None => Answer::Unsent(Fault::Unsigned),
    }
}

/// Asks for a new key in the place of `key`. What may have made one that nobody knows is told as such,
/// and not tried again in the same period.
pub(crate) async fn rotate(parts: &Parts, entry: &Entry, lease: &Lease, asked: &KeyRequest, key: &Secret) -> Outcome {
    let failed = |why: &str| Outcome::CommandFailed { detail: format!("no new key was made: {why}") };
    let doubtful = |why: &str| Outcome::RotationInDoubt {
        detail: format!("{why}: a key may exist that nobody knows; look for it at the provider"),
        pause: entry.terms.options.duration("rotate_every").unwrap_or_default(),
    };
    match send(parts, entry, lease, asked, key).await {
        Answer::Unsent(fault) => failed(described(fault)),
        Answer::Lost(fault) => doubtful(describe(fault)),
        Answer::Complete(Reply { status: status @ (408 | 500..=599), .. }) => {
            doubtful(&format!("the key service answered {status}"))
        }
        Answer::Complete(reply) if (200..300).contains(&reply.status) => {
            match entry.grant_type.read(&reply, &entry.terms) {
                Some(response) if response.access == *key => {
                    failed("the key service gave the key that is to be replaced")
                }
                Some(response) => Outcome::Renewed(response),
                None => doubtful("the key service's success holds no key where `read` says"),
            }
        }
        Answer::Complete(reply) => failed(&format!("the key service answered {}", reply.status)),
    }
}

/// Puts `key` out of use; in words, why that failed. One that the service does not know any more is out
/// of use.
pub(crate) async fn retire(
    parts: &Parts,
    entry: &Entry,
    lease: &Lease,
    asked: &KeyRequest,
    key: &Secret,
) -> Result<(), String> {
    match send(parts, entry, lease, asked, key).await {
        Answer::Unsent(fault) => Err(described(fault).to_owned()),
        Answer::Lost(fault) => Err(describe(fault).to_owned()),
        // It authenticates the request itself: 401 says that it is good for nothing.
        Answer::Complete(Reply { status: 200..=299 | 401 | 404 | 410, .. }) => Ok(()),
        Answer::Complete(reply) => Err(format!("the key service answered {}", reply.status)),
    }
}

fn described(fault: Fault) -> &'static str {
    match fault {
        Fault::Unsigned => "the key cannot stand in the configured header",
        Fault::Broken
        | Fault::Connect
        | Fault::Insecure
        | Fault::LeaseLost
        | Fault::OutOfReach
        | Fault::Timeout
        | Fault::Tls
        | Fault::TooLarge => describe(fault),
    }
}
