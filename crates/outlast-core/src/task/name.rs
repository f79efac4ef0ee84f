//! What tasks and steps are called.

use std::fmt;
use std::sync::Arc;

/// Longest name of a task, in bytes: it is part of file names and addresses.
const TASK_NAME_BYTES_MAX: usize = 64;
/// Longest key of a step, in bytes.
const STEP_KEY_BYTES_MAX: usize = 200;

/// Names a task. Letters, digits, `-`, `_` and `.`, and no `-` or `.` in front: it is safe in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// Parses a name; the error says what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() {
            Err("a task's name is empty")
        } else if name.len() > TASK_NAME_BYTES_MAX {
            Err("a task's name is longer than 64 bytes")
        } else if name.starts_with(['-', '.']) {
            Err("a task's name starts with '-' or '.'")
        } else if !name.chars().all(ok) {
            Err("a task's name has a character other than letters, digits, '-', '_' and '.'")
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a step within its task: the same key is the same step, whoever runs it and when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey(Arc<str>);

impl StepKey {
    /// Parses a key; the error says what is wrong with it. A key is one segment of an address, and is
    /// shown on terminals: no slashes, no control characters, no blanks at its ends.
    pub fn parse(key: &str) -> Result<Self, &'static str> {
        // Direction marks make a terminal show something else than is there.
        let hidden = |c: char| {
            c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if key.is_empty() {
            Err("a step's key is empty")
        } else if key.len() > STEP_KEY_BYTES_MAX {
            Err("a step's key is longer than 200 bytes")
        } else if matches!(key, "." | "..") || key.contains(['/', '\\']) {
            Err("a step's key looks like a path: it must have no '/' and no '\\', and must not be '.' or '..'")
        } else if key.chars().any(hidden) {
            Err("a step's key has a control character")
        } else if key.trim() != key {
            Err("a step's key begins or ends with a blank")
        } else {
            Ok(Self(key.into()))
        }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_or_hide_something_are_refused() {
        for name in ["", ".", "..", "a/b", "../x", "-x", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(TaskId::parse(name).is_err(), "{name:?}");
        }
        for key in ["", ".", "..", "a/b", "a\\b", "a\u{1b}[2J", "a\u{202e}b", " a", "a ", "a\n", &"a".repeat(201)] {
            assert!(StepKey::parse(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn names_that_people_write_are_taken() {
        for name in ["harvest", "nightly-2026-11-25", "a", "A_1.b", &"a".repeat(64)] {
            assert_eq!(TaskId::parse(name).unwrap().as_str(), name);
        }
        for key in ["page-17", "page 17", "seite-ä", "user:42@crm", &"a".repeat(200)] {
            assert_eq!(StepKey::parse(key).unwrap().as_str(), key);
        }
    }
}
