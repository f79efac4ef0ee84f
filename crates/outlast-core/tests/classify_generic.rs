//! The generic rules, by fixtures and by pairs that differ in almost nothing.
#![allow(clippy::unwrap_used, missing_docs)]

mod recorded;

use http::{HeaderMap, HeaderName, HeaderValue};
use outlast_core::Timestamp;
use outlast_core::classify::{EndpointKind, Judgement, Quirks, StepUp, Verdict, classify, classify_at, quirks};
use recorded::Case;
use std::time::Duration;

fn judge(kind: EndpointKind, status: u16, headers: &[(&str, &str)], body: &str) -> Judgement {
    classify(kind, status, &map(headers), body.as_bytes(), &Quirks::default())
}

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn class(kind: EndpointKind, status: u16, body: &str) -> &'static str {
    judge(kind, status, &[], body).verdict.class()
}

fn at_api(status: u16, body: &str) -> &'static str {
    class(EndpointKind::Resource, status, body)
}

fn at_token(status: u16, body: &str) -> &'static str {
    class(EndpointKind::Token, status, body)
}

#[test]
fn every_generic_fixture_gets_its_verdict() {
    let wrong: Vec<String> = Case::read_all(include_str!("fixtures/generic.jsonl"))
        .iter()
        .filter(|case| case.judge(false) != case.class)
        .map(|case| {
            format!("{} ({} {}) is {}, judged {}", case.id, case.status, case.body, case.class, case.judge(false))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pairs_that_differ_in_a_word_differ_in_their_verdict() {
    let pairs = [
        (at_api(401, r#"{"message":"The access token expired"}"#), "access_token_expired"),
        (at_api(401, r#"{"message":"The API key expired"}"#), "client_misconfigured"),
        (at_api(400, r#"{"error":"The access token has expired"}"#), "access_token_expired"),
        (at_api(400, r#"{"error":"The reset token has expired"}"#), "not_auth"),
        (at_api(403, r#"{"message":"Invalid token"}"#), "access_token_invalid"),
        (at_api(403, r#"{"message":"Invalid permissions"}"#), "permission_denied"),
        (at_api(403, r#"{"message":"Insufficient scopes"}"#), "insufficient_scope"),
        (at_api(403, r#"{"message":"Insufficient permissions"}"#), "permission_denied"),
        (at_api(401, r#"{"message":"Session expired"}"#), "access_token_expired"),
        (at_api(404, r#"{"message":"Session expired"}"#), "not_auth"),
        (at_api(400, r#"{"error":"ExpiredToken"}"#), "access_token_expired"),
        (at_api(400, r#"{"error":"ExpiredNextToken"}"#), "not_auth"),
        (at_api(403, r#"{"message":"Request rate limit exceeded"}"#), "rate_limited"),
        (at_api(403, r#"{"message":"Request body size limit exceeded"}"#), "permission_denied"),
        (at_api(200, r#"{"error":"access token expired"}"#), "access_token_expired"),
        (at_api(200, r#"{"title":"access token expired"}"#), "not_auth"),
        (at_api(403, r#"{"error":"x"}"#), "permission_denied"),
        (at_api(403, "<html><title>x</title></html>"), "unknown"),
        (at_token(400, r#"{"error":"invalid_grant"}"#), "refresh_token_expired_or_revoked"),
        (at_token(400, r#"{"error":"invalid_client"}"#), "client_misconfigured"),
        (at_token(400, r#"{"error":"invalid_grant","suberror":"bad_token"}"#), "refresh_token_expired_or_revoked"),
        (at_token(400, r#"{"error":"invalid_grant","suberror":"basic_action"}"#), "step_up_required"),
        (at_token(400, "{\"error\":\"invalid_grant\"}"), "refresh_token_expired_or_revoked"),
        (at_token(400, "invalid_grant"), "unknown"),
        (at_token(400, r#"{"error":"invalid_grant"}"#), "refresh_token_expired_or_revoked"),
        (at_token(503, r#"{"error":"invalid_grant"}"#), "transient"),
        (class(EndpointKind::Device, 400, r#"{"error":"access_denied"}"#), "refresh_token_expired_or_revoked"),
        (at_token(400, r#"{"error":"access_denied"}"#), "permission_denied"),
        (at_api(401, r#"{"error":"Token is not active"}"#), "access_token_invalid"),
        (
            at_token(400, r#"{"error":"invalid_grant","error_description":"Token is not active"}"#),
            "refresh_token_expired_or_revoked",
        ),
    ];
    for (place, (judged, expected)) in pairs.into_iter().enumerate() {
        assert_eq!(judged, expected, "row {place}");
    }
}

#[test]
fn n09_a_description_never_makes_a_grant_dead() {
    for code in ["invalid_client", "server_error", "unauthorized_client", "temporarily_unavailable", "e_1"] {
        for words in ["invalid_grant", "the grant is invalid_grant and revoked", "access token revoked"] {
            let body = format!(r#"{{"error":"{code}","error_description":"{words}"}}"#);
            assert_ne!(at_token(400, &body), "refresh_token_expired_or_revoked", "{body}");
        }
    }
}

#[test]
fn d5_no_format_but_a_parsed_one_makes_a_grant_dead() {
    let bodies = [
        "invalid_grant",
        "error: invalid_grant",
        "<html><body>{\"error\":\"invalid_grant\"}</body></html>",
        "<error>invalid_grant</error>",
        "{\"message\":\"invalid_grant\"}",
        "{\"data\":{\"request\":{\"error\":\"invalid_grant\"}}}",
    ];
    for body in bodies {
        for status in [200, 400, 401, 403, 500] {
            assert_ne!(at_token(status, body), "refresh_token_expired_or_revoked", "{status} {body}");
        }
    }
    let header = [("www-authenticate", "Bearer error=\"invalid_grant\"")];
    assert_ne!(judge(EndpointKind::Token, 400, &header, "").verdict, Verdict::GrantDead);
}

#[test]
fn a_resource_never_kills_a_grant() {
    for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"refresh_token_expired"}"#, "Invalid refresh token"] {
        for status in [200, 400, 401, 403, 404, 500] {
            assert_ne!(judge(EndpointKind::Resource, status, &[], body).verdict, Verdict::GrantDead);
        }
    }
}

#[test]
fn n13_header_forms_of_an_expired_token_are_all_understood() {
    let forms = [
        "Bearer error=\"invalid_token\", error_description=\"The access token expired\"",
        "bearer ERROR=\"invalid_token\", Error_Description=\"The access token expired\"",
        "Bearer error=invalid_token, error_description=The access token expired",
        "Bearer error=\"invalid_token\" error_description=\"The access token expired\"",
        "Bearer realm=\"a, b\", error=\"invalid_token\", error_description=\"The access token expired, sorry\"",
        "Basic realm=\"x\", Bearer error=\"invalid_token\", error_description=\"The access token expired\"",
        "Negotiate, NTLM, Bearer error=\"invalid_token\", error_description=\"The access token expired\"",
        "Bearer error=\"The access token expired\"",
        "Bearer error=\"token_expired\"",
        "OAuth \"Platform\" \"invalid_token\" \"Session has expired\"",
        "OAuth realm=\"x\", oauth_problem=\"token_expired\"",
        "error=\"invalid_token\", error_description=\"The access token expired\"",
        "Bearer error=\"invalid_token\", error_description=\"The access token expired",
    ];
    for form in forms {
        let judged = judge(EndpointKind::Resource, 401, &[("www-authenticate", form)], "");
        assert_eq!(judged.verdict, Verdict::AccessTokenExpired, "{form}");
    }
    let two = [
        ("www-authenticate", "Basic realm=\"x\""),
        ("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"a\""),
    ];
    let scopes = vec!["a".to_owned()];
    assert_eq!(judge(EndpointKind::Resource, 403, &two, "").verdict, Verdict::InsufficientScope { scopes });
}

#[test]
fn n34_a_step_up_carries_what_the_server_asks_for() {
    let field = "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:gold urn:silver\", max_age=300";
    let judged = judge(EndpointKind::Resource, 401, &[("www-authenticate", field)], "");
    let expected = StepUp {
        acr_values: Some("urn:gold urn:silver".to_owned()),
        max_age: Some(Duration::from_secs(300)),
        claims: None,
    };
    assert_eq!(judged.verdict, Verdict::StepUpRequired(expected));
    let body = r#"{"error":"interaction_required","claims":"{\"access_token\":{\"acrs\":{\"value\":\"c1\"}}}"}"#;
    let Verdict::StepUpRequired(step_up) = judge(EndpointKind::Token, 400, &[], body).verdict else { panic!() };
    assert_eq!(step_up.claims.as_deref(), Some(r#"{"access_token":{"acrs":{"value":"c1"}}}"#));
}

#[test]
fn n33_a_nonce_is_carried_and_wanted_at_both_kinds_of_endpoint() {
    let nonce = Some("n-1".to_owned());
    let field = [("www-authenticate", "DPoP algs=\"ES256\", error=\"use_dpop_nonce\""), ("dpop-nonce", "n-1")];
    assert_eq!(
        judge(EndpointKind::Resource, 401, &field, "").verdict,
        Verdict::DpopNonceRequired { nonce: nonce.clone() }
    );
    let judged = judge(EndpointKind::Token, 400, &[("dpop-nonce", "n-1")], r#"{"error":"use_dpop_nonce"}"#);
    assert_eq!(judged.verdict, Verdict::DpopNonceRequired { nonce });
}

#[test]
fn resource_metadata_is_found_in_the_challenge() {
    let field = "Bearer resource_metadata=\"https://a.example/.well-known/oauth-protected-resource\"";
    let judged = judge(EndpointKind::Resource, 401, &[("www-authenticate", field)], "");
    assert_eq!(judged.resource_metadata.as_deref(), Some("https://a.example/.well-known/oauth-protected-resource"));
}

#[test]
fn f31_waits_are_read_from_header_and_body_and_capped() {
    let wait = |headers: &[(&str, &str)], body: &str| judge(EndpointKind::Resource, 429, headers, body).retry_after;
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!(wait(&[("retry-after", "30")], ""), seconds(30));
    assert_eq!(wait(&[("retry-after", "999999999")], ""), seconds(3600));
    assert_eq!(wait(&[("retry-after", "soon")], ""), None);
    assert_eq!(wait(&[("retry-after-ms", "1500"), ("retry-after", "9")], ""), Some(Duration::from_millis(1500)));
    assert_eq!(wait(&[], r#"{"retry_after":0.65}"#), Some(Duration::from_millis(650)));
    assert_eq!(wait(&[], r#"{"retry_after_ms":2000}"#), seconds(2));
    assert_eq!(wait(&[], r#"{"error":{"details":[{"retryDelay":"34s"}]}}"#), seconds(34));
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(wait(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], ""), seconds(30));
    assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], ""), None);
    let headers = map(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]);
    let now = Timestamp::from_secs(784_111_777);
    let judged = classify_at(EndpointKind::Resource, 429, &headers, b"", &Quirks::default(), now);
    assert_eq!(judged.retry_after, seconds(30));
}

#[test]
fn the_evidence_says_where_and_holds_no_token() {
    let judged = judge(EndpointKind::Token, 400, &[], r#"{"error":"invalid_grant","error_description":"x"}"#);
    assert_eq!((judged.evidence.place, judged.evidence.found.as_str()), ("body error", "invalid_grant"));
    let secret = "c643a63c072f0f05478e9d18b991db80ef6061e4f8e6c822d83fed53e5fafdd7";
    let body = format!(r#"{{"errors":[{{"errorType":"x","message":"Access token expired: {secret}"}}]}}"#);
    let judged = judge(EndpointKind::Resource, 401, &[], &body);
    assert_eq!(judged.verdict, Verdict::AccessTokenExpired);
    assert!(!format!("{judged:?}").contains(secret), "{judged:?}");
}

#[test]
fn a_status_tunnelled_in_a_success_is_heard_and_data_is_not() {
    assert_eq!(at_api(200, r#"{"error":{"code":498,"message":"Invalid token"}}"#), "access_token_invalid");
    assert_eq!(at_api(200, r#"{"data":{"code":401,"error":"access token expired"}}"#), "not_auth");
}

#[test]
fn an_error_behind_the_peek_of_a_success_is_not_waited_for() {
    let padding = "x".repeat(quirks::SUCCESS_PEEK_BYTES);
    let body = format!(r#"{{"message":"{padding}","error":"access token expired"}}"#);
    assert_eq!(at_api(200, &body), "not_auth");
    assert_eq!(at_api(401, &body), "access_token_expired");
}

#[test]
fn f34_a_cut_or_broken_body_is_read_as_far_as_it_goes() {
    assert_eq!(at_token(400, r#"{"error":"invalid_grant","error_desc"#), "refresh_token_expired_or_revoked");
    assert_eq!(at_token(400, "\u{feff}{\"error\":\"invalid_grant\"}"), "refresh_token_expired_or_revoked");
    assert_eq!(at_token(400, r#"{"error":"#), "unknown");
    assert_eq!(
        at_token(400, r#"{"error":"invalid_grant"#),
        "unknown",
        "a word that is cut may be the beginning of another"
    );
    assert_eq!(at_token(400, &"[".repeat(100_000)), "unknown");
    assert_eq!(at_token(400, &r#"{"a":"#.repeat(100_000)), "unknown");
    assert_eq!(at_token(200, "\0\0\0"), "unknown");
}
