//! The configuration file: grants, the proxy, and where the store's key comes from.
//!
//! Reading it fetches no secret. A secret is fetched when its grant is wanted, so that one that
//! cannot be had stands in nobody else's way.

pub(crate) mod address;
mod append;
mod client;
pub(crate) mod document;
mod error;
mod grant;
mod habit;
mod key_request;
mod login;
mod nearest;
mod option;
mod own_preset;
mod preset;
mod reach;
mod secret_source;

pub use append::NewGrant;
pub use client::ClientEntry;
pub use document::parse_duration;
pub use error::ConfigError;
pub use grant::GrantEntry;
pub use nearest::nearest;
pub use option::Told;
pub use own_preset::OwnPresets;
pub use secret_source::SecretSource;

use document::{Document, Table, shown};
use outlast::assertion::KeyError;
use outlast::{Code, GrantSettings, KeySource, Secret};
use secret_source::open_to_others;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Where the proxy listens unless told otherwise.
pub const LISTEN_USUAL: &str = "127.0.0.1:7788";
/// For how long a request waits for a parked grant unless told otherwise.
pub const HOLD_USUAL: Duration = Duration::from_secs(20);
/// Longest wait for a parked grant.
pub const HOLD_MAX: Duration = Duration::from_secs(24 * 3600);

/// Looks a variable up. Only the command line reads the environment; it hands this in.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The configuration, with every secret still where it is.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    grants: Vec<GrantEntry>,
    key: Key,
    proxy: ProxySettings,
}

/// What `[proxy]` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxySettings {
    /// The loopback address to listen at.
    pub listen: SocketAddr,
    /// For how long a request waits while its grant cannot be served.
    pub hold: Duration,
}

