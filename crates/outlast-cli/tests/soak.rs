//! T16: agents that work for long on tokens that live for ten seconds, while everything around them goes
//! wrong now and then. Fifty grants at five servers, each server a process of its own; a daemon and two
//! `outlast run` share the store.
//!
//! What the servers do to the grants is only what a client can outlast by itself: the agents must not see
//! one refusal. A server with no grace window loses no answers here, for that ends a grant whoever asks.
//!
//! `OUTLAST_SOAK_SECONDS` sets how long, `OUTLAST_SOAK_PAUSE_MILLISECONDS` how long between two faults, and
//! `OUTLAST_SEED` which faults.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs)]

mod support;

use outlast_testkit::judge::Judge;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use support::home::Home;
use support::judged::{Dice, Serving, command, configure, figures, grant_table, import, monotonic, number, signal};

const SERVERS: usize = 5;
const GRANTS_OF_EACH: usize = 10;
const LIFE_SECONDS: u64 = 10;
/// L3: an outage of at most a fifth of a token's life is seen by nobody.
const OUTAGE_SECONDS: f64 = LIFE_SECONDS as f64 / 5.0;
/// How far apart the outages of a server are.
const OUTAGE_EVERY_SECONDS: f64 = LIFE_SECONDS as f64 * 2.0;
/// How far apart the requests of a grant are that go wrong by themselves.
const FAULT_EVERY_SECONDS: f64 = LIFE_SECONDS as f64 * 3.0;
/// A grant's access tokens are ended early at most so often: more is not renewed for (D12).
const ENDED_EVERY_SECONDS: f64 = 660.0;
/// From here on the slope of the memory is a promise, and not the noise of a start.
const SLOPE_SECONDS: u64 = 3600;
/// Per cent of the memory in use, per hour.
const SLOPE_MAX: f64 = 1.0;

/// How long before a refusal what its server saw is told.
const TOLD_BEFORE_SECONDS: f64 = 40.0;

/// The servers, and what they write down: those of an even number forgive a lost answer for a minute.
struct Servers {
    judges: Vec<Judge>,
    logs: tempfile::TempDir,
}

impl Servers {
    fn start() -> Self {
        let logs = tempfile::tempdir().unwrap();
        let judges = (0..SERVERS).map(|server| Judge::start(Some(&Self::log(&logs, server)))).collect();
        Self { judges, logs }
    }

    fn log(logs: &tempfile::TempDir, server: usize) -> PathBuf {
        logs.path().join(format!("server-{server}.jsonl"))
    }

    /// Tells what the servers saw of a grant before an agent was refused it: what has to be known to say whose
    /// fault that was.
    fn explain(&self, trouble: &Value) {
        let grant = trouble["grant"].as_str().unwrap();
        let (server, _) = Self::grants().find(|(_, name)| name == grant).unwrap();
        let from = trouble["asked"].as_f64().unwrap() - TOLD_BEFORE_SECONDS;
        let until = trouble["answered"].as_f64().unwrap() + 1.0;
        println!("{trouble}");
        for line in fs::read_to_string(Self::log(&self.logs, server)).unwrap().lines() {
            let seen: Value = serde_json::from_str(line).unwrap();
            let at = seen["monotonic"].as_f64().unwrap();
            if (from..until).contains(&at) && (seen["family"] == *grant || seen["family"].is_null()) {
                println!("  {:>8.3} {line}", at - trouble["asked"].as_f64().unwrap());
            }
        }
    }

    fn grants() -> impl Iterator<Item = (usize, String)> {
        (0..SERVERS).flat_map(|server| (0..GRANTS_OF_EACH).map(move |n| (server, format!("s{server}g{n}"))))
    }

    fn forgives(server: usize) -> bool {
        server.is_multiple_of(2)
    }

