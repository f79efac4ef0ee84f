//! Where a start of the agent is on what earlier ones recorded.

use super::exchange::Exchange;
use outlast::Timestamp;
use outlast::task::{Effect, Next, Output, StepKey, TaskError, TaskView, Wish, next};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Where one start of the agent is on what earlier ones recorded. Occurrences of a request are counted from
/// one at each start, in the order in which they arrive.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    requests: HashMap<String, Counted>,
    /// Whether the agent has asked something that no earlier start had asked.
    is_past: bool,
}

/// The occurrences of one request.
#[derive(Debug, Default)]
struct Counted {
    /// The highest that was taken.
    last: u32,
    /// Those below that were given back.
    free: BTreeSet<u32>,
    /// Those that this start of the agent has sent itself.
    sent: BTreeSet<u32>,
}

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Chosen {
    /// It was sent by an earlier start, and nobody knows what came of it. Nothing is taken.
    Ambiguous(StepKey, Timestamp),
    /// The task is over. Nothing is taken.
    Closed,
    /// Answer it with this.
    Replay(u32, Output),
    /// Send it.
    Send(u32),
    /// An earlier start sent it, and its answer is still coming in. Nothing is taken.
    Wait,
}

/// How one occurrence stands.
enum Standing<'a> {
    Ambiguous(Timestamp),
    Closed,
    Done(&'a Output),
    New,
    ToBeSent,
    UnderWay,
}

impl Tape {
    /// Decides on a request that arrives, and takes an occurrence for it. `under_way` are the steps whose
    /// answers are coming in.
    ///
    /// What is recorded goes first: an answer to the very same request is a good answer. Then what is in
    /// doubt, before anything is sent: it must not be done twice. Once the agent has asked something new it
    /// is no more on its old way, and what is safe to ask is asked again: the old answer may be out of date.
    pub(crate) fn choose(
        &mut self,
        task: &TaskView,
        exchange: &Exchange,
        under_way: &HashSet<StepKey>,
    ) -> Result<Chosen, TaskError> {
        let counted = self.requests.entry(exchange.base().to_owned()).or_default();
        let anew = self.is_past && exchange.effect() == Effect::Idempotent;
        let (mut waits, mut doubt, mut sendable) = (false, None, None);
        for occurrence in counted.open() {
            let key = exchange.key(occurrence)?;
            let sent = counted.sent.contains(&occurrence);
            let standing =
                if under_way.contains(&key) { Standing::UnderWay } else { stands(task, &key, exchange, sent) };
            let is_new = matches!(standing, Standing::New);
            match standing {
                Standing::Ambiguous(since) => doubt = doubt.or(Some((key, since))),
                Standing::Closed => return Ok(Chosen::Closed),
                Standing::Done(output) if !anew => {
                    counted.take(occurrence);
                    return Ok(Chosen::Replay(occurrence, output.clone()));
                }
                Standing::Done(_) | Standing::New | Standing::ToBeSent => {
                    sendable = sendable.or(Some((occurrence, is_new)));
                }
                Standing::UnderWay => waits = true,
            }
            // Behind one that no start ever sent there is nothing recorded.
            if anew && sendable.is_some() || is_new && occurrence > counted.last {
                break;
            }
        }
        match (waits, doubt, sendable) {
            (false, None, Some((occurrence, is_new))) => {
                self.is_past |= is_new;
                counted.take(occurrence);
                counted.sent.insert(occurrence);
                Ok(Chosen::Send(occurrence))
            }
            (false, Some((key, since)), _) => Ok(Chosen::Ambiguous(key, since)),
            (true, _, _) | (false, None, None) => Ok(Chosen::Wait),
        }
    }

    /// Takes an occurrence back: it did not come to its end, and the next such request is that one again.
    pub(crate) fn give_back(&mut self, base: &str, occurrence: u32) {
        if let Some(counted) = self.requests.get_mut(base) {
            counted.free.insert(occurrence);
        }
    }

    /// Takes an occurrence that was given back: its answer counts after all.
    pub(crate) fn take(&mut self, base: &str, occurrence: u32) {
        if let Some(counted) = self.requests.get_mut(base) {
            counted.take(occurrence);
        }
    }
}

