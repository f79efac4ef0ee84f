//! What a journal on disk promises, through the port.

#![allow(clippy::disallowed_methods, reason = "files are damaged on purpose")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use outlast_core::journal::{Claim, Journal, JournalError};
use outlast_core::task::{Digest, Effect, Event, Output, Place, StepKey, StepState, TaskId, TaskView};
use outlast_core::{StoreError, Timestamp};
use outlast_store::FileJournal;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::{Folder, runtime};

const HEADER_BYTES: usize = 1024;

fn task() -> TaskId {
    TaskId::parse("harvest").unwrap()
}

fn key(name: &str) -> StepKey {
    StepKey::parse(name).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn journal(folder: &Folder) -> FileJournal {
    folder.open().journal()
}

fn file(folder: &Folder) -> PathBuf {
    folder.home.join("tasks/harvest.journal")
}

fn started(name: &str) -> Event {
    Event::Started { key: key(name), effect: Effect::Once, input: None }
}

fn done(name: &str, bytes: &[u8]) -> Event {
    let output = Output { exit: None, length: bytes.len() as u64, place: Place::Here(bytes.to_vec()) };
    Event::Done { key: key(name), output, took: Duration::from_millis(3) }
}

async fn claim(journal: &FileJournal) -> Result<Arc<dyn Claim>, JournalError> {
    journal.claim(&task(), "test", now()).await
}

async fn view(journal: &FileJournal) -> TaskView {
    journal.read(&task()).await.unwrap().unwrap()
}

fn output_of(view: &TaskView, name: &str) -> Output {
    let Some(StepState::Done { output, .. }) = view.step(&key(name)).map(|step| step.state.clone()) else {
        panic!("{name} is not done: {view:?}")
    };
    output
}

/// A journal with some steps, and its bytes.
fn small(folder: &Folder) -> Vec<u8> {
    let journal = journal(folder);
    runtime().block_on(async {
        let claim = claim(&journal).await.unwrap();
        for name in ["page-1", "page-2", "page-3"] {
            claim.append(now(), vec![started(name)]).await.unwrap();
            claim.append(now(), vec![done(name, name.as_bytes())]).await.unwrap();
        }
    });
    std::fs::read(file(folder)).unwrap()
}

/// Where the last frame ends.
fn end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[test]
fn what_was_appended_is_there_for_the_next_runner_and_for_whoever_looks() {
    let folder = Folder::new();
    small(&folder);
    let journal = journal(&folder);
    runtime().block_on(async {
        let seen = view(&journal).await;
        assert_eq!(seen.steps().len(), 3);
        assert_eq!(journal.output(&task(), &output_of(&seen, "page-2")).await.unwrap(), b"page-2");
        let claim = claim(&journal).await.unwrap();
        assert_eq!(claim.fence().0, 2);
        assert_eq!(claim.view().read().unwrap().steps(), seen.steps());
        assert_eq!(journal.tasks().await.unwrap(), [task()]);
    });
}

#[test]
fn f81_one_runner_at_a_time_and_the_other_is_told_who() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let first = claim(&journal).await.unwrap();
        assert!(journal.is_claimed(&task()).await.unwrap());
        let refused = claim(&journal).await.err().unwrap();
        assert!(matches!(&refused, JournalError::Busy { runner, .. } if runner == "test"), "{refused}");
        assert!(matches!(journal.delete(&task()).await, Err(JournalError::Busy { .. })));
        drop(first);
        assert!(!journal.is_claimed(&task()).await.unwrap());
        claim(&journal).await.unwrap();
    });
}

/// The lock of a runner is taken away from under it (F13), and another takes the task up.
#[test]
fn s9_a_zombie_writes_nothing_more() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let zombie = claim(&journal).await.unwrap();
        zombie.append(now(), vec![started("page-1")]).await.unwrap();
        std::fs::remove_file(folder.home.join("locks/.task-harvest.lock")).unwrap();
        let successor = claim(&journal).await.unwrap();
        for _ in 0..3 {
            let refused = zombie.append(now(), vec![done("page-1", b"late")]).await;
            assert!(matches!(refused, Err(JournalError::Fenced { .. })), "{refused:?}");
        }
        successor.append(now(), vec![started("page-2")]).await.unwrap();
        let seen = view(&journal).await;
        assert!(matches!(seen.step(&key("page-1")).unwrap().state, StepState::Started { .. }), "{seen:?}");
        assert_eq!((seen.fence, seen.steps().len()), (2, 2));
    });
}

