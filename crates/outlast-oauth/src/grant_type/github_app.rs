//! A GitHub App acting as an installation: the app signs for itself, and exchanges that for a token of
//! an hour. Minted anew each time, nothing spent.

use crate::{address, assertion};
use http::header::DATE;
use outlast_core::classify::read_http_date;
use outlast_core::options::{GrantOption, OptionKind, Options};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::wire::{Assertion, AssertionPlace, Content, SigningKey, TokenRequest};
use outlast_core::{GrantType, Reply, Secret, Terms, Timestamp, TokenResponse};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The row `github_app`.
pub(super) struct GithubApp;

static STRATEGY: Strategy = Strategy {
    grant_type: "github_app",
    rfc: "GitHub REST API: create an installation access token for an app",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

/// Where GitHub's API is, unless it is an Enterprise server's.
const USUAL_API: &str = "https://api.github.com";
/// GitHub takes no app JWT that ends later than ten minutes from now, by its own clock.
const LIFE: Duration = Duration::from_secs(9 * 60);
/// How far GitHub's documents advise to date it back.
const BACKDATED: Duration = Duration::from_secs(60);
/// The documented life of an installation's token.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

const OPTIONS: &[GrantOption] = &[
    GrantOption::optional(
        "api",
        OptionKind::Text,
        "where the API is, for GitHub Enterprise, such as https://github.example.com/api/v3",
    ),
    GrantOption { name: "app_id", kind: OptionKind::Text, required: false, meaning: "the app's id, if not client_id" },
    GrantOption::required(
        "installation_id",
        OptionKind::Text,
        "the number of the installation, the last part of its address in the settings",
    ),
    GrantOption::optional(
        "permissions",
        OptionKind::Table,
        "fewer permissions than the app has, such as { contents = \"read\" }",
    ),
    GrantOption { name: "private_key", kind: OptionKind::Secret, required: true, meaning: "the app's private key" },
    GrantOption::optional(
        "repositories",
        OptionKind::List,
        "fewer repositories than the installation has, by their names without the owner",
    ),
];

impl GrantType for GithubApp {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn has_server(&self) -> bool {
        false
    }

    fn check(&self, terms: &Terms) -> Result<(), String> {
        if issuer(terms).is_empty() {
            return Err("does not say which app signs: set client_id to the app's client id, or app_id".to_owned());
        }
        let installation = terms.options.text("installation_id").unwrap_or_default();
        if installation.is_empty() || !installation.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(
                "has an installation_id that is no number: copy it from the address of the installation".to_owned()
            );
        }
        address::check(api(&terms.options)).map(drop).map_err(|error| format!("has an `api` that is not used: {error}"))
    }

    fn check_secrets(&self, terms: &Terms) -> Result<(), String> {
        let key = key(&terms.options).map_err(|why| why.to_owned())?;
        assertion::check(&key).map_err(|error| error.to_string())
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let options = &renewing.terms.options;
        let missing = Unrenewable::Misconfigured("there is no installation_id: set it to the installation's number");
        let installation = options.text("installation_id").ok_or(missing)?;
        let base = api(options).trim_end_matches('/');
        let endpoint = format!("{base}/app/installations/{installation}/access_tokens");
        let mut request = TokenRequest::form(&endpoint, Vec::new());
        request.content = Content::Json(Secret::new(narrowed(options).to_string()));
        request.fields.push(("x-github-api-version", "2022-11-28".to_owned()));
        request.assertions.push(Assertion {
            place: AssertionPlace::Bearer,
            claims: Map::from_iter([("iss".to_owned(), issuer(renewing.terms).into())]),
            life: LIFE,
            backdated: BACKDATED,
            key: key(options).map_err(Unrenewable::Misconfigured)?,
        });
        Ok(Redemption::Post(request))
    }

    fn read(&self, reply: &Reply, _terms: &Terms) -> Option<TokenResponse> {
        let body: Map<String, Value> = serde_json::from_slice(&reply.body).ok()?;
        let token = body.get("token").and_then(Value::as_str).filter(|token| is_visible(token))?;
        let expires_at = body.get("expires_at").and_then(Value::as_str).and_then(read_rfc3339);
        // By the server's own clock, whatever ours says (F18).
        let date = reply.headers.get(DATE).and_then(|date| read_http_date(date.as_bytes()));
        let life = match (date, expires_at) {
            (Some(date), Some(expires_at)) => date.until(expires_at),
            (None, _) | (_, None) => TOKEN_LIFE,
        };
        let expires_in = Some(life.min(TOKEN_LIFE)).filter(|life| !life.is_zero());
        Some(TokenResponse { expires_in, ..TokenResponse::bearer(token) })
    }
}

fn issuer(terms: &Terms) -> &str {
    terms.options.text("app_id").unwrap_or(&terms.client_id)
}

fn api(options: &Options) -> &str {
    options.text("api").unwrap_or(USUAL_API)
}

fn key(options: &Options) -> Result<SigningKey, &'static str> {
    let material = options.secret("private_key").ok_or("there is no private_key to sign with")?.clone();
    Ok(SigningKey { material, algorithm: Some("RS256".to_owned()), key_id: None })
}

/// What the token is narrowed to; nothing of it is secret.
fn narrowed(options: &Options) -> Value {
    let mut body = Map::new();
    if !options.list("repositories").is_empty() {
        body.insert("repositories".to_owned(), json!(options.list("repositories")));
    }
    if let Some(permissions) = options.table("permissions").filter(|permissions| !permissions.is_empty()) {
        body.insert("permissions".to_owned(), json!(permissions));
    }
    Value::Object(body)
}

/// RFC 6749 A.12: anything else would corrupt a header field (F64).
fn is_visible(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn read_rfc3339(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}
