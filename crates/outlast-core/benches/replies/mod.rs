//! The replies that the benchmarks judge.
#![allow(dead_code, missing_docs, unreachable_pub)]

use http::{HeaderMap, HeaderName, HeaderValue};
use outlast_core::classify::{EndpointKind, Judgement, Quirks, classify};
use std::hint::black_box;

pub struct Reply {
    pub kind: EndpointKind,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn judge(&self) -> Judgement {
        let quirks = Quirks::default();
        classify(black_box(self.kind), black_box(self.status), black_box(&self.headers), black_box(&self.body), &quirks)
    }
}

pub const CHALLENGE: &str =
    "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"The access token expired\"";
pub const JSON: &str = "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been expired or revoked.\"}";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let common = [("content-type", "application/json"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("server", "x")];
    common
        .iter()
        .chain(fields)
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value")))
        .collect()
}

/// The reply of that name; a panic for any other.
pub fn named(name: &str) -> Reply {
    let api = EndpointKind::Resource;
    let (kind, status, fields, body): (_, _, &[(&'static str, &str)], String) = match name {
        "success" => (api, 200, &[], "{\"items\":[1,2,3]}".to_owned()),
        "challenge" => (api, 401, &[("www-authenticate", CHALLENGE)], String::new()),
        "json" => (EndpointKind::Token, 400, &[], JSON.to_owned()),
        "form" => (EndpointKind::Token, 400, &[], "error=invalid_grant&error_description=expired".to_owned()),
        "xml" => (api, 403, &[], "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned()),
        "unknown" => (api, 403, &[], "word ".repeat(400)),
        "hostile brackets" => (api, 400, &[], "[".repeat(1 << 20)),
        "hostile keys" => (api, 400, &[], "{\"error\":\"token expired\",".repeat((1 << 20) / 24)),
        "hostile text" => (api, 401, &[], "token ".repeat((1 << 20) / 6)),
        "hostile xml" => (api, 401, &[], "<a b=\"c\">".repeat((1 << 20) / 9)),
        other => panic!("no reply is named {other}"),
    };
    Reply { kind, status, headers: headers(fields), body: body.into_bytes() }
}
