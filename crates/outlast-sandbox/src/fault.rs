//! Misbehaviour on request: which fault meets which request, and for how long.
//!
//! Pure: the plan is told the time, so that a fault lasts by the sandbox's own clock.

use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How many rules may wait at once; beyond it the oldest goes.
const RULES_MAX: usize = 1_000;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The protected API answers 401 `invalid_token` to a token that is good.
    ApiUnauthorized,
    /// The token endpoint closes the connection before it does anything.
    CutConnection,
    /// The token endpoint does nothing and answers a page of HTML with this status.
    Html {
        /// Status of the page, 200 to 599.
        status: u16,
    },
    /// A refresh is carried out, its answer is thrown away and the connection closed.
    /// Only a successful request meets this fault.
    LostAnswer,
    /// The token endpoint carries the request out at once and answers this much later.
    Slow {
        /// Time between the work and the answer.
        delay: Duration,
    },
    /// The token endpoint does nothing and answers 503 with `Retry-After: 1`.
    Unavailable,
}

/// How long a fault stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// For this time from now, by the sandbox's clock.
    For(Duration),
    /// For this many requests, however long they take to come.
    Times(u32),
    /// Until the faults are cleared.
    UntilCleared,
}

/// What `POST /faults` can be told, one JSON object each.
///
/// | `kind` | other members |
/// |---|---|
/// | `outage` | `status`: 503 to answer that, left out to close the connection |
/// | `html` | `status` (502) |
/// | `lost_answer` | |
/// | `slow` | `ms`: the delay |
/// | `api_unauthorized` | |
/// | `kill_access_tokens`, `clear` | |
/// | `revoke_family` | `family`: which one; left out for every family |
/// | `approve_device`, `deny_device` | `user_code`: what the person says to whoever showed this code |
///
/// The first five take `times` (how many requests, 1 if left out) or `for_ms` (how long).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The person who was shown this user code (RFC 8628) allows what is asked for, or refuses it.
    AnswerDevice {
        /// As it was shown; case and dividers do not matter.
        user_code: String,
        /// What the person says.
        allowed: bool,
    },
    /// Forget all faults that have not run out.
    Clear,
    /// Let something go wrong.
    Fault(Fault, Lasting),
    /// Revoke every access token that lives; refresh tokens stay good.
    KillAccessTokens,
    /// Revoke a family with all its tokens, or every family.
    RevokeFamily(Option<u64>),
}

/// Why an order could not be read; the text says what would have been right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderError(String);

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OrderError {}

impl Order {
    /// Reads one order, strictly: a member that has no meaning for its kind is an error.
    pub fn from_json(text: &[u8]) -> Result<Order, OrderError> {
        let value: Value = serde_json::from_slice(text).map_err(|error| OrderError(format!("not JSON: {error}")))?;
        let Value::Object(members) = value else { return Err(OrderError("expected one JSON object".to_owned())) };
        let kind = members.get("kind").and_then(Value::as_str).unwrap_or_default();
        let order = match kind {
            "api_unauthorized" => Order::Fault(Fault::ApiUnauthorized, lasting(&members)?),
            "approve_device" => Order::AnswerDevice { user_code: user_code(&members)?, allowed: true },
            "clear" => Order::Clear,
            "deny_device" => Order::AnswerDevice { user_code: user_code(&members)?, allowed: false },
            "html" => {
                let status = number(&members, "status")?.unwrap_or(502);
                Order::Fault(Fault::Html { status: answer_status(status)? }, lasting(&members)?)
            }
            "kill_access_tokens" => Order::KillAccessTokens,
            "lost_answer" => Order::Fault(Fault::LostAnswer, lasting(&members)?),
            "outage" => Order::Fault(outage(&members)?, lasting(&members)?),
            "revoke_family" => Order::RevokeFamily(number(&members, "family")?),
            "slow" => {
                let delay = number(&members, "ms")?.ok_or_else(|| OrderError("slow needs ms".to_owned()))?;
                Order::Fault(Fault::Slow { delay: Duration::from_millis(delay) }, lasting(&members)?)
            }
            _ => return Err(OrderError(format!("unknown kind; known: {}", KINDS.map(|(kind, _)| kind).join(" ")))),
        };
        refuse_unknown_members(kind, &members)?;
        Ok(order)
    }
}

