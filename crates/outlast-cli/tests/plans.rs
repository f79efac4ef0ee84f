//! `outlast task run`: a task that is written down is done once, whatever happens to its runner.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Bed, Told};

/// Writes a plan, whose task is called harvest.
fn plan(bed: &Bed, steps: &str) -> PathBuf {
    let path = bed.home().join("plan.toml");
    std::fs::write(&path, format!("[task]\nid = \"harvest\"\n{steps}")).unwrap();
    path
}

fn command(bed: &Bed, plan: &std::path::Path, more: &[&str]) -> Command {
    let mut words = vec!["task", "run", plan.to_str().unwrap()];
    words.extend_from_slice(more);
    bed.command(&words)
}

fn ran(mut command: Command) -> Told {
    Told::of(command.output().unwrap())
}

fn spawned(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Told {
    Told::of(child.wait_with_output().unwrap())
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..1500 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never came to be");
}

fn lines(bed: &Bed, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(bed.home().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// As many charges as are asked for, of which each is a step.
fn charges(count: usize, more: &str) -> String {
    let items: Vec<String> = (0..count).map(|item| item.to_string()).collect();
    format!(
        "concurrency = 8\n[[step]]\nkey = \"charge\"\nfor_each = [{}]\n{more}\n\
         request = {{ grant = \"crm\", method = \"POST\", path = \"/api/charge\", body = {{ item = \"{{{{ item }}}}\" }} }}\n",
        items.join(", ")
    )
}

#[test]
fn a_plan_is_run_once_and_its_outputs_go_where_they_are_wanted() {
    let bed = Bed::new();
    bed.import("crm");
    let out = bed.home().join("out");
    let path = plan(
        &bed,
        &format!(
            r#"
[[step]]
key = "list"
command = ["printf", '{{"items": [{{"id": 7, "name": "a b; $(touch pwned)"}}, {{"id": "x/y", "name": "-n"}}]}}']

[[step]]
key = "page"
for_each = "{{{{ list.items }}}}"
id = "{{{{ item.id }}}}"
request = {{ grant = "crm", method = "PUT", path = "/api/echo?id={{{{ item.id }}}}&name={{{{ item.name }}}}", body = {{ item = "{{{{ item }}}}" }} }}

[[step]]
key = "report"
command = ["sh", "-c", "cat >> \"$1\"; echo \"$2\" >> \"$1\"", "sh", "{out}", "{{{{ page.0.path }}}} {{{{ page.1.method }}}}"]
input = "{{{{ page.0.path }}}}\n"
"#,
            out = out.display()
        ),
    );
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(told.stdout, "task harvest: 4 of 4 steps are done\n");
    assert!(told.stderr.contains("done page[7]") && told.stderr.contains("done page[x%2Fy]"), "{told:?}");
    println!("{}", std::fs::read_to_string(&out).unwrap());
    let again = ran(command(&bed, &path, &[]));
    assert_eq!(again.stdout, "task harvest: 4 of 4 steps are done, 4 of them in earlier runs\n", "{again:?}");
    assert_eq!(lines(&bed, "out").len(), 2, "the report was written once");
    let sent = bed.sandbox.counters().api_total;
    assert_eq!(sent, 2);
    let other = ran(command(&bed, &path, &["--id", "harvest-2"]));
    assert_eq!(other.stdout, "task harvest-2: 4 of 4 steps are done\n", "{other:?}");
    assert!(!bed.home().join("pwned").exists());
}

#[test]
fn charges_of_a_plan_whose_runner_is_killed_again_and_again_are_made_once_each() {
    // A kill may come between a rotation and the disk, which costs the grant at a server without grace (F04).
    let bed = Bed::with_grace(Duration::from_secs(2));
    bed.import("crm");
    let path = plan(&bed, &charges(300, "idempotent = true"));
    let mut killed = 0;
    for round in 0.. {
        let child = spawned(command(&bed, &path, &[]));
        let before = bed.sandbox.counters().charges;
        let enough = before + 8 + 5 * (round % 5);
        let since = Instant::now();
        while bed.sandbox.counters().charges < enough.min(300) && since.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(3));
        }
        // The kill of the round before may have come after the last charge.
        assert!(before == 300 || bed.sandbox.counters().charges > before, "a run of a minute that does nothing");
        if enough >= 300 {
            let told = ended(child);
            assert_eq!(told.code, 0, "{told:?}");
            assert!(told.stdout.starts_with("task harvest: 300 of 300 steps are done"), "{told:?}");
            break;
        }
        signal(&child, "KILL");
        ended(child);
        killed += 1;
    }
    let counters = bed.sandbox.counters();
    assert!(killed >= 5, "{killed} kills");
    assert_eq!(counters.charges, 300, "{counters:?}");
    assert_eq!((counters.reuse_alarms, counters.families_revoked), (0, 0), "{counters:?}");
    println!("{killed} kills, {} refreshes, {} requests for 300 charges", counters.refreshes, counters.api_total);
}

#[test]
fn a_step_of_unknown_outcome_stops_what_needs_it_and_nothing_else_and_says_how_to_decide() {
    let bed = Bed::new();
    let steps = format!(
        r#"
[[step]]
key = "mail"
command = ["sh", "-c", "echo $$ >> {0}/runs; exec sleep 60"]
[[step]]
key = "after"
needs = ["mail"]
command = ["sh", "-c", "echo x >> {0}/after"]
[[step]]
key = "other"
needs = ["first"]
command = ["sh", "-c", "echo x >> {0}/other"]
[[step]]
key = "first"
command = ["sh", "-c", "sleep 0.1"]
"#,
        bed.home().display()
    );
    let path = plan(&bed, &steps);
    let child = spawned(command(&bed, &path, &["--concurrency", "1"]));
    wait_for(|| lines(&bed, "runs").len() == 1);
    signal(&child, "KILL");
    ended(child);
    // What was begun goes on without us: it is ended here.
    Command::new("kill").arg(&lines(&bed, "runs")[0]).status().unwrap();
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 65, "{told:?}");
    assert!(told.stderr.contains("error[step-ambiguous]"), "{told:?}");
    assert!(told.stderr.contains("not done: mail; not begun, for they need those: after."), "{told:?}");
    assert!(told.stderr.contains("outlast task resolve harvest mail --done"), "{told:?}");
    assert!(told.stderr.contains("go on with: outlast task run "), "{told:?}");
    assert_eq!((lines(&bed, "runs").len(), lines(&bed, "after").len(), lines(&bed, "other").len()), (1, 0, 1));
    let told = bed.run(&["task", "resolve", "harvest", "mail", "--done"]);
    assert_eq!(told.code, 0, "{told:?}");
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!((lines(&bed, "runs").len(), lines(&bed, "after").len(), lines(&bed, "other").len()), (1, 1, 1));
}

