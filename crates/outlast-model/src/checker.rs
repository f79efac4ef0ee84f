//! The search: every state that can be reached, breadth first, so that a counterexample is a
//! shortest one.

use crate::promise::{Broken, Promise};
use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What can be searched.
pub trait Model {
    /// One moment of the whole.
    type State: Clone + Hash;
    /// One thing that can happen next.
    type Action: Copy + Debug;
    /// What is worth telling of a state: that it was reached shows that a search was no empty one.
    type Sight: Copy + Ord + Debug;

    /// Where it begins.
    fn initial(&self) -> Self::State;
    /// What can happen next, in a fixed order. None: it ends here.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;
    /// What it leads to.
    ///
    /// # Errors
    /// The promise that is broken by it.
    fn after(&self, state: &Self::State, action: Self::Action) -> Result<Self::State, Broken>;
    /// Whether it may end here.
    fn may_end(&self, state: &Self::State) -> bool;
    /// The same state with what makes no difference brought into one order.
    fn canonical(&self, state: &Self::State) -> Self::State;
    /// What there is to be seen.
    fn sights(&self, state: &Self::State, sights: &mut BTreeSet<Self::Sight>);
}

/// How far to search.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// No more states than this.
    pub states_max: usize,
    /// Whether to show that no path goes round in a circle, which needs every edge in memory.
    pub without_circles: bool,
}

/// A way to a broken promise.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What is broken.
    pub broken: Broken,
    /// What happens on the way, in order.
    pub steps: Vec<String>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found<S> {
    /// Distinct states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Longest shortest way to a state.
    pub depth: usize,
    /// Whether all were looked at.
    pub whole: bool,
    /// The first broken promise, if any is.
    pub counterexample: Option<Counterexample>,
    /// What was seen, each with a shortest way to it.
    pub sights: BTreeMap<S, Vec<String>>,
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

struct Search<'m, M: Model> {
    model: &'m M,
    /// Known states by their fingerprint. With 64 bits, ten million states collide once in a
    /// quarter of a million searches.
    known: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    /// How each state was first reached.
    ways: Vec<(u32, Option<M::Action>)>,
    edges: Vec<(u32, u32)>,
    steps: usize,
    depth: usize,
    sights: BTreeMap<M::Sight, Vec<String>>,
}

/// Searches `model` within `bounds`, until a promise is broken.
pub fn search<M: Model>(model: &M, bounds: Bounds) -> Found<M::Sight> {
    let mut search = Search {
        model,
        known: HashMap::default(),
        ways: Vec::new(),
        edges: Vec::new(),
        steps: 0,
        depth: 0,
        sights: BTreeMap::new(),
    };
    let (whole, broken) = search.run(bounds);
    let counterexample = broken.map(|(at, last, broken)| search.counterexample(at, last, broken));
    let goes_round = bounds.without_circles && whole && counterexample.is_none() && search.goes_round();
    let circle = || Counterexample {
        broken: Broken::new(Promise::L1, "a path goes round in a circle and no time passes"),
        steps: Vec::new(),
    };
    Found {
        states: search.ways.len(),
        steps: search.steps,
        depth: search.depth,
        whole,
        counterexample: counterexample.or_else(|| goes_round.then(circle)),
        sights: search.sights,
    }
}

type End<A> = (u32, Option<A>, Broken);

