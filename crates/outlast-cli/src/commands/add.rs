//! `outlast add NAME`: writes a grant into the configuration.

use super::Done;
use crate::context::grant_id;
use crate::env;
use crate::exit::Fault;
use crate::{output, process};
use outlast::{
    Code, GrantId, GrantType, Recovery, Secret, client_document, discover_resource, dpop, grant_type, metadata,
    provider,
};
use outlast_daemon::config::{Config, ConfigError, NewGrant, SecretSource};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of a configuration that is made here.
const FILE_MODE: u32 = 0o600;

/// What `add` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast add crm --issuer https://login.example.com --client-id agent \\
      --client-secret-env CRM_SECRET --upstream https://api.example.com
  outlast add ci --token-endpoint https://login.example.com/token --grant-type client_credentials \\
      --client-id ci --client-secret-file ci.secret --scope api
  outlast add notion --resource https://mcp.example.com/mcp    everything else is found
  outlast add okta --provider okta --parameter domain=example.okta.com --client-id agent
  outlast add gcp --service-account robot.json --scope https://www.googleapis.com/auth/cloud-platform
On a terminal, what is left out is asked for. A secret itself is never an argument.")]
pub(crate) struct Arguments {
    /// A name for the grant
    name: String,
    /// A provider whose addresses are known, such as github or google
    #[arg(long, conflicts_with_all = ["issuer", "token_endpoint"])]
    provider: Option<String>,
    /// What fills the provider's addresses in, such as domain=example.okta.com; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parameter, requires = "provider")]
    parameter: Vec<(String, String)>,
    /// The authorization server's issuer; its endpoints are discovered
    #[arg(long, value_name = "URL", conflicts_with = "token_endpoint")]
    issuer: Option<String>,
    /// The address of the token endpoint, for servers without discovery
    #[arg(long, value_name = "URL")]
    token_endpoint: Option<String>,
    /// The client's identifier there
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The https address of a document about the client, for servers that take one in place of an id
    #[arg(long, value_name = "URL",
          conflicts_with_all = ["client_id", "client_secret_env", "client_secret_file", "private_key_file"])]
    client_document: Option<String>,
    /// Environment variable that holds the client's secret
    #[arg(long, value_name = "VARIABLE", conflicts_with = "client_secret_file")]
    client_secret_env: Option<String>,
    /// File that holds the client's secret and that only its owner may read
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// File that holds the private key that signs for the client, in PEM or as a JWK
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_secret_env", "client_secret_file"])]
    private_key_file: Option<PathBuf>,
    /// The private key's name at the server
    #[arg(long, value_name = "ID", requires = "private_key_file")]
    key_id: Option<String>,
    /// A Google service account's key file, in place of everything about a client
    #[arg(long, value_name = "FILE", conflicts_with_all = ["private_key_file", "client_secret_env", "client_secret_file"])]
    service_account: Option<PathBuf>,
    /// How tokens are obtained, such as refresh_token or client_credentials
    #[arg(long, value_name = "TYPE")]
    grant_type: Option<String>,
    /// A scope to ask for; may be repeated
    #[arg(long)]
    scope: Vec<String>,
    /// The resource the tokens are for (RFC 8707); where no server is named, it is asked for its own
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// The one origin that ever receives this token
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Print what was added as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks everything before anything is written.
pub(crate) fn run(arguments: Arguments) -> Done {
    let path = env::places()?.config;
    let (name, existing) = (grant_id(&arguments.name)?, read_existing(&path)?);
    if Config::parse(&existing, &path)?.entries().iter().any(|entry| entry.id == name) {
        let text = format!("grant {name} is in {} already; nothing was changed", path.display());
        return Err(Fault::new(Code::ConfigurationInvalid, text).mend("choose another name, or edit that file"));
    }
    let as_json = arguments.json;
    let mut grant = described(arguments);
    let named = [&grant.provider, &grant.issuer, &grant.token_endpoint].into_iter().any(Option::is_some);
    if let Some(resource) = grant.resource.clone().filter(|_| !named) {
        process::block_on(find(&resource, &mut grant))?;
    } else if output::can_ask() && !as_json {
        ask_for_the_rest(&mut grant);
    }
    // Once without the network: what is wrong on its face needs no server to say so.
    Config::add_grant_text(&existing, name.as_str(), &grant, &path)?;
    if let Some(issuer) = grant.issuer.clone() {
        process::block_on(verify(&issuer, &mut grant))?;
    }
    let text = Config::add_grant_text(&existing, name.as_str(), &grant, &path)?;
    let config = Config::parse(&text, &path)?;
    if grant.private_key.is_some() || grant.service_account.is_some() {
        // A file that is none of these is told now, and not when the first token is wanted.
        config.resolve_one(name.as_str(), &env::text)?;
    }
    replace(&path, &text)?;
    let entry = config.entries().iter().find(|entry| entry.id == name);
    let row = entry.and_then(|entry| grant_type::find(&entry.grant_type));
    let next = next_step(&name, row);
    if as_json {
        let told = json!({
            "grant": name.as_str(), "configuration": path.display().to_string(), "next": next,
            "issuer": grant.issuer, "resource": grant.resource, "scope": grant.scope, "upstream": grant.upstream,
        });
        output::json(&told)?;
    } else {
        output::data(&format!("added grant {name} to {}; next: {next}", path.display()))?;
    }
    Ok(0)
}

