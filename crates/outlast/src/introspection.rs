//! Asks the server how the held tokens stand (RFC 7662). Never changes a grant: what a server says
//! here of a token is no reason to lose one.

use crate::handle::GrantHandle;
use crate::token_error::TokenError;
use outlast_core::Secret;
use outlast_core::wire::Provider;
use outlast_oauth::introspection::{Introspection, introspection_request, judge_introspection};
use outlast_oauth::revocation::TokenKind;

/// What the server says of a grant's tokens; nothing of one that is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspected {
    /// Of the access token.
    pub access: Option<Introspection>,
    /// Of the refresh token.
    pub refresh: Option<Introspection>,
}

impl GrantHandle {
    /// Asks the server how the held tokens stand. What it does not say plainly is unknown (N26).
    pub async fn introspect(&self) -> Result<Introspected, TokenError> {
        // Only tokens of the configured server are loaded, so none is shown to another (N48).
        let held = self.keeper.load(&self.entry).await?;
        let Some(tokens) = &held.tokens else { return Ok(Introspected { access: None, refresh: None }) };
        let refresh = tokens.refresh.as_ref();
        let provider = match self.keeper.provider(&self.entry).await {
            Ok(provider) => provider,
            Err(missing) => {
                let unknown = Introspection::Unknown { why: missing.detail };
                return Ok(Introspected { access: Some(unknown.clone()), refresh: refresh.map(|_| unknown) });
            }
        };
        let terms = self.entry.terms.as_registered(&held);
        let ask = async |kind, token: &Secret, provider: &Provider| {
            let Some(request) = introspection_request(kind, token, &terms, provider) else {
                return Introspection::Unknown { why: "the server offers no introspection".to_owned() };
            };
            judge_introspection(&self.keeper.parts().endpoint.ask(&request).await)
        };
        let access = ask(TokenKind::Access, &tokens.access, provider).await;
        let refresh = match refresh {
            Some(refresh) => Some(ask(TokenKind::Refresh, refresh, provider).await),
            None => None,
        };
        Ok(Introspected { access: Some(access), refresh })
    }
}
