//! What a login sends, and what it makes of answers.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast_core::classify::Quirks;
use outlast_core::grant::{ClientAuth, Wanted};
use outlast_core::wire::Content;
use outlast_core::{GrantId, Provider, Reply, Secret, Terms};
use outlast_oauth::login::{
    Answered, Asking, Authorization, CannotAsk, Denial, Pushed, read_answer, read_pasted, read_pushed,
};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

const REDIRECT: &str = "http://127.0.0.1:4711/callback";
const ISSUER: &str = "https://as.example";

fn terms() -> Terms {
    Terms {
        client_id: "client".to_owned(),
        scope: vec!["api:read api:write".to_owned()],
        ..Terms::new(GrantId::parse("crm").unwrap(), "authorization_code", ISSUER)
    }
}

fn provider() -> Provider {
    Provider {
        name: "issuer".to_owned(),
        issuer: Some(ISSUER.to_owned()),
        token_endpoint: format!("{ISSUER}/token"),
        authorization_endpoint: Some(format!("{ISSUER}/authorize?tenant=a")),
        code_challenge_methods: Some(vec!["plain".to_owned(), "S256".to_owned()]),
        names_issuer: true,
        ..Provider::default()
    }
}

fn begin(terms: &Terms, provider: &Provider, wanted: &Wanted) -> Result<Authorization, CannotAsk> {
    Authorization::begin(&Asking { terms, provider, wanted, redirect_uri: REDIRECT, proof_key_thumbprint: None })
}

fn query(address: &str) -> BTreeMap<String, String> {
    let pairs: Vec<_> = Url::parse(address).unwrap().query_pairs().into_owned().collect();
    let count = pairs.len();
    let members: BTreeMap<_, _> = pairs.into_iter().collect();
    assert_eq!(members.len(), count, "a parameter is sent twice: {address}");
    members
}

fn form(request: &outlast_core::TokenRequest) -> BTreeMap<String, String> {
    let own = request.form_members().iter().map(|(name, value)| ((*name).to_owned(), value.expose().to_owned()));
    let further = request.further.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
    own.chain(further).collect()
}

#[test]
fn n15_a_request_carries_the_challenge_and_the_exchange_its_verifier_each_time_anew() {
    let (terms, provider) = (terms(), provider());
    let mut seen = Vec::new();
    for _ in 0..50 {
        let request = begin(&terms, &provider, &Wanted::default()).unwrap();
        let asked = query(&request.address());
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!((asked["response_type"].as_str(), asked["tenant"].as_str()), ("code", "a"));
        assert_eq!((asked["client_id"].as_str(), asked["redirect_uri"].as_str()), ("client", REDIRECT));
        let exchanged = form(&request.exchange(&Secret::new("c"), &terms, &provider));
        assert_eq!(exchanged["grant_type"], "authorization_code");
        assert_eq!(exchanged["redirect_uri"], REDIRECT);
        assert!(!exchanged.contains_key("scope"));
        assert!(!request.address().contains(&exchanged["code_verifier"]), "the verifier is never in an address");
        seen.extend([asked["state"].clone(), exchanged["code_verifier"].clone()]);
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "a state or verifier was used twice");
}

#[test]
fn n45_a_server_found_through_its_resource_has_to_list_s256() {
    let listing = |methods: Option<&[&str]>, must_list_pkce| Provider {
        code_challenge_methods: methods.map(|all| all.iter().map(|method| (*method).to_owned()).collect()),
        must_list_pkce,
        ..provider()
    };
    let asked = |provider: &Provider| begin(&terms(), provider, &Wanted::default()).map(drop);
    assert_eq!(asked(&listing(None, true)), Err(CannotAsk::SilentAboutS256));
    assert_eq!(asked(&listing(None, false)), Ok(()), "RFC 8414 lets others say nothing");
    for methods in [&[] as &[&str], &["plain"], &["s256"]] {
        assert_eq!(asked(&listing(Some(methods), true)), Err(CannotAsk::NoS256), "{methods:?}");
    }
    assert_eq!(asked(&listing(Some(&["plain", "S256"]), true)), Ok(()));
}

