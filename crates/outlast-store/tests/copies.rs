//! A store that was copied, cloned or put back is noticed, and one that was not raises no alarm (F15).

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::{Copied, Generation, Grant, Lease, Standing, Timestamp, TokenStore};
use outlast_store::SqliteStore;
use std::path::Path;
use std::process::Command;
use support::{Folder, PATIENCE, grant, id, open, put, runtime};

fn made() -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    runtime().block_on(async {
        for name in ["crm", "other"] {
            put(&store, 0, &grant(name, 1)).await.unwrap();
            put(&store, 1, &grant(name, 2)).await.unwrap();
        }
    });
    folder
}

fn copied(home: &Path, name: &str) -> Option<Copied> {
    let store = open(home);
    runtime().block_on(async { store.copied(&id(name)).await.unwrap() })
}

fn shell(command: &str, home: &Path) {
    let run = Command::new("sh").args(["-ec", command]).current_dir(home.parent().unwrap()).status();
    assert!(run.unwrap().success(), "{command}");
}

async fn leased(store: &SqliteStore, name: &str) -> Lease {
    store.lease(&id(name), PATIENCE).await.unwrap()
}

#[test]
fn f15_what_stays_where_it_was_raises_no_alarm() {
    let folder = made();
    assert_eq!(copied(&folder.home, "crm"), None);
    assert_eq!(copied(&folder.home, "never-given"), None);
    // Moved, looked at, synced, its locks cleaned away: the same file on the same machine.
    for harmless in [
        "mv home moved",
        "touch moved moved/outlast.db",
        "rm -r moved/locks",
        "cat moved/outlast.db > /dev/null",
        "ln -s moved link",
    ] {
        shell(harmless, &folder.home);
        let moved = folder.home.with_file_name("moved");
        assert_eq!(copied(&moved, "crm"), None, "{harmless}");
    }
    assert_eq!(copied(&folder.home.with_file_name("link"), "crm"), None);
}

#[test]
fn f15_a_copied_folder_is_noticed_and_the_original_is_not_accused() {
    for copy in ["cp -a home copy", "mkdir -m 700 copy && tar -C home -c . | tar -C copy -xp"] {
        let folder = made();
        shell(copy, &folder.home);
        let there = folder.home.with_file_name("copy");
        assert_eq!(copied(&there, "crm"), Some(Copied::AnotherFile), "{copy}");
        assert_eq!(copied(&folder.home, "crm"), None, "{copy}");
        // What is in it can be read all the same.
        assert_eq!(open(&there).load_blocking(&id("crm")).unwrap(), Some(grant("crm", 2)));
    }
}

#[test]
fn f15_a_backup_in_place_of_a_newer_database_is_noticed_by_grant() {
    // Into the same file: number and birth stay, the note beside it knows more.
    let folder = made();
    shell("cp home/outlast.db backup", &folder.home);
    runtime().block_on(put(&folder.open(), 2, &grant("crm", 3))).unwrap();
    shell("cat backup > home/outlast.db", &folder.home);
    assert_eq!(copied(&folder.home, "crm"), Some(Copied::PutBack));
    assert_eq!(copied(&folder.home, "other"), None, "nothing of it was lost");
}

#[test]
fn f15_a_database_that_takes_the_place_of_an_open_one_is_noticed_by_whoever_has_it_open() {
    let folder = made();
    shell("cp -p home/outlast.db backup", &folder.home);
    let store = folder.open();
    runtime().block_on(async {
        put(&store, 2, &grant("crm", 3)).await.unwrap();
        shell("mv backup home/outlast.db", &folder.home);
        assert_eq!(store.copied(&id("crm")).await.unwrap(), Some(Copied::PutBack));
        assert_eq!(store.copied(&id("other")).await.unwrap(), Some(Copied::AnotherFile));
        // What is written now goes to the file that bears the name.
        put(&store, 2, &grant("other", 3)).await.unwrap();
    });
    assert_eq!(folder.read("other").unwrap(), Some(grant("other", 3)));
}

#[test]
fn f15_adopting_ends_the_alarm_for_that_grant_alone_and_keeps_what_is_held() {
    let folder = made();
    shell("cp -a home copy", &folder.home);
    let there = folder.home.with_file_name("copy");
    let store = open(&there);
    runtime().block_on(async {
        store.adopt(&leased(&store, "crm").await).await.unwrap();
        store.adopt(&leased(&store, "never-given").await).await.unwrap();
        assert_eq!(store.load(&id("crm")).await.unwrap(), Some(grant("crm", 2)));
    });
    assert_eq!(copied(&there, "crm"), None);
    assert_eq!(copied(&there, "other"), Some(Copied::AnotherFile));
    // A copy of the copy is none of what was adopted.
    shell("cp -a copy again", &folder.home);
    assert_eq!(copied(&folder.home.with_file_name("again"), "crm"), Some(Copied::AnotherFile));
}

#[test]
fn f15_adopting_what_was_put_back_goes_beyond_what_was_seen() {
    let folder = made();
    shell("cp home/outlast.db backup", &folder.home);
    let running = folder.open();
    runtime().block_on(async {
        for generation in 3..8 {
            put(&running, generation - 1, &grant("crm", generation)).await.unwrap();
        }
        shell("cat backup > home/outlast.db", &folder.home);
        let store = folder.open();
        store.adopt(&leased(&store, "crm").await).await.unwrap();
        assert_eq!(store.copied(&id("crm")).await.unwrap(), None);
        assert_eq!(running.copied(&id("crm")).await.unwrap(), None, "a process that saw more agrees");
    });
}

#[test]
fn f15_a_new_token_set_is_at_home_where_it_was_got_and_a_mere_note_is_not() {
    let folder = made();
    shell("cp -a home copy", &folder.home);
    let there = folder.home.with_file_name("copy");
    let store = open(&there);
    runtime().block_on(async {
        let lease = leased(&store, "crm").await;
        let paused = Standing::CoolingDown { until: Timestamp::from_secs(1) };
        let note = Grant { standing: paused, ..grant("crm", 2) };
        store.commit(&lease, Generation(2), &note).await.unwrap();
        assert_eq!(store.copied(&id("crm")).await.unwrap(), Some(Copied::AnotherFile));
        store.commit(&lease, Generation(2), &grant("crm", 3)).await.unwrap();
        assert_eq!(store.copied(&id("crm")).await.unwrap(), None);
    });
}

#[test]
fn f15_what_is_written_to_a_put_back_record_does_not_hide_that_it_was() {
    let folder = made();
    shell("cp home/outlast.db backup", &folder.home);
    runtime().block_on(async {
        put(&folder.open(), 2, &grant("crm", 3)).await.unwrap();
        put(&folder.open(), 3, &grant("crm", 4)).await.unwrap();
        shell("cat backup > home/outlast.db", &folder.home);
        put(&folder.open(), 2, &grant("crm", 2)).await.unwrap();
    });
    assert_eq!(copied(&folder.home, "crm"), Some(Copied::PutBack));
}
