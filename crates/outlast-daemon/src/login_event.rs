//! What a login asks of a person and what it brought, as JSON for programs. No token is part of it;
//! the address of a sign-in holds nothing that opens a grant without the verifier that stays here.

use outlast::{LoggedIn, LoginStep, Timestamp};
use serde_json::{Value, json};

/// A step that a person has to be shown.
pub fn step(step: &LoginStep, now: Timestamp) -> Value {
    let left = |at: &Timestamp| now.until(*at).as_secs();
    match step {
        LoginStep::Visit { address, redirect_uri, listening, expires_at, replaces } => json!({
            "event": "visit", "address": address, "redirect_uri": redirect_uri, "listening": listening,
            "replaces": replaces, "expires_in": left(expires_at),
        }),
        LoginStep::EnterCode {
            user_code,
            verification_uri,
            verification_uri_complete,
            expires_at,
            interval,
            authorization_server,
            scope,
        } => json!({
            "event": "enter_code", "user_code": user_code, "verification_uri": verification_uri,
            "verification_uri_complete": verification_uri_complete, "expires_in": left(expires_at),
            "interval": interval.as_secs(), "authorization_server": authorization_server, "scope": scope,
        }),
        LoginStep::Waiting { left } => json!({ "event": "waiting", "seconds_left": left.as_secs() }),
        _ => json!({ "event": "other" }),
    }
}

/// What a login of `grant` brought.
pub fn logged_in(grant: &str, brought: &LoggedIn, now: Timestamp) -> Value {
    json!({
        "event": "logged_in",
        "grant": grant,
        "generation": brought.generation.0,
        "subject": brought.subject,
        "subject_name": brought.subject_name,
        "expires_in": brought.expires_at.map(|end| now.until(end).as_secs()),
        "renewable": brought.renewable,
        "scope": brought.scope,
    })
}