#[test]
fn a_plan_with_a_mistake_is_refused_with_line_and_column_and_nothing_runs() {
    let bed = Bed::new();
    for (steps, place) in [
        ("[[step]]\nkey = \"a\"\ncommand = [\"touch\", \"ran\"]\nneeds = [\"b\"]\n", ":6:10: there is no step `b`"),
        (
            "[[step]]\nkey = \"a\"\ncommand = [\"touch\", \"{{ b }}\"]\n[[step]]\nkey = \"b\"\ncommand = [\"x\"]\nneeds = [\"a\"]\n",
            ":9:10: steps wait for each other: a -> b -> a",
        ),
        ("[[step]]\nkey = \"a\"\ncommand = [\"touch\", \"{{ b | x }}\"]\n", ":5:26: a template names a value"),
        ("[[step]]\nkey = \"a\"\nrequest = { grant = \"cmr\", path = \"/\" }\n", "no grant named `cmr` is configured"),
    ] {
        let path = plan(&bed, steps);
        for more in [&[][..], &["--check"]] {
            let told = ran(command(&bed, &path, more));
            let code = if place.contains("grant") { "grant-unknown" } else { "plan-invalid" };
            told.assert_failed(78, code);
            assert!(told.stderr.contains(place), "{told:?}");
        }
    }
    assert!(!bed.home().join("ran").exists());
    assert_eq!(bed.run(&["task", "list", "--json"]).json(), serde_json::json!([]));
    let told = ran(command(&bed, &bed.home().join("none.toml"), &[]));
    told.assert_failed(78, "plan-invalid");
    let path = plan(&bed, "[[step]]\nkey = \"a\"\ncommand = [\"true\"]\n");
    let told = ran(command(&bed, &path, &["--check"]));
    assert!(told.code == 0 && told.stdout.contains("nothing is wrong with task harvest, 1 steps"), "{told:?}");
    let told = ran(command(&bed, &path, &["--id", "../x"]));
    assert_eq!(told.code, 78, "{told:?}");
}

