//! What must never happen, looked at while it may: S1 to S6, S8, L2 and L4 of the promises. S7 is
//! looked at where requests are made (`agent.rs`), L1 where a calm is judged (`calm.rs`), L3 by the
//! soak with real processes and not here. S9 is looked at in `ledger.rs`.

use crate::log::Log;
use crate::process::Process;
use crate::server::{Said, Server};
use outlast::{Cause, Clock, Grant, Standing, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const HOUR: u64 = 3_600_000;
/// D12: token requests without success that one grant may cause in an hour.
pub(crate) const FAILED_PER_HOUR_MAX: usize = 75;
/// How many failures a success may be followed by besides: a server that answers now and then.
const FAILED_PER_SUCCESS_MAX: usize = 4;
/// D12: renewals that refusals by a resource may force in an hour.
const FORCED_PER_HOUR_MAX: usize = 6;
/// How long before a request its lease may have been taken, in milliseconds.
const LEASED: u64 = 10_000;
/// What clocks and waits may differ by, in milliseconds.
const SLACK: u64 = 50;

/// What is known of one grant.
#[derive(Debug, Default)]
struct Book {
    durable: Option<Grant>,
    /// The refresh tokens that the durable record has moved away from.
    left_behind: BTreeMap<String, u64>,
    /// Requests that are under way: who waits for them, and since when.
    in_flight: Vec<(Arc<Process>, u64)>,
    /// Sends of the refresh token that is spent last, none of which got a definite answer.
    doubted: Doubted,
    failed: VecDeque<u64>,
    succeeded: VecDeque<u64>,
    /// Whether the last request left after its lease was taken away: the window that F11 leaves.
    stale: bool,
    forced: VecDeque<u64>,
    /// What the last answer brought that reached the disk: when it was asked for, and its life.
    arrived: Option<(u64, u64)>,
    /// The same of an answer that is on its way there.
    arriving: Option<(u64, u64)>,
    /// The generations that a disk refused, by who serves them from memory.
    unpersisted: BTreeMap<(usize, u64), u64>,
    /// Until when the server asked to be left alone, and whether somebody wrote it down.
    told_to_wait_until: u64,
    /// The same, though the clocks were moved since, which nobody can be blamed for having waited.
    waits_until: u64,
    told_is_known: bool,
    /// What the server rotated to and the disk does not have.
    pending: Vec<Pending>,
    /// When a lock was last taken away under its holder.
    lock_cleaned_at: Option<u64>,
    /// When a clock or a person made ordinary timing impossible.
    disturbed_at: Option<u64>,
    seen: BTreeMap<(usize, usize), (u64, bool)>,
    /// When somebody last signed in, and last asked to be signed out.
    signed_in_at: u64,
    logout_asked_at: Option<u64>,
    /// Since when the disk says that somebody signed out.
    signed_out_at: Option<u64>,
}

impl Book {
    /// A person signed in or out: what was to be waited for is over, and what was counted begins anew.
    fn begin_anew(&mut self, now: u64) {
        self.arrived = None;
        self.told_to_wait_until = 0;
        self.waits_until = 0;
        self.disturbed_at = Some(now);
    }
}

/// A rotation whose answer is not on the disk.
#[derive(Debug)]
struct Pending {
    process: Arc<Process>,
    at: u64,
    lost: bool,
    refused: bool,
}

impl Pending {
    /// Why nobody can be blamed for its loss: the windows of F03, F04, F13 and F20.
    fn excuse(&self, lock_cleaned_at: Option<u64>) -> Option<&'static str> {
        if self.lost {
            Some("an answer that was lost")
        } else if self.refused {
            Some("a disk that refused what the server had rotated to")
        } else if self.process.is_dead() {
            Some("a crash between the server's doing and the disk")
        } else {
            lock_cleaned_at.filter(|at| *at + LEASED >= self.at).map(|_| "a lock that was taken away under its holder")
        }
    }
}

