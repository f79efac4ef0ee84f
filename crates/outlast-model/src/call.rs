//! What a step of a process asks of the ports. The keeper is held to the same calls in the same order
//! by `crates/outlast/tests/model_conformance.rs`, or the model would prove something about itself.

use crate::checker::Model;
use crate::decisions::{Moment, Next};
use crate::event::Action;
use crate::protocol::Renewal;
use crate::world::{Node, Step, World};

/// A call of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The lease was had.
    Lease,
    /// The record was read.
    Load,
    /// The lease was given back.
    Release {
        /// The generation that consumers were served by then, if they were.
        shown: Option<u64>,
    },
    /// A request was sent.
    Send,
    /// A record was written.
    Write {
        /// Its generation.
        generation: u64,
        /// The name of its standing.
        standing: &'static str,
        /// The generation that consumers were served until then, if they were.
        shown: Option<u64>,
    },
    /// A write was refused: the record had moved on.
    WriteRefused,
}

impl Renewal {
    /// The calls of one process on the way through these actions. Each is taken by name; a process
    /// that is not named stands still.
    ///
    /// # Panics
    /// If an action cannot happen, or breaks a promise.
    pub fn calls(&self, mut world: World, number: usize, actions: &[Action]) -> (World, Vec<Call>) {
        let mut calls = Vec::new();
        for action in actions {
            let next = self.after(&world, *action).unwrap_or_else(|broken| panic!("{action:?}: {broken}"));
            self.note(&world, &next, number, &mut calls);
            world = next;
        }
        (world, calls)
    }

    fn note(&self, before: &World, after: &World, number: usize, calls: &mut Vec<Call>) {
        let (was, is) = (before.nodes[number], after.nodes[number]);
        let wrote = after.store.fence != before.store.fence && was != is;
        match is.step {
            Step::Leased { .. } if was.step != is.step => calls.push(Call::Lease),
            Step::Loaded(_) if was.step != is.step => calls.push(Call::Load),
            Step::Sent { .. } if matches!(was.step, Step::Checked(_)) => calls.push(Call::Send),
            // Only a refused write sends an attempt back to the start, or one that took its note back.
            Step::Launched if was.step.has_lease() && !wrote => calls.push(Call::WriteRefused),
            _ => {}
        }
        if wrote {
            let (generation, standing) = self.decisions.name(after.store.record);
            calls.push(Call::Write { generation, standing, shown: self.served(&was, after.now) });
        }
        if was.step.has_lease() && !is.step.has_lease() {
            calls.push(Call::Release { shown: self.served(&is, after.now) });
        }
    }

    fn served(&self, node: &Node, now: Moment) -> Option<u64> {
        let served = matches!(self.decisions.plan(node.published, now), Next::Renew { good: true } | Next::Serve);
        served.then(|| u64::from(node.shown))
    }
}