impl Counted {
    /// Those that are not taken, in order.
    fn open(&self) -> impl Iterator<Item = u32> + use<> {
        self.free.clone().into_iter().chain(self.last.saturating_add(1)..=u32::MAX)
    }

    fn take(&mut self, occurrence: u32) {
        self.free.remove(&occurrence);
        // Those that were passed over stay open.
        self.free.extend(self.last.saturating_add(1)..occurrence);
        self.last = self.last.max(occurrence);
    }
}

fn stands<'a>(task: &'a TaskView, key: &StepKey, exchange: &Exchange, sent: bool) -> Standing<'a> {
    if task.step(key).is_none() && task.closed_at.is_none() {
        return Standing::New;
    }
    match next(task, Wish { key, effect: exchange.effect(), input: None, running: false }) {
        // The agent has seen what became of it, and asks again.
        Next::Ambiguous { .. } if sent => Standing::ToBeSent,
        Next::Ambiguous { since } => Standing::Ambiguous(since),
        Next::Closed => Standing::Closed,
        Next::Reuse(output) => Standing::Done(output),
        Next::Running { .. } => Standing::UnderWay,
        Next::InputChanged | Next::Poisoned { .. } | Next::Run { .. } => Standing::ToBeSent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use outlast::GrantId;
    use outlast::task::{Entry, Event, Place};
    use std::time::Duration;

    struct World {
        entries: Vec<Event>,
        tape: Tape,
        under_way: HashSet<StepKey>,
    }

    fn request(method: Method, path: &str) -> Exchange {
        let safe = method.is_safe();
        Exchange::of(&GrantId::parse("crm").unwrap(), &method, path, b"", safe)
    }

    fn get(path: &str) -> Exchange {
        request(Method::GET, path)
    }

    fn post(path: &str) -> Exchange {
        request(Method::POST, path)
    }

    impl World {
        fn new() -> Self {
            Self { entries: vec![opened()], tape: Tape::default(), under_way: HashSet::new() }
        }

        fn started(&mut self, exchange: &Exchange, occurrence: u32) {
            let (key, effect) = (exchange.key(occurrence).unwrap(), exchange.effect());
            self.entries.push(Event::Started { key, effect, input: None });
        }

        fn done(&mut self, exchange: &Exchange, occurrence: u32, answer: &str) {
            self.started(exchange, occurrence);
            let bytes = answer.as_bytes().to_vec();
            let output = Output { exit: None, length: bytes.len() as u64, place: Place::Here(bytes) };
            let key = exchange.key(occurrence).unwrap();
            self.entries.push(Event::Done { key, output, took: Duration::ZERO });
        }

        fn failed(&mut self, exchange: &Exchange, occurrence: u32) {
            self.started(exchange, occurrence);
            let key = exchange.key(occurrence).unwrap();
            self.entries.push(Event::Failed { key, reason: "429".to_owned(), counts: false });
        }

        fn restart(&mut self) {
            self.entries.push(opened());
            self.tape = Tape::default();
        }

        /// What is chosen, in a few words.
        fn ask(&mut self, exchange: &Exchange) -> String {
            let entries = self.entries.iter().cloned();
            let view = TaskView::fold(entries.map(|event| Entry { at: Timestamp::default(), event }));
            match self.tape.choose(&view, exchange, &self.under_way).unwrap() {
                Chosen::Ambiguous(key, _) => format!("ambiguous {}", key.as_str().rsplit(':').next().unwrap()),
                Chosen::Closed => "closed".to_owned(),
                Chosen::Replay(occurrence, output) => {
                    let Place::Here(bytes) = output.place else { panic!("{output:?}") };
                    format!("replay {occurrence} {}", String::from_utf8(bytes).unwrap())
                }
                Chosen::Send(occurrence) => format!("send {occurrence}"),
                Chosen::Wait => "wait".to_owned(),
            }
        }
    }

    fn opened() -> Event {
        Event::Opened { runner: "test".to_owned() }
    }

    #[test]
    fn occurrences_are_counted_in_order_of_arrival_and_from_one_at_each_start() {
        let mut world = World::new();
        assert_eq!(
            [world.ask(&post("/a")), world.ask(&post("/a")), world.ask(&post("/b"))],
            ["send 1", "send 2", "send 1"]
        );
        world.done(&post("/a"), 2, "second");
        world.done(&post("/a"), 1, "first");
        world.restart();
        let told = [world.ask(&post("/a")), world.ask(&post("/a")), world.ask(&post("/a"))];
        assert_eq!(told, ["replay 1 first", "replay 2 second", "send 3"]);
    }

    #[test]
    fn an_unsafe_request_without_an_outcome_is_ambiguous_after_a_restart_and_a_safe_one_is_sent_again() {
        let mut world = World::new();
        world.started(&post("/a"), 1);
        world.started(&get("/a"), 1);
        world.restart();
        assert_eq!(world.ask(&post("/a")), "ambiguous 1");
        assert_eq!(world.ask(&post("/a")), "ambiguous 1", "nothing was taken");
        assert_eq!(world.ask(&get("/a")), "send 1");
    }

    #[test]
    fn a_person_decides_what_is_ambiguous() {
        let mut world = World::new();
        world.started(&post("/a"), 1);
        world.restart();
        let decision = outlast::task::Decision::Rerun;
        world.entries.push(Event::Resolved { key: post("/a").key(1).unwrap(), decision });
        assert_eq!(world.ask(&post("/a")), "send 1");
    }

    #[test]
    fn what_is_recorded_goes_before_what_is_in_doubt_and_that_before_anything_is_sent() {
        let mut world = World::new();
        world.started(&post("/a"), 1);
        world.done(&post("/a"), 2, "second");
        world.failed(&post("/a"), 3);
        world.restart();
        assert_eq!([world.ask(&post("/a")), world.ask(&post("/a"))], ["replay 2 second", "ambiguous 1"]);
    }

    #[test]
    fn a_retry_in_the_same_start_takes_the_occurrence_that_came_to_nothing() {
        let mut world = World::new();
        assert_eq!(world.ask(&post("/a")), "send 1");
        world.started(&post("/a"), 1);
        world.tape.give_back(post("/a").base(), 1);
        assert_eq!(world.ask(&post("/a")), "send 1", "the agent knows, and asks again");
        world.done(&post("/a"), 1, "after all");
        assert_eq!(world.ask(&post("/a")), "send 2");
        world.restart();
        assert_eq!([world.ask(&post("/a")), world.ask(&post("/a"))], ["replay 1 after all", "send 2"]);
    }

    #[test]
    fn after_something_new_what_is_safe_is_asked_again_and_what_is_not_is_replayed() {
        let mut world = World::new();
        world.done(&get("/a"), 1, "old a");
        world.done(&get("/b"), 1, "old b");
        world.done(&post("/c"), 1, "charged");
        world.restart();
        assert_eq!(world.ask(&get("/a")), "replay 1 old a");
        assert_eq!(world.ask(&get("/new")), "send 1");
        assert_eq!(world.ask(&get("/b")), "send 1");
        assert_eq!(world.ask(&post("/c")), "replay 1 charged");
        assert_eq!(world.ask(&get("/b")), "send 2");
    }

    #[test]
    fn what_was_in_flight_when_the_agent_died_is_not_new() {
        let mut world = World::new();
        world.started(&get("/a"), 1);
        world.done(&get("/b"), 1, "b");
        world.restart();
        assert_eq!([world.ask(&get("/a")), world.ask(&get("/b"))], ["send 1", "replay 1 b"]);
    }

    #[test]
    fn an_answer_that_still_comes_in_for_an_earlier_start_is_waited_for() {
        let mut world = World::new();
        world.started(&post("/a"), 1);
        world.under_way.insert(post("/a").key(1).unwrap());
        assert_eq!(world.ask(&post("/a")), "wait");
        world.under_way.clear();
        world.done(&post("/a"), 1, "late");
        assert_eq!(world.ask(&post("/a")), "replay 1 late");
    }

    #[test]
    fn a_task_that_is_closed_answers_nothing() {
        let mut world = World::new();
        world.done(&get("/a"), 1, "a");
        world.entries.push(Event::Closed);
        assert_eq!([world.ask(&get("/a")), world.ask(&get("/b"))], ["closed", "closed"]);
    }
}