#[derive(Debug, Default)]
struct Doubted {
    token: String,
    sends: u32,
    /// When it was sent first.
    began_at: u64,
    /// Its note of intent.
    note: Option<Timestamp>,
    /// As its note of intent says, which a slow disk makes older than the request.
    noted_at: u64,
    ended_at: Option<u64>,
    by: Option<Arc<Process>>,
    definite: bool,
}

/// Whether somebody has signed out.
fn is_signed_out(grant: &Grant) -> bool {
    matches!(grant.standing, Standing::Revoking { .. } | Standing::Parked { cause: Cause::LoggedOut, .. })
}

/// When the renewal was begun that is noted there.
fn intent(held: &Grant) -> Option<Timestamp> {
    match held.standing {
        Standing::Renewing { since, .. } => Some(since),
        Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => None,
    }
}

/// Watches a world.
#[derive(Debug)]
pub(crate) struct Judge {
    log: Arc<Log>,
    books: Vec<Mutex<Book>>,
}

impl Judge {
    pub(crate) fn new(log: &Arc<Log>, grants: usize) -> Self {
        Self { log: Arc::clone(log), books: (0..grants).map(|_| Mutex::default()).collect() }
    }

    fn book(&self, grant: usize) -> MutexGuard<'_, Book> {
        self.books[grant].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record is on the disk.
    pub(crate) fn durable(&self, grant: usize, server: &Server, next: &Grant) {
        let mut book = self.book(grant);
        let held = book.durable.replace(next.clone());
        if held.as_ref().is_none_or(|held| held.generation < next.generation) {
            self.check_forced(grant, &mut book);
            book.pending.clear();
            book.unpersisted.clear();
        }
        self.check_logout(grant, &mut book, next);
        book.told_is_known |= matches!(next.standing, Standing::CoolingDown { .. });
        if let Some(held) = &held {
            self.check_change(grant, held, next);
            let refresh_of = |grant: &Grant| grant.tokens.as_ref().and_then(|set| set.refresh.clone());
            if let Some(old) = refresh_of(held).filter(|old| refresh_of(next).as_ref() != Some(old)) {
                book.left_behind.insert(old.expose().to_owned(), self.log.millis());
            }
        }
        if let Standing::Parked { cause: cause @ (Cause::Dead | Cause::LostRotation), .. } = next.standing
            && let Some(token) = next.tokens.as_ref().and_then(|set| set.refresh.as_ref())
            && server.takes(token.expose())
        {
            self.log
                .violate("D2", format_args!("grant {grant} is parked ({cause:?}) though its refresh token is good"));
        }
    }

    /// N24, N25: a logout ends what was signed in to before it was asked for, and nothing later.
    fn check_logout(&self, grant: usize, book: &mut Book, next: &Grant) {
        if !is_signed_out(next) {
            book.signed_out_at = None;
            return;
        }
        if book.signed_out_at.is_none() && book.logout_asked_at.is_none_or(|asked| asked < book.signed_in_at) {
            self.log.violate("N24", format_args!("grant {grant} is signed out of, and nobody asked since the login"));
        }
        if book.signed_out_at.is_none() {
            let now = self.log.millis();
            book.signed_out_at = Some(now);
            book.begin_anew(now);
        }
    }

    /// Somebody asks to be signed out.
    pub(crate) fn logout_asked(&self, grant: usize) {
        self.book(grant).logout_asked_at = Some(self.log.millis());
    }

    /// A login is about to be written down.
    pub(crate) fn signing_in(&self, grant: usize) {
        self.book(grant).signed_in_at = self.log.millis();
    }

    /// Since when the disk says that somebody signed out of a grant.
    pub(crate) fn signed_out_at(&self, grant: usize) -> Option<u64> {
        self.book(grant).signed_out_at
    }