#[derive(Clone, Debug)]
enum Key {
    File,
    Keyring,
    Passphrase { source: SecretSource, plain: Option<std::ops::Range<usize>> },
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, has a mistake, or holds a secret in plain text while others than its
    /// owner may open it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause: &std::io::Error| ConfigError {
            code: Code::ConfigurationInvalid,
            path: path.to_owned(),
            place: None,
            detail: format!("the configuration cannot be read: {}", cause.kind()),
            mend: "create it with: outlast add NAME, or name another with OUTLAST_CONFIG".to_owned(),
        };
        let file = std::fs::File::open(path).map_err(|cause| unreadable(&cause))?;
        let mode = file.metadata().map_err(|cause| unreadable(&cause))?.permissions().mode();
        let mut text = String::new();
        // One more than allowed tells a file that is too large: a part of it would be another configuration.
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|cause| unreadable(&cause))?;
        if read as u64 > FILE_BYTES_MAX {
            return Err(ConfigError {
                code: Code::ConfigurationInvalid,
                path: path.to_owned(),
                place: None,
                detail: "the configuration is larger than 1 MiB".to_owned(),
                mend: "remove what is no configuration, or name the right file with OUTLAST_CONFIG".to_owned(),
            });
        }
        let config = Self::parse(&text, path)?;
        match config.plain_secret() {
            Some(span) if open_to_others(mode) => Err(Document { text: &text, path }.error(
                &span,
                "a secret stands here in plain text, and others than the owner may open the file",
                format!("run: chmod 600 {}, or name a source such as {{ env = \"NAME\" }}", path.display()),
            )),
            _ => Ok(config),
        }
    }

    /// Reads the configuration out of `text`; `path` is for errors and relative paths.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let document = Document { text, path };
        let parsed = document.parse()?;
        let root = Table { document, name: "the configuration", entries: parsed.get_ref() };
        root.expect_only(&["grant", "key", "proxy"])?;
        Ok(Self { path: path.to_owned(), grants: grants(root)?, key: key(root)?, proxy: proxy(root)? })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is said of each grant, by name; no secret is read for it.
    pub fn entries(&self) -> &[GrantEntry] {
        &self.grants
    }

    /// What is said of the proxy.
    pub fn proxy(&self) -> ProxySettings {
        self.proxy
    }

    /// Every grant, with its secret fetched: one that cannot be had is an error in its own place.
    pub fn resolve_each(&self, environment: &Environment<'_>) -> Vec<Result<GrantSettings, ConfigError>> {
        self.grants.iter().map(|entry| self.resolve_entry(entry, environment)).collect()
    }

    /// Every grant, with its secret fetched; the first that cannot be had is the error.
    pub fn grants(&self, environment: &Environment<'_>) -> Result<Vec<GrantSettings>, ConfigError> {
        self.grants.iter().map(|entry| self.resolve_entry(entry, environment)).collect()
    }

    /// One grant, with its secret fetched; what is wrong with another does not matter.
    pub fn resolve_one(&self, name: &str, environment: &Environment<'_>) -> Result<GrantSettings, ConfigError> {
        match self.grants.iter().find(|entry| entry.id.as_str() == name) {
            Some(entry) => self.resolve_entry(entry, environment),
            None => Err(self.unknown(name)),
        }
    }

    /// Where the key that seals the store comes from.
    pub fn key_source(&self, environment: &Environment<'_>) -> Result<KeySource, ConfigError> {
        match &self.key {
            Key::File => Ok(KeySource::File),
            Key::Keyring => Ok(KeySource::Keyring),
            Key::Passphrase { source, .. } => {
                let passphrase = self.fetch(source, "the passphrase of [key]", environment)?;
                Ok(KeySource::Passphrase(passphrase))
            }
        }
    }

    fn resolve_entry(&self, entry: &GrantEntry, environment: &Environment<'_>) -> Result<GrantSettings, ConfigError> {
        if let Some(fault) = &entry.fault {
            return Err(fault.clone());
        }
        let fetch = |source: &SecretSource, key: &'static str| {
            self.fetch(source, &format!("{key} of [grant.{}]", entry.id), environment)
        };
        let client_auth = entry.client.authentication(&fetch)?;
        client::check(&client_auth).map_err(|(key, error)| self.unusable(entry, key, &error))?;
        let fetch_option = |source: &SecretSource, key: &'static str| match source {
            // As Google's own libraries have it, the variable names the file.
            SecretSource::Environment(name) if key == "service_account" => match environment(name) {
                Some(path) if !path.trim_start().starts_with('{') => fetch(&SecretSource::File(path.into()), key),
                _ => fetch(source, key),
            },
            _ => fetch(source, key),
        };
        let settings = entry.settings(client_auth, option::resolve(&entry.options, &fetch_option)?);
        self.check_secrets(entry, &settings)?;
        Ok(settings)
    }

    /// What the grant type has against its secrets, now that they are there.
    fn check_secrets(&self, entry: &GrantEntry, settings: &GrantSettings) -> Result<(), ConfigError> {
        let Some(row) = outlast::grant_type::find(&entry.grant_type) else { return Ok(()) };
        row.check_secrets(&settings.terms()).map_err(|told| {
            let (detail, mend) = told.split_once(": ").unwrap_or((&told, "give another key"));
            ConfigError {
                code: Code::ConfigurationInvalid,
                path: self.path.clone(),
                place: None,
                detail: format!("[grant.{}]: {detail}", entry.id),
                mend: mend.to_owned(),
            }
        })
    }

    /// A key that was found and cannot be used.
    fn unusable(&self, entry: &GrantEntry, key: &str, error: &KeyError) -> ConfigError {
        let told = error.to_string();
        let (detail, mend) = told.split_once(": ").unwrap_or((&told, "give another key"));
        ConfigError {
            code: Code::ConfigurationInvalid,
            path: self.path.clone(),
            place: None,
            detail: format!("{key} of [grant.{}]: {detail}", entry.id),
            mend: mend.to_owned(),
        }
    }

    fn fetch(&self, source: &SecretSource, whose: &str, environment: &Environment<'_>) -> Result<Secret, ConfigError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        source.resolve(folder, environment).map_err(|missing| ConfigError {
            code: Code::ConfigurationInvalid,
            path: self.path.clone(),
            place: None,
            detail: format!("{whose}: {}", missing.detail),
            mend: missing.mend,
        })
    }

    fn unknown(&self, name: &str) -> ConfigError {
        let known: Vec<&str> = self.grants.iter().map(|entry| entry.id.as_str()).collect();
        let mend = match nearest::nearest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "add it with: outlast add NAME".to_owned(),
            None => format!("configured are {}", known.join(", ")),
        };
        ConfigError {
            code: Code::GrantUnknown,
            path: self.path.clone(),
            place: None,
            detail: format!("no grant named `{}` is configured", shown(name)),
            mend,
        }
    }

    fn plain_secret(&self) -> Option<std::ops::Range<usize>> {
        let of_key = match &self.key {
            Key::Passphrase { plain, .. } => plain.clone(),
            Key::File | Key::Keyring => None,
        };
        self.grants.iter().find_map(|entry| entry.plain_secret.clone()).or(of_key)
    }
}

