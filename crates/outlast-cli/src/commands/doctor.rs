//! `outlast doctor`: names each fault and its mend.

mod standing;

use super::task::waiting;
use super::{Done, status};
use crate::ask::{clock, now};
use crate::context::Context;
use crate::env::{self, Places};
use crate::exit::{Fault, exit_code};
use crate::{output, process, words};
use outlast::{Code, Keeper, Reach, Server, Timestamp, metadata};
use outlast_daemon::client::ControlClient;
use outlast_daemon::config::Config;
use serde_json::{Value, json};
use standing::standing;
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// A clock that says less is wrong: this was written later (2026-01-01).
const CLOCK_AT_LEAST: Timestamp = Timestamp::from_secs(1_767_225_600);
/// How far a token may have been issued in the future before the clock is to blame.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
/// Room below which a disk counts as full: a renewal writes a few pages, and SQLite its log beside them.
const ROOM_MIN: u64 = 1024 * 1024;
/// Where systemd tells that its time service is at work.
const TIME_SERVICE: &str = "/run/systemd/timesync";
/// Exit codes, worst first.
const WORST_FIRST: [u8; 6] = [70, 78, 65, 77, 75, 69];

/// What `doctor` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast doctor
  outlast doctor --offline --json")]
pub(crate) struct Arguments {
    /// Ask no authorization server
    #[arg(long)]
    offline: bool,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One thing that was looked at.
struct Finding {
    what: String,
    outcome: Result<String, Fault>,
}

/// Looks at everything it can get to; exit code 0 if all is fine, else that of the worst fault.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let findings = examine(arguments.offline)?;
    if arguments.json {
        let checks: Vec<Value> = findings.iter().map(as_json).collect();
        output::json(&json!({ "checks": checks }))?;
    } else {
        for finding in &findings {
            output::data(&as_text(finding))?;
        }
    }
    let codes: Vec<u8> =
        findings.iter().filter_map(|found| found.outcome.as_ref().err()).map(|fault| exit_code(fault.code)).collect();
    Ok(WORST_FIRST.into_iter().find(|code| codes.contains(code)).unwrap_or(0))
}

fn examine(offline: bool) -> Result<Vec<Finding>, Fault> {
    let mut findings = vec![Finding { what: "clock".to_owned(), outcome: clock_works() }];
    let places = env::places()?;
    let context = match Config::load(&places.config) {
        Err(error) => {
            findings.push(Finding { what: "configuration".to_owned(), outcome: Err(error.into()) });
            return Ok(findings);
        }
        Ok(config) => Context { places, config },
    };
    let read = format!("{}; grants: {}", context.config.path().display(), context.config.entries().len());
    findings.push(Finding { what: "configuration".to_owned(), outcome: Ok(read) });
    let mut grants = Vec::new();
    for (entry, resolved) in context.config.entries().iter().zip(context.config.resolve_each(&env::text)) {
        let outcome = match resolved {
            Ok(settings) => {
                grants.push(settings);
                Ok("its secret can be had, or it needs none".to_owned())
            }
            Err(error) => Err(error.into()),
        };
        findings.push(Finding { what: format!("grant {} client", entry.id), outcome });
    }
    findings.push(Finding { what: "key".to_owned(), outcome: key(&context) });
    findings.extend(store(&context)?);
    process::block_on(async {
        if !offline {
            for grant in &grants {
                let what = format!("grant {} server", grant.id);
                findings.push(Finding { what, outcome: server(&grant.server).await });
            }
        }
        findings.push(Finding { what: "sidecar".to_owned(), outcome: sidecar(&context.places).await });
        Ok(())
    })?;
    Ok(findings)
}

