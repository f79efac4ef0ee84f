//! A grant that came as a refresh token, got by other means and imported (RFC 6749 6).

use crate::request;
use outlast_core::GrantType;
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};

/// The row `refresh_token`.
pub(super) struct RefreshToken;

static STRATEGY: Strategy = Strategy {
    grant_type: "refresh_token",
    rfc: "RFC 6749 6",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

impl GrantType for RefreshToken {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        request::refresh(renewing)
    }
}