    fn check_change(&self, grant: usize, held: &Grant, next: &Grant) {
        if next.generation < held.generation {
            self.log.violate(
                "S5",
                format_args!("the record of grant {grant} fell from {} to {}", held.generation, next.generation),
            );
        }
        if next.generation == held.generation && next.tokens != held.tokens {
            self.log.violate("S5", format_args!("the tokens of grant {grant} changed within a generation"));
        }
        let refresh = |grant: &Grant| grant.tokens.as_ref().is_some_and(|set| set.refresh.is_some());
        let by_person = next.renewed_at.is_none() || next.renewed_at == next.tokens.as_ref().map(|set| set.issued_at);
        if refresh(held) && !refresh(next) && !by_person {
            self.log.violate("N07", format_args!("a renewal of grant {grant} dropped the refresh token"));
        }
    }

    /// A write was refused: what memory holds may be ahead of the disk.
    pub(crate) fn write_refused(&self, grant: usize, process: &Process, next: &Grant) {
        let mut book = self.book(grant);
        if book.durable.as_ref().is_some_and(|held| next.generation > held.generation) {
            book.unpersisted.insert((process.slot, process.incarnation), next.generation.0);
            for pending in &mut book.pending {
                pending.refused = true;
            }
        }
        if matches!(next.standing, Standing::Renewing { .. }) {
            // D4 goes by what is written down: the note of intent.
            book.doubted.ended_at = None;
        }
    }

    /// A refresh token, or a demand for a minted token, is about to leave a process.
    /// `epoch_holds` tells whether nobody wrote since.
    pub(crate) fn sending(&self, grant: usize, process: &Arc<Process>, token: Option<&str>, epoch_holds: bool) {
        let now = self.log.millis();
        let mut book = self.book(grant);
        book.stale = !epoch_holds && book.lock_cleaned_at.is_some();
        if book.stale {
            self.log.note(format_args!("judge: grant {grant}: its lock was taken away just before this request"));
            return;
        }
        let Some(durable) = book.durable.clone() else { return self.no_intent(grant) };
        let Some(since) = intent(&durable) else { return self.no_intent(grant) };
        let begun = now - u64::try_from(process.now().since(since).as_millis()).unwrap_or(0).min(now);
        if let Some(token) = token {
            let held = durable.tokens.as_ref().and_then(|set| set.refresh.as_ref()).map(|token| token.expose());
            if held != Some(token) || book.left_behind.contains_key(token) {
                self.log.violate("S1", format_args!("grant {grant}: a token whose successor is on disk is sent"));
            }
            self.check_schedule(grant, &mut book, process, token, (since, begun));
        }
        if !book.told_is_known {
            // Whoever was told took it into its grave.
            book.told_to_wait_until = 0;
        }
        if now + 1000 < book.told_to_wait_until {
            let early = book.told_to_wait_until - now;
            self.log.violate("F31", format_args!("grant {grant} asks {early} ms before the server wants to be asked"));
        }
        let cleaned_at = book.lock_cleaned_at;
        // Per epoch: whoever lost its lock while it waited for an answer does not count.
        book.in_flight
            .retain(|(process, since)| !process.is_dead() && cleaned_at.is_none_or(|at| at + LEASED < *since));
        book.in_flight.push((Arc::clone(process), begun));
        if book.in_flight.len() > 1 {
            let many = book.in_flight.len();
            self.log.violate("S4", format_args!("{many} token requests are under way for grant {grant}"));
        }
    }

    fn no_intent(&self, grant: usize) {
        self.log.violate("D1", format_args!("a token request for grant {grant} leaves without a note of intent"));
    }

