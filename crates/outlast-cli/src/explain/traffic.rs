//! Every failure of authorization in recorded traffic, and what to do about each.
//!
//! Of a recording only methods, hosts, paths, statuses and codes are shown: no query, no field, no
//! body, and no part of a path that may be a token.

use super::answer::{Given, without_secrets};
use super::case::Kind;
use super::har::Exchange;
use crate::{output, words};
use outlast::classify::explanation::{code, person};
use outlast::classify::redaction::redact;
use outlast::classify::{Evidence, Judgement, Verdict};
use outlast::{Clock, Timestamp};
use serde_json::{Value, json};
use url::Url;

/// Most failures that are listed; further ones are counted.
pub(crate) const FAILURES_MAX: usize = 10_000;
/// Longest path that is shown, in characters.
const PATH_CHARACTERS_MAX: usize = 100;
/// Longest part of a path that is shown though nothing separates its words.
const PART_CHARACTERS_MAX: usize = 20;
/// Longest method or code that is shown.
const WORD_CHARACTERS_MAX: usize = 48;

/// What was found in a recording.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    failures: Vec<Failure>,
    failures_beyond: usize,
    exchanges: usize,
    unanswered: usize,
    waits: usize,
    unreadable: usize,
}

#[derive(Debug)]
struct Failure {
    sent_at: Option<Timestamp>,
    method: String,
    place: String,
    kind: Kind,
    status: u16,
    provider: Option<&'static str>,
    judgement: Judgement,
}

/// What a verdict is in a list of failures of authorization.
enum Concern {
    /// One of them.
    Failure,
    /// None of them.
    Nothing,
    /// A delay that passes by itself.
    Wait,
}

impl Traffic {
    /// Judges an exchange and keeps it if authorization failed.
    pub(crate) fn take(&mut self, exchange: Exchange, clock: &dyn Clock) {
        self.exchanges += 1;
        self.unreadable += usize::from(exchange.body_unreadable);
        let Some(case) = &exchange.reply else {
            self.unanswered += 1;
            return;
        };
        let judgement = without_secrets(case.judge(exchange.sent_at.unwrap_or_else(|| clock.now())));
        match concern(case.kind, case.status, &judgement.verdict) {
            Concern::Nothing => {}
            Concern::Wait => self.waits += 1,
            Concern::Failure if self.failures.len() >= FAILURES_MAX => self.failures_beyond += 1,
            Concern::Failure => self.failures.push(Failure {
                sent_at: exchange.sent_at,
                method: shown_word(&exchange.method),
                place: exchange.address.as_ref().map_or_else(|| "(no address)".to_owned(), shown_place),
                kind: case.kind,
                status: case.status,
                provider: exchange.provider,
                judgement,
            }),
        }
    }

    /// For programs: the failures alone.
    pub(crate) fn to_json(&self) -> Value {
        self.failures.iter().map(Failure::to_json).collect()
    }

    /// For people.
    pub(crate) fn to_text(&self) -> String {
        if self.failures.is_empty() {
            return self.summary();
        }
        let head = ["time", "method", "host and path", "status", "verdict", "what to do"];
        let table = output::table(&head, self.failures.iter().map(Failure::row).collect());
        format!("{table}\n\n{}", self.summary())
    }

    /// What was found, in a sentence.
    pub(crate) fn summary(&self) -> String {
        let failures = self.failures.len() + self.failures_beyond;
        let mut parts = vec![format!("{} judged, {}", count(self.exchanges, "exchange"), failed(failures))];
        let mut also = |number: usize, text: String| {
            if number > 0 {
                parts.push(text);
            }
        };
        also(self.failures_beyond, format!("the last {} of them not listed", self.failures_beyond));
        also(self.waits, format!("{} that ask to wait or try again", self.waits));
        also(self.unanswered, format!("{} without an answer", self.unanswered));
        also(self.unreadable, format!("{} with a body that cannot be read", self.unreadable));
        parts.join("; ")
    }
}

