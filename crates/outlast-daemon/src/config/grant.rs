//! Reads one `[grant.NAME]` table.

use super::ConfigError;
use super::address;
use super::document::{Located, Table, shown};
use super::habit;
use super::nearest::nearest;
use super::option;
use super::preset;
use super::secret_source::SecretSource;
use http::Uri;
use option::Told;
use outlast::{
    ClientAuth, Code, GrantId, GrantSettings, GrantType, Options, Presentation, Provider, Secret, Server, grant_type,
};
use std::time::Duration;

/// The grant type that is meant where neither the configuration nor a preset says.
const USUAL_OF_ISSUER: &str = "authorization_code";
const USUAL_OF_ENDPOINT: &str = "refresh_token";

const KEYS: &[&str] = &[
    "client_auth",
    "client_id",
    "client_secret",
    "grant_type",
    "issuer",
    "parameters",
    "provider",
    "resource",
    "scope",
    "token_endpoint",
    "upstream",
];

/// How a client authenticates, without the secret it takes (OpenID Connect Core 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMethod {
    /// `client_secret_basic`.
    Basic,
    /// `none`.
    None,
    /// `client_secret_post`.
    Post,
}

impl ClientMethod {
    const NAMES: &[&str] = &["client_secret_basic", "client_secret_post", "none"];

