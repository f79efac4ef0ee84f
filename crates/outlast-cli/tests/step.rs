//! `outlast step` and `outlast task`: a step is run once, and never silently twice.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use support::{Bed, Told};

/// A step whose command is a line of shell.
fn step(bed: &Bed, arguments: &[&str], script: &str) -> Command {
    let mut words = vec!["step", "--task", "harvest"];
    words.extend_from_slice(arguments);
    words.extend_from_slice(&["--", "sh", "-c", script]);
    bed.command(&words)
}

fn ran(mut command: Command) -> Told {
    Told::of(command.output().unwrap())
}

/// What stands between those words is a moment of these minutes, as people read one.
#[track_caller]
fn assert_is_now(told: &Told, before: &str, after: &str) {
    let rest = told.stderr.split_once(before).map(|(_, rest)| rest).unwrap_or_else(|| panic!("{told:?}"));
    let (moment, _) = rest.split_once(after).unwrap_or_else(|| panic!("{told:?}"));
    let moment: jiff::Timestamp = moment.parse().unwrap_or_else(|cause| panic!("{moment}: {cause}"));
    let apart = jiff::Timestamp::now().duration_since(moment).unsigned_abs();
    assert!(apart < Duration::from_secs(120), "{moment} is {apart:?} from now");
}

fn counted(bed: &Bed) -> usize {
    std::fs::read_to_string(runs(bed)).map_or(0, |text| text.lines().count())
}

fn runs(bed: &Bed) -> PathBuf {
    bed.home().join("runs")
}

/// Counts that it ran, then does something.
fn counting(bed: &Bed, script: &str) -> String {
    format!("echo x >> {}; {script}", runs(bed).display())
}

fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..600 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never came to be");
}

fn started(bed: &Bed, arguments: &[&str], script: &str) -> Child {
    let before = counted(bed);
    let mut command = step(bed, arguments, &counting(bed, script));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(|| counted(bed) > before);
    child
}

#[test]
fn a_step_is_run_once_and_its_bytes_are_printed_ever_after() {
    let bed = Bed::new();
    let script = counting(&bed, r"printf 'a\377\000b\n\n'; echo talk >&2");
    let output = |told: &Output| (told.status.code(), told.stdout.clone());
    let expected = (Some(0), b"a\xff\0b\n\n".to_vec());
    let first = step(&bed, &["page-1"], &script).output().unwrap();
    assert_eq!(output(&first), expected);
    assert_eq!(first.stderr, b"talk\n");
    for _ in 0..3 {
        assert_eq!(output(&step(&bed, &["page-1"], &script).output().unwrap()), expected);
    }
    assert_eq!(counted(&bed), 1);
    let shown = bed.command(&["task", "show", "harvest", "page-1"]).output().unwrap();
    assert_eq!(output(&shown), expected);
}

#[test]
fn a_large_output_is_kept_whole_and_one_that_is_too_large_is_an_error() {
    let bed = Bed::new();
    let script = counting(&bed, "head -c 3000000 /dev/zero");
    for _ in 0..2 {
        assert_eq!(step(&bed, &["big"], &script).output().unwrap().stdout.len(), 3_000_000);
    }
    assert_eq!(counted(&bed), 1);
    let told = ran(step(&bed, &["--idempotent", "huge"], "head -c 67108865 /dev/zero"));
    told.assert_failed(78, "output-too-large");
}

#[test]
fn a_command_that_fails_is_not_done_and_its_code_is_passed_on() {
    let bed = Bed::new();
    let told = ran(step(&bed, &["page-1"], &counting(&bed, "echo half; exit 42")));
    assert_eq!((told.code, told.stdout.as_str()), (42, "half\n"));
    let told = ran(step(&bed, &["page-1"], &counting(&bed, "echo whole")));
    assert_eq!((told.code, told.stdout.as_str()), (0, "whole\n"));
    assert_eq!(counted(&bed), 2);
    let told = bed.run(&["step", "--task", "harvest", "page-2", "--", "no-such-program-here"]);
    assert_eq!(told.code, 127, "{told:?}");
    assert!(told.stderr.contains("no-such-program-here: command not found"), "{told:?}");
}

