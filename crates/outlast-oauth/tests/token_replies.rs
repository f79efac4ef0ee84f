//! Replies of token endpoints, as they come over the wire, and whether they renew a grant. Which
//! refusal a refusal is, is the classifier's to say and to test.
#![allow(clippy::unwrap_used)]

mod support;

use Wanted::{InDoubt, NotRenewed, Renewed};
use outlast_core::classify::Quirks;
use outlast_core::outcome::{Outcome, judge};
use outlast_core::token_response::read_token_response;
use support::{Ending, Server, answer, send};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    InDoubt,
    NotRenewed,
    Renewed,
}

const GOOD: &str = r#"{"access_token":"a","token_type":"Bearer"}"#;

fn json(members: &str) -> Vec<u8> {
    answer("200 OK", "Content-Type: application/json\r\n", members)
}

fn refusal(status: &str, error: &str) -> Vec<u8> {
    answer(status, "Content-Type: application/json\r\n", &format!(r#"{{"error":"{error}"}}"#))
}

fn raw(text: impl AsRef<str>) -> Vec<u8> {
    text.as_ref().as_bytes().to_vec()
}

async fn assert_outcomes(table: Vec<(&str, Vec<u8>, Wanted)>) {
    for (case, bytes, wanted) in table {
        let server = Server::always(bytes, Ending::Close).await;
        let outcome = judge(&send(server.address("/token")).await, &Quirks::default(), &read_token_response);
        let found = match &outcome {
            Outcome::InDoubt { .. } => InDoubt,
            Outcome::CommandFailed { .. }
            | Outcome::RotationInDoubt { .. }
            | Outcome::Discarded { .. }
            | Outcome::Redirected { .. }
            | Outcome::Refused(..)
            | Outcome::Reused(_)
            | Outcome::Unsent(_) => NotRenewed,
            Outcome::Renewed(_) => Renewed,
        };
        assert_eq!(found, wanted, "{case}: {outcome:?}");
        assert_eq!(server.requests().len(), 1, "{case}");
    }
}

#[tokio::test]
async fn f44_answers_that_hold_a_token_renew_whatever_else_they_hold() {
    let unknown: String = (0..200).map(|n| format!(r#","member_{n}":{{"deep":[{n}]}}"#)).collect();
    let large = "t".repeat(16 * 1024);
    assert_outcomes(vec![
        ("plain", json(GOOD), Renewed),
        ("of another type", answer("200 OK", "Content-Type: text/html\r\n", GOOD), Renewed),
        ("of no type", answer("200 OK", "", GOOD), Renewed),
        ("201", answer("201 Created", "", GOOD), Renewed),
        ("upper case type", json(r#"{"access_token":"a","token_type":"BEARER"}"#), Renewed),
        ("no token type", json(r#"{"access_token":"a"}"#), Renewed),
        ("expires_in a number", json(r#"{"access_token":"a","expires_in":3600}"#), Renewed),
        ("expires_in text", json(r#"{"access_token":"a","expires_in":"3600"}"#), Renewed),
        ("expires_in a fraction", json(r#"{"access_token":"a","expires_in":3599.5}"#), Renewed),
        ("expires_in zero", json(r#"{"access_token":"a","expires_in":0}"#), Renewed),
        ("expires_in negative", json(r#"{"access_token":"a","expires_in":-5}"#), Renewed),
        ("expires_in vast", json(r#"{"access_token":"a","expires_in":1e300}"#), Renewed),
        ("expires_in junk", json(r#"{"access_token":"a","expires_in":"soon"}"#), Renewed),
        ("expires_in null", json(r#"{"access_token":"a","expires_in":null}"#), Renewed),
        ("refresh token null", json(r#"{"access_token":"a","refresh_token":null}"#), Renewed),
        ("refresh token empty", json(r#"{"access_token":"a","refresh_token":""}"#), Renewed),
        ("scope a list", json(r#"{"access_token":"a","scope":["x"]}"#), Renewed),
        ("error null", json(r#"{"access_token":"a","error":null}"#), Renewed),
        ("unknown members", json(&format!(r#"{{"access_token":"a"{unknown}}}"#)), Renewed),
        ("large token", json(&format!(r#"{{"access_token":"{large}"}}"#)), Renewed),
        ("byte order mark", json(&format!("\u{feff}{GOOD}")), Renewed),
        ("space around", json(&format!("\r\n {GOOD}\n")), Renewed),
        ("form", answer("200 OK", "", "access_token=a&token_type=bearer&scope=repo%2Cgist"), Renewed),
        (
            "chunked",
            raw(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{GOOD}\r\n0\r\n\r\n",
                GOOD.len()
            )),
            Renewed,
        ),
        ("whole, ended by the connection", raw(format!("HTTP/1.1 200 OK\r\n\r\n{GOOD}")), Renewed),
        ("HTTP/1.0", raw(format!("HTTP/1.0 200 OK\r\n\r\n{GOOD}")), Renewed),
        ("after an early hint", [raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), json(GOOD)].concat(), Renewed),
    ])
    .await;
}

#[tokio::test]
async fn f34_answers_without_a_usable_token_renew_nothing() {
    assert_outcomes(vec![
        ("empty", json(""), InDoubt),
        ("no content", raw("HTTP/1.1 204 No Content\r\n\r\n"), InDoubt),
        ("space", json(" \r\n"), InDoubt),
        ("null", json("null"), InDoubt),
        ("list", json(r#"[{"access_token":"a"}]"#), InDoubt),
        ("empty object", json("{}"), InDoubt),
        (
            "a captive portal",
            answer("200 OK", "Content-Type: text/html\r\n", "<html>Sign in to the hotel network</html>"),
            NotRenewed,
        ),
        ("a portal with a form in it", answer("200 OK", "", "<input name=access_token=x>"), NotRenewed),
        ("token empty", json(r#"{"access_token":""}"#), InDoubt),
        ("token null", json(r#"{"access_token":null}"#), InDoubt),
        ("token a number", json(r#"{"access_token":12345}"#), InDoubt),
        ("token with a line in it", json(r#"{"access_token":"a\r\nX-Evil: 1"}"#), InDoubt),
        ("token with a NUL", json(r#"{"access_token":"a\u0000b"}"#), InDoubt),
        ("token not ASCII", json(r#"{"access_token":"tökén"}"#), InDoubt),
        ("token type unknown", json(r#"{"access_token":"a","token_type":"mac"}"#), InDoubt),
        ("cut by its own length", json(r#"{"access_token":"tru"#), InDoubt),
        ("two objects", json(&format!("{GOOD}{GOOD}")), InDoubt),
        ("too deep", json(&format!(r#"{{"access_token":"a","x":{}"#, "[".repeat(50_000))), InDoubt),
        ("not UTF-8", [raw("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{\""), vec![0xff, 0xfe]].concat(), InDoubt),
        ("error beside a token", json(r#"{"access_token":"a","error":"invalid_grant"}"#), InDoubt),
        ("200 with an error", json(r#"{"error":"bad_refresh_token"}"#), NotRenewed),
        ("200 that is not ok", json(r#"{"ok":false,"error":"invalid_refresh_token"}"#), NotRenewed),
        ("form with an error", answer("200 OK", "", "error=bad_refresh_token&error_description=x"), NotRenewed),
        ("a token in a refusal", answer("400 Bad Request", "", GOOD), NotRenewed),
        ("a token in a redirect", answer("302 Found", "Location: https://x.example\r\n", GOOD), NotRenewed),
        ("invalid_grant", refusal("400 Bad Request", "invalid_grant"), NotRenewed),
        ("invalid_client", refusal("401 Unauthorized", "invalid_client"), NotRenewed),
        ("invalid_scope", refusal("400 Bad Request", "invalid_scope"), NotRenewed),
        ("unauthorized_client", refusal("400 Bad Request", "unauthorized_client"), NotRenewed),
        ("too many", answer("429 Too Many Requests", "Retry-After: 7\r\n", ""), NotRenewed),
        ("a page instead of a refusal", answer("403 Forbidden", "Content-Type: text/html\r\n", "<html>"), NotRenewed),
        ("not found", answer("404 Not Found", "", ""), NotRenewed),
    ])
    .await;
}

#[tokio::test]
async fn f03_f32_answers_that_leave_the_refresh_tokens_fate_open_are_in_doubt() {
    assert_outcomes(vec![
        ("nothing", Vec::new(), InDoubt),
        ("half a head", raw("HTTP/1.1 200 OK\r\nContent-Type: app"), InDoubt),
        ("half a body", raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{GOOD}")), InDoubt),
        (
            "half a chunk",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"access_token\":\"tru"),
            InDoubt,
        ),
        ("half, ended by the connection", raw("HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"tru"), InDoubt),
        ("half a form, ended by the connection", raw("HTTP/1.1 200 OK\r\n\r\naccess_token=tru"), InDoubt),
        ("encoded", answer("200 OK", "Content-Encoding: gzip\r\n", GOOD), InDoubt),
        ("too large", json(&format!(r#"{{"access_token":"a","x":"{}"}}"#, "x".repeat(300 * 1024))), InDoubt),
        ("another protocol", raw("220 smtp.example.com ESMTP\r\n"), InDoubt),
        ("500 and nothing", answer("500 Internal Server Error", "", ""), InDoubt),
        ("502 and a page", answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>"), InDoubt),
        ("503 and nothing", answer("503 Service Unavailable", "", ""), InDoubt),
        ("504 and a page", answer("504 Gateway Timeout", "Content-Type: text/html\r\n", "<html>"), InDoubt),
        ("a token in a server error", answer("500 Internal Server Error", "", GOOD), InDoubt),
    ])
    .await;
}
