//! The rules of STYLE.md and ARCHITECTURE.md that no compiler checks.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use outlast_core::{Advice, Code};
use outlast_testkit::tidy::{
    code_only, declared_files, functions, linked_files, mentions, own_dependencies, quoted, without_tests,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, its tests left out.
const FILE_LINES_MAX: usize = 500;
/// Longest function.
const FUNCTION_LINES_MAX: usize = 60;
/// Largest file that is read as text.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Which of our crates each crate may use: the arrows of ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("outlast", &["outlast-core", "outlast-oauth", "outlast-store"]),
    ("outlast-cli", &["outlast", "outlast-daemon", "outlast-sandbox"]),
    ("outlast-core", &[]),
    ("outlast-daemon", &["outlast"]),
    ("outlast-model", &["outlast-core"]),
    ("outlast-oauth", &["outlast-core"]),
    ("outlast-sandbox", &["outlast-core"]),
    ("outlast-sim", &["outlast", "outlast-core"]),
    ("outlast-store", &["outlast-core"]),
    ("outlast-testkit", &["outlast-core"]),
];

/// What tests of any crate may use besides.
const TEST_ONLY: &[&str] = &["outlast-model", "outlast-sandbox", "outlast-testkit"];

/// What the sources of a crate must not name, and the files that may all the same.
const FORBIDDEN: &[(&str, &[&str], &[&str])] = &[
    (
        "outlast-core",
        &["std::fs", "std::net", "std::env", "std::process", "std::thread", "tokio", "SystemTime", "Instant"],
        &[],
    ),
    ("outlast-oauth", &["std::fs", "tokio::fs", "rusqlite"], &[]),
    // The keyring is reached over D-Bus, which is a socket.
    ("outlast-store", &["std::net", "tokio::net", "reqwest", "hyper"], &["src/key/keyring.rs"]),
];

/// The only files of the product that read a secret's value, each with what it needs the value for.
const EXPOSING: &[(&str, &str)] = &[
    ("crates/outlast-cli/src/child_grants.rs", "hands the child its capability"),
    ("crates/outlast-cli/src/commands/add.rs", "writes a secret that was typed into a file of its own"),
    ("crates/outlast-cli/src/commands/serve.rs", "writes the capability file"),
    ("crates/outlast-cli/src/commands/token.rs", "prints the token that was asked for"),
    ("crates/outlast-cli/src/demo/story.rs", "hands the demo's agent its capability"),
    ("crates/outlast-core/src/options.rs", "tells options from others, inside the seal"),
    ("crates/outlast-core/src/grant.rs", "fingerprint of the terms"),
    ("crates/outlast-core/src/id_token.rs", "reads the claims of an ID token"),
    ("crates/outlast-core/src/secret.rs", "compares"),
    ("crates/outlast-daemon/src/control/capabilities.rs", "answers with a capability that was asked for"),
    ("crates/outlast-daemon/src/control/token.rs", "answers with the token that was asked for"),
    ("crates/outlast-daemon/src/token_file.rs", "writes the token file of a child"),
    ("crates/outlast-oauth/src/account.rs", "asks whose token it is"),
    ("crates/outlast-oauth/src/assertion/key.rs", "reads the private key that signs"),
    ("crates/outlast-oauth/src/assertion/mod.rs", "joins a certificate and its key"),
    ("crates/outlast-oauth/src/client_authentication.rs", "writes the client's Authorization field"),
    ("crates/outlast-oauth/src/dpop.rs", "hashes the token that a proof goes with"),
    ("crates/outlast-oauth/src/endpoint.rs", "sets the client's Authorization field"),
    ("crates/outlast-oauth/src/exchange.rs", "makes connections with a certificate and its key"),
    ("crates/outlast-oauth/src/grant_type/service_account.rs", "reads a service account's file"),
    ("crates/outlast-oauth/src/key_request.rs", "sets the key in the body of the request that is about it"),
    ("crates/outlast-oauth/src/login/authorization.rs", "writes state and nonce into an authorization request"),
    ("crates/outlast-oauth/src/login/random.rs", "makes the challenge of a verifier"),
    ("crates/outlast-oauth/src/request.rs", "writes the form"),
    ("crates/outlast-oauth/src/tool_output.rs", "reads the token that a command printed"),
    ("crates/outlast-store/src/key/passphrase.rs", "derives the sealing key"),
    ("crates/outlast-store/src/record.rs", "writes the record that is sealed"),
    ("crates/outlast/src/command.rs", "tells a command by standard input; takes secrets out of what it says"),
    ("crates/outlast/src/published.rs", "sets the proof of a bound token"),
    ("crates/outlast/src/presentation.rs", "sets the field that carries the token"),
];

