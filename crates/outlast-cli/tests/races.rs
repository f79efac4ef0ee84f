//! T6: eight real processes that renew one grant at once: a daemon, a `run`, three commands in a loop and
//! three programs that use the library. A judge in another process counts what they send.
//!
//! `OUTLAST_ROTATIONS` sets how often each of the long-lived ones asks for a new token.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs)]

mod support;

use outlast::{Ask, By, ClientAuth, GrantId, GrantSettings, KeySource, Provider, Rejected, Secret, Server, Settings};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::judged::{Field, Serving, ask, figures, monotonic, number, permille, signal};

/// Asks for a new token again and again; how long each ask took, in seconds.
type Waits = Vec<f64>;

fn generation(token: &Value) -> u64 {
    token["generation"].as_u64().unwrap_or_else(|| panic!("{token}"))
}

/// By a control socket: each ask is met by a token that is newer than the one before.
fn ask_a_sidecar(socket: &Path, asks: u64) -> Waits {
    let mut last = 0;
    let one = |_| {
        let began = monotonic();
        let (status, token) = ask(socket, "/v1/grants/crm/token?renew=1").unwrap();
        assert_eq!(status, 200, "{token}");
        assert!(generation(&token) > last, "{token} after {last}");
        last = generation(&token);
        monotonic() - began
    };
    (0..asks).map(one).collect()
}

