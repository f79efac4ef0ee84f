//! What servers send, as strangers would write it (T9): good inputs, cut at every byte and mutated some
//! thousand times. `fuzz/` goes further with the same checks.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

#[expect(unreachable_pub, reason = "the fuzz targets take the checks in by path")]
mod check;

use outlast_testkit::mutation::try_all;

const COUNT: usize = 20_000;

const RESPONSES: &[&[u8]] = &[
    br#"{"access_token":"SlAV32hkKG","token_type":"Bearer","refresh_token":"8xLOxBtZp8","expires_in":3600,"scope":"a b","id_token":"e30.e30."}"#,
    br#"{"access_token":"a","token_type":"DPoP","expires_in":"3600","refresh_token_expires_in":7776000}"#,
    b"access_token=gho_16C7e42F292c6912E7&scope=repo%2Cgist&token_type=bearer&expires_in=28800",
    br#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
    br#"{"ok":false,"error":"token_expired"}"#,
    b"<!DOCTYPE html><title>Sign in</title>",
];

const CHALLENGES: &[&[u8]] = &[
    br#"Bearer realm="x", error="invalid_token", error_description="expired", scope="a b", resource_metadata="https://rs.example/.well-known/oauth-protected-resource""#,
    br#"DPoP algs="ES256 PS256", error="use_dpop_nonce", Bearer, Basic realm="a\"b", Negotiate YII=="#,
    br#"Bearer error="insufficient_user_authentication", acr_values="urn:mfa", max_age="300", claims="e30=""#,
];

/// `{"iss":"https://as.example","sub":"1","aud":"client-7f3a","exp":1900000000,"iat":1,"nonce":"nonce-91c2"}`
const ID_TOKEN: &[u8] = b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUiLCJzdWIiOiIxIiwiYXVkIjoiY2xpZW50LTdmM2EiLCJleHAiOjE5MDAwMDAwMDAsImlhdCI6MSwibm9uY2UiOiJub25jZS05MWMyIn0.";

#[test]
fn t9_token_responses() {
    try_all(RESPONSES, COUNT, check::token_response);
}

#[test]
fn t9_replies_to_a_renewal() {
    let replies: Vec<Vec<u8>> = [200_u16, 400, 401, 500]
        .iter()
        .flat_map(|status| RESPONSES.iter().map(|body| [&status.to_be_bytes()[..], body].concat()))
        .collect();
    try_all(&replies.iter().map(Vec::as_slice).collect::<Vec<_>>(), COUNT, check::renewal);
}

#[test]
fn t9_bodies() {
    try_all(RESPONSES, COUNT / 4, check::body);
}

#[test]
fn t9_whole_replies() {
    let reply = |kind: u8, table: u8, field: &str, body: &[u8]| {
        [&[kind, table, 1, 145][..], field.as_bytes(), b"\n\n", body].concat()
    };
    let replies = [
        reply(1, 255, r#"www-authenticate: Bearer error="invalid_token""#, b""),
        reply(2, 0, "retry-after: 120", br#"{"error":"slow_down"}"#),
        reply(0, 3, "content-type: application/json", br#"{"error":"authorization_pending"}"#),
        reply(1, 7, "x-ratelimit-reset: 1700000000", br#"{"errors":[{"code":190,"message":"expired"}]}"#),
    ];
    try_all(&replies.iter().map(Vec::as_slice).collect::<Vec<_>>(), COUNT / 2, check::reply);
}

#[test]
fn t9_challenges() {
    try_all(CHALLENGES, COUNT, check::challenge);
}

#[test]
fn t9_waits() {
    let waits: &[&[u8]] =
        &[b"120", b"Sun, 06 Nov 1994 08:49:37 GMT", b"1700000000", b"2024-01-01T00:00:00Z", b"1.5", b"6m0s"];
    try_all(waits, COUNT, check::retry_after);
}

#[test]
fn t9_id_tokens() {
    try_all(&[ID_TOKEN], COUNT, check::id_token);
}

/// Found by a fuzzer: a held token that looks like a word was quoted by the server, and then by us.
#[test]
fn t9_what_a_server_quotes_of_the_held_tokens_is_not_told() {
    let mut input = b"\x01\x90or\": \"slow_downow_down\"ription\":\", \"error_desc\"slow_down".to_vec();
    input.extend([0xff; 47]);
    input.extend(b"held-refresh \"invalid_gran\xf4=}");
    check::renewal(&input);
}
