//! Tasks by the real binary: the script of docs/tasks.md, random kills against a server that counts, and one
//! login that wakes all that waits.
//!
//! `OUTLAST_TASK_KILLS` sets how many kills, `OUTLAST_SEED` which.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod support;

use outlast_testkit::peer::OidcProvider;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::Bed;
use support::judged::{Dice, figures};

const OUTLAST: &str = env!("CARGO_BIN_EXE_outlast");

/// The binary without the proxy that the environment of a test names, and that commands in a script would use.
fn outlast(bed: &Bed, arguments: &[&str]) -> Command {
    without_proxy(bed.command(arguments))
}

fn without_proxy(mut command: Command) -> Command {
    let proxies: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    for name in proxies.iter().filter(|name| name.to_string_lossy().to_lowercase().ends_with("_proxy")) {
        command.env_remove(name);
    }
    command
}

/// A program in the environment of a command of `bed`, which finds `outlast` in its path.
fn program(bed: &Bed, path: &Path) -> Command {
    let mut command = Command::new(path);
    let folder = Path::new(OUTLAST).parent().unwrap().to_str().unwrap();
    command.env_clear();
    for (name, value) in outlast(bed, &[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("PATH", format!("{folder}:/usr/bin:/bin")).stdin(Stdio::null());
    command
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap())
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The group of a process that was started as the first of one.
fn group(child: &Child) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

fn wait_until_gone(group: rustix::process::Pid) {
    let began = Instant::now();
    while rustix::process::test_kill_process_group(group).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30), "something of a killed step goes on and on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs it with the real sidecar of `outlast run`, kills both after some charges, and runs it to its end.
#[test]
fn the_python_program_of_the_document_survives_being_killed_with_its_sidecar_and_pays_once() {
    let bed = Bed::new();
    bed.import("crm");
    let document = support::text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tasks.md"));
    let program = document.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    std::fs::write(bed.home().join("invoices.py"), program).unwrap();
    let words = "outlast run --task invoices -- python3 invoices.py";
    assert!(document.contains(&format!("```sh\n{words}\n```")), "the document says how it is run");
    let start = || {
        let mut command = bed.command(&words.split(' ').skip(1).collect::<Vec<_>>());
        command.current_dir(bed.home()).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut killed = start();
    let began = Instant::now();
    while bed.sandbox.counters().charges < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", killed.try_wait());
        std::thread::sleep(Duration::from_millis(2));
    }
    rustix::process::kill_process_group(group(&killed), rustix::process::Signal::KILL).unwrap();
    killed.wait().unwrap();
    for _ in 0..2 {
        let output = start().wait_with_output().unwrap();
        let (out, err) = text(&output);
        assert!(output.status.success(), "{out}{err}");
        assert_eq!((out.lines().count(), bed.sandbox.counters().charges), (10, 10), "{out}");
    }
}

#[test]
fn the_shell_script_of_the_document_survives_being_killed_and_pays_once() {
    let bed = Bed::new();
    bed.import("crm");
    let document = support::text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tasks.md"));
    let script = document.split("```sh\n").find(|block| block.starts_with("#!/bin/sh")).unwrap();
    let path = bed.home().join("invoices.sh");
    std::fs::write(&path, script.split("```").next().unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    let start = || {
        let mut command = program(&bed, &path);
        command.env("OUTLAST_TASK", "invoices").current_dir(bed.home()).process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut killed = start();
    let began = Instant::now();
    while bed.sandbox.counters().charges < 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", killed.try_wait());
        std::thread::sleep(Duration::from_millis(5));
    }
    rustix::process::kill_process_group(group(&killed), rustix::process::Signal::KILL).unwrap();
    killed.wait().unwrap();
    let output = start().wait_with_output().unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out.matches("\"charge\"").count(), 5, "{out}");
    assert_eq!(bed.sandbox.counters().charges, 5);
    let again = start().wait_with_output().unwrap();
    assert_eq!(text(&again).0, out);
    assert_eq!(bed.sandbox.counters().charges, 5);
    let shown = bed.run(&["task", "show", "invoices", "--json"]).json();
    assert_eq!((&shown["done"], &shown["steps"]), (&json!(10), &json!(10)));
}

/// The keyed steps of a task, each killed now and then, or the `run` around it; then run to its end.
#[test]
fn keyed_steps_are_paid_once_however_often_they_are_killed() {
    const STEPS: u64 = 100;
    let wanted = number("OUTLAST_TASK_KILLS", 200);
    let seed = number("OUTLAST_SEED", 11);
    let mut dice = Dice::new(seed);
    let bed = Bed::new();
    bed.import("crm");
    let began = Instant::now();
    let (mut kills, mut runs) = (0_u64, 0_u64);
    let mut told: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    // How long a step takes that is left alone: kills are spread over that, and a little more.
    let mut life = Duration::from_millis(150);
    for step in 0..STEPS {
        loop {
            // Those that came too late are made up for by the last steps.
            let due = kills < (wanted * (step + 1) / (STEPS - 15)).min(wanted);
            let mut child = start_charge(&bed, step, dice.below(3) == 0);
            runs += 1;
            let started = Instant::now();
            if due {
                std::thread::sleep(life.mul_f64(dice.below(1200) as f64 / 1000.0));
                let _ = child.kill();
            }
            let output = child.wait_with_output().unwrap();
            if output.status.signal() == Some(9) {
                kills += 1;
            } else {
                assert!(output.status.success(), "step {step}, seed {seed}: {:?}", text(&output));
                life = (life * 3 + started.elapsed()) / 4;
            }
            // What somebody was told is never told otherwise.
            if output.stdout.ends_with(b"}") {
                let earlier = told.entry(step).or_insert_with(|| output.stdout.clone());
                assert_eq!(*earlier, output.stdout, "step {step}, seed {seed}");
            }
            if output.status.success() {
                break;
            }
        }
    }
    let lost = (0..STEPS).filter(|step| {
        let key = format!("charge-{step}");
        let shown = bed.command(&["task", "show", "paid", &key]).output().unwrap();
        shown.stdout != told[step]
    });
    let lost = lost.count();
    let paid = bed.sandbox.counters().charges;
    figures(
        "task-kills",
        &json!({ "kills": kills, "steps": STEPS, "starts": runs, "paid": paid, "outputs_lost": lost, "seconds": began.elapsed().as_secs() }),
    );
    assert_eq!((lost, paid), (0, STEPS), "seed {seed}");
    // A machine that is busy at the wrong moments ends steps before they can be killed.
    assert!(kills * 2 >= wanted, "too few kills hit anything: {kills} of {wanted}, seed {seed}");
}

/// A step that pays, by itself or below an `outlast run`.
fn start_charge(bed: &Bed, step: u64, within_run: bool) -> Child {
    let key = format!("charge-{step}");
    let script = format!(
        "exec curl -sSf --data step={step} -H \"Authorization: Bearer $OUTLAST_CAPABILITY\" \
         -H \"Idempotency-Key: $OUTLAST_IDEMPOTENCY_KEY\" \"$OUTLAST_CRM_URL/api/charge\""
    );
    let inner = ["step", "--idempotent", "--grant", "crm", &key, "--", "sh", "-c", &script];
    let outer = ["run", "--task", "paid", "--grant", "crm", "--", OUTLAST];
    let words: Vec<&str> = if within_run { [&outer[..], &inner[..]].concat() } else { inner.to_vec() };
    let mut command = outlast(bed, &words);
    command.env("OUTLAST_TASK", "paid").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Counts what it was asked to do, by name.
struct Counter {
    port: u16,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Counter {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let kept = Arc::clone(&counts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut head = vec![0; 4096];
                    let length = stream.read(&mut head).unwrap_or(0);
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    let Some(name) = head.split(' ').nth(1) else { return };
                    let count = {
                        let mut kept = kept.lock().unwrap();
                        let count = kept.entry(name.trim_start_matches('/').to_owned()).or_default();
                        *count += 1;
                        *count
                    };
                    // Acted, and not answered yet: the worst moment to be killed.
                    std::thread::sleep(Duration::from_millis(20));
                    let body = format!("{name} {count}");
                    let _ = write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                });
            }
        });
        Self { port, counts }
    }

    fn of(&self, name: &str) -> u64 {
        self.counts.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

#[test]
fn steps_without_a_key_are_never_silently_run_twice() {
    const STEPS: u64 = 20;
    let wanted = number("OUTLAST_TASK_KILLS", 200) / 4;
    let seed = number("OUTLAST_SEED", 12);
    let mut dice = Dice::new(seed);
    let (bed, counter) = (Bed::new(), Counter::start());
    let (mut kills, mut in_doubt) = (0, 0);
    for step in 0..STEPS {
        let key = format!("pay-{step}");
        loop {
            let due = kills < wanted * (step + 1) / STEPS;
            let url = format!("http://127.0.0.1:{}/{key}", counter.port);
            let mut command =
                outlast(&bed, &["step", "--task", "once", &key, "--", "curl", "-sSf", "-X", "POST", &url]);
            let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            if due {
                std::thread::sleep(Duration::from_millis(dice.below(120)));
                let _ = child.kill();
            }
            let everyone = group(&child);
            let output = child.wait_with_output().unwrap();
            if output.status.signal() == Some(9) {
                kills += 1;
                // What it had started may go on without it.
                wait_until_gone(everyone);
                continue;
            }
            if output.status.success() {
                break;
            }
            assert_eq!(output.status.code(), Some(65), "seed {seed}: {:?}", text(&output));
            assert!(text(&output).1.contains("error[step-ambiguous]"));
            in_doubt += 1;
            // A person looks, then says what is true.
            let decision: &[&str] = if counter.of(&key) > 0 { &["--done", "seen there"] } else { &["--rerun"] };
            let told = bed.run(&[&["task", "resolve", "once", &key], decision].concat());
            assert_eq!(told.code, 0, "{told:?}");
        }
        assert_eq!(counter.of(&key), 1, "step {step} was paid twice, seed {seed}");
    }
    figures("task-kills-unkeyed", &json!({ "kills": kills, "steps": STEPS, "in_doubt": in_doubt, "paid_twice": 0 }));
    assert!(in_doubt > 0, "no kill hit anything: seed {seed}");
}

struct World {
    server: OidcProvider,
    folder: tempfile::TempDir,
}

impl World {
    fn start() -> Option<Self> {
        let server = OidcProvider::start(&[("ACCESS_TTL", "3"), ("AUTO_LOGIN", "1")])?;
        let folder = tempfile::tempdir().unwrap();
        let (issuer, api) = (server.issuer(), server.api());
        let text = format!(
            "[grant.crm]\nissuer = \"{issuer}\"\nclient_id = \"public\"\nscope = [\"openid\", \"api:read\"]\n\
             resource = \"{api}/api\"\nupstream = \"{api}\"\n"
        );
        let path = folder.path().join("outlast.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self { server, folder })
    }

    fn outlast(&self, arguments: &[&str]) -> Command {
        support::outlast(self.folder.path(), arguments)
    }

    fn device_login(&self) {
        let mut login = self.outlast(&["login", "crm", "--device", "--json"]).spawn().unwrap();
        let mut lines = BufReader::new(login.stdout.take().unwrap()).lines();
        let event: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        self.server.admin_post("/device/approve", &json!({ "user_code": event["user_code"] }));
        assert!(login.wait().unwrap().success());
    }

    fn parked_tasks(&self) -> usize {
        let list = self.outlast(&["task", "list", "--json"]).output().unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        list.as_array().unwrap().iter().filter(|task| task["state"] == "parked").count()
    }
}

/// R11: five tasks in five processes wait for one grant; one login on another device.
#[test]
fn r11_one_device_login_wakes_every_task_of_every_process_and_is_asked_for_once() {
    let Some(world) = World::start() else { return };
    world.device_login();
    let step = |task: &str| world.outlast(&["step", "--task", task, "--grant", "crm", "work", "--", "echo", task]);
    assert!(step("before").output().unwrap().status.success());
    world.server.revoke_grants("public");
    world.server.kill_access_tokens();
    let began = Instant::now();
    while world.outlast(&["token", "crm", "--renew"]).output().unwrap().status.code() != Some(77) {
        assert!(began.elapsed() < Duration::from_secs(20), "a revoked grant is found out");
        std::thread::sleep(Duration::from_millis(200));
    }
    // The held access token is served to its end: only then do steps wait.
    std::thread::sleep(Duration::from_secs(4));

    let mut waiting: Vec<Child> = ["a", "b", "c"].map(|task| step(task).spawn().unwrap()).into();
    for task in ["d", "e"] {
        // Its program gives up at once, and is started again.
        let script = format!("exec {OUTLAST} step --grant crm work -- echo {task}");
        let run = ["run", "--task", task, "--grant", "crm", "--hold", "200ms", "--", "sh", "-c", &script];
        waiting.push(world.outlast(&run).spawn().unwrap());
    }
    let began = Instant::now();
    while world.parked_tasks() < 5 {
        assert!(began.elapsed() < Duration::from_secs(30), "{} parked", world.parked_tasks());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Long enough for each to say what it waits for.
    std::thread::sleep(Duration::from_secs(2));
    let status = world.outlast(&["status", "crm", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["tasks_parked"], json!(["a", "b", "c", "d", "e"]));
    let doctor = text(&world.outlast(&["doctor", "--offline"]).output().unwrap()).0;
    assert!(doctor.contains("task a") && doctor.contains("outlast login crm"), "{doctor}");
    world.device_login();
    let signed_in = Instant::now();
    let outputs: Vec<Output> = waiting.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let took = signed_in.elapsed();
    let said: Vec<(String, String)> = outputs.iter().map(text).collect();
    for ((output, said), task) in outputs.iter().zip(&said).zip(["a", "b", "c", "d", "e"]) {
        assert!(output.status.success() && said.0 == format!("{task}\n"), "{task}: {said:?}");
    }
    let notices: usize = said.iter().map(|(_, err)| err.matches("notice: grant crm needs its owner").count()).sum();
    figures("task-wake", &json!({ "tasks": 5, "processes": 5, "milliseconds": took.as_millis(), "notices": notices }));
    assert_eq!(notices, 1, "{said:#?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_program_that_crashed_is_started_again_and_goes_on_after_the_last_step() {
    let bed = Bed::new();
    bed.import("crm");
    let runs = bed.home().join("runs");
    let script = format!(
        "{OUTLAST} step one -- echo one || exit; echo x >> {0}; [ $(wc -l < {0}) -ge 3 ] || kill -KILL $$; \
         {OUTLAST} step two -- echo two",
        runs.display()
    );
    let run = |restart: &str| bed.run(&["run", "--task", "crash", "--restart", restart, "--", "sh", "-c", &script]);
    assert_eq!(run("on-auth").code, 137);
    let told = run("on-crash");
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(told.stdout, "one\none\ntwo\n", "{told:?}");
    assert!(told.stderr.contains("started again in 1.0s"), "{told:?}");
    let shown = bed.run(&["task", "show", "crash", "--json"]).json();
    assert_eq!(shown["state"], "closed", "what ended well is over");
}

#[test]
fn steps_of_a_run_go_side_by_side_and_a_second_run_is_refused() {
    let bed = Bed::new();
    bed.import("crm");
    // Each of four waits until all four have begun: taking turns, they would wait for ever.
    let script = format!(
        "seq 4 | xargs -P 4 -I @@ {OUTLAST} step --grant crm=TOKEN side-@@ -- sh -c '\
           echo @@ >> {0}; until [ $(wc -l < {0}) -ge 4 ]; do sleep 0.02; done; test -s \"$TOKEN\" && echo done @@'",
        bed.home().join("begun").display()
    );
    let words = ["run", "--task", "wide", "--grant", "crm", "--", "sh", "-c", &script];
    let told = bed.run(&words);
    assert_eq!(told.code, 0, "{told:?}");
    let mut lines: Vec<&str> = told.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["done 1", "done 2", "done 3", "done 4"], "{told:?}");

    let gate = bed.home().join("gate");
    let script = format!("until [ -e {} ]; do sleep 0.02; done", gate.display());
    let mut first = bed.command(&["run", "--task", "wide", "--", "sh", "-c", &script]).spawn().unwrap();
    let began = Instant::now();
    while bed.run(&["task", "list", "--json"]).json()[0]["state"] != "running" {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    let second = bed.run(&["run", "--task", "wide", "--", "echo", "ran"]);
    // From elsewhere a step of the task is run through whoever runs it.
    let script = "test -s $OUTLAST_CRM_TOKEN_FILE && echo elsewhere";
    let elsewhere = bed.run(&["step", "--task", "wide", "--grant", "crm", "elsewhere", "--", "sh", "-c", script]);
    let again = bed.run(&["step", "--task", "wide", "side-1", "--", "echo", "again"]);
    std::fs::write(&gate, "").unwrap();
    assert!(first.wait().unwrap().success());
    second.assert_failed(75, "task-busy");
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (0, "elsewhere\n"), "{elsewhere:?}");
    assert_eq!((again.code, again.stdout.as_str()), (0, "done 1\n"), "{again:?}");
    assert_eq!(bed.run(&["task", "show", "wide", "--json"]).json()["done"], 5);
}

#[test]
fn a_step_outlives_the_runner_it_was_begun_through() {
    let bed = Bed::new();
    bed.import("crm");
    let (begun, gate) = (bed.home().join("begun"), bed.home().join("gate"));
    let inner =
        format!("echo x >> {}; until [ -e {} ]; do sleep 0.02; done; echo paid", begun.display(), gate.display());
    let mut run = bed.command(&[
        "run", "--task", "orphan", "--grant", "crm", "--", OUTLAST, "step", "pay", "--", "sh", "-c", &inner,
    ]);
    let mut child = run.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !begun.exists() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    let everyone = group(&child);
    std::fs::write(&gate, "").unwrap();
    child.wait().unwrap();
    wait_until_gone(everyone);
    let told = bed.run(&["step", "--task", "orphan", "pay", "--", "echo", "twice"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, "paid\n"), "{told:?}");
    assert_eq!(support::text(&begun).lines().count(), 1);
}
