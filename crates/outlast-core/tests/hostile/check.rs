//! What must hold for any input at all. Used by the test beside it and by the fuzz targets.

use http::{HeaderMap, HeaderName, HeaderValue};
use outlast_core::classify::challenge::{CHALLENGE_PARAMETERS_MAX, Piece, read_challenges};
use outlast_core::classify::explanation::explain;
use outlast_core::classify::retry_after::{
    RETRY_AFTER_MAX, read_http_date, read_milliseconds, read_reset, read_retry_after, read_seconds,
};
use outlast_core::classify::{EndpointKind, Verdict, classify, quirks};
use outlast_core::id_token::{Expected, read_id_token};
use outlast_core::outcome::judge;
use outlast_core::settle::begin;
use outlast_core::strategy::{Recovery, Renewal, Rotation};
use outlast_core::token_response::read_token_response;
use outlast_core::{
    Answer, Ask, Generation, Grant, GrantId, Quirks, Reply, Secret, Standing, Strategy, Terms, Timestamp,
    TokenResponse, TokenSet, settle,
};

const ROTATING: Strategy = Strategy {
    grant_type: "refresh_token",
    rfc: "RFC 6749 6",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

fn is_sendable(secret: &Secret) -> bool {
    !secret.is_empty() && secret.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// A token response: what is read of it can be sent, and its numbers can be reckoned with.
pub fn token_response(body: &[u8]) {
    let reply = Reply { status: 200, body: body.to_vec(), ..Reply::default() };
    let Some(read) = read_token_response(&reply) else { return };
    assert!(is_sendable(&read.access));
    let tokens = TokenSet::first(read, Timestamp::from_secs(1_800_000_000));
    assert!(tokens.refresh.as_ref().is_none_or(is_sendable));
    assert!(tokens.expires_at.is_none_or(|end| end >= tokens.issued_at));
}

/// A reply to a renewal: nothing that is held is lost, and no generation falls. The first two bytes are the
/// status.
pub fn renewal(input: &[u8]) {
    let [high, low, body @ ..] = input else { return };
    let terms = Terms::new(GrantId::parse("crm").expect("a name"), "refresh_token", "https://as.example");
    let response = TokenResponse { refresh: Some(Secret::new("held-refresh")), ..TokenResponse::bearer("held") };
    let now = Timestamp::from_secs(1_800_000_000);
    let held =
        Grant { generation: Generation(7), tokens: Some(TokenSet::first(response, now)), ..Grant::empty(&terms) };
    let reply = Reply { status: u16::from_be_bytes([*high, *low]) % 700, body: body.to_vec(), ..Reply::default() };
    let intent = begin(&held, &terms, Ask::default(), now);
    let next =
        settle(&intent, &ROTATING, judge(&Answer::Complete(reply), &Quirks::default(), &read_token_response), now);
    let tokens = next.tokens.expect("a held token set is never erased");
    assert!(is_sendable(&tokens.access) && tokens.refresh.as_ref().is_some_and(is_sendable));
    let renewed = next.standing == Standing::Live;
    assert_eq!(next.generation, Generation(if renewed { 8 } else { 7 }));
    let trouble = next.trouble.map(|trouble| trouble.detail).unwrap_or_default();
    assert!(!trouble.contains("held-refresh") && !trouble.chars().any(char::is_control));
}

/// An ID token: what is read of it is not believed of another issuer, audience or nonce.
pub fn id_token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(read) = read_id_token(&Secret::new(text)) else { return };
    let nonce = Secret::new("nonce-91c2");
    let expected = Expected { issuer: Some("https://as.example"), client_id: "client-7f3a", nonce: Some(&nonce) };
    if read.check(&expected, Timestamp::from_secs(1_800_000_000)).is_ok() {
        assert!(text.len() > 60, "an issuer, an audience and a nonce take room");
    }
}

/// `WWW-Authenticate`: read to its end, and its pieces are parts of it.
pub fn challenge(field: &[u8]) {
    let mut pieces = 0;
    read_challenges(field, |piece| {
        pieces += 1;
        let longest = match piece {
            Piece::Scheme(text) | Piece::Bare(text) => text.len(),
            Piece::Parameter(name, value) => name.len() + value.len(),
        };
        assert!(longest <= field.len());
    });
    assert!(pieces <= CHALLENGE_PARAMETERS_MAX);
}

/// `Retry-After` and its kin: no server makes us wait for longer than an hour.
pub fn retry_after(value: &[u8]) {
    for now in [None, Some(Timestamp::from_secs(0)), Some(Timestamp::from_secs(1_700_000_000))] {
        for wait in [read_retry_after(value, now), read_reset(value, now)] {
            assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
    for wait in [read_milliseconds(value), read_seconds(value)] {
        assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
    }
    let _ = read_http_date(value);
}

/// A body: gets a verdict at every endpoint, and kills no grant at a resource.
pub fn body(body: &[u8]) {
    let (headers, quirks) = (HeaderMap::new(), Quirks::default());
    for status in [200, 400, 401, 403, 500] {
        for kind in [EndpointKind::Device, EndpointKind::Resource, EndpointKind::Token] {
            let judged = classify(kind, status, &headers, body, &quirks);
            if judged.verdict == Verdict::GrantDead {
                assert!(kind != EndpointKind::Resource && status < 500);
            }
            assert!(kind == EndpointKind::Resource || !judged.verdict.asks_for_renewal());
        }
    }
}

/// A whole reply: gets a verdict from any provider's table. The input is a line of choices, header lines up
/// to an empty one, and the body.
pub fn reply(input: &[u8]) {
    let [kind, table, high, low, rest @ ..] = input else { return };
    let kind = [EndpointKind::Device, EndpointKind::Resource, EndpointKind::Token][usize::from(*kind) % 3];
    let status = u16::from_be_bytes([*high, *low]) % 700;
    let tables = quirks::tables();
    let quirks = tables
        .get(usize::from(*table) % (tables.len() + 1))
        .map_or_else(Quirks::default, |table| Quirks::for_provider(table.name));
    let (headers, body) = split(rest);
    let judged = classify(kind, status, &headers, body, &quirks);
    assert!(judged.retry_after.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
    assert!(!judged.evidence.found.chars().any(char::is_control));
    if judged.verdict == Verdict::GrantDead {
        assert!(kind != EndpointKind::Resource && status < 500);
    }
    let _ = explain(kind, &judged);
}

fn split(mut rest: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()))
            && headers.len() < 64
        {
            headers.append(name, value);
        }
    }
    (headers, rest)
}