    /// One more thing goes wrong; its name. Where something went wrong just now, nothing does: what a client
    /// can outlast is one outage in a life of its tokens, and not one on top of another.
    fn go_wrong(&self, dice: &mut Dice, lately: &mut Lately) -> &'static str {
        let server = usize::try_from(dice.below(SERVERS as u64)).unwrap();
        let grant = format!("s{server}g{}", dice.below(GRANTS_OF_EACH as u64));
        let judge = &self.judges[server];
        match dice.below(7) {
            0 if lately.is_past(&format!("s{server}"), OUTAGE_EVERY_SECONDS) => {
                judge.fault(&json!({ "kind": "unavailable", "for": OUTAGE_SECONDS }));
                "outage"
            }
            6 if lately.is_past(&format!("{grant} access"), ENDED_EVERY_SECONDS) => {
                judge.end_access(&grant);
                "access ended early"
            }
            kind => {
                let wrong = match kind {
                    1 => Some(("drop-before", "connection closed")),
                    2 => Some(("delay", "told late")),
                    3 => Some(("hold", "carried out late")),
                    4 if Self::forgives(server) => Some(("drop", "answer lost")),
                    5 if Self::forgives(server) => Some(("cut", "answer cut")),
                    _ => None,
                };
                let Some((kind, name)) = wrong.filter(|_| lately.is_past(&grant, FAULT_EVERY_SECONDS)) else {
                    return "nothing";
                };
                judge.fault(&json!({ "kind": kind, "family": grant, "seconds": 1 }));
                name
            }
        }
    }
}

/// When what went wrong last.
#[derive(Default)]
struct Lately(BTreeMap<String, f64>);

impl Lately {
    /// Whether that went wrong longer ago, or never; if so, it does now.
    fn is_past(&mut self, what: &str, seconds: f64) -> bool {
        let now = monotonic();
        let past = self.0.get(what).is_none_or(|at| now - at > seconds);
        if past {
            self.0.insert(what.to_owned(), now);
        }
        past
    }
}

/// Memory and open files of a process, as time goes on.
#[derive(Default)]
struct Watched {
    /// Seconds since the start, and kibibytes.
    memory: Vec<(f64, f64)>,
    files: Vec<usize>,
}

