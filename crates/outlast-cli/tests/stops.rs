//! F09, F11, F13, F77: processes that are stopped, overtaken or told to end in the middle of a renewal. The
//! real binary, judged by a server in another process that kills the family of a token that comes back.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Output};
use std::sync::Arc;
use std::time::Duration;
use support::home::Home;
use support::judged::{Dice, Field, Serving, ask, configure, grant_table, monotonic, signal};

/// For things that have to happen, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

fn crm(wish: Value) -> Field {
    let field = Field::new(&["crm".to_owned()]);
    let mut family = json!({ "name": "crm", "life": 3600 });
    family.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    field.import("crm", &family);
    field
}

fn renewing(field: &Field, tag: &str) -> Child {
    field.command(tag, &["token", "crm", "--renew", "--json"]).spawn().unwrap()
}

fn token(field: &Field, arguments: &[&str]) -> Output {
    let all: Vec<&str> = ["token", "crm", "--json"].iter().chain(arguments).copied().collect();
    field.output("other", &all)
}

fn generation(output: &Output) -> u64 {
    assert!(output.status.success(), "{output:?}");
    let token: Value = serde_json::from_slice(&output.stdout).unwrap();
    token["generation"].as_u64().unwrap()
}

fn wait_for(field: &Field, kind: &str, client: &str) {
    let seen = field.events.wait(0, PATIENCE, |event| event.kind == kind && event.client == client);
    assert!(seen.is_some(), "no {kind} by {client}: {:?}", field.events.all());
}

/// Nothing came back, and the grant goes on.
fn assert_whole(field: &Field, rotations: u64) {
    let seen = field.judge.seen("crm");
    assert_eq!((seen.alive, seen.reuses, seen.rotation, seen.requests), (true, 0, rotations, rotations), "{seen:?}");
    assert_eq!(generation(&token(field, &["--renew"])), rotations + 2);
    assert_eq!(field.status("crm")["standing"], "live");
}

/// Waits until the time of the token that was imported at `from` has run to this share of `life`.
fn until(from: f64, life: f64, share: f64) {
    std::thread::sleep(Duration::from_secs_f64((from + life * share - monotonic()).max(0.0)));
}

#[test]
fn f11_while_the_holder_is_stopped_after_the_send_others_serve_what_is_held_and_spend_nothing() {
    const LIFE: f64 = 20.0;
    let field = crm(json!({ "life": LIFE }));
    let from = monotonic();
    field.judge.fault(&json!({ "kind": "delay", "seconds": 1 }));
    let holder = renewing(&field, "holder");
    wait_for(&field, "rotated", "holder");
    signal(&holder, "STOP");
    assert_eq!(generation(&token(&field, &[])), 1, "fresh");
    until(from, LIFE, 0.82);
    assert_eq!(generation(&token(&field, &[])), 1, "due, and the lease is not to be had: what is good is served");
    until(from, LIFE, 1.01);
    let busy = token(&field, &[]);
    let said = String::from_utf8_lossy(&busy.stderr);
    assert_eq!(busy.status.code(), Some(75), "{said}");
    assert!(said.contains("\"code\":\"store-busy\"") && said.contains("Wait and try again"), "{said}");
    assert!(said.contains("let a stopped outlast process go on, or end it"), "{said}");
    // More than a minute has passed: its time for the request is long up, and the answer is there.
    signal(&holder, "CONT");
    // The token in it has ended by now, so the next one is fetched at once.
    assert!(generation(&field.ended(holder)) >= 2);
    let seen = field.judge.seen("crm");
    assert_eq!((seen.alive, seen.reuses, seen.requests), (true, 0, seen.rotation), "{seen:?}");
    assert!(generation(&token(&field, &[])) > seen.rotation);
}

/// Passes connections on to the judge, and can take no more of them for a while: a process then has its
/// note of intent on disk and not sent a byte.
struct Gate {
    listener: Arc<TcpListener>,
    fillers: Vec<TcpStream>,
    judge: String,
}

