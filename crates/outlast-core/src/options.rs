//! What the configuration tells a grant type beyond what every grant type is told. Each grant type
//! states its options in its own file, so that a new one needs no change of the configuration.

use crate::grant::GrantId;
use crate::key_request::KeyRequest;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::time::Duration;

/// One option of a grant type: a key of its table in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantOption {
    /// The key.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: OptionKind,
    /// Whether it has to be set.
    pub required: bool,
    /// What it is, as part of a sentence.
    pub meaning: &'static str,
}

impl GrantOption {
    /// One that may be left out.
    pub const fn optional(name: &'static str, kind: OptionKind, meaning: &'static str) -> Self {
        Self { name, kind, required: false, meaning }
    }

    /// One that has to be set.
    pub const fn required(name: &'static str, kind: OptionKind, meaning: &'static str) -> Self {
        Self { name, kind, required: true, meaning }
    }
}

/// What kind of value an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Program and arguments, as a list; never given to a shell.
    Command,
    /// The same, or a request of HTTP that authenticates by the grant's own key.
    CommandOrRequest,
    /// A duration such as `30d`.
    Duration,
    /// The name of another grant.
    Grant,
    /// A list of words.
    List,
    /// A source of a secret, as for `client_secret`.
    Secret,
    /// A table of names and words.
    Table,
    /// A text.
    Text,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// Program and arguments.
    Command(Vec<String>),
    /// A duration.
    Duration(Duration),
    /// The name of another grant.
    Grant(GrantId),
    /// A list of words.
    List(Vec<String>),
    /// A request of HTTP.
    Request(KeyRequest),
    /// A secret, fetched.
    Secret(Secret),
    /// Names and words.
    Table(BTreeMap<String, String>),
    /// A text.
    Text(String),
}

/// The options of one grant, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<&'static str, OptionValue>);

impl Options {
    /// Sets one.
    pub fn set(&mut self, name: &'static str, value: OptionValue) {
        self.0.insert(name, value);
    }

    /// These, and one more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: OptionValue) -> Self {
        self.set(name, value);
        self
    }

    /// The command of that name.
    pub fn command(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name)? {
            OptionValue::Command(command) => Some(command),
            _ => None,
        }
    }

    /// The duration of that name.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.0.get(name)? {
            OptionValue::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// The grant of that name.
    pub fn grant(&self, name: &str) -> Option<&GrantId> {
        match self.0.get(name)? {
            OptionValue::Grant(grant) => Some(grant),
            _ => None,
        }
    }

    /// The list of that name; empty if it is not set.
    pub fn list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(OptionValue::List(list)) => list,
            _ => &[],
        }
    }

    /// The request of that name.
    pub fn request(&self, name: &str) -> Option<&KeyRequest> {
        match self.0.get(name)? {
            OptionValue::Request(request) => Some(request),
            _ => None,
        }
    }

    /// The secret of that name.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        match self.0.get(name)? {
            OptionValue::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        match self.0.get(name)? {
            OptionValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            OptionValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Everything, for telling these options from others; holds secrets.
    pub(crate) fn spelled(&self) -> Secret {
        let mut text = String::new();
        for (name, value) in &self.0 {
            text.push_str(name);
            text.push('\u{1}');
            match value {
                OptionValue::Command(words) | OptionValue::List(words) => text.push_str(&words.join("\u{2}")),
                OptionValue::Duration(duration) => text.push_str(&duration.as_millis().to_string()),
                OptionValue::Grant(grant) => text.push_str(grant.as_str()),
                OptionValue::Request(request) => text.push_str(&request.spelled()),
                OptionValue::Secret(secret) => text.push_str(secret.expose()),
                OptionValue::Table(table) => {
                    table.iter().for_each(|(name, word)| text.extend([name, "\u{2}", word, "\u{3}"]));
                }
                OptionValue::Text(word) => text.push_str(word),
            }
            text.push('\u{4}');
        }
        Secret::new(text)
    }
}
