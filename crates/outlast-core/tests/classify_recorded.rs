//! The figures on a file of recorded replies that lies beside the checkout; skipped where it does
//! not.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod recorded;

use outlast_core::classify::Verdict;
use recorded::{Case, Tally};
use std::path::Path;

fn recorded_cases() -> Option<Vec<Case>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/refusals.jsonl");
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(Case::read_all(&text)),
        Err(_) => {
            println!("skipped: no recorded replies beside this checkout");
            None
        }
    }
}

#[test]
fn recorded_replies_are_judged_right_with_the_provider_known() {
    let Some(cases) = recorded_cases() else { return };
    let tally = Tally::of(&cases, &|case| case.judge(true));
    let report = tally.misses.join("\n");
    assert!(tally.percent(tally.class_or_also) >= 97.0, "{report}");
    assert!(tally.percent(tally.recovery) >= 98.0, "{report}");
    assert_eq!(tally.harmful, 0, "{report}");
}

#[test]
fn recorded_replies_are_judged_right_with_the_provider_left_out() {
    let Some(cases) = recorded_cases() else { return };
    let tally = Tally::of(&cases, &|case| case.judge(false));
    let report = tally.misses.join("\n");
    assert!(tally.percent(tally.class_or_also) >= 93.0, "{report}");
    assert_eq!(tally.harmful, 0, "{report}");
}

#[test]
fn recorded_scopes_and_waits_are_read() {
    let Some(cases) = recorded_cases() else { return };
    let mut wrong = Vec::new();
    for case in &cases {
        let judgement = case.judgement(true);
        if let (Verdict::InsufficientScope { scopes }, Some(expected)) = (&judgement.verdict, &case.scopes)
            && scopes != expected
        {
            wrong.push(format!("{}: {scopes:?}, not {expected:?}", case.id));
        }
        if case.retry_after.is_some() && judgement.retry_after.map(|wait| wait.as_secs_f64()) != case.retry_after {
            wrong.push(format!("{}: {:?}, not {:?}", case.id, judgement.retry_after, case.retry_after));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