fn failed(number: usize) -> String {
    if number == 0 { "no failure of authorization".to_owned() } else { count(number, "failure") + " of authorization" }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A server's illness at an API is no failure of authorization; where tokens are issued it is.
fn concern(kind: Kind, status: u16, verdict: &Verdict) -> Concern {
    match (verdict, kind) {
        (Verdict::NotAuth, _) => Concern::Nothing,
        (Verdict::AuthorizationPending | Verdict::SlowDown, _) => Concern::Wait,
        (Verdict::RateLimited { .. } | Verdict::Transient { .. }, Kind::Api) => Concern::Wait,
        (Verdict::Unknown, Kind::Api) if !matches!(status, 401 | 403 | 407) => Concern::Nothing,
        (
            Verdict::AccessTokenExpired
            | Verdict::AccessTokenInvalid
            | Verdict::ClientMisconfigured
            | Verdict::DpopNonceRequired { .. }
            | Verdict::GrantDead
            | Verdict::InsufficientScope { .. }
            | Verdict::PermissionDenied
            | Verdict::RateLimited { .. }
            | Verdict::StepUpRequired(_)
            | Verdict::Transient { .. }
            | Verdict::Unknown,
            _,
        ) => Concern::Failure,
    }
}

impl Failure {
    fn time(&self) -> Option<String> {
        self.sent_at.map(words::rfc3339)
    }

    fn what_to_do(&self) -> String {
        person(self.kind.endpoint(), &self.judgement.verdict)
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.time().unwrap_or_else(|| "-".to_owned()),
            self.method.clone(),
            self.place.clone(),
            self.status.to_string(),
            self.judgement.verdict.class().to_owned(),
            self.what_to_do(),
        ]
    }

    fn to_json(&self) -> Value {
        let given = Given::of(&self.judgement);
        json!({
            "time": self.time(),
            "method": self.method,
            "place": self.place,
            "endpoint_kind": self.kind.name(),
            "status": self.status,
            "provider": self.provider,
            "class": self.judgement.verdict.class(),
            "recovery": self.judgement.verdict.recovery(),
            "evidence": shown_evidence(&self.judgement.evidence),
            "what_to_do": self.what_to_do(),
            "scopes": given.scopes,
            "retry_after": given.retry_after,
            "code": code(&self.judgement.verdict).map(|code| code.as_str()),
        })
    }
}

/// Where the evidence stood, and what it was if that is a code and no sentence.
fn shown_evidence(evidence: &Evidence) -> String {
    let found = &evidence.found;
    let is_code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if found.is_empty() || found.len() > WORD_CHARACTERS_MAX || !found.bytes().all(is_code) {
        return evidence.place.to_owned();
    }
    format!("{}: {found}", evidence.place)
}

fn shown_word(word: &str) -> String {
    if word.is_empty() || word.len() > WORD_CHARACTERS_MAX || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return "?".to_owned();
    }
    word.to_owned()
}

/// Host, port and path; of the path no part that may be a token.
fn shown_place(address: &Url) -> String {
    let port = address.port().map_or_else(String::new, |port| format!(":{port}"));
    let parts: Vec<String> = address.path().split('/').map(shown_part).collect();
    let mut path = parts.join("/");
    if let Some((end, _)) = path.char_indices().nth(PATH_CHARACTERS_MAX) {
        path.truncate(end);
        path.push('…');
    }
    format!("{}{port}{path}", address.host_str().unwrap_or_default())
}

fn shown_part(part: &str) -> String {
    let separated = part.contains(['-', '_', '.']);
    if part.len() > PART_CHARACTERS_MAX && !separated {
        return "…".to_owned();
    }
    redact(part).replace(outlast::classify::redaction::REDACTED, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_no_user_query_or_token_is_shown() {
        let table = [
            ("https://jane:pw@api.example.com/v1/users?token=x#y", "api.example.com/v1/users"),
            ("http://127.0.0.1:8080/a", "127.0.0.1:8080/a"),
            ("https://api.example.com/bot12:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/me", "api.example.com/…/me"),
            ("https://hooks.example.com/services/T01ABCDEF2gHiJkLmNoPqRsT", "hooks.example.com/services/…"),
            ("https://a.example/reset/eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x/now", "a.example/reset/…/now"),
            ("https://a.example/u/jane%40b.example", "a.example/u/jane%40b.example"),
        ];
        for (address, shown) in table {
            assert_eq!(shown_place(&Url::parse(address).unwrap()), shown, "{address}");
        }
        let long = Url::parse(&format!("https://a.example{}", "/abc".repeat(500))).unwrap();
        assert_eq!(shown_place(&long).chars().count(), "a.example".len() + PATH_CHARACTERS_MAX + 1);
    }

    #[test]
    fn a_sentence_of_a_body_is_no_evidence_that_is_shown() {
        let shown = |found: &str| shown_evidence(&Evidence { place: "body error", found: found.to_owned() });
        assert_eq!(shown("invalid_grant"), "body error: invalid_grant");
        for found in ["Jane has gone", "", &"x".repeat(WORD_CHARACTERS_MAX + 1)] {
            assert_eq!(shown(found), "body error");
        }
    }

    #[test]
    fn the_summary_counts_in_words() {
        assert_eq!(Traffic::default().summary(), "0 exchanges judged, no failure of authorization");
        let traffic = Traffic { exchanges: 1, failures_beyond: 1, waits: 2, unanswered: 3, ..Traffic::default() };
        let told = traffic.summary();
        assert!(told.starts_with("1 exchange judged, 1 failure of authorization; the last 1 of them"), "{told}");
    }
}