/// Every kind of order with the members it may have besides `kind`.
const KINDS: [(&str, &[&str]); 10] = [
    ("api_unauthorized", &["times", "for_ms"]),
    ("approve_device", &["user_code"]),
    ("clear", &[]),
    ("deny_device", &["user_code"]),
    ("html", &["status", "times", "for_ms"]),
    ("kill_access_tokens", &[]),
    ("lost_answer", &["times", "for_ms"]),
    ("outage", &["status", "times", "for_ms"]),
    ("revoke_family", &["family"]),
    ("slow", &["ms", "times", "for_ms"]),
];

fn refuse_unknown_members(kind: &str, members: &Map<String, Value>) -> Result<(), OrderError> {
    let known = KINDS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, known)| *known);
    match members.keys().find(|name| *name != "kind" && !known.contains(&name.as_str())) {
        Some(name) => Err(OrderError(format!("{kind} has no member {name:?}; it may have: {}", known.join(" ")))),
        None => Ok(()),
    }
}

fn number(members: &Map<String, Value>, name: &str) -> Result<Option<u64>, OrderError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    value.as_u64().map(Some).ok_or_else(|| OrderError(format!("{name} must be a whole number, 0 or more")))
}

fn user_code(members: &Map<String, Value>) -> Result<String, OrderError> {
    let code = members.get("user_code").and_then(Value::as_str);
    code.map(str::to_owned).ok_or_else(|| OrderError("user_code must be the code that was shown".to_owned()))
}

fn answer_status(status: u64) -> Result<u16, OrderError> {
    u16::try_from(status)
        .ok()
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| OrderError("status must be 200 to 599".to_owned()))
}

fn outage(members: &Map<String, Value>) -> Result<Fault, OrderError> {
    match number(members, "status")? {
        None => Ok(Fault::CutConnection),
        Some(503) => Ok(Fault::Unavailable),
        Some(_) => Err(OrderError("an outage answers 503, or nothing when status is left out".to_owned())),
    }
}

fn lasting(members: &Map<String, Value>) -> Result<Lasting, OrderError> {
    match (number(members, "times")?, number(members, "for_ms")?) {
        (Some(_), Some(_)) => Err(OrderError("times or for_ms, not both".to_owned())),
        (None, Some(millis)) => Ok(Lasting::For(Duration::from_millis(millis))),
        (None, None) => Ok(Lasting::Times(1)),
        (Some(times), None) => {
            let times = u32::try_from(times).map_err(|_| OrderError("times is too large".to_owned()))?;
            Ok(Lasting::Times(times))
        }
    }
}

/// The place in a request's life where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The token endpoint has read the request and done nothing yet.
    BeforeToken,
    /// The token endpoint has carried the request out with success.
    AfterToken,
    /// The token endpoint has an answer, good or bad.
    AnswerToken,
    /// The API has found the token good.
    Api,
}

impl Fault {
    fn strikes(&self) -> Moment {
        match self {
            Fault::ApiUnauthorized => Moment::Api,
            Fault::CutConnection | Fault::Html { .. } | Fault::Unavailable => Moment::BeforeToken,
            Fault::LostAnswer => Moment::AfterToken,
            Fault::Slow { .. } => Moment::AnswerToken,
        }
    }
}

enum Remaining {
    Always,
    Times(u32),
    Until(Duration),
}

struct Rule {
    fault: Fault,
    remaining: Remaining,
}

impl Rule {
    fn is_over(&self, now: Duration) -> bool {
        match self.remaining {
            Remaining::Always => false,
            Remaining::Times(left) => left == 0,
            Remaining::Until(end) => now >= end,
        }
    }
}

/// The faults that wait for a request.
#[derive(Default)]
pub(crate) struct FaultPlan {
    rules: VecDeque<Rule>,
}