#[test]
fn bytes_that_are_no_text_are_kept_and_only_who_wants_them_as_text_is_refused() {
    let bed = Bed::new();
    let bytes = "[[step]]\nkey = \"bytes\"\ncommand = [\"printf\", '\\377\\000\\376']\n";
    let path = plan(&bed, bytes);
    assert_eq!(ran(command(&bed, &path, &[])).code, 0);
    let path = plan(&bed, &format!("{bytes}[[step]]\nkey = \"use\"\ncommand = [\"echo\", \"{{{{ bytes }}}}\"]\n"));
    let told = ran(command(&bed, &path, &[]));
    told.assert_failed(78, "plan-invalid");
    assert!(told.stderr.contains("plan.toml:8:24: what step bytes brought is no UTF-8 text"), "{told:?}");
}

#[test]
fn a_changed_plan_is_refused_for_what_is_done_and_taken_for_what_failed() {
    let bed = Bed::new();
    let steps = |first: &str, second: &str| {
        format!(
            "[[step]]\nkey = \"a\"\ncommand = [\"echo\", \"{first}\"]\n[[step]]\nkey = \"b\"\ncommand = [\"{second}\"]\n"
        )
    };
    let path = plan(&bed, &steps("one", "false"));
    let told = ran(command(&bed, &path, &[]));
    told.assert_failed(78, "step-failed");
    assert!(told.stderr.contains("exit code 1"), "{told:?}");
    plan(&bed, &steps("two", "true"));
    let told = ran(command(&bed, &path, &[]));
    told.assert_failed(78, "step-input-changed");
    assert!(told.stderr.contains("plan.toml:4:7: step a is done, and the plan gives it something else"), "{told:?}");
    plan(&bed, &steps("one", "true"));
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "what failed is run as the plan says now: {told:?}");
}

#[test]
fn a_command_that_may_be_run_twice_is_tried_again_and_one_that_may_not_only_if_it_says_so() {
    let bed = Bed::new();
    let step = |key: &str, code: u8, more: &str| {
        let file = bed.home().join(key);
        let script = format!("echo x >> {0}; test $(wc -l < {0}) -gt 1 || exit {code}", file.display());
        format!("[[step]]\nkey = \"{key}\"\ncommand = [\"sh\", \"-c\", '{script}']\n{more}\n")
    };
    let steps = [
        step("idempotent", 1, "idempotent = true"),
        step("says-so", 75, ""),
        step("once", 1, ""),
        step("no-retries", 1, "idempotent = true\nretries = 0"),
    ];
    let path = plan(&bed, &steps.concat());
    let told = ran(command(&bed, &path, &[]));
    told.assert_failed(78, "step-failed");
    assert!(told.stderr.contains("2 of 4 steps are done"), "{told:?}");
    let runs = |name: &str| lines(&bed, name).len();
    assert_eq!((runs("idempotent"), runs("says-so"), runs("once"), runs("no-retries")), (2, 2, 1, 1));
    assert_eq!(ran(command(&bed, &path, &[])).code, 0);
    assert_eq!((runs("idempotent"), runs("says-so"), runs("once"), runs("no-retries")), (2, 2, 2, 2));
}

#[test]
fn a_step_whose_retries_are_used_up_is_to_be_tried_again_later_and_succeeds_then() {
    let bed = Bed::new();
    let home = bed.home().display().to_string();
    let path = plan(
        &bed,
        &format!(
            "[[step]]\nkey = \"first\"\ncommand = [\"sh\", \"-c\", 'echo x >> {home}/first']\n\
             [[step]]\nkey = \"flaky\"\nidempotent = true\nretries = 1\n\
             command = [\"sh\", \"-c\", 'echo x >> {home}/flaky; test -e {home}/mended']\n\
             [[step]]\nkey = \"last\"\nneeds = [\"flaky\"]\ncommand = [\"sh\", \"-c\", 'echo x >> {home}/last']\n"
        ),
    );
    let told = ran(command(&bed, &path, &["--json"]));
    assert_eq!(told.code, 75, "{told:?}");
    let events = told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let given_up: Vec<Value> = events.filter(|event| event["event"] == "given-up").collect();
    assert!(given_up.len() == 1 && given_up[0]["code"] == "step-failing", "{given_up:?}");
    let fault: Value = serde_json::from_str(&told.stderr).unwrap();
    assert_eq!((&fault["code"], &fault["exit_code"]), (&"step-failing".into(), &75.into()), "{fault}");
    let whole = fault.to_string();
    for said in ["step flaky failed", "exit code 1", "What is done is kept", "run the same command again later"] {
        assert!(whole.contains(said), "{said}: {whole}");
    }
    let runs = |name: &str| lines(&bed, name).len();
    assert_eq!((runs("first"), runs("flaky"), runs("last")), (1, 2, 0));
    std::fs::write(bed.home().join("mended"), "").unwrap();
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!((runs("first"), runs("flaky"), runs("last")), (1, 3, 1));
}

