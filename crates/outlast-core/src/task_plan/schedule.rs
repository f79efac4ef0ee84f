//! Which step may run next.

use super::check::TaskPlan;
use super::place::{self, Nested};
use super::prepare::{Prepared, prepare, value_of};
use super::template::{Reference, Root};
use super::work::{FanOut, Items, PlanStep};
use super::{PlanFault, shown};
use crate::task::StepKey;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Most items of a list that a step is run for.
pub const ITEMS_MAX: usize = 100_000;

/// A plan that is being run: which steps ended, and which may run. The same ends in the same order make the
/// same offers.
#[derive(Clone, Debug)]
pub struct Schedule {
    plan: Arc<TaskPlan>,
    stages: Vec<Stage>,
    /// For each step of the plan how many steps it is; none while its list is not there.
    counts: Vec<Option<usize>>,
    ready: VecDeque<Unit>,
    faults: Vec<(String, PlanFault)>,
}

/// One step that is run: a step of the plan, or one item of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Which step of the plan, by place.
    pub step: usize,
    /// Which item of its list, by place.
    pub item: Option<usize>,
    /// What it is called in the journal.
    pub key: StepKey,
}

/// A step that cannot run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked<'a> {
    /// The step.
    pub key: &'a str,
    /// The step it waits for in vain.
    pub on: &'a str,
}

/// How far a step of the plan has come.
#[derive(Clone, Debug)]
enum Stage {
    /// It waits in vain for the step at that place.
    Blocked(usize),
    /// All of it is done. What it brought, where it is used.
    Done(Brought),
    /// Some of it is not done, and will not be in this run.
    Failed,
    /// It runs.
    Open { items: Option<Arc<Vec<Value>>>, left: usize, spoilt: bool, brought: Vec<Brought> },
    /// Something that it needs is not done.
    Waiting,
}

/// What a step brought.
#[derive(Clone, Debug)]
enum Brought {
    /// Bytes that are no text.
    NoText,
    /// Nobody uses it.
    Unused,
    Value(Arc<Value>),
}

