//! What authorization servers' clocks say, for JWTs that they judge by them (F18).

use outlast_core::Timestamp;
use outlast_core::classify::read_http_date;
use outlast_core::wire::Reply;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For how many servers an offset is kept.
const SERVERS_MAX: usize = 64;
/// A difference up to here is the way the answer took and the `Date` field's whole seconds.
pub(crate) const TOLERATED: Duration = Duration::from_secs(5);
/// A difference beyond this is taken for a lie or a mistake, and not followed: a time zone is the
/// largest that a clock is off by while everything else works.
const OFFSET_MAX: Duration = Duration::from_secs(24 * 3600);

/// How far a clock is from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    Ahead(Duration),
    Behind(Duration),
}

impl Offset {
    const NONE: Self = Self::Ahead(Duration::ZERO);

    fn between(ours: Timestamp, theirs: Timestamp) -> Option<Self> {
        let (ahead, behind) = (theirs.since(ours), ours.since(theirs));
        let apart = ahead.max(behind);
        if apart > OFFSET_MAX {
            None
        } else if apart <= TOLERATED {
            Some(Self::NONE)
        } else if ahead > behind {
            Some(Self::Ahead(ahead))
        } else {
            Some(Self::Behind(behind))
        }
    }

    fn applied(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ahead(by) => now.plus(by),
            Self::Behind(by) => now.minus(by),
        }
    }
}

/// The offsets of the servers that were talked to.
#[derive(Debug, Default)]
pub(crate) struct ServerClocks(Mutex<BTreeMap<String, Offset>>);

impl ServerClocks {
    /// The moment `now` as that origin's clock has it; our own where nothing is known.
    pub(crate) fn at(&self, origin: &str, now: Timestamp) -> Timestamp {
        let offsets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.get(origin).copied().unwrap_or(Offset::NONE).applied(now)
    }

    /// Learns from a reply that arrived at `now`; says whether the clock turned out to be another
    /// than was thought.
    pub(crate) fn learn(&self, origin: &str, reply: &Reply, now: Timestamp) -> bool {
        let date = reply.headers.get(http::header::DATE).and_then(|date| read_http_date(date.as_bytes()));
        let Some(offset) = date.and_then(|date| Offset::between(now, date)) else { return false };
        let mut offsets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = offsets.get(origin).copied().unwrap_or(Offset::NONE).applied(now);
        if offsets.len() >= SERVERS_MAX && !offsets.contains_key(origin) {
            // Whichever: it is learned again from the next reply.
            offsets.pop_first();
        }
        offsets.insert(origin.to_owned(), offset);
        let after = offset.applied(now);
        after.since(before).max(before.since(after)) > TOLERATED
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::HeaderValue;

    const NOW: Timestamp = Timestamp::from_secs(784_111_777);

    fn dated(date: &'static str) -> Reply {
        let mut reply = Reply::default();
        reply.headers.insert(http::header::DATE, HeaderValue::from_static(date));
        reply
    }

    #[test]
    fn f18_a_clock_that_is_off_is_followed_and_told_once() {
        let clocks = ServerClocks::default();
        assert_eq!(clocks.at("a", NOW), NOW);
        assert!(clocks.learn("a", &dated("Sun, 06 Nov 1994 08:59:37 GMT"), NOW));
        assert_eq!(clocks.at("a", NOW).as_secs(), NOW.as_secs() + 600);
        assert!(!clocks.learn("a", &dated("Sun, 06 Nov 1994 08:59:38 GMT"), NOW));
        assert_eq!(clocks.at("b", NOW), NOW, "another server has another clock");
        assert!(clocks.learn("a", &dated("Sun, 06 Nov 1994 08:39:37 GMT"), NOW));
        assert_eq!(clocks.at("a", NOW).as_secs(), NOW.as_secs() - 600);
    }

    #[test]
    fn f18_seconds_are_no_offset_and_days_are_a_lie() {
        let clocks = ServerClocks::default();
        for date in ["Sun, 06 Nov 1994 08:49:40 GMT", "Tue, 08 Nov 1994 08:49:37 GMT", "soon", ""] {
            assert!(!clocks.learn("a", &dated(date), NOW), "{date}");
            assert_eq!(clocks.at("a", NOW), NOW, "{date}");
        }
        assert!(!clocks.learn("a", &Reply::default(), NOW));
    }

    #[test]
    fn the_number_of_servers_that_are_remembered_has_a_limit() {
        let clocks = ServerClocks::default();
        for number in 0..=SERVERS_MAX {
            clocks.learn(&format!("origin-{number:03}"), &dated("Sun, 06 Nov 1994 08:59:37 GMT"), NOW);
        }
        assert_eq!(clocks.0.lock().unwrap().len(), SERVERS_MAX);
    }
}
