//! TASK PLANS: a task that is written down instead of programmed. Steps of commands or requests, what
//! they wait for, and what of earlier outputs they are given.
//!
//! Nothing here reads a file or runs anything. [`TaskPlan::new`] refuses whatever can be seen to be wrong
//! before anything runs; [`Schedule`] says which step may run next; [`Schedule::prepare`] fills in what
//! earlier steps brought. Every fault names the bytes of the file that it is about.

mod check;
mod json;
mod place;
mod prepare;
mod schedule;
mod template;
mod work;

pub use check::{CONCURRENCY_MAX, RETRIES_MAX, STEPS_MAX, TaskPlan};
pub use json::JsonTemplate;
pub use prepare::{Prepared, PreparedBody, PreparedCommand, PreparedRequest};
pub use schedule::{Blocked, ITEMS_MAX, Schedule, Unit};
pub use template::{Reference, Root, Template};
pub use work::{Body, CommandWork, FanOut, GrantUse, Items, Need, PlanStep, RequestWork, Target, Work};

use std::ops::Range;

/// A fault of a plan. Holds nothing that a step brought, for it may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFault {
    /// The bytes of the file that it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub mend: String,
}

impl PlanFault {
    /// A fault at these bytes of the file.
    pub fn new(span: &Range<usize>, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { span: span.clone(), detail: detail.into(), mend: mend.into() }
    }
}

/// Longest list of names that a fault tells.
const NAMES_MAX: usize = 8;
/// Longest name that a fault repeats, in characters.
const NAME_CHARS_MAX: usize = 40;

/// A name as faults show it: shortened, and with nothing that moves a cursor.
fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// A few of some names, for a fault that says which there are.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.take(NAMES_MAX + 1).map(shown).collect();
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(NAMES_MAX)].join(", "))
}
