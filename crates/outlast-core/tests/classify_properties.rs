//! Total: any bytes get a verdict, and whatever they are, some verdicts are out of reach.
#![allow(clippy::unwrap_used, missing_docs)]

use http::{HeaderMap, HeaderName, HeaderValue};
use outlast_core::Timestamp;
use outlast_core::classify::challenge::read_challenges;
use outlast_core::classify::redaction::{SHOWN_CHARACTERS_MAX, redact};
use outlast_core::classify::retry_after::{
    RETRY_AFTER_MAX, read_http_date, read_milliseconds, read_reset, read_retry_after,
};
use outlast_core::classify::{EndpointKind, Quirks, Verdict, classify, quirks};
use proptest::prelude::*;

const NAMES: [&str; 12] = [
    "www-authenticate",
    "retry-after",
    "retry-after-ms",
    "date",
    "dpop-nonce",
    "grpc-status",
    "grpc-message",
    "location",
    "x-amzn-errortype",
    "x-github-sso",
    "x-ratelimit-reset",
    "x-accepted-oauth-scopes",
];

fn kinds() -> impl Strategy<Value = EndpointKind> {
    prop_oneof![Just(EndpointKind::Device), Just(EndpointKind::Resource), Just(EndpointKind::Token)]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![
        proptest::collection::vec(0x20_u8..0x7f, 0..120),
        "(Bearer|DPoP|Basic)( [a-z_]{1,12}=\"?[a-z_ ,]{0,20}\"?,?){0,4}".prop_map(String::into_bytes),
        "[0-9]{0,25}(\\.[0-9]{0,5})?".prop_map(String::into_bytes),
    ];
    proptest::collection::vec((0..NAMES.len(), value), 0..6).prop_map(|fields| {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(NAMES[name]), HeaderValue::from_bytes(&value).unwrap());
        }
        map
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let words = "[\\[\\]{}\":,<>/=& a-z_0-9\\\\-]{0,400}".prop_map(String::into_bytes);
    let errors = "\\{\"(error|code|message|errors|data)\":(\\{|\\[)?\"(invalid_grant|token expired|invalid token|scope|expired_token)\"[\\}\\],]{0,3}"
        .prop_map(String::into_bytes);
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..400), words, errors]
}

fn any_quirks() -> impl Strategy<Value = Quirks> {
    (0..=quirks::tables().len()).prop_map(|place| {
        quirks::tables().get(place).map_or_else(Quirks::default, |table| Quirks::for_provider(table.name))
    })
}

/// Ten thousand cases of each at least (T10); more by `PROPTEST_CASES`.
fn many() -> ProptestConfig {
    let told = ProptestConfig::default();
    ProptestConfig { cases: told.cases.max(10_000), failure_persistence: None, ..told }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn any_reply_gets_a_verdict(
        kind in kinds(), status in 0_u16..700, headers in headers(), body in bodies(), quirks in any_quirks()
    ) {
        let judged = classify(kind, status, &headers, &body, &quirks);
        prop_assert!(judged.retry_after.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        prop_assert!(judged.evidence.found.len() <= 4 * SHOWN_CHARACTERS_MAX + 512);
        prop_assert!(!judged.evidence.found.chars().any(char::is_control));
        // A grant is not lost at a resource, nor by a server that is ill.
        if judged.verdict == Verdict::GrantDead {
            prop_assert!(kind != EndpointKind::Resource && status < 500);
        }
        // A token endpoint is not asked for a renewal by its own refusal.
        if kind != EndpointKind::Resource {
            prop_assert!(!judged.verdict.asks_for_renewal());
        }
    }

    #[test]
    fn a_body_that_is_not_json_or_a_form_kills_no_grant_by_the_generic_rules(
        status in 200_u16..500, text in "[a-zA-Z_ ]{0,20}(invalid_grant|Invalid refresh token|token revoked)[a-zA-Z_ .]{0,20}"
    ) {
        let judged = classify(EndpointKind::Token, status, &HeaderMap::new(), text.as_bytes(), &Quirks::default());
        prop_assert_ne!(judged.verdict, Verdict::GrantDead);
    }

    #[test]
    fn any_challenge_is_read_to_its_end(field in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut pieces = 0;
        read_challenges(&field, |_| pieces += 1);
        prop_assert!(pieces <= outlast_core::classify::challenge::CHALLENGE_PARAMETERS_MAX);
    }

    #[test]
    fn any_wait_is_capped(value in proptest::collection::vec(any::<u8>(), 0..80), now in any::<u64>()) {
        let now = Some(Timestamp::from_millis(now));
        for wait in [read_retry_after(&value, now), read_milliseconds(&value), read_reset(&value, now)] {
            prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
        let _ = read_http_date(&value);
    }

    #[test]
    fn redaction_ends_and_is_short(text in any::<String>()) {
        prop_assert!(redact(&text).chars().count() <= SHOWN_CHARACTERS_MAX + 12);
    }
}

/// Work is bounded by what is read, not by what is sent; counted in bytes, not in seconds.
#[test]
fn a_mebibyte_of_anything_is_judged() {
    let mebibyte = 1 << 20;
    for unit in [
        "[",
        "{\"a\":",
        "\"",
        "\\",
        "{\"error\":\"",
        "<a>",
        "<",
        "a=b&",
        "error ",
        "<![CDATA[",
        "\"a\":1,",
        "<html",
        "%",
    ] {
        let body = unit.repeat(mebibyte / unit.len());
        for kind in [EndpointKind::Device, EndpointKind::Resource, EndpointKind::Token] {
            let judged = classify(kind, 400, &HeaderMap::new(), body.as_bytes(), &Quirks::default());
            assert_ne!(judged.verdict, Verdict::GrantDead, "{unit}");
        }
    }
}