impl Gate {
    fn closed(judge: &str) -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        rustix::net::listen(listener.as_fd(), 0).unwrap();
        let mut gate = Self { listener, fillers: Vec::new(), judge: judge.trim_start_matches("http://").to_owned() };
        let address = gate.listener.local_addr().unwrap();
        while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            gate.fillers.push(filler);
        }
        gate
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Waits until somebody knocks.
    fn knocked(&self) {
        let wanted = format!(":{:04X} 02 ", self.port());
        let began = monotonic();
        while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&wanted) {
            assert!(monotonic() - began < PATIENCE.as_secs_f64(), "nobody came to the gate");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn open(&self) {
        rustix::net::listen(self.listener.as_fd(), 64).unwrap();
        let (listener, judge) = (Arc::clone(&self.listener), self.judge.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut near, judge) = (stream.unwrap(), judge.clone());
                std::thread::spawn(move || -> std::io::Result<()> {
                    let mut first = [0; 64 * 1024];
                    let count = near.read(&mut first)?;
                    if count == 0 {
                        return Ok(());
                    }
                    let mut far = TcpStream::connect(judge)?;
                    far.write_all(&first[..count])?;
                    let (mut up_from, mut up_to) = (near.try_clone()?, far.try_clone()?);
                    std::thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
                    std::io::copy(&mut far, &mut near)?;
                    near.shutdown(std::net::Shutdown::Both)
                });
            }
        });
    }
}

/// A field whose grant is reached through a closed gate, and a process stopped in front of it.
fn stopped_before_the_send() -> (Field, Gate, Child) {
    let field = Field::new(&["crm".to_owned()]);
    let gate = Gate::closed(field.judge.origin());
    let table = grant_table("crm", &field.judge);
    let behind = format!("http://127.0.0.1:{}/token", gate.port());
    configure(field.path(), &table.replace(&field.judge.token_endpoint(), &behind));
    field.import("crm", &json!({ "name": "crm", "life": 3600 }));
    let holder = renewing(&field, "holder");
    gate.knocked();
    signal(&holder, "STOP");
    assert_eq!(field.status("crm")["standing"], "renewing", "its note is on disk");
    (field, gate, holder)
}

#[test]
fn f11_a_holder_that_is_stopped_before_the_send_goes_on_where_it_was() {
    let (field, gate, holder) = stopped_before_the_send();
    assert_eq!(generation(&token(&field, &[])), 1, "what is held is served meanwhile");
    gate.open();
    signal(&holder, "CONT");
    assert_eq!(generation(&field.ended(holder)), 2);
    assert_whole(&field, 1);
}

#[test]
fn f13_a_holder_whose_lock_was_cleaned_away_while_it_was_stopped_sends_nothing() {
    let (field, gate, holder) = stopped_before_the_send();
    std::fs::remove_file(field.state().join("locks/crm.lock")).unwrap();
    gate.open();
    assert_eq!(generation(&token(&field, &["--renew"])), 2, "another process has the lease by its name");
    signal(&holder, "CONT");
    assert_eq!(generation(&field.ended(holder)), 2, "it adopts what the other brought");
    assert_whole(&field, 1);
}

#[test]
fn f09_a_loser_that_is_refused_adopts_the_winners_token_and_deletes_nothing() {
    let field = crm(json!({ "lenient": true }));
    // The server takes its time with the first request; meanwhile the lock is cleaned away, and another
    // process spends the same token first.
    field.judge.fault(&json!({ "kind": "hold", "seconds": 4 }));
    let loser = renewing(&field, "loser");
    while field.status("crm")["standing"] != "renewing" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let arrived = monotonic();
    std::thread::sleep(Duration::from_millis(500));
    std::fs::remove_file(field.state().join("locks/crm.lock")).unwrap();
    assert_eq!(generation(&token(&field, &["--renew"])), 2);
    assert!(monotonic() - arrived < 60.0);
    let told = field.ended(loser);
    assert_eq!(generation(&told), 2, "the winner's");
    let kinds: Vec<_> = field.events.all().into_iter().map(|event| (event.kind, event.client)).collect();
    assert!(kinds.contains(&("reused".to_owned(), "loser".to_owned())), "it was refused: {kinds:?}");
    assert_eq!(field.status("crm")["standing"], "live");
    assert_eq!(field.status("crm")["generation"], 2);
    assert_eq!(generation(&token(&field, &["--renew"])), 3);
}

