//! A key that somebody issued by hand and that stands in the configuration: served as it is. Nothing
//! is asked for it, and one that was replaced there is not served any more.

use outlast_core::options::{GrantOption, OptionKind};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::{Grant, GrantType, Terms, TokenResponse};

/// The row `api_key`.
pub(super) struct ApiKey;

static STRATEGY: Strategy = Strategy {
    grant_type: "api_key",
    rfc: "none",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

static OPTIONS: &[GrantOption] =
    &[GrantOption { name: "key", kind: OptionKind::Secret, required: true, meaning: "the API key" }];

impl GrantType for ApiKey {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn has_server(&self) -> bool {
        false
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let key = renewing.terms.options.secret("key").filter(|key| !key.is_empty());
        let key = key.ok_or(Unrenewable::Misconfigured("there is no key: set it"))?;
        Ok(Redemption::Known(TokenResponse { access: key.clone(), ..TokenResponse::bearer("") }))
    }

    fn is_outdated(&self, held: &Grant, terms: &Terms) -> bool {
        let configured = terms.options.secret("key");
        held.tokens.as_ref().is_some_and(|tokens| configured != Some(&tokens.access))
    }
}
