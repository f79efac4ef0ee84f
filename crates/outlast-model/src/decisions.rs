//! The product's decisions, asked for by number: the states of the search hold numbers of records
//! instead of records, and nothing of a record is left out on the way to a decision.

use outlast_core::freshness::{Lead, next_wake};
use outlast_core::outcome::judge;
use outlast_core::settle::begin;
use outlast_core::strategy::{Recovery, Renewal, Rotation};
use outlast_core::token_response::read_token_response;
use outlast_core::wire::Fault;
use outlast_core::{
    Answer, Ask, Cause, Generation, Grant, GrantId, History, Outcome, Plan, Quirks, Reply, Standing, Strategy, Terms,
    Timestamp, TokenSet, plan, settle,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

/// When the model's time begins.
const BORN: u64 = 1_800_000_000_000;
/// The life of an access token, in seconds.
pub const LIFE_SECS: u64 = 120;
/// Most tokens that one run issues.
pub const SERIALS_MAX: usize = 10;

const ROTATING: Strategy = Strategy {
    grant_type: "refresh_token",
    rfc: "RFC 6749 6",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

/// Milliseconds since the model's time began.
pub type Moment = u32;

/// A record, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record(u16);

/// What an ask deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Only a person can go on.
    NeedsUser,
    /// Renew; the held token may or may not still be good.
    Renew {
        /// Whether it is.
        good: bool,
    },
    /// Serve.
    Serve,
    /// Wait, and plan again.
    Wait {
        /// Until then.
        until: Moment,
        /// Whether what is waited for is the fate of a token that was sent.
        in_doubt: bool,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Came {
    /// No answer says what it did.
    InDoubt,
    /// `invalid_grant`.
    Refused,
    /// A token set of this serial.
    Renewed(u8),
    /// No connection could be made.
    Unsent,
}

/// The product's decisions, remembered, since the search asks for the same ones again and again.
pub struct Decisions {
    terms: Terms,
    lead: Lead,
    records: RefCell<Vec<Grant>>,
    /// Records by generation and standing, so that a search for one is short.
    by_kind: RefCell<HashMap<(Generation, String), Vec<Record>>>,
    planned: RefCell<HashMap<(Record, Moment), Next>>,
    begun: RefCell<HashMap<(Record, Moment), Record>>,
    settled: RefCell<HashMap<(Record, Came, Moment), Record>>,
}

impl Default for Decisions {
    fn default() -> Self {
        let id = GrantId::parse("model").expect("a name");
        Self {
            lead: Lead::of(&id),
            terms: Terms::new(id, "refresh_token", "https://as.example"),
            records: RefCell::default(),
            by_kind: RefCell::default(),
            planned: RefCell::default(),
            begun: RefCell::default(),
            settled: RefCell::default(),
        }
    }
}

impl Decisions {
    /// The record after a login.
    pub fn first(&self) -> Record {
        let Outcome::Renewed(response) = outcome(Came::Renewed(0)) else { unreachable!("a token set is one") };
        let tokens = TokenSet::first(response, moment(0));
        self.number(Grant { generation: Generation(1), tokens: Some(tokens), ..Grant::empty(&self.terms) })
    }

    /// What an ask without demands deserves.
    pub fn plan(&self, record: Record, now: Moment) -> Next {
        if let Some(next) = self.planned.borrow().get(&(record, now)) {
            return *next;
        }
        let next = self.with(record, |grant| match plan(grant, &ROTATING, Ask::default(), self.lead, moment(now)) {
            Plan::NeedsUser(_) => Next::NeedsUser,
            Plan::Renew => Next::Renew { good: false },
            Plan::Serve(_) => Next::Serve,
            Plan::ServeAndRenew(_) => Next::Renew { good: true },
            Plan::Wait { until } => {
                Next::Wait { until: since_birth(until), in_doubt: matches!(grant.standing, Standing::Renewing { .. }) }
            }
        });
        self.planned.borrow_mut().insert((record, now), next);
        next
    }

    /// The note of intent.
    pub fn begin(&self, record: Record, now: Moment) -> Record {
        if let Some(next) = self.begun.borrow().get(&(record, now)) {
            return *next;
        }
        let next = self.with(record, |grant| begin(grant, &self.terms, Ask::default(), moment(now)));
        let next = self.number(next);
        self.begun.borrow_mut().insert((record, now), next);
        next
    }

    /// The record after an attempt.
    pub fn settle(&self, record: Record, came: Came, now: Moment) -> Record {
        if let Some(next) = self.settled.borrow().get(&(record, came, now)) {
            return *next;
        }
        let next = self.with(record, |grant| settle(grant, &ROTATING, outcome(came), moment(now)));
        let next = self.number(next);
        self.settled.borrow_mut().insert((record, came, now), next);
        next
    }

    /// Its generation, and the name of its standing.
    pub fn name(&self, record: Record) -> (u64, &'static str) {
        self.with(record, |grant| (grant.generation.0, standing(grant.standing)))
    }

    /// Its generation.
    pub fn generation(&self, record: Record) -> u8 {
        self.with(record, |grant| u8::try_from(grant.generation.0).expect("few renewals"))
    }

    /// The serial of its refresh token.
    pub fn serial(&self, record: Record) -> u8 {
        self.with(record, |grant| {
            let refresh = grant.tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref());
            let refresh = refresh.expect("no record of the model is without one");
            (0..).find(|serial| refresh.matches(&refresh_token(*serial))).expect("it was issued by the model")
        })
    }

    /// When an attempt that it notes was begun.
    pub fn noted_at(&self, record: Record) -> Moment {
        self.with(record, |grant| match grant.standing {
            Standing::Renewing { since, .. } => since_birth(since),
            Standing::CoolingDown { .. } | Standing::Live | Standing::Parked { .. } | Standing::Revoking { .. } => 0,
        })
    }

    /// Why it waits for a person, if it does.
    pub fn parked(&self, record: Record) -> Option<Cause> {
        self.with(record, |grant| match grant.standing {
            Standing::Parked { cause, .. } => Some(cause),
            Standing::CoolingDown { .. } | Standing::Live | Standing::Renewing { .. } | Standing::Revoking { .. } => {
                None
            }
        })
    }

    /// The moments at which a plan on it may change by itself.
    pub fn turns(&self, record: Record, now: Moment) -> Vec<Moment> {
        let mut turns = self.with(record, |grant| {
            let tokens = grant.tokens.as_ref();
            let due = tokens.and_then(|tokens| self.lead.due_at(tokens));
            let end = tokens.and_then(|tokens| tokens.expires_at);
            // As the refresher: it wakes for an obstacle's end though the held token is good.
            let wake = next_wake(grant, self.lead);
            due.into_iter().chain(end).chain(wake).map(since_birth).collect::<Vec<_>>()
        });
        if let Next::Wait { until, .. } = self.plan(record, now) {
            turns.push(until);
        }
        turns
    }

    fn with<T>(&self, record: Record, look: impl FnOnce(&Grant) -> T) -> T {
        look(&self.records.borrow()[usize::from(record.0)])
    }

    /// The number of this record. What no decision reads is left out, or the same state would be
    /// looked at once for each moment it was reached at.
    fn number(&self, grant: Grant) -> Record {
        let grant = Grant { trouble: None, renewed_at: None, history: History::default(), ..grant };
        let mut by_kind = self.by_kind.borrow_mut();
        let alike = by_kind.entry((grant.generation, format!("{:?}", grant.standing))).or_default();
        let mut records = self.records.borrow_mut();
        if let Some(known) = alike.iter().find(|record| records[usize::from(record.0)] == grant) {
            return *known;
        }
        let record = Record(u16::try_from(records.len()).expect("few records"));
        records.push(grant);
        alike.push(record);
        record
    }
}

/// The name of a standing.
pub const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::CoolingDown { .. } => "cooling-down",
        Standing::Live => "live",
        Standing::Parked { .. } => "parked",
        Standing::Renewing { .. } => "renewing",
        Standing::Revoking { .. } => "revoking",
    }
}

/// What the product makes of an answer of that kind.
fn outcome(came: Came) -> Outcome {
    let complete = |status, body: String| Answer::Complete(Reply { status, body: body.into(), ..Reply::default() });
    let answer = match came {
        Came::InDoubt => Answer::Lost(Fault::Timeout),
        Came::Refused => complete(400, r#"{"error":"invalid_grant"}"#.to_owned()),
        Came::Renewed(serial) => complete(
            200,
            format!(
                r#"{{"access_token":"access-{serial}","token_type":"Bearer","expires_in":{LIFE_SECS},"refresh_token":"{}"}}"#,
                refresh_token(serial)
            ),
        ),
        Came::Unsent => Answer::Unsent(Fault::Connect),
    };
    judge(&answer, &Quirks::default(), &read_token_response)
}

fn refresh_token(serial: u8) -> String {
    format!("refresh-{serial}")
}

fn moment(at: Moment) -> Timestamp {
    Timestamp::from_millis(BORN).plus(Duration::from_millis(u64::from(at)))
}

fn since_birth(at: Timestamp) -> Moment {
    Moment::try_from(at.as_millis().saturating_sub(BORN)).unwrap_or(Moment::MAX)
}
