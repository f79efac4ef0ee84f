//! What is said about tasks at the control socket, as JSON: the same types for the sidecar and its clients.
//! Moments are whole seconds since 1970-01-01T00:00:00Z.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Asks to run a step: `POST /v1/tasks/{task}/steps/{key}/begin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Begin {
    /// Whether running it twice does no harm. Where it is false, a person decides when nobody knows how the
    /// step ended.
    pub idempotent: bool,
    /// The grants whose tokens it needs: it does not begin before all of them can be had.
    #[cfg_attr(test, schemars(length(max = 32)))]
    pub grants: Vec<String>,
    /// The seconds that its tokens should have left when it begins; as long as the longest step of the task
    /// ran so far if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(max = 31_536_000)))]
    #[serde(deserialize_with = "whole")]
    pub min_ttl: Option<u64>,
    /// What it is given. Only a digest is kept; the same key with another input is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// For how many seconds nothing may be heard of the step before it is let go; each heartbeat begins them
    /// anew. 60 if left out, and no limit for a step that is tied to its connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 1, max = 86_400)))]
    #[serde(deserialize_with = "whole")]
    pub patience: Option<u64>,
    /// Whether the step is let go as soon as the connection of this request ends: for a client that keeps one
    /// connection, and whose death ends it.
    pub tied: bool,
}

/// The answer to [`Begin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Begun {
    /// It is written down that it began: do it, then say how it ended.
    Begun {
        /// Names this run, and goes with everything that is said of it.
        run: String,
        /// How often the step has been started, with this time.
        attempt: u32,
        /// To be sent in the field `Idempotency-Key`: the same in every attempt.
        idempotency_key: String,
        /// The seconds after which it is let go, unless something is heard of it.
        patience: Option<u64>,
    },
    /// It is done: this is what it brought, and nothing is to be run.
    Done {
        /// The exit code, where it was a command.
        exit: Option<u8>,
        /// What it brought, where that is text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// What it brought, where that is no text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_base64: Option<String>,
    },
}

/// Says that a step came to its end: `POST /v1/tasks/{task}/steps/{key}/complete`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// The run, as the answer to begin named it.
    pub run: String,
    /// The exit code, where it was a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "whole")]
    pub exit: Option<u8>,
    /// What it brought, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What it brought, as bytes in base64; instead of `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_base64: Option<String>,
}

/// The answer to [`Complete`] and [`Resolve`]: it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recorded {
    /// How the step stands now: `done`, or `rerun` for one that is to be run again.
    pub state: StepWord,
}

/// Says that a step failed: `POST /v1/tasks/{task}/steps/{key}/fail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The run, as the answer to begin named it.
    pub run: String,
    /// Why, in a few words; they are recorded and shown, so no secrets in them.
    pub reason: String,
    /// Whether it is certain that nothing was done that must not be done again.
    #[serde(default)]
    pub undone: bool,
    /// The code of the failure, where Outlast gave one, as in the field `Outlast-Code`: it says whether trying
    /// again helps. If left out, it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The seconds to wait before the next try, where a server asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(max = 86_400)))]
    #[serde(deserialize_with = "whole")]
    pub retry_after: Option<u64>,
}

/// The answer to [`Fail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Failed {
    /// Begin it again; begin keeps the pause after a failure by itself.
    Again {
        /// The seconds that a server asked to wait before.
        retry_after: Option<u64>,
    },
    /// It is not tried again by itself.
    GivenUp {
        /// What stands in the way.
        code: String,
        /// What to do about it.
        advice: String,
        /// The same in words.
        detail: String,
    },
}

/// Says that a step still runs: `POST /v1/tasks/{task}/steps/{key}/heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The run, as the answer to begin named it.
    pub run: String,
    /// Another patience from now on, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 1, max = 86_400)))]
    #[serde(deserialize_with = "whole")]
    pub patience: Option<u64>,
}

/// The answer to [`Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Heard {
    /// The seconds after which it is let go, unless something more is heard of it.
    pub patience: Option<u64>,
    /// The grants of the step that need a person: no token of theirs is given out any more.
    pub needs_user: Vec<String>,
}

