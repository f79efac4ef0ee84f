//! A grant a person gave on another device (RFC 8628). Renewed by its refresh token.

use crate::request;
use outlast_core::GrantType;
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};

/// The row `device_code`.
pub(super) struct DeviceCode;

static STRATEGY: Strategy = Strategy {
    grant_type: "device_code",
    rfc: "RFC 8628",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

impl GrantType for DeviceCode {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        request::refresh(renewing)
    }
}