impl Watched {
    fn look(&mut self, process: &Child, at: f64) {
        let own = format!("/proc/{}", process.id());
        let status = fs::read_to_string(format!("{own}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        self.memory.push((at, line.trim().trim_end_matches(" kB").parse().unwrap()));
        self.files.push(fs::read_dir(format!("{own}/fd")).unwrap().count());
    }

    /// How the memory grows over the second half, by least squares: per cent of its mean, per hour.
    fn slope(&self) -> f64 {
        let half = &self.memory[self.memory.len() / 2..];
        let count = half.len() as f64;
        let (at, memory) =
            (half.iter().map(|it| it.0).sum::<f64>() / count, half.iter().map(|it| it.1).sum::<f64>() / count);
        let (mut over, mut under) = (0.0, 0.0);
        for (x, y) in half {
            over += (x - at) * (y - memory);
            under += (x - at) * (x - at);
        }
        over / under / memory * 3600.0 * 100.0
    }

    /// The most files open in the first two thirds, and in the last.
    fn most_files(&self) -> (usize, usize) {
        let (early, late) = self.files.split_at(self.files.len() * 2 / 3);
        (*early.iter().max().unwrap(), *late.iter().max().unwrap())
    }

    fn figures(&self) -> Value {
        let (early, late) = self.most_files();
        json!({
            "memory_kib_at_half": self.memory[self.memory.len() / 2].1,
            "memory_kib_at_end": self.memory.last().unwrap().1,
            "memory_slope_percent_per_hour": (self.slope() * 100.0).round() / 100.0,
            "files_most_at_first": early,
            "files_most_at_last": late,
        })
    }
}

/// An agent with every grant, under `outlast run`.
fn agent(home: &Home, tag: &str, seconds: u64) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/soak_agent.py");
    let (script, seconds) = (script.to_str().unwrap().to_owned(), seconds.to_string());
    let mut arguments = vec!["run", "--", "python3", &script, &seconds, "0.5"];
    let names: Vec<String> = Servers::grants().map(|(_, name)| name).collect();
    arguments.extend(names.iter().map(String::as_str));
    let mut agent = command(home, tag, &arguments).stdin(Stdio::null()).spawn().unwrap();
    // Now, and not at its end: what nobody reads stops who writes.
    home.watch.listen("stderr of run", agent.stderr.take().unwrap(), &[]);
    agent
}

#[test]
fn t16_agents_see_no_refusal_while_servers_go_wrong() {
    let seconds = number("OUTLAST_SOAK_SECONDS", 180);
    let pause = Duration::from_millis(number("OUTLAST_SOAK_PAUSE_MILLISECONDS", 1000));
    let mut dice = Dice::new(number("OUTLAST_SEED", 1));
    let servers = Servers::start();
    let home = Home::new();
    let tables: String = Servers::grants().map(|(server, name)| grant_table(&name, &servers.judges[server])).collect();
    configure(home.path(), &tables);
    for (server, name) in Servers::grants() {
        let grace = if Servers::forgives(server) { 60 } else { 0 };
        let family = servers.judges[server].family(&json!({ "name": name, "life": LIFE_SECONDS, "grace": grace }));
        import(&home, &name, &family);
    }
    let mut daemon = Serving::serve(&home, "serve");
    let agents = [agent(&home, "run-1", seconds), agent(&home, "run-2", seconds)];
    let began = monotonic();
    let (mut watched, mut lately, mut wrong) = (Watched::default(), Lately::default(), BTreeMap::new());
    // The last faults come early enough to be over before the agents are.
    while monotonic() - began < seconds as f64 {
        watched.look(&daemon.child, monotonic() - began);
        if monotonic() - began < seconds as f64 - 10.0 {
            *wrong.entry(servers.go_wrong(&mut dice, &mut lately)).or_insert(0) += 1;
        }
        std::thread::sleep(pause);
    }
    let told: Vec<Value> = agents.into_iter().map(counted).collect();
    signal(&daemon.child, "TERM");
    daemon.child.wait().unwrap();
    judge(&servers, seconds, &told, &watched, &json!(wrong));
}

fn counted(agent: Child) -> Value {
    let output = agent.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|cause| panic!("{cause}: {output:?}"))
}

fn judge(servers: &Servers, seconds: u64, told: &[Value], watched: &Watched, wrong: &Value) {
    let seen: Vec<Value> = servers.judges.iter().map(Judge::seen_in_all).collect();
    let sum = |name: &str| seen.iter().map(|seen| seen["sums"][name].as_u64().unwrap()).sum::<u64>();
    figures(
        "soak",
        &json!({
            "seconds": seconds,
            "grants": SERVERS * GRANTS_OF_EACH,
            "servers": SERVERS,
            "faults": wrong,
            "rotations": sum("rotations"),
            "token_requests": sum("requests"),
            "repeats_in_a_grace_window": sum("repeats"),
            "reuses": sum("reuses"),
            "families_killed": seen.iter().map(|seen| seen["killed"].as_u64().unwrap()).sum::<u64>(),
            "agents": told,
            "daemon": watched.figures(),
        }),
    );
    for trouble in told.iter().flat_map(|agent| agent["troubles"].as_array().unwrap()) {
        servers.explain(trouble);
    }
    for agent in told {
        let statuses: Vec<&String> = agent["statuses"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["200"], "{agent}");
    }
    for seen in &seen {
        assert_eq!((&seen["killed"], &seen["unknown_tokens"]), (&json!(0), &json!(0)), "{seen}");
        for family in seen["families"].as_array().unwrap() {
            let lives = seconds / LIFE_SECONDS;
            assert!(family["rotation"].as_u64().unwrap() >= lives, "{family} in {lives} lives");
        }
    }
    let (early, late) = watched.most_files();
    assert!(late <= early + 5, "{early} files were open at most, later {late}");
    assert!(seconds < SLOPE_SECONDS || watched.slope() <= SLOPE_MAX, "{}", watched.figures());
}
