//! The device flow (RFC 8628), without sending anything: what is asked, how the server's answer is
//! read, and when the token endpoint may be asked whether the person has answered.

use crate::address;
use crate::request;
use outlast_core::classify::{Evidence, Verdict};
use outlast_core::wire::{Content, Reply, TokenRequest};
use outlast_core::{Provider, Secret, Terms, Timestamp};
use serde_json::{Map, Value};
use std::time::Duration;

/// The grant type at the token endpoint (RFC 8628 3.4).
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long to wait between polls where the server does not say (RFC 8628 3.5).
const INTERVAL: Duration = Duration::from_secs(5);
/// What `slow_down` adds, for good (RFC 8628 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Longest pause that polls which got no answer double up to.
const BACK_OFF_MAX: Duration = Duration::from_secs(120);
/// How often a pause is doubled at most; enough to reach [`BACK_OFF_MAX`] from a second.
const DOUBLINGS_MAX: u32 = 7;
/// The life of a code where the server gives none that can be believed, though it has to.
const CODE_LIFE: Duration = Duration::from_secs(600);
/// The longest life of a code that is believed.
const CODE_LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest code that a person is asked to enter, in characters.
const USER_CODE_CHARS_MAX: usize = 64;
/// Longest address that a person is asked to visit, in bytes; a QR code holds about as much.
const ADDRESS_BYTES_MAX: usize = 2048;

/// What the server wants a person to do (RFC 8628 3.2). Safe to show: the code has no character that
/// moves a cursor, the addresses are https or on loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthorization {
    /// What the person's answer is asked for with.
    pub device_code: Secret,
    /// What the person enters.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, where there is one that can be used.
    pub verification_uri_complete: Option<String>,
    /// How long both codes live.
    pub life: Duration,
    /// How long to wait between polls.
    pub interval: Duration,
}

/// The request for a device code (RFC 8628 3.1), for `scope`; nothing where the server has no
/// endpoint for it.
pub fn authorization_request(terms: &Terms, scope: &[String], provider: &Provider) -> Option<TokenRequest> {
    let endpoint = provider.device_endpoint.as_deref()?;
    let form = vec![
        ("scope", Secret::new(scope.join(" "))),
        // RFC 8707 2: the token is for this resource from the beginning.
        ("resource", Secret::new(terms.resource.as_deref().unwrap_or_default())),
    ];
    let mut request = request::authenticated(provider.form(endpoint, form), terms, provider);
    // RFC 8628 3.1: named even by a client that is known by its authentication; servers that take
    // the identifier from here alone are documented.
    if let Content::Form(form) = &mut request.content
        && !form.iter().any(|(name, _)| *name == "client_id")
    {
        form.push(("client_id", Secret::new(terms.client_id.as_str())));
    }
    Some(request)
}

/// The request for what the person answered (RFC 8628 3.4).
pub fn token_request(authorization: &DeviceAuthorization, terms: &Terms, provider: &Provider) -> TokenRequest {
    let form = vec![
        ("grant_type", Secret::new(GRANT_TYPE)),
        ("device_code", authorization.device_code.clone()),
        ("resource", Secret::new(terms.resource.as_deref().unwrap_or_default())),
    ];
    let endpoint = provider.exchange_endpoint.as_deref().unwrap_or(&provider.token_endpoint);
    request::authenticated(provider.form(endpoint, form), terms, provider)
}

/// Reads the answer to [`authorization_request`] leniently, but shows nothing that is not safe to
/// show; the error says what is wrong, in words that hold nothing of the answer.
pub fn read(reply: &Reply) -> Result<DeviceAuthorization, &'static str> {
    let body = reply.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&reply.body);
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| "its answer to the request for a device code is no JSON object")?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let device_code = text("device_code").ok_or("it gave no device code")?;
    if !device_code.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err("its device code holds characters that no device code may have");
    }
    // Some servers still write the name of the draft, verification_url.
    let verification_uri = text("verification_uri").or_else(|| text("verification_url"));
    let complete = text("verification_uri_complete").or_else(|| text("verification_url_complete"));
    Ok(DeviceAuthorization {
        device_code: Secret::new(device_code),
        user_code: user_code(members.get("user_code"))?,
        verification_uri: verification_uri
            .and_then(visitable)
            .ok_or("the address it wants a person to visit is missing, or neither https nor on loopback")?,
        // Left out rather than refused: the address and the code say the same.
        verification_uri_complete: complete.and_then(visitable),
        life: members.get("expires_in").and_then(seconds).unwrap_or(CODE_LIFE).min(CODE_LIFE_MAX),
        interval: members.get("interval").and_then(seconds).unwrap_or(INTERVAL),
    })
}