fn grants(root: Table<'_>) -> Result<Vec<GrantEntry>, ConfigError> {
    let Some(tables) = root.table("grant", "[grant]")? else { return Ok(Vec::new()) };
    let read = |(name, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<toml::de::DeValue<'_>>)| {
        let title = format!("[grant.{}]", shown(name.get_ref()));
        let Some(entries) = value.get_ref().as_table() else {
            let mend = "write [grant.NAME], then the keys of that grant";
            return Err(root.document.error(&name.span(), format!("{title} is no table"), mend));
        };
        let table = Table { document: root.document, name: &title, entries };
        grant::read(table, name.get_ref(), name.span())
    };
    tables.entries.iter().map(read).collect()
}

fn proxy(root: Table<'_>) -> Result<ProxySettings, ConfigError> {
    let usual: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7788));
    let Some(table) = root.table("proxy", "[proxy]")? else {
        return Ok(ProxySettings { listen: usual, hold: HOLD_USUAL });
    };
    table.expect_only(&["hold", "listen"])?;
    let listen = match table.text("listen")? {
        None => usual,
        Some(text) => match text.value.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => address,
            Ok(_) => {
                let detail = "`listen` in [proxy] is not a loopback address: everybody in the network could reach it";
                let mend = format!("use {LISTEN_USUAL} or [::1]:7788");
                return Err(root.document.coded(Code::InsecureAddress, &text.span, detail, mend));
            }
            Err(_) => {
                let detail = "`listen` in [proxy] is not an address and a port";
                return Err(root.document.error(&text.span, detail, format!("write it as \"{LISTEN_USUAL}\"")));
            }
        },
    };
    let hold = table.duration("hold")?.unwrap_or(HOLD_USUAL);
    if hold > HOLD_MAX {
        let span = table.get("hold").map_or(0..0, toml::Spanned::span);
        return Err(root.document.error(&span, "`hold` in [proxy] is longer than a day", "give at most \"24h\""));
    }
    Ok(ProxySettings { listen, hold })
}

fn key(root: Table<'_>) -> Result<Key, ConfigError> {
    let Some(table) = root.table("key", "[key]")? else { return Ok(Key::File) };
    table.expect_only(&["passphrase", "source"])?;
    let passphrase = SecretSource::read(table, "passphrase")?;
    let source = table.text("source")?;
    let place = source.as_ref().map_or(0..0, |source| source.span.clone());
    match (source.as_ref().map(|source| source.value.as_str()), passphrase) {
        (None | Some("file"), None) => Ok(Key::File),
        (Some("keyring"), None) => Ok(Key::Keyring),
        (None | Some("passphrase"), Some(passphrase)) => {
            let plain = matches!(passphrase.value, SecretSource::Plain(_)).then(|| passphrase.span.clone());
            Ok(Key::Passphrase { source: passphrase.value, plain })
        }
        (Some("passphrase"), None) => Err(root.document.error(
            &place,
            "`source` in [key] is passphrase and there is none",
            "set passphrase = { env = \"NAME\" }, { file = … }, { command = […] } or { keyring = … }",
        )),
        (Some("file" | "keyring"), Some(_)) => Err(root.document.error(
            &place,
            "[key] has a passphrase and a source that needs none",
            "set source = \"passphrase\", or remove the passphrase",
        )),
        (Some(other), _) => {
            let known = ["file", "keyring", "passphrase"];
            let meant = nearest::nearest(other, &known)
                .map_or_else(|| format!("known are {}", known.join(", ")), |meant| format!("did you mean `{meant}`?"));
            Err(root.document.error(&place, format!("unknown key source `{}`", shown(other)), meant))
        }
    }
}
