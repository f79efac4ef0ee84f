//! Running a program beside a sidecar: what it is given, what is passed on, what is never seen.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Bed, SECRET};

fn script(bed: &Bed, arguments: &[&str], script: &str) -> Command {
    let mut words = vec!["run"];
    words.extend_from_slice(arguments);
    words.extend_from_slice(&["--", "sh", "-c", script]);
    bed.command(&words)
}

fn ran(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_exit_code_is_the_childs() {
    let bed = Bed::new();
    bed.import("crm");
    for code in [0, 1, 42, 75] {
        assert_eq!(ran(script(&bed, &[], &format!("exit {code}"))).0, Some(code));
    }
    assert_eq!(ran(script(&bed, &[], "kill -KILL $$")).0, Some(137));
}

#[test]
fn a_command_that_is_not_there_is_127_and_said() {
    let bed = Bed::new();
    let told = bed.run(&["run", "--", "no-such-program-here"]);
    assert_eq!(told.code, 127, "{told:?}");
    assert!(told.stderr.contains("no-such-program-here: command not found"), "{told:?}");
}

#[test]
fn grants_whose_variables_are_the_same_are_refused_before_the_program_starts() {
    let bed = Bed::new();
    let two = |one: &str, other: &str| {
        let (one, other) = (bed.grant(one), bed.grant(other));
        let (table, _) = one.split_once("[proxy]").unwrap();
        bed.configure(&format!("{table}{other}"));
    };
    two("crm-prod", "crm_prod");
    let told = bed.run(&["run", "--", "echo", "started"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("OUTLAST_CRM_PROD_URL"), "{told:?}");
    assert!(!told.stdout.contains("started"), "{told:?}");
    let told = bed.run(&["run", "--grant", "crm-prod", "--", "true"]);
    assert_eq!(told.code, 0, "{told:?}");
    two("crm", "other");
    let told = bed.run(&["run", "--grant", "crm=SAME", "--grant", "other=SAME", "--", "true"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("SAME"), "{told:?}");
}

#[test]
fn signals_reach_the_child_and_its_answer_comes_back() {
    let bed = Bed::new();
    bed.import("crm");
    for (signal, code) in [("TERM", 43), ("INT", 44), ("HUP", 45)] {
        let text = format!("trap 'exit {code}' {signal}; echo ready; while :; do sleep 0.05; done");
        let mut child = script(&bed, &[], &text).stdout(Stdio::piped()).spawn().unwrap();
        wait_for_line(&mut child);
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
    }
    let mut child = script(&bed, &[], "echo ready; exec sleep 30").stdout(Stdio::piped()).spawn().unwrap();
    wait_for_line(&mut child);
    kill(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn the_child_finds_what_it_needs_and_no_secret() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let (code, environment, stderr) = ran(script(&bed, &["--grant", "crm"], "env; cat \"$OUTLAST_CRM_TOKEN_FILE\""));
    assert_eq!(code, Some(0), "{stderr}");
    let (environment, token) = environment.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(token, issued.access, "the token file holds the access token");
    for name in ["OUTLAST_SOCKET", "OUTLAST_CAPABILITY", "OUTLAST_URL", "OUTLAST_CRM_URL", "OUTLAST_CRM_TOKEN_FILE"] {
        assert!(environment.contains(&format!("{name}=")), "{name} is missing: {environment}");
    }
    for secret in [issued.access.as_str(), issued.refresh.as_str(), SECRET, "CRM_SECRET"] {
        assert!(!environment.contains(secret) && !stderr.contains(secret), "{environment} {stderr}");
    }
}

#[test]
fn t14_what_a_killed_run_left_behind_is_removed_by_the_next_and_nothing_of_one_that_goes_on() {
    let bed = Bed::new();
    bed.import("crm");
    let start = || {
        let mut child = script(&bed, &[], "echo ready; exec sleep 60").stdout(Stdio::piped()).spawn().unwrap();
        wait_for_line(&mut child);
        child
    };
    let folders = || std::fs::read_dir(bed.home().join("tmp")).unwrap().map(|entry| entry.unwrap().path());
    let (mut killed, mut goes_on) = (start(), start());
    let name = |child: &Child| format!("outlast-run-{}-", child.id());
    let has = |child: &Child| folders().any(|path| path.to_str().unwrap().contains(&name(child)));
    let sleeper = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", killed.id())).unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let left = folders().find(|path| path.to_str().unwrap().contains(&name(&killed))).unwrap();
    assert!(left.join("tokens/crm").exists(), "an access token lies there");
    // A folder that only looks like one of ours.
    std::fs::create_dir(bed.home().join("tmp/outlast-of-another")).unwrap();
    assert_eq!(ran(script(&bed, &[], "true")).0, Some(0));
    assert!(!has(&killed) && has(&goes_on) && bed.home().join("tmp/outlast-of-another").exists());
    kill(&goes_on, "TERM");
    goes_on.wait().unwrap();
    assert!(!has(&goes_on));
    for id in sleeper.split_whitespace() {
        Command::new("kill").arg(id).status().unwrap();
    }
}

#[test]
fn the_token_file_bears_the_name_that_was_asked_for() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let (_, stdout, stderr) = ran(script(&bed, &["--grant", "crm=MY_KEY_FILE"], "cat \"$MY_KEY_FILE\""));
    assert_eq!(stdout.trim(), issued.access, "{stderr}");
    let (code, _, stderr) = ran(script(&bed, &["--grant", "crm=not a name"], "true"));
    assert_eq!(code, Some(78), "{stderr}");
}

#[test]
fn no_secret_stands_on_a_command_line_while_the_child_runs() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let text = "echo ready; cat /proc/$PPID/cmdline /proc/$$/cmdline /proc/$$/environ | tr '\\0' '\\n'";
    let (_, stdout, _) = ran(script(&bed, &[], text));
    assert!(stdout.contains("ready"));
    for secret in [issued.access.as_str(), issued.refresh.as_str(), SECRET] {
        assert!(!stdout.contains(secret), "{stdout}");
    }
}

#[test]
fn an_agent_with_a_fixed_address_and_key_outlives_its_tokens() {
    let bed = Bed::with_life(Duration::from_secs(2));
    bed.import("crm");
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: there is no curl");
        return;
    }
    let text = "for n in 1 2 3 4 5 6; do \
                curl --noproxy '*' -s -o /dev/null -w '%{http_code}\\n' -H \"Authorization: Bearer $OUTLAST_CAPABILITY\" \
                \"$OUTLAST_CRM_URL/api/step/$n\"; sleep 0.8; done";
    let (code, stdout, stderr) = ran(script(&bed, &["--grant", "crm"], text));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "200\n".repeat(6), "{stderr}");
    let counters = bed.sandbox.counters();
    assert!(counters.refreshes >= 2 && counters.reuse_alarms == 0, "{counters:?}");
}

