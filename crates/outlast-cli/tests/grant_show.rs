//! `outlast grant show`: one grant whole, and what became of it, with the real binary.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod support;

use outlast_sandbox::{Fault, Lasting};
use serde_json::Value;
use support::{Bed, SECRET};

fn events(bed: &Bed) -> Vec<Value> {
    let told = bed.run(&["grant", "show", "crm", "--history", "--json"]);
    assert_eq!(told.code, 0, "{told:?}");
    told.json()["history"].as_array().unwrap().clone()
}

fn words(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["what"].as_str().unwrap()).collect()
}

#[test]
fn history_tells_renewals_and_troubles_in_their_order_and_by_whom() {
    let bed = Bed::new();
    let issued = bed.import("crm");
    assert_eq!(bed.run(&["token", "crm", "--renew"]).code, 0);
    bed.sandbox.fault(Fault::Unavailable, Lasting::Times(1));
    bed.run(&["token", "crm", "--renew"]);
    bed.sandbox.revoke_family(None);
    let ended = bed.run(&["token", "crm", "--renew"]);
    let events = events(&bed);
    assert_eq!(words(&events), ["imported", "renewed", "failed", "renewed", "parked"], "{ended:?}");
    assert_eq!((&events[2]["code"], &events[4]["code"]), (&"server-unreachable".into(), &"needs-user".into()));
    assert!(events.iter().all(|event| event["process"] == "command" && event["at"].is_u64()), "{events:?}");
    assert!(events[1]["took_ms"].is_u64() && events[1]["generation"] == 2, "{events:?}");
    let told = bed.run(&["grant", "show", "crm", "--history"]);
    for words in ["standing", "parked", "renewed", "not renewed: server-unreachable", "waits for a person", "by"] {
        assert!(told.stdout.contains(words), "{words:?}: {}", told.stdout);
    }
    let shown = format!("{told:?}{events:?}");
    assert!(![SECRET, &issued.access, &issued.refresh].iter().any(|secret| shown.contains(*secret)), "{shown}");
}

#[test]
fn what_is_shown_without_a_history_is_the_grant_as_it_stands() {
    let bed = Bed::new();
    bed.import("crm");
    let told = bed.run(&["grant", "show", "crm", "--json"]).json();
    assert_eq!((&told["standing"], &told["terms"]["client_id"]), (&"live".into(), &"sandbox".into()));
    assert_eq!(told["terms"]["client_authentication"], "client_secret_basic");
    assert!(told.get("history").is_none());
    bed.run(&["grant", "show", "nobody"]).assert_failed(78, "grant-unknown");
}

#[test]
fn f41_whoever_else_used_the_refresh_token_is_told_apart_from_a_grant_that_ended() {
    let bed = Bed::new();
    let other = bed.grant("other");
    bed.configure(&format!("{}{}", other.split_once("[proxy]").unwrap().0, bed.grant("crm")));
    // Two programs hold one grant: what `other` does is not known to `crm`.
    let issued = bed.import("crm").token_response().to_string();
    assert_eq!(bed.run_with_input(&["import", "other"], issued.as_bytes()).code, 0);
    assert_eq!(bed.run(&["token", "other", "--renew"]).code, 0);
    bed.run(&["token", "crm", "--renew"]);
    let told = bed.run(&["grant", "show", "crm", "--json"]).json();
    assert_eq!((&told["standing"], &told["code"]), (&"parked".into(), &"theft-suspected".into()), "{told}");
    assert_eq!(events(&bed).last().unwrap()["code"], "theft-suspected");
    let doctor = bed.run(&["doctor", "--offline"]);
    assert!(doctor.code == 77 && doctor.stdout.contains("docs/errors/theft-suspected.md"), "{doctor:?}");
}
