//! What a sandbox is started with, and what it hands out.

use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The scopes every token of the sandbox carries; asking for another is refused with `invalid_scope`.
pub(crate) const SCOPES: [&str; 2] = ["api:read", "api:write"];

/// Tells how much time has passed since any fixed moment; it must never go backwards.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What a sandbox is started with; [`Settings::default`] is the strict server.
#[derive(Clone)]
pub struct Settings {
    /// Port of the authorization server on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Port of the protected API on 127.0.0.1; 0 takes any free one.
    pub api_port: u16,
    /// How long an access token lives; fractions of a second count.
    pub access_ttl: Duration,
    /// How long an unused refresh token lives; each rotation starts a new life.
    pub refresh_ttl: Duration,
    /// How long a rotated refresh token still works; zero means that any reuse revokes the family.
    pub rotation_grace: Duration,
    /// Whether a refresh brings a new refresh token; if not, the answer has none and the old one stays.
    pub rotate: bool,
    /// Whether `expires_in` may be a number with a fraction. RFC 6749 means whole seconds, so a life
    /// that is not whole is rounded down unless this is set (and one below a second is told as 0).
    pub fractional_expires_in: bool,
    /// How long a device code lives (RFC 8628); told in whole seconds.
    pub device_code_ttl: Duration,
    /// How long a client has to wait between two polls for the tokens of a device code; told in whole seconds.
    pub device_interval: Duration,
    /// The one client that the server knows.
    pub client_id: String,
    /// The client's secret; `None` makes it a public client, which may not use `client_credentials`.
    pub client_secret: Option<String>,
    /// The clock by which tokens live and faults last; `None` is real time.
    pub clock: Option<Clock>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            api_port: 0,
            access_ttl: Duration::from_secs(3),
            refresh_ttl: Duration::from_secs(3600),
            rotation_grace: Duration::ZERO,
            rotate: true,
            fractional_expires_in: false,
            device_code_ttl: Duration::from_secs(300),
            device_interval: Duration::from_secs(5),
            client_id: "sandbox".to_owned(),
            client_secret: Some("sandbox-secret".to_owned()),
            clock: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("port", &self.port)
            .field("api_port", &self.api_port)
            .field("access_ttl", &self.access_ttl)
            .field("refresh_ttl", &self.refresh_ttl)
            .field("rotation_grace", &self.rotation_grace)
            .field("rotate", &self.rotate)
            .field("device_code_ttl", &self.device_code_ttl)
            .field("device_interval", &self.device_interval)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A token set as the token endpoint issues it. Its `Debug` shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedTokens {
    /// The access token.
    pub access: String,
    /// The refresh token; empty for `client_credentials` and where a refresh does not rotate.
    pub refresh: String,
    /// The exact life of the access token.
    pub expires_in: Duration,
    /// The family the tokens belong to; 0 for `client_credentials`, which has none.
    pub family: u64,
    /// Whether `expires_in` may be written with a fraction.
    pub(crate) fractional: bool,
}

impl IssuedTokens {
    /// The answer of the token endpoint (RFC 6749 5.1) that brings these tokens. Holds secrets.
    pub fn token_response(&self) -> Value {
        let mut answer = json!({
            "access_token": self.access,
            "token_type": "Bearer",
            "expires_in": seconds(self.expires_in, self.fractional),
            "scope": SCOPES.join(" "),
        });
        if !self.refresh.is_empty() {
            answer["refresh_token"] = Value::from(self.refresh.as_str());
        }
        answer
    }
}

impl fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedTokens")
            .field("expires_in", &self.expires_in)
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}

/// A duration as `expires_in` tells it: rounded down, for a promise of more than the life would be a lie.
fn seconds(life: Duration, fractional: bool) -> Value {
    if fractional && life.subsec_nanos() != 0 {
        return Value::from(life.as_secs_f64());
    }
    Value::from(life.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(life: Duration, fractional: bool) -> IssuedTokens {
        IssuedTokens {
            access: "access-canary".to_owned(),
            refresh: "refresh-canary".to_owned(),
            expires_in: life,
            family: 1,
            fractional,
        }
    }

    #[test]
    fn expires_in_is_whole_seconds_unless_a_fraction_was_asked_for() {
        let told = |millis, fractional| {
            issued(Duration::from_millis(millis), fractional).token_response()["expires_in"].to_string()
        };
        assert_eq!(told(3000, false), "3");
        assert_eq!(told(3000, true), "3");
        assert_eq!(told(1500, false), "1");
        assert_eq!(told(1500, true), "1.5");
    }

    #[test]
    fn debug_output_shows_no_token_and_no_secret() {
        let shown = format!("{:?} {:?}", issued(Duration::from_secs(1), false), Settings::default());
        assert!(!shown.contains("canary") && !shown.contains("sandbox-secret"), "{shown}");
    }
}