#[test]
fn f13_no_process_id_is_taken_for_a_sign_of_life() {
    let field = crm(json!({}));
    let lock = field.state().join("locks/crm.lock");
    assert_eq!(generation(&token(&field, &["--renew"])), 2);
    // The start of the store's id and the epoch of the record, twice (F15): nothing of who holds it.
    let noted = std::fs::read_to_string(&lock).unwrap();
    let words: Vec<&str> = noted.split_whitespace().collect();
    assert!(matches!(words[..], [store, one, other] if store.len() == 16 && one == other), "{noted:?}");
    // The id of a process that lives, and does not hold it.
    std::fs::write(&lock, std::process::id().to_string()).unwrap();
    assert_eq!(generation(&token(&field, &["--renew"])), 3);
    let named_after_one = |path: &Path| path.extension().is_some_and(|ending| ending == "pid");
    let files: Vec<_> = std::fs::read_dir(field.state()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.iter().any(|path| named_after_one(path)), "{files:?}");
}

#[test]
fn f77_whoever_is_told_to_end_during_a_renewal_keeps_its_answer() {
    for (kind, starts) in [("serve", Serving::serve as fn(&Home, &str) -> Serving), ("run", Serving::run)] {
        let field = crm(json!({}));
        let mut serving = starts(&field, kind);
        field.judge.fault(&json!({ "kind": "delay", "seconds": 3 }));
        let socket = serving.socket.clone();
        let asking = std::thread::spawn(move || ask(&socket, "/v1/grants/crm/token?renew=1"));
        wait_for(&field, "rotated", kind);
        signal(&serving.child, "TERM");
        std::thread::sleep(Duration::from_millis(500));
        // The second one changes nothing.
        signal(&serving.child, "TERM");
        let code = serving.child.wait().unwrap().code();
        // A program that was ended by a signal is told as a shell tells it.
        assert_eq!(code, Some(if kind == "run" { 128 + 15 } else { 0 }), "{kind}");
        let (status, told) = asking.join().unwrap().unwrap();
        assert_eq!((status, &told["generation"]), (200, &json!(2)), "who asked is answered: {told}");
        assert_whole(&field, 1);
    }
}

#[test]
fn f77_a_command_that_is_told_to_end_during_a_renewal_keeps_its_answer() {
    let field = crm(json!({}));
    field.judge.fault(&json!({ "kind": "delay", "seconds": 2 }));
    let child = renewing(&field, "asker");
    wait_for(&field, "rotated", "asker");
    signal(&child, "TERM");
    signal(&child, "INT");
    assert!(!field.ended(child).status.success());
    assert_eq!(field.status("crm")["generation"], 2);
    assert_whole(&field, 1);
}

/// A field of grants that are renewed all the time.
fn busy_field() -> (Field, Vec<String>) {
    let names: Vec<String> = (0..8).map(|n| format!("g{n}")).collect();
    let field = Field::new(&names);
    for name in &names {
        field.import(name, &json!({ "name": name, "life": 2, "latency": 0.005 }));
    }
    (field, names)
}

#[test]
fn f77_ending_at_any_moment_loses_nothing() {
    const TIMES: u64 = 30;
    let (field, names) = busy_field();
    let mut dice = Dice::new(5);
    for n in 0..TIMES {
        let (tag, from) = (format!("serve-{n}"), field.events.count());
        let mut serving = Serving::serve(&field, &tag);
        match dice.below(3) {
            0 => std::thread::sleep(Duration::from_millis(dice.below(400))),
            1 => drop(field.events.wait(from, PATIENCE, |it| it.client == tag && it.kind == "rotated")),
            _ => drop(field.events.wait(from, PATIENCE, |it| it.client == tag && it.kind == "answered")),
        }
        signal(&serving.child, "TERM");
        assert_eq!(serving.child.wait().unwrap().code(), Some(0), "{tag}: {}", serving.said);
        assert!(!serving.socket.exists(), "{tag} left its socket behind");
    }
    let seen = field.judge.seen_in_all();
    assert_eq!((&seen["killed"], &seen["sums"]["reuses"]), (&json!(0), &json!(0)), "{seen}");
    for name in &names {
        let family = field.judge.seen(name);
        assert_eq!(field.status(name)["generation"], family.rotation + 1, "{name}: every answer is on disk");
    }
    assert!(seen["sums"]["rotations"].as_u64().unwrap() >= TIMES / 2, "{seen}");
}
