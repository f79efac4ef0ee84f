//! Who may see a store: its owner.

#![allow(clippy::disallowed_methods, reason = "children are told by environment; files are damaged on purpose")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use outlast_core::StoreError;
use outlast_store::{KeySource, SqliteStore};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use support::{Folder, grant, is_superuser, open, put, runtime, told_home};

const FILES: [&str; 3] = ["outlast.db", "outlast.db-journal", "key-beside-data"];

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn made() -> Folder {
    let folder = Folder::new();
    runtime().block_on(put(&folder.open(), 0, &grant("crm", 1))).unwrap();
    folder
}

fn refusal(folder: &Folder) -> (String, String) {
    match SqliteStore::open(&folder.home, KeySource::File).map(drop) {
        Err(StoreError::Insecure { detail, mend }) => (detail, mend),
        other => panic!("{other:?}"),
    }
}

/// Not a test by itself: makes a store under whatever umask it was started with.
#[test]
fn child() {
    let Some(home) = told_home() else { return };
    runtime().block_on(put(&open(&home), 0, &grant("crm", 1))).unwrap();
}

#[test]
fn f29_files_and_folders_are_for_their_owner_alone_whatever_the_umask() {
    for umask in ["000", "022", "077", "277"] {
        let folder = Folder::new();
        let child = support::child(&folder.home);
        let shell = Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(child.get_program())
            .args(child.get_args())
            .env(support::HOME, &folder.home)
            .output()
            .unwrap();
        assert!(shell.status.success(), "umask {umask}: {}", String::from_utf8_lossy(&shell.stdout));
        for path in [&folder.home, &folder.home.join("locks")] {
            assert_eq!(mode(path), 0o700, "umask {umask}, {path:?}");
        }
        let inside =
            std::fs::read_dir(&folder.home).unwrap().chain(std::fs::read_dir(folder.home.join("locks")).unwrap());
        for entry in inside.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file()) {
            assert_eq!(mode(&entry.path()), 0o600, "umask {umask}, {entry:?}");
        }
    }
}

#[test]
fn f29_a_folder_or_file_open_to_others_is_refused_until_its_mend_is_run() {
    let folder = made();
    let all = [("", 0o750), ("", 0o701), ("locks", 0o770)].into_iter();
    for (name, wide) in all.chain(FILES.into_iter().flat_map(|file| [(file, 0o640), (file, 0o604)])) {
        let path = if name.is_empty() { folder.home.clone() } else { folder.home.join(name) };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(wide)).unwrap();
        let (detail, mend) = refusal(&folder);
        assert!(detail.contains(&format!("{wide:o}")) && detail.contains(name), "{detail}");
        if name != "locks" && name != "outlast.db-journal" {
            assert!(matches!(folder.read("crm"), Err(StoreError::Insecure { .. })), "{name}");
        }
        assert!(Command::new("sh").args(["-c", &mend]).status().unwrap().success(), "{mend}");
        assert_eq!(folder.read("crm").unwrap(), Some(grant("crm", 1)), "after {mend}");
        folder.open();
    }
}

#[test]
fn f29_a_mend_works_for_a_folder_with_an_awkward_name() {
    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join("it's a $(touch owned) `name`");
    open(&home);
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o755)).unwrap();
    let Err(StoreError::Insecure { mend, .. }) = SqliteStore::open(&home, KeySource::File) else {
        panic!("not refused")
    };
    assert!(Command::new("sh").args(["-c", &mend]).current_dir(parent.path()).status().unwrap().success());
    assert_eq!(mode(&home), 0o700);
    assert!(!parent.path().join("owned").exists());
}

#[test]
fn f29_files_behind_symbolic_links_are_refused() {
    for name in ["outlast.db", "outlast.db-journal", "key-beside-data"] {
        let folder = made();
        let (path, target) = (folder.home.join(name), folder.home.join("elsewhere"));
        std::fs::rename(&path, &target).unwrap();
        symlink(&target, &path).unwrap();
        let (detail, _) = refusal(&folder);
        assert!(detail.contains("symbolic link"), "{detail}");
    }
}

#[test]
fn f29_a_lock_behind_a_symbolic_link_is_refused() {
    let folder = made();
    symlink(folder.home.join("outlast.db"), folder.home.join("locks/other.lock")).unwrap();
    let refused = runtime().block_on(put(&folder.open(), 0, &grant("other", 1)));
    assert!(matches!(refused, Err(StoreError::Insecure { .. })), "{refused:?}");
}

#[test]
fn a_symbolic_link_to_a_folder_of_ours_is_fine() {
    let folder = made();
    let link = folder.home.with_file_name("link");
    symlink(&folder.home, &link).unwrap();
    assert_eq!(open(&link).load_blocking(&support::id("crm")).unwrap(), Some(grant("crm", 1)));
}

#[test]
fn f29_what_belongs_to_somebody_else_is_refused() {
    if !is_superuser("f29_what_belongs_to_somebody_else_is_refused") {
        return;
    }
    let folder = made();
    let paths = FILES.map(|file| folder.home.join(file)).into_iter().chain([folder.home.clone()]);
    for path in paths {
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        let (detail, mend) = refusal(&folder);
        assert!(detail.contains("65534"), "{detail}");
        assert!(Command::new("sh").args(["-c", &mend]).status().unwrap().success(), "{mend}");
        folder.open();
    }
}