fn user_code(value: Option<&Value>) -> Result<String, &'static str> {
    let code = match value {
        Some(Value::String(code)) => code.trim().to_owned(),
        Some(Value::Number(code)) => code.to_string(),
        _ => String::new(),
    };
    if code.is_empty() {
        return Err("it gave no code for the person to enter");
    }
    // Escaping it would show another code than the one that is asked for.
    let shown = code.chars().all(|c| c == ' ' || c.escape_debug().count() == 1);
    if shown && code.chars().count() <= USER_CODE_CHARS_MAX {
        Ok(code)
    } else {
        Err("the code for the person to enter cannot be shown on a terminal")
    }
}

/// The address in its ASCII form, if a person may be sent there.
fn visitable(address: &str) -> Option<String> {
    let url = address::check(address).ok()?;
    (url.as_str().len() <= ADDRESS_BYTES_MAX).then(|| url.to_string())
}

/// Number or numeric string of seconds; what is no positive number is no number.
fn seconds(value: &Value) -> Option<Duration> {
    let secs = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => return None,
    };
    (secs.is_finite() && secs > 0.0).then(|| Duration::from_secs_f64(secs.min(CODE_LIFE_MAX.as_secs_f64())))
}

/// What one poll that brought no token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The person said no.
    Denied,
    /// The code is good no longer.
    Expired,
    /// The person has not answered yet.
    Pending,
    /// The server refuses the request itself.
    Refused,
    /// The same as pending, and it wants to be asked less often.
    SlowDown,
    /// There was no answer, or one that says nothing of the person's.
    Unheard {
        /// How long the server asks to wait, where it does.
        retry_after: Option<Duration>,
    },
}

impl Heard {
    /// What a refusal says, as `classify` judges it for a device code.
    pub fn of(verdict: &Verdict, evidence: &Evidence) -> Self {
        match verdict {
            Verdict::AuthorizationPending => Self::Pending,
            Verdict::SlowDown => Self::SlowDown,
            Verdict::GrantDead if is_denial(evidence) => Self::Denied,
            Verdict::GrantDead => Self::Expired,
            Verdict::RateLimited { retry_after } | Verdict::Transient { retry_after } => {
                Self::Unheard { retry_after: *retry_after }
            }
            Verdict::AccessTokenExpired
            | Verdict::AccessTokenInvalid
            | Verdict::ClientMisconfigured
            | Verdict::DpopNonceRequired { .. }
            | Verdict::InsufficientScope { .. }
            | Verdict::NotAuth
            | Verdict::PermissionDenied
            | Verdict::StepUpRequired(_)
            | Verdict::Unknown => Self::Refused,
        }
    }
}

/// Whether a dead device code is one the person refused: by the standard's word or Microsoft's.
fn is_denial(evidence: &Evidence) -> bool {
    ["access_denied", "authorization_declined"].iter().any(|code| evidence.found.contains(code))
}

/// When the token endpoint is asked again (RFC 8628 3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polling {
    interval: Duration,
    /// Polls in a row that got no answer.
    unheard: u32,
    next_at: Timestamp,
    expires_at: Timestamp,
}

impl Polling {
    /// The first poll comes one interval after the codes were given out.
    pub fn begin(authorization: &DeviceAuthorization, now: Timestamp) -> Self {
        let interval = authorization.interval;
        Self { interval, unheard: 0, next_at: now.plus(interval), expires_at: now.plus(authorization.life) }
    }

    /// When the codes end.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When to ask next; nothing if the codes have ended by then.
    pub fn next_at(&self) -> Option<Timestamp> {
        (self.next_at < self.expires_at).then_some(self.next_at)
    }

