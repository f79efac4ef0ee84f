//! `outlast status`: how each grant stands, and what to do.

use super::Done;
use super::task::waiting;
use crate::ask::now;
use crate::context::Context;
use crate::exit::Fault;
use crate::{env, introspected, output, process, words};
use outlast::{Code, GrantSettings, Keeper, Timestamp};
use outlast_daemon::status::GrantStatus;
use serde_json::{Map, Value};
use std::time::Duration;

/// How often `--watch` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What `status` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast status
  outlast status crm --json | jq .seconds_left
  outlast status crm --introspect     also what the server says of the held tokens (RFC 7662)
  outlast status --watch --json       one line whenever something changes
A grant in trouble is no failure of this command: read `standing` and `what to do`.")]
pub(crate) struct Arguments {
    /// The grant; all of them if left out
    name: Option<String>,
    /// Print JSON: an array, or one object if a grant is named
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask the servers how the held tokens stand; changes nothing here
    #[arg(long, conflicts_with = "watch")]
    introspect: bool,
    /// Look again every second
    #[arg(long)]
    watch: bool,
}

/// Shows the standing from the records on disk, which every process shares.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let keeper = context.keeper(settings(&context, arguments.name.as_deref())?)?;
    process::block_on(async {
        if arguments.watch {
            return watch(&keeper, arguments).await;
        }
        let statuses = readable(&keeper, look(&keeper).await?)?;
        let told = if arguments.introspect { Some(introspected::ask(&keeper).await?) } else { None };
        // A journal that cannot be read is told by `outlast task list`, and hides no grant.
        let kept = waiting::kept(&keeper.tasks()).await.unwrap_or_default();
        if arguments.json {
            let value = with_tasks(as_json(&statuses, arguments)?, &kept);
            output::json(&with_introspection(value, told.as_ref()))?;
        } else {
            output::data(&as_text(&statuses, now()))?;
            for status in &statuses {
                let waiting = waiting::for_grant(&kept, &status.name);
                if !waiting.is_empty() {
                    let (grant, tasks) = (&status.name, waiting.join(", "));
                    output::data(&format!("grant {grant} is waited for, between steps, by task {tasks}"))?;
                }
            }
            told.iter().try_for_each(|told| output::data(&introspected::lines(told)))?;
        }
        Ok(0)
    })
}

/// A secret that cannot be had hides no standing: the grant is looked at without it.
pub(super) fn settings(context: &Context, name: Option<&str>) -> Result<Vec<GrantSettings>, Fault> {
    if let Some(name) = name.filter(|name| context.entry(name).is_none()) {
        // Says which name is nearest.
        context.config.resolve_one(name, &env::text)?;
    }
    let resolved = context.config.entries().iter().zip(context.config.resolve_each(&env::text));
    let wanted = resolved.filter(|(entry, _)| name.is_none_or(|name| name == entry.id.as_str()));
    Ok(wanted.map(|(entry, resolved)| resolved.unwrap_or_else(|_| entry.without_secrets())).collect())
}

/// Each grant in order, or why its record cannot be had.
pub(super) async fn look(keeper: &Keeper) -> Result<Vec<Result<GrantStatus, Fault>>, Fault> {
    let mut found = Vec::new();
    for id in keeper.grants() {
        let handle = keeper.grant(id)?;
        found.push(match handle.record().await {
            Ok(record) => Ok(GrantStatus::with_server(&handle, &record, now()).await),
            Err(error) => Err(error.into()),
        });
    }
    Ok(found)
}

/// One whose record cannot be had is told of, and hides no other. A failure if there is no other.
fn readable(keeper: &Keeper, found: Vec<Result<GrantStatus, Fault>>) -> Result<Vec<GrantStatus>, Fault> {
    let none = !found.is_empty() && found.iter().all(Result::is_err);
    let mut statuses = Vec::new();
    for (id, found) in keeper.grants().zip(found) {
        match found {
            Ok(status) => statuses.push(status),
            Err(fault) if none => return Err(fault),
            Err(fault) => output::talk(&format!("warning[{}]: grant {id} is not shown: {}", fault.code, fault.text)),
        }
    }
    Ok(statuses)
}

/// The same for whoever goes on looking: one whose record cannot be had is a line like the others, for it
/// may be mended meanwhile.
fn shown(keeper: &Keeper, found: Vec<Result<GrantStatus, Fault>>) -> Result<Vec<GrantStatus>, Fault> {
    let each = keeper.grants().zip(found).map(|(id, found)| match found {
        Ok(status) => Ok(status),
        Err(fault) => Ok(GrantStatus::unreadable(keeper.grant(id)?.settings(), fault.code, fault.text)),
    });
    each.collect()
}