/// Writes a grant that a person is about to sign in to, from at most three answers: the provider or
/// issuer, the client's identifier, and its secret, which goes into a file of its own beside the
/// configuration. A provider whose addresses differ by customer needs those parts besides.
pub(crate) fn in_three_answers(name: &GrantId) -> Result<(), Fault> {
    let path = env::places()?.config;
    let existing = read_existing(&path)?;
    output::talk(&format!("grant {name} is not configured yet"));
    let ask = |question| output::ask(question).filter(|answer| !answer.is_empty());
    let mut grant = NewGrant::default();
    let server = ask("Name of a known provider, or issuer (https://…)");
    let is_address = server.as_ref().is_some_and(|server| server.contains("://"));
    *(if is_address { &mut grant.issuer } else { &mut grant.provider }) = server;
    ask_for_parameters(&mut grant);
    grant.client_id = ask("Client id");
    let secret = output::ask_secret("Client secret (not shown; empty for a public client)");
    // What is wrong with the answers is told before a secret is written anywhere.
    Config::add_grant_text(&existing, name.as_str(), &grant, &path)?;
    if let Some(secret) = secret {
        let file = path.with_file_name(format!("{name}.secret"));
        write_secret(&file, &secret)?;
        grant.client_secret = Some(SecretSource::File(file));
    }
    if let Some(issuer) = grant.issuer.clone() {
        process::block_on(verify(&issuer, &mut grant))?;
    }
    let text = Config::add_grant_text(&existing, name.as_str(), &grant, &path)?;
    replace(&path, &text)?;
    output::talk(&format!("added grant {name} to {}", path.display()));
    Ok(())
}

