//! The renewal, step by step, and what can come between two steps.

use crate::checker::Model;
use crate::decisions::{Came, Decisions, Moment, Next, Record};
use crate::event::{Action, Mutant, Sight};
use crate::promise::{Broken, Promise, Window};
use crate::server::{Fate, From, Server};
use crate::world::{Attempt, Doubt, Exchange, Faults, NODES, Node, STRAYS_MAX, Step, Store, Stray, World};
use outlast_core::Cause;
use outlast_core::freshness::doubt_delay;
use std::collections::BTreeSet;

/// How long an attempt waits for its answer (D6).
pub(crate) const REQUEST_MILLIS: Moment = 20_000;
/// How long after the last fault a valid token may take (L1).
const HEALED_MILLIS: Moment = 90_000;

/// The renewal and its surroundings.
pub struct Renewal {
    /// The guard that is missing; none in the protocol as it is.
    pub mutant: Option<Mutant>,
    /// How long a spent refresh token is still taken, in milliseconds.
    pub grace: Moment,
    /// What can go wrong.
    pub faults: Faults,
    /// How many rotations to look at.
    pub rotations: u8,
    /// Whether a process can be stopped between its last look at the lock and the first byte, which
    /// are one step of the product and two of the machine.
    pub stops_after_check: bool,
    pub(crate) decisions: Decisions,
}

impl Renewal {
    /// The protocol as it is, with these surroundings.
    pub fn new(grace: Moment, faults: Faults, rotations: u8) -> Self {
        Self { mutant: None, grace, faults, rotations, stops_after_check: true, decisions: Decisions::default() }
    }