    /// D4: a token of unknown fate is sent again after half a second, three seconds, and then ever
    /// more slowly.
    fn check_schedule(
        &self,
        grant: usize,
        book: &mut Book,
        process: &Arc<Process>,
        token: &str,
        note: (Timestamp, u64),
    ) {
        let (note, noted_at) = note;
        let now = self.log.millis();
        let doubted = &mut book.doubted;
        let sends = if doubted.token == token && !doubted.definite { doubted.sends } else { 0 };
        let wanted = match sends {
            0 => 0,
            1 => 500,
            2 => 3000,
            _ => 6000,
        };
        // Of an end that a process took into its grave nobody else knows.
        let remembered = doubted.by.as_ref().is_some_and(|process| !process.is_dead());
        let from = doubted.ended_at.filter(|_| remembered).unwrap_or(doubted.noted_at);
        let waited = now - from;
        let disturbed = book.disturbed_at.is_some_and(|at| at >= from);
        if waited + SLACK < wanted && !disturbed {
            self.log.violate("D4", format_args!("grant {grant}: retry {sends} of a token in doubt after {waited} ms"));
        }
        let (token, by) = (token.to_owned(), Some(Arc::clone(process)));
        let began_at = if sends == 0 { now } else { doubted.began_at };
        let (note, sends) = (Some(note), sends + 1);
        *doubted = Doubted { token, sends, began_at, note, noted_at, ended_at: None, by, definite: false };
    }

    /// The server acted, whatever becomes of its answer.
    pub(crate) fn acted(&self, grant: usize, process: &Arc<Process>, said: &Said) {
        let mut book = self.book(grant);
        if said.brings.is_some() {
            let at = self.log.millis();
            let lost = book.stale;
            book.pending.push(Pending { process: Arc::clone(process), at, lost, refused: false });
        }
        if !said.kills_family {
            return;
        }
        let stale = book.stale.then_some("a lock that was taken away from a process that stood still");
        match book.pending.iter().find_map(|pending| pending.excuse(book.lock_cleaned_at)).or(stale) {
            Some(why) => self.log.note(format_args!("grant {grant}: a family is lost to {why}")),
            None => self.log.violate("L4", format_args!("grant {grant}: we had a family revoked, without an excuse")),
        }
    }