/// For tests only, so they may look at everything.
const NOT_THE_PRODUCT: [&str; 2] = ["crates/outlast-sim/", "crates/outlast-testkit/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Every file below `folder`, build products, installed packages and hidden folders left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            // What fuzzing leaves behind changes while it is looked at, and is not ours to read.
            let skipped = ["artifacts", "corpus", "node_modules", "target"].contains(&name.as_str())
                || name.starts_with('.') && name != ".ci";
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && !skipped => folders.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn crates() -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let crates = folders.filter(|folder| folder.join("Cargo.toml").exists());
    crates.map(|folder| (folder.file_name().unwrap().to_str().unwrap().to_owned(), folder)).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    if folder.exists() { files(folder).into_iter().filter(is_rust).collect() } else { Vec::new() }
}

/// Every source file below the `src` folders, without its tests: where it lies, and its text.
fn sources() -> Vec<(PathBuf, String)> {
    let paths = crates().into_iter().flat_map(|(_, folder)| rust_files(&folder.join("src")));
    paths.map(|path| (path.clone(), without_tests(&read(&path)))).collect()
}

/// Fails with every finding at once.
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn every_arrow_between_crates_is_one_of_the_architecture() {
    let mut findings = Vec::new();
    for (name, folder) in crates() {
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            findings.push(format!("{name}: add it to the arrows"));
            continue;
        };
        let manifest = read(&folder.join("Cargo.toml"));
        let sections = [("dependencies", &[][..]), ("build-dependencies", &[]), ("dev-dependencies", TEST_ONLY)];
        for (section, more) in sections {
            for dependency in own_dependencies(&manifest, section) {
                if !allowed.contains(&dependency.as_str()) && !more.contains(&dependency.as_str()) {
                    findings.push(format!("{name} may not depend on {dependency} ({section})"));
                }
            }
        }
    }
    none(findings);
}

#[test]
fn no_crate_names_what_it_must_not_touch() {
    let mut findings = Vec::new();
    for (name, forbidden, exempt) in FORBIDDEN {
        let folder = root().join("crates").join(name);
        for path in rust_files(&folder.join("src")) {
            let inside = path.strip_prefix(&folder).unwrap().display().to_string();
            if exempt.contains(&inside.as_str()) {
                continue;
            }
            let code = code_only(&without_tests(&read(&path)));
            let named = forbidden.iter().filter(|forbidden| mentions(&code, forbidden));
            findings.extend(named.map(|forbidden| format!("{} names {forbidden}", shown(&path))));
        }
    }
    none(findings);
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let lengths = sources().into_iter().map(|(path, source)| (path, source.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    none(long.map(|(path, lines)| format!("{} has {lines} lines", shown(&path))).collect());
}

#[test]
fn no_function_is_longer_than_60_lines() {
    let mut findings = Vec::new();
    for (path, source) in sources() {
        let long = functions(&source).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
        findings.extend(long.map(|found| format!("{}: {} has {} lines", shown(&path), found.name, found.lines)));
    }
    none(findings);
}

#[test]
fn every_rust_file_is_reached_by_a_mod_line() {
    let mut findings = Vec::new();
    for (_, folder) in crates() {
        let all = rust_files(&folder);
        let mut reached: BTreeSet<PathBuf> = all.iter().filter(|path| is_root(&folder, path)).cloned().collect();
        let mut open: Vec<PathBuf> = reached.iter().cloned().collect();
        while let Some(path) = open.pop() {
            for declared in declared_files(&read(&path), &path, is_root(&folder, &path)) {
                // A `#[path]` may lead over a parent folder.
                let Ok(declared) = declared.canonicalize() else { continue };
                if reached.insert(declared.clone()) {
                    open.push(declared);
                }
            }
        }
        findings.extend(all.iter().filter(|path| !reached.contains(*path)).map(|path| shown(path)));
    }
    none(findings);
}

/// Whether cargo compiles a file for itself: a library, a program, a test, a benchmark, an example.
fn is_root(folder: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(folder) else { return false };
    let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    let programs = ["tests", "benches", "examples", "bin"];
    match parts.as_slice() {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] => true,
        ["src", folder, _] | ["src", folder, _, "main.rs"] => *folder == "bin",
        [folder, _] | [folder, _, "main.rs"] => programs.contains(folder),
        _ => false,
    }
}

#[test]
fn every_code_has_a_page_that_agrees_with_it_and_no_page_is_an_orphan() {
    let folder = root().join("docs/errors");
    let mut findings = Vec::new();
    for code in Code::ALL {
        let path = folder.join(format!("{code}.md"));
        let Ok(page) = fs::read_to_string(&path) else {
            findings.push(format!("{} is missing", shown(&path)));
            continue;
        };
        let title = format!("# {code}\n");
        let advice = format!("(`{:?}`)", code.advice());
        let row = format!("| exit code of the command | {} |", exit_code(*code));
        let wanted = [&title, &advice, &row, "| HTTP status |", "## Likely causes", "## What to do", "## Example"];
        let absent = wanted.iter().filter(|wanted| !page.contains(**wanted));
        findings.extend(absent.map(|absent| format!("{} does not say {absent:?}", shown(&path))));
    }
    for path in files(&folder) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if Code::parse(stem).is_none() {
            findings.push(format!("{} is the page of no code", shown(&path)));
        }
    }
    none(findings);
}

