//! The table of habits in the documentation is the table in the code.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use outlast_core::classify::quirks;
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- quirks begin: written by the test `classify_documents` when WRITE_DOCUMENTS is set -->";
const END: &str = "<!-- quirks end -->";

fn rendered() -> String {
    let mut text = String::from("\n| provider | where | signs | meaning | documented at |\n|---|---|---|---|---|\n");
    for table in quirks::tables() {
        for rule in table.rules {
            let signs: Vec<String> = rule.signs.iter().map(|sign| sign.to_string().replace('|', "\\|")).collect();
            let row = format!(
                "| {} | {:?} | {} | {:?} | <{}> |",
                table.name,
                rule.at,
                signs.join(" and "),
                rule.meaning,
                rule.source
            );
            writeln!(text, "{row}").unwrap();
        }
    }
    text
}

#[test]
fn the_documentation_lists_every_quirk_with_its_source() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/classification.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("the opening mark");
    let (table, tail) = rest.split_once(END).expect("the closing mark");
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        std::fs::write(&file, format!("{head}{BEGIN}\n{}{END}{tail}", rendered())).unwrap();
    } else {
        assert_eq!(table.trim(), rendered().trim(), "run this test once with WRITE_DOCUMENTS=1");
    }
}