    /// The same without this guard.
    #[must_use]
    pub fn without(self, guard: Mutant) -> Self {
        Self { mutant: Some(guard), ..self }
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether enough rotations were gone through: nobody begins another.
    fn has_rotated(&self, world: &World) -> bool {
        self.decisions.generation(world.store.record) > self.rotations
    }

    /// Whether there is nothing more to look at.
    fn is_over(&self, world: &World) -> bool {
        let ended = self.has_rotated(world) || self.decisions.parked(world.store.record).is_some();
        ended && world.nodes.iter().all(|node| matches!(node.step, Step::Down | Step::Idle))
    }

    /// Whether the process has something to do now.
    fn can_advance(&self, world: &World, node: &Node) -> bool {
        match node.step {
            Step::Down | Step::Sent { .. } => false,
            Step::Idle => match self.decisions.plan(node.published, world.now) {
                Next::Renew { .. } => !self.has_rotated(world),
                // Whoever cannot go on looks at the disk first.
                Next::NeedsUser | Next::Wait { .. } => node.published != world.store.record,
                Next::Serve => false,
            },
            Step::Launched => !world.nodes.iter().any(|node| node.has_lock),
            Step::InDoubt { until } => until <= world.now,
            Step::Answered { .. }
            | Step::Checked(_)
            | Step::Leased { .. }
            | Step::Loaded(_)
            | Step::Noted(_)
            | Step::Persisted(_)
            | Step::Published
            | Step::Shown { .. } => true,
        }
    }

    /// What the process, its request and its server do by themselves.
    fn ordinary(&self, world: &World, actions: &mut Vec<Action>) {
        for (number, node) in world.nodes.iter().enumerate() {
            if node.runs() && self.can_advance(world, node) {
                actions.push(Action::Advance(number));
            }
            let Step::Sent { until, exchange, .. } = node.step else { continue };
            match exchange {
                Exchange::Request => actions.push(Action::Serve(number)),
                Exchange::Reply(_) if node.runs() => actions.push(Action::Answer(number)),
                Exchange::Reply(_) | Exchange::Gone => {}
            }
            // What lies there is read, however late it is.
            let believes = !matches!(exchange, Exchange::Reply(_)) || self.is(Mutant::NoAnswerAfterWaking);
            if node.runs() && until <= world.now && believes {
                actions.push(Action::TimeOut(number));
            }
        }
        let overdue = world.strays.iter().flatten().any(|stray| stray.until <= world.now);
        if actions.is_empty() && !overdue && self.next_moment(world).is_some() {
            actions.push(Action::Tick);
        }
        for (number, node) in world.nodes.iter().enumerate() {
            match node.step {
                Step::Down => actions.push(Action::Start(number)),
                _ if node.stopped => actions.push(Action::Wake(number)),
                _ => {}
            }
        }
        for (number, stray) in world.strays.iter().enumerate() {
            if stray.is_some() {
                actions.extend([Action::Arrive(number), Action::Vanish(number)]);
            }
        }
    }

    /// The next moment at which anything can change by itself.
    fn next_moment(&self, world: &World) -> Option<Moment> {
        let mut moments = Vec::new();
        for node in world.nodes.iter().filter(|node| node.step != Step::Down) {
            match node.step {
                Step::Idle => moments.extend(self.decisions.turns(node.published, world.now)),
                Step::InDoubt { until } | Step::Sent { until, .. } => moments.push(until),
                _ => {}
            }
        }
        moments.extend(world.strays.iter().flatten().map(|stray| stray.until));
        moments.extend(world.server.grace_ends(self.grace, world.now));
        if world.is_calm() {
            moments.push(world.calm_since + HEALED_MILLIS);
        }
        moments.into_iter().filter(|moment| *moment > world.now).min()
    }

    /// Shows a record to the consumers of a process, unless it knows a later one.
    fn publish(&self, world: &mut World, number: usize, record: Record) -> Result<(), Broken> {
        let node = &mut world.nodes[number];
        let (earlier, later) = (self.decisions.generation(node.published), self.decisions.generation(record));
        if earlier <= later {
            node.published = record;
        }
        let shown = self.decisions.generation(node.published);
        Broken::unless(shown >= node.shown, Promise::S3, "a consumer is shown an earlier generation than before")?;
        node.shown = shown;
        Ok(())
    }

    /// Writes to the store: whether it was allowed to.
    fn commit(&self, world: &mut World, attempt: &mut Attempt, next: Record) -> Result<bool, Broken> {
        let (held, found) = (self.decisions.generation(attempt.record), self.decisions.generation(world.store.record));
        let same_generation = held == found || self.is(Mutant::NoCompareAndSwap);
        let same_epoch =
            attempt.fence == world.store.fence || self.is(Mutant::NoCompareAndSwap) || self.is(Mutant::NoFence);
        if !(same_generation && same_epoch) {
            return Ok(false);
        }
        let kept = found <= self.decisions.generation(next);
        Broken::unless(kept, Promise::S2, "an earlier generation overwrites a later one on disk")?;
        let read = attempt.fence == world.store.fence;
        Broken::unless(read, Promise::S5, "what is overwritten is not what was read")?;
        world.store = Store { record: next, fence: attempt.fence + 1 };
        *attempt = Attempt { fence: attempt.fence + 1, record: next, ..*attempt };
        Ok(true)
    }

    fn advance(&self, world: &mut World, number: usize) -> Result<(), Broken> {
        let now = world.now;
        match world.nodes[number].step {
            Step::Idle => {
                let published = world.nodes[number].published;
                if matches!(self.decisions.plan(published, now), Next::Renew { .. }) {
                    world.nodes[number].step = Step::Launched;
                } else {
                    self.publish(world, number, world.store.record)?;
                }
            }
            Step::Launched => {
                world.nodes[number].has_lock = true;
                world.nodes[number].step = Step::Leased { fence: world.store.fence };
            }
            Step::Leased { fence } => {
                let rumour = self.is(Mutant::NoSecondRead);
                let record = if rumour { world.nodes[number].published } else { world.store.record };
                world.nodes[number].step = Step::Loaded(Attempt { fence, record, held: record });
            }
            Step::Loaded(attempt) => self.decide(world, number, attempt)?,
            Step::Noted(attempt) => self.check(world, number, attempt)?,
            Step::Checked(attempt) => self.send(world, number, attempt)?,
            Step::Answered { attempt, came } => self.settle(world, number, attempt, came)?,
            Step::Shown { attempt, came, next } => self.persist(world, number, attempt, came, next)?,
            Step::Persisted(next) => {
                self.publish(world, number, next)?;
                world.nodes[number].step = Step::Published;
            }
            Step::Published => release(world, number, Step::Idle),
            Step::InDoubt { .. } => world.nodes[number].step = Step::Launched,
            Step::Down | Step::Sent { .. } => unreachable!("these wait for others"),
        }
        Ok(())
    }

    /// The second plan, under the lease, and the note of intent.
    fn decide(&self, world: &mut World, number: usize, mut attempt: Attempt) -> Result<(), Broken> {
        match self.decisions.plan(attempt.record, world.now) {
            Next::Renew { .. } => {
                let intent = self.decisions.begin(attempt.record, world.now);
                if self.is(Mutant::NoIntent) {
                    attempt.record = intent;
                } else if !self.commit(world, &mut attempt, intent)? {
                    release(world, number, Step::Launched);
                    return Ok(());
                }
                world.nodes[number].step = Step::Noted(attempt);
            }
            Next::Wait { until, in_doubt: true } => {
                self.publish(world, number, attempt.record)?;
                release(world, number, Step::InDoubt { until });
            }
            Next::NeedsUser | Next::Serve | Next::Wait { in_doubt: false, .. } => {
                self.publish(world, number, attempt.record)?;
                release(world, number, Step::Idle);
            }
        }
        Ok(())
    }

    /// The last look at the lock. Whoever has lost it takes its note back, if it is still its own.
    fn check(&self, world: &mut World, number: usize, mut attempt: Attempt) -> Result<(), Broken> {
        if world.nodes[number].has_lock || self.is(Mutant::NoCheckBeforeSending) {
            world.nodes[number].step = Step::Checked(attempt);
            world.nodes[number].has_lock &= !self.is(Mutant::LeaseEndsBeforeSending);
        } else {
            let held = attempt.held;
            self.commit(world, &mut attempt, held)?;
            release(world, number, Step::Launched);
        }
        Ok(())
    }

    fn send(&self, world: &mut World, number: usize, attempt: Attempt) -> Result<(), Broken> {
        let serial = self.decisions.serial(attempt.record);
        for (_, other) in world.nodes.iter().enumerate().filter(|(other, _)| *other != number) {
            if let Step::Sent { attempt: aloft, exchange: Exchange::Reply(_) | Exchange::Request, .. } = other.step {
                let same = aloft.fence == attempt.fence;
                Broken::unless(!same, Promise::S4, "two requests of one epoch are under way")?;
                Broken::unless(world.stolen, Promise::S4, "two requests are under way")?;
            }
        }
        let spent = world.server.has_successor(serial, Fate::Persisted);
        Broken::unless(!spent || world.stolen, Promise::S1, "a token is sent whose successor is on disk")?;
        let begun_at = self.decisions.noted_at(attempt.record);
        let before = world.doubt.filter(|doubt| doubt.serial == serial);
        if let Some(doubt) = before {
            let delay = Moment::try_from(doubt_delay(doubt.count).as_millis()).unwrap_or(Moment::MAX);
            let on_schedule = begun_at >= doubt.begun_at + delay;
            Broken::unless(on_schedule || world.stolen, Promise::S1, "a token of unknown fate is sent too soon")?;
        }
        let count = before.map_or(0, |doubt| doubt.count) + 1;
        world.doubt = Some(Doubt { serial, begun_at, count });
        let until = world.now + REQUEST_MILLIS;
        world.nodes[number].step = Step::Sent { attempt, until, exchange: Exchange::Request };
        Ok(())
    }

    fn settle(&self, world: &mut World, number: usize, attempt: Attempt, came: Came) -> Result<(), Broken> {
        let next = self.decisions.settle(attempt.record, came, world.now);
        if self.is(Mutant::PublishBeforePersist) {
            self.publish(world, number, next)?;
            world.nodes[number].step = Step::Shown { attempt, came, next };
            return Ok(());
        }
        self.persist(world, number, attempt, came, next)
    }

    fn persist(
        &self,
        world: &mut World,
        number: usize,
        mut attempt: Attempt,
        came: Came,
        next: Record,
    ) -> Result<(), Broken> {
        let written = self.commit(world, &mut attempt, next)?;
        match came {
            Came::Renewed(serial) => world.server.note(serial, if written { Fate::Persisted } else { Fate::Fenced }),
            Came::InDoubt | Came::Refused | Came::Unsent => {}
        }
        if !written {
            release(world, number, Step::Launched);
            return Ok(());
        }
        if came != Came::InDoubt {
            world.doubt = None;
        }
        self.tell_the_truth(world, next)?;
        world.nodes[number].step =
            if self.is(Mutant::PublishBeforePersist) { Step::Published } else { Step::Persisted(next) };
        Ok(())
    }

    fn tell_the_truth(&self, world: &World, next: Record) -> Result<(), Broken> {
        let Some(cause) = self.decisions.parked(next) else { return Ok(()) };
        match world.server.revoked() {
            None => Err(Broken::new(Promise::Truth, "a person is asked to sign in though the grant is alive")),
            Some(Window::AnswerLost) if cause != Cause::LostRotation => {
                Err(Broken::new(Promise::Truth, "a lost answer is told as a revocation"))
            }
            Some(Window::AnswerLost | Window::AnswerWithheld | Window::LateRequest | Window::LockTaken) => Ok(()),
        }
    }

    fn serve(&self, world: &mut World, number: usize) -> Result<(), Broken> {
        let Step::Sent { attempt, until, .. } = world.nodes[number].step else { return Ok(()) };
        let serial = self.decisions.serial(attempt.record);
        let came = world.server.refresh(serial, From::Attempt, self.grace, world.stolen, world.now)?;
        world.nodes[number].step = Step::Sent { attempt, until, exchange: Exchange::Reply(came) };
        Ok(())
    }

    /// Ends the wait of an attempt. An answer that it has not taken is lost.
    fn answered(&self, world: &mut World, number: usize, gave_up: bool) {
        let Step::Sent { attempt, exchange, .. } = world.nodes[number].step else { return };
        let came = match exchange {
            Exchange::Reply(came) if !gave_up => came,
            Exchange::Gone | Exchange::Reply(_) | Exchange::Request => {
                self.orphan(world, number);
                Came::InDoubt
            }
        };
        world.nodes[number].step = Step::Answered { attempt, came };
    }

    fn go_on(&self, world: &mut World, action: Action) -> Result<(), Broken> {
        match action {
            Action::Advance(number) => self.advance(world, number)?,
            Action::Answer(number) => self.answered(world, number, false),
            Action::Arrive(number) => {
                let Stray { serial, from, .. } = world.strays[number].take().expect("it was on the way");
                world.strays.sort_unstable();
                world.server.refresh(serial, from, self.grace, world.stolen, world.now)?;
            }
            Action::Serve(number) => self.serve(world, number)?,
            Action::Start(number) => {
                world.nodes[number].step = Step::Idle;
                self.publish(world, number, world.store.record)?;
            }
            Action::Tick => world.now = self.next_moment(world).expect("time was to pass"),
            Action::TimeOut(number) => self.answered(world, number, true),
            Action::Vanish(number) => {
                world.strays[number] = None;
                world.strays.sort_unstable();
            }
            Action::Wake(number) => world.nodes[number].stopped = false,
            _ => unreachable!("this is no ordinary step"),
        }
        Ok(())
    }

    /// L1: nothing has been wrong for long enough, so there is a token to serve.
    fn has_healed(&self, world: &World) -> Result<(), Broken> {
        let healed = world.is_calm() && world.now >= world.calm_since + HEALED_MILLIS;
        if !healed || self.has_rotated(world) || world.server.revoked().is_some() {
            return Ok(());
        }
        match self.decisions.plan(world.store.record, world.now) {
            Next::Renew { good: true } | Next::Serve => Ok(()),
            Next::NeedsUser | Next::Renew { good: false } | Next::Wait { .. } => {
                Err(Broken::new(Promise::L1, "90 seconds after the last fault there is no token to serve"))
            }
        }
    }
}

fn release(world: &mut World, number: usize, step: Step) {
    world.nodes[number].has_lock = false;
    world.nodes[number].step = step;
}

impl Model for Renewal {
    type State = World;
    type Action = Action;
    type Sight = Sight;

