//! The authorization server: rotates at every refresh, and revokes the family on reuse.

use crate::decisions::{Came, Moment, SERIALS_MAX};
use crate::promise::{Broken, Promise, Window};

/// What became of the token set that a rotation issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// On its way to whoever asked for it, or in their memory.
    Aloft,
    /// It was made for a copy of a request; the original will not get it.
    Copied,
    /// It came to somebody who was not allowed to write it down.
    Fenced,
    /// Nobody will ever hold it.
    Lost,
    /// On disk.
    Persisted,
}

/// Who a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum From {
    /// An attempt that waits for the answer.
    Attempt,
    /// The network, which delivers one twice.
    Copy,
    /// Nobody any more: whoever sent it gave it up or died.
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Issued {
    parent: u8,
    fate: Fate,
    used_at: Option<Moment>,
}

/// One family at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    tokens: [Option<Issued>; SERIALS_MAX],
    revoked: Option<Window>,
}

impl Server {
    /// With the token set of a login, which is on disk.
    pub fn new() -> Self {
        let mut tokens = [None; SERIALS_MAX];
        tokens[0] = Some(Issued { parent: 0, fate: Fate::Persisted, used_at: None });
        Self { tokens, revoked: None }
    }

    /// As if somebody else had had the family revoked.
    #[must_use]
    pub fn after_revocation(self) -> Self {
        Self { revoked: Some(Window::LateRequest), ..self }
    }

    /// How the family was lost, if it was.
    pub fn revoked(&self) -> Option<Window> {
        self.revoked
    }

    /// Notes what became of the token set of that serial.
    pub fn note(&mut self, serial: u8, fate: Fate) {
        if let Some(issued) = &mut self.tokens[usize::from(serial)] {
            issued.fate = fate;
        }
    }

    /// Whether a token set that replaced this one has met that fate.
    pub fn has_successor(&self, serial: u8, fate: Fate) -> bool {
        let later = self.tokens.iter().skip(1).flatten();
        later.into_iter().any(|issued| issued.parent == serial && issued.fate == fate)
    }

    /// When the grace of a spent token ends that has not ended yet.
    pub fn grace_ends(&self, grace: Moment, now: Moment) -> impl Iterator<Item = Moment> {
        let used = self.tokens.iter().flatten().filter_map(|issued| issued.used_at);
        used.map(move |at| at + grace).filter(move |end| *end > now)
    }

    /// Answers a refresh. `taken` tells that a lock was taken away from its holder.
    ///
    /// # Errors
    /// If the family is revoked by a reuse that no window excuses.
    pub fn refresh(&mut self, serial: u8, from: From, grace: Moment, taken: bool, now: Moment) -> Result<Came, Broken> {
        if self.revoked.is_some() {
            return Ok(Came::Refused);
        }
        let used_at = self.tokens[usize::from(serial)].expect("only issued tokens are sent").used_at;
        match used_at {
            Some(at) if now >= at + grace => {
                self.revoked = Some(self.excuse(serial, from, taken)?);
                Ok(Came::Refused)
            }
            Some(_) | None => Ok(self.rotate(serial, from, now)),
        }
    }

    fn rotate(&mut self, serial: u8, from: From, now: Moment) -> Came {
        let next = self.tokens.iter().flatten().count();
        let fate = match from {
            From::Attempt => Fate::Aloft,
            From::Copy => Fate::Copied,
            From::Nobody => Fate::Lost,
        };
        self.tokens[next] = Some(Issued { parent: serial, fate, used_at: None });
        if let Some(spent) = &mut self.tokens[usize::from(serial)] {
            spent.used_at = spent.used_at.or(Some(now));
        }
        Came::Renewed(u8::try_from(next).expect("few serials"))
    }

    fn excuse(&self, serial: u8, from: From, taken: bool) -> Result<Window, Broken> {
        let overtaken = self.has_successor(serial, Fate::Persisted);
        let withheld = self.has_successor(serial, Fate::Aloft) || self.has_successor(serial, Fate::Fenced);
        match from {
            From::Copy | From::Nobody => Ok(Window::LateRequest),
            From::Attempt if self.has_successor(serial, Fate::Copied) => Ok(Window::LateRequest),
            From::Attempt if !overtaken && !withheld => Ok(Window::AnswerLost),
            From::Attempt if taken && !overtaken => Ok(Window::AnswerWithheld),
            From::Attempt if taken => Ok(Window::LockTaken),
            From::Attempt => {
                Err(Broken::new(Promise::L4, "we made the server revoke the family, and nothing was lost"))
            }
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
