//! Measures the classifier against a file of recorded replies, with and without the provider's
//! name, beside two baselines. Usage: `classification_accuracy FILE [--misses]`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../tests/recorded/mod.rs"]
mod recorded;

use recorded::{Case, Tally};

type Judge<'a> = &'a dyn Fn(&Case) -> &'static str;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("a file of recorded replies, one a line");
    let misses = arguments.next().is_some();
    let cases = Case::read_all(&std::fs::read_to_string(file).unwrap());
    println!("{} replies", cases.len());
    println!("{:<28} {:>8} {:>8} {:>10} {:>8}", "", "class", "strict", "recovery", "harmful");
    let judges: [(&str, Judge); 4] = [
        ("with provider", &|case| case.judge(true)),
        ("without provider", &|case| case.judge(false)),
        ("baseline: substring", &recorded::substring_baseline),
        ("baseline: 401 is refresh", &recorded::status_baseline),
    ];
    for (name, judge) in judges {
        let tally = Tally::of(&cases, judge);
        println!(
            "{name:<28} {:>7.1}% {:>7.1}% {:>9.1}% {:>8}",
            tally.percent(tally.class_or_also),
            tally.percent(tally.class_strict),
            tally.percent(tally.recovery),
            tally.harmful
        );
        if misses && !name.starts_with("baseline") {
            for miss in &tally.misses {
                println!("    {miss}");
            }
        }
    }
}
