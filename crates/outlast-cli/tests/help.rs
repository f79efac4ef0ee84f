//! Whoever asks for help gets an example.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use support::Bed;

const VERBS: &[&str] = &[
    "add",
    "adopt",
    "completions",
    "demo",
    "doctor",
    "explain",
    "grant",
    "headers",
    "import",
    "key",
    "login",
    "logout",
    "providers",
    "run",
    "sandbox",
    "serve",
    "status",
    "step",
    "task",
    "token",
];

#[test]
fn the_help_of_every_command_has_an_example() {
    let bed = Bed::new();
    let overview = bed.run(&["--help"]);
    for verb in VERBS {
        assert!(
            overview.stdout.contains(&format!("\n  {verb} ")),
            "{verb} is not in the overview: {}",
            overview.stdout
        );
        let told = bed.run(&[verb, "--help"]);
        assert_eq!(told.code, 0, "{told:?}");
        let example = told.stdout.split("Example").nth(1).unwrap_or_default();
        assert!(example.contains(&format!("outlast {verb}")), "{verb}: {}", told.stdout);
    }
}

#[test]
fn help_lists_no_command_without_a_test_here() {
    let overview = Bed::new().run(&["--help"]);
    let listed = overview.stdout.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    // Two spaces begin a command, more go on with its description.
    let begun = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<&str> = begun.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(verbs, VERBS);
}

#[test]
fn completions_are_printed_for_every_shell() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = bed.run(&["completions", shell]);
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stdout.contains("outlast"), "{shell}");
    }
}