#[test]
fn f79_a_step_that_failed_five_times_waits_for_a_person() {
    let bed = Bed::new();
    // Without the pauses in between, which the library's tests measure.
    bed.run(&["step", "--task", "harvest", "page-1", "--", "true"]);
    for code in [1, 2] {
        assert_eq!(ran(step(&bed, &["poison"], &format!("exit {code}"))).code, code);
    }
    let began = std::time::Instant::now();
    let told = ran(step(&bed, &["poison", "--hold", "0s"], "exit 3"));
    told.assert_failed(75, "cooling-down");
    assert_is_now(&told, "; wait until ", ", then try again");
    assert!(began.elapsed() < Duration::from_secs(1));
    let list = bed.run(&["task", "list"]).stdout;
    assert!(list.contains("1 of 2"), "{list}");
}

#[test]
fn a_step_whose_runner_was_killed_is_in_doubt_until_a_person_decides() {
    let bed = Bed::new();
    let mut child = started(&bed, &["charge"], "exec sleep 60");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let told = ran(step(&bed, &["charge"], &counting(&bed, "echo paid")));
    told.assert_failed(65, "step-ambiguous");
    assert!(told.stderr.contains("outlast task resolve harvest charge --done"), "{told:?}");
    assert_is_now(&told, " began at ", " and has no recorded end");
    assert_eq!(counted(&bed), 1);
    let shown = bed.run(&["task", "show", "harvest"]).stdout;
    assert!(shown.contains("ambiguous") && shown.contains("what to do: look whether it was done"), "{shown}");

    assert_eq!(bed.run(&["task", "resolve", "harvest", "charge", "--done", "receipt 9"]).code, 0);
    let told = ran(step(&bed, &["charge"], &counting(&bed, "echo paid")));
    assert_eq!((told.code, told.stdout.as_str()), (0, "receipt 9"));
    assert_eq!(counted(&bed), 1);
    bed.run(&["task", "resolve", "harvest", "charge", "--rerun"]).assert_failed(78, "request-invalid");
}

#[test]
fn a_step_that_may_be_run_twice_is_run_again_by_itself_with_the_same_idempotency_key() {
    let bed = Bed::new();
    let key = "printf %s \"$OUTLAST_TASK/$OUTLAST_STEP/$OUTLAST_IDEMPOTENCY_KEY\"";
    let file = bed.home().join("key");
    let script = format!("{key} > {}; exec sleep 60", file.display());
    let mut child = started(&bed, &["--idempotent", "charge"], &script);
    wait_for(|| std::fs::read(&file).is_ok_and(|text| text.len() > 30));
    child.kill().unwrap();
    child.wait().unwrap();
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(first.starts_with("harvest/charge/"), "{first}");
    let told = ran(step(&bed, &["--idempotent", "charge"], key));
    assert_eq!((told.code, told.stdout), (0, first));
}

#[test]
fn a_command_that_does_not_know_itself_says_so_with_its_code() {
    let bed = Bed::new();
    let told = ran(step(&bed, &["--unclear", "28,56", "charge"], &counting(&bed, "exit 28")));
    assert_eq!(told.code, 28, "{told:?}");
    assert!(told.stderr.contains("error[step-ambiguous]"), "{told:?}");
    ran(step(&bed, &["--unclear", "28,56", "charge"], &counting(&bed, "true"))).assert_failed(65, "step-ambiguous");
    assert_eq!(bed.run(&["task", "resolve", "harvest", "charge", "--rerun"]).code, 0);
    assert_eq!(ran(step(&bed, &["charge"], &counting(&bed, "echo paid"))).stdout, "paid\n");
    assert_eq!(counted(&bed), 2);
}

#[test]
fn steps_side_by_side_wait_for_their_turn_and_each_is_run_once() {
    let bed = Bed::new();
    let script = counting(&bed, "echo $OUTLAST_STEP");
    let mut children: Vec<_> = (0..12)
        .map(|n| step(&bed, &[&format!("page-{}", n % 6)], &script).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    for (n, child) in children.drain(..).enumerate() {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("page-{}\n", n % 6));
    }
    assert_eq!(counted(&bed), 6);
}