/// By a command, for as long as others run.
fn ask_by_command(field: &Field, tag: &str, others_run: &AtomicBool) -> Waits {
    let (mut last, mut waits) = (0, Vec::new());
    while others_run.load(Ordering::SeqCst) {
        let began = monotonic();
        let output = field.output(tag, &["token", "crm", "--renew", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let token: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(generation(&token) > last, "{token} after {last}");
        last = generation(&token);
        waits.push(monotonic() - began);
    }
    waits
}

/// By a program of its own that uses the library: this test, run anew.
fn ask_by_library(field: &Field, tag: &str, asks: u64) -> Waits {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_program_that_uses_the_library", "--ignored", "--nocapture"])
        .env("RACE_STATE", field.state())
        .env("RACE_ENDPOINT", field.judge.token_endpoint())
        .env("RACE_TAG", tag)
        .env("RACE_ASKS", asks.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let waits = text.lines().find_map(|line| line.split_once("waits: ")).unwrap().1;
    serde_json::from_str(waits).unwrap()
}

#[test]
#[ignore = "run by the race in processes of its own"]
fn a_program_that_uses_the_library() {
    let told = |name: &str| std::env::var(name).unwrap();
    let provider = Provider { token_endpoint: told("RACE_ENDPOINT"), ..Provider::default() };
    let id = GrantId::parse("crm").unwrap();
    let settings = GrantSettings {
        client_id: "agent".to_owned(),
        client_auth: ClientAuth::Basic(Secret::new(format!("CANARY-client-secret-1f3c:{}", told("RACE_TAG")))),
        ..GrantSettings::new(id.clone(), "refresh_token", Server::from(provider))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let waits: Waits = runtime.block_on(async {
        let keeper = Settings::new(told("RACE_STATE")).key(KeySource::File).grant(settings).open().unwrap();
        let handle = keeper.grant(&id).unwrap();
        let (mut waits, mut held) = (Vec::new(), handle.record().await.unwrap().generation);
        for _ in 0..told("RACE_ASKS").parse::<u64>().unwrap() {
            let began = monotonic();
            let rejected = Some(Rejected { generation: held, by: By::Person });
            let token = handle.access_token(Ask { rejected, ..Ask::default() }).await.unwrap();
            assert!(token.generation() > held);
            held = token.generation();
            waits.push(monotonic() - began);
        }
        waits
    });
    println!("waits: {}", json!(waits));
}

#[test]
fn t6_eight_processes_spend_no_token_twice_and_each_gets_its_turn() {
    let asks = number("OUTLAST_ROTATIONS", 500);
    let field = Field::new(&["crm".to_owned()]);
    field.import("crm", &json!({ "name": "crm", "life": 3600 }));
    let (mut serve, mut run) = (Serving::serve(&field, "serve"), Serving::run(&field, "run"));
    let others_run = AtomicBool::new(true);
    let began = monotonic();
    let waits: Vec<(&str, Waits)> = std::thread::scope(|scope| {
        let sidecars = [("serve", &serve.socket), ("run", &run.socket)]
            .map(|(name, socket)| (name, scope.spawn(move || ask_a_sidecar(socket, asks))));
        let programs =
            ["library-1", "library-2", "library-3"].map(|tag| (tag, scope.spawn(|| ask_by_library(&field, tag, asks))));
        let commands = ["token-1", "token-2", "token-3"]
            .map(|tag| (tag, scope.spawn(|| ask_by_command(&field, tag, &others_run))));
        let mut waits: Vec<_> =
            sidecars.into_iter().chain(programs).map(|(tag, thread)| (tag, thread.join().unwrap())).collect();
        others_run.store(false, Ordering::SeqCst);
        waits.extend(commands.into_iter().map(|(tag, thread)| (tag, thread.join().unwrap())));
        waits
    });
    let seconds = monotonic() - began;
    end(&mut serve);
    end(&mut run);
    let seen = field.judge.seen("crm");
    assert!(seen.alive && seen.reuses == 0, "{seen:?}");
    assert_eq!(seen.requests, seen.rotation, "every request was one rotation");
    assert!(seen.rotation >= asks, "{seen:?}");
    assert_eq!(field.status("crm")["generation"], seen.rotation + 1, "every rotation is on disk, once");
    let events = field.events.all();
    let won = |tag: &str| events.iter().filter(|event| event.kind == "rotated" && event.client == tag).count();
    for (tag, _) in &waits {
        assert!(won(tag) > 0, "{tag} never got its turn");
    }
    let all: Waits = waits.iter().flat_map(|(_, waits)| waits.iter().copied()).collect();
    figures(
        "races",
        &json!({
            "processes": 8,
            "asks": all.len(),
            "rotations": seen.rotation,
            "token_requests": seen.requests,
            "reuses": seen.reuses,
            "rotations_per_second": (seen.rotation as f64 / seconds * 10.0).round() / 10.0,
            "won": waits.iter().map(|(tag, _)| ((*tag).to_owned(), json!(won(tag)))).collect::<serde_json::Map<_, _>>(),
            "wait_median_ms": permille(all.clone(), 500).map(|s| (s * 1000.0).round()),
            "wait_p99_ms": permille(all.clone(), 990).map(|s| (s * 1000.0).round()),
            "wait_longest_ms": permille(all, 1000).map(|s| (s * 1000.0).round()),
        }),
    );
}

#[test]
fn f08_eight_processes_at_an_expiry_send_one_request() {
    const LIFE: f64 = 4.0;
    let field = Arc::new(Field::new(&["crm".to_owned()]));
    field.import("crm", &json!({ "name": "crm", "life": LIFE }));
    let mut processes = vec![Serving::serve(&field, "serve")];
    processes.extend((1..8).map(|n| Serving::run(&field, &format!("run-{n}"))));
    for expiry in 1..=5 {
        let rotated = field.events.wait(0, Duration::from_secs(60), |it| it.kind == "rotated" && it.rotation == expiry);
        assert!(rotated.is_some(), "nobody renewed for the {expiry}. time");
    }
    processes.iter_mut().for_each(end);
    let seen = field.judge.seen("crm");
    assert!(seen.alive && seen.requests == seen.rotation, "{seen:?}");
    // Each is due at 70 % of a life at the earliest; a busy machine may begin to count late.
    let events = field.events.all();
    let times: Vec<f64> = events.iter().filter(|event| event.kind == "rotated").map(|event| event.at).collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= LIFE / 2.0, "two requests for one expiry: {times:?}");
    }
}

fn end(serving: &mut Serving) {
    signal(&serving.child, "TERM");
    drop(serving.child.stdin.take());
    serving.child.wait().unwrap();
}
