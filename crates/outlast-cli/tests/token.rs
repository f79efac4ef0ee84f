//! Printing tokens: without a sidecar, with one, at expiry, and from many processes at once.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use outlast_sandbox::{Fault, Lasting};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::Bed;

#[test]
fn a_fresh_token_is_printed_and_nothing_else() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let told = bed.run(&["token", "crm"]);
    assert_eq!((told.code, told.stdout, told.stderr), (0, format!("{}\n", issued.access), String::new()));
    assert_eq!(bed.sandbox.counters().token_requests, 0);
}

#[test]
fn json_tells_the_life_too_and_headers_print_the_header() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let told = bed.run(&["token", "crm", "--json"]).json();
    assert_eq!(told["access_token"], issued.access);
    assert_eq!(told["token_type"], "Bearer");
    assert_eq!(told["generation"], 1);
    assert!(told["expires_in"].as_u64().unwrap() > 3500);
    let headers = bed.run(&["headers", "crm"]).json();
    assert_eq!(headers, serde_json::json!({ "Authorization": format!("Bearer {}", issued.access) }));
}

#[test]
fn a_demand_that_no_token_can_meet_is_said_and_served() {
    let bed = Bed::with_life(Duration::from_secs(60));
    bed.import("crm");
    let told = bed.run(&["token", "crm", "--min-ttl", "2h"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stderr.contains("not the 2h 00m asked for"), "{told:?}");
    assert!(told.stdout.len() > 10);
}

#[test]
fn renew_brings_a_new_token_however_good_the_held_one_is() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let told = bed.run(&["token", "crm", "--renew"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert_ne!(told.stdout.trim(), issued.access);
    assert_eq!(bed.sandbox.counters().refreshes, 1);
    assert_eq!(bed.run(&["token", "crm"]).stdout, told.stdout, "the new one is kept");
}

#[test]
fn f38_a_redirect_of_the_token_endpoint_is_met_once_in_a_call_and_told_as_a_mistake() {
    for status in [301, 302, 303, 307, 308] {
        let bed = Bed::new();
        bed.import("crm");
        bed.sandbox.fault(Fault::Html { status }, Lasting::UntilCleared);
        let told = bed.run(&["token", "crm", "--renew"]);
        told.assert_failed(78, "client-misconfigured");
        assert!(told.stderr.contains(&format!("answered {status}, a redirect")), "{told:?}");
        assert!(told.stderr.contains("the configuration has to name the token endpoint or issuer"), "{told:?}");
        assert_eq!(bed.sandbox.counters().token_requests, 1, "{status}");
        // What is held stays, and once the server answers itself nobody has to do anything.
        assert_eq!(bed.run(&["token", "crm"]).code, 0);
        bed.sandbox.clear_faults();
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
    }
}

#[test]
fn fifty_processes_at_expiry_make_one_refresh_and_print_one_token() {
    let bed = Bed::with_life(Duration::from_secs(600));
    // Handed in as expired, so that no clock decides when the fifty meet it.
    let issued = bed.sandbox.issue();
    let told =
        bed.run_with_input(&["import", "crm"], format!(r#"{{"refresh_token":"{}"}}"#, issued.refresh).as_bytes());
    assert_eq!(told.code, 0, "{told:?}");
    let children: Vec<Child> = (0..50).map(|_| started(bed.command(&["token", "crm"]))).collect();
    let tokens: Vec<String> = children.into_iter().map(printed).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0] && !token.is_empty()), "{} differ", tokens.len());
    let counters = bed.sandbox.counters();
    assert_eq!((counters.refreshes, counters.token_requests, counters.reuse_alarms), (1, 1, 0), "{counters:?}");
    assert!(counters.grant_alive);
}

#[test]
fn two_processes_that_both_insist_on_a_new_token_never_use_a_refresh_token_twice() {
    let bed = Bed::new();
    bed.import("crm");
    let children: Vec<Child> = (0..2).map(|_| started(bed.command(&["token", "crm", "--renew"]))).collect();
    for child in children {
        assert!(!printed(child).is_empty());
    }
    let counters = bed.sandbox.counters();
    assert!((1..=2).contains(&counters.refreshes), "{counters:?}");
    assert_eq!(counters.reuse_alarms, 0, "{counters:?}");
}

#[test]
fn an_early_renewal_that_fails_takes_no_good_token_away() {
    let bed = Bed::with_life(Duration::from_secs(4));
    let issued = bed.import("crm");
    bed.sandbox.fault(outlast_sandbox::Fault::Unavailable, outlast_sandbox::Lasting::UntilCleared);
    // Past the point where it is due, before its end.
    std::thread::sleep(Duration::from_millis(3300));
    let told = bed.run(&["token", "crm"]);
    assert_eq!((told.code, told.stdout.trim()), (0, issued.access.as_str()), "{}", told.stderr);
    assert!(bed.sandbox.counters().token_requests >= 1, "it was due and nothing was tried");
}

#[test]
fn an_outage_says_wait_and_keeps_the_grant() {
    let bed = Bed::new();
    let issued = bed.sandbox.issue();
    bed.run_with_input(&["import", "crm"], format!(r#"{{"refresh_token":"{}"}}"#, issued.refresh).as_bytes());
    bed.sandbox.fault(outlast_sandbox::Fault::Html { status: 502 }, outlast_sandbox::Lasting::UntilCleared);
    let begun = Instant::now();
    let told = bed.run(&["token", "crm"]);
    assert_eq!(told.code, 75, "{told:?}");
    assert!(told.stderr.contains("do not use another credential"), "{told:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    bed.sandbox.clear_faults();
    let healed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(300));
        bed.run(&["token", "crm"]).code == 0
    });
    assert!(healed, "{:?}", bed.run(&["status"]));
}

#[test]
fn a_signal_during_a_renewal_waits_for_its_answer_and_loses_nothing() {
    let bed = Bed::new();
    bed.import("crm");
    let delay = Duration::from_millis(1500);
    bed.sandbox.fault(outlast_sandbox::Fault::Slow { delay }, outlast_sandbox::Lasting::Times(1));
    let mut child = started(bed.command(&["token", "crm", "--renew"]));
    while bed.sandbox.counters().refreshes == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-TERM".to_owned(), child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_eq!(bed.generation("crm"), 2, "the answer was kept");
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
    assert_eq!(bed.sandbox.counters().reuse_alarms, 0);
}

#[test]
fn five_hundred_asks_of_a_fresh_token_reach_no_server() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    for _ in 0..10 {
        let children: Vec<Child> = (0..50).map(|_| started(bed.command(&["token", "crm"]))).collect();
        assert!(children.into_iter().map(printed).all(|token| token.trim() == issued.access));
    }
    assert_eq!(bed.sandbox.counters().token_requests, 0);
}

#[test]
fn no_secret_is_logged_at_the_finest_level() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let output = bed.command(&["token", "crm", "--renew"]).env("OUTLAST_LOG", "trace").output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("renewed"), "something is logged: {stderr}");
    // Basic credentials in the form they travel in, too.
    let basic = "c2FuZGJveDpDQU5BUlkt";
    for secret in [stdout.trim(), &issued.access, &issued.refresh, support::SECRET, "CANARY", basic] {
        assert!(!stderr.contains(secret), "{secret}: {stderr}");
    }
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn printed(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
