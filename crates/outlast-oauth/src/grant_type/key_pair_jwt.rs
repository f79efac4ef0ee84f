//! A JWT that is the access token itself, signed with a key pair that Snowflake knows the public half
//! of. Made anew each time, without asking anybody. Requests may say so in a field of their own,
//! `X-Snowflake-Authorization-Token-Type: KEYPAIR_JWT`; without it Snowflake finds out by the token.

use crate::assertion;
use outlast_core::options::{GrantOption, OptionKind, Options};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::wire::{Assertion, AssertionPlace, SigningKey};
use outlast_core::{GrantType, Terms};
use serde_json::Map;
use std::time::Duration;

/// The row `key_pair_jwt`.
pub(super) struct KeyPairJwt;

static STRATEGY: Strategy = Strategy {
    grant_type: "key_pair_jwt",
    rfc: "Snowflake SQL API: using key-pair authentication",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

/// Snowflake takes no JWT that ends later than an hour after it was issued.
const LIFE: Duration = Duration::from_secs(59 * 60);
/// For clocks that are behind; nobody answers here, so theirs cannot be learned.
const BACKDATED: Duration = Duration::from_secs(60);

const OPTIONS: &[GrantOption] = &[
    GrantOption::required("account", OptionKind::Text, "the account's identifier, such as exampleorg-account1"),
    GrantOption::required(
        "private_key",
        OptionKind::Secret,
        "the private key, whose public half the user has (RSA_PUBLIC_KEY)",
    ),
    GrantOption { name: "user", kind: OptionKind::Text, required: true, meaning: "the user's name at Snowflake" },
];

impl GrantType for KeyPairJwt {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn has_server(&self) -> bool {
        false
    }

    fn check_secrets(&self, terms: &Terms) -> Result<(), String> {
        let key = key(&terms.options).map_err(|why| why.to_owned())?;
        assertion::check(&key).map_err(|error| error.to_string())
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let options = &renewing.terms.options;
        let missing = |what| move || Unrenewable::Misconfigured(what);
        let account = options.text("account").ok_or_else(missing("there is no account: set it"))?;
        let user = options.text("user").ok_or_else(missing("there is no user: set it"))?;
        let key = key(options).map_err(Unrenewable::Misconfigured)?;
        let unusable = "the private key cannot be used: give an unlocked RSA key of at least 2048 bits";
        let fingerprint = assertion::fingerprint(&key).map_err(|_| Unrenewable::Misconfigured(unusable))?;
        let subject = format!("{}.{}", account_name(account), user.to_uppercase());
        let claims = [("iss", format!("{subject}.{fingerprint}")), ("sub", subject)];
        Ok(Redemption::Sign(Assertion {
            place: AssertionPlace::Bearer,
            claims: Map::from_iter(claims.map(|(name, value)| (name.to_owned(), value.into()))),
            life: LIFE,
            backdated: BACKDATED,
            key,
        }))
    }
}

fn key(options: &Options) -> Result<SigningKey, &'static str> {
    let material = options.secret("private_key").ok_or("there is no private_key to sign with")?.clone();
    Ok(SigningKey { material, algorithm: Some("RS256".to_owned()), key_id: None })
}

/// The account in the form that Snowflake compares: in capitals, without the region that stands
/// behind an account locator, or the identifier behind a global one.
fn account_name(account: &str) -> String {
    let end = if account.contains(".global") { account.find('-') } else { account.find('.') };
    account[..end.unwrap_or(account.len())].to_uppercase()
}