#[test]
fn f79_a_step_that_failed_five_times_in_whichever_runs_is_not_told_to_be_tried_again() {
    let bed = Bed::new();
    let script = format!("echo x >> {}/tried; exit 75", bed.home().display());
    let path = plan(&bed, &format!("[[step]]\nkey = \"a\"\nretries = 0\ncommand = [\"sh\", \"-c\", '{script}']\n"));
    for tried in 1..=4 {
        ran(command(&bed, &path, &[])).assert_failed(75, "step-failing");
        assert_eq!(lines(&bed, "tried").len(), tried);
    }
    for _ in 0..2 {
        ran(command(&bed, &path, &[])).assert_failed(65, "step-poisoned");
        assert_eq!(lines(&bed, "tried").len(), 5);
    }
}

#[test]
fn a_command_is_given_its_grants_its_keys_and_no_secret() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let dump = |name: &str| format!("env > {0}/{name}; cat \"$T\" >> {0}/{name}; true", bed.home().display());
    let steps = format!(
        "[[step]]\nkey = \"with\"\ncommand = [\"sh\", \"-c\", '{}']\ngrants = [\"crm=T\"]\n\
         [[step]]\nkey = \"without\"\ncommand = [\"sh\", \"-c\", '{}']\n",
        dump("with"),
        dump("without")
    );
    let path = plan(&bed, &steps);
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "{told:?}");
    let (with, without) = (lines(&bed, "with"), lines(&bed, "without"));
    for name in ["OUTLAST_TASK=harvest", "OUTLAST_STEP=with", "OUTLAST_IDEMPOTENCY_KEY=", "OUTLAST_CRM_URL=", "T="] {
        assert!(with.iter().any(|line| line.starts_with(name)), "{name}: {with:?}");
    }
    assert_eq!(with.last().unwrap(), &issued.access, "the token file holds the access token");
    let key = |lines: &[String]| lines.iter().find(|line| line.starts_with("OUTLAST_IDEMPOTENCY_KEY=")).cloned();
    assert!(key(&with).is_some() && key(&with) != key(&without));
    for line in &without {
        assert!(!line.contains("CAPABILITY") && !line.contains("_URL=") && !line.contains(support::SECRET), "{line}");
    }
    assert!(!without.concat().contains(&issued.access));
}

#[test]
fn a_plan_parks_on_a_grant_that_needs_its_owner_and_goes_on_by_itself_after_the_login() {
    let bed = Bed::new();
    bed.import("crm");
    let steps = format!(
        "{}[[step]]\nkey = \"other\"\ncommand = [\"sh\", \"-c\", \"echo x >> {}/other\"]\n",
        charges(12, "idempotent = true"),
        bed.home().display()
    );
    let path = plan(&bed, &steps);
    revoke(&bed);
    let told = ran(command(&bed, &path, &["--hold", "0s"]));
    assert_eq!(told.code, 77, "{told:?}");
    assert!(told.stderr.contains("outlast login crm"), "{told:?}");
    assert_eq!(told.stderr.matches("notice: grant crm needs its owner").count(), 1, "{told:?}");
    assert_eq!(lines(&bed, "other").len(), 1, "what needs no grant is run");
    let mut child = spawned(command(&bed, &path, &[]));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("crm") && line.contains("whose owner was told before"), "{line}");
    assert_eq!(bed.sandbox.counters().charges, 0);
    bed.import("crm");
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert_eq!(rest.matches("can be used again").count(), 1, "{rest}");
    assert!(!rest.contains("owner"), "told once: {rest}");
    assert_eq!(bed.sandbox.counters().charges, 12);
}

/// The grant is dead, and everybody knows it.
fn revoke(bed: &Bed) {
    let body = "{\"kind\":\"revoke_family\"}";
    let address = bed.sandbox.issuer().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "POST /faults HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let told = bed.run(&["token", "crm", "--renew"]);
    assert_eq!(told.code, 77, "{told:?}");
}

