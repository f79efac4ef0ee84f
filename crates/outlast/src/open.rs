//! Opens a keeper over a folder of state.

use crate::discovery::Discovery;
use crate::discovery::HttpDiscovery;
use crate::keeper::{Keeper, Parts};
use crate::settings::GrantSettings;
use crate::subject_grant::{Broken, check_chains};
use crate::system_clock::{CoarseTime, SystemClock};
use outlast_core::strategy::GrantType;
use outlast_core::wire::TokenEndpoint;
use outlast_core::{Clock, Code, Grant, GrantId, Journal, Process, StoreError, TokenStore};
use outlast_oauth::{HttpTokenEndpoint, grant_type};
use outlast_store::{KeySource, MemoryJournal, MemoryStore, Rotated, SqliteStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a keeper is opened with.
pub struct Settings {
    home: Option<PathBuf>,
    key: KeySource,
    grants: Vec<GrantSettings>,
    supporting: Vec<GrantSettings>,
    clock: Option<Arc<dyn Clock>>,
    store: Option<Arc<dyn TokenStore>>,
    journal: Option<Arc<dyn Journal>>,
    endpoint: Option<Arc<dyn TokenEndpoint>>,
    process: Process,
}

/// Why a keeper could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Two grants have the same name.
    Duplicate {
        /// The name.
        grant: GrantId,
    },
    /// A grant is exchanged from others in a circle.
    ExchangeCircle {
        /// The grant.
        grant: GrantId,
    },
    /// The store could not be opened.
    Store(StoreError),
    /// A grant is exchanged from one that is not configured.
    SubjectGrantUnknown {
        /// The grant.
        grant: GrantId,
        /// The name it gives.
        subject: GrantId,
    },
    /// A grant type that the strategy table does not have.
    UnknownGrantType {
        /// The grant.
        grant: GrantId,
        /// The type asked for.
        grant_type: String,
    },
}

