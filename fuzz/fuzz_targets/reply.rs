//! Any whole reply gets a verdict from any provider's table. The input is a line of choices, header
//! lines up to an empty one, and the body.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use outlast_core::classify::explanation::explain;
use outlast_core::classify::retry_after::RETRY_AFTER_MAX;
use outlast_core::classify::{EndpointKind, Quirks, Verdict, classify, quirks};

fuzz_target!(|input: &[u8]| {
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
});

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
