//! The demo shows what it says, by figures it counted.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::Bed;

fn run<'a>(told: &'a Value, name: &str) -> &'a Value {
    told["runs"].as_array().unwrap().iter().find(|run| run["name"] == name).unwrap()
}

#[test]
fn through_outlast_every_step_is_done_and_without_it_the_task_fails() {
    let bed = Bed::new();
    let begun = Instant::now();
    let told = bed.run(&["demo", "--json"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(begun.elapsed() < Duration::from_secs(75));
    let told = told.json();
    assert_eq!(told["runs"].as_array().unwrap().len(), 3);
    let outlast = run(&told, "outlast");
    assert_eq!((&outlast["steps_done"], &outlast["steps_total"]), (&24.into(), &24.into()), "{told}");
    assert_eq!((&outlast["unauthorized_seen"], &outlast["reuse_alarms"]), (&0.into(), &0.into()), "{told}");
    assert_eq!(outlast["grant_alive"], true, "{told}");
    assert!(outlast["token_requests"].as_u64().unwrap() > 0, "{told}");
    assert_eq!((&outlast["steps_run_twice"], &outlast["logins"]), (&0.into(), &1.into()), "{told}");
    // A call may have been answered and not yet been recorded when its agent was killed.
    assert!(outlast["work_paid_twice"].as_u64().unwrap() <= 4, "{told}");
    assert_eq!(outlast["killed_by_signal"], 9, "the first agent was a process, and was killed: {told}");
    let fixed = run(&told, "fixed-token");
    for plain in [fixed, run(&told, "refresh-per-worker")] {
        let (done, twice) = (plain["steps_done"].as_u64().unwrap(), plain["steps_run_twice"].as_u64().unwrap());
        assert!(done < 24 && twice > 0 && plain["work_paid_twice"].as_u64().unwrap() >= 5 * twice, "{told}");
        assert_eq!(plain["logins"], 0, "{told}");
    }
    assert!(fixed["steps_done"].as_u64().unwrap() < 24 && fixed["unauthorized_seen"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(fixed["token_requests"], 0, "{told}");
    let racing = run(&told, "refresh-per-worker");
    assert!(racing["reuse_alarms"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(racing["grant_alive"], false, "{told}");
    let left: Vec<_> = std::fs::read_dir(bed.home().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!bed.state().exists(), "the demo keeps out of the user's own state");
}

const PATIENCE: Duration = Duration::from_secs(30);
/// An agent whose servers are gone gives up all its steps by itself, and sleeps for longer than this over it.
const GIVING_UP: Duration = Duration::from_secs(9);

/// The agents of a demo that runs: its children.
fn agents(demo: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{demo}/task/{demo}/children")).unwrap_or_default();
    children.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn is_running(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that nobody has waited for yet is dead all the same.
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn wait_for(what: &str, at_most: Duration, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < at_most, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_agent_outlives_a_demo_that_is_killed_and_none_is_told_a_secret_where_others_can_read_it() {
    let bed = Bed::new();
    let mut demo = bed.command(&["demo"]);
    let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("three agents are started", PATIENCE, || agents(demo.id()).len() == 3);
    let started = agents(demo.id());
    for agent in &started {
        let read = |name: &str| std::fs::read(format!("/proc/{agent}/{name}")).unwrap();
        // Until it has become another program, a child shows what its parent was started with.
        wait_for("the agent is a program of its own", PATIENCE, || read("cmdline").ends_with(b"demo-agent\0"));
        assert_eq!(read("cmdline").split(|byte| *byte == 0).count(), 3, "its name, the verb, and nothing else");
        assert_eq!(read("environ"), b"", "nothing is handed down");
    }
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait_for("every agent has ended", GIVING_UP, || !started.iter().any(|agent| is_running(*agent)));
}
