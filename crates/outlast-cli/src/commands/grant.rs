//! `outlast grant show NAME`: one grant whole, and what became of it.

use super::Done;
use super::status::settings;
use crate::ask::now;
use crate::context::Context;
use crate::exit::Fault;
use crate::{output, process, words};
use outlast::{Cause, ClientAuth, Code, Event, Grant, GrantHandle, Happening, Process, Terms, Timestamp};
use outlast_daemon::status::GrantStatus;
use serde_json::{Value, json};
use std::time::Duration;

/// What `grant` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLE: &str = "Examples:
  outlast grant show crm
  outlast grant show crm --history            its last renewals and troubles, oldest first
  outlast grant show crm --history --json | jq '.history[-1]'";

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show one grant: standing, terms, and with --history what became of it
    Show(Show),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
struct Show {
    /// The grant
    name: String,
    /// Also the last renewals and troubles, oldest first; they are kept with the grant
    #[arg(long)]
    history: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Whether failures are to be told as JSON too.
    pub(crate) fn wants_json(&self) -> bool {
        let Verb::Show(show) = &self.verb;
        show.json
    }
}

/// Shows the record on disk, which every process shares, and what the configuration says.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let Verb::Show(show) = &arguments.verb;
    let context = Context::load()?;
    let keeper = context.keeper(settings(&context, Some(&show.name))?)?;
    let handle = keeper.grant(&crate::context::grant_id(&show.name)?)?;
    let (record, status) = process::block_on(async {
        let record = handle.record().await?;
        let status = GrantStatus::with_server(&handle, &record, now()).await;
        Ok((record, status))
    })?;
    if show.json {
        output::json(&as_json(&handle, &record, &status, show.history)?)?;
    } else {
        output::data(&in_full(&handle, &record, status))?;
        if show.history {
            output::data(&format!("\n{}", history(record.history.events(), now())))?;
        }
    }
    Ok(0)
}

/// The status, with `terms`, `subject` and, if asked for, `history` beside its members.
fn as_json(handle: &GrantHandle, record: &Grant, status: &GrantStatus, with_history: bool) -> Result<Value, Fault> {
    let mut value = serde_json::to_value(status)
        .map_err(|cause| Fault::new(Code::Internal, format!("a status is no JSON: {cause}")))?;
    let terms = handle.settings().terms();
    let terms = terms.as_registered(record);
    value["terms"] = json!({
        "authorization_server": terms.authorization_server,
        "client_id": terms.client_id,
        "client_authentication": client_authentication(&terms),
        "scope": terms.scope_words().collect::<Vec<_>>(),
        "resource": terms.resource,
        "dpop": terms.dpop,
        "registered": record.registration.is_some(),
    });
    value["subject"] = json!(record.subject_name.as_ref().or(record.subject.as_ref()));
    value["failures"] = json!(record.failures);
    if with_history {
        value["history"] = record.history.events().iter().map(event_as_json).collect();
    }
    Ok(value)
}

fn event_as_json(event: &Event) -> Value {
    let (what, code) = named(event.happening);
    json!({
        "what": what,
        "code": code.map(Code::as_str),
        "detail": in_words(event.happening),
        "at": event.at.as_secs(),
        "first_at": event.first_at.as_secs(),
        "times": event.times,
        "generation": event.generation.0,
        "took_ms": event.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "process": event.process.map(Process::as_str),
    })
}

/// The stable word for what happened, and the code that goes with it.
fn named(happening: Happening) -> (&'static str, Option<Code>) {
    match happening {
        Happening::AnswerHealed => ("answer-healed", None),
        Happening::CrashFound => ("crash-found", None),
        Happening::Failed(Code::InDoubt) => ("in-doubt", Some(Code::InDoubt)),
        Happening::Failed(code) => ("failed", Some(code)),
        Happening::Forced => ("forced", None),
        Happening::Imported => ("imported", None),
        Happening::Parked(cause) => ("parked", Some(cause.code())),
        Happening::Renewed => ("renewed", None),
        Happening::SignedIn => ("signed-in", None),
        Happening::SignedOut => ("signed-out", None),
    }
}

