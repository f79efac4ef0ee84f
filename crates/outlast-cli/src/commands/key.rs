//! `outlast key rotate`: another key for the store, in one safe step.

use super::Done;
use crate::context::Context;
use crate::{env, output};
use outlast::{KeySource, Rotated, rotate_key};
use serde_json::{Value, json};
use std::path::Path;

/// What `key` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLE: &str = "Examples:
  outlast key rotate
  outlast key rotate --json
Nothing has to be stopped for it: running processes take the new key up by themselves.";

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Seal the store with a new key, and erase the old one
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
struct Rotate {
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Whether failures are to be told as JSON too.
    pub(crate) fn wants_json(&self) -> bool {
        let Verb::Rotate(rotate) = &self.verb;
        rotate.json
    }
}

/// Changes the key of the store that the environment points to.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let Verb::Rotate(rotate) = &arguments.verb;
    let context = Context::load_or_empty()?;
    let source = context.config.key_source(&env::text)?;
    let rotated = rotate_key(&context.places.home, &source)?;
    if rotate.json {
        output::json(&as_json(rotated, &source))?;
    } else {
        output::data(&as_text(rotated, &source, &context.places.home))?;
    }
    Ok(0)
}

fn as_json(rotated: Option<Rotated>, source: &KeySource) -> Value {
    let Some(Rotated { grants, aside, tasks, damaged }) = rotated else { return json!({ "rotated": false }) };
    json!({
        "rotated": true,
        "key_source": source.kind(),
        "grants": grants,
        "set_aside": aside,
        "tasks": tasks,
        "damaged": damaged,
    })
}

fn as_text(rotated: Option<Rotated>, source: &KeySource, home: &Path) -> String {
    let Some(Rotated { grants, aside, tasks, damaged }) = rotated else {
        return format!("there is no store in {} yet, and so no key to change", home.display());
    };
    let mut text = format!(
        "the store has a new key; sealed with it: grants {grants}, records kept aside {aside}, tasks {tasks}\n"
    );
    if damaged > 0 {
        text += &format!("damaged before, and left as they are: {damaged}\n");
    }
    text += match source {
        KeySource::File => {
            "the old key file is erased; copies of it open older copies of the store, and nothing else. Back the folder up \
             anew, as a whole"
        }
        KeySource::Keyring => "the old key is removed from the desktop's key store",
        KeySource::Passphrase(_) => {
            "the passphrase is the same; the key that is made of it is another. Copies of the store from before still open \
             with it"
        }
    };
    text
}