#[test]
fn s9_a_zombie_of_a_deleted_task_does_not_write_into_the_one_made_anew() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let zombie = claim(&journal).await.unwrap();
        let of_old = zombie.idempotency_key(&key("page-1"));
        std::fs::remove_file(folder.home.join("locks/.task-harvest.lock")).unwrap();
        journal.delete(&task()).await.unwrap();
        assert!(journal.read(&task()).await.unwrap().is_none());
        let anew = claim(&journal).await.unwrap();
        assert!(matches!(zombie.append(now(), vec![started("x")]).await, Err(JournalError::Fenced { .. })));
        assert_ne!(anew.idempotency_key(&key("page-1")), of_old, "a task made anew repeats no requests");
        assert_eq!(anew.fence().0, 1);
    });
}

#[test]
fn an_idempotency_key_is_the_same_for_every_runner_and_another_for_each_step() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let first = claim(&journal).await.unwrap();
        let of = first.idempotency_key(&key("page-1"));
        assert_ne!(of, first.idempotency_key(&key("page-2")));
        drop(first);
        assert_eq!(claim(&journal).await.unwrap().idempotency_key(&key("page-1")), of);
    });
}

#[test]
fn entries_that_come_together_share_a_frame() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let claim = claim(&journal).await.unwrap();
        let names: Vec<String> = (0..64).map(|number| format!("page-{number}")).collect();
        let appends = names.iter().map(|name| claim.append(now(), vec![started(name), done(name, name.as_bytes())]));
        for written in futures_util::future::join_all(appends).await {
            written.unwrap();
        }
        let seen = view(&journal).await;
        assert_eq!(seen, *claim.view().read().unwrap());
        let mut frames = std::collections::BTreeSet::new();
        for name in &names {
            let output = output_of(&seen, name);
            assert_eq!(journal.output(&task(), &output).await.unwrap(), name.as_bytes());
            let Place::At { frame, .. } = output.place else { panic!("{output:?}") };
            frames.insert(frame);
        }
        assert!(frames.len() <= 8, "{} frames", frames.len());
    });
}

#[test]
fn a_caller_that_goes_away_cancels_nothing() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let held = claim(&journal).await.unwrap();
        drop(held.append(now(), vec![started("page-1")]));
        held.append(now(), vec![started("page-2")]).await.unwrap();
        assert_eq!(view(&journal).await.steps().len(), 2);
    });
}

#[test]
fn f84_a_large_output_lies_apart_and_one_that_is_too_large_is_refused() {
    let folder = Folder::new();
    let journal = journal(&folder);
    let large: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    runtime().block_on(async {
        let claim = claim(&journal).await.unwrap();
        claim.append(now(), vec![started("page-1")]).await.unwrap();
        claim.append(now(), vec![done("page-1", &large)]).await.unwrap();
        let output = output_of(&view(&journal).await, "page-1");
        let Place::Apart(digest) = output.place else { panic!("{output:?}") };
        assert_eq!(journal.output(&task(), &output).await.unwrap(), large);
        let apart = folder.home.join(format!("tasks/harvest.outputs/{digest}"));
        assert_eq!(std::fs::metadata(&apart).unwrap().mode() & 0o777, 0o600);
        let sealed = std::fs::read(&apart).unwrap();
        assert!(!sealed.windows(16).any(|part| part == &large[..16]), "it is sealed");
        let mut flipped = sealed.clone();
        flipped[50_000] ^= 1;
        std::fs::write(&apart, flipped).unwrap();
        assert!(matches!(journal.output(&task(), &output).await, Err(JournalError::Store(StoreError::Corrupt { .. }))));
        let too_large = vec![0; 64 * 1024 * 1024 + 1];
        let refused = claim.append(now(), vec![done("page-1", &too_large)]).await;
        assert!(matches!(refused, Err(JournalError::OutputTooLarge { .. })), "{refused:?}");
        drop(claim);
        journal.delete(&task()).await.unwrap();
        assert!(!folder.home.join("tasks/harvest.outputs").exists());
    });
}