#[test]
fn an_interrupt_lets_what_runs_come_to_its_end_and_says_how_to_go_on() {
    let bed = Bed::new();
    let script = format!("echo x >> {0}/begun; sleep 0.6; echo x >> {0}/ended", bed.home().display());
    let path = plan(
        &bed,
        &format!(
            "concurrency = 2\n[[step]]\nkey = \"s\"\nfor_each = [1, 2, 3, 4, 5, 6]\ncommand = [\"sh\", \"-c\", '{script}']\n"
        ),
    );
    for name in ["INT", "TERM"] {
        let before = lines(&bed, "begun").len();
        let child = spawned(command(&bed, &path, &[]));
        wait_for(|| lines(&bed, "begun").len() == before + 2);
        signal(&child, name);
        let told = ended(child);
        assert_eq!(told.code, if name == "INT" { 130 } else { 143 }, "{told:?}");
        assert!(
            told.stderr.contains("nothing was lost") && told.stderr.contains("Go on with: outlast task run "),
            "{told:?}"
        );
        assert_eq!(lines(&bed, "begun").len(), lines(&bed, "ended").len(), "nothing is left half done");
    }
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!((lines(&bed, "begun").len(), lines(&bed, "ended").len()), (6, 6));
}

#[test]
fn a_second_runner_is_told_that_there_is_one() {
    let bed = Bed::new();
    let path = plan(&bed, "[[step]]\nkey = \"a\"\ncommand = [\"sleep\", \"2\"]\n");
    let child = spawned(command(&bed, &path, &[]));
    wait_for(|| bed.run(&["task", "show", "harvest", "--json"]).code == 0);
    ran(command(&bed, &path, &[])).assert_failed(75, "task-busy");
    assert_eq!(ended(child).code, 0);
}

#[test]
fn with_json_each_event_is_an_object_of_its_own() {
    let bed = Bed::new();
    let path = plan(
        &bed,
        "[[step]]\nkey = \"a\"\ncommand = [\"true\"]\n[[step]]\nkey = \"b\"\ncommand = [\"false\"]\n\
         [[step]]\nkey = \"c\"\nneeds = [\"b\"]\ncommand = [\"true\"]\n",
    );
    let told = ran(command(&bed, &path, &["--json"]));
    assert_eq!(told.code, 78, "{told:?}");
    let events: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!(
        (of("started"), of("done"), of("failed"), of("given-up"), of("blocked"), of("ended")),
        (2, 1, 1, 1, 1, 1)
    );
    let last = events.last().unwrap();
    assert_eq!((&last["steps"], &last["done"], &last["complete"]), (&3.into(), &1.into(), &false.into()), "{last}");
    assert!(events.iter().all(|event| event["task"] == "harvest" && event["at"].is_string()));
    let fault: Value = serde_json::from_str(&told.stderr).unwrap();
    assert_eq!((&fault["code"], &fault["exit_code"]), (&"step-failed".into(), &78.into()), "{fault}");
}

/// What a server saw of a request.
#[derive(Clone, Debug)]
struct Seen {
    at: Instant,
    line: String,
    idempotency_key: Option<String>,
    status: u16,
}

/// A server that takes so many requests a second, and answers the others with 429 and how long to wait.
fn limited_server(a_second: usize) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let told = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((line, idempotency_key)) = read_request(&stream) else { continue };
            let mut seen = told.lock().unwrap();
            let recent = |one: &&Seen| one.status == 200 && one.at.elapsed() < Duration::from_secs(1);
            let status = if seen.iter().filter(recent).count() < a_second { 200 } else { 429 };
            seen.push(Seen { at: Instant::now(), line, idempotency_key, status });
            drop(seen);
            let more = if status == 429 { "Retry-After: 1\r\n" } else { "" };
            let _ = write!(stream, "HTTP/1.1 {status} X\r\n{more}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}");
        }
    });
    (address, seen)
}

/// A request's first line and its key; nothing where its sender was killed in the middle of it.
fn read_request(stream: &TcpStream) -> Option<(String, Option<String>)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut key, mut length) = (String::new(), None, 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "idempotency-key" => key = Some(value.to_owned()),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some((first.trim().to_owned(), key))
}