async fn watch(keeper: &Keeper, arguments: &Arguments) -> Done {
    let on_terminal = output::stdout_is_terminal() && !arguments.json;
    let (mut told, mut stop) = (None, process::Stop::listen()?);
    loop {
        let statuses = shown(keeper, look(keeper).await?)?;
        if on_terminal {
            output::clear_screen()?;
            output::data(&as_text(&statuses, now()))?;
        } else {
            let lasting = lasting(&statuses);
            if told.as_ref() != Some(&lasting) {
                output::data(&output::json_line(&as_json(&statuses, arguments)?))?;
                told = Some(lasting);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.asked() => return Ok(0),
        }
    }
}

/// The statuses without what changes by itself as time passes.
fn lasting(statuses: &[GrantStatus]) -> Vec<GrantStatus> {
    let still = |status: &GrantStatus| GrantStatus {
        seconds_left: None,
        renewal_required_soon: false,
        what_to_do: String::new(),
        ..status.clone()
    };
    statuses.iter().map(still).collect()
}

fn as_json(statuses: &[GrantStatus], arguments: &Arguments) -> Result<Value, Fault> {
    let value = match (statuses, &arguments.name) {
        ([only], Some(_)) => serde_json::to_value(only),
        (all, _) => serde_json::to_value(all),
    };
    value.map_err(|cause| Fault::new(Code::Internal, format!("a status is no JSON: {cause}")))
}

/// Each status with the tasks that are parked for it beside it, under `tasks_parked`, where there are any.
fn with_tasks(mut statuses: Value, kept: &[waiting::Kept]) -> Value {
    let add = |status: &mut Value| {
        let waiting = waiting::for_grant(kept, status["name"].as_str().unwrap_or_default());
        if !waiting.is_empty() {
            status["tasks_parked"] = waiting.into();
        }
    };
    match statuses.as_array_mut() {
        Some(all) => all.iter_mut().for_each(add),
        None => add(&mut statuses),
    }
    statuses
}

/// Each status with what its server says beside it, under `introspection`.
fn with_introspection(mut statuses: Value, told: Option<&Map<String, Value>>) -> Value {
    let Some(told) = told else { return statuses };
    let add = |status: &mut Value| {
        let name = status["name"].as_str().unwrap_or_default().to_owned();
        status["introspection"] = told.get(&name).cloned().unwrap_or_default();
    };
    match statuses.as_array_mut() {
        Some(all) => all.iter_mut().for_each(add),
        None => add(&mut statuses),
    }
    statuses
}

pub(super) fn as_text(statuses: &[GrantStatus], now: Timestamp) -> String {
    if statuses.is_empty() {
        return "no grant is configured; add one with: outlast add NAME".to_owned();
    }
    let head =
        ["grant", "standing", "time left", "grant ends", "last renewal", "next renewal", "last trouble", "what to do"];
    output::table(&head, statuses.iter().map(|status| row(status, now)).collect())
}

fn row(status: &GrantStatus, now: Timestamp) -> Vec<String> {
    let at = |secs: Option<u64>| {
        secs.map_or_else(|| output::NOTHING.to_owned(), |secs| words::seen_from(now, Timestamp::from_secs(secs)))
    };
    let left = match status.seconds_left {
        None => output::NOTHING.to_owned(),
        Some(0) => "expired".to_owned(),
        Some(secs) => words::duration(Duration::from_secs(secs)),
    };
    let trouble = status.last_trouble.as_ref().map_or_else(
        || output::NOTHING.to_owned(),
        |trouble| format!("{}, {} ({})", trouble.code, at(Some(trouble.at)), trouble.detail),
    );
    // Said once: what the last trouble tells in full is not told by the standing as well.
    let told = status.last_trouble.as_ref().map(|trouble| trouble.detail.as_str());
    let code = status.code.as_ref().map_or_else(String::new, |code| format!("[{code}]"));
    let standing = match &status.detail {
        Some(detail) if told != Some(detail) => format!("{}{code}: {detail}", status.standing),
        Some(_) | None => format!("{}{code}", status.standing),
    };
    vec![
        status.name.clone(),
        standing,
        left,
        if status.grant_ends_estimated {
            format!("{} unless renewed", at(status.grant_ends_at))
        } else {
            at(status.grant_ends_at)
        },
        at(status.last_renewed_at),
        at(status.next_renewal_at),
        trouble,
        status.what_to_do.clone(),
    ]
}