    fn parse(name: &str) -> Option<Self> {
        match name {
            "client_secret_basic" => Some(Self::Basic),
            "client_secret_post" => Some(Self::Post),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// What the configuration says of a grant; its secret is named and not yet read.
#[derive(Clone, Debug)]
pub struct GrantEntry {
    /// The grant's name.
    pub id: GrantId,
    /// RFC name of the grant type.
    pub grant_type: String,
    /// The authorization server.
    pub server: Server,
    /// The client's identifier there; empty where there is none.
    pub client_id: String,
    /// How the client authenticates.
    pub client_method: ClientMethod,
    /// Where the client's secret comes from.
    pub client_secret: Option<SecretSource>,
    /// The scope asked for.
    pub scope: Vec<String>,
    /// RFC 8707 resource indicator.
    pub resource: Option<String>,
    /// The one origin, with an optional path prefix, that receives the token: the configured one, else the
    /// provider's if it documents exactly one.
    pub upstream: Option<Uri>,
    /// The provider whose documented error codes are consulted first; empty for none.
    pub quirks: String,
    /// What the grant type is told besides; its secrets are named and not yet read.
    pub options: Vec<(&'static str, Told)>,
    /// Longest time between two renewals: the configured one, else what the provider documents for
    /// a grant to live on.
    pub renew_within: Option<Duration>,
    /// The life of an access token where the server does not tell.
    pub token_life: Option<Duration>,
    /// How requests carry the token.
    pub presentation: Presentation,
    /// Where in the file a secret stands as plain text.
    pub(crate) plain_secret: Option<std::ops::Range<usize>>,
}

impl GrantEntry {
    /// The settings without anything secret, for looking at a grant that cannot be used now.
    pub fn without_secrets(&self) -> GrantSettings {
        self.settings(None, Options::default())
    }

    /// The settings, with the secrets that were fetched for them.
    pub(crate) fn settings(&self, secret: Option<Secret>, options: Options) -> GrantSettings {
        let client_auth = match (self.client_method, secret) {
            (ClientMethod::Basic, Some(secret)) => ClientAuth::Basic(secret),
            (ClientMethod::Post, Some(secret)) => ClientAuth::Post(secret),
            (ClientMethod::None, _) | (_, None) => ClientAuth::None,
        };
        GrantSettings {
            client_id: self.client_id.clone(),
            client_auth,
            scope: self.scope.clone(),
            resource: self.resource.clone(),
            upstream: self.upstream.clone(),
            quirks: self.quirks.clone(),
            options,
            renew_within: self.renew_within,
            token_life: self.token_life,
            presentation: self.presentation.clone(),
            ..GrantSettings::new(self.id.clone(), self.grant_type.clone(), self.server.clone())
        }
    }
}

/// Reads the table of the grant `name`, which stands at `span`.
pub(crate) fn read(table: Table<'_>, name: &str, span: std::ops::Range<usize>) -> Result<GrantEntry, ConfigError> {
    let document = table.document;
    let id = GrantId::parse(name)
        .map_err(|why| document.error(&span, why, "use letters, digits, '-', '_' and '.', such as [grant.crm]"))?;
    let named = grant_type_named(table)?;
    // Before the server is looked for: a key written wrong is why it is not found.
    table.expect_only(&option::keys(&[KEYS, habit::KEYS], named))?;
    let found = server(table, &span, named)?;
    let row = match named {
        Some(row) => row,
        None => usual(table, found.usual_grant_type)?,
    };
    table.expect_only(&option::keys(&[KEYS, habit::KEYS], Some(row)))?;
    let secret = SecretSource::read(table, "client_secret")?;
    let client_id = table.text("client_id")?.map(|id| id.value);
    let client_method = method(table, secret.is_some(), found.with_secret)?;
    let resource = table.text("resource")?;
    resource.iter().try_for_each(|resource| address::resource(document, resource))?;
    let upstream = table.text("upstream")?.or(found.upstream);
    let options = option::read(table, row, &span)?;
    let habit = habit::read(table, row, found.renew_within)?;
    let plain_option = options.iter().find_map(|(_, told)| told.plain_span());
    let entry = GrantEntry {
        id,
        grant_type: row.strategy().grant_type.to_owned(),
        server: found.server,
        client_id: client_id.unwrap_or_default(),
        client_method,
        plain_secret: secret.as_ref().and_then(plain_span).or(plain_option),
        client_secret: secret.map(|secret| secret.value),
        scope: table.words("scope")?,
        resource: resource.map(|resource| resource.value),
        upstream: upstream.map(|upstream| address::upstream(document, &upstream)).transpose()?,
        quirks: found.quirks,
        options,
        renew_within: habit.renew_within,
        token_life: habit.token_life,
        presentation: habit.presentation,
    };
    check(&entry, row).map_err(|(why, mend)| document.error(&span, format!("{} {why}", table.name), mend))?;
    Ok(entry)
}

/// What the grant type itself has against the entry. Its secrets are not fetched for that: something
/// stands in for each.
fn check(entry: &GrantEntry, row: &dyn GrantType) -> Result<(), (String, String)> {
    let stand_in = || Secret::new("configured");
    let options = option::resolve(&entry.options, &|_, _| Ok::<_, ConfigError>(stand_in()));
    let settings = entry.settings(entry.client_secret.as_ref().map(|_| stand_in()), options.unwrap_or_default());
    row.check(&settings.terms()).map_err(|why| match why.split_once(": ") {
        Some((why, mend)) => (why.to_owned(), mend.to_owned()),
        None => (why, format!("see docs/grant-types.md for {}", row.strategy().grant_type)),
    })
}

fn plain_span(secret: &Located<SecretSource>) -> Option<std::ops::Range<usize>> {
    match secret.value {
        SecretSource::Plain(_) => Some(secret.span.clone()),
        SecretSource::Command(_)
        | SecretSource::Environment(_)
        | SecretSource::File(_)
        | SecretSource::Keyring { .. } => None,
    }
}

struct Found {
    server: Server,
    usual_grant_type: &'static str,
    with_secret: ClientMethod,
    quirks: String,
    upstream: Option<Located<String>>,
    renew_within: Option<Duration>,
}

impl Found {
    /// A server of which nothing is known but its address.
    fn unknown(server: Server, usual_grant_type: &'static str) -> Self {
        Self {
            server,
            usual_grant_type,
            with_secret: ClientMethod::Basic,
            quirks: String::new(),
            upstream: None,
            renew_within: None,
        }
    }
}

fn server(table: Table<'_>, span: &std::ops::Range<usize>, row: Option<Row>) -> Result<Found, ConfigError> {
    let document = table.document;
    let named = (table.text("provider")?, table.text("issuer")?, table.text("token_endpoint")?);
    if named.0.is_none() {
        preset::refuse_parameters(table)?;
    }
    match named {
        (Some(name), None, None) => of_preset(table, &name),
        (None, Some(issuer), None) => {
            address::secure(document, "issuer", &issuer)?;
            Ok(Found::unknown(Server::Issuer(issuer.value), USUAL_OF_ISSUER))
        }
        (None, None, Some(endpoint)) => {
            address::secure(document, "token_endpoint", &endpoint)?;
            let server = Server::from(Provider {
                name: "custom".to_owned(),
                token_endpoint: endpoint.value,
                ..Provider::default()
            });
            Ok(Found::unknown(server, USUAL_OF_ENDPOINT))
        }
        (None, None, None) if row.is_some_and(|row| !row.has_server()) => {
            Ok(Found::unknown(Server::None, USUAL_OF_ENDPOINT))
        }
        (None, None, None) => {
            let detail = format!("{} names no authorization server", table.name);
            Err(document.error(span, detail, "set one of provider, issuer, token_endpoint"))
        }
        _ => {
            let detail = format!("{} names more than one authorization server", table.name);
            Err(document.error(span, detail, "keep one of provider, issuer, token_endpoint"))
        }
    }
}

fn of_preset(table: Table<'_>, name: &Located<String>) -> Result<Found, ConfigError> {
    let (preset, addresses) = preset::read(table, name)?;
    // Where several are documented, which one is meant is not ours to guess.
    let upstream = match <[String; 1]>::try_from(addresses.upstreams) {
        Ok([only]) => Some(Located { value: only, span: name.span.clone() }),
        Err(_) => None,
    };
    Ok(Found {
        server: Server::from(addresses.provider),
        usual_grant_type: preset.usual_grant_type,
        with_secret: ClientMethod::parse(preset.client_auth.as_str()).unwrap_or(ClientMethod::Basic),
        quirks: preset.name.to_owned(),
        upstream,
        renew_within: preset.keep_alive_after(),
    })
}

type Row = &'static dyn GrantType;

fn usual(table: Table<'_>, name: &'static str) -> Result<Row, ConfigError> {
    let broken = || table.document.error(&(0..0), format!("no grant type {name}"), "report this");
    grant_type::find(name).ok_or_else(broken)
}

fn grant_type_named(table: Table<'_>) -> Result<Option<Row>, ConfigError> {
    let Some(named) = table.text("grant_type")? else { return Ok(None) };
    if let Some(row) = grant_type::find(&named.value) {
        return Ok(Some(row));
    }
    let known: Vec<&str> = grant_type::TABLE.iter().map(|row| row.strategy().grant_type).collect();
    let mend = match nearest(&named.value, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    Err(table.document.error(&named.span, format!("unknown grant type `{}`", shown(&named.value)), mend))
}

fn method(table: Table<'_>, secret: bool, usual: ClientMethod) -> Result<ClientMethod, ConfigError> {
    let Some(named) = table.text("client_auth")? else {
        return Ok(if secret { usual } else { ClientMethod::None });
    };
    let document = table.document;
    match (ClientMethod::parse(&named.value), secret) {
        (Some(ClientMethod::None), true) => Err(document.error(
            &named.span,
            "`client_auth` is none, and yet there is a client_secret",
            "remove one of the two",
        )),
        (Some(ClientMethod::Basic | ClientMethod::Post), false) => Err(document.error(
            &named.span,
            format!("`client_auth` is {} and there is no client_secret", named.value),
            "set client_secret = { env = \"NAME\" }, { file = … }, { command = […] } or { keyring = … }",
        )),
        (Some(method), _) => Ok(method),
        (None, _) => {
            let mend = match nearest(&named.value, ClientMethod::NAMES) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known are {}", ClientMethod::NAMES.join(", ")),
            };
            let detail = format!("unknown client_auth `{}`", shown(&named.value));
            Err(document.coded(Code::ConfigurationInvalid, &named.span, detail, mend))
        }
    }
}