#[test]
fn a_step_within_a_step_of_the_same_task_is_refused_instead_of_waiting_for_ever() {
    let bed = Bed::new();
    let outlast = env!("CARGO_BIN_EXE_outlast");
    let told = ran(step(&bed, &["outer"], &format!("{outlast} step --task harvest inner -- echo inner")));
    assert_eq!(told.code, 78, "{told:?}");
    assert!(told.stderr.contains("step inner is part of step outer"), "{told:?}");
    let told =
        ran(step(&bed, &["--hold", "10s", "outer"], &format!("{outlast} step --task other inner -- echo inner")));
    assert_eq!((told.code, told.stdout.as_str()), (0, "inner\n"), "{told:?}");
}

#[test]
fn names_that_are_paths_or_hide_something_are_refused_before_anything_runs() {
    let bed = Bed::new();
    for (task, key) in [
        ("../up", "a"),
        ("a/b", "a"),
        ("a\u{1b}[2J", "a"),
        ("", "a"),
        ("t", "a/b"),
        ("t", ".."),
        ("t", "a\u{202e}b"),
        ("t", "a\nb"),
    ] {
        let told = bed.run(&["step", "--task", task, "--", key, "sh", "-c", "echo ran"]);
        let told = if told.code == 2 { bed.run(&["step", "--task", task, key, "--", "echo", "ran"]) } else { told };
        told.assert_failed(78, "request-invalid");
    }
    bed.run(&["step", "page-1", "--", "echo", "ran"]).assert_failed(78, "request-invalid");
    bed.run(&["task", "show", "no-such-task"]).assert_failed(78, "task-unknown");
    assert_eq!(bed.run(&["task", "list", "--json"]).stdout, "[]\n");
}

