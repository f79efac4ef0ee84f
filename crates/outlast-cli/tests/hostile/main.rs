//! Files to import, as strangers would write them (T9): good ones, cut at every byte and mutated some
//! thousand times. `fuzz/` goes further with the same checks.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[expect(unreachable_pub, reason = "the fuzz target takes the check in by path")]
mod check;
#[path = "../../src/exit.rs"]
mod exit;
#[path = "../../src/owned_file.rs"]
mod owned_file;
#[path = "../../src/token_set_file.rs"]
mod token_set_file;

use outlast_testkit::mutation::try_all;

const COUNT: usize = 10_000;

const FILES: &[&[u8]] = &[
    br#"{"access_token":"SlAV32hkKG","token_type":"Bearer","refresh_token":"8xLOxBtZp8","expires_in":3600}"#,
    br#"{"crm":{"access_token":"a","refresh_token":"r","expires_in":3600,"saved_at":"2027-01-15T07:58:20Z"},"b":{}}"#,
    br#"{"crm":{"access_token":"a","expires_at":1800000077123}}"#,
    br#"{"refresh_token":"r"}"#,
    br#"{"error":"invalid_grant","error_description":"Token has been revoked"}"#,
    br#"{"RefreshToken":{"k":{"credential_type":"RefreshToken","secret":"s","client_id":"c"}},"AccessToken":{}}"#,
    br#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":1800000077123,"scopes":["x"]}}"#,
    br#"{"OPENAI_API_KEY":null,"tokens":{"id_token":"i","access_token":"a","refresh_token":"r"},"last_refresh":"x"}"#,
    br#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#,
];

#[test]
fn t9_imports() {
    try_all(FILES, COUNT, check::import);
}

#[test]
fn t9_a_file_with_endless_names_is_not_repeated_in_full() {
    let name = "n".repeat(100_000);
    check::import(format!(r#"{{"{name}":{{"a":1}},"{name}2":{{"a":1}}}}"#).as_bytes());
    check::import(format!(r#"{{"error":"{name}"}}"#).as_bytes());
}
