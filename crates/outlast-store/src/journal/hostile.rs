//! What must hold for any bytes inside the seal of a journal's frame, and for any that only look like a frame.
//! Used by the test below and by a fuzz target, which cannot reach the reader of entries from outside.

use super::entry::{Unreadable, body, decode, encode, output};
use super::frame::{self, Found, FrameKey};
use outlast_core::task::{Decision, Entry, Event, Place, TaskView};

/// Where the frame is taken to begin.
const AT: u64 = 304;

/// A frame's bytes: what is read of them is written back as it was read, with its outputs, and adds up to a
/// task. Taken as a frame from the disk they are never one of ours.
///
/// # Panics
/// If that does not hold.
pub fn journal(bytes: &[u8]) {
    match read(bytes) {
        Ok(entries) => {
            assert!(read(&written(&entries)).as_ref() == Ok(&entries), "what was written is not what was read");
            let view = TaskView::fold(entries);
            assert!(view.steps().iter().all(|step| view.step(&step.key) == Some(step)));
        }
        Err(Unreadable::Damaged) => {}
        Err(Unreadable::TooNew(format)) => assert_eq!(bytes.first(), Some(&format)),
    }
    let _either_is_right = frame::is_torn(AT, bytes);
    if let Found::Whole(length) = frame::find(bytes) {
        let key = FrameKey::new(&[7; 32]).expect("the length of a key");
        assert!(key.open(AT, &mut bytes[..length].to_vec()).is_none(), "nobody sealed this");
    }
}

/// All entries, each with the output that lies in it.
fn read(bytes: &[u8]) -> Result<Vec<Entry>, Unreadable> {
    let mut entries = Vec::new();
    decode(AT, bytes, |entry| entries.push(entry))?;
    for entry in &mut entries {
        let (Event::Done { output: brought, .. } | Event::Resolved { decision: Decision::Done(brought), .. }) =
            &mut entry.event
        else {
            continue;
        };
        if let Place::At { frame, entry } = brought.place {
            let found = output(bytes, entry).expect("an output that was told of is there");
            assert_eq!((frame, found.len() as u64), (AT, brought.length));
            brought.place = Place::Here(found);
        }
    }
    Ok(entries)
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let each = |entry| {
        let mut bytes = Vec::new();
        encode(&mut bytes, entry).expect("what was read can be written");
        bytes
    };
    let encoded: Vec<Vec<u8>> = entries.iter().map(each).collect();
    body(&encoded.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use outlast_core::task::{Digest, Effect, Output, StepKey};
    use outlast_core::{Code, GrantId, Timestamp};
    use outlast_testkit::mutation::try_all;
    use std::time::Duration;

    #[test]
    fn t9_entries_of_a_journal() {
        let key = StepKey::parse("page-1").unwrap();
        let grant = GrantId::parse("crm").unwrap();
        let brought =
            |exit, bytes: &[u8]| Output { exit, length: bytes.len() as u64, place: Place::Here(bytes.to_vec()) };
        let apart = Output { exit: Some(3), length: 70_000, place: Place::Apart(Digest([9; 32])) };
        let events = [
            Event::Opened { runner: "process 7".to_owned() },
            Event::Started { key: key.clone(), effect: Effect::Once, input: Some(Digest([3; 32])) },
            Event::Done { key: key.clone(), output: brought(Some(0), b"{\"n\":1}"), took: Duration::from_millis(15) },
            Event::Failed { key: key.clone(), reason: "not yet".to_owned(), counts: true },
            Event::Parked { grant: grant.clone(), code: Code::NeedsUser },
            Event::Resumed { grant },
            Event::Resolved { key: key.clone(), decision: Decision::Rerun },
            Event::Resolved { key: key.clone(), decision: Decision::Done(brought(None, b"")) },
            Event::Done { key, output: apart, took: Duration::ZERO },
            Event::Closed,
        ];
        let entries: Vec<Entry> =
            events.into_iter().zip(1..).map(|(event, at)| Entry { at: Timestamp::from_secs(at), event }).collect();
        let frame = FrameKey::new(&[3; 32]).unwrap().seal(AT, &written(&entries)).unwrap();
        assert_eq!(read(&written(&entries)), Ok(entries.clone()));
        let padded = [written(&entries), vec![0; 40]].concat();
        try_all(&[&written(&entries), &written(&entries[1..3]), &padded, &frame], 10_000, journal);
    }
}