fn clock_works() -> Result<String, Fault> {
    let now = now();
    if now < CLOCK_AT_LEAST {
        let text = format!("the clock says {}, which has passed", words::rfc3339(now));
        return Err(Fault::new(Code::ConfigurationInvalid, text)
            .mend("set the clock, for example with: timedatectl set-ntp true"));
    }
    let (off, ahead) = clock().wall_is_off_by();
    let mut told = words::rfc3339(now);
    if off > CLOCK_SLACK {
        let (by, way) = (words::duration(off), if ahead { "forward" } else { "back" });
        told += &format!("; the wall clock was set {way} by {by} since this boot's first use, and moves no deadline");
    }
    if never_set(Path::new(TIME_SERVICE)) {
        told += "; the time service has not set it since the machine was started: it may be wrong until then";
    }
    Ok(told)
}

/// Whether the time service runs and has not yet had an answer.
fn never_set(service: &Path) -> bool {
    service.exists() && !service.join("synchronized").exists()
}

fn key(context: &Context) -> Result<String, Fault> {
    let source = context.config.key_source(&env::text)?;
    Ok(format!(
        "{}; the isolation is that of the user: what this command can read, every program of the same user can, unless \
         it runs in a container of its own",
        source.describe()
    ))
}

/// Looks without making anything, so that a question does not leave a store behind.
fn store(context: &Context) -> Result<Vec<Finding>, Fault> {
    let finding = |outcome| Finding { what: "store".to_owned(), outcome };
    let home = &context.places.home;
    let shown = home.display();
    if !home.exists() {
        let parent = home.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let made = writable(parent).map(|()| format!("{shown} is not there yet and will be made at the first import"));
        return Ok(vec![finding(made)]);
    }
    let written = writable(home).map(|()| format!("{shown} is writable, and not full"));
    // A disk that takes no more can be read; a secret that cannot be had hides no standing.
    let opened = context.keeper(status::settings(context, None)?);
    let (keeper, outcome) = match (opened, written) {
        (Err(_), Err(fault)) | (Err(fault), Ok(_)) => return Ok(vec![finding(Err(fault))]),
        (Ok(keeper), outcome) => (keeper, outcome),
    };
    let mut findings = vec![finding(outcome)];
    process::block_on(async {
        for (id, found) in keeper.grants().zip(status::look(&keeper).await?) {
            let outcome = match found {
                Ok(status) => standing(&status, now()),
                Err(fault) => Err(fault),
            };
            findings.push(Finding { what: format!("grant {id}"), outcome });
        }
        findings.push(Finding { what: "time of the tokens".to_owned(), outcome: times(&keeper).await });
        for kept in waiting::kept(&keeper.tasks()).await? {
            let what = format!("task {}", kept.0);
            findings.extend(waiting::fault(kept, now()).map(|fault| Finding { what, outcome: Err(fault) }));
        }
        Ok(())
    })?;
    Ok(findings)
}

fn writable(folder: &Path) -> Result<(), Fault> {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|cause| {
        Fault::new(Code::StoreUnwritable, format!("{} cannot be written to: {cause}", folder.display()))
            .mend("make it writable, or set OUTLAST_HOME to a folder that is")
    })?;
    // A disk that does not tell is found out by the first write, before anything is spent.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    if disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM_MIN {
        return Ok(());
    }
    let text =
        format!("the disk of {} is full or nearly so: less than {} KiB are left", folder.display(), ROOM_MIN / 1024);
    Err(Fault::new(Code::StoreUnwritable, text)
        .mend("make room on it; nothing is renewed while no record can be written"))
}

async fn times(keeper: &Keeper) -> Result<String, Fault> {
    for id in keeper.grants() {
        // One that cannot be read was told of.
        let Ok(record) = keeper.grant(id)?.record().await else { continue };
        let issued = record.tokens.map(|tokens| tokens.issued_at);
        if issued.is_some_and(|issued| issued > now().plus(CLOCK_SLACK)) {
            let text = format!("the token of grant {id} was issued in the future: the clock has gone back");
            return Err(Fault::new(Code::ConfigurationInvalid, text)
                .mend("set the clock, for example with: timedatectl set-ntp true"));
        }
    }
    Ok("none was issued in the future".to_owned())
}

async fn server(server: &Server) -> Result<String, Fault> {
    match server {
        Server::Found { issuer, reach } => discovered(issuer, *reach).await,
        Server::Issuer(issuer) => discovered(issuer, Reach::Anywhere).await,
        Server::Known(provider) => reach(&provider.token_endpoint).await,
        Server::None => Ok("this grant has no authorization server".to_owned()),
    }
}

