//! `outlast explain`: judges a reply that was received without Outlast, and says what to do.

use super::Done;
use crate::cli::Cli;
use crate::exit::Fault;
use crate::explain::answer::Answer;
use crate::explain::case::{Case, Kind, REPLY_BYTES_MAX, STATUSES, add_field, quirks_of};
use crate::explain::har::{HAR_BYTES_MAX, NoHar, read_har};
use crate::explain::jsonl::answer_lines;
use crate::explain::reply_text::read_reply_text;
use crate::explain::traffic::Traffic;
use crate::output;
use clap::CommandFactory;
use http::HeaderMap;
use outlast::{Clock, Code, SystemClock};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// The exit code of a call that says nothing to judge (sysexits `EX_CONFIG`).
const NOTHING_TO_JUDGE: u8 = 78;

const STATUS_RANGE: RangeInclusive<i64> = *STATUSES.start() as i64..=*STATUSES.end() as i64;

/// What `explain` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  curl -si https://api.example.com/me -H \"$AUTH\" | outlast explain
  outlast explain --status 401 --header 'WWW-Authenticate: Bearer error=\"invalid_token\"'
  outlast explain --status 400 --kind token --provider google --body '{\"error\":\"invalid_grant\"}'
  outlast explain --jsonl < cases.jsonl          one case a line in, one verdict a line out
  outlast explain --har yesterday.har            every failure of authorization in recorded traffic

A case has id, endpoint_kind (api, token or device), status, headers, body and optionally provider.
Nothing is sent anywhere. Tokens in what a server says are not repeated.")]
pub(crate) struct Arguments {
    /// The reply's status; without it a reply as curl -i prints it is read from standard input
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(STATUS_RANGE))]
    status: Option<u16>,
    /// A header field of the reply; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "status")]
    headers: Vec<String>,
    /// The reply's body, or the file it is in (@- is standard input)
    #[arg(long, value_name = "TEXT|@FILE", requires = "status", allow_hyphen_values = true)]
    body: Option<String>,
    /// Which endpoint answered
    #[arg(long, value_enum, default_value_t = Kind::Api)]
    kind: Kind,
    /// Whose reply it is, for habits that differ from the standards
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Judge one case a line from standard input
    #[arg(long, conflicts_with_all = ["status", "kind", "provider", "har"])]
    jsonl: bool,
    /// Judge the traffic that a browser or proxy saved (- is standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "kind", "provider"])]
    har: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// Whether failures are to be told as JSON too.
    pub(crate) fn wants_json(&self) -> bool {
        self.json || self.jsonl
    }
}

/// Judges what it is given.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let clock = SystemClock::new();
    if arguments.jsonl {
        return lines(&clock);
    }
    if let Some(path) = &arguments.har {
        return traffic(path, arguments, &clock);
    }
    let Some(status) = arguments.status else { return piped(arguments, &clock) };
    let body = arguments.body.as_deref().map_or_else(|| Ok(Vec::new()), body_of)?;
    let mut headers = HeaderMap::new();
    for field in &arguments.headers {
        let (name, value) = field.split_once(':').ok_or_else(|| {
            invalid("a --header has no colon").mend("write --header 'NAME: VALUE', as the reply has it")
        })?;
        add_field(&mut headers, name, value.as_bytes());
    }
    told(arguments, status, headers, &body, &clock)
}

fn lines(clock: &dyn Clock) -> Done {
    match answer_lines(io::stdin().lock(), io::stdout().lock(), clock) {
        // A reader that has gone away is no failure of ours.
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(cause) => Err(unreadable("standard input", cause.kind())),
        Ok(()) => Ok(0),
    }
}

fn traffic(path: &Path, arguments: &Arguments, clock: &dyn Clock) -> Done {
    let shown = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let file = open(path, &shown)?;
    let mut found = Traffic::default();
    // A file that grows, or a pipe, ends at the limit too.
    let read = read_har(BufReader::new(file.take(HAR_BYTES_MAX)), &mut |exchange| found.take(exchange, clock));
    read.map_err(|why| no_har(&shown, &why))?;
    if arguments.json {
        output::json(&found.to_json())?;
        output::talk(&found.summary());
    } else {
        output::data(&found.to_text())?;
    }
    Ok(0)
}

fn no_har(shown: &str, why: &NoHar) -> Fault {
    invalid(format!("{shown} is no HAR file: {why}"))
        .mend("save the traffic again as HAR 1.2 (in a browser: developer tools, network, save all as HAR)")
}

fn open(path: &Path, shown: &str) -> Result<Box<dyn Read>, Fault> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|cause| unreadable(shown, cause.kind()))?;
    let bytes = file.metadata().map_err(|cause| unreadable(shown, cause.kind()))?.len();
    if bytes > HAR_BYTES_MAX {
        let limit = HAR_BYTES_MAX / (1024 * 1024);
        return Err(invalid(format!("{shown} is larger than {limit} MiB")).mend("save a shorter part of the traffic"));
    }
    Ok(Box::new(file))
}

/// Judges a reply from standard input; never waits for a person to type one.
fn piped(arguments: &Arguments, clock: &dyn Clock) -> Done {
    if output::stdin_is_terminal() {
        output::talk(&help());
        return Ok(NOTHING_TO_JUDGE);
    }
    let input = beginning(io::stdin().lock(), "standard input")?;
    let reply = read_reply_text(&input).map_err(|why| {
        invalid(why.text()).mend("pipe in what curl -i prints, or give the reply with --status, --header and --body")
    })?;
    told(arguments, reply.status, reply.headers, reply.body, clock)
}

fn help() -> String {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand_mut("explain").map_or_else(String::new, |verb| verb.render_help().to_string())
}

fn told(arguments: &Arguments, status: u16, headers: HeaderMap, body: &[u8], clock: &dyn Clock) -> Done {
    let quirks = quirks_of(arguments.provider.as_deref());
    let case = Case { kind: arguments.kind, status, headers, body: Cow::Borrowed(body), quirks };
    let answer = Answer::to(&case, clock.now());
    if arguments.json {
        output::json(&answer.to_json())?;
    } else {
        output::data(&answer.to_text())?;
    }
    if arguments.provider.is_some() && case.quirks.provider().is_none() {
        output::talk("note: no habits of that provider are known; the general rules decided");
    }
    Ok(0)
}

fn body_of(text: &str) -> Result<Vec<u8>, Fault> {
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some("-") => beginning(io::stdin().lock(), "standard input"),
        Some(path) => {
            let file = File::open(path).map_err(|cause| unreadable(path, cause.kind()))?;
            beginning(file, path)
        }
    }
}

/// The first [`REPLY_BYTES_MAX`] bytes; no verdict rests on what comes later.
fn beginning(from: impl Read, shown: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = from.take(REPLY_BYTES_MAX as u64).read_to_end(&mut bytes);
    read.map_err(|cause| unreadable(shown, cause.kind()))?;
    Ok(bytes)
}

fn unreadable(shown: &str, why: io::ErrorKind) -> Fault {
    invalid(format!("{shown} cannot be read: {why}")).mend("name a file that can be read, or pipe the reply in")
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Code::RequestInvalid, text)
}