    fn initial(&self) -> World {
        let record = self.decisions.first();
        let node = Node { step: Step::Idle, stopped: false, has_lock: false, published: record, shown: 1 };
        World {
            now: 0,
            store: Store { record, fence: 1 },
            nodes: [node; NODES],
            server: Server::new(),
            strays: [None; STRAYS_MAX],
            left: self.faults,
            stolen: false,
            calm_since: 0,
            doubt: None,
        }
    }

    fn actions(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.is_over(world) {
            self.ordinary(world, &mut actions);
            self.faulty(world, &mut actions);
        }
        actions
    }

    fn after(&self, world: &World, action: Action) -> Result<World, Broken> {
        let mut next = *world;
        let is_trouble = match action {
            Action::Copy(_)
            | Action::Crash(_)
            | Action::Delay(_)
            | Action::Disconnect(_)
            | Action::Lose(_)
            | Action::Steal(_)
            | Action::Stop(_) => true,
            Action::Advance(_)
            | Action::Answer(_)
            | Action::Arrive(_)
            | Action::Serve(_)
            | Action::Start(_)
            | Action::Tick
            | Action::TimeOut(_)
            | Action::Vanish(_)
            | Action::Wake(_) => false,
        };
        if is_trouble {
            self.trouble(&mut next, action)?;
        } else {
            self.go_on(&mut next, action)?;
        }
        if is_trouble || !world.is_calm() {
            next.calm_since = next.now;
        }
        self.has_healed(&next)?;
        Ok(next)
    }