    /// After a poll that left the person's answer open, at `now`.
    #[must_use]
    pub fn after(mut self, heard: Heard, now: Timestamp) -> Self {
        let mut pause = match heard {
            Heard::SlowDown => {
                self.interval = self.interval.saturating_add(SLOWER);
                self.unheard = 0;
                self.interval
            }
            Heard::Unheard { retry_after } => {
                self.unheard = (self.unheard + 1).min(DOUBLINGS_MAX);
                let doubled = self.interval.saturating_mul(1 << self.unheard).min(BACK_OFF_MAX);
                doubled.max(retry_after.unwrap_or_default())
            }
            Heard::Denied | Heard::Expired | Heard::Pending | Heard::Refused => {
                self.unheard = 0;
                self.interval
            }
        };
        // An interval beyond the longest back-off is the server's word all the same.
        pause = pause.max(self.interval);
        Self { next_at: now.plus(pause), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use outlast_core::GrantId;
    use outlast_core::classify::{EndpointKind, Quirks, classify};
    use outlast_core::grant::ClientAuth;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() }
    }

    fn answer(extra: &str) -> Reply {
        let given = r#""device_code":"CANARY-device","user_code":"WDJB-MJHT","verification_uri":"https://id.example.com/device""#;
        reply(200, &format!("{{{given}{extra}}}"))
    }

    fn heard(status: u16, body: &str) -> Heard {
        let judgement = classify(EndpointKind::Device, status, &HeaderMap::new(), body.as_bytes(), &Quirks::default());
        Heard::of(&judgement.verdict, &judgement.evidence)
    }

    /// Seconds since the start at which polls are made, if each brings what `brings` lists and the
    /// last of it for ever after; each poll takes no time.
    fn trace(extra: &str, brings: &[Heard]) -> Vec<u64> {
        let mut polling = Polling::begin(&read(&answer(extra)).unwrap(), START);
        let mut polled = Vec::new();
        let mut brings = brings.iter();
        let mut last = &Heard::Pending;
        while let Some(at) = polling.next_at() {
            last = brings.next().unwrap_or(last);
            polled.push(at.since(START).as_secs());
            polling = polling.after(*last, at);
        }
        polled
    }

