//! A disk that gets full in the middle of a step: what was begun and could be recorded is, and what could not
//! is told. On a real file system of a few hundred kilobytes, in a mount namespace of its own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::process::Command;
use support::Bed;

/// What the script says where nothing can be mounted.
const SKIP: i32 = 99;
const PLAN: &str = r#"
[task]
id = "harvest"
[[step]]
key = "fill"
command = ["sh", "-c", "head -c 9999999 /dev/zero > \"$STATE/fill\" 2>/dev/null; echo filled"]
[[step]]
key = "large"
needs = ["fill"]
command = ["sh", "-c", "echo plan >> \"$RUNS\"; head -c 200000 /dev/zero"]
[[step]]
key = "after"
needs = ["large"]
command = ["echo", "after"]
"#;

/// Runs lines of shell with a small, empty disk as the state folder. `OUTLAST` is the binary, `STATE` the disk,
/// and `said CODE WORDS… -- COMMAND` fails the script unless the command ends so and its errors say so.
fn on_small_disk(script: &str) {
    let bed = Bed::new();
    let state = bed.state();
    std::fs::create_dir_all(&state).unwrap();
    let plan = bed.home().join("plan.toml");
    std::fs::write(&plan, PLAN).unwrap();
    let before = format!(
        "mount -t tmpfs -o size=800k,mode=0700 none \"$STATE\" || exit {SKIP}
        step() {{ \"$OUTLAST\" step --task harvest \"$@\"; }}
        fill() {{ head -c 9999999 /dev/zero > \"$STATE/fill\" 2>/dev/null; }}
        said() {{
            code=$1 words=$2; shift 3
            \"$@\" > \"$OUT\" 2> \"$ERR\"; ended=$?
            [ $ended = $code ] || {{ echo \"$*: code $ended, not $code\"; cat \"$ERR\"; exit 1; }}
            [ -z \"$words\" ] || grep -qF -e \"$words\" \"$ERR\" || {{ echo \"$*: not '$words', but:\"; cat \"$ERR\"; exit 1; }}
        }}
        printed() {{ [ \"$(wc -c < \"$OUT\")\" = $1 ] || {{ echo \"$1 bytes are wanted:\"; wc -c \"$OUT\"; exit 1; }} }}
        ran() {{ [ \"$(cat \"$RUNS\" 2>/dev/null | wc -l)\" = $1 ] || {{ echo \"$1 runs are wanted\"; exit 1; }} }}"
    );
    let told = bed.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &format!("{before}\n{script}")]);
    for (name, value) in told.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("OUTLAST", told.get_program()).env("STATE", &state).env("PLAN", &plan);
    for name in ["OUT", "ERR", "RUNS"] {
        command.env(name, bed.home().join(name));
    }
    let output = command.output().unwrap();
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if output.status.code() == Some(SKIP) || text.contains("unshare failed") {
        println!("SKIPPED: no mount namespace to be had");
        return;
    }
    assert!(output.status.success(), "{text}");
}

#[test]
fn what_a_step_brought_is_recorded_though_the_disk_got_full_while_it_ran() {
    on_small_disk(
        r#"
        said 0 "" -- step small -- sh -c 'echo ran >> "$RUNS"; head -c 9999999 /dev/zero > "$STATE/fill"; printf small'
        printed 5
        said 0 "" -- step small -- sh -c 'echo ran >> "$RUNS"'
        printed 5; ran 1
        "#,
    );
}

#[test]
fn what_finds_no_room_is_passed_on_and_the_step_is_asked_about_until_somebody_decides() {
    on_small_disk(
        r#"
        said 0 "" -- step first -- printf one
        fill
        said 78 "store-unwritable" -- step large -- sh -c 'echo ran >> "$RUNS"; head -c 200000 /dev/zero'
        grep -q "came to its end, and what it printed is passed on, but could not be recorded" "$ERR" || exit 1
        printed 200000; ran 1
        for full in yes no; do
            [ $full = yes ] || rm "$STATE/fill"
            said 65 "outlast task resolve harvest large --done, or --rerun" -- step large -- sh -c 'echo ran >> "$RUNS"'
        done
        ran 1
        said 0 "" -- "$OUTLAST" task resolve harvest large --rerun
        said 0 "" -- step large -- sh -c 'echo ran >> "$RUNS"; head -c 200000 /dev/zero'
        printed 200000; ran 2
        said 0 "" -- step first -- printf other
        printed 3
        "#,
    );
}

#[test]
fn a_step_whose_beginning_finds_no_room_does_not_run() {
    on_small_disk(
        r#"
        said 0 "" -- step first -- printf one
        fill
        for number in $(seq 2000); do
            before=$(cat "$RUNS" 2>/dev/null | wc -l)
            step "step-$number" -- sh -c 'echo ran >> "$RUNS"' 2> "$ERR" || break
        done
        grep -qF store-unwritable "$ERR" || { echo "it found room for $number steps"; cat "$ERR"; exit 1; }
        ran $before
        rm "$STATE/fill"
        said 0 "" -- step "step-$number" -- sh -c 'echo ran >> "$RUNS"'
        ran $((before + 1))
        "#,
    );
}

#[test]
fn a_plan_on_a_disk_that_gets_full_says_so_and_goes_on_when_there_is_room() {
    on_small_disk(
        r#"
        said 78 "store-unwritable" -- "$OUTLAST" task run "$PLAN"
        ran 1
        rm "$STATE/fill"
        said 65 "outlast task resolve harvest large --done" -- "$OUTLAST" task run "$PLAN"
        ran 1
        said 0 "" -- "$OUTLAST" task resolve harvest large --rerun
        said 0 "done after" -- "$OUTLAST" task run "$PLAN"
        ran 2
        "#,
    );
}