impl OpenError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Duplicate { .. }
            | Self::ExchangeCircle { .. }
            | Self::SubjectGrantUnknown { .. }
            | Self::UnknownGrantType { .. } => Code::ConfigurationInvalid,
            Self::Store(error) => error.code(),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { grant } => write!(f, "grant {grant} is configured twice; remove one"),
            Self::ExchangeCircle { grant } => write!(
                f,
                "grant {grant} is exchanged from others in a circle; let one subject_grant or actor_grant of them name a \
                 grant that is not exchanged"
            ),
            Self::Store(error) => error.fmt(f),
            Self::SubjectGrantUnknown { grant, subject } => write!(
                f,
                "grant {grant} is exchanged from grant {subject}, which is not configured; add [grant.{subject}], or \
                 correct subject_grant or actor_grant"
            ),
            Self::UnknownGrantType { grant, grant_type } => {
                let known: Vec<_> = grant_type::TABLE.iter().map(|row| row.strategy().grant_type).collect();
                write!(f, "grant {grant} has grant type {grant_type:?}; known are: {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Settings {
    /// A keeper whose state lies in the folder `home`, sealed with a key file beside it unless
    /// [`Settings::key`] says otherwise.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self { home: Some(home.into()), ..Self::in_memory() }
    }

    /// A keeper that forgets everything when it ends, for tests and demonstrations.
    pub fn in_memory() -> Self {
        Self {
            home: None,
            key: KeySource::File,
            grants: vec![],
            supporting: vec![],
            clock: None,
            store: None,
            journal: None,
            endpoint: None,
            process: Process::default(),
        }
    }

    /// Where the sealing key comes from.
    #[must_use]
    pub fn key(self, key: KeySource) -> Self {
        Self { key, ..self }
    }

    /// Adds a grant.
    #[must_use]
    pub fn grant(mut self, grant: GrantSettings) -> Self {
        self.grants.push(grant);
        self
    }

    /// Adds grants.
    #[must_use]
    pub fn grants(mut self, grants: impl IntoIterator<Item = GrantSettings>) -> Self {
        self.grants.extend(grants);
        self
    }

    /// Adds grants that others are exchanged from and that nobody else may use: the keeper does not
    /// list them and hands none of their tokens out.
    #[must_use]
    pub fn supporting(mut self, grants: impl IntoIterator<Item = GrantSettings>) -> Self {
        self.supporting.extend(grants);
        self
    }

    /// Another clock than the system's, for simulations.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Another store than the embedded one.
    #[must_use]
    pub fn store(self, store: Arc<dyn TokenStore>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// Other journals of tasks than those beside the embedded store.
    #[must_use]
    pub fn journal(self, journal: Arc<dyn Journal>) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// Another road to the token endpoint than the hardened HTTP client, for simulations.
    #[must_use]
    pub fn endpoint(self, endpoint: Arc<dyn TokenEndpoint>) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }

    /// What kind of process this is, as the history of its grants is to tell.
    #[must_use]
    pub fn process(self, process: Process) -> Self {
        Self { process, ..self }
    }

    /// Opens the keeper. Reads no record and sends nothing yet.
    pub fn open(self) -> Result<Keeper, OpenError> {
        let supporting = self.supporting.iter().map(|settings| settings.id.clone()).collect();
        let grants = rows(self.grants.into_iter().chain(self.supporting).collect())?;
        check_exchanges(&grants)?;
        let (store, beside): (Arc<dyn TokenStore>, Arc<dyn Journal>) = match (self.store, &self.home) {
            (Some(store), _) => (store, Arc::new(MemoryJournal::new())),
            (None, Some(home)) => {
                let store = SqliteStore::open(home, self.key)?;
                let journal = store.journal();
                (Arc::new(store), Arc::new(journal))
            }
            (None, None) => (Arc::new(MemoryStore::new()), Arc::new(MemoryJournal::new())),
        };
        let journal = self.journal.unwrap_or(beside);
        let (clock, coarse) = match self.clock {
            Some(clock) => (clock, CoarseTime::never()),
            None => {
                let clock = Arc::new(self.home.as_deref().map_or_else(SystemClock::new, SystemClock::of));
                (Arc::clone(&clock) as Arc<dyn Clock>, CoarseTime::follow(clock))
            }
        };
        let endpoint = self.endpoint.unwrap_or_else(|| Arc::new(HttpTokenEndpoint::new(Arc::clone(&clock))));
        let discovery: Arc<dyn Discovery> = Arc::new(HttpDiscovery);
        Ok({
            let parts = Parts { store, journal, endpoint, discovery, clock, coarse, process: self.process };
            Keeper::new(parts, grants, supporting)
        })
    }
}

type Row = (GrantSettings, &'static dyn GrantType);

fn rows(grants: Vec<GrantSettings>) -> Result<Vec<Row>, OpenError> {
    let mut seen = std::collections::BTreeSet::new();
    let row = |settings: GrantSettings| {
        if !seen.insert(settings.id.clone()) {
            return Err(OpenError::Duplicate { grant: settings.id });
        }
        match grant_type::find(&settings.grant_type) {
            Some(row) => Ok((settings, row)),
            None => Err(OpenError::UnknownGrantType { grant: settings.id, grant_type: settings.grant_type }),
        }
    };
    grants.into_iter().map(row).collect()
}

fn check_exchanges(grants: &[Row]) -> Result<(), OpenError> {
    let behind = grants.iter().map(|(settings, _)| (settings.id.clone(), settings.grants_behind().cloned().collect()));
    check_chains(&behind.collect()).map_err(|broken| match broken {
        Broken::Circle(grant) => OpenError::ExchangeCircle { grant },
        Broken::Missing { grant, behind } => OpenError::SubjectGrantUnknown { grant, subject: behind },
    })
}

/// The record of one grant, read without a runtime, a thread or a write: for a command that only
/// prints a token that is still good.
pub fn read_record(home: &Path, key: &KeySource, id: &GrantId) -> Result<Option<Grant>, StoreError> {
    outlast_store::read_grant(home, key, id)
}

/// Seals the store in `home` with a new key from the same source, and erases the old one; none if there is no
/// store. For whoever administers it: no keeper has to be stopped or opened for it. Blocks, for up to half a
/// minute while a renewal is under way.
pub fn rotate_key(home: &Path, key: &KeySource) -> Result<Option<Rotated>, StoreError> {
    outlast_store::rotate_key(home, key)
}
