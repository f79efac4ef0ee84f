//! A grant the client has by being the client (RFC 6749 4.4): minted anew each time, nothing spent.

use crate::request::token_request;
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::{ClientAuth, GrantType, Terms};

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

    fn check(&self, terms: &Terms) -> Result<(), String> {
        if terms.client_id.is_empty() || terms.client_auth == ClientAuth::None {
            return Err("has no client that can prove who it is: set client_id, and client_secret, private_key or \
                 client_certificate (RFC 6749 4.4)"
                .to_owned());
        }
        Ok(())
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        // A refresh token is not used even where a server sent one against RFC 6749 4.4.3: minting
        // cannot be refused for a token that was spent.
        let mut request = token_request("client_credentials", Vec::new(), renewing.terms, renewing.provider);
        request.proof_key = renewing.grant.proof_key.clone();
        Ok(Redemption::Post(request))
    }
}
