//! What became of a grant, for people: its renewals and its troubles. Written with the record they
//! belong to, so that it costs no write of its own and cannot say what did not come about.

use crate::clock::Timestamp;
use crate::error::Code;
use crate::grant::Cause;
use crate::token::Generation;
use std::time::Duration;

/// How many events are kept of a grant.
pub const EVENTS_MAX: usize = 50;
/// How many of them are ordinary renewals at most, once there is more to tell: a token of ten seconds
/// would otherwise wash the trouble of an hour ago away.
const RENEWALS_MAX: usize = EVENTS_MAX / 2;

/// What happened to a grant. No secret is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A renewal brought tokens although the fate of the request before it was in doubt.
    AnswerHealed,
    /// A renewal was found under way whose process had died or was stopped.
    CrashFound,
    /// A renewal brought no tokens.
    Failed(Code),
    /// A resource refused the held token, and a renewal was begun for it.
    Forced,
    /// A token set was handed in.
    Imported,
    /// A renewal ended so that only a person can go on.
    Parked(Cause),
    /// A renewal brought tokens.
    Renewed,
    /// A person signed in.
    SignedIn,
    /// Somebody signed out.
    SignedOut,
}

/// Which kind of process did it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Process {
    /// A command of a script or a person.
    Command,
    /// A program with the library in it.
    #[default]
    Library,
    /// The sidecar.
    Sidecar,
}

impl Process {
    /// A stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Library => "library",
            Self::Sidecar => "sidecar",
        }
    }
}

/// One thing that happened to a grant, perhaps several times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When; the last time, if it happened again.
    pub at: Timestamp,
    /// When it first did.
    pub first_at: Timestamp,
    /// How often in a row.
    pub times: u32,
    /// What.
    pub happening: Happening,
    /// The generation that it left behind.
    pub generation: Generation,
    /// From the note of intent to the answer, where something was asked; of the last time.
    pub took: Option<Duration>,
    /// Who did it; the last time.
    pub process: Option<Process>,
}

/// The last events of a grant, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Event>);

impl History {
    /// Of these events, oldest first; the last ones if they are too many.
    pub fn new(mut events: Vec<Event>) -> Self {
        events.drain(..events.len().saturating_sub(EVENTS_MAX));
        Self(events)
    }

    /// The events, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.0
    }

    /// Whether a person signed in, or handed a token set in, after `generation`: what is held is another
    /// authorization than then.
    pub fn begins_anew_after(&self, generation: Generation) -> bool {
        self.0.iter().any(|event| event.generation > generation && event.begins())
    }

    /// This history with one more event.
    #[must_use]
    pub fn with(&self, happening: Happening, generation: Generation, took: Option<Duration>, at: Timestamp) -> Self {
        let mut events = self.0.clone();
        match events.last_mut() {
            // An outage of an hour is one line, and hides nothing of the day before.
            Some(last) if repeats(last, happening, generation) => {
                *last = Event { at, times: last.times.saturating_add(1), took, process: None, ..*last };
            }
            Some(_) | None => {
                let event = Event { at, first_at: at, times: 1, happening, generation, took, process: None };
                events.push(event);
            }
        }
        if events.len() > EVENTS_MAX {
            let renewals = events.iter().filter(|event| event.happening == Happening::Renewed).count();
            // Never the last login: a logout that waited for long goes by it.
            let login = events.iter().rposition(Event::begins);
            let give_up = |(place, event): (usize, &Event)| {
                (event.happening == Happening::Renewed) == (renewals > RENEWALS_MAX) && Some(place) != login
            };
            events.remove(events.iter().enumerate().position(give_up).unwrap_or_default());
        }
        Self(events)
    }

    /// This history with `process` as who did what nobody is named for yet.
    #[must_use]
    pub fn by(mut self, process: Process) -> Self {
        for event in &mut self.0 {
            event.process = event.process.or(Some(process));
        }
        self
    }
}

impl Event {
    /// Whether what is held since is another authorization than before.
    fn begins(&self) -> bool {
        matches!(self.happening, Happening::Imported | Happening::SignedIn)
    }
}

fn repeats(last: &Event, happening: Happening, generation: Generation) -> bool {
    happening != Happening::Renewed && last.happening == happening && last.generation == generation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn renewed(history: &History, generation: u64) -> History {
        history.with(Happening::Renewed, Generation(generation), Some(Duration::from_millis(80)), at(generation))
    }

    #[test]
    fn an_outage_is_one_event_however_often_it_was_tried() {
        let ill = Happening::Failed(Code::ServerUnreachable);
        let tried = (10..85)
            .fold(renewed(&History::default(), 1), |history, secs| history.with(ill, Generation(1), None, at(secs)));
        let [_, outage] = tried.events() else { panic!("{tried:?}") };
        assert_eq!((outage.times, outage.first_at, outage.at), (75, at(10), at(84)));
    }

    #[test]
    fn renewals_without_end_leave_the_trouble_of_yesterday_to_be_read() {
        let trouble = History::default().with(Happening::CrashFound, Generation(1), None, at(1));
        let long = (2..10_000).fold(trouble, |history, generation| renewed(&history, generation));
        assert_eq!(long.events().len(), EVENTS_MAX);
        assert_eq!(long.events()[0].happening, Happening::CrashFound);
        assert_eq!(long.events()[EVENTS_MAX - 1].generation, Generation(9_999));
    }

    #[test]
    fn troubles_without_end_leave_the_last_renewals_to_be_read() {
        let renewals = (1..40).fold(History::default(), |history, generation| renewed(&history, generation));
        let troubled = (40..1_000).fold(renewals, |history, generation| {
            history.with(Happening::Forced, Generation(generation), None, at(generation))
        });
        assert_eq!(troubled.events().len(), EVENTS_MAX);
        let left = troubled.events().iter().filter(|event| event.happening == Happening::Renewed).count();
        assert_eq!(left, RENEWALS_MAX);
    }

    #[test]
    fn a_login_begins_anew_and_a_renewal_does_not() {
        let signed_in = renewed(&History::default(), 1).with(Happening::SignedIn, Generation(2), None, at(2));
        let renewed_since = renewed(&signed_in, 3);
        let told = [1, 2, 3].map(|generation| renewed_since.begins_anew_after(Generation(generation)));
        assert_eq!(told, [true, false, false]);
    }

    #[test]
    fn a_login_is_remembered_whatever_comes_after_it() {
        let signed_in = renewed(&History::default(), 1).with(Happening::SignedIn, Generation(2), None, at(2));
        let long = (3..1_000).fold(signed_in, |history, generation| {
            let forced = history.with(Happening::Forced, Generation(generation), None, at(generation));
            renewed(&forced, generation)
        });
        assert_eq!(long.events().len(), EVENTS_MAX);
        assert_eq!([1, 2].map(|generation| long.begins_anew_after(Generation(generation))), [true, false]);
        let again = long.with(Happening::SignedIn, Generation(1_000), None, at(1_000));
        assert!(again.begins_anew_after(Generation(999)));
    }

    #[test]
    fn whoever_did_it_is_named_once() {
        let by_command = renewed(&History::default(), 1).by(Process::Command);
        let both = renewed(&by_command, 2).by(Process::Sidecar);
        let processes: Vec<_> = both.events().iter().map(|event| event.process).collect();
        assert_eq!(processes, [Some(Process::Command), Some(Process::Sidecar)]);
    }
}
