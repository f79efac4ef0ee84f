//! What is wrong with a configuration, where, and how to mend it.

use outlast::Code;
use std::fmt;
use std::path::PathBuf;

/// A mistake in the configuration. Holds no value that was configured, for it may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What kind.
    pub code: Code,
    /// The configuration file.
    pub path: PathBuf,
    /// Line and column, both from 1, where the mistake has a place in the file.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub mend: String,
}

impl ConfigError {
    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.detail, self.mend)
    }
}

impl std::error::Error for ConfigError {}
