//! T5: the real binary is killed, again and again and at the worst moments; a judge in another process
//! says what that cost.
//!
//! A refresh token is spent when the server has rotated, and its successor is safe when it is on disk. A
//! process that is killed between the two loses the grant at a server without a grace window: nobody
//! can prevent that. Everything else is asserted to be lost to nobody.
//!
//! `OUTLAST_KILLS` sets how many, `OUTLAST_SEED` which.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::home::Home;
use support::judged::{Dice, Event, Field, Serving, ask, figures, monotonic, number, permille};

const GRANTS: u64 = 16;
/// Short, so that whoever serves renews all the time.
const LIFE_SECONDS: u64 = 2;
/// From the rotation to its answer, as a server near by takes.
const LATENCY_SECONDS: f64 = 0.004;
/// A kill that comes longer than this after the answer is not what a family was lost to. Generous: the
/// commit of a busy machine with a slow disk has to fit in.
const WINDOW_SECONDS: f64 = 2.0;

struct Run {
    field: Field,
    left: AtomicI64,
    /// When each process was killed: just before the signal was sent.
    kills: Mutex<BTreeMap<String, f64>>,
    /// The newest generation of each grant that anybody was told.
    told: BTreeMap<String, AtomicU64>,
    /// Sightings of a generation older than one that had been told before it was asked for.
    gone_back: Mutex<Vec<String>>,
    surprises: Mutex<Vec<String>>,
}

/// When a process is killed.
enum Aim {
    /// So long after it began.
    Anytime(Duration),
    /// When the judge has rotated for it, and has not answered yet.
    Request,
    /// So long after the judge has answered it.
    Answer(Duration),
}