#[test]
fn n15_n45_a_server_without_s256_is_refused_and_never_asked_plainly() {
    let with = |methods: Option<&[&str]>, must_list_pkce| {
        let code_challenge_methods = methods.map(|list| list.iter().map(|each| (*each).to_owned()).collect());
        let provider = Provider { code_challenge_methods, must_list_pkce, ..provider() };
        begin(&terms(), &provider, &Wanted::default()).map(|request| query(&request.address()))
    };
    assert_eq!(with(Some(&["plain"]), false).unwrap_err(), CannotAsk::NoS256);
    assert_eq!(with(Some(&[]), false).unwrap_err(), CannotAsk::NoS256);
    assert_eq!(with(None, true).unwrap_err(), CannotAsk::SilentAboutS256);
    assert_eq!(with(None, false).unwrap()["code_challenge_method"], "S256");
}

#[test]
fn a_provider_that_refuses_a_challenge_gets_none() {
    let provider = Provider { refuses_pkce: true, code_challenge_methods: None, ..provider() };
    let request = begin(&terms(), &provider, &Wanted::default()).unwrap();
    assert!(!request.address().contains("code_challenge"));
    assert!(!form(&request.exchange(&Secret::new("c"), &terms(), &provider)).contains_key("code_verifier"));
}

#[test]
fn n41_the_resource_goes_with_the_request_the_push_and_the_exchange() {
    let terms = Terms { resource: Some("https://api.example/v1".to_owned()), ..terms() };
    let provider = Provider { push_endpoint: Some(format!("{ISSUER}/par")), ..provider() };
    let request = begin(&terms, &provider, &Wanted::default()).unwrap();
    assert_eq!(query(&request.address())["resource"], "https://api.example/v1");
    assert_eq!(form(&request.push(&terms, &provider).unwrap())["resource"], "https://api.example/v1");
    assert_eq!(form(&request.exchange(&Secret::new("c"), &terms, &provider))["resource"], "https://api.example/v1");
}

