//! When a fresh token is refused too: stop, and until when (D12, R9).

use crate::clock::Timestamp;
use std::time::Duration;

/// Renewals that a refusal may force within [`WINDOW`].
pub const FORCED_PER_WINDOW_MAX: usize = 6;
/// Over which forced renewals are counted.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// Shortest time between two forced renewals.
pub const FORCED_GAP: Duration = Duration::from_secs(30);
/// For how long renewals stop when a token born of a forced renewal is refused as well; doubles
/// with every repetition up to [`WINDOW`].
pub const OPEN_FIRST: Duration = Duration::from_secs(300);

/// The renewals of a grant that a refusal by the resource forced. Kept in the record, so that every
/// process counts the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// When each of the last forced renewals was begun; oldest first, bounded.
    pub forced: Vec<Timestamp>,
    /// Whether the held token was born of a forced renewal.
    pub born_forced: bool,
    /// How often in a row a token born of a forced renewal was refused as well.
    pub streak: u8,
}

impl Breaker {
    /// Whether a refusal may force a renewal now; if not, from when on.
    ///
    /// `accepted` tells that the resource took the refused token before: then the refusal is news,
    /// and says nothing against renewing.
    pub fn permits(&self, accepted: bool, now: Timestamp) -> Result<(), Timestamp> {
        let last = self.forced.last().copied();
        let gap_ends = last.map(|at| at.plus(FORCED_GAP));
        let open_ends = match last {
            Some(at) if self.born_forced && !accepted => Some(at.plus(open_for(self.streak))),
            _ => None,
        };
        match [gap_ends, open_ends, self.window_ends(now)].into_iter().flatten().max() {
            Some(until) if until > now => Err(until),
            _ => Ok(()),
        }
    }

    /// Until when refusals force no renewal, where that is known to be of no use: a token born of a
    /// forced renewal was refused as well, or there were too many in an hour.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.streak > 0 { self.permits(false, now).err() } else { self.window_ends(now) }
    }

    /// When the next forced renewal may be begun, if there were as many within the window as may be.
    fn window_ends(&self, now: Timestamp) -> Option<Timestamp> {
        let recent = self.forced.iter().filter(|at| now.since(**at) < WINDOW).count();
        (recent >= FORCED_PER_WINDOW_MAX).then(|| self.forced[self.forced.len() - FORCED_PER_WINDOW_MAX].plus(WINDOW))
    }

    /// The breaker after a forced renewal is begun. A token that stood for twice as long as renewals
    /// were stopped was not refused from the start, though nobody remembers that it was taken: its
    /// time was up, and processes are restarted.
    #[must_use]
    pub fn forced_at(&self, accepted: bool, now: Timestamp) -> Self {
        let mut forced = self.forced.clone();
        forced.push(now);
        let excess = forced.len().saturating_sub(FORCED_PER_WINDOW_MAX);
        forced.drain(..excess);
        let soon = |last: &Timestamp| now < last.plus(open_for(self.streak) * 2);
        let again = self.born_forced && !accepted && self.forced.last().is_some_and(soon);
        let streak = if again { self.streak.saturating_add(1) } else { 0 };
        Self { forced, born_forced: true, streak }
    }

    /// The breaker after the attempt that was begun at `begun` brought no token: a failure says
    /// nothing about what the resource thinks of renewed tokens, and has a pause of its own. What was
    /// forced since the held token was `issued` belongs to the same renewal, tried again after a
    /// crash or a lost answer; a token from a time to come, by a clock that was set back, tells nothing.
    #[must_use]
    pub fn failed(&self, begun: Timestamp, issued: Option<Timestamp>, now: Timestamp) -> Self {
        let brought_none =
            |forced: &Timestamp| *forced == begun || issued.is_some_and(|issued| *forced > issued || issued > now);
        if !self.forced.last().is_some_and(brought_none) {
            return self.clone();
        }
        let forced = self.forced[..self.forced.len() - 1].to_vec();
        // A streak was counted on top of a token born of a forced renewal, so that is held still.
        Self { forced, born_forced: self.streak > 0, streak: self.streak.saturating_sub(1) }
    }

    /// The breaker after a resource took the held token: it does not refuse everything any more.
    #[must_use]
    pub fn accepted(&self) -> Self {
        Self { born_forced: false, streak: 0, ..self.clone() }
    }

    /// The breaker after a renewal that the clock asked for.
    #[must_use]
    pub fn renewed_in_time(&self) -> Self {
        // The streak stays: a resource that refuses everything does so for scheduled tokens too.
        Self { born_forced: self.born_forced && self.streak > 0, ..self.clone() }
    }
}