impl<M: Model> Search<'_, M> {
    fn run(&mut self, bounds: Bounds) -> (bool, Option<End<M::Action>>) {
        let mut frontier = VecDeque::new();
        let initial = self.model.initial();
        self.note(&initial, 0, None);
        frontier.push_back((0, 0, initial));
        while let Some((number, depth, state)) = frontier.pop_front() {
            self.depth = self.depth.max(depth);
            self.look(number, &state);
            let actions = self.model.actions(&state);
            if actions.is_empty() && !self.model.may_end(&state) {
                return (false, Some((number, None, Broken::new(Promise::L1, "nothing can happen any more"))));
            }
            for action in actions {
                self.steps += 1;
                let next = match self.model.after(&state, action) {
                    Ok(next) => next,
                    Err(broken) => return (false, Some((number, Some(action), broken))),
                };
                let (at, is_new) = self.note(&next, number, Some(action));
                if bounds.without_circles {
                    self.edges.push((number, at));
                }
                if is_new {
                    frontier.push_back((at, depth + 1, next));
                }
            }
            if self.ways.len() > bounds.states_max {
                return (false, None);
            }
        }
        (true, None)
    }

    fn note(&mut self, state: &M::State, from: u32, by: Option<M::Action>) -> (u32, bool) {
        let mut hasher = DefaultHasher::new();
        self.model.canonical(state).hash(&mut hasher);
        let number = u32::try_from(self.ways.len()).expect("fewer states than four billion");
        match self.known.entry(hasher.finish()) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(free) => {
                free.insert(number);
                self.ways.push((from, by));
                (number, true)
            }
        }
    }

    fn look(&mut self, number: u32, state: &M::State) {
        let mut seen = BTreeSet::new();
        self.model.sights(state, &mut seen);
        for sight in seen {
            if !self.sights.contains_key(&sight) {
                self.sights.insert(sight, self.way(number, None));
            }
        }
    }

    fn counterexample(&self, at: u32, last: Option<M::Action>, broken: Broken) -> Counterexample {
        Counterexample { broken, steps: self.way(at, last) }
    }

    fn way(&self, mut at: u32, last: Option<M::Action>) -> Vec<String> {
        let mut steps: Vec<String> = last.iter().map(|action| format!("{action:?}")).collect();
        while let (from, Some(action)) = &self.ways[at as usize] {
            steps.push(format!("{action:?}"));
            at = *from;
        }
        steps.reverse();
        steps
    }

    /// Whether the states cannot be put in an order that every step follows.
    fn goes_round(&mut self) -> bool {
        self.edges.sort_unstable();
        let mut arriving = vec![0_u32; self.ways.len()];
        for (_, to) in &self.edges {
            arriving[*to as usize] += 1;
        }
        let mut open: Vec<u32> =
            (0_u32..).zip(&arriving).filter(|(_, count)| **count == 0).map(|(number, _)| number).collect();
        let mut ordered = 0;
        while let Some(number) = open.pop() {
            ordered += 1;
            let first = self.edges.partition_point(|(from, _)| *from < number);
            for (_, to) in self.edges[first..].iter().take_while(|(from, _)| *from == number) {
                arriving[*to as usize] -= 1;
                if arriving[*to as usize] == 0 {
                    open.push(*to);
                }
            }
        }
        ordered < self.ways.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up to `end`, from where it goes back to `back`, or stays.
    struct Counter {
        end: u8,
        back: Option<u8>,
        bad: Option<u8>,
    }

    impl Model for Counter {
        type State = u8;
        type Action = u8;
        type Sight = u8;

        fn initial(&self) -> u8 {
            0
        }

        fn actions(&self, state: &u8) -> Vec<u8> {
            if *state < self.end { vec![state + 1] } else { self.back.into_iter().collect() }
        }

        fn after(&self, _: &u8, action: u8) -> Result<u8, Broken> {
            if self.bad == Some(action) { Err(Broken::new(Promise::S1, "bad")) } else { Ok(action) }
        }

        fn may_end(&self, state: &u8) -> bool {
            state.is_multiple_of(2)
        }

        fn canonical(&self, state: &u8) -> u8 {
            *state
        }

        fn sights(&self, state: &u8, sights: &mut BTreeSet<u8>) {
            sights.insert(*state);
        }
    }

    const ALL: Bounds = Bounds { states_max: 1000, without_circles: true };

    #[test]
    fn a_search_counts_every_state_once_and_sees_all_of_them() {
        let found = search(&Counter { end: 6, back: None, bad: None }, ALL);
        assert_eq!((found.states, found.steps, found.depth, found.whole), (7, 6, 6, true));
        assert!(found.counterexample.is_none());
        assert_eq!(found.sights.len(), 7);
    }

    #[test]
    fn a_broken_promise_comes_with_the_way_to_it() {
        let found = search(&Counter { end: 6, back: None, bad: Some(3) }, ALL).counterexample.unwrap();
        assert_eq!((found.broken.promise, found.steps.join(" ")), (Promise::S1, "1 2 3".to_owned()));
    }

    #[test]
    fn a_dead_end_and_a_circle_break_the_promise_that_something_happens() {
        let stuck = search(&Counter { end: 5, back: None, bad: None }, ALL).counterexample.unwrap();
        assert_eq!((stuck.broken.promise, stuck.steps.len()), (Promise::L1, 5));
        let circle = search(&Counter { end: 6, back: Some(2), bad: None }, ALL).counterexample.unwrap();
        assert_eq!(circle.broken.promise, Promise::L1);
    }

    #[test]
    fn a_search_stops_at_its_bound_and_says_so() {
        let found = search(&Counter { end: 200, back: None, bad: None }, Bounds { states_max: 10, ..ALL });
        assert!(!found.whole && found.states <= 12);
    }
}