impl FaultPlan {
    pub(crate) fn add(&mut self, fault: Fault, lasting: Lasting, now: Duration) {
        let remaining = match lasting {
            Lasting::For(time) => Remaining::Until(now.saturating_add(time)),
            Lasting::Times(times) => Remaining::Times(times),
            Lasting::UntilCleared => Remaining::Always,
        };
        if self.rules.len() >= RULES_MAX {
            self.rules.pop_front();
        }
        self.rules.push_back(Rule { fault, remaining });
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The oldest fault that strikes at this moment; taking it uses up one of its times.
    pub(crate) fn take(&mut self, moment: Moment, now: Duration) -> Option<Fault> {
        self.rules.retain(|rule| !rule.is_over(now));
        let rule = self.rules.iter_mut().find(|rule| rule.fault.strikes() == moment)?;
        if let Remaining::Times(left) = &mut rule.remaining {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn read(text: &str) -> Result<Order, OrderError> {
        Order::from_json(text.as_bytes())
    }

    #[test]
    fn a_counted_fault_strikes_that_often_and_no_more() {
        let mut plan = FaultPlan::default();
        plan.add(Fault::LostAnswer, Lasting::Times(2), NOW);
        let later = NOW + Duration::from_secs(1_000_000);
        assert_eq!(plan.take(Moment::AfterToken, later), Some(Fault::LostAnswer));
        assert_eq!(plan.take(Moment::BeforeToken, later), None);
        assert_eq!(plan.take(Moment::AfterToken, later), Some(Fault::LostAnswer));
        assert_eq!(plan.take(Moment::AfterToken, later), None);
    }

    #[test]
    fn a_timed_fault_ends_at_its_end_however_often_it_struck() {
        let mut plan = FaultPlan::default();
        plan.add(Fault::CutConnection, Lasting::For(Duration::from_millis(10)), NOW);
        for _ in 0..3 {
            assert!(plan.take(Moment::BeforeToken, NOW + Duration::from_millis(9)).is_some());
        }
        assert!(plan.take(Moment::BeforeToken, NOW + Duration::from_millis(10)).is_none());
    }

    #[test]
    fn a_lasting_fault_stays_until_cleared() {
        let mut plan = FaultPlan::default();
        plan.add(Fault::Unavailable, Lasting::UntilCleared, NOW);
        assert!(plan.take(Moment::BeforeToken, NOW + Duration::from_secs(1_000_000)).is_some());
        plan.clear();
        assert!(plan.take(Moment::BeforeToken, NOW).is_none());
    }

    #[test]
    fn one_rule_past_the_limit_drops_the_oldest() {
        let mut plan = FaultPlan::default();
        plan.add(Fault::LostAnswer, Lasting::Times(1), NOW);
        for _ in 0..RULES_MAX {
            plan.add(Fault::Unavailable, Lasting::Times(1), NOW);
        }
        assert_eq!(plan.rules.len(), RULES_MAX);
        assert!(plan.take(Moment::AfterToken, NOW).is_none());
    }

    #[test]
    fn orders_are_read_from_json() {
        let cut = Order::Fault(Fault::CutConnection, Lasting::For(Duration::from_secs(5)));
        assert_eq!(read(r#"{"kind":"outage","for_ms":5000}"#), Ok(cut));
        let unavailable = Order::Fault(Fault::Unavailable, Lasting::Times(1));
        assert_eq!(read(r#"{"kind":"outage","status":503}"#), Ok(unavailable));
        let slow = Order::Fault(Fault::Slow { delay: Duration::from_millis(7) }, Lasting::Times(3));
        assert_eq!(read(r#"{"kind":"slow","ms":7,"times":3}"#), Ok(slow));
        let page = Order::Fault(Fault::Html { status: 502 }, Lasting::Times(1));
        assert_eq!(read(r#"{"kind":"html"}"#), Ok(page));
        assert_eq!(read(r#"{"kind":"revoke_family","family":2}"#), Ok(Order::RevokeFamily(Some(2))));
        assert_eq!(read(r#"{"kind":"kill_access_tokens"}"#), Ok(Order::KillAccessTokens));
        assert_eq!(read(r#"{"kind":"clear"}"#), Ok(Order::Clear));
        let allowed = Order::AnswerDevice { user_code: "BCDF-GHJK".to_owned(), allowed: true };
        assert_eq!(read(r#"{"kind":"approve_device","user_code":"BCDF-GHJK"}"#), Ok(allowed));
    }

    #[test]
    fn a_wrong_order_is_refused_and_told_what_is_right() {
        let complaint = |text| read(text).unwrap_err().to_string();
        assert!(complaint(r#"{"kind":"earthquake"}"#).contains("lost_answer"));
        assert!(complaint(r#"{"kind":"deny_device"}"#).contains("user_code"));
        assert!(complaint(r#"{"kind":"slow"}"#).contains("needs ms"));
        assert!(complaint(r#"{"kind":"lost_answer","ms":1}"#).contains("times for_ms"));
        assert!(complaint(r#"{"kind":"html","times":1,"for_ms":1}"#).contains("not both"));
        assert!(complaint(r#"{"kind":"html","status":700}"#).contains("200 to 599"));
        assert!(complaint(r#"{"kind":"outage","times":-1}"#).contains("whole number"));
        assert!(complaint("[]").contains("one JSON object"));
        assert!(complaint("{").contains("not JSON"));
    }
}
