//! The rotation of secrets that do not end by themselves: when the next is due, and what becomes of
//! the one that was replaced.

use crate::clock::Timestamp;
use crate::error::Code;
use crate::grant::{Grant, Retiring, Standing, Trouble};
use std::time::Duration;

/// The pause after a rotation or a retirement that failed: each attempt may leave a key behind.
pub const ROTATION_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Whether the held secret is due for rotation in the attempt that this grant notes.
pub fn is_due(intent: &Grant, every: Duration) -> bool {
    match (&intent.tokens, intent.standing) {
        (Some(tokens), Standing::Renewing { since, .. }) => since.since(tokens.issued_at) >= every,
        (None, _)
        | (_, Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. }) => {
            false
        }
    }
}

/// Whether the attempt before the one that this grant notes was interrupted. A doubt that is older has had its pause.
pub fn was_interrupted(intent: &Grant) -> bool {
    match intent.standing {
        Standing::Renewing { attempt, .. } => intent.in_doubt && attempt > 1,
        Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => false,
    }
}

/// `next`, with the secret that replaced the one of `before` kept until `overlap` has passed; nothing
/// is kept where nothing retires it.
#[must_use]
pub fn keep_replaced(before: &Grant, next: Grant, overlap: Option<Duration>, now: Timestamp) -> Grant {
    let (Some(overlap), Some(old), Some(new)) = (overlap, &before.tokens, &next.tokens) else { return next };
    if old.access == new.access {
        return next;
    }
    let retiring = Some(Retiring { access: old.access.clone(), retire_at: now.plus(overlap) });
    Grant { retiring, ..next }
}

/// The secret whose overlap has passed.
pub fn due_retirement(grant: &Grant, now: Timestamp) -> Option<&Retiring> {
    let revoking = matches!(grant.standing, Standing::Revoking { .. });
    grant.retiring.as_ref().filter(|retiring| !revoking && retiring.retire_at <= now)
}

/// The record as it must stand on disk before a secret is retired: whoever comes after a crash tries
/// again, and not at once.
#[must_use]
pub fn begin_retirement(grant: &Grant, now: Timestamp) -> Grant {
    let retiring = grant.retiring.clone().map(|held| Retiring { retire_at: now.plus(ROTATION_PAUSE), ..held });
    Grant { retiring, ..grant.clone() }
}

/// The record after a retirement. A secret that could not be retired is kept, or nobody would know it.
#[must_use]
pub fn settle_retirement(grant: &Grant, retired: Result<(), String>, now: Timestamp) -> Grant {
    match retired {
        Ok(()) => Grant { retiring: None, ..grant.clone() },
        Err(why) => {
            let detail = format!("the key before this one could not be retired: {why}");
            Grant { trouble: Some(Trouble { code: Code::RotationFailed, at: now, detail }), ..grant.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{GrantId, Terms};
    use crate::token::TokenSet;
    use crate::wire::TokenResponse;

    const HOUR: Duration = Duration::from_secs(3600);

    fn held(key: &str) -> Grant {
        let terms = Terms::new(GrantId::parse("weather").unwrap(), "api_key", "");
        let tokens = TokenSet::first(TokenResponse::bearer(key), Timestamp::from_secs(0));
        Grant { tokens: Some(tokens), ..Grant::empty(&terms) }
    }

    #[test]
    fn a_key_is_due_once_its_period_has_passed_and_only_in_an_attempt() {
        let attempt = |secs| Standing::Renewing { since: Timestamp::from_secs(secs), attempt: 1 };
        assert!(!is_due(&Grant { standing: attempt(3599), ..held("a") }, HOUR));
        assert!(is_due(&Grant { standing: attempt(3600), ..held("a") }, HOUR));
        assert!(!is_due(&held("a"), Duration::ZERO));
    }

    #[test]
    fn the_replaced_key_is_kept_until_its_overlap_has_passed() {
        let now = Timestamp::from_secs(10);
        let rotated = keep_replaced(&held("a"), held("b"), Some(HOUR), now);
        assert_eq!(due_retirement(&rotated, now), None);
        assert_eq!(due_retirement(&rotated, now.plus(HOUR)).unwrap().access, crate::Secret::new("a"));
        assert_eq!(keep_replaced(&held("a"), held("a"), Some(HOUR), now).retiring, None);
        assert_eq!(keep_replaced(&held("a"), held("b"), None, now).retiring, None);
    }

    #[test]
    fn a_retirement_that_crashed_or_failed_is_tried_again_after_a_pause_and_the_key_is_not_lost() {
        let now = Timestamp::from_secs(10);
        let noted = begin_retirement(&keep_replaced(&held("a"), held("b"), Some(Duration::ZERO), now), now);
        let failed = settle_retirement(&noted, Err("no".to_owned()), now);
        assert_eq!(failed.trouble.as_ref().unwrap().code, Code::RotationFailed);
        for grant in [&noted, &failed] {
            assert_eq!(due_retirement(grant, now), None);
            assert!(due_retirement(grant, now.plus(ROTATION_PAUSE)).is_some());
        }
        assert_eq!(settle_retirement(&noted, Ok(()), now).retiring, None);
    }
    #[test]
    fn only_an_attempt_that_was_cut_off_just_before_is_an_interruption() {
        let intent = |in_doubt, attempt| Grant {
            in_doubt,
            standing: Standing::Renewing { since: Timestamp::from_secs(9), attempt },
            ..held("a")
        };
        assert!(was_interrupted(&intent(true, 2)));
        assert!(!was_interrupted(&intent(true, 1)), "an older doubt has had its pause");
        assert!(!was_interrupted(&intent(false, 1)));
    }

    #[test]
    fn a_rotation_in_doubt_keeps_the_key_and_makes_no_other_for_a_period() {
        let strategy = crate::strategy::Strategy {
            grant_type: "api_key",
            rfc: "none",
            renewal: crate::strategy::Renewal::Remint,
            rotation: crate::strategy::Rotation::None,
            recovery: crate::strategy::Recovery::Operator,
        };
        let now = Timestamp::from_secs(10);
        for (period, pause) in [(HOUR, HOUR), (Duration::from_secs(1), ROTATION_PAUSE)] {
            let outcome = crate::Outcome::RotationInDoubt { detail: "lost".to_owned(), pause: period };
            let next = crate::settle(&held("a"), &strategy, outcome, now);
            assert_eq!(next.standing, Standing::CoolingDown { until: now.plus(pause) });
            assert_eq!((next.in_doubt, next.tokens), (true, held("a").tokens));
            assert_eq!(next.trouble.unwrap().code, Code::RotationFailed);
        }
    }
}