#[test]
fn every_way_to_name_a_task_refuses_a_name_that_is_a_path_or_hides_something() {
    let bed = Bed::new();
    let plan = |name: &str, text: &str| {
        let path = bed.home().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let touch = format!("command = [\"touch\", \"{}\"]", bed.home().join("ran").display());
    let good = plan("good.toml", &format!("[task]\nid = \"t\"\n\n[[step]]\nkey = \"a\"\n{touch}\n"));
    for name in ["../up", "a/b", "a\u{1b}[2J", "a\nb", "", ".", "a\u{202e}b"] {
        let ran = bed.home().join("ran");
        bed.run(&["run", "--task", name, "--", "touch", ran.to_str().unwrap()]).assert_failed(78, "request-invalid");
        bed.run(&["task", "run", &good, "--id", name]).assert_failed(78, "request-invalid");
        let quoted = serde_json::to_string(name).unwrap();
        for text in [
            format!("[task]\nid = {quoted}\n\n[[step]]\nkey = \"a\"\n{touch}\n"),
            format!("[task]\nid = \"t\"\n\n[[step]]\nkey = {quoted}\n{touch}\n"),
        ] {
            let told = bed.run(&["task", "run", &plan("bad.toml", &text)]);
            told.assert_failed(78, "plan-invalid");
            assert!(told.stderr.contains("bad.toml:"), "the place is told: {told:?}");
            assert!(!told.stderr.contains(['\u{1b}', '\u{202e}']), "nothing unseen is passed on: {told:?}");
        }
    }
    let no_text = std::ffi::OsStr::from_bytes(b"a\xffb");
    for before in [&["run", "--task"][..], &["step", "--task"], &["task", "show"]] {
        let output = bed.command(before).arg(no_text).args(["--", "true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("invalid UTF-8"), "{output:?}");
    }
    assert!(!bed.home().join("ran").exists());
    assert_eq!(bed.run(&["task", "list", "--json"]).stdout, "[]\n");
}

#[test]
fn the_same_key_with_another_input_is_refused() {
    let bed = Bed::new();
    assert_eq!(ran(step(&bed, &["--input", "page 1", "page"], "echo one")).stdout, "one\n");
    ran(step(&bed, &["--input", "page 2", "page"], "echo two")).assert_failed(78, "step-input-changed");
    assert_eq!(ran(step(&bed, &["--input", "page 1", "page"], "echo two")).stdout, "one\n");
}

#[test]
fn a_signal_reaches_the_command_and_leaves_no_doubt_where_the_command_knows_better() {
    let bed = Bed::new();
    let child = started(&bed, &["page"], "trap 'exit 9' TERM; while :; do sleep 0.05; done");
    let kill = |child: &Child| assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    kill(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(9));
    let child = started(&bed, &["page"], "exec sleep 60");
    kill(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(128 + 15));
    ran(step(&bed, &["page"], "true")).assert_failed(65, "step-ambiguous");
}

#[test]
fn a_command_is_given_its_grants_and_no_secret() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let told = ran(step(&bed, &["--grant", "crm=KEY_FILE", "page"], "env; cat \"$KEY_FILE\""));
    assert_eq!(told.code, 0, "{told:?}");
    let (environment, token) = told.stdout.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(token, issued.access);
    for name in ["OUTLAST_CAPABILITY", "OUTLAST_URL", "OUTLAST_CRM_URL", "OUTLAST_IDEMPOTENCY_KEY"] {
        assert!(environment.contains(&format!("{name}=")), "{name} is missing: {environment}");
    }
    for secret in [issued.refresh.as_str(), support::SECRET, "CRM_SECRET"] {
        assert!(!told.stdout.contains(secret) && !told.stderr.contains(secret), "{told:?}");
    }
}

#[test]
fn a_step_that_cannot_be_written_down_does_not_run() {
    let bed = Bed::new();
    assert_eq!(ran(step(&bed, &["page-1"], &counting(&bed, "echo one"))).stdout, "one\n");
    // No file may grow, and the signal for it is ignored: what is left is the error of a full disk.
    let outlast = env!("CARGO_BIN_EXE_outlast");
    let script = format!(
        "trap '' XFSZ; ulimit -f 0; exec {outlast} step --task harvest page-2 -- touch {}",
        bed.home().join("ran").display()
    );
    let mut command = bed.command(&[]);
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
    command = Command::new("sh");
    command.args(["-c", &script]).env_clear().envs(environment).stdin(Stdio::null());
    let told = ran(command);
    assert_eq!(told.code, 78, "{told:?}");
    assert!(told.stderr.contains("error[store-unwritable]"), "{told:?}");
    assert!(!bed.home().join("ran").exists());
    assert_eq!(ran(step(&bed, &["page-1"], &counting(&bed, "echo two"))).stdout, "one\n");
}

#[test]
fn a_journal_that_was_cut_loses_no_more_than_what_was_cut_and_one_that_was_changed_is_an_error() {
    let bed = Bed::new();
    for n in 0..5 {
        ran(step(&bed, &[&format!("page-{n}")], &format!("echo {n}")));
    }
    let tasks = bed.state().join("tasks");
    let journal = std::fs::read_dir(&tasks)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&journal).unwrap();
    let filled = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[filled / 2] ^= 1;
    std::fs::write(&journal, &bytes).unwrap();
    let told = ran(step(&bed, &["page-0"], "echo again"));
    told.assert_failed(78, "store-corrupt");
    assert!(bed.run(&["task", "list"]).stdout.contains("unreadable"));
}

#[test]
fn tasks_are_listed_closed_pruned_and_deleted() {
    let bed = Bed::new();
    ran(step(&bed, &["page-1"], "echo one"));
    ran(step(&bed, &["page-2"], "exit 1"));
    let list = bed.run(&["task", "list", "--json"]).json();
    assert_eq!(list[0]["task"], "harvest");
    assert_eq!((&list[0]["done"], &list[0]["steps"], &list[0]["state"]), (&1.into(), &2.into(), &"idle".into()));
    let shown = bed.run(&["task", "show", "harvest", "--json"]).json();
    assert_eq!(shown["steps_shown"][1]["reason"], "exit code 1");
    let bars = bed.run(&["task", "show", "harvest", "--timeline"]).stdout;
    assert!(bars.contains('█') && bars.contains('×'), "{bars}");
    assert_eq!(bed.run(&["task", "prune", "--older", "0s", "--json"]).stdout, "[]\n");
    assert_eq!(bed.run(&["task", "close", "harvest"]).code, 0);
    assert_eq!(bed.run(&["task", "list", "--json"]).json()[0]["state"], "closed");
    assert_eq!(bed.run(&["task", "prune", "--older", "0s", "--json"]).stdout, "[\"harvest\"]\n");
    ran(step(&bed, &["page-1"], "echo new"));
    assert_eq!(bed.run(&["task", "delete", "harvest", "--json"]).code, 0);
    bed.run(&["task", "delete", "harvest"]).assert_failed(78, "task-unknown");
}
