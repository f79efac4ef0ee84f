//! What most commands need first: the places, the configuration, and a keeper over them.

use crate::env::{self, Places};
use crate::exit::Fault;
use outlast::{Code, GrantHandle, GrantId, GrantSettings, Keeper, Process, Settings};
use outlast_daemon::client::ControlClient;
use outlast_daemon::config::{Config, ConfigError, GrantEntry, SecretSource};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a running sidecar may take to look at the records.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The places and what is configured there; nothing is opened yet.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where the files are.
    pub(crate) places: Places,
    /// What the configuration says.
    pub(crate) config: Config,
}

impl Context {
    /// Reads the configuration that the environment points to.
    pub(crate) fn load() -> Result<Self, Fault> {
        let places = env::places()?;
        let config = Config::load(&places.config)?;
        Ok(Self { places, config })
    }

    /// The same where there may be no configuration yet.
    pub(crate) fn load_or_empty() -> Result<Self, Fault> {
        let places = env::places()?;
        if places.config.exists() {
            return Self::load();
        }
        let config = Config::parse("", &places.config)?;
        Ok(Self { places, config })
    }

    /// The named grant, on a keeper of its own: what is wrong with another does not matter.
    pub(crate) fn grant(&self, name: &str) -> Result<GrantHandle, Fault> {
        let settings = self.config.resolve_one(name, &env::text)?;
        let id = settings.id.clone();
        Ok(self.keeper(vec![settings])?.grant(&id)?)
    }

    /// A keeper over the store with these grants, for a command.
    pub(crate) fn keeper(&self, grants: Vec<GrantSettings>) -> Result<Keeper, Fault> {
        self.keeper_of(Process::Command, grants)
    }

    /// A keeper over the store with these grants, for that kind of process.
    pub(crate) fn keeper_of(&self, process: Process, grants: Vec<GrantSettings>) -> Result<Keeper, Fault> {
        let key = self.config.key_source(&env::text)?;
        let supporting = self.supporting(&grants)?;
        let settings = Settings::new(&self.places.home).key(key).process(process);
        Ok(settings.grants(grants).supporting(supporting).open()?)
    }

    /// Lets a running `outlast serve` look at the records, and serve from then on what they say. Where
    /// none runs, nobody has to look.
    pub(crate) async fn let_sidecar_look(&self) {
        let look = async { ControlClient::connect(&self.places.socket).await?.get("/v1/grants").await };
        let _ = tokio::time::timeout(LOOK_MAX, look).await;
    }

    /// The grants that `grants` are exchanged from and that are not among them.
    fn supporting(&self, grants: &[GrantSettings]) -> Result<Vec<GrantSettings>, Fault> {
        let mut found: Vec<GrantSettings> = Vec::new();
        loop {
            let known = |id: &GrantId| grants.iter().chain(&found).any(|known| known.id == *id);
            let behind = grants.iter().chain(&found).flat_map(GrantSettings::grants_behind);
            let Some(missing) = behind.filter(|id| !known(id)).map(GrantId::as_str).next() else { break };
            let missing = self.config.resolve_one(missing, &env::text)?;
            found.push(missing);
        }
        Ok(found)
    }

    /// The named grants with their secrets; all of them if none is named.
    pub(crate) fn resolve(&self, names: &[String]) -> Result<Vec<GrantSettings>, Fault> {
        if names.is_empty() {
            return Ok(self.config.grants(&env::text)?);
        }
        names.iter().map(|name| Ok(self.config.resolve_one(name, &env::text)?)).collect()
    }

    /// The named grants for signing out. With `force`, a secret that cannot be had stands in nobody's
    /// way: the server is then not told.
    pub(crate) fn resolve_for_logout(&self, names: &[String], force: bool) -> Result<Vec<GrantSettings>, Fault> {
        let resolve = |name: &String| match (self.config.resolve_one(name, &env::text), self.entry(name)) {
            (Err(_), Some(entry)) if force => Ok(entry.without_secrets()),
            (resolved, _) => Ok(resolved?),
        };
        names.iter().map(resolve).collect()
    }

    /// The named grants for what asks no server: a secret that cannot be had stands in nobody's way.
    pub(crate) fn without_secrets(&self, names: &[String]) -> Result<Vec<GrantSettings>, Fault> {
        let found = |name: &String| match self.entry(name) {
            Some(entry) => Ok(entry.without_secrets()),
            // Says which name is nearest.
            None => Ok(self.config.resolve_one(name, &env::text)?),
        };
        names.iter().map(found).collect()
    }

    /// The variables that the configuration takes secrets from, those of grants that are not used now
    /// as well: no child of ours gets them.
    pub(crate) fn secret_variables(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in self.config.entries() {
            for source in entry.secret_sources() {
                if let SecretSource::Environment(name) = source {
                    names.insert(name.clone());
                }
            }
        }
        // Where the passphrase of the store comes from is seen by what is asked for.
        let asked = RefCell::new(BTreeSet::new());
        let _ = self.config.key_source(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            env::text(name)
        });
        names.extend(asked.into_inner().into_iter().filter(|name| name != "HOME"));
        names
    }

    /// What is configured for a grant of that name.
    pub(crate) fn entry(&self, name: &str) -> Option<&GrantEntry> {
        self.config.entries().iter().find(|entry| entry.id.as_str() == name)
    }
}

/// Reads a grant's name as typed.
pub(crate) fn grant_id(name: &str) -> Result<GrantId, Fault> {
    GrantId::parse(name).map_err(|why| {
        Fault::new(Code::ConfigurationInvalid, why).mend("use letters, digits, '-', '_' and '.', such as crm or gh-app")
    })
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        let place = error.place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        Self::new(error.code, format!("{}{place}: {}", error.path.display(), error.detail)).mend(error.mend)
    }
}
