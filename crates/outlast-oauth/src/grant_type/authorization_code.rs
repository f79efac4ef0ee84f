//! A grant a person gave in a browser (RFC 6749 4.1). Renewed by its refresh token.

use crate::request;
use outlast_core::GrantType;
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};

/// The row `authorization_code`.
pub(super) struct AuthorizationCode;

static STRATEGY: Strategy = Strategy {
    grant_type: "authorization_code",
    rfc: "RFC 6749 4.1",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

impl GrantType for AuthorizationCode {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        request::refresh(renewing)
    }
}
