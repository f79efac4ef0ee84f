//! What can go wrong between two steps.

use crate::decisions::Came;
use crate::event::{Action, Mutant};
use crate::promise::{Broken, Promise};
use crate::protocol::{REQUEST_MILLIS, Renewal};
use crate::server::{Fate, From};
use crate::world::{Attempt, Exchange, Node, STRAYS_MAX, Step, Stray, World};

impl Renewal {
    /// What can go wrong next.
    pub(crate) fn faulty(&self, world: &World, actions: &mut Vec<Action>) {
        let left = world.left;
        let room = world.strays.iter().any(Option::is_none);
        for (number, node) in world.nodes.iter().enumerate() {
            if node.step == Step::Down {
                continue;
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(number));
            }
            let between = matches!(node.step, Step::Checked(_)) && !self.stops_after_check;
            if left.stops > 0 && !node.stopped && !between {
                actions.push(Action::Stop(number));
            }
            if left.thefts > 0 && node.stopped && node.has_lock {
                actions.push(Action::Steal(number));
            }
            match node.step {
                Step::Noted(_) if left.losses > 0 && !node.stopped => actions.push(Action::Disconnect(number)),
                Step::Sent { exchange: Exchange::Request, .. } => {
                    if left.losses > 0 {
                        actions.push(Action::Lose(number));
                    }
                    if left.losses > 0 && room {
                        actions.push(Action::Delay(number));
                    }
                    if left.copies > 0 && room {
                        actions.push(Action::Copy(number));
                    }
                }
                Step::Sent { exchange: Exchange::Reply(_), .. } if left.losses > 0 => {
                    actions.push(Action::Lose(number))
                }
                _ => {}
            }
        }
    }

    /// What was on the way to or from a process goes on without it; what it held is lost.
    pub(crate) fn orphan(&self, world: &mut World, number: usize) {
        match world.nodes[number].step {
            Step::Sent { attempt, exchange: Exchange::Request, .. } => self.stray(world, attempt, From::Nobody),
            Step::Answered { came: Came::Renewed(serial), .. }
            | Step::Sent { exchange: Exchange::Reply(Came::Renewed(serial)), .. }
            | Step::Shown { came: Came::Renewed(serial), .. } => world.server.note(serial, Fate::Lost),
            _ => {}
        }
    }

    fn stray(&self, world: &mut World, attempt: Attempt, from: From) {
        let stray = Stray { serial: self.decisions.serial(attempt.record), from, until: world.now + REQUEST_MILLIS };
        // Without room it is lost, which is one of the things that can happen to it.
        if let Some(free) = world.strays.iter_mut().find(|stray| stray.is_none()) {
            *free = Some(stray);
        }
        world.strays.sort_unstable();
    }

    fn crash(&self, world: &mut World, number: usize) -> Result<(), Broken> {
        world.left.crashes -= 1;
        self.orphan(world, number);
        let node = &mut world.nodes[number];
        let has_lock = node.has_lock && self.is(Mutant::LeaseOutlivesHolder);
        *node = Node { step: Step::Down, stopped: false, has_lock, published: world.store.record, ..*node };
        let held = self.decisions.generation(world.store.record);
        Broken::unless(held >= node.shown, Promise::S2, "after a crash the disk holds less than was shown")
    }

    /// Something goes wrong.
    pub(crate) fn trouble(&self, world: &mut World, action: Action) -> Result<(), Broken> {
        match action {
            Action::Copy(number) | Action::Delay(number) => {
                let Step::Sent { attempt, until, .. } = world.nodes[number].step else { return Ok(()) };
                if matches!(action, Action::Copy(_)) {
                    self.stray(world, attempt, From::Copy);
                    world.left.copies -= 1;
                } else {
                    self.stray(world, attempt, From::Nobody);
                    world.left.losses -= 1;
                    world.nodes[number].step = Step::Sent { attempt, until, exchange: Exchange::Gone };
                }
            }
            Action::Crash(number) => self.crash(world, number)?,
            Action::Disconnect(number) => {
                world.left.losses -= 1;
                let Step::Noted(attempt) = world.nodes[number].step else { return Ok(()) };
                world.nodes[number].step = Step::Answered { attempt, came: Came::Unsent };
            }
            Action::Lose(number) => {
                world.left.losses -= 1;
                let Step::Sent { attempt, until, exchange } = world.nodes[number].step else { return Ok(()) };
                if let Exchange::Reply(Came::Renewed(serial)) = exchange {
                    world.server.note(serial, Fate::Lost);
                }
                world.nodes[number].step = Step::Sent { attempt, until, exchange: Exchange::Gone };
            }
            Action::Steal(number) => {
                world.left.thefts -= 1;
                world.nodes[number].has_lock = false;
                world.stolen = true;
            }
            Action::Stop(number) => {
                world.left.stops -= 1;
                world.nodes[number].stopped = true;
            }
            _ => unreachable!("this is no trouble"),
        }
        Ok(())
    }
}

/// How many strays there can be at once is no limit on what can go wrong: a request for which there is
/// no room is lost.
const _: () = assert!(STRAYS_MAX >= 2);