#[test]
fn a_server_that_wants_a_pause_is_given_it_by_all_steps_and_no_step_is_spoilt_by_it() {
    let bed = Bed::new();
    let (address, seen) = limited_server(10);
    let path = plan(
        &bed,
        &format!(
            "concurrency = 8\n[[step]]\nkey = \"call\"\nfor_each = [{}]\nretries = 0\n\
             request = {{ method = \"POST\", url = \"{address}/call/{{{{ item }}}}\" }}\n",
            (0..40).map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
        ),
    );
    let told = ran(command(&bed, &path, &[]));
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stderr.contains("asked too often"), "{told:?}");
    let seen = seen.lock().unwrap();
    let taken: Vec<&Seen> = seen.iter().filter(|one| one.status == 200).collect();
    let refused = seen.len() - taken.len();
    assert_eq!(taken.len(), 40);
    assert!((3..=8 * 6).contains(&refused), "{refused} were refused: not one for each that waits, again and again");
    let keys: std::collections::BTreeSet<_> = taken.iter().map(|one| one.idempotency_key.clone().unwrap()).collect();
    assert_eq!(keys.len(), 40, "each step has a key of its own");
    for one in seen.iter() {
        let same = taken.iter().find(|taken| taken.line == one.line).unwrap();
        assert_eq!(same.idempotency_key, one.idempotency_key, "and the same in every attempt");
    }
    println!("40 calls at 10 a second: {refused} refused, {:?}", seen.last().unwrap().at - seen[0].at);
}

#[test]
fn a_server_that_is_away_is_waited_for_and_spoils_no_step() {
    let bed = Bed::new();
    // Held by nobody until the plan runs.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let path =
        plan(&bed, &format!("[[step]]\nkey = \"call\"\nretries = 0\nrequest = {{ url = \"http://{address}/\" }}\n"));
    for _ in 0..6 {
        ran(command(&bed, &path, &["--hold", "0s"])).assert_failed(75, "cooling-down");
    }
    let child = spawned(command(&bed, &path, &[]));
    let server = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(3));
        let listener = TcpListener::bind(address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    });
    let told = ended(child);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stderr.contains("call: no connection could be made; going on with that server "), "{told:?}");
    server.join().unwrap();
}

#[test]
fn a_server_that_wants_a_longer_pause_than_a_step_may_wait_ends_the_run() {
    let bed = Bed::new();
    let (address, _) = limited_server(0);
    let path = plan(&bed, &format!("[[step]]\nkey = \"call\"\nrequest = {{ url = \"{address}/\" }}\n"));
    ran(command(&bed, &path, &["--hold", "0s"])).assert_failed(75, "cooling-down");
}

/// The plan of the documentation.
fn worked_plan() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tasks.md")).unwrap();
    let section = page.split("\n## A plan\n").nth(1).unwrap();
    section.split("```toml\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// A server with invoices, which heeds the idempotency key: which reminders it sent.
fn invoices(count: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&sent);
    std::thread::spawn(move || {
        let mut answered = std::collections::HashMap::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some((line, key)) = read_request(&stream) else { continue };
            let one = |number: usize| format!("{{\"id\": \"INV-{number}\", \"amount\": {number}}}");
            let body = if line.starts_with("GET /v1/invoices?status=overdue ") {
                format!("{{\"invoices\": [{}]}}", (0..count).map(one).collect::<Vec<_>>().join(", "))
            } else {
                let mut sent = told.lock().unwrap();
                let reminder = answered.entry(key.unwrap()).or_insert_with(|| {
                    sent.push(line.clone());
                    format!("{{\"reminder\": {}}}", sent.len())
                });
                reminder.clone()
            };
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    (address, sent)
}

#[test]
fn the_plan_of_the_documentation_survives_a_kill() {
    let bed = Bed::new();
    let (address, sent) = invoices(60);
    bed.configure(&bed.grant("crm").replace(bed.sandbox.api(), &address));
    bed.import("crm");
    let path = bed.home().join("plan.toml");
    std::fs::write(&path, worked_plan()).unwrap();
    let run = || {
        let mut command = command(&bed, &path, &[]);
        command.current_dir(bed.home());
        command
    };
    let child = spawned(run());
    wait_for(|| sent.lock().unwrap().len() >= 10);
    signal(&child, "KILL");
    ended(child);
    assert!(!bed.home().join("reminders.json").exists());
    let told = ran(run());
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.starts_with("task reminders-2026-11: 62 of 62 steps are done, "), "{told:?}");
    let mut sent = sent.lock().unwrap().clone();
    sent.sort();
    let before = sent.len();
    sent.dedup();
    assert_eq!((before, sent.len()), (60, 60), "one reminder for each");
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(bed.home().join("reminders.json")).unwrap()).unwrap();
    assert_eq!(report.as_array().unwrap().len(), 60);
}