async fn discovered(issuer: &str, reach: Reach) -> Result<String, Fault> {
    let found = metadata::discover(issuer, reach).await;
    let found = found.map_err(|error| Fault::new(error.code(), error.to_string()))?;
    Ok(format!("{issuer} answers; token endpoint {}", found.token_endpoint))
}

/// Whether a connection can be made; nothing is asked, for a token endpoint has nothing to say
/// that would not count as an attempt.
async fn reach(address: &str) -> Result<String, Fault> {
    let unreachable = |cause: &str| {
        Fault::new(Code::ServerUnreachable, format!("{address} cannot be reached: {cause}"))
            .mend("check the network and the address; Outlast keeps the grant meanwhile")
    };
    let url = url::Url::parse(address).map_err(|_| unreachable("it is no address"))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(unreachable("it names no host"));
    };
    let host = host.trim_matches(['[', ']']);
    match tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect((host, port))).await {
        Err(_) => Err(unreachable("no answer in time")),
        Ok(Err(cause)) => Err(unreachable(&cause.to_string())),
        Ok(Ok(_)) => Ok(format!("{address} can be reached")),
    }
}

async fn sidecar(places: &Places) -> Result<String, Fault> {
    let socket = &places.socket;
    let shown = socket.display();
    if !socket.exists() {
        return Ok("none is running; outlast run starts one where it is needed".to_owned());
    }
    match tokio::time::timeout(CONNECT_TIME_MAX, UnixStream::connect(socket)).await {
        Ok(Ok(_)) => Ok(format!("answers at {shown}{}", window(socket).await.unwrap_or_default())),
        Ok(Err(_)) | Err(_) => Err(Fault::new(Code::DaemonUnreachable, format!("nothing answers at {shown}"))
            .mend(format!("start it with: outlast serve, or remove what the last one left: rm {shown}"))),
    }
}

/// For how long a renewed token set of the sidecar is at risk (F04); nothing before the first renewal.
async fn window(socket: &Path) -> Option<String> {
    let metrics = async { ControlClient::connect(socket).await?.get("/metrics").await };
    let (_, metrics) = tokio::time::timeout(CONNECT_TIME_MAX, metrics).await.ok()?.ok()?;
    let metrics = String::from_utf8_lossy(&metrics);
    let millis = |of: &str| {
        let label = format!("outlast_window_microseconds{{of=\"{of}\"}} ");
        let micros: u32 = metrics.lines().find_map(|line| line.strip_prefix(&label))?.parse().ok()?;
        Some(f64::from(micros) / 1000.0)
    };
    Some(format!(
        "; its renewed token sets were on disk {:.1} ms after the answer or sooner (99 of 100), the last after {:.1} ms",
        millis("p99")?,
        millis("last")?
    ))
}

fn as_text(finding: &Finding) -> String {
    match &finding.outcome {
        Ok(detail) => format!("ok     {}: {detail}", finding.what),
        Err(fault) => format!(
            "FAULT  {}: {}\n       code {}; what to do: {}\n       see: {}",
            finding.what,
            fault.text,
            fault.code,
            fault.what_to_do(),
            output::page(fault.code)
        ),
    }
}

fn as_json(finding: &Finding) -> Value {
    match &finding.outcome {
        Ok(detail) => json!({ "check": finding.what, "ok": true, "detail": detail }),
        Err(fault) => json!({
            "check": finding.what,
            "ok": false,
            "detail": fault.text,
            "code": fault.code.as_str(),
            "what_to_do": fault.what_to_do(),
            "see": output::page(fault.code),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f19_a_time_service_without_an_answer_yet_is_told_apart_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let service = folder.path().join("timesync");
        assert!(!never_set(&service), "there is none");
        std::fs::create_dir(&service).unwrap();
        assert!(never_set(&service));
        std::fs::File::create(service.join("synchronized")).unwrap();
        assert!(!never_set(&service));
    }
}