impl Run {
    fn goes_on(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    fn grant(dice: &mut Dice) -> String {
        format!("g{}", dice.below(GRANTS))
    }

    fn floor(&self, grant: &str) -> u64 {
        self.told[grant].load(Ordering::SeqCst)
    }

    /// Somebody was told a generation: it must not be older than what was known when he asked.
    fn tell(&self, grant: &str, floor: u64, generation: u64, who: &str) {
        if generation < floor {
            self.gone_back.lock().unwrap().push(format!("{who} was told {grant} {generation} after {floor}"));
        }
        self.told[grant].fetch_max(generation, Ordering::SeqCst);
    }

    fn aim(dice: &mut Dice, life_millis: u64) -> Aim {
        match dice.below(10) {
            0 | 1 => Aim::Request,
            2..=4 => Aim::Answer(Duration::from_micros(dice.below(12_000))),
            _ => Aim::Anytime(Duration::from_millis(dice.below(life_millis))),
        }
    }

    /// Kills the process when the aim says; true if it lived until then.
    fn strike(&self, child: &mut Child, tag: &str, from: usize, aim: &Aim) -> bool {
        let wanted = |kind: &'static str| move |event: &Event| event.client == tag && event.kind == kind;
        // Nothing may come of it: the grant may be lost, or in doubt.
        let patience = Duration::from_millis(600);
        match aim {
            Aim::Anytime(after) => std::thread::sleep(*after),
            Aim::Request => drop(self.field.events.wait(from, patience, wanted("rotated"))),
            Aim::Answer(after) => {
                drop(self.field.events.wait(from, patience, wanted("answered")));
                std::thread::sleep(*after);
            }
        }
        let before = monotonic();
        let _ = child.kill();
        let killed = child.wait().unwrap().signal() == Some(9);
        if killed {
            self.kills.lock().unwrap().insert(tag.to_owned(), before);
            self.left.fetch_sub(1, Ordering::SeqCst);
        }
        killed
    }
}

/// A process that prints tokens, killed and begun again.
fn commands(run: &Run, name: &str, mut dice: Dice) {
    for n in 0_u64.. {
        if !run.goes_on() {
            return;
        }
        let (tag, grant) = (format!("{name}-{n}"), Run::grant(&mut dice));
        let (floor, from) = (run.floor(&grant), run.field.events.count());
        let mut child = run.field.command(&tag, &["token", &grant, "--renew", "--json"]).spawn().unwrap();
        run.strike(&mut child, &tag, from, &Run::aim(&mut dice, 120));
        // Whatever it printed before its end, somebody may have read.
        let output = run.field.ended(child);
        if let Ok(token) = serde_json::from_slice::<Value>(&output.stdout) {
            run.tell(&grant, floor, token["generation"].as_u64().unwrap(), &tag);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let known = ["lost-rotation", "cooling-down", "in-doubt", "store-busy"];
        if said.contains("error[") && !known.iter().any(|code| said.contains(&format!("error[{code}]"))) {
            run.surprises.lock().unwrap().push(format!("{tag} {grant}: {said}"));
        }
    }
}

/// A sidecar, killed and begun again; meanwhile it is asked for new tokens.
fn sidecars(run: &Arc<Run>, name: &str, start: fn(&Home, &str) -> Serving, mut dice: Dice) {
    for n in 0_u64.. {
        if !run.goes_on() {
            return;
        }
        let (tag, from) = (format!("{name}-{n}"), run.field.events.count());
        // It answers from what it knows while that is good: never from less than was told before it began.
        let mut floors: BTreeMap<String, u64> =
            run.told.keys().map(|grant| (grant.clone(), run.floor(grant))).collect();
        let mut serving = start(&run.field, &tag);
        if !serving.socket.exists() {
            run.surprises.lock().unwrap().push(format!("{tag} did not start: {}", serving.said));
            let _ = serving.child.kill();
            drop(serving.child.wait());
            continue;
        }
        let asking = std::thread::spawn({
            let (run, socket, tag, mut dice) = (Arc::clone(run), serving.socket, tag.clone(), Dice::new(n + 77));
            move || ask_until_it_dies(&run, &socket, &tag, &mut floors, &mut dice)
        });
        run.strike(&mut serving.child, &tag, from, &Run::aim(&mut dice, 700));
        drop(serving.child.stdin.take());
        asking.join().unwrap();
    }
}

fn ask_until_it_dies(run: &Run, socket: &Path, tag: &str, floors: &mut BTreeMap<String, u64>, dice: &mut Dice) {
    loop {
        let grant = Run::grant(dice);
        let floor = floors.get_mut(&grant).unwrap();
        let renew = if dice.below(2) == 0 { "?renew=1" } else { "" };
        match ask(socket, &format!("/v1/grants/{grant}/token{renew}")) {
            Some((200, token)) => {
                let generation = token["generation"].as_u64().unwrap();
                run.tell(&grant, *floor, generation, tag);
                *floor = generation;
            }
            Some(_) => std::thread::sleep(Duration::from_millis(5)),
            None => return,
        }
    }
}

/// Gives every grant that was lost a new family, once its status says what happened.
fn revive(run: &Run, lost: &Mutex<Vec<String>>) {
    let mut from = 0;
    loop {
        let Some((at, event)) = run.field.events.wait(from, Duration::from_millis(200), |it| it.kind == "killed")
        else {
            if run.goes_on() { continue } else { return }
        };
        from = at + 1;
        let (grant, number) = event.family.split_once('.').unwrap();
        let status = wait_for_the_word(run, grant);
        assert!(status["what_to_do"].as_str().unwrap().contains(&format!("outlast import {grant}")), "{status}");
        lost.lock().unwrap().push(event.family.clone());
        let next: u64 = number.parse::<u64>().unwrap() + 1;
        run.field.import(grant, &family(grant, next));
    }
}

/// Until the status of a grant that the judge knows to be lost says so: whoever found out may have been
/// killed before it wrote it down.
fn wait_for_the_word(run: &Run, grant: &str) -> Value {
    for _ in 0..600 {
        let status = run.field.status(grant);
        if status["code"] == "lost-rotation" {
            return status;
        }
        drop(run.field.output("finder", &["token", grant]));
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{grant} is lost, and its status does not say so: {}", run.field.status(grant));
}

fn family(grant: &str, number: u64) -> Value {
    json!({ "name": format!("{grant}.{number}"), "life": LIFE_SECONDS, "latency": LATENCY_SECONDS })
}

/// What each lost family was lost to: how long after the judge's answer its holder was killed; negative
/// for a kill before the answer, which then may have gone nowhere.
fn explain(run: &Run) -> Vec<f64> {
    let events = run.field.events.all();
    let kills = run.kills.lock().unwrap();
    let about = |kind: &str, family: &str, rotation: u64| {
        events.iter().find(|it| it.kind == kind && it.family == family && it.rotation == rotation)
    };
    let explain = |killed: &Event| {
        // The token that came back was the last but one: no more than one answer was lost.
        let last = events.iter().rfind(|it| it.kind == "rotated" && it.family == killed.family).unwrap();
        assert_eq!(last.rotation, killed.rotation + 1, "{killed:?} {last:?}");
        let kill = kills.get(&last.client).unwrap_or_else(|| panic!("{last:?} was lost by nobody who was killed"));
        let answered = about("answered", &killed.family, last.rotation).map_or(f64::INFINITY, |it| it.at);
        let late = kill - answered;
        assert!(late <= WINDOW_SECONDS, "{last:?} was answered {late} s before the kill at {kill}");
        late
    };
    events.iter().filter(|event| event.kind == "killed").map(explain).collect()
}

/// Kills that came while an answer to the killed process was under way, or not known to be on disk.
fn kills_in_the_window(run: &Run) -> usize {
    let events = run.field.events.all();
    let kills = run.kills.lock().unwrap();
    let mut inside = BTreeSet::new();
    for rotated in events.iter().filter(|event| event.kind == "rotated") {
        let Some(kill) = kills.get(&rotated.client) else { continue };
        let answered = events
            .iter()
            .find(|it| it.kind == "answered" && it.family == rotated.family && it.rotation == rotated.rotation);
        let open = answered.is_none_or(|answered| kill - answered.at <= WINDOW_SECONDS);
        if open {
            inside.insert((&rotated.client, &rotated.family));
        }
    }
    inside.len()
}

#[test]
fn t5_no_kill_loses_a_token_that_anybody_was_told() {
    let kills = number("OUTLAST_KILLS", 1000);
    let seed = number("OUTLAST_SEED", 1);
    let names: Vec<String> = (0..GRANTS).map(|n| format!("g{n}")).collect();
    let run = Arc::new(Run {
        field: Field::new(&names),
        left: AtomicI64::new(i64::try_from(kills).unwrap()),
        kills: Mutex::default(),
        told: names.iter().map(|name| (name.clone(), AtomicU64::new(0))).collect(),
        gone_back: Mutex::default(),
        surprises: Mutex::default(),
    });
    for name in &names {
        run.field.import(name, &family(name, 0));
    }
    let began = monotonic();
    let lost = Arc::new(Mutex::new(Vec::new()));
    let mut threads = Vec::new();
    for n in 0..3 {
        let run = Arc::clone(&run);
        threads.push(std::thread::spawn(move || commands(&run, &format!("token-{n}"), Dice::new(seed * 10 + n))));
    }
    for (n, name, start) in [(4, "run", Serving::run as fn(&Home, &str) -> Serving), (5, "serve", Serving::serve)] {
        let run = Arc::clone(&run);
        threads.push(std::thread::spawn(move || sidecars(&run, name, start, Dice::new(seed * 10 + n))));
    }
    let reviver = std::thread::spawn({
        let (run, lost) = (Arc::clone(&run), Arc::clone(&lost));
        move || revive(&run, &lost)
    });
    for thread in threads {
        thread.join().unwrap();
    }
    reviver.join().unwrap();
    judge(&run, &names, monotonic() - began, lost.lock().unwrap().len());
}

fn judge(run: &Run, names: &[String], seconds: f64, revived: usize) {
    let surprises = run.surprises.lock().unwrap();
    assert!(surprises.is_empty(), "{} surprises, the first: {}", surprises.len(), surprises[0]);
    // Every grant is asked once more by nobody who is killed: it is served, or known to be lost.
    let mut told_and_lost = 0;
    for name in names {
        let floor = run.floor(name);
        let output = run.field.output("last", &["token", name, "--renew", "--json"]);
        let status = run.field.status(name);
        assert!(output.status.success() || status["code"] == "lost-rotation", "{name}: {output:?} {status}");
        // The store holds what anybody was told, or something newer.
        let held = status["generation"].as_u64().unwrap();
        told_and_lost += floor.saturating_sub(held);
    }
    let gone_back = run.gone_back.lock().unwrap();
    let seen = run.field.judge.seen_in_all();
    assert_eq!(seen["unknown_tokens"], 0, "{seen}");
    let late = explain(run);
    let (lost, inside) = (late.len(), kills_in_the_window(run));
    assert_eq!(seen["killed"], json!(lost));
    assert!(lost <= inside, "{lost} families lost by {inside} kills in the window");
    let after_the_answer: Vec<f64> = late.iter().copied().filter(|late| *late >= 0.0).map(|s| s * 1000.0).collect();
    let told: u64 = names.iter().map(|name| run.floor(name)).sum();
    let kills = run.kills.lock().unwrap();
    let of = |name: &str| kills.keys().filter(|tag| tag.starts_with(name)).count();
    figures(
        "kills",
        &json!({
            "kills": kills.len(),
            "kills_of": { "token": of("token"), "run": of("run"), "serve": of("serve") },
            "seconds": seconds.round(),
            "rotations": seen["sums"]["rotations"],
            "generations_told": told,
            "generations_told_and_lost": told_and_lost,
            "sightings_that_went_back": gone_back.len(),
            "kills_in_the_window": inside,
            "families_lost": lost,
            "families_lost_later_than_20_ms": after_the_answer.iter().filter(|late| **late > 20.0).count(),
            "families_lost_before_the_answer": lost - after_the_answer.len(),
            "families_lost_after_the_answer": after_the_answer.len(),
            "latest_loss_after_the_answer_ms": permille(after_the_answer, 1000),
            "families_revived": revived,
        }),
    );
    // After the figures, so that a run that failed shows them.
    assert_eq!(told_and_lost, 0, "of {told} generations that were told");
    assert!(gone_back.is_empty(), "{gone_back:?}");
}