    fn may_end(&self, world: &World) -> bool {
        self.is_over(world)
    }

    /// The processes differ by what they do and not by their numbers.
    fn canonical(&self, world: &World) -> World {
        let mut canonical = *world;
        canonical.nodes.sort_unstable();
        canonical
    }

    fn sights(&self, world: &World, sights: &mut BTreeSet<Sight>) {
        let generation = self.decisions.generation(world.store.record);
        if self.has_rotated(world) {
            sights.insert(Sight::Finished);
        }
        if world.nodes.iter().filter(|node| node.step == Step::Idle && node.shown == generation).count() > 1
            && generation > 1
        {
            sights.insert(Sight::Adopted);
        }
        if self.decisions.parked(world.store.record) == Some(Cause::LostRotation) {
            sights.insert(Sight::LostRotationSaid);
        }
        if generation > 1 && self.decisions.serial(world.store.record) >= generation {
            sights.insert(Sight::Recovered);
        }
        if let Some(window) = world.server.revoked() {
            sights.insert(Sight::Revoked(window));
        }
        if world.nodes.iter().any(
            |node| matches!(node.step, Step::Sent { until, .. } if node.stopped && node.has_lock && world.now > until),
        ) {
            sights.insert(Sight::StoppedHolder);
        }
    }
}
