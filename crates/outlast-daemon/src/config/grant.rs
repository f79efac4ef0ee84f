//! Reads one `[grant.NAME]` table.

use super::ConfigError;
use super::address;
use super::client::{self, ClientEntry};
use super::document::{Located, Table, shown};
use super::habit;
use super::login;
use super::nearest::nearest;
use super::option;
use super::preset;
use super::reach;
use super::secret_source::SecretSource;
use http::Uri;
use option::Told;
use outlast::provider::{Addresses, Preset};
use outlast::{
    ClientAuth, ClientAuthMethod, GrantId, GrantSettings, GrantType, LoginSettings, Options, Presentation, Provider,
    Reach, Secret, Server, grant_type,
};
use std::time::Duration;

/// The grant type that is meant where neither the configuration nor a preset says.
const USUAL_OF_ISSUER: &str = "authorization_code";
const USUAL_OF_ENDPOINT: &str = "refresh_token";

const KEYS: &[&str] = &[
    "client_id",
    "grant_type",
    "issuer",
    "parameters",
    "provider",
    "reach",
    "resource",
    "scope",
    "token_endpoint",
    "upstream",
];

const ALL_KEYS: &[&[&str]] = &[KEYS, client::KEYS, habit::KEYS, login::KEYS];

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
    pub client: ClientEntry,
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
    /// Whether tokens are bound to a key of the grant's own (RFC 9449).
    pub dpop: bool,
    /// How long the grant lives unrenewed, where its provider documents that and no absolute life.
    pub idle_life: Option<Duration>,
    /// How long a replaced refresh token still serves whoever lost the answer, where that is known: as
    /// configured, else as the provider documents it.
    pub grace: Option<Duration>,
    /// The life of an access token where the server does not tell.
    pub token_life: Option<Duration>,
    /// What a login needs to know.
    pub login: LoginSettings,
    /// How requests carry the token.
    pub presentation: Presentation,
    /// What is wrong with the preset of the user's own that it names: it cannot be used, and others can.
    pub fault: Option<ConfigError>,
    /// Where in the file a secret stands as plain text.
    pub(crate) plain_secret: Option<std::ops::Range<usize>>,
}

impl GrantEntry {
    /// The settings without anything secret, for looking at a grant that cannot be used now.
    pub fn without_secrets(&self) -> GrantSettings {
        self.settings(ClientAuth::None, Options::default())
    }

    /// Every secret that is named for it.
    pub fn secret_sources(&self) -> impl Iterator<Item = &SecretSource> {
        let of_options = self.options.iter().filter_map(|(_, told)| match told {
            Told::Secret(source, _) => Some(source),
            Told::Value(_) => None,
        });
        self.client.sources().chain(of_options)
    }

    /// The settings, with the secrets that were fetched for them.
    pub(crate) fn settings(&self, client_auth: ClientAuth, options: Options) -> GrantSettings {
        GrantSettings {
            client_id: self.client_id.clone(),
            client_auth,
            scope: self.scope.clone(),
            resource: self.resource.clone(),
            upstream: self.upstream.clone(),
            quirks: self.quirks.clone(),
            options,
            renew_within: self.renew_within,
            idle_life: self.idle_life,
            grace: self.grace,
            dpop: self.dpop,
            token_life: self.token_life,
            presentation: self.presentation.clone(),
            login: self.login.clone(),
            ..GrantSettings::new(self.id.clone(), self.grant_type.clone(), self.server.clone())
        }
    }
}

/// Reads the table of the grant `name`, which stands at `span`.
pub(crate) fn read(table: Table<'_>, name: &str, span: std::ops::Range<usize>) -> Result<GrantEntry, ConfigError> {
    let document = table.document;
    let id = GrantId::parse(name)
        .map_err(|why| document.error(&span, why, "use letters, digits, '-', '_' and '.', such as [grant.crm]"))?;
    let named = grant_type_named(table)?.or_else(|| option::implied(table, ALL_KEYS));
    // Before the server is looked for: a key written wrong is why it is not found.
    table.expect_only(&option::keys(ALL_KEYS, named))?;
    let found = server(table, &span, named)?;
    let row = match named {
        Some(row) => row,
        None => usual(table, found.usual_grant_type)?,
    };
    table.expect_only(&option::keys(ALL_KEYS, Some(row)))?;
    let client = client::read(table, row, found.with_secret)?;
    let client_id = table.text("client_id")?.map(|id| id.value);
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
        plain_secret: client.plain.clone().or(plain_option),
        client,
        scope: table.words("scope")?,
        resource: resource.map(|resource| resource.value),
        upstream: upstream.map(|upstream| address::upstream(document, &upstream)).transpose()?,
        quirks: found.quirks,
        options,
        renew_within: habit.renew_within,
        idle_life: found.idle_life,
        grace: habit.grace.or(found.grace),
        dpop: habit.dpop,
        token_life: habit.token_life,
        presentation: habit.presentation,
        login: login::read(table, row)?,
        fault: found.fault,
    };
    if entry.fault.is_some() {
        return Ok(entry);
    }
    check(&entry, row).map_err(|(why, mend)| document.error(&span, format!("{} {why}", table.name), mend))?;
    Ok(entry)
}

