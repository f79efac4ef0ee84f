//! When an authorization server is taken to be down, and who asks it meanwhile (F30, D12).

use crate::classify::Verdict;
use crate::clock::Timestamp;
use crate::outcome::Outcome;
use crate::wire::Fault;
use std::time::Duration;

/// Requests in a row, of whichever grants, after whose failure a server is taken to be down. One
/// lost answer is no outage, and D4's quick retries must go out.
const FAILURES_UNTIL_DOWN: u8 = 3;
/// First pause before a server that is down is asked again.
const PROBE_FIRST: Duration = Duration::from_secs(1);
/// Longest such pause: with it an hour of outage costs at most 75 requests, and a server that is
/// back is found within a minute.
pub const PROBE_LAST: Duration = Duration::from_secs(60);

/// What is known of a server's outage, over all its grants and all processes. The default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Requests in a row that failed.
    pub failures: u8,
    /// While it is down: when somebody may ask it again.
    pub next_at: Timestamp,
}

impl Outage {
    /// Whether the server is taken to be down.
    pub fn is_down(&self) -> bool {
        self.failures >= FAILURES_UNTIL_DOWN
    }

    /// Whether a request may be sent now; if not, when to look again.
    pub fn permits(&self, now: Timestamp) -> Result<(), Timestamp> {
        // A moment too far off was written by another clock than ours.
        let waits = self.is_down() && now < self.next_at && now.until(self.next_at) <= PROBE_LAST;
        if waits { Err(self.next_at) } else { Ok(()) }
    }

    /// As it is to stand before a request is sent: while the server is down, whoever asks it first
    /// puts everybody else off.
    #[must_use]
    pub fn claimed(self, now: Timestamp) -> Self {
        if self.is_down() && self.permits(now).is_ok() {
            Self { next_at: now.plus(pause(self.failures)), ..self }
        } else {
            self
        }
    }

    /// As it stands after a request; `probed` tells that the server was taken to be down already when it was
    /// sent. Others that were under way by then, of however many grants, tell of the same outage and make it no
    /// longer: a few seconds of it are not to become minutes (L3).
    #[must_use]
    pub fn after(self, answered: bool, probed: bool, now: Timestamp) -> Self {
        if answered {
            return Self::default();
        }
        if self.is_down() && !probed {
            return self;
        }
        let failures = self.failures.saturating_add(1);
        Self { failures, next_at: now.plus(pause(failures)) }
    }
}

fn pause(failures: u8) -> Duration {
    let doublings = u32::from(failures.saturating_sub(FAILURES_UNTIL_DOWN)).min(10);
    PROBE_FIRST.saturating_mul(1 << doublings).min(PROBE_LAST)
}

/// Whether the server did its work, whatever it said: nothing if the request never was for it.
pub fn answered(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Discarded { .. } | Outcome::Redirected { .. } | Outcome::Renewed(_) | Outcome::Reused(_) => Some(true),
        Outcome::InDoubt { .. } => Some(false),
        Outcome::Refused(verdict, _) => Some(is_work(verdict)),
        Outcome::Unsent(Fault::Connect | Fault::Timeout | Fault::Tls | Fault::Broken | Fault::TooLarge) => Some(false),
        // A key service is nobody's authorization server.
        Outcome::CommandFailed { .. }
        | Outcome::RotationInDoubt { .. }
        | Outcome::Unsent(Fault::Insecure | Fault::LeaseLost | Fault::OutOfReach | Fault::Unsigned) => None,
    }
}

fn is_work(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::RateLimited { .. } | Verdict::Transient { .. } | Verdict::Unknown | Verdict::NotAuth => false,
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::ClientMisconfigured
        | Verdict::DpopNonceRequired { .. }
        | Verdict::GrantDead
        | Verdict::InsufficientScope { .. }
        | Verdict::PermissionDenied
        | Verdict::SlowDown
        | Verdict::StepUpRequired(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Evidence;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    /// An hour in which everybody asks whenever they may, and nobody is answered.
    fn requests_in_an_hour() -> usize {
        let (mut outage, mut now, mut requests) = (Outage::default(), at(0), 0);
        while now < at(0).plus(HOUR) {
            match outage.permits(now) {
                Ok(()) => {
                    requests += 1;
                    outage = outage.claimed(now).after(false, outage.is_down(), now);
                }
                Err(until) => now = until,
            }
        }
        requests
    }

    #[test]
    fn f30_an_hour_of_outage_costs_at_most_75_requests_of_all_grants_together() {
        assert!((60..=75).contains(&requests_in_an_hour()), "{}", requests_in_an_hour());
    }

    #[test]
    fn f30_one_asks_and_the_others_wait_for_its_answer() {
        let down = (0..3).fold(Outage::default(), |outage, _| outage.after(false, false, at(0)));
        let later = at(5);
        assert_eq!(down.permits(later), Ok(()));
        let claimed = down.claimed(later);
        assert_eq!(claimed.permits(later), Err(later.plus(PROBE_FIRST)));
        assert_eq!(claimed.claimed(later), claimed, "nobody else can claim it");
        assert_eq!(claimed.after(true, true, later), Outage::default(), "one answer ends it for all");
    }

    #[test]
    fn l3_requests_that_were_under_way_when_it_was_found_out_do_not_make_it_longer() {
        let down = (0..3).fold(Outage::default(), |outage, _| outage.after(false, false, at(0)));
        let after_many = (0..20).fold(down, |outage, _| outage.after(false, false, at(0)));
        assert_eq!(after_many.permits(at(1)), Ok(()), "{after_many:?}");
        let probed = after_many.claimed(at(1)).after(false, true, at(1));
        assert_eq!(probed.permits(at(2)), Err(at(3)), "a probe that fails does");
    }

    #[test]
    fn d04_a_single_lost_answer_is_no_outage() {
        let twice = Outage::default().after(false, false, at(0)).after(false, false, at(1));
        assert_eq!(twice.permits(at(1)), Ok(()));
        assert_eq!(twice.claimed(at(1)), twice);
    }

    #[test]
    fn f16_a_clock_that_was_set_back_does_not_prolong_it() {
        let down = Outage { failures: 9, next_at: at(1_000_000) };
        assert_eq!(down.permits(at(0)), Ok(()));
    }

    #[test]
    fn a_refusal_of_one_grant_is_an_answer_and_a_rate_limit_is_none() {
        let refused = |verdict| Outcome::Refused(verdict, Evidence { place: "body", found: String::new() });
        assert_eq!(answered(&refused(Verdict::GrantDead)), Some(true));
        assert_eq!(answered(&refused(Verdict::RateLimited { retry_after: None })), Some(false));
        assert_eq!(answered(&Outcome::Unsent(Fault::Unsigned)), None);
    }
}
