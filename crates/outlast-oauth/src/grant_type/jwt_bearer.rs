//! A grant the client has by signing for it (RFC 7523 2.1), service accounts among them: minted anew
//! each time, nothing spent.

use super::service_account::ServiceAccount;
use crate::request::authenticated;
use outlast_core::options::{GrantOption, OptionKind};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::wire::{Assertion, AssertionPlace, SigningKey};
use outlast_core::{GrantType, Secret, Terms};
use serde_json::{Map, Value};
use std::time::Duration;

/// The row `jwt_bearer`.
pub(super) struct JwtBearer;

static STRATEGY: Strategy = Strategy {
    grant_type: "jwt_bearer",
    rfc: "RFC 7523 2.1",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is good for; Salesforce takes none that is longer.
const LIFE: Duration = Duration::from_secs(180);

const OPTIONS: &[GrantOption] = &[
    GrantOption::optional(
        "algorithm",
        OptionKind::Text,
        "what the private key signs with, if not what is usual for it",
    ),
    GrantOption::optional(
        "audience",
        OptionKind::Text,
        "the `aud` of the assertion, if not the issuer or token endpoint",
    ),
    GrantOption::optional(
        "claims",
        OptionKind::Table,
        "further claims of the assertion, such as { scope = \"signature\" }",
    ),
    GrantOption::optional("issuer_claim", OptionKind::Text, "the `iss` of the assertion, if not client_id"),
    GrantOption::optional("key_id", OptionKind::Text, "the private key's name at the server (`kid`)"),
    GrantOption::optional("private_key", OptionKind::Secret, "the private key that signs, as PEM or JWK"),
    GrantOption::optional(
        "service_account",
        OptionKind::Secret,
        "a Google service account's key file, in place of private_key",
    ),
    GrantOption::optional(
        "subject",
        OptionKind::Text,
        "the `sub` of the assertion: for whom the token is, if not for the issuer itself",
    ),
];

/// Claims that are made when the assertion is sent, or stand in options of their own.
const OWN_CLAIMS: &[&str] = &["aud", "exp", "iat", "iss", "jti", "nbf", "sub"];

impl GrantType for JwtBearer {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn needs_server(&self) -> bool {
        // A service account's file names it.
        false
    }

    fn check(&self, terms: &Terms) -> Result<(), String> {
        let options = &terms.options;
        let account = options.secret("service_account").is_some();
        match (options.secret("private_key").is_some(), account) {
            (false, false) => {
                return Err(
                    "has nothing to sign with: set private_key = { file = \"FILE\" }, or service_account".to_owned()
                );
            }
            (true, true) => {
                return Err("has two keys to sign with: keep one of private_key, service_account".to_owned());
            }
            (true, false) | (false, true) => {}
        }
        if !account && terms.authorization_server == "none" {
            return Err("names no authorization server: set one of provider, issuer, token_endpoint".to_owned());
        }
        if !account && terms.client_id.is_empty() && options.text("issuer_claim").is_none() {
            return Err("does not say who signs: set client_id, or issuer_claim".to_owned());
        }
        let stray =
            options.table("claims").and_then(|claims| claims.keys().find(|name| OWN_CLAIMS.contains(&&***name)));
        stray.map_or(Ok(()), |name| {
            Err(format!("has the claim {name} among its claims: remove it, or set audience, issuer_claim or subject"))
        })
    }

    fn check_secrets(&self, terms: &Terms) -> Result<(), String> {
        let key = Signer::of(terms).map_err(|why| why.to_owned())?.key;
        crate::assertion::check(&key).map_err(|error| error.to_string())
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let Renewing { grant, terms, provider, .. } = *renewing;
        let signer = Signer::of(terms).map_err(Unrenewable::Misconfigured)?;
        let named = Some(&provider.token_endpoint).filter(|endpoint| !endpoint.is_empty());
        let endpoint = named.or(signer.endpoint.as_ref());
        let endpoint = endpoint.ok_or(Unrenewable::Misconfigured("no token endpoint is known: set token_endpoint"))?;
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                claims.insert(name.to_owned(), Value::from(value));
            }
        };
        let own_audience = signer.endpoint.as_deref().or(provider.issuer.as_deref()).unwrap_or(endpoint);
        claim("iss", Some(&signer.issuer));
        claim("sub", terms.options.text("subject").or(signer.usual_subject.then_some(&signer.issuer)));
        claim("aud", Some(terms.options.text("audience").unwrap_or(own_audience)));
        let scope = terms.scope.join(" ");
        claim("scope", signer.scope_is_claimed.then_some(&scope));
        for (name, value) in terms.options.table("claims").into_iter().flatten() {
            claim(name, Some(value));
        }
        let mut form = vec![("grant_type", Secret::new(JWT_BEARER))];
        if !signer.scope_is_claimed {
            form.push(("scope", Secret::new(scope)));
        }
        form.push(("resource", Secret::new(terms.resource.as_deref().unwrap_or_default())));
        let mut request = authenticated(provider.form(endpoint, form), terms, provider);
        request.assertions.push(Assertion {
            place: AssertionPlace::Form("assertion"),
            claims,
            life: LIFE,
            backdated: crate::server_clock::TOLERATED,
            key: signer.key,
        });
        request.proof_key = grant.proof_key.clone();
        Ok(Redemption::Post(request))
    }
}

/// Who signs, and with what.
struct Signer {
    issuer: String,
    key: SigningKey,
    /// The token endpoint that the signer's own file names.
    endpoint: Option<String>,
    /// Whether the assertion is about its issuer where nobody says; Google wants no subject then.
    usual_subject: bool,
    /// Whether the scope stands in the assertion, as Google wants it.
    scope_is_claimed: bool,
}

impl Signer {
    fn of(terms: &Terms) -> Result<Self, &'static str> {
        let options = &terms.options;
        let text = |name: &str| options.text(name).map(str::to_owned);
        let labels = |material, of_file| SigningKey {
            material,
            algorithm: text("algorithm"),
            key_id: text("key_id").or(of_file),
        };
        if let Some(file) = options.secret("service_account") {
            let account = ServiceAccount::read(file)?;
            return Ok(Self {
                issuer: text("issuer_claim").unwrap_or(account.client_email),
                key: labels(account.private_key, account.key_id),
                endpoint: Some(account.token_uri),
                usual_subject: false,
                scope_is_claimed: true,
            });
        }
        let material = options.secret("private_key").ok_or("there is no private_key to sign with")?;
        Ok(Self {
            issuer: text("issuer_claim").unwrap_or_else(|| terms.client_id.clone()),
            key: labels(material.clone(), None),
            endpoint: None,
            usual_subject: true,
            scope_is_claimed: false,
        })
    }
}