/// What the grant type itself has against the entry. Its secrets are not fetched for that: something
/// stands in for each.
fn check(entry: &GrantEntry, row: &dyn GrantType) -> Result<(), (String, String)> {
    let stand_in = |_: &SecretSource, _: &'static str| Ok::<_, ConfigError>(Secret::new("configured"));
    let client_auth = entry.client.authentication(&stand_in).unwrap_or(ClientAuth::None);
    let settings = entry.settings(client_auth, option::resolve(&entry.options, &stand_in).unwrap_or_default());
    row.check(&settings.terms()).map_err(|why| match why.split_once(": ") {
        Some((why, mend)) => (why.to_owned(), mend.to_owned()),
        None => (why, format!("see docs/grant-types.md for {}", row.strategy().grant_type)),
    })
}

struct Found {
    server: Server,
    usual_grant_type: &'static str,
    with_secret: ClientAuthMethod,
    quirks: String,
    upstream: Option<Located<String>>,
    renew_within: Option<Duration>,
    idle_life: Option<Duration>,
    grace: Option<Duration>,
    fault: Option<ConfigError>,
}

impl Found {
    /// A server of which nothing is known but its address.
    fn unknown(server: Server, usual_grant_type: &'static str) -> Self {
        Self {
            server,
            usual_grant_type,
            with_secret: ClientAuthMethod::Basic,
            quirks: String::new(),
            upstream: None,
            renew_within: None,
            idle_life: None,
            grace: None,
            fault: None,
        }
    }
}

fn server(table: Table<'_>, span: &std::ops::Range<usize>, row: Option<Row>) -> Result<Found, ConfigError> {
    let document = table.document;
    let named = (table.text("provider")?, table.text("issuer")?, table.text("token_endpoint")?);
    if named.0.is_none() {
        preset::refuse_parameters(table)?;
    }
    let reach = reach::read(table)?;
    match named {
        (Some(name), None, None) => {
            match preset::with(table, &name, |preset, addresses| found(preset, addresses, &name)) {
                // In a file of its own: what is wrong there is told when this grant is wanted.
                Err(error) if error.path != document.path => {
                    Ok(Found { fault: Some(error), ..Found::unknown(Server::None, USUAL_OF_ISSUER) })
                }
                read => read,
            }
        }
        (None, Some(issuer), None) => {
            address::secure(document, "issuer", &issuer)?;
            let issuer = issuer.value;
            let server = match reach {
                Reach::Anywhere => Server::Issuer(issuer),
                Reach::Loopback | Reach::Private | Reach::Public => Server::Found { issuer, reach },
            };
            Ok(Found::unknown(server, USUAL_OF_ISSUER))
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
        (None, None, None) if row.is_some_and(|row| !row.needs_server()) => {
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

fn found(preset: &Preset<'_>, addresses: Addresses, name: &Located<String>) -> Found {
    // Where several are documented, which one is meant is not ours to guess.
    let upstream = match <[String; 1]>::try_from(addresses.upstreams) {
        Ok([only]) => Some(Located { value: only, span: name.span.clone() }),
        Err(_) => None,
    };
    let usual = grant_type::find(preset.usual_grant_type);
    Found {
        server: Server::from(addresses.provider),
        usual_grant_type: usual.map_or(USUAL_OF_ISSUER, |row| row.strategy().grant_type),
        with_secret: match preset.client_auth {
            ClientAuthMethod::Post => ClientAuthMethod::Post,
            ClientAuthMethod::Basic
            | ClientAuthMethod::None
            | ClientAuthMethod::PrivateKeyJwt
            | ClientAuthMethod::SelfSignedTls
            | ClientAuthMethod::Tls => ClientAuthMethod::Basic,
        },
        quirks: preset.name.to_owned(),
        upstream,
        renew_within: preset.keep_alive_after(),
        // With an absolute life besides, the end hangs on the login, which is not on record.
        idle_life: preset.idle_life.filter(|_| preset.absolute_life.is_none()),
        grace: preset.grace,
        fault: None,
    }
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
