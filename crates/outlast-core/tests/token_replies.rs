//! More than 600 bad and odd replies of token endpoints (T13), each carried from the reply to the record:
//! nothing is persisted unless its access token can be sent and its type is known, what is held is never
//! erased, and the grant stands afterwards as the table says.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "reads a table")]

use http::{HeaderMap, HeaderName, HeaderValue};
use outlast_core::outcome::judge;
use outlast_core::settle::begin;
use outlast_core::strategy::{Recovery, Renewal, Rotation};
use outlast_core::token::TokenType;
use outlast_core::token_response::read_token_response;
use outlast_core::{
    Advice, Answer, Ask, Cause, Generation, Grant, GrantId, Quirks, Reply, Secret, Standing, Strategy, Terms,
    Timestamp, TokenResponse, TokenSet, settle,
};
use serde_json::Value;
use std::time::Duration;

const ROTATING: Strategy = Strategy {
    grant_type: "refresh_token",
    rfc: "RFC 6749 6",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const ROWS_MIN: usize = 400;

fn rows() -> Vec<Value> {
    let table = include_str!("fixtures/token_replies.jsonl");
    table.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'r>(row: &'r Value, name: &str) -> &'r str {
    row[name].as_str().unwrap_or_default()
}

fn reply(row: &Value) -> Reply {
    let body = match row["body_hex"].as_str() {
        Some(hex) => hex
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect(),
        None => text(row, "body").as_bytes().to_vec(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in row["headers"].as_object().unwrap() {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    Reply { status: u16::try_from(row["status"].as_u64().unwrap()).unwrap(), headers, body }
}

fn held() -> Grant {
    let terms = terms();
    let response = TokenResponse {
        refresh: Some(Secret::new("held-refresh")),
        expires_in: Some(Duration::from_secs(300)),
        ..TokenResponse::bearer("held-access")
    };
    let tokens = TokenSet::first(response, NOW.minus(Duration::from_secs(280)));
    Grant { generation: Generation(7), tokens: Some(tokens), ..Grant::empty(&terms) }
}

fn terms() -> Terms {
    Terms::new(GrantId::parse("crm").unwrap(), "refresh_token", "https://as.example")
}

/// The record as it would be persisted after this reply.
fn settled(row: &Value) -> (Grant, Grant) {
    let intent = begin(&held(), &terms(), Ask::default(), NOW);
    let outcome = judge(&Answer::Complete(reply(row)), &Quirks::default(), &read_token_response);
    let next = settle(&intent, &ROTATING, outcome, NOW);
    (intent, next)
}

/// The table's word for how the grant stands.
fn class(next: &Grant) -> &'static str {
    match next.standing {
        Standing::Live => "renewed",
        Standing::Renewing { .. } => "in_doubt",
        Standing::Parked { cause: Cause::StepUp, .. } => "step_up",
        Standing::Parked { .. } => "dead",
        Standing::CoolingDown { .. } => {
            let mistake = next.trouble.as_ref().is_some_and(|trouble| trouble.code.advice() == Advice::FixConfig);
            if mistake { "misconfigured" } else { "passing" }
        }
        Standing::Revoking { .. } => "revoking",
    }
}

#[test]
fn the_table_is_long_enough_and_no_row_stands_twice() {
    let rows = rows();
    let names: std::collections::BTreeSet<&str> = rows.iter().map(|row| text(row, "id")).collect();
    assert!(rows.len() >= ROWS_MIN && names.len() == rows.len(), "{}", rows.len());
}

#[test]
fn f34_every_reply_comes_to_what_the_table_says() {
    let mut wrong = Vec::new();
    for row in rows() {
        let (_, next) = settled(&row);
        let (wanted, found) = (text(&row, "expected"), class(&next));
        if wanted != found {
            let trouble = next.trouble.map(|trouble| (trouble.code, trouble.detail));
            wrong.push(format!("{}: {found} and not {wanted}; {trouble:?}", text(&row, "id")));
        }
    }
    assert!(wrong.is_empty(), "{} rows\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn f34_nothing_is_persisted_but_tokens_that_can_be_sent_and_what_is_held_is_never_erased() {
    for row in rows() {
        let (intent, next) = settled(&row);
        let name = text(&row, "id");
        let (old, new) = (intent.tokens.as_ref().unwrap(), next.tokens.as_ref().unwrap_or_else(|| panic!("{name}")));
        if new == old {
            assert_eq!(next.generation, intent.generation, "{name}");
            continue;
        }
        assert_eq!((text(&row, "expected"), next.generation), ("renewed", Generation(8)), "{name}");
        for secret in [Some(&new.access), new.refresh.as_ref()].into_iter().flatten() {
            let value = secret.expose();
            assert!(!value.is_empty() && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{name}");
        }
    }
}

#[test]
fn n07_what_is_renewed_holds_what_the_reply_said_and_keeps_what_it_did_not_say() {
    for row in rows().iter().filter(|row| row["expected"] == "renewed") {
        let name = text(row, "id");
        let (_, next) = settled(row);
        let tokens = next.tokens.unwrap();
        assert_eq!(tokens.access.expose(), text(row, "access"), "{name}");
        let refresh = if row["refresh"] == "kept" { "held-refresh" } else { text(row, "refresh") };
        assert_eq!(tokens.refresh.unwrap().expose(), refresh, "{name}");
        let life = tokens.expires_at.map(|end| end.since(tokens.issued_at));
        assert_eq!(life, row["expires_in"].as_f64().map(Duration::from_secs_f64), "{name}");
        let wanted = if row["token_type"] == "Dpop" { TokenType::Dpop } else { TokenType::Bearer };
        assert_eq!(tokens.token_type, wanted, "{name}");
        if let Some(scope) = row["scope"].as_array() {
            let scope: Vec<String> = scope.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
            assert_eq!(tokens.scope, Some(scope), "{name}");
        }
    }
}

#[test]
fn f31_a_wait_that_was_asked_for_is_kept_and_no_reply_asks_for_more_than_an_hour() {
    for row in rows() {
        let (_, next) = settled(&row);
        let Standing::CoolingDown { until } = next.standing else { continue };
        let wait = NOW.until(until);
        assert!(wait <= Duration::from_secs(3600), "{}: {wait:?}", text(&row, "id"));
        if let Some(wanted) = row["wait"].as_u64() {
            assert_eq!(wait.as_secs(), wanted, "{}", text(&row, "id"));
        }
    }
}

#[test]
fn no_trouble_shows_a_token_or_a_body() {
    for row in rows() {
        let (_, next) = settled(&row);
        let Some(trouble) = next.trouble else { continue };
        for secret in ["new-access", "new-refresh", "held-"] {
            assert!(!trouble.detail.contains(secret), "{}: {}", text(&row, "id"), trouble.detail);
        }
        assert!(trouble.detail.len() <= 400 && !trouble.detail.chars().any(char::is_control), "{}", text(&row, "id"));
    }
}