#[test]
fn f42_what_was_challenged_for_goes_with_the_login() {
    let wanted = Wanted {
        scope: vec!["api:write".to_owned(), "api:admin".to_owned()],
        acr_values: Some("gold silver".to_owned()),
        max_age: Some(Duration::from_secs(0)),
        claims: Some(r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#.to_owned()),
        ..Wanted::default()
    };
    let asked = query(&begin(&terms(), &provider(), &wanted).unwrap().address());
    assert_eq!(asked["scope"], "api:read api:write api:admin", "each scope once");
    assert_eq!((asked["acr_values"].as_str(), asked["max_age"].as_str()), ("gold silver", "0"));
    assert_eq!(asked["claims"], wanted.claims.unwrap());
}

#[test]
fn a_provider_gets_its_own_parameters_and_separator_and_none_of_ours_is_replaced() {
    let own = [("access_type", "offline"), ("state", "fixed"), ("prompt", "select_account")];
    let provider = Provider {
        scope_separator: Some(','),
        authorization_parameters: own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..provider()
    };
    let terms = Terms { scope: vec!["openid".to_owned(), "offline_access".to_owned()], ..terms() };
    let asked = query(&begin(&terms, &provider, &Wanted::default()).unwrap().address());
    assert_eq!(asked["scope"], "openid,offline_access");
    assert_eq!((asked["access_type"].as_str(), asked["prompt"].as_str()), ("offline", "select_account"));
    assert_ne!(asked["state"], "fixed");
    assert!(asked["nonce"].len() >= 43, "openid brings a nonce");
}

#[test]
fn n53_only_web_addresses_are_shown_to_a_person() {
    for endpoint in [
        "javascript:alert(1)//https://as.example",
        "-x",
        "file:///etc/passwd",
        "http://as.example/authorize",
        "data:text/html,x",
        "https://u:p@as.example/authorize",
        "$(touch x)",
        "calc&",
    ] {
        let provider = Provider { authorization_endpoint: Some(endpoint.to_owned()), ..provider() };
        assert_eq!(begin(&terms(), &provider, &Wanted::default()).unwrap_err(), CannotAsk::Address, "{endpoint}");
    }
    let nasty = Provider { authorization_endpoint: Some(format!("{ISSUER}/a?x=$(calc)&calc")), ..provider() };
    let address = begin(&terms(), &nasty, &Wanted::default()).unwrap().address();
    assert!(address.starts_with("https://as.example/a?"), "{address}");
    assert!(!address.contains([' ', '"', '\'', '`', '\n']), "{address}");
}

#[test]
fn what_is_missing_is_named() {
    let no_endpoint = Provider { authorization_endpoint: None, ..provider() };
    assert_eq!(begin(&terms(), &no_endpoint, &Wanted::default()).unwrap_err(), CannotAsk::NoEndpoint);
    let no_client = Terms { client_id: String::new(), ..terms() };
    assert_eq!(begin(&no_client, &provider(), &Wanted::default()).unwrap_err(), CannotAsk::NoClient);
}

#[test]
fn n29_a_pushed_request_leaves_nothing_but_a_reference_in_the_address() {
    let terms = Terms { client_auth: ClientAuth::Basic(Secret::new("CANARY")), ..terms() };
    let provider = Provider { push_endpoint: Some(format!("{ISSUER}/par")), push_required: true, ..provider() };
    let request = begin(&terms, &provider, &Wanted::default()).unwrap();
    let push = request.push(&terms, &provider).unwrap();
    assert!(matches!(push.content, Content::Form(_)));
    assert_eq!(push.endpoint, "https://as.example/par");
    assert!(push.authorization.is_some());
    let pushed = form(&push);
    assert_eq!(pushed["code_challenge_method"], "S256");
    let asked = query(&request.pushed_address("urn:x:1", &terms));
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["client_id", "request_uri", "tenant"]);
    assert!(!format!("{request:?}").contains("CANARY"));
}

#[test]
fn n29_a_client_is_named_once_in_a_pushed_request() {
    let provider = Provider { push_endpoint: Some(format!("{ISSUER}/par")), ..provider() };
    for client_auth in [ClientAuth::None, ClientAuth::Post(Secret::new("s")), ClientAuth::Basic(Secret::new("s"))] {
        let terms = Terms { client_auth, ..terms() };
        let push = begin(&terms, &provider, &Wanted::default()).unwrap().push(&terms, &provider).unwrap();
        let own = push.form_members().iter().filter(|(name, _)| *name == "client_id").count();
        let further = push.further.iter().filter(|(name, _)| name == "client_id").count();
        assert_eq!(own + further, 1, "{:?}", terms.client_auth);
    }
}

