//! The judge of `tests/judge`: a strict authorization server in a process of its own that keeps
//! account of every token it handed out, so that a test need not take the store's own word.
//!
//! Everything here blocks; an async test calls it from `spawn_blocking` where that matters.

use crate::peer::exchange;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running judge; dropping it ends it, and so does the death of this process.
#[derive(Debug)]
pub struct Judge {
    child: Child,
    origin: String,
}

/// What the judge has seen of one family of refresh tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether no spent token ever came back.
    pub alive: bool,
    /// The number of the newest token set; the first is zero.
    pub rotation: u64,
    /// The number of the newest one whose answer was handed to the kernel whole.
    pub answered: u64,
    /// Requests with one of its refresh tokens.
    pub requests: u64,
    /// Requests with a spent one, each of which killed the family.
    pub reuses: u64,
}

impl Judge {
    /// Starts it on a free port; with `log`, it writes what happens there, a JSON object a line.
    ///
    /// # Panics
    /// If Python 3 is not installed: the judge is the proof, so nothing is skipped without it.
    pub fn start(log: Option<&Path>) -> Self {
        Self::launch(&log.map_or_else(Vec::new, |log| vec![Path::new("--log").into(), log.into()])).0
    }

    /// Starts it, and gives what it says of each request as it happens, an object a line; it must be
    /// read to the end.
    ///
    /// # Panics
    /// If Python 3 is not installed.
    pub fn with_events() -> (Self, impl Iterator<Item = Value> + Send) {
        let (judge, said) = Self::launch(&["--events".into()]);
        (judge, said.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()))
    }

    fn launch(arguments: &[OsString]) -> (Self, BufReader<ChildStdout>) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/judge/judge.py");
        let mut child = Command::new("python3")
            .arg("-B")
            .arg(script)
            .args(arguments)
            // Held open by `child`: when this process dies, however it dies, the judge sees the end and goes.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the judge needs python3");
        let mut ready = String::new();
        let output = child.stdout.take().expect("standard output is a pipe");
        let mut said = BufReader::new(output);
        said.read_line(&mut ready).expect("the judge says where it is");
        let ready: Value = serde_json::from_str(&ready).expect("the judge says where it is in JSON");
        let origin = ready["origin"].as_str().expect("the judge names its origin").to_owned();
        (Self { child, origin }, said)
    }

    /// `http://HOST:PORT`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of the token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.origin)
    }

    /// A new family, by the wish of `{"name"?, "life"?, "grace"?}`; its first token response, with the
    /// name as `family`.
    pub fn family(&self, wish: &Value) -> Value {
        self.post("/family", wish)
    }

    /// What was seen of one family.
    pub fn seen(&self, family: &str) -> Seen {
        let told = self.get(&format!("/seen?family={family}"));
        let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("the judge counts {name}"));
        Seen {
            alive: told["alive"] == true,
            rotation: number("rotation"),
            answered: number("answered"),
            requests: number("requests"),
            reuses: number("reuses"),
        }
    }

    /// What was seen of all of them: `families`, `killed`, `unknown_tokens` and `sums`.
    pub fn seen_in_all(&self) -> Value {
        self.get("/seen")
    }

    /// Which rotation of which family an access or refresh token belongs to; none if it was never
    /// handed out.
    pub fn whose(&self, token: &str) -> Option<(String, u64)> {
        let content = json!({ "token": token }).to_string();
        let answer = exchange("POST", &self.origin, "/whose", &[], content.as_bytes()).expect("the judge answers");
        let told: Value = serde_json::from_slice(&answer.body).expect("the judge answers in JSON");
        Some((told["family"].as_str()?.to_owned(), told["rotation"].as_u64()?))
    }

    /// How the next requests go wrong, for instance `{"kind": "drop", "times": 1, "family": "family-1"}`.
    pub fn fault(&self, rule: &Value) {
        self.post("/fault", rule);
    }

    /// From here on the resource refuses the access tokens that a family was given so far.
    pub fn end_access(&self, family: &str) {
        self.post("/end-access", &json!({ "family": family }));
    }

    fn get(&self, path: &str) -> Value {
        self.read("GET", path, "")
    }

    fn post(&self, path: &str, content: &Value) -> Value {
        self.read("POST", path, &content.to_string())
    }

    fn read(&self, method: &str, path: &str, content: &str) -> Value {
        let answer = exchange(method, &self.origin, path, &[], content.as_bytes()).expect("the judge answers");
        let told = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        assert_eq!(answer.status, 200, "the judge refused {path}: {told}");
        told
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to wait for.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh(judge: &Judge, held: &Value) -> (u16, Value) {
        let form = format!("grant_type=refresh_token&refresh_token={}", held["refresh_token"].as_str().expect("one"));
        let answer = exchange("POST", judge.origin(), "/token", &[], form.as_bytes());
        answer.map_or((0, Value::Null), |answer| {
            (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
        })
    }

    #[test]
    fn a_spent_token_kills_the_family_and_the_judge_knows_which() {
        let judge = Judge::start(None);
        let first = judge.family(&json!({ "name": "crm" }));
        let (status, second) = refresh(&judge, &first);
        assert_eq!(status, 200);
        let access = second["access_token"].as_str().expect("an access token");
        assert_eq!(judge.whose(access), Some(("crm".to_owned(), 1)));
        assert_eq!(judge.whose("never handed out"), None);
        assert_eq!(refresh(&judge, &first).0, 400);
        assert_eq!(refresh(&judge, &second).0, 400, "the whole family is dead");
        let seen = Seen { alive: false, rotation: 1, answered: 1, requests: 3, reuses: 1 };
        assert_eq!(judge.seen("crm"), seen);
        assert_eq!(judge.seen_in_all()["killed"], 1);
    }

    #[test]
    fn access_ends_before_its_time_and_a_fault_lasts_as_long_as_it_was_told_to() {
        let judge = Judge::start(None);
        let first = judge.family(&json!({ "name": "crm" }));
        let resource = |held: &Value| {
            let bearer = format!("Bearer {}", held["access_token"].as_str().expect("an access token"));
            let headers = [("authorization", bearer.as_str())];
            exchange("GET", judge.origin(), "/resource", &headers, b"").expect("the judge answers").status
        };
        assert_eq!(resource(&first), 200);
        judge.end_access("crm");
        assert_eq!(resource(&first), 401);
        judge.fault(&json!({ "kind": "unavailable", "for": 3600 }));
        assert_eq!((refresh(&judge, &first).0, refresh(&judge, &first).0), (503, 503));
        let judge = Judge::start(None);
        let first = judge.family(&json!({}));
        judge.fault(&json!({ "kind": "unavailable", "for": 0 }));
        let (status, second) = refresh(&judge, &first);
        assert_eq!(status, 200);
        assert_eq!(second["scope"], "read");
    }

    #[test]
    fn a_lost_answer_has_rotated_and_a_grace_window_forgives_it_again_and_again() {
        let judge = Judge::start(None);
        let first = judge.family(&json!({ "name": "strict" }));
        judge.fault(&json!({ "kind": "cut" }));
        refresh(&judge, &first);
        let seen = judge.seen("strict");
        assert_eq!((seen.rotation, seen.answered, seen.alive), (1, 0, true));
        let first = judge.family(&json!({ "name": "lenient", "grace": 60 }));
        judge.fault(&json!({ "kind": "drop", "times": 3 }));
        for _ in 0..3 {
            assert_eq!(refresh(&judge, &first).0, 0);
        }
        let (status, second) = refresh(&judge, &first);
        assert_eq!((status, refresh(&judge, &second).0), (200, 200));
        assert!(judge.seen("lenient").alive);
    }
}