/// The exit codes as they are documented; the command has its own match.
fn exit_code(code: Code) -> u8 {
    if code == Code::DaemonUnreachable {
        return 69;
    }
    match code.advice() {
        Advice::AskUser => 77,
        Advice::Decide => 65,
        Advice::FixConfig => 78,
        Advice::ReportBug => 70,
        Advice::Retry | Advice::Wait => 75,
    }
}

fn documents() -> Vec<PathBuf> {
    let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    top.filter(|path| path.is_file()).chain(files(&root().join("docs"))).filter(is_text).collect()
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut findings = Vec::new();
    for document in documents() {
        for quote in quoted(&read(&document)) {
            let path = quote.split("::").next().unwrap();
            let ours = ["crates/", "docs/", "tests/", "bench/"].iter().any(|start| path.starts_with(start));
            if ours && !path.contains(['<', '*', ' ', '{']) && !root().join(path).exists() {
                findings.push(format!("{} names {path}, which does not exist", shown(&document)));
            }
        }
    }
    none(findings);
}

/// Words of these pages that look like the name of a test and are one: a letter, lower case, three words and more.
fn tests_named_in(page: &str) -> BTreeSet<String> {
    let is_test = |word: &&str| {
        word.matches('_').count() >= 2 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    page.split('`').skip(1).step_by(2).filter(is_test).map(str::to_owned).collect()
}

#[test]
fn every_failure_of_others_and_every_promise_names_tests_that_exist() {
    let code: String =
        crates().into_iter().flat_map(|(_, folder)| rust_files(&folder)).map(|path| read(&path)).collect();
    let mut findings = Vec::new();
    for name in ["docs/field-failures.md", "docs/proof.md"] {
        let named = tests_named_in(&read(&root().join(name)));
        assert!(named.len() >= 20, "{name} names {} tests", named.len());
        let planted = |name: &String| root().join(format!("tests/guards/planted/{name}.toml")).is_file();
        let missing = named.into_iter().filter(|test| !code.contains(&format!("fn {test}(")) && !planted(test));
        findings.extend(missing.map(|test| format!("{name} names {test}, and there is no such test or defect")));
    }
    none(findings);
}

#[test]
fn every_failure_of_others_has_a_row_with_a_test_or_says_that_nothing_holds_it_off() {
    let page = read(&root().join("docs/field-failures.md"));
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows: Vec<(u8, &str)> = cells.filter_map(|(number, row)| Some((number.parse().ok()?, row))).collect();
    assert!(rows.iter().map(|(number, _)| *number).eq(1..=50), "rows 1 to 50, in order");
    let open = rows.iter().filter(|(_, row)| tests_named_in(row).is_empty() && !row.contains("| not yet: "));
    none(open.map(|(number, _)| format!("docs/field-failures.md, row {number}: no test")).collect());
}

#[test]
fn every_promise_of_the_architecture_names_its_files() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let table = page.split("## What is promised, and where").nth(1).expect("ARCHITECTURE.md has the promise table");
    let table = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows: Vec<_> = table.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 6, "the promise table has {} rows", rows.len());
    let bare = rows.iter().filter(|row| !quoted(row).iter().any(|quote| quote.starts_with("crates/")));
    none(bare.map(|row| format!("no file is named in: {row}")).collect());
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut findings = Vec::new();
    for document in documents() {
        for target in linked_files(&read(&document)) {
            if !document.parent().unwrap().join(&target).exists() {
                findings.push(format!("{} links to {target}, which does not exist", shown(&document)));
            }
        }
    }
    none(findings);
}