fn in_words(happening: Happening) -> String {
    match happening {
        Happening::AnswerHealed => {
            "renewed, after an answer was lost or a process had died: nothing is lost".to_owned()
        }
        Happening::CrashFound => "a renewal was found under way whose process had died or stopped".to_owned(),
        Happening::Failed(Code::InDoubt) => "a renewal was sent and its answer was lost".to_owned(),
        Happening::Failed(code) => format!("not renewed: {code}"),
        Happening::Forced => "a resource refused the token, and it was renewed for that".to_owned(),
        Happening::Imported => "a token set was handed in".to_owned(),
        Happening::Parked(cause) => format!("waits for a person: {}", Cause::describe(cause)),
        Happening::Renewed => "renewed".to_owned(),
        Happening::SignedIn => "a person signed in".to_owned(),
        Happening::SignedOut => "somebody signed out".to_owned(),
    }
}

fn client_authentication(terms: &Terms) -> &'static str {
    match terms.client_auth {
        ClientAuth::Basic(_) => "client_secret_basic",
        ClientAuth::None => "none",
        ClientAuth::Post(_) => "client_secret_post",
        ClientAuth::PrivateKeyJwt(_) => "private_key_jwt",
        ClientAuth::TlsClient(_) => "tls_client_auth",
    }
}

/// One line for each thing that there is to say.
fn in_full(handle: &GrantHandle, record: &Grant, status: GrantStatus) -> String {
    let now = now();
    let terms = handle.settings().terms();
    let terms = terms.as_registered(record);
    let at = |secs: Option<u64>| secs.map(|secs| moment(now, Timestamp::from_secs(secs)));
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let trouble = status.last_trouble.as_ref();
    let lines = [
        ("grant", Some(status.name.clone())),
        ("standing", Some(status.standing.clone())),
        ("code", status.code.as_ref().map(|code| format!("{code}, see docs/errors/{code}.md"))),
        ("what happened", status.detail.clone()),
        ("what to do", Some(status.what_to_do.clone())),
        ("generation", Some(status.generation.to_string())),
        ("token ends", at(status.access_token_expires_at)),
        ("grant ends", at(status.grant_ends_at)),
        ("last renewal", at(status.last_renewed_at)),
        ("next renewal", at(status.next_renewal_at)),
        (
            "last trouble",
            trouble.map(|told| {
                format!("{}, {} ({})", told.code, words::seen_from(now, Timestamp::from_secs(told.at)), told.detail)
            }),
        ),
        ("failed since", (record.failures > 0).then(|| record.failures.to_string())),
        // Names as a server gave them may move a cursor.
        (
            "account",
            record.subject_name.as_ref().or(record.subject.as_ref()).map(|name| name.escape_debug().to_string()),
        ),
        ("grant type", Some(status.grant_type.clone())),
        ("server", said(&terms.authorization_server)),
        ("client", said(&terms.client_id).map(|id| format!("{id} ({})", client_authentication(&terms)))),
        ("scope", said(&terms.scope_words().collect::<Vec<_>>().join(" "))),
        ("not granted", said(&status.scope_not_granted.join(" "))),
        ("wanted", said(&status.scope_wanted.join(" "))),
        ("resource", terms.resource.clone()),
        ("bound by DPoP", terms.dpop.then(|| "yes".to_owned())),
        ("upstream", status.upstream.clone()),
    ];
    let told = lines.into_iter().filter_map(|(name, value)| Some(format!("{name:<14} {}", value?)));
    told.collect::<Vec<_>>().join("\n")
}

fn history(events: &[Event], now: Timestamp) -> String {
    if events.is_empty() {
        return "nothing is known of the past of this grant".to_owned();
    }
    let row = |event: &Event| {
        let seldom = event.times == 1;
        let times = format!("{} times since {}", event.times, words::rfc3339(event.first_at));
        vec![
            moment(now, event.at),
            in_words(event.happening),
            if seldom { output::NOTHING.to_owned() } else { times },
            event.generation.to_string(),
            event.took.map_or_else(|| output::NOTHING.to_owned(), took),
            event.process.map_or(output::NOTHING, Process::as_str).to_owned(),
        ]
    };
    output::table(&["when", "what", "how often", "generation", "took", "by"], events.iter().map(row).collect())
}

fn took(took: Duration) -> String {
    if took < Duration::from_secs(1) { format!("{} ms", took.as_millis()) } else { words::duration(took) }
}

fn moment(now: Timestamp, at: Timestamp) -> String {
    format!("{} ({})", words::rfc3339(at), words::seen_from(now, at))
}