/// A file that only its owner may read, and that was not there before.
fn write_secret(file: &Path, secret: &Secret) -> Result<(), Fault> {
    let failed = |cause: std::io::Error| {
        Fault::new(Code::StoreUnwritable, format!("{} cannot be written: {cause}; nothing was changed", file.display()))
            .mend("remove it if it is a left-over, or add the grant by hand with: outlast add")
    };
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(FILE_MODE).open(file).map_err(failed)?;
    file.write_all(secret.expose().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn next_step(name: &GrantId, row: Option<&dyn GrantType>) -> String {
    let Some(strategy) = row.map(GrantType::strategy) else { return format!("outlast status {name}") };
    match (strategy.recovery, strategy.grant_type) {
        (Recovery::User, "refresh_token") => format!("outlast import {name} < token-response.json"),
        (Recovery::User, _) => format!("outlast login {name}"),
        (Recovery::Operator | Recovery::Owner, _) => format!("outlast token {name}"),
    }
}

/// Asks the resource where its tokens come from (RFC 9728), and fills in what it and its server say.
async fn find(resource: &str, grant: &mut NewGrant) -> Result<(), Fault> {
    let found = discover_resource(resource, None).await;
    let found = found.map_err(|error| Fault::new(error.code(), format!("{error}; nothing was written")))?;
    output::talk(&format!("found the authorization server: {}", found.server.issuer));
    if let [_, others @ ..] = found.metadata.authorization_servers.as_slice()
        && !others.is_empty()
    {
        output::talk(&format!("note: the resource names others too; choose with --issuer: {}", others.join(", ")));
    }
    have_client(&found.server, grant)?;
    if found.metadata.dpop_bound_access_tokens_required
        && let Some(why) = dpop::refusal(&provider::generic::from_metadata(&found.server))
    {
        let text = format!("the resource takes bound tokens alone, and {why}; nothing was written");
        return Err(Fault::new(Code::ClientMisconfigured, text));
    }
    if grant.scope.is_empty() {
        grant.scope = found.scope();
    }
    let origin = url::Url::parse(&found.metadata.resource).ok().map(|url| url.origin().ascii_serialization());
    grant.upstream = grant.upstream.take().or(origin);
    grant.dpop = found.metadata.dpop_bound_access_tokens_required;
    grant.issuer = Some(found.server.issuer);
    grant.resource = Some(found.metadata.resource);
    grant.mcp = true;
    grant.reach = Some(found.reach);
    Ok(())
}

/// Says which client will sign in, and refuses a grant that could have none.
fn have_client(server: &metadata::Metadata, grant: &NewGrant) -> Result<(), Fault> {
    let issuer = &server.issuer;
    let takes_documents = server.client_id_metadata_document_supported;
    match (&grant.client_id, &grant.client_document, &server.registration_endpoint) {
        (Some(id), _, _) if !takes_documents && client_document::check(id).is_ok() => {
            output::talk(&format!(
                "note: {issuer} does not say that it takes the address of a document as a client id; the login works \
                 if the client was registered there under that id"
            ));
        }
        (Some(_), _, _) => {}
        (None, Some(_), _) if takes_documents => output::talk("the client is the one that the document describes"),
        (None, document, Some(_)) => {
            if document.is_some() {
                output::talk(&format!("note: {issuer} does not take documents about clients"));
            }
            output::talk("a client will be registered at the login");
        }
        (None, document, None) => {
            let (documents, mend) = match (takes_documents, document) {
                (true, _) => ("", "publish a document about the client and add --client-document URL (docs/mcp.md)"),
                (false, Some(_)) => (
                    " and takes no document about one",
                    "register a client there by hand, then give --client-id ID in place of --client-document",
                ),
                (false, None) => ("", "register a client there by hand, then add --client-id ID"),
            };
            let text =
                format!("{issuer} registers no clients{documents}, and no client id was given; nothing was written");
            return Err(Fault::new(Code::RegistrationRefused, text).mend(mend));
        }
    }
    Ok(())
}

/// `KEY=VALUE`; the provider says which keys there are.
fn parameter(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = split.ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Asks for the parts of a known provider's addresses that differ by customer and were not given.
fn ask_for_parameters(grant: &mut NewGrant) {
    let Some(preset) = grant.provider.as_deref().and_then(provider::find_template) else { return };
    for parameter in preset.parameters {
        let given = grant.parameters.iter().any(|(name, _)| name == parameter.name);
        if !given && let Some(answer) = output::ask(parameter.meaning).filter(|answer| !answer.is_empty()) {
            grant.parameters.push((parameter.name.to_owned(), answer));
        }
    }
}

fn described(arguments: Arguments) -> NewGrant {
    let file = |file: PathBuf| SecretSource::File(std::path::absolute(&file).unwrap_or(file));
    let client_secret =
        arguments.client_secret_env.map(SecretSource::Environment).or(arguments.client_secret_file.map(file));
    NewGrant {
        provider: arguments.provider,
        parameters: arguments.parameter,
        issuer: arguments.issuer,
        token_endpoint: arguments.token_endpoint,
        grant_type: arguments.grant_type,
        client_id: arguments.client_id,
        client_document: arguments.client_document,
        client_secret,
        client_auth: None,
        private_key: arguments.private_key_file.map(file),
        key_id: arguments.key_id,
        service_account: arguments.service_account.map(file),
        scope: arguments.scope,
        resource: arguments.resource,
        dpop: false,
        mcp: false,
        reach: None,
        upstream: arguments.upstream,
    }
}

fn ask_for_the_rest(grant: &mut NewGrant) {
    let ask = |question| output::ask(question).filter(|answer| !answer.is_empty());
    // A service account's file names its server and who signs.
    let of_account = grant.service_account.is_some();
    if !of_account && grant.provider.is_none() && grant.issuer.is_none() && grant.token_endpoint.is_none() {
        let answer = ask("Issuer of the authorization server (https://…), or the name of a known provider");
        let is_address = answer.as_ref().is_some_and(|answer| answer.contains("://"));
        *(if is_address { &mut grant.issuer } else { &mut grant.provider }) = answer;
    }
    ask_for_parameters(grant);
    if !of_account && grant.client_id.is_none() && grant.client_document.is_none() {
        grant.client_id = ask("Client id");
    }
    if !of_account && grant.private_key.is_none() && grant.client_secret.is_none() {
        let variable = ask("Environment variable that holds the client secret (empty for a public client)");
        grant.client_secret = variable.map(SecretSource::Environment);
    }
    if grant.upstream.is_none() {
        grant.upstream = ask("Origin of the API that receives the token (https://…, empty if there is none)");
    }
}

/// Discovers the issuer, and adopts how it wants clients to authenticate where that is not usual.
async fn verify(issuer: &str, grant: &mut NewGrant) -> Result<(), Fault> {
    let found = metadata::discover(issuer, grant.reach.unwrap_or_default()).await;
    let found = found.map_err(|error| Fault::new(error.code(), format!("{error}; nothing was written")))?;
    let takes = |method: &str| found.token_endpoint_auth_methods_supported.iter().any(|taken| taken == method);
    if grant.client_secret.is_some() && !takes("client_secret_basic") && takes("client_secret_post") {
        grant.client_auth = Some("client_secret_post".to_owned());
    }
    if let (Some(wanted), Some(offered)) = (&grant.grant_type, &found.grant_types_supported)
        && !offered.contains(wanted)
    {
        output::talk(&format!("note: {issuer} does not say that it supports {wanted}; it says {}", offered.join(", ")));
    }
    output::talk(&format!("found the token endpoint: {}", found.token_endpoint));
    Ok(())
}

fn read_existing(path: &Path) -> Result<String, Fault> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(Fault::from(ConfigError {
            code: Code::ConfigurationInvalid,
            path: path.to_owned(),
            place: None,
            detail: format!("cannot be read: {cause}"),
            mend: "make it readable, or name another file with OUTLAST_CONFIG".to_owned(),
        })),
    }
}

/// Puts the text in place of the file, whole or not at all. A link keeps pointing where it does.
fn replace(path: &Path, text: &str) -> Result<(), Fault> {
    let failed = |cause: std::io::Error| {
        Fault::new(Code::StoreUnwritable, format!("{} cannot be written: {cause}; nothing was changed", path.display()))
            .mend("make its folder writable, or name another file with OUTLAST_CONFIG")
    };
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().unwrap_or(Path::new("."));
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mode = std::fs::metadata(&target).map_or(FILE_MODE, |held| held.permissions().mode() & 0o777);
    let unfinished = target.with_extension(format!("toml.{}", std::process::id()));
    let written =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            #[expect(clippy::disallowed_methods, reason = "the file is whole, private and synced by now")]
            std::fs::rename(&unfinished, &target)
        });
    if written.is_err() {
        // The failure is what has to be told; what is left over holds no secret.
        let _ = std::fs::remove_file(&unfinished);
    }
    written.map_err(failed)
}