    #[test]
    fn n22_polls_come_every_five_seconds_where_the_server_names_no_interval_and_stop_when_the_code_ends() {
        assert_eq!(trace(r#","expires_in":26"#, &[Heard::Pending]), [5, 10, 15, 20, 25]);
        assert_eq!(trace(r#","expires_in":"26","interval":0"#, &[Heard::Pending]), [5, 10, 15, 20, 25]);
        assert_eq!(trace(r#","expires_in":25,"interval":"10""#, &[Heard::Pending]), [10, 20]);
        // At the very end the code is good no longer.
        assert_eq!(trace(r#","expires_in":10"#, &[Heard::Pending]), [5]);
        assert_eq!(trace(r#","expires_in":5"#, &[Heard::Pending]), [0; 0]);
        // A server that gives no life is asked for ten minutes.
        assert_eq!(trace("", &[Heard::Pending]).last(), Some(&595));
    }

    #[test]
    fn n22_slow_down_adds_five_seconds_for_good() {
        let slower = Heard::SlowDown;
        assert_eq!(trace(r#","expires_in":60"#, &[Heard::Pending, slower, Heard::Pending]), [5, 10, 20, 30, 40, 50]);
        assert_eq!(trace(r#","expires_in":60"#, &[slower, slower, Heard::Pending]), [5, 15, 30, 45]);
    }

    #[test]
    fn n22_polls_without_an_answer_back_off_and_the_interval_is_kept() {
        let lost = Heard::Unheard { retry_after: None };
        let brings = [Heard::Pending, lost, lost, lost, Heard::Pending];
        assert_eq!(trace(r#","expires_in":100"#, &brings), [5, 10, 20, 40, 80, 85, 90, 95]);
        let all = trace(r#","expires_in":900"#, &[lost]);
        assert_eq!(all, [5, 15, 35, 75, 155, 275, 395, 515, 635, 755, 875]);
        let told = Heard::Unheard { retry_after: Some(Duration::from_secs(33)) };
        assert_eq!(trace(r#","expires_in":60"#, &[told, Heard::Pending]), [5, 38, 43, 48, 53, 58]);
    }

    #[test]
    fn each_answer_to_a_poll_has_one_meaning() {
        assert_eq!(heard(400, r#"{"error":"authorization_pending"}"#), Heard::Pending);
        assert_eq!(heard(400, r#"{"error":"slow_down"}"#), Heard::SlowDown);
        assert_eq!(heard(400, r#"{"error":"access_denied"}"#), Heard::Denied);
        assert_eq!(heard(400, r#"{"error":"authorization_declined"}"#), Heard::Denied);
        assert_eq!(heard(400, r#"{"error":"expired_token"}"#), Heard::Expired);
        assert_eq!(heard(503, ""), Heard::Unheard { retry_after: None });
        assert_eq!(heard(401, r#"{"error":"invalid_client"}"#), Heard::Refused);
    }

    #[test]
    fn the_answer_is_read_in_every_known_spelling() {
        let read_whole =
            read(&answer(r#","verification_uri_complete":"https://id.example.com/device?c=WDJB""#)).unwrap();
        assert_eq!(read_whole.verification_uri_complete.as_deref(), Some("https://id.example.com/device?c=WDJB"));
        let google = r#"{"device_code":"d","user_code":"GQVQ-JKEC","verification_url":"https://www.google.com/device",
            "expires_in":1800,"interval":5}"#;
        let google = read(&reply(200, google)).unwrap();
        assert_eq!(google.verification_uri, "https://www.google.com/device");
        let number = r#"{"device_code":"d","user_code":123456,"verification_uri":"http://127.0.0.1:9/device"}"#;
        assert_eq!(read(&reply(200, number)).unwrap().user_code, "123456");
    }

    #[test]
    fn n23_what_a_person_is_shown_is_safe_to_show() {
        for address in [
            "javascript:alert(1)",
            "-x",
            "http://id.example.com/device",
            "https://a@id.example.com/",
            "file:///etc",
            "",
        ] {
            let body = serde_json::json!({"device_code": "CANARY", "user_code": "A", "verification_uri": address});
            let error = read(&reply(200, &body.to_string())).unwrap_err();
            assert!(!error.contains("CANARY"), "{error}");
        }
        for code in ["\u{1b}[2Jcode", "a\nb", "\u{202e}edoc", "a\u{200b}b", "", &"x".repeat(USER_CODE_CHARS_MAX + 1)] {
            let body =
                serde_json::json!({"device_code": "d", "user_code": code, "verification_uri": "https://a.example/"});
            assert!(read(&reply(200, &body.to_string())).is_err(), "{code:?}");
        }
        let unsafe_complete = answer(r#","verification_uri_complete":"javascript:alert(1)""#);
        assert_eq!(read(&unsafe_complete).unwrap().verification_uri_complete, None);
        assert!(!format!("{:?}", read(&answer("")).unwrap()).contains("CANARY"));
    }

    #[test]
    fn the_client_is_named_and_authenticated_at_both_endpoints() {
        let mut terms = Terms::new(GrantId::parse("tv").unwrap(), "device_code", "https://id.example.com");
        terms.client_id = "agent".to_owned();
        terms.client_auth = ClientAuth::Basic(Secret::new("CANARY"));
        terms.resource = Some("https://api.example.com".to_owned());
        let provider = Provider {
            device_endpoint: Some("https://id.example.com/device_authorization".to_owned()),
            token_endpoint: "https://id.example.com/token".to_owned(),
            ..Provider::default()
        };
        let asked = authorization_request(&terms, &["a".to_owned(), "b".to_owned()], &provider).unwrap();
        assert_eq!(form(&asked), "scope=a b&resource=https://api.example.com&client_id=agent");
        assert!(asked.authorization.is_some());
        let polled = token_request(&read(&answer("")).unwrap(), &terms, &provider);
        assert_eq!(polled.endpoint, "https://id.example.com/token");
        assert!(form(&polled).starts_with(&format!("grant_type={GRANT_TYPE}&device_code=CANARY-device")));
        assert!(polled.authorization.is_some() && !format!("{polled:?}").contains("CANARY"));
        assert!(authorization_request(&terms, &[], &Provider::default()).is_none());
    }

    fn form(request: &TokenRequest) -> String {
        let Content::Form(form) = &request.content else { panic!("a form") };
        let members: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
        members.join("&")
    }
}
