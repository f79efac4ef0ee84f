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
    fn between(ours: Timestamp, theirs: Timestamp) -> Option<Self> {
        let (ahead, behind) = (theirs.since(ours), ours.since(theirs));
        let apart = ahead.max(behind);
        if apart > OFFSET_MAX || apart <= TOLERATED {
            None
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

/// The servers whose clocks are followed, and how far they are from ours. Ours is right until a
/// server refuses what was dated by it: a `Date` alone may be a cache's, or a lie.
#[derive(Debug, Default)]
pub(crate) struct ServerClocks(Mutex<BTreeMap<String, Offset>>);

impl ServerClocks {
    /// The moment `now` as that origin's clock has it, if that is followed; our own otherwise.
    pub(crate) fn at(&self, origin: &str, now: Timestamp) -> Timestamp {
        let followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followed.get(origin).map_or(now, |offset| offset.applied(now))
    }

    /// After a refusal that arrived at `now` of something dated by [`ServerClocks::at`]: from here on
    /// the other clock is tried, the server's or ours. Says whether there is another.
    pub(crate) fn refused(&self, origin: &str, reply: &Reply, now: Timestamp) -> bool {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.remove(origin).is_some() {
            return true;
        }
        let date = reply.headers.get(http::header::DATE).and_then(|date| read_http_date(date.as_bytes()));
        let Some(offset) = date.and_then(|date| Offset::between(now, date)) else { return false };
        if followed.len() >= SERVERS_MAX {
            // Whichever: it is learned again from the next refusal.
            followed.pop_first();
        }
        followed.insert(origin.to_owned(), offset);
        true
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
    fn f18_a_clock_that_is_off_is_followed_once_ours_was_refused_and_left_when_it_is_refused_too() {
        let clocks = ServerClocks::default();
        assert_eq!(clocks.at("a", NOW), NOW);
        let ahead = dated("Sun, 06 Nov 1994 08:59:37 GMT");
        assert!(clocks.refused("a", &ahead, NOW));
        assert_eq!(clocks.at("a", NOW).as_secs(), NOW.as_secs() + 600);
        assert_eq!(clocks.at("b", NOW), NOW, "another server has another clock");
        assert!(clocks.refused("a", &ahead, NOW), "it lied: ours is tried again");
        assert_eq!(clocks.at("a", NOW), NOW);
        assert!(clocks.refused("a", &dated("Sun, 06 Nov 1994 08:39:37 GMT"), NOW));
        assert_eq!(clocks.at("a", NOW).as_secs(), NOW.as_secs() - 600);
    }

    #[test]
    fn f18_seconds_are_no_offset_and_days_are_a_lie() {
        let clocks = ServerClocks::default();
        for date in ["Sun, 06 Nov 1994 08:49:40 GMT", "Tue, 08 Nov 1994 08:49:37 GMT", "soon", ""] {
            assert!(!clocks.refused("a", &dated(date), NOW), "{date}");
            assert_eq!(clocks.at("a", NOW), NOW, "{date}");
        }
        assert!(!clocks.refused("a", &Reply::default(), NOW));
    }

    #[test]
    fn the_number_of_servers_that_are_remembered_has_a_limit() {
        let clocks = ServerClocks::default();
        for number in 0..=SERVERS_MAX {
            clocks.refused(&format!("origin-{number:03}"), &dated("Sun, 06 Nov 1994 08:59:37 GMT"), NOW);
        }
        assert_eq!(clocks.0.lock().unwrap().len(), SERVERS_MAX);
    }
}
