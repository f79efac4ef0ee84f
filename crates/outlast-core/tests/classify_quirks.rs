//! Every documented habit of a provider has a fixture, and every fixture gets its verdict.
#![allow(clippy::unwrap_used, missing_docs)]

mod recorded;

use outlast_core::classify::{Quirks, documented_rule, quirks};
use recorded::Case;
use std::collections::BTreeSet;

fn fixtures() -> Vec<Case> {
    Case::read_all(include_str!("fixtures/quirks.jsonl"))
}

#[test]
fn every_documented_reply_gets_its_verdict() {
    let wrong: Vec<String> = fixtures()
        .iter()
        .filter(|case| case.judge(true) != case.class)
        .map(|case| format!("{} is {}, judged {}", case.id, case.class, case.judge(true)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A rule that no fixture reaches is shadowed by an earlier one, or was never tried.
#[test]
fn every_rule_decides_a_fixture_of_its_own() {
    let reached: BTreeSet<usize> = fixtures()
        .iter()
        .filter_map(|case| {
            let quirks = Quirks::for_provider(&case.provider);
            documented_rule(case.kind, case.status, &case.headers, case.body.as_bytes(), &quirks)
        })
        .map(|rule| std::ptr::from_ref(rule) as usize)
        .collect();
    let missed: Vec<String> = quirks::tables()
        .iter()
        .flat_map(|table| table.rules.iter().map(move |rule| (table.name, rule)))
        .filter(|(_, rule)| !reached.contains(&(std::ptr::from_ref(*rule) as usize)))
        .map(|(name, rule)| format!("{name}: {:?}", rule.signs))
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn no_documented_reply_is_harmed_by_leaving_the_provider_out() {
    for case in fixtures() {
        // A dead grant may go unnoticed without the provider's name; a live one may not be lost.
        let judged = case.judge(false);
        let dead = "refresh_token_expired_or_revoked";
        assert!(judged != dead || case.class == dead, "{} is {}, judged {judged}", case.id, case.class);
    }
}

#[test]
fn names_are_found_by_slug_alias_and_without_suffix() {
    let named = |name: &str| Quirks::for_provider(name).provider();
    assert_eq!(named("github"), Some("github"));
    assert_eq!(named("GitHub"), Some("github"));
    assert_eq!(named("Google Drive"), Some("google"));
    assert_eq!(named("google-sheets"), Some("google"));
    assert_eq!(named("microsoft_entra"), Some("microsoft-entra"));
    assert_eq!(named("twitter"), Some("x"));
    assert_eq!(named("aws-cognito"), Some("cognito"));
    assert_eq!(named("no-such-provider"), None);
    assert_eq!(named(""), None);
}

#[test]
fn names_are_unique_so_that_no_table_hides_another() {
    let mut seen = BTreeSet::new();
    for table in quirks::tables() {
        for name in std::iter::once(&table.name).chain(table.also_named) {
            assert!(seen.insert(*name), "{name} is claimed twice");
        }
    }
}

#[test]
fn every_rule_cites_an_address() {
    for table in quirks::tables() {
        for rule in table.rules {
            assert!(rule.source.starts_with("https://"), "{}: {:?}", table.name, rule.signs);
            assert!(!rule.signs.is_empty(), "{} has a rule that fits everything", table.name);
        }
    }
}

#[test]
fn only_providers_that_send_errors_with_200_have_their_successes_held_back() {
    assert!(Quirks::for_provider("slack").success_peek().is_some());
    assert_eq!(Quirks::for_provider("spotify").success_peek(), None);
    assert_eq!(Quirks::default().success_peek(), None);
}
