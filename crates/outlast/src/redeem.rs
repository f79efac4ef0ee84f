//! Carries out what a grant type wrote, one attempt each: the only place where a renewal meets the
//! world. Asks for the lease.

use crate::keeper::{Entry, Parts};
use outlast_core::classify::{Evidence, Verdict};
use outlast_core::outcome::judge;
use outlast_core::strategy::Redemption;
use outlast_core::{Lease, Outcome, Provider, Reply, TokenResponse};

/// Carries `redemption` out, and says what it came to.
pub(crate) async fn carry_out(
    parts: &Parts,
    entry: &Entry,
    lease: &Lease,
    redemption: Redemption,
    provider: &Provider,
) -> Outcome {
    match redemption {
        Redemption::Post(request) => {
            let answer = parts.endpoint.send(lease, &request).await;
            judge(&answer, &provider.quirks, &|reply| read(entry, reply))
        }
        Redemption::Known(response) => Outcome::Renewed(with_life(entry, response)),
        Redemption::Run { .. } | Redemption::Sign(_) => unwritable("no renewal can be written for this grant"),
    }
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
