//! A hundred and fifty challenges of resources and more (T13): what is meant, in every dress that it comes in,
//! and what means nothing and is taken for no more than its status.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use outlast_core::classify::{EndpointKind, Judgement, Quirks, Verdict, classify};

/// What a resource means: its status, its parameters, and what we take it for.
const MEANINGS: [(u16, &str, &str); 8] = [
    (401, r#"error="invalid_token""#, "access_token_invalid"),
    (401, r#"error="invalid_token", error_description="The access token expired""#, "access_token_expired"),
    (401, r#"error="token_expired""#, "access_token_expired"),
    (401, r#"error="insufficient_user_authentication", acr_values="urn:gold", max_age="300""#, "step_up_required"),
    (403, r#"error="insufficient_scope", scope="read write""#, "insufficient_scope"),
    (403, r#"error="invalid_token""#, "access_token_invalid"),
    (401, r#"error="use_dpop_nonce""#, "dpop_nonce_required"),
    (401, r#"error="insufficient_scope", scope="read""#, "insufficient_scope"),
];

/// The same challenge as servers, gateways and people write it: the fields of one reply.
fn dresses(parameters: &str) -> Vec<Vec<String>> {
    let bearer = format!("Bearer {parameters}");
    let last = |text: &str| text.strip_suffix('"').unwrap_or(text).to_owned();
    let long = "x".repeat(8000);
    let many: String = (0..40).map(|number| format!("x{number}=\"{number}\", ")).collect();
    let one = |text: String| vec![text];
    vec![
        one(bearer.clone()),
        one(format!("bearer {}", parameters.replace("error=", "ERROR="))),
        one(format!("DPoP algs=\"ES256 PS256\", {parameters}")),
        one(format!("Bearer realm=\"api\", {parameters}")),
        one(format!("{bearer}, realm=\"api\"")),
        one(format!("Bearer realm=\"a, b=c\", {parameters}")),
        one(format!(r#"Bearer realm="say \"no\"", {parameters}"#)),
        one(format!("Bearer {}", parameters.replace('=', " = "))),
        one(format!("Bearer\t{}", parameters.replace(", ", ",\t"))),
        one(format!("Bearer {}", parameters.replace(", ", ","))),
        one(format!("Bearer {}", parameters.replace(", ", " "))),
        one(format!(" , ,{bearer}, ,")),
        one(format!("Basic realm=\"x\", {bearer}")),
        one(format!("{bearer}, Basic realm=\"x\"")),
        one(format!("Negotiate, NTLM, {bearer}")),
        one(format!("Negotiate YIIZ+/a==, {bearer}")),
        one(parameters.to_owned()),
        one(last(&bearer)),
        one(format!("Bearer realm=\"{long}\", {parameters}")),
        one(format!("Bearer {many}{parameters}")),
        one(format!("Bearer realm=\"\u{e9}\u{20ac}\", {parameters}")),
        one(format!("Bearer realm=, {parameters}")),
        one(format!("Bearer realm=\"\", {parameters}")),
        one(format!("Bearer , {parameters}")),
        vec!["Basic realm=\"x\"".to_owned(), bearer.clone()],
        vec![bearer.clone(), "Basic realm=\"x\"".to_owned()],
        vec![String::new(), bearer.clone()],
    ]
}

fn judge(status: u16, fields: &[&[u8]]) -> Judgement {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(field).unwrap());
    }
    classify(EndpointKind::Resource, status, &headers, b"", &Quirks::default())
}

#[test]
fn t13_what_a_challenge_means_does_not_depend_on_its_dress() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (status, parameters, class) in MEANINGS {
        for fields in dresses(parameters) {
            let judged = judge(status, &fields.iter().map(String::as_bytes).collect::<Vec<_>>());
            count += 1;
            let found = judged.verdict.class();
            if found != class {
                wrong.push(format!("{status} {fields:.200?} is {class}, judged {found}"));
            }
        }
    }
    println!("{count} challenges");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 150, "{count}");
}

/// What no server means.
fn nonsense() -> Vec<Vec<u8>> {
    let mut rows: Vec<Vec<u8>> = [
        "",
        " ",
        ",",
        ",,,,",
        "\"",
        "\"\"",
        "\\",
        "=",
        "==",
        "=\"x\"",
        "Bearer",
        "Bearer ",
        "Bearer=",
        "Bearer ==",
        "Bearer \"",
        "Bearer error",
        "Bearer error=",
        "Bearer error=\"",
        "Bearer error=\"\"",
        "Bearer error=,",
        "Bearer error=\"\\",
        "Bearer error=\"\\\"",
        "Bearer error='",
        "Bearer realm=\"error=\\\"insufficient_scope\\\"\"",
        "Bearer realm=\"invalid_client\"",
        "Bearer scope=\"a b\"",
        "Bearer xerror=\"insufficient_scope\"",
        "Bearer error=\"0\"",
        "Bearer error=\"null\"",
        "Bearer error=\"%69nvalid_token\"",
        "<error>insufficient_scope</error>",
        "Basic realm=\"x\"",
        "Bearer,Bearer,Bearer",
        "Bearer Bearer Bearer",
        "\t\t\t",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    rows.extend([
        b"\xff\xfe\xfd".to_vec(),
        b"Bearer error=\"\xff\"".to_vec(),
        b"Bearer \xc0\xaf=\"x\"".to_vec(),
        b",".repeat(60_000),
        b"\"".repeat(60_000),
        b"Bearer ".repeat(9_000),
        b"a=b,".repeat(15_000),
        [b"Bearer realm=\"".as_slice(), &b"\\\"".repeat(30_000)].concat(),
        [b"Bearer realm=\"".as_slice(), &b"x".repeat(60_000), b"\", error=\"insufficient_scope\""].concat(),
    ]);
    rows
}

#[test]
fn t13_what_means_nothing_is_taken_for_its_status_and_kills_nothing() {
    let mut wrong = Vec::new();
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let bare = judge(status, &[]).verdict;
        for field in nonsense() {
            let judged = judge(status, &[&field]);
            let shown = String::from_utf8_lossy(&field[..field.len().min(80)]).into_owned();
            assert_ne!(judged.verdict, Verdict::GrantDead, "{status} {shown}");
            assert!(judged.evidence.found.len() <= 1024 && !judged.evidence.found.chars().any(char::is_control));
            if judged.verdict.class() != bare.class() {
                wrong.push(format!("{status} {shown:?}: {}, bare {}", judged.verdict.class(), bare.class()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Known by their words, though no specification has them there: they may renew or ask, and kill nothing.
    for field in ["Bearer error=\"invalid_grant\"", "{\"error\":\"insufficient_scope\"}"] {
        assert_ne!(judge(403, &[field.as_bytes()]).verdict, Verdict::GrantDead, "{field}");
    }
}
