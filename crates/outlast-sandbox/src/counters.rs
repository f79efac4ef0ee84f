//! What the sandbox has seen, for tables and for tests.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the sandbox has seen since it started. Plain numbers: no token is in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that reached the token endpoint, whatever became of them.
    pub token_requests: u64,
    /// Token requests that were answered with an RFC 6749 5.2 error.
    pub token_refused: u64,
    /// Refreshes carried out, including those whose answer was lost on purpose.
    pub refreshes: u64,
    /// Refreshes that brought a new refresh token.
    pub rotations: u64,
    /// Access tokens issued for `client_credentials`.
    pub client_credentials: u64,
    /// Families issued because a person allowed a device what it asked for (RFC 8628).
    pub device_logins: u64,
    /// Times a rotated refresh token was used again beyond its grace while its family lived.
    pub reuse_alarms: u64,
    /// Families revoked, by alarm, by the revocation endpoint or on request.
    pub families_revoked: u64,
    /// The most token requests of one family (or of the client itself) in progress at one moment.
    pub max_concurrent_token_requests_per_family: u64,
    /// Token requests that have been read and are not yet answered, at this moment.
    pub token_requests_in_progress: u64,
    /// Answers thrown away after the refresh was carried out.
    pub lost_answers: u64,
    /// Requests answered by the protected API.
    pub api_total: u64,
    /// Of these, the ones answered 401.
    pub api_unauthorized: u64,
    /// Requests answered by the protected API, by status.
    pub api_by_status: BTreeMap<u16, u64>,
    /// Side effects carried out by `POST /api/charge`; an honoured `Idempotency-Key` adds none.
    pub charges: u64,
    /// Calls of `/api/step/{n}` and `/api/step/{n}/call/{m}` that were carried out.
    pub work_calls: u64,
    /// Of these, the calls of a step and number that had been carried out before.
    pub work_repeated: u64,
    /// Different steps among these.
    pub work_steps: u64,
    /// Whether the family issued last has neither been revoked nor run out: an earlier one was replaced by it.
    pub grant_alive: bool,
}

impl Counters {
    /// The counters as `GET /counters` tells them: one member per field, `api_by_status` an object.
    pub fn to_json(&self) -> Value {
        let by_status: BTreeMap<String, u64> =
            self.api_by_status.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        json!({
            "token_requests": self.token_requests,
            "token_refused": self.token_refused,
            "refreshes": self.refreshes,
            "rotations": self.rotations,
            "client_credentials": self.client_credentials,
            "device_logins": self.device_logins,
            "reuse_alarms": self.reuse_alarms,
            "families_revoked": self.families_revoked,
            "max_concurrent_token_requests_per_family": self.max_concurrent_token_requests_per_family,
            "token_requests_in_progress": self.token_requests_in_progress,
            "lost_answers": self.lost_answers,
            "api_total": self.api_total,
            "api_unauthorized": self.api_unauthorized,
            "api_by_status": by_status,
            "charges": self.charges,
            "work_calls": self.work_calls,
            "work_repeated": self.work_repeated,
            "work_steps": self.work_steps,
            "grant_alive": self.grant_alive,
        })
    }
}
