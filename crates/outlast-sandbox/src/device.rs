//! Device codes (RFC 8628): who asked, what the person said, and what a poll deserves. Pure.

use crate::remembered::Remembered;
use crate::settings::Settings;
use std::time::Duration;

/// What `slow_down` adds to the interval, for good (RFC 8628 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Letters of a user code: no vowels, so that it spells nothing (RFC 8628 6.1).
const LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters in each half of a user code.
const HALF: usize = 4;

/// Two codes nobody has seen yet.
pub(crate) struct FreshCodes {
    pub(crate) device: String,
    pub(crate) user: String,
}

/// Why a poll brings no token; each has its error code in RFC 8628 3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    Denied,
    Expired,
    Pending,
    /// Asked sooner than the interval allows; the interval is longer from now on.
    SlowDown,
    /// Never given out, used already, or forgotten.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Allowed,
    Denied,
    Nothing,
}

struct Device {
    user_code: String,
    said: Said,
    used: bool,
    expires_at: Duration,
    interval: Duration,
    polled_at: Option<Duration>,
}

/// The device codes that were given out.
pub(crate) struct Devices {
    ttl: Duration,
    interval: Duration,
    by_code: Remembered<String, Device>,
}

impl Devices {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { ttl: settings.device_code_ttl, interval: settings.device_interval, by_code: Remembered::default() }
    }

    /// Gives both codes out.
    pub(crate) fn begin(&mut self, fresh: FreshCodes, now: Duration) {
        let device = Device {
            user_code: fresh.user,
            said: Said::Nothing,
            used: false,
            expires_at: now.saturating_add(self.ttl),
            interval: self.interval,
            polled_at: None,
        };
        self.by_code.insert(fresh.device, device);
    }

    /// What the person says who entered this code; false if it stands for nothing that waits for an answer.
    pub(crate) fn answer(&mut self, user_code: &str, allowed: bool, now: Duration) -> bool {
        let entered = letters(user_code);
        let waiting = |device: &&mut Device| {
            device.said == Said::Nothing && now < device.expires_at && letters(&device.user_code) == entered
        };
        let Some(device) = self.by_code.values_mut().find(waiting) else { return false };
        device.said = if allowed { Said::Allowed } else { Said::Denied };
        true
    }

    /// One poll of the token endpoint; a code that was allowed brings tokens once.
    pub(crate) fn poll(&mut self, device_code: &str, now: Duration) -> Result<(), NoToken> {
        let device = self.by_code.get_mut(device_code).filter(|device| !device.used).ok_or(NoToken::Unknown)?;
        if now >= device.expires_at {
            return Err(NoToken::Expired);
        }
        let too_soon = device.polled_at.is_some_and(|at| now < at.saturating_add(device.interval));
        device.polled_at = Some(now);
        if too_soon {
            device.interval = device.interval.saturating_add(SLOWER);
            return Err(NoToken::SlowDown);
        }
        match device.said {
            Said::Allowed => {
                device.used = true;
                Ok(())
            }
            Said::Denied => Err(NoToken::Denied),
            Said::Nothing => Err(NoToken::Pending),
        }
    }
}

/// The user code that these random bytes make.
pub(crate) fn user_code(random: [u8; 2 * HALF]) -> String {
    let code = random.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    let (first, second) = code.split_at(HALF);
    first.iter().chain(['-'].iter()).chain(second).collect()
}

/// What of a typed code counts: neither its case nor what it is divided by (RFC 8628 6.1).
pub(crate) fn letters(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Codes that live 100 s, to be polled every 5 s, and one given out at 0.
    fn one_given_out() -> Devices {
        let settings = Settings { device_code_ttl: at(100), device_interval: at(5), ..Settings::default() };
        let mut devices = Devices::new(&settings);
        devices.begin(FreshCodes { device: "device".to_owned(), user: "BCDF-GHJK".to_owned() }, at(0));
        devices
    }

    #[test]
    fn nothing_is_had_before_the_person_answered_and_then_once() {
        let mut devices = one_given_out();
        assert_eq!(devices.poll("device", at(5)), Err(NoToken::Pending));
        assert!(devices.answer("bcdf ghjk", true, at(6)));
        assert_eq!(devices.poll("device", at(10)), Ok(()));
        assert_eq!(devices.poll("device", at(15)), Err(NoToken::Unknown));
        assert!(!devices.answer("BCDF-GHJK", true, at(16)), "it was answered");
    }

    #[test]
    fn a_poll_before_its_time_brings_nothing_and_makes_the_interval_longer() {
        let mut waiting = one_given_out();
        assert_eq!(waiting.poll("device", at(1)), Err(NoToken::Pending));
        assert_eq!(waiting.poll("device", at(5)), Err(NoToken::SlowDown));
        assert_eq!(waiting.poll("device", at(14)), Err(NoToken::SlowDown), "10 s now");
        assert!(waiting.answer("BCDF-GHJK", true, at(15)));
        assert_eq!(waiting.poll("device", at(28)), Err(NoToken::SlowDown), "allowed or not");
        assert_eq!(waiting.poll("device", at(48)), Ok(()));
    }

    #[test]
    fn a_code_dies_at_its_end_whatever_the_person_says_then() {
        let mut devices = one_given_out();
        assert_eq!(devices.poll("device", at(99)), Err(NoToken::Pending));
        assert!(!devices.answer("BCDF-GHJK", true, at(100)));
        assert_eq!(devices.poll("device", at(104)), Err(NoToken::Expired));
        let mut allowed = one_given_out();
        assert!(allowed.answer("BCDF-GHJK", true, at(99)));
        assert_eq!(allowed.poll("device", at(100)), Err(NoToken::Expired));
    }

    #[test]
    fn a_refusal_of_the_person_is_final() {
        let mut devices = one_given_out();
        assert!(devices.answer("BCDF-GHJK", false, at(1)));
        assert!(!devices.answer("BCDF-GHJK", true, at(2)));
        assert_eq!(devices.poll("device", at(5)), Err(NoToken::Denied));
        assert_eq!(devices.poll("device", at(10)), Err(NoToken::Denied));
        assert_eq!(devices.poll("another", at(10)), Err(NoToken::Unknown));
    }

    #[test]
    fn a_user_code_has_letters_that_spell_nothing() {
        assert_eq!(user_code([0, 1, 2, 3, 19, 20, 21, 255]), "BCDF-ZBCT");
    }
}