    /// A request ended. `arrived` is what came back whole to a process that lives; nothing if the
    /// answer was lost after the server acted.
    pub(crate) fn ended(&self, grant: usize, process: &Arc<Process>, said: Option<&Said>, end: End) {
        let now = self.log.millis();
        let mut book = self.book(grant);
        let mine = book.in_flight.iter().find(|(waiting, _)| Arc::ptr_eq(waiting, process));
        let began_at = mine.map_or(now, |(_, since)| *since);
        book.in_flight.retain(|(waiting, _)| !Arc::ptr_eq(waiting, process));
        let brings = said.is_some_and(|said| said.brings.is_some());
        if book.doubted.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, process)) {
            book.doubted.definite = end != End::Lost;
            // Where another process took the lock and noted its own intent, D4 goes by that one.
            let noted = book.durable.as_ref().and_then(intent);
            let cleaned = book.lock_cleaned_at.is_some_and(|at| at >= book.doubted.noted_at);
            book.doubted.ended_at = (noted == book.doubted.note && !cleaned).then_some(now);
        }
        match end {
            End::Arrived { life } if brings => {
                book.arriving = Some((began_at, life));
                book.succeeded.push_back(now);
            }
            End::Answered | End::Arrived { .. } | End::Unsent => book.failed.push_back(now),
            End::Lost => {
                book.failed.push_back(now);
                if let Some(pending) = book.pending.last_mut().filter(|_| brings) {
                    pending.lost = true;
                }
            }
        }
        book.failed.retain(|at| at + HOUR >= now);
        book.succeeded.retain(|at| at + HOUR >= now);
        // A success ends a back-off, and the next failure begins another.
        let budget = FAILED_PER_HOUR_MAX + FAILED_PER_SUCCESS_MAX * book.succeeded.len();
        if book.failed.len() > budget {
            self.log.violate("S8", format_args!("grant {grant}: more than {budget} token requests in an hour failed"));
        }
    }

    /// A lock was taken away under its holder.
    pub(crate) fn lock_cleaned(&self, grant: usize) {
        self.book(grant).lock_cleaned_at = Some(self.log.millis());
    }

    /// D12: a renewal in the first half of a token's life was forced by somebody.
    fn check_forced(&self, grant: usize, book: &mut Book) {
        let (before, now) = (book.arrived, self.log.millis());
        book.arrived = book.arriving.take();
        let (Some((at, life)), Some((began_at, _))) = (before, book.arrived) else { return };
        let disturbed = book.disturbed_at.is_some_and(|disturbed| disturbed + HOUR > now);
        if life == 0 || began_at.saturating_sub(at) >= life / 2 || disturbed || !book.unpersisted.is_empty() {
            return;
        }
        book.forced.retain(|forced| forced + HOUR > began_at);
        // It counts from its first request on; the answers to some may have been lost.
        book.forced.push_back(if book.doubted.token.is_empty() { began_at } else { book.doubted.began_at });
        self.log.note(format_args!("judge: grant {grant}: a renewal was forced"));
        if book.forced.len() > FORCED_PER_HOUR_MAX {
            self.log.violate("S8", format_args!("grant {grant}: a resource forced 7 renewals in an hour"));
        }
    }

    /// The server wants to be left alone until then.
    pub(crate) fn told_to_wait(&self, grant: usize, until: u64) {
        let mut book = self.book(grant);
        book.told_to_wait_until = until;
        book.waits_until = until;
        book.told_is_known = false;
    }

    /// Until when the server wants to be left alone.
    pub(crate) fn waits_until(&self, grant: usize) -> u64 {
        self.book(grant).waits_until
    }

    /// A person signed in: what was in doubt is over.
    pub(crate) fn signed_in(&self, grant: usize) {
        let now = self.log.millis();
        let mut book = self.book(grant);
        book.pending.clear();
        book.begin_anew(now);
    }

    /// Clocks were moved: for a while nothing can be said of who renewed early.
    pub(crate) fn disturbed(&self) {
        let now = self.log.millis();
        for grant in 0..self.books.len() {
            let mut book = self.book(grant);
            book.disturbed_at = Some(now);
            book.told_to_wait_until = 0;
        }
    }

    /// A consumer got a token of that generation.
    pub(crate) fn served(&self, grant: usize, process: &Process, consumer: usize, generation: u64) {
        let mut book = self.book(grant);
        let durable = book.durable.as_ref().map_or(0, |held| held.generation.0);
        let refused = book.unpersisted.get(&(process.slot, process.incarnation));
        let excused = refused.is_some_and(|refused| generation <= *refused);
        if generation > durable && !excused {
            let why = format_args!("grant {grant}: generation {generation} is served, and the disk has {durable}");
            self.log.violate("S2", why);
        }
        let before = book.seen.insert((process.slot, consumer), (generation, generation > durable));
        if let Some((before, in_memory)) = before
            && generation < before
            && !in_memory
        {
            self.log.violate("S3", format_args!("grant {grant}: a consumer saw {before} and then {generation}"));
        }
    }

    /// What the disk holds.
    pub(crate) fn record(&self, grant: usize) -> Option<Grant> {
        self.book(grant).durable.clone()
    }

    /// A caller was answered after so many milliseconds.
    pub(crate) fn answered(&self, grant: usize, within: u64, most: u64) {
        if within > most {
            self.log.violate("L2", format_args!("grant {grant}: a caller waited {within} ms for an answer"));
        }
    }

    /// A renewal was given up though its process lives (D1).
    pub(crate) fn abandoned(&self, grant: usize) {
        self.log.violate("D1", format_args!("grant {grant}: a token request was cancelled by whoever asked for it"));
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Somebody else answered in the server's place.
    Answered,
    /// The server's answer arrived whole; the life of what it brings, in milliseconds, zero if unknown.
    Arrived { life: u64 },
    /// No answer arrived, and the server may have acted.
    Lost,
    /// Nothing reached the server.
    Unsent,
}