#[test]
fn our_own_words_are_each_defined_once_in_the_glossary() {
    const WORDS: [&str; 16] = [
        "ask",
        "fence",
        "flight",
        "generation",
        "grant",
        "grant type",
        "keeper",
        "lease",
        "park",
        "plan",
        "redeem",
        "renew",
        "settle",
        "standing",
        "terms",
        "verdict",
    ];
    let glossary = read(&root().join("docs/glossary.md"));
    let count = |word: &str| glossary.matches(&format!("\n**{word}**")).count();
    let wrong = WORDS.into_iter().filter(|word| count(word) != 1);
    none(wrong.map(|word| format!("{word} is defined {} times", count(word))).collect());
}

#[test]
fn secrets_are_exposed_in_a_few_named_files() {
    let exposes = |(path, source): (PathBuf, String)| {
        let named = code_only(&source).contains("expose()");
        let tests_only = |path: &String| NOT_THE_PRODUCT.iter().any(|folder| path.starts_with(folder));
        named.then(|| shown(&path)).filter(|path| !tests_only(path))
    };
    let exposing: BTreeSet<String> = sources().into_iter().filter_map(exposes).collect();
    let allowed: BTreeSet<String> = EXPOSING.iter().map(|(path, _)| (*path).to_owned()).collect();
    let more = exposing.difference(&allowed).map(|path| format!("{path} exposes a secret"));
    let fewer = allowed.difference(&exposing).map(|path| format!("{path} exposes none: take it off the list"));
    none(more.chain(fewer).collect());
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    // Put together, so that this file is no finding.
    let folders = [["/wo", "rk/main"].concat(), ["/wo", "rk/shared"].concat(), ["/ro", "ot/"].concat()];
    let mut findings = Vec::new();
    for path in files(&root()) {
        // In a linked working tree, git's own entry is a file that says where the repository is.
        if path.file_name().is_some_and(|name| name == ".git") || fs::metadata(&path).unwrap().len() > TEXT_BYTES_MAX {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let named = folders.iter().filter(|folder| text.contains(folder.as_str()));
        findings.extend(named.map(|folder| format!("{} names {folder}", shown(&path))));
    }
    none(findings);
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = read(&root().join("README.md"));
    for command in ["cargo run --release -- demo", "./test"] {
        let named = readme.lines().take(40).any(|line| line.trim() == command);
        assert!(named, "{command} is not at the top of README.md");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace_and_says_what_it_is() {
    let mut findings = Vec::new();
    for (name, folder) in crates() {
        let manifest = read(&folder.join("Cargo.toml"));
        for wanted in ["[lints]\nworkspace = true", "description = \"", "license.workspace = true"] {
            if !manifest.contains(wanted) {
                findings.push(format!("{name}: Cargo.toml has no {wanted:?}"));
            }
        }
        let first = ["src/lib.rs", "src/main.rs"].map(|path| folder.join(path)).into_iter().find(|path| path.exists());
        if !first.is_some_and(|path| read(&path).starts_with("//!")) {
            findings.push(format!("{name}: its first file does not open with what it is"));
        }
    }
    none(findings);
}