impl Schedule {
    /// A plan of which nothing has run.
    pub fn new(plan: Arc<TaskPlan>) -> Self {
        let stages = vec![Stage::Waiting; plan.steps().len()];
        let counts = plan.steps().iter().map(|step| step.fan_out.is_none().then_some(1)).collect();
        let mut schedule = Self { plan, stages, counts, ready: VecDeque::new(), faults: Vec::new() };
        schedule.advance();
        schedule
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<TaskPlan> {
        &self.plan
    }

    /// The next step that may run: in the order in which they became ready, those of one moment in the order
    /// of the file, those of a list in the order of the list. Whoever takes it says how it ended.
    pub fn next_unit(&mut self) -> Option<Unit> {
        self.ready.pop_front()
    }

    /// Whether a step may run at this moment.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many steps are known so far: those of a list count once the list is there.
    pub fn known(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// Whether the lists of all steps are there, so that no more become known.
    pub fn knows_all(&self) -> bool {
        let open = self.stages.iter().zip(&self.counts);
        open.filter(|(stage, _)| matches!(stage, Stage::Waiting)).all(|(_, count)| count.is_some())
    }

    /// What a step is given, from what earlier ones brought.
    ///
    /// # Errors
    /// If something of it is not there, or cannot stand where it is wanted. The step is to be told as
    /// failed then.
    pub fn prepare(&self, unit: &Unit) -> Result<Prepared, PlanFault> {
        prepare(&self.plan.steps()[unit.step].work, &|reference| self.lookup(unit.step, unit.item, reference))
    }

    /// A step came to its end.
    pub fn done(&mut self, unit: &Unit, output: &[u8]) {
        let used = self.plan.is_used(unit.step);
        let value = match value_of(output) {
            _ if !used => Brought::Unused,
            Some(value) => Brought::Value(Arc::new(value)),
            None => Brought::NoText,
        };
        if let Stage::Open { left, brought, .. } = &mut self.stages[unit.step] {
            *left = left.saturating_sub(1);
            brought[unit.item.unwrap_or(0)] = value;
        }
        self.end(unit.step);
    }

    /// A step is not done, and will not be in this run.
    pub fn failed(&mut self, unit: &Unit) {
        if let Stage::Open { left, spoilt, .. } = &mut self.stages[unit.step] {
            *left = left.saturating_sub(1);
            *spoilt = true;
        }
        self.end(unit.step);
    }

    /// The steps of whose lists nothing could be made, and why.
    pub fn faults(&self) -> &[(String, PlanFault)] {
        &self.faults
    }

    /// The steps that cannot run, for one that they need is not done.
    pub fn blocked(&self) -> Vec<Blocked<'_>> {
        let steps = self.plan.steps();
        let blocked = |(place, stage): (usize, &Stage)| match stage {
            Stage::Blocked(on) => Some(Blocked { key: &steps[place].key, on: &steps[*on].key }),
            Stage::Done(_) | Stage::Failed | Stage::Open { .. } | Stage::Waiting => None,
        };
        self.stages.iter().enumerate().filter_map(blocked).collect()
    }

    /// Whether every step of the plan is done.
    pub fn is_done(&self) -> bool {
        self.stages.iter().all(|stage| matches!(stage, Stage::Done(_)))
    }

    /// Ends a step of the plan once all of it has ended, and lets begin what waited for it.
    fn end(&mut self, place: usize) {
        let single = self.plan.steps()[place].fan_out.is_none();
        let Stage::Open { left: 0, spoilt, brought, .. } = &mut self.stages[place] else { return };
        let next = match (*spoilt, single) {
            (true, _) => Stage::Failed,
            (false, true) => Stage::Done(brought.pop().unwrap_or(Brought::Unused)),
            (false, false) => Stage::Done(together(std::mem::take(brought))),
        };
        self.stages[place] = next;
        self.advance();
    }

    /// Lets begin whatever waits for nothing any more.
    fn advance(&mut self) {
        loop {
            let mut changed = false;
            for place in 0..self.stages.len() {
                if !matches!(self.stages[place], Stage::Waiting) {
                    continue;
                }
                let plan = Arc::clone(&self.plan);
                let needs = plan.needs(place);
                let lost = needs.iter().find(|need| matches!(self.stages[**need], Stage::Blocked(_) | Stage::Failed));
                if let Some(on) = lost {
                    self.stages[place] = Stage::Blocked(*on);
                    changed = true;
                } else if needs.iter().all(|need| matches!(self.stages[*need], Stage::Done(_))) {
                    changed |= self.open(place, &plan.steps()[place]);
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// Makes a step ready, or all items of its list. Whether it has ended by that already.
    fn open(&mut self, place: usize, step: &PlanStep) -> bool {
        let found = match &step.fan_out {
            None => StepKey::parse(&step.key)
                .map(|key| vec![key])
                .map_err(|why| fault_of_key(step, why))
                .map(|keys| (None, keys)),
            Some(fan_out) => self.list(place, step, fan_out).map(|(items, keys)| (Some(items), keys)),
        };
        let (items, keys) = match found {
            Ok(found) => found,
            Err(fault) => {
                self.faults.push((step.key.clone(), fault));
                self.stages[place] = Stage::Failed;
                return true;
            }
        };
        let single = items.is_none();
        self.counts[place] = Some(keys.len());
        if keys.is_empty() {
            self.stages[place] = Stage::Done(Brought::Value(Arc::new(Value::Array(Vec::new()))));
            return true;
        }
        self.stages[place] =
            Stage::Open { items, left: keys.len(), spoilt: false, brought: vec![Brought::Unused; keys.len()] };
        let unit = |(item, key)| Unit { step: place, item: (!single).then_some(item), key };
        self.ready.extend(keys.into_iter().enumerate().map(unit));
        false
    }

    fn list(
        &self,
        place: usize,
        step: &PlanStep,
        fan_out: &FanOut,
    ) -> Result<(Arc<Vec<Value>>, Vec<StepKey>), PlanFault> {
        let items = match &fan_out.items {
            Items::Fixed(items) => items.clone(),
            Items::Output(reference) => match self.lookup(place, None, reference)? {
                Value::Array(items) => items.clone(),
                other => {
                    let detail = format!("`{}` is {}, and no list", reference.written(), place::kind(other));
                    return Err(PlanFault::new(&reference.span, detail, "name a list in what the step brought"));
                }
            },
        };
        if items.len() > ITEMS_MAX {
            let detail = format!("the list has {} items, at most {ITEMS_MAX} are run", items.len());
            return Err(PlanFault::new(&fan_out.span, detail, "divide it among several tasks"));
        }
        let mut seen: HashMap<StepKey, usize> = HashMap::new();
        let mut keys = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let key = self.key_of_item(step, fan_out, number, item)?;
            if let Some(first) = seen.insert(key.clone(), number) {
                let detail = format!("items {first} and {number} of the list have the same id");
                let span = fan_out.id.as_ref().map_or(&fan_out.span, |id| &id.span);
                return Err(PlanFault::new(span, detail, "make the id of what tells the items apart"));
            }
            keys.push(key);
        }
        Ok((Arc::new(items), keys))
    }

    /// `page[17]`, or with an id `page[c-1042]`. What no key may have in it is percent-encoded.
    fn key_of_item(
        &self,
        step: &PlanStep,
        fan_out: &FanOut,
        number: usize,
        item: &Value,
    ) -> Result<StepKey, PlanFault> {
        let Some(id) = &fan_out.id else {
            return StepKey::parse(&format!("{}[{number}]", step.key)).map_err(|why| fault_of_key(step, why));
        };
        let lookup = |reference: &Reference| match &reference.root {
            Root::Item => place::follow(reference, item),
            Root::Step(_) => self.lookup(0, None, reference),
        };
        let text = place::fill(id, &lookup, Nested::Refused, &|_, _, text, _| Ok(key_part(&text)))?;
        StepKey::parse(&format!("{}[{text}]", step.key)).map_err(|why| {
            PlanFault::new(
                &id.span,
                format!("item {number} of the list has no usable id: {why}"),
                "make the id shorter",
            )
        })
    }

    fn lookup(&self, step: usize, item: Option<usize>, reference: &Reference) -> Result<&Value, PlanFault> {
        let root = match &reference.root {
            Root::Item => match &self.stages[step] {
                Stage::Open { items: Some(items), .. } => item.and_then(|item| items.get(item)),
                Stage::Blocked(_) | Stage::Done(_) | Stage::Failed | Stage::Open { .. } | Stage::Waiting => None,
            },
            Root::Step(key) => match self.plan.place(key).map(|place| &self.stages[place]) {
                Some(Stage::Done(Brought::Value(value))) => Some(value.as_ref()),
                Some(Stage::Done(Brought::NoText)) => {
                    let detail =
                        format!("what step {} brought is no UTF-8 text, and cannot be put anywhere", shown(key));
                    let mend = "have that step print text or JSON, or write a file and print its name";
                    return Err(PlanFault::new(&reference.span, detail, mend));
                }
                Some(
                    Stage::Done(Brought::Unused)
                    | Stage::Blocked(_)
                    | Stage::Failed
                    | Stage::Open { .. }
                    | Stage::Waiting,
                )
                | None => None,
            },
        };
        // The plan was checked, and a step is offered once all that it needs is done.
        let root = root.ok_or_else(|| PlanFault::new(&reference.span, "the value is not there yet", "report this"))?;
        place::follow(reference, root)
    }
}

/// What all items of a list brought, as one list.
fn together(brought: Vec<Brought>) -> Brought {
    let mut members = Vec::with_capacity(brought.len());
    for one in brought {
        match one {
            Brought::Value(value) => members.push(Arc::unwrap_or_clone(value)),
            Brought::NoText => return Brought::NoText,
            Brought::Unused => return Brought::Unused,
        }
    }
    Brought::Value(Arc::new(Value::Array(members)))
}

fn fault_of_key(step: &PlanStep, why: &'static str) -> PlanFault {
    PlanFault::new(&step.span, why, "use a shorter key")
}

/// A part of a step's key: what would look like a path or hide something is percent-encoded, and so is the
/// percent sign, so that two ids never become one.
fn key_part(text: &str) -> String {
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '%') && c.escape_debug().count() == 1;
    let mut part = String::with_capacity(text.len());
    for character in text.chars() {
        if plain(character) || matches!(character, '\'' | '"') {
            part.push(character);
        } else {
            character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| part.push_str(&format!("%{byte:02X}")));
        }
    }
    part
}
