//! A grant a person gave on another device (RFC 8628). Renewed by its refresh token.

use crate::request;
use outlast_core::strategy::{Recovery, Redemption, Renewal, Rotation, Strategy, Unrenewable};
use outlast_core::{Grant, GrantType, Provider, Terms};

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

    fn renewal(&self, grant: &Grant, terms: &Terms, provider: &Provider) -> Result<Redemption, Unrenewable> {
        request::refresh(grant, terms, provider)
    }
}