/// Decides on a step of which nobody knows how it ended, or that failed too often:
/// `POST /v1/tasks/{task}/steps/{key}/resolve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "decision", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Resolve {
    /// It was done; this is what it brought.
    Done {
        /// The exit code, where it was a command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[serde(deserialize_with = "whole")]
        exit: Option<u8>,
        /// What it brought, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// What it brought, as bytes in base64; instead of `output`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_base64: Option<String>,
    },
    /// It is to be run again.
    Rerun {},
}

/// The answer to `DELETE /v1/tasks/{task}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Deleted {
    /// The task that was there.
    pub deleted: String,
}

/// The answer to `POST /v1/tasks/{task}/close`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Closed {
    /// The task that is over.
    pub closed: String,
}

/// A task in a few words: `GET /v1/tasks/{task}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TaskShown {
    /// Its name.
    pub task: String,
    /// `running`, `parked`, `idle`, `closed`, or `unreadable`, where `code` and `detail` say why.
    pub state: String,
    /// Why its journal cannot be read.
    #[serde(default)]
    pub code: Option<String>,
    /// The same in words.
    #[serde(default)]
    pub detail: Option<String>,
    /// How many steps were ever begun.
    pub steps: usize,
    /// How many of them are done.
    pub done: usize,
    /// How many of them failed when they were tried last.
    pub failed: usize,
    /// How many seconds those ran that are done.
    pub worked: u64,
    /// What keeps it, or some of it, from going on: the first 100.
    pub blocks: Vec<BlockShown>,
    /// Who has it, or had it last.
    pub runner: String,
    /// How many runners it had.
    pub runners: u64,
    /// When it was opened first.
    pub opened_at: Option<u64>,
    /// When something was written last.
    pub changed_at: Option<u64>,
}

/// What keeps a task from going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "block", rename_all = "kebab-case")]
pub enum BlockShown {
    /// A step began, and nobody knows whether it came to its end.
    Ambiguous {
        /// Which.
        key: String,
        /// When it began.
        since: u64,
    },
    /// A grant needed a person when a step was to begin.
    Grant {
        /// Which.
        grant: String,
        /// Why.
        code: String,
        /// Since when.
        since: u64,
        /// Whether it can be used again by now: then the next step that is begun goes on.
        ready: bool,
    },
    /// A step failed too often.
    Poisoned {
        /// Which.
        key: String,
        /// How often.
        failures: u32,
        /// The last reason.
        reason: String,
    },
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StepWord {
    /// It began, nobody runs it, and nobody knows whether it came to its end: a person decides.
    Ambiguous,
    /// It came to its end.
    Done,
    /// It failed when it was tried last.
    Failed,
    /// It failed too often to be tried again by itself.
    Poisoned,
    /// It is to be run again: it was decided so, or it began, nobody runs it, and running it twice does no harm.
    Rerun,
    /// Somebody runs it.
    Running,
}

/// One step: `GET /v1/tasks/{task}/steps/{key}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StepShown {
    /// Its key.
    pub key: String,
    /// How it stands.
    pub state: StepWord,
    /// How often it was started.
    pub starts: u32,
    /// How often it failed, one time after the other.
    pub failures: u32,
    /// When it came into this state.
    pub since: Option<u64>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The exit code, where it was a command.
    pub exit: Option<u8>,
    /// What it brought, where that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What it brought, where that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_base64: Option<String>,
}

/// An output as JSON can hold it: text, or else bytes in base64; one of the two is there.
pub fn write_output(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
    }
}

/// The bytes of an output as JSON holds it; the error says what is wrong with it.
pub fn read_output(output: Option<String>, output_base64: Option<&str>) -> Result<Vec<u8>, &'static str> {
    match (output, output_base64) {
        (None, None) => Ok(Vec::new()),
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(encoded)) => STANDARD.decode(encoded).map_err(|_| "output_base64 is not base64 (RFC 4648, padded)"),
        (Some(_), Some(_)) => Err("output and output_base64 are both there: send one of them"),
    }
}

/// A whole number, also where it is written as `60.0`: some languages know no others.
fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    let digits = match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
        Some(_) | None => number.to_string(),
    };
    let read = digits.parse().ok().and_then(|number: u64| T::try_from(number).ok());
    read.map(Some).ok_or_else(|| D::Error::custom("not a whole number, or too large"))
}