/// Whatever a power cut tears off the end is cut off, and what was acknowledged is there.
#[test]
fn a_journal_that_is_cut_at_any_byte_keeps_every_whole_frame_and_goes_on() {
    let folder = Folder::new();
    let whole = small(&folder);
    let journal = journal(&folder);
    let (runtime, mut steps_before) = (runtime(), 0);
    for cut in HEADER_BYTES..end(&whole) {
        // The file keeps its length: it was made with zeros.
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        std::fs::write(file(&folder), &bytes).unwrap();
        runtime.block_on(async {
            journal.read(&task()).await.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let claim = claim(&journal).await.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            claim.append(now(), vec![started("more")]).await.unwrap();
            let seen = view(&journal).await;
            assert!(seen.step(&key("more")).is_some(), "cut at {cut}");
            assert!(seen.steps().len() > steps_before, "cut at {cut}");
            steps_before = seen.steps().len() - 1;
        });
        // The file itself ends there: a copy that broke off.
        std::fs::write(file(&folder), &whole[..cut]).unwrap();
        runtime.block_on(journal.read(&task())).unwrap_or_else(|error| panic!("ends at {cut}: {error}"));
    }
    assert_eq!(steps_before, 3, "the last that was begun");
}

#[test]
fn f24_no_flipped_bit_changes_what_a_journal_tells() {
    let folder = Folder::new();
    let whole = small(&folder);
    let journal = journal(&folder);
    let told = runtime().block_on(view(&journal));
    for byte in 0..end(&whole) + 64 {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte % 8);
        std::fs::write(file(&folder), &bytes).unwrap();
        runtime().block_on(async {
            match journal.read(&task()).await {
                // The other half of the header, or what no frame was written into.
                Ok(seen) => {
                    assert_eq!(seen.as_ref(), Some(&told), "byte {byte}");
                    assert!(byte < HEADER_BYTES || byte >= end(&whole), "byte {byte}");
                }
                Err(error) => {
                    assert!(matches!(error, JournalError::Store(StoreError::Corrupt { .. })), "byte {byte}: {error}")
                }
            }
            match claim(&journal).await {
                Ok(claim) => assert_eq!(claim.view().read().unwrap().steps(), told.steps(), "byte {byte}"),
                Err(_) => assert_eq!(std::fs::read(file(&folder)).unwrap(), bytes, "byte {byte}: nothing was changed"),
            }
        });
    }
}

#[test]
fn f80_a_journal_of_a_newer_version_is_refused_with_a_reason_and_left_alone() {
    let folder = Folder::new();
    let mut bytes = small(&folder);
    bytes[8] = 9;
    bytes[512 + 8] = 9;
    std::fs::write(file(&folder), &bytes).unwrap();
    let journal = journal(&folder);
    let refused = runtime().block_on(claim(&journal)).err().unwrap();
    assert!(matches!(refused, JournalError::TooNew { found: 9, .. }), "{refused}");
    assert!(refused.to_string().contains("newer outlast"), "{refused}");
    assert_eq!(std::fs::read(file(&folder)).unwrap(), bytes);
}

#[test]
fn a_journal_opens_in_its_store_and_under_its_name_alone() {
    let (folder, other) = (Folder::new(), Folder::new());
    small(&folder);
    small(&other);
    let there = other.home.join("tasks/harvest.journal");
    std::fs::copy(file(&folder), &there).unwrap();
    let refused = runtime().block_on(journal(&other).read(&task()));
    assert!(matches!(refused, Err(JournalError::Store(StoreError::Corrupt { .. }))), "{refused:?}");
    let renamed = TaskId::parse("other").unwrap();
    std::fs::copy(file(&folder), folder.home.join("tasks/other.journal")).unwrap();
    let refused = runtime().block_on(journal(&folder).read(&renamed));
    assert!(matches!(refused, Err(JournalError::Store(StoreError::Corrupt { .. }))), "{refused:?}");
}

#[test]
fn what_a_journal_holds_is_not_in_the_clear() {
    let folder = Folder::new();
    let bytes = small(&folder);
    assert!(!bytes.windows(6).any(|part| part == b"page-1"));
    assert_eq!(std::fs::metadata(file(&folder)).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(folder.home.join("tasks")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn words_without_end_are_cut_and_inputs_are_kept() {
    let folder = Folder::new();
    let journal = journal(&folder);
    runtime().block_on(async {
        let claim = claim(&journal).await.unwrap();
        let input = Some(Digest([7; 32]));
        claim.append(now(), vec![Event::Started { key: key("a"), effect: Effect::Idempotent, input }]).await.unwrap();
        let reason = "ä".repeat(100_000);
        claim.append(now(), vec![Event::Failed { key: key("a"), reason, counts: true }]).await.unwrap();
        let seen = view(&journal).await;
        let step = seen.step(&key("a")).unwrap();
        assert_eq!(step.input, input);
        let StepState::Failed { reason, .. } = &step.state else { panic!("{step:?}") };
        assert!(reason.len() < 2100 && reason.ends_with('…'), "{}", reason.len());
    });
}