#[test]
fn n29_the_answer_to_a_push_is_read_strictly() {
    let read = |status, body: &str| {
        let reply = Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() };
        read_pushed(&reply, &Quirks::default())
    };
    let good = Pushed { request_uri: "urn:x:1".to_owned(), expires_in: Duration::from_secs(60) };
    assert_eq!(read(201, r#"{"request_uri":"urn:x:1","expires_in":60}"#).unwrap(), good);
    for body in ["", "{}", r#"{"request_uri":"urn:x:1"}"#, r#"{"request_uri":"","expires_in":60}"#, "<html>"] {
        assert!(read(201, body).is_err(), "{body}");
    }
    assert!(read(400, r#"{"error":"invalid_request"}"#).is_err());
}

fn answered(query: &str, provider: &Provider) -> (Authorization, Answered) {
    let request = begin(&terms(), provider, &Wanted::default()).unwrap();
    let query = query.replace("STATE", request.state().expose());
    let answered = read_answer(&query, std::slice::from_ref(&request), provider);
    (request, answered)
}

#[test]
fn an_answer_of_this_login_brings_its_code() {
    let (_, code) = answered("code=c%2B1&state=STATE&iss=https%3A%2F%2Fas.example", &provider());
    assert!(matches!(code, Answered::Code(0, code) if code.expose() == "c+1"));
}

#[test]
fn f73_an_answer_without_the_state_of_this_login_is_a_strangers() {
    for query in [
        "code=forged&iss=https%3A%2F%2Fas.example",
        "code=forged&state=&iss=https%3A%2F%2Fas.example",
        "code=forged&state=guess&iss=https%3A%2F%2Fas.example",
        "code=forged&state=STATEx",
        "code=forged&state=STATE&state=STATE",
        "",
        "error=access_denied&state=guess",
    ] {
        assert!(matches!(answered(query, &provider()).1, Answered::Stranger), "{query}");
    }
    let long = format!("code={}&state=STATE", "c".repeat(20_000));
    assert!(matches!(answered(&long, &provider()).1, Answered::Stranger));
}

#[test]
fn n30_n49_the_issuer_is_compared_as_it_is_and_before_anything_else_of_an_answer() {
    let refused = [
        "iss=https%3A%2F%2Fevil.example",
        "iss=https%3A%2F%2Fas.example%2F",
        "iss=https%3A%2F%2FAS.example",
        "iss=https%3A%2F%2Fas.example%3A443",
        "iss=",
        "iss=https%3A%2F%2Fas.example&iss=https%3A%2F%2Fas.example",
        "x=1",
    ];
    for iss in refused {
        for rest in ["code=c", "error=access_denied&error_description=%1b%5b2J+ignore+everything"] {
            let query = format!("{rest}&state=STATE&{iss}");
            assert!(matches!(answered(&query, &provider()).1, Answered::Forged(_)), "{query}");
        }
    }
    // A server that does not promise to name itself may leave it out, and may not name another.
    let silent = Provider { names_issuer: false, ..provider() };
    assert!(matches!(answered("code=c&state=STATE", &silent).1, Answered::Code(..)));
    assert!(matches!(answered("code=c&state=STATE&iss=https%3A%2F%2Fe.example", &silent).1, Answered::Forged(_)));
    let unknown = Provider { issuer: None, names_issuer: false, ..provider() };
    assert!(matches!(answered("code=c&state=STATE&iss=https%3A%2F%2Fas.example", &unknown).1, Answered::Code(..)));
}

#[test]
fn n49_no_text_of_an_error_is_repeated_but_its_code() {
    let denied = |error: &str| {
        let query = format!("error={error}&error_description=%1b%5b2JCANARY&error_uri=CANARY&state=STATE&iss={ISSUER}");
        match answered(&query, &provider()).1 {
            Answered::Denied(denial, said) => (denial, said),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(denied("access_denied"), (Denial::Person, "access_denied".to_owned()));
    assert_eq!(denied("invalid_scope"), (Denial::Request, "invalid_scope".to_owned()));
    assert_eq!(denied("temporarily_unavailable").0, Denial::Server);
    for nasty in ["%1b%5b31mred", "use+the+admin+token", "a%0ab", &"x".repeat(65), ""] {
        assert_eq!(denied(nasty).1, "an error without a code", "{nasty}");
    }
}

#[test]
fn a_code_and_an_error_together_are_not_used() {
    for rest in ["code=c&error=x", "code=", "x=1", "code=a&code=b"] {
        let query = format!("{rest}&state=STATE&iss={ISSUER}");
        assert!(matches!(answered(&query, &provider()).1, Answered::Forged(_)), "{query}");
    }
}

#[test]
fn a_pasted_address_has_to_be_the_one_the_browser_comes_back_to() {
    assert_eq!(read_pasted(" http://127.0.0.1:4711/callback?code=c&state=s#_=_\n", REDIRECT), Ok("code=c&state=s"));
    assert_eq!(read_pasted("https://app.example/?code=c", "https://app.example"), Ok("code=c"));
    for pasted in ["", "code", "c&state=s", "http://127.0.0.1:4711/callback", "https://evil.example/callback?code=c"] {
        assert!(read_pasted(pasted, REDIRECT).is_err(), "{pasted}");
    }
}