fn open_for(streak: u8) -> Duration {
    OPEN_FIRST.saturating_mul(1 << streak.min(8)).min(WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs)
    }

    #[test]
    fn r9_a_resource_that_refuses_everything_gets_few_renewals() {
        let (mut breaker, mut renewals) = (Breaker::default(), 0);
        for second in 0..1800 {
            if breaker.permits(false, at(second)).is_ok() {
                breaker = breaker.forced_at(false, at(second));
                renewals += 1;
            }
        }
        assert!(renewals <= 4, "{renewals}");
    }

    #[test]
    fn a_token_that_was_taken_before_may_be_renewed_after_the_gap() {
        let breaker = Breaker::default().forced_at(true, at(0));
        assert_eq!(breaker.permits(true, at(29)), Err(at(30)));
        assert_eq!(breaker.permits(true, at(30)), Ok(()));
        assert_eq!(breaker.permits(false, at(30)), Err(at(300)));
    }

    #[test]
    fn tokens_of_unknown_life_do_not_stop_renewals_in_processes_that_remember_nothing() {
        let mut breaker = Breaker::default();
        for life in 0..10 {
            assert_eq!(breaker.permits(false, at(life * 1200)), Ok(()), "life {life}");
            breaker = breaker.forced_at(false, at(life * 1200));
        }
    }

    #[test]
    fn one_forced_renewal_is_no_open_breaker_and_a_second_token_refused_is() {
        let once = Breaker::default().forced_at(false, at(0));
        assert_eq!(once.open_until(at(1)), None, "nobody knows yet what the resource thinks of it");
        let twice = once.forced_at(false, at(300));
        assert_eq!(twice.open_until(at(301)), Some(at(900)));
        assert_eq!(twice.open_until(at(900)), None);
        let often = (0..6).fold(Breaker::default(), |breaker, turn| breaker.forced_at(true, at(turn * 60)));
        assert_eq!(often.open_until(at(400)), Some(at(3600)));
    }

    #[test]
    fn d12_no_resource_forces_more_than_six_renewals_an_hour() {
        let (mut breaker, mut renewals) = (Breaker::default(), 0);
        for second in 0..3600 {
            if breaker.permits(true, at(second)).is_ok() {
                breaker = breaker.forced_at(true, at(second));
                renewals += 1;
            }
        }
        assert_eq!(renewals, FORCED_PER_WINDOW_MAX);
    }

    #[test]
    fn l1_a_forced_renewal_that_crashed_and_then_failed_stops_none_after_the_outage() {
        let issued = Some(at(0));
        // Begun at 100, where the process died; tried again at 160 by the next, which found no server.
        let crashed = Breaker::default().forced_at(false, at(100));
        assert_eq!(crashed.failed(at(160), issued, at(160)).permits(false, at(161)), Ok(()));
        // A renewal of long ago did bring the held token, and stays counted.
        let long_ago = Breaker::default().forced_at(false, at(0));
        assert_eq!(long_ago.failed(at(160), Some(at(1)), at(160)), long_ago);
        // Issued by a clock that has been set back since (F16).
        assert_eq!(crashed.failed(at(160), Some(at(9_000_000)), at(160)).permits(false, at(161)), Ok(()));
    }

    #[test]
    fn l1_a_resource_that_took_the_token_again_ends_the_streak_for_processes_that_remember_nothing() {
        let storm = (0..5).fold(Breaker::default(), |breaker, round| breaker.forced_at(false, at(round * 400)));
        assert!(storm.permits(false, at(3000)).is_err(), "{storm:?}");
        assert_eq!(storm.accepted().permits(false, at(3000)), Ok(()));
        assert_eq!(storm.accepted().forced, storm.forced, "what an hour may cost is still counted");
    }
}
