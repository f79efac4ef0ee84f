//! What a plan says of each step.

use super::PlanFault;
use super::json::JsonTemplate;
use super::template::{Reference, Template};
use crate::grant::GrantId;
use crate::task::Effect;
use http::{HeaderName, Method};
use serde_json::Value;
use std::ops::Range;
use std::time::Duration;

/// A step of a plan, or as many of them as a list has items.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanStep {
    /// What it is called; the steps of a list are called `key[0]` or by an id of their own.
    pub key: String,
    /// The bytes of the file that say the key.
    pub span: Range<usize>,
    /// Which steps come first, though nothing of what they bring is used.
    pub needs: Vec<Need>,
    /// The list it is run for.
    pub fan_out: Option<FanOut>,
    /// What it does.
    pub work: Work,
    /// What running it twice would do.
    pub effect: Effect,
    /// How often it is tried again by itself.
    pub retries: u32,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// A step that comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its key.
    pub key: String,
    /// The bytes of the file that say so.
    pub span: Range<usize>,
}

/// A list that a step is run for, once for each item.
#[derive(Clone, Debug, PartialEq)]
pub struct FanOut {
    /// The list.
    pub items: Items,
    /// What tells its items apart; their place where it is left out.
    pub id: Option<Template>,
    /// The bytes of the file that say so.
    pub span: Range<usize>,
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Items {
    /// It is written in the plan.
    Fixed(Vec<Value>),
    /// An earlier step brings it.
    Output(Reference),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Runs a command.
    Command(CommandWork),
    /// Sends a request.
    Request(RequestWork),
}

/// A command, run without a shell.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandWork {
    words: Vec<Template>,
    /// What it reads from standard input.
    pub input: Option<Template>,
    /// The grants it may use.
    pub grants: Vec<GrantUse>,
}

/// A grant that a command may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantUse {
    /// The grant.
    pub id: GrantId,
    /// The variable that names its token file, where another than the usual one is wanted.
    pub variable: Option<String>,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestWork {
    /// The grant whose token it carries.
    pub grant: Option<GrantId>,
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// The bytes of the file that say where it goes.
    pub target_span: Range<usize>,
    /// Its fields.
    pub headers: Vec<(HeaderName, Template)>,
    /// Its body.
    pub body: Body,
    /// Which statuses are a result, besides those of success.
    pub accept: Vec<u16>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A path at the grant's upstream.
    Path(Template),
    /// An address; no token goes there.
    Url(Template),
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// None.
    Empty,
    /// Fields of a form.
    Form(Vec<(String, Template)>),
    /// JSON.
    Json(JsonTemplate),
    /// Text as it is.
    Text(Template),
}

/// Programs whose argument after `-c` or `-e` is code.
const INTERPRETERS: &[&str] =
    &["ash", "bash", "dash", "fish", "ksh", "node", "perl", "php", "python", "python3", "ruby", "sh", "zsh"];
const CODE_OPTIONS: &[&str] = &["-c", "-e", "-ec", "-lc", "-r", "--eval"];

impl CommandWork {
    /// A command of these words.
    ///
    /// # Errors
    /// If there is no program, or what a step brought would decide on what is run: as the program, or as
    /// a part of a script.
    pub fn new(words: Vec<Template>, span: &Range<usize>) -> Result<Self, PlanFault> {
        let Some(first) = words.first() else {
            return Err(PlanFault::new(span, "the command is empty", "write it as [\"program\", \"argument\", …]"));
        };
        let Some(program) = first.as_fixed().filter(|program| !program.is_empty()) else {
            let mend = "write the program as it is called, and give it what varies as an argument";
            return Err(PlanFault::new(&first.span, "the program of a command is empty or a template", mend));
        };
        let name = program.rsplit('/').next().unwrap_or_default();
        if INTERPRETERS.contains(&name) {
            no_code_from_outputs(&words)?;
        }
        Ok(Self { words, input: None, grants: Vec::new() })
    }

    /// The program and its arguments.
    pub fn words(&self) -> &[Template] {
        &self.words
    }
}

/// What an API answered must not be run: `sh -c "echo {{ item.name }}"` would run whatever is in the name.
fn no_code_from_outputs(words: &[Template]) -> Result<(), PlanFault> {
    let code = words.windows(2).find(|pair| {
        let option = pair[0].as_fixed().is_some_and(|word| CODE_OPTIONS.contains(&word.as_str()));
        option && pair[1].references().next().is_some()
    });
    let Some([_, script]) = code else { return Ok(()) };
    let span = script.references().next().map_or(&script.span, |reference| &reference.span);
    let mend =
        "give it to the script as an argument: [\"sh\", \"-c\", \"echo \\\"$1\\\"\", \"sh\", \"{{ item.name }}\"]";
    Err(PlanFault::new(span, "a template in the text of a script would run what an earlier step brought", mend))
}

impl Work {
    /// All places to be filled in.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Command(command) => {
                command.words.iter().chain(&command.input).flat_map(Template::references).collect()
            }
            Self::Request(request) => {
                let target = match &request.target {
                    Target::Path(template) | Target::Url(template) => template.references(),
                };
                let headers = request.headers.iter().flat_map(|(_, value)| value.references());
                let mut found: Vec<&Reference> = target.chain(headers).collect();
                match &request.body {
                    Body::Empty => {}
                    Body::Form(fields) => found.extend(fields.iter().flat_map(|(_, value)| value.references())),
                    Body::Json(json) => found.extend(json.references()),
                    Body::Text(text) => found.extend(text.references()),
                }
                found
            }
        }
    }

    /// The grants whose tokens have to be there before it begins.
    pub fn grants(&self) -> Vec<&GrantId> {
        match self {
            Self::Command(command) => command.grants.iter().map(|grant| &grant.id).collect(),
            Self::Request(request) => request.grant.iter().collect(),
        }
    }
}

impl PlanStep {
    /// The places to be filled in of which the step itself is made, whatever it is run for.
    pub(super) fn references(&self) -> Vec<&Reference> {
        let mut found = self.work.references();
        found.extend(self.fan_out.iter().filter_map(|fan_out| fan_out.id.as_ref()).flat_map(Template::references));
        found
    }

    /// The list that an earlier step brings.
    pub(super) fn list(&self) -> Option<&Reference> {
        match self.fan_out.as_ref().map(|fan_out| &fan_out.items) {
            Some(Items::Output(reference)) => Some(reference),
            Some(Items::Fixed(_)) | None => None,
        }
    }
}