#[test]
fn nothing_is_left_behind_and_the_grant_goes_on() {
    let bed = Bed::with_life(Duration::from_secs(2));
    bed.import("crm");
    assert_eq!(ran(script(&bed, &[], "sleep 3")).0, Some(0));
    let left: Vec<_> = std::fs::read_dir(bed.home().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
    assert_eq!(bed.sandbox.counters().reuse_alarms, 0);
}

#[test]
fn a_program_that_ends_during_a_renewal_does_not_lose_its_answer() {
    let bed = Bed::with_life(Duration::from_secs(4));
    bed.import("crm");
    let delay = Duration::from_millis(2500);
    bed.sandbox.fault(outlast_sandbox::Fault::Slow { delay }, outlast_sandbox::Lasting::UntilCleared);
    // It is due at three quarters of its life at most; the answer comes well after the program's end.
    assert_eq!(ran(script(&bed, &[], "sleep 3.6")).0, Some(0));
    bed.sandbox.clear_faults();
    let counters = bed.sandbox.counters();
    assert!(counters.refreshes >= 1, "{counters:?}");
    assert_eq!(bed.generation("crm"), 1 + counters.refreshes, "every answer was kept");
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
    assert_eq!(bed.sandbox.counters().reuse_alarms, 0);
}

#[test]
fn a_running_sidecar_shares_its_grants_with_run_and_may_stop_at_any_time() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let mut serve = bed.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serve.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("outlast serves http://127.0.0.1:"), "{line}");
    let socket = bed.state().join("control.sock");
    let (code, stdout, stderr) = ran(script(&bed, &[], "echo $OUTLAST_SOCKET $OUTLAST_URL"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.contains(socket.to_str().unwrap()), "a restart of that one would end this: {stdout}");
    let url = stdout.trim().rsplit_once(' ').unwrap().1;
    assert!(!line.contains(url), "{line} {url}");
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access);
    let capability = std::fs::read_to_string(bed.state().join("capability")).unwrap();
    assert!(capability.trim().len() > 32);
    kill(&serve, "TERM");
    assert_eq!(serve.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_second_sidecar_is_told_that_there_is_one() {
    let bed = Bed::new();
    let mut serve = bed.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serve.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let told = bed.run(&["serve"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("another sidecar answers"), "{told:?}");
    kill(&serve, "INT");
    assert_eq!(serve.wait().unwrap().code(), Some(0));
}

fn wait_for_line(child: &mut Child) {
    let mut line = String::new();
    // The pipe is kept: a child that writes to a closed one would be killed by it.
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
}

fn kill(child: &Child, signal: &str) {
    let killed = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}
