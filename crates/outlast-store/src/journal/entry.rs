//! The stored form of entries. Core types are never written directly: what is on disk is read for ever
//! (F80), whatever becomes of them.

use outlast_core::task::{Decision, Digest, Effect, Entry, Event, Output, Place};
use outlast_core::{Code, GrantId, StepKey, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// The format of what is written; the first byte of each frame's body. Raised when the bytes of an entry
/// change their meaning. New kinds of entries raise it too: an older version must not fold without them.
pub(super) const FORMAT: u8 = 1;

/// Variants are told apart by their place in this list: they are added at its end and never removed.
#[derive(Serialize, Deserialize)]
enum Stored<'a> {
    Closed,
    Done(&'a str, #[serde(borrow)] StoredOutput<'a>, u64),
    Failed(&'a str, &'a str, bool),
    Opened(&'a str),
    Parked(&'a str, &'a str),
    Rerun(&'a str),
    ResolvedDone(&'a str, #[serde(borrow)] StoredOutput<'a>),
    Resumed(&'a str),
    Started(&'a str, bool, Option<[u8; 32]>),
}

#[derive(Serialize, Deserialize)]
struct StoredOutput<'a> {
    exit: Option<u8>,
    #[serde(borrow)]
    bytes: StoredBytes<'a>,
}

#[derive(Serialize, Deserialize)]
enum StoredBytes<'a> {
    #[serde(borrow, serialize_with = "as_bytes")]
    Here(&'a [u8]),
    Apart([u8; 32], u64),
}

fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Why stored entries cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// They are no entries.
    Damaged,
    /// They were written by a newer version, with this format.
    TooNew(u8),
}

/// Adds an entry to those of a frame that is to be written.
pub(super) fn encode(body: &mut Vec<u8>, entry: &Entry) -> Option<()> {
    let output = |output| stored_output(output);
    let stored = match &entry.event {
        Event::Closed => Stored::Closed,
        Event::Done { key, output: brought, took } => Stored::Done(key.as_str(), output(brought)?, millis(*took)),
        Event::Failed { key, reason, counts } => Stored::Failed(key.as_str(), reason, *counts),
        Event::Opened { runner } => Stored::Opened(runner),
        Event::Parked { grant, code } => Stored::Parked(grant.as_str(), code.as_str()),
        Event::Resolved { key, decision: Decision::Done(brought) } => {
            Stored::ResolvedDone(key.as_str(), output(brought)?)
        }
        Event::Resolved { key, decision: Decision::Rerun } => Stored::Rerun(key.as_str()),
        Event::Resumed { grant } => Stored::Resumed(grant.as_str()),
        Event::Started { key, effect, input } => {
            Stored::Started(key.as_str(), *effect == Effect::Idempotent, input.map(|digest| digest.0))
        }
    };
    *body = postcard::to_extend(&(entry.at.as_millis(), stored), std::mem::take(body)).ok()?;
    Some(())
}

/// An output whose bytes lie elsewhere in the journal is not written again.
fn stored_output(output: &Output) -> Option<StoredOutput<'_>> {
    let bytes = match &output.place {
        Place::Apart(digest) => StoredBytes::Apart(digest.0, output.length),
        Place::At { .. } => return None,
        Place::Here(bytes) => StoredBytes::Here(bytes),
    };
    Some(StoredOutput { exit: output.exit, bytes })
}

/// The body of a frame with these entries, as [`encode`] made them.
pub(super) fn body(entries: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::with_capacity(8 + entries.iter().map(|entry| entry.len()).sum::<usize>());
    body.push(FORMAT);
    body.extend(u32::try_from(entries.len()).unwrap_or(u32::MAX).to_le_bytes());
    entries.iter().for_each(|entry| body.extend(*entry));
    body
}

/// What [`body`] adds to its entries.
pub(super) const BODY_OVERHEAD: usize = 5;

/// Tells each entry of the frame that begins at `frame`. Outputs stay where they are.
pub(super) fn decode(frame: u64, body: &[u8], mut tell: impl FnMut(Entry)) -> Result<(), Unreadable> {
    each(body, |entry, at, stored| {
        tell(Entry { at, event: event(stored, Some(Place::At { frame, entry })).ok_or(Unreadable::Damaged)? });
        Ok(())
    })
}

/// The output of one entry of a frame.
pub(super) fn output(body: &[u8], wanted: u32) -> Option<Vec<u8>> {
    let mut found = None;
    let read = each(body, |entry, _, stored| {
        if let Stored::Done(_, output, _) | Stored::ResolvedDone(_, output) = stored
            && let (StoredBytes::Here(bytes), true) = (output.bytes, entry == wanted)
        {
            found = Some(bytes.to_vec());
        }
        Ok(())
    });
    read.ok().and(found)
}

fn each<'a>(
    body: &'a [u8],
    mut tell: impl FnMut(u32, Timestamp, Stored<'a>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let (format, rest) = body.split_first().ok_or(Unreadable::Damaged)?;
    if *format != FORMAT {
        return Err(if *format > FORMAT { Unreadable::TooNew(*format) } else { Unreadable::Damaged });
    }
    let (count, mut rest) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
    for number in 0..u32::from_le_bytes(*count) {
        let ((at, stored), after) =
            postcard::take_from_bytes::<(u64, Stored<'a>)>(rest).map_err(|_| Unreadable::Damaged)?;
        rest = after;
        tell(number, Timestamp::from_millis(at), stored)?;
    }
    Ok(())
}

fn event(stored: Stored<'_>, place: Option<Place>) -> Option<Event> {
    let key = |key: &str| StepKey::parse(key).ok();
    let grant = |grant: &str| GrantId::parse(grant).ok();
    let output = |stored: StoredOutput<'_>| {
        Some(match stored.bytes {
            StoredBytes::Apart(digest, length) => {
                Output { exit: stored.exit, length, place: Place::Apart(Digest(digest)) }
            }
            StoredBytes::Here(bytes) => Output { exit: stored.exit, length: bytes.len() as u64, place: place? },
        })
    };
    Some(match stored {
        Stored::Closed => Event::Closed,
        Stored::Done(name, brought, took) => {
            Event::Done { key: key(name)?, output: output(brought)?, took: Duration::from_millis(took) }
        }
        Stored::Failed(name, reason, counts) => Event::Failed { key: key(name)?, reason: reason.to_owned(), counts },
        Stored::Opened(runner) => Event::Opened { runner: runner.to_owned() },
        // A code that this version does not know stops it all the same, and a person ends that.
        Stored::Parked(name, code) => {
            Event::Parked { grant: grant(name)?, code: Code::parse(code).unwrap_or(Code::NeedsUser) }
        }
        Stored::Rerun(name) => Event::Resolved { key: key(name)?, decision: Decision::Rerun },
        Stored::ResolvedDone(name, brought) => {
            Event::Resolved { key: key(name)?, decision: Decision::Done(output(brought)?) }
        }
        Stored::Resumed(name) => Event::Resumed { grant: grant(name)? },
        Stored::Started(name, idempotent, input) => Event::Started {
            key: key(name)?,
            effect: if idempotent { Effect::Idempotent } else { Effect::Once },
            input: input.map(Digest),
        },
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Entry> {
        let key = StepKey::parse("page-1").unwrap();
        let grant = GrantId::parse("crm").unwrap();
        let apart = Output { exit: None, length: 70_000, place: Place::Apart(Digest([9; 32])) };
        let events = [
            Event::Opened { runner: "process 7".to_owned() },
            Event::Parked { grant: grant.clone(), code: Code::NeedsUser },
            Event::Resumed { grant },
            Event::Started { key: key.clone(), effect: Effect::Once, input: Some(Digest([3; 32])) },
            Event::Started { key: key.clone(), effect: Effect::Idempotent, input: None },
            Event::Failed { key: key.clone(), reason: "not yet".to_owned(), counts: true },
            Event::Resolved { key: key.clone(), decision: Decision::Rerun },
            Event::Resolved { key: key.clone(), decision: Decision::Done(apart.clone()) },
            Event::Done { key, output: apart, took: Duration::from_millis(1500) },
            Event::Closed,
        ];
        events.into_iter().zip(1..).map(|(event, at)| Entry { at: Timestamp::from_secs(at), event }).collect()
    }

    fn sealed_body(entries: &[Entry]) -> Vec<u8> {
        let each = |entry| {
            let mut bytes = Vec::new();
            encode(&mut bytes, entry).unwrap();
            bytes
        };
        let encoded: Vec<Vec<u8>> = entries.iter().map(each).collect();
        body(&encoded.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn every_entry_is_read_as_it_was_written_whatever_zeros_follow() {
        let mut body = sealed_body(&all());
        body.extend([0; 40]);
        let mut found = Vec::new();
        decode(1024, &body, |entry| found.push(entry)).unwrap();
        assert_eq!(found, all());
    }

    #[test]
    fn an_output_stays_in_its_frame_and_is_found_there() {
        let done = |bytes: &[u8]| Entry {
            at: Timestamp::from_secs(1),
            event: Event::Done {
                key: StepKey::parse("page-1").unwrap(),
                output: Output { exit: Some(0), length: 3, place: Place::Here(bytes.to_vec()) },
                took: Duration::ZERO,
            },
        };
        let body = sealed_body(&[done(b"abc"), done(&[0, 255, 0])]);
        let mut found = Vec::new();
        decode(1024, &body, |entry| found.push(entry)).unwrap();
        let Event::Done { output: kept, .. } = &found[1].event else { panic!("{found:?}") };
        assert_eq!((kept.length, &kept.place), (3, &Place::At { frame: 1024, entry: 1 }));
        assert_eq!(output(&body, 1).unwrap(), [0, 255, 0]);
        assert_eq!(output(&body, 2), None);
    }

    #[test]
    fn f80_a_newer_format_is_told_from_damage() {
        let mut body = sealed_body(&all());
        body[0] = FORMAT + 1;
        assert_eq!(decode(0, &body, drop), Err(Unreadable::TooNew(FORMAT + 1)));
        body[0] = 0;
        assert_eq!(decode(0, &body, drop), Err(Unreadable::Damaged));
        assert_eq!(decode(0, &[], drop), Err(Unreadable::Damaged));
    }

    /// F80: the bytes that the first version wrote. They are read for ever.
    #[test]
    fn f80_the_bytes_of_the_first_version_are_read_for_ever() {
        let hex: String = sealed_body(&all()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("first_format.hex").trim(), "the bytes of entries have changed: raise FORMAT");
    }
}
