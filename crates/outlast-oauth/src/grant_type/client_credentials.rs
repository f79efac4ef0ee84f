//! A grant the client has by being the client (RFC 6749 4.4): minted anew each time, nothing spent.

use crate::request::token_request;
use outlast_core::strategy::{Recovery, Redemption, Renewal, Rotation, Strategy, Unrenewable};
use outlast_core::{Grant, GrantType, Provider, Terms};

/// The row `client_credentials`.
pub(super) struct ClientCredentials;

static STRATEGY: Strategy = Strategy {
    grant_type: "client_credentials",
    rfc: "RFC 6749 4.4",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

impl GrantType for ClientCredentials {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn renewal(&self, _grant: &Grant, terms: &Terms, provider: &Provider) -> Result<Redemption, Unrenewable> {
        // A refresh token is not used even where a server sent one against RFC 6749 4.4.3: minting
        // cannot be refused for a token that was spent.
        Ok(Redemption::Post(token_request("client_credentials", Vec::new(), terms, provider)))
    }
}
