//! F17: the machine slept. The boot clock runs on, and so does a token's life.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod support;

use std::process::{Command, Output};
use support::Bed;

/// The command as it runs so many seconds of sleep later, in a time namespace of its own; none where
/// such a thing cannot be made.
fn after_sleep(bed: &Bed, seconds: u64, words: &[&str]) -> Option<Output> {
    let allowed = Command::new("unshare").args(["--time", "--boottime", "1", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no time namespace can be made here (unshare --time)");
        return None;
    }
    let command = bed.command(words);
    let mut apart = Command::new("unshare");
    apart.args(["--time", "--boottime", &seconds.to_string()]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    Some(apart.output().unwrap())
}

#[test]
fn f17_a_token_that_ended_while_the_machine_slept_is_renewed_once_before_it_is_used() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    assert_eq!(bed.run(&["token", "crm"]).stdout.trim(), issued.access, "an hour's token, just got");
    for _ in 0..2 {
        let Some(output) = after_sleep(&bed, 3 * 3600, &["token", "crm"]) else { return };
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && printed.len() > 10,
            "{output:?}",
            output = String::from_utf8_lossy(&output.stderr)
        );
        assert_ne!(printed.trim(), issued.access);
    }
    let counters = bed.sandbox.counters();
    assert_eq!((counters.refreshes, counters.reuse_alarms), (1, 0), "{counters:?}");
}

#[test]
fn f17_a_short_sleep_renews_nothing() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    let Some(output) = after_sleep(&bed, 600, &["token", "crm"]) else { return };
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), issued.access);
    assert_eq!(bed.sandbox.counters().token_requests, 0);
}
