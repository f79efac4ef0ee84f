//! Recorded replies, one JSON object a line, and what a judge makes of them.
#![allow(dead_code, unreachable_pub)]

use http::{HeaderMap, HeaderName, HeaderValue};
use outlast_core::classify::{EndpointKind, Judgement, Quirks, classify};
use serde_json::Value;

/// One recorded reply and what it is expected to be judged as.
pub struct Case {
    pub id: String,
    pub kind: EndpointKind,
    pub provider: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    pub class: String,
    pub also: Option<String>,
    pub recovery: String,
    pub scopes: Option<Vec<String>>,
    pub retry_after: Option<f64>,
}

impl Case {
    pub fn read_all(text: &str) -> Vec<Self> {
        text.lines().filter(|line| !line.trim().is_empty()).map(Self::read).collect()
    }

    fn read(line: &str) -> Self {
        let row: Value = serde_json::from_str(line).expect("each line is a JSON object");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let expected = &row["expected"];
        let mut headers = HeaderMap::new();
        for (name, value) in row["headers"].as_object().into_iter().flatten() {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values {
                headers.append(
                    HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
                    HeaderValue::from_bytes(text(&value).as_bytes()).expect("a header value"),
                );
            }
        }
        Self {
            id: text(&row["id"]),
            kind: kind_of(&text(&row["endpoint_kind"])),
            provider: text(&row["provider"]),
            status: u16::try_from(row["status"].as_u64().expect("a status")).expect("a status"),
            headers,
            body: match &row["body"] {
                Value::String(body) => body.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            },
            class: text(&expected["class"]),
            also: expected["also"].as_str().map(str::to_owned),
            recovery: expected["recovery"]
                .as_str()
                .unwrap_or_else(|| recovery_of(&text(&expected["class"])))
                .to_owned(),
            scopes: expected["scopes"].as_array().map(|scopes| scopes.iter().map(text).collect()),
            retry_after: expected["retry_after"].as_f64(),
        }
    }

    pub fn judgement(&self, with_provider: bool) -> Judgement {
        let quirks = if with_provider { Quirks::for_provider(&self.provider) } else { Quirks::default() };
        classify(self.kind, self.status, &self.headers, self.body.as_bytes(), &quirks)
    }

    pub fn judge(&self, with_provider: bool) -> &'static str {
        self.judgement(with_provider).verdict.class()
    }

    fn accepts(&self, class: &str) -> bool {
        self.class == class || self.also.as_deref() == Some(class)
    }

    /// A live grant called dead, or a renewal for a reply that asks for none.
    fn is_harmed_by(&self, class: &str) -> bool {
        let dead = "refresh_token_expired_or_revoked";
        let renewals = ["access_token_expired", "access_token_invalid"];
        let renewal_was_right = renewals.iter().any(|renewal| self.accepts(renewal));
        (class == dead && !self.accepts(dead)) || (renewals.contains(&class) && !renewal_was_right)
    }
}

fn kind_of(name: &str) -> EndpointKind {
    match name {
        "api" => EndpointKind::Resource,
        "token" => EndpointKind::Token,
        "device" => EndpointKind::Device,
        other => panic!("no endpoint kind is named {other}"),
    }
}

/// The recovery that goes with a class.
pub fn recovery_of(class: &str) -> &'static str {
    match class {
        "access_token_expired" => "refresh_and_retry",
        "access_token_invalid" => "refresh_and_retry_once",
        "authorization_pending" | "slow_down" => "keep_polling",
        "client_misconfigured" => "fix_configuration",
        "dpop_nonce_required" => "retry_with_nonce",
        "refresh_token_expired_or_revoked" => "reauthenticate",
        "insufficient_scope" => "reauthorize_with_scopes",
        "not_auth" => "none",
        "permission_denied" => "stop",
        "rate_limited" => "wait",
        "step_up_required" => "interactive_step_up",
        "transient" => "backoff_retry",
        _ => "unknown",
    }
}

/// How well a judge did.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
    pub class_or_also: usize,
    pub class_strict: usize,
    /// Recovery of the expected class or of the listed second one.
    pub recovery: usize,
    pub harmful: usize,
    pub misses: Vec<String>,
}

impl Tally {
    pub fn of(cases: &[Case], judge: &dyn Fn(&Case) -> &'static str) -> Self {
        let mut tally = Self::default();
        for case in cases {
            let class = judge(case);
            let recovery = recovery_of(class);
            let recovered =
                recovery == case.recovery || case.also.as_deref().is_some_and(|also| recovery_of(also) == recovery);
            tally.cases += 1;
            tally.class_strict += usize::from(case.class == class);
            tally.class_or_also += usize::from(case.accepts(class));
            tally.recovery += usize::from(recovered);
            tally.harmful += usize::from(case.is_harmed_by(class));
            if case.class != class {
                let mark = match (case.is_harmed_by(class), case.accepts(class)) {
                    (true, _) => "HARMFUL",
                    (false, true) => "second",
                    (false, false) => "wrong",
                };
                tally.misses.push(format!("{mark}: {} ({}) is {}, judged {class}", case.id, case.status, case.class));
            }
        }
        tally
    }

    pub fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.cases.max(1) as f64
    }
}

/// How most clients do it: the first word found anywhere decides.
pub fn substring_baseline(case: &Case) -> &'static str {
    let mut text = case.body.to_ascii_lowercase();
    for value in case.headers.values() {
        text.push_str(&String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    }
    if text.contains("invalid_grant") {
        "refresh_token_expired_or_revoked"
    } else if text.contains("expired") || text.contains("invalid_token") {
        "access_token_expired"
    } else if text.contains("scope") {
        "insufficient_scope"
    } else if text.contains("rate limit") {
        "rate_limited"
    } else if text.contains("invalid_client") {
        "client_misconfigured"
    } else {
        "unknown"
    }
}

/// How the others do it: 401 is answered with a refresh, everything else is passed on.
pub fn status_baseline(case: &Case) -> &'static str {
    match case.status {
        401 => "access_token_invalid",
        429 => "rate_limited",
        500..=599 => "transient",
        _ => "not_auth",
    }
}
