//! What can be seen to be wrong with a plan before anything runs.

use super::template::{Reference, Root};
use super::work::PlanStep;
use super::{PlanFault, listed, shown};
use crate::task::TaskId;
use std::collections::HashMap;
use std::ops::Range;

/// Most steps that a plan says; a step with `for_each` counts once.
pub const STEPS_MAX: usize = 1000;
/// Most steps that run at once.
pub const CONCURRENCY_MAX: usize = 256;
/// Most times that a step is tried again by itself in one run.
pub const RETRIES_MAX: u32 = 4;
/// Longest key of a step, in bytes: the id of an item is to fit beside it.
const KEY_BYTES_MAX: usize = 80;

/// A plan in which nothing was found that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPlan {
    id: TaskId,
    concurrency: usize,
    steps: Vec<PlanStep>,
    places: HashMap<String, usize>,
    /// For each step the ones that come first, by place, in rising order.
    needs: Vec<Vec<usize>>,
    /// For each step whether anything of what it brings is used.
    used: Vec<bool>,
}

impl TaskPlan {
    /// Checks the steps of a plan. `span` is where the plan as a whole is said.
    ///
    /// # Errors
    /// The first that is wrong, in the order of the file: keys that are taken twice or are no keys, steps
    /// that are not there, lists that are not there, steps that wait for each other.
    pub fn new(id: TaskId, concurrency: usize, steps: Vec<PlanStep>, span: &Range<usize>) -> Result<Self, PlanFault> {
        if steps.is_empty() {
            return Err(PlanFault::new(
                span,
                "the plan has no steps",
                "add a [[step]] with a key and a command or request",
            ));
        }
        if let Some(step) = steps.get(STEPS_MAX) {
            let mend = "use for_each for steps that differ in one value, or make several plans";
            return Err(PlanFault::new(&step.span, "the plan has more than 1000 steps", mend));
        }
        let places = places(&steps)?;
        let mut used = vec![false; steps.len()];
        let mut needs = Vec::with_capacity(steps.len());
        for (place, step) in steps.iter().enumerate() {
            needs.push(needs_of(place, step, &places, &mut used)?);
        }
        no_cycle(&steps, &needs)?;
        let needs = needs.into_iter().map(|found| {
            let mut places: Vec<usize> = found.into_iter().map(|(place, _)| place).collect();
            places.sort_unstable();
            places.dedup();
            places
        });
        let (needs, places) =
            (needs.collect(), places.into_iter().map(|(key, place)| (key.to_owned(), place)).collect());
        Ok(Self { id, concurrency, places, needs, used, steps })
    }

    /// The task's name.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// The same plan as another task.
    #[must_use]
    pub fn named(self, id: TaskId) -> Self {
        Self { id, ..self }
    }

    /// How many steps run at once.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// The steps, in the order of the file.
    pub fn steps(&self) -> &[PlanStep] {
        &self.steps
    }

    /// The steps that come before one, by place.
    pub fn needs(&self, step: usize) -> &[usize] {
        &self.needs[step]
    }

    /// Whether anything of what a step brings is used by others.
    pub fn is_used(&self, step: usize) -> bool {
        self.used[step]
    }

    /// The place of the step of that key.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.places.get(key).copied()
    }
}

type Places<'a> = HashMap<&'a str, usize>;

fn places(steps: &[PlanStep]) -> Result<Places<'_>, PlanFault> {
    let mut places = HashMap::new();
    for (place, step) in steps.iter().enumerate() {
        let fault = |detail: String, mend: &str| Err(PlanFault::new(&step.span, detail, mend));
        let key = step.key.as_str();
        if matches!(key, "item" | "env" | "secret" | "secrets") {
            return fault(
                format!("a step cannot be called `{key}`: the word means something in templates"),
                "use another key",
            );
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.chars().all(plain) {
            let detail = format!("`{}` is no key of a step", shown(key));
            return fault(detail, "use up to 80 letters, digits, '-' and '_'");
        }
        if places.insert(key, place).is_some() {
            return fault(format!("there are two steps with the key `{key}`"), "give each step a key of its own");
        }
    }
    Ok(places)
}

/// The steps that come before one, each with the bytes of the file that say so.
fn needs_of(
    place: usize,
    step: &PlanStep,
    places: &Places<'_>,
    used: &mut [bool],
) -> Result<Vec<(usize, Range<usize>)>, PlanFault> {
    let find = |key: &str, span: &Range<usize>| match places.get(key) {
        Some(found) if *found == place => {
            let detail = format!("step {key} waits for itself");
            Err(PlanFault::new(span, detail, "name a step that comes before it"))
        }
        Some(found) => Ok((*found, span.clone())),
        None => {
            let known = listed(places_in_order(places).into_iter().filter(|known| *known != step.key));
            let mend =
                if known.is_empty() { "there is no other step".to_owned() } else { format!("there are {known}") };
            Err(PlanFault::new(span, format!("there is no step `{}`", shown(key)), mend))
        }
    };
    let mut found = Vec::new();
    for need in &step.needs {
        found.push(find(&need.key, &need.span)?);
    }
    let within = step.references().into_iter().map(|reference| (reference, step.fan_out.is_some()));
    // The list itself is there before there is an item.
    for (reference, has_item) in step.list().map(|list| (list, false)).into_iter().chain(within) {
        if let Some(key) = key_of(reference, has_item)? {
            let (needed, span) = find(key, &reference.span)?;
            used[needed] = true;
            found.push((needed, span));
        }
    }
    Ok(found)
}

fn key_of(reference: &Reference, has_item: bool) -> Result<Option<&str>, PlanFault> {
    match &reference.root {
        Root::Step(key) => Ok(Some(key)),
        Root::Item if has_item => Ok(None),
        Root::Item => {
            let mend = "give the step a for_each, or name the step that brings the value";
            Err(PlanFault::new(&reference.span, "there is no item here", mend))
        }
    }
}

fn places_in_order<'a>(places: &Places<'a>) -> Vec<&'a str> {
    let mut known: Vec<(&str, usize)> = places.iter().map(|(key, place)| (*key, *place)).collect();
    known.sort_by_key(|(_, place)| *place);
    known.into_iter().map(|(key, _)| key).collect()
}

/// Refuses steps that wait for each other, at the place that closes the circle.
fn no_cycle(steps: &[PlanStep], needs: &[Vec<(usize, Range<usize>)>]) -> Result<(), PlanFault> {
    let mut cleared = vec![false; steps.len()];
    for start in 0..steps.len() {
        // The way from `start` down, each with how many of its needs were looked at. Not by recursion: a
        // chain may be as long as the plan.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((place, looked_at)) = way.last_mut() {
            let place = *place;
            let Some((needed, span)) = needs[place].get(*looked_at) else {
                cleared[place] = true;
                way.pop();
                continue;
            };
            *looked_at += 1;
            if let Some(since) = way.iter().position(|(on_the_way, _)| on_the_way == needed) {
                return Err(cycle(way[since..].iter().map(|(place, _)| steps[*place].key.as_str()), span));
            }
            if !cleared[*needed] {
                way.push((*needed, 0));
            }
        }
    }
    Ok(())
}

fn cycle<'a>(keys: impl Iterator<Item = &'a str>, span: &Range<usize>) -> PlanFault {
    let keys: Vec<&str> = keys.collect();
    let detail = format!("steps wait for each other: {} -> {}", keys.join(" -> "), keys[0]);
    PlanFault::new(span, detail, "take one of them out of what the other needs")
}
