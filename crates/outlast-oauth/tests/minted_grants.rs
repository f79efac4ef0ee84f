//! Grants that are signed for: what each grant type signs, to whom, and how the answer is read. The
//! servers themselves cannot be reached from a test; shapes are those of their documents.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use outlast_core::grant::ClientAuth;
use outlast_core::options::{OptionValue, Options};
use outlast_core::strategy::{Redemption, Renewing, Unrenewable};
use outlast_core::wire::{Assertion, AssertionPlace, Content};
use outlast_core::{Grant, GrantId, Provider, Reply, Secret, Terms, TokenRequest};
use outlast_oauth::grant_type::find;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

struct Key {
    pem: String,
    public: Vec<u8>,
}

fn key() -> Key {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    Key { pem, public: public.as_ref().to_vec() }
}

fn terms(grant_type: &str, options: Options) -> Terms {
    Terms {
        client_id: "client".to_owned(),
        scope: vec!["read".to_owned(), "write".to_owned()],
        options,
        ..Terms::new(GrantId::parse("crm").unwrap(), grant_type, "https://login.example.com")
    }
}

fn provider() -> Provider {
    Provider {
        token_endpoint: "https://login.example.com/token".to_owned(),
        issuer: Some("https://login.example.com".to_owned()),
        ..Provider::default()
    }
}

fn renewal(terms: &Terms, provider: &Provider) -> Result<Redemption, Unrenewable> {
    let grant = Grant::empty(terms);
    find(&terms.grant_type).unwrap().renewal(&Renewing {
        grant: &grant,
        terms,
        provider,
        subject_token: None,
        actor_token: None,
    })
}

#[track_caller]
fn posted(terms: &Terms, provider: &Provider) -> TokenRequest {
    match renewal(terms, provider).unwrap() {
        Redemption::Post(request) => request,
        other => panic!("{other:?}"),
    }
}

fn claims(assertion: &Assertion) -> Value {
    Value::Object(assertion.claims.clone())
}

fn secret(text: &str) -> OptionValue {
    OptionValue::Secret(Secret::new(text))
}

fn text(text: &str) -> OptionValue {
    OptionValue::Text(text.to_owned())
}

fn table(members: &[(&str, &str)]) -> OptionValue {
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    OptionValue::Table(members.collect::<BTreeMap<_, _>>())
}

#[test]
fn jwt_bearer_signs_for_its_client_to_the_issuer_and_asks_for_the_scope() {
    let key = key();
    let terms = terms("jwt_bearer", Options::default().with("private_key", secret(&key.pem)));
    let request = posted(&terms, &provider());
    assert_eq!(request.endpoint, "https://login.example.com/token");
    let form: Vec<_> = request.form_members().iter().map(|(name, value)| (*name, value.expose())).collect();
    let wanted = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("scope", "read write"),
        ("client_id", "client"),
    ];
    assert_eq!(form, wanted);
    let [assertion] = request.assertions.as_slice() else { panic!("{request:?}") };
    assert_eq!(assertion.place, AssertionPlace::Form("assertion"));
    assert_eq!(claims(assertion), json!({"iss": "client", "sub": "client", "aud": "https://login.example.com"}));
}

#[test]
fn jwt_bearer_signs_what_the_options_say() {
    let options = Options::default()
        .with("private_key", secret(&key().pem))
        .with("key_id", text("k1"))
        .with("algorithm", text("PS256"))
        .with("subject", text("user@example.com"))
        .with("issuer_claim", text("3MVG9"))
        .with("audience", text("https://login.salesforce.com"))
        .with("claims", table(&[("scope", "signature"), ("box_sub_type", "enterprise")]));
    let request = posted(&terms("jwt_bearer", options), &provider());
    let assertion = &request.assertions[0];
    let wanted = json!({"iss": "3MVG9", "sub": "user@example.com", "aud": "https://login.salesforce.com",
        "scope": "signature", "box_sub_type": "enterprise"});
    assert_eq!(claims(assertion), wanted);
    assert_eq!((assertion.key.key_id.as_deref(), assertion.key.algorithm.as_deref()), (Some("k1"), Some("PS256")));
    assert!(assertion.life <= Duration::from_secs(180), "Salesforce takes three minutes at most");
}

#[test]
fn jwt_bearer_also_authenticates_a_client_that_has_a_secret() {
    let options = Options::default().with("private_key", secret(&key().pem));
    let terms = Terms { client_auth: ClientAuth::Basic(Secret::new("secret")), ..terms("jwt_bearer", options) };
    let request = posted(&terms, &provider());
    assert_eq!(request.authorization, Some(Secret::new("Basic Y2xpZW50OnNlY3JldA==")));
    assert!(!request.form_members().iter().any(|(name, _)| *name == "client_id"));
}

fn service_account(key: &str) -> String {
    json!({"type": "service_account", "project_id": "p", "private_key_id": "kid-1", "private_key": key,
        "client_email": "robot@p.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token"})
    .to_string()
}

#[test]
fn a_service_accounts_file_says_who_signs_with_what_and_to_whom() {
    let options = Options::default().with("service_account", secret(&service_account(&key().pem)));
    let terms = Terms { client_id: String::new(), ..terms("jwt_bearer", options.clone()) };
    let request = posted(&terms, &Provider::default());
    assert_eq!(request.endpoint, "https://oauth2.googleapis.com/token");
    let names: Vec<_> = request.form_members().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["grant_type"], "the scope stands in the assertion");
    let assertion = &request.assertions[0];
    let wanted = json!({"iss": "robot@p.iam.gserviceaccount.com", "aud": "https://oauth2.googleapis.com/token",
        "scope": "read write"});
    assert_eq!(claims(assertion), wanted);
    assert_eq!(assertion.key.key_id.as_deref(), Some("kid-1"));

    let delegated = Terms { options: options.with("subject", text("boss@example.com")), ..terms };
    assert_eq!(posted(&delegated, &Provider::default()).assertions[0].claims["sub"], "boss@example.com");
}

#[test]
fn what_is_taken_for_a_service_account_is_explained_and_never_shown() {
    let row = find("jwt_bearer").unwrap();
    for (file, wanted) in [
        (r#"{"type":"authorized_user","refresh_token":"CANARY"}"#.to_owned(), "a person's own credentials"),
        (r#"{"type":"external_account","x":"CANARY"}"#.to_owned(), "workload identity"),
        (r#"{"type":"impersonated_service_account","x":"CANARY"}"#.to_owned(), "another account"),
        (r#"{"installed":{"client_secret":"CANARY"}}"#.to_owned(), "an OAuth client"),
        ("CANARY".to_owned(), "no JSON object"),
        (r#"{"type":"service_account","client_email":"CANARY"}"#.to_owned(), "incomplete"),
        (service_account("CANARY"), "no private key that can be read"),
    ] {
        let terms = terms("jwt_bearer", Options::default().with("service_account", secret(&file)));
        let told = row.check_secrets(&terms).unwrap_err();
        assert!(told.contains(wanted) && told.contains(": ") && !told.contains("CANARY"), "{told}");
    }
}

#[test]
fn jwt_bearer_says_what_is_missing() {
    let row = find("jwt_bearer").unwrap();
    let signs = || Options::default().with("private_key", secret("configured"));
    let nobody = Terms { client_id: String::new(), ..terms("jwt_bearer", signs()) };
    let nowhere = Terms { authorization_server: "none".to_owned(), ..terms("jwt_bearer", signs()) };
    let both = terms("jwt_bearer", signs().with("service_account", secret("configured")));
    let own = terms("jwt_bearer", signs().with("claims", table(&[("exp", "9")])));
    for (terms, wanted) in [
        (terms("jwt_bearer", Options::default()), "nothing to sign with"),
        (nobody, "who signs"),
        (nowhere, "no authorization server"),
        (both, "two keys"),
        (own, "claim exp"),
    ] {
        let told = row.check(&terms).unwrap_err();
        assert!(told.contains(wanted), "{told}");
    }
    assert_eq!(row.check(&terms("jwt_bearer", signs())), Ok(()));
}

fn app() -> Options {
    Options::default().with("installation_id", text("42")).with("private_key", secret(&key().pem))
}

#[test]
fn a_github_app_signs_for_itself_and_narrows_what_it_asks_for() {
    let request = posted(&terms("github_app", app()), &Provider::default());
    assert_eq!(request.endpoint, "https://api.github.com/app/installations/42/access_tokens");
    let Content::Json(body) = &request.content else { panic!("{request:?}") };
    assert_eq!(body.expose(), "{}");
    let assertion = &request.assertions[0];
    assert_eq!(assertion.place, AssertionPlace::Bearer);
    assert_eq!(claims(assertion), json!({"iss": "client"}));
    assert_eq!(assertion.backdated, Duration::from_secs(60));
    assert!(assertion.life < Duration::from_secs(600), "ten minutes is the most that GitHub takes");
    assert_eq!(assertion.key.algorithm.as_deref(), Some("RS256"));

    let narrowed = app()
        .with("app_id", text("7"))
        .with("api", text("https://github.example.com/api/v3/"))
        .with("repositories", OptionValue::List(vec!["one".to_owned()]))
        .with("permissions", table(&[("contents", "read")]));
    let request = posted(&terms("github_app", narrowed), &Provider::default());
    assert_eq!(request.endpoint, "https://github.example.com/api/v3/app/installations/42/access_tokens");
    let Content::Json(body) = &request.content else { panic!("{request:?}") };
    let body: Value = serde_json::from_str(body.expose()).unwrap();
    assert_eq!(body, json!({"repositories": ["one"], "permissions": {"contents": "read"}}));
    assert_eq!(claims(&request.assertions[0]), json!({"iss": "7"}));
}

#[test]
fn f64_an_installation_that_is_no_number_and_an_insecure_api_are_refused() {
    let row = find("github_app").unwrap();
    for (name, value) in
        [("installation_id", "42/../../user"), ("installation_id", "x"), ("api", "http://github.example.com")]
    {
        assert!(row.check(&terms("github_app", app().with(name, text(value)))).is_err(), "{name} = {value}");
    }
    let nobody = Terms { client_id: String::new(), ..terms("github_app", app()) };
    assert!(row.check(&nobody).is_err());
    assert_eq!(row.check(&terms("github_app", app())), Ok(()));
}

#[test]
fn f18_the_life_of_an_installations_token_is_told_by_the_servers_own_clock() {
    let row = find("github_app").unwrap();
    let read = |date: Option<&'static str>, body: &str| {
        let mut reply = Reply { status: 201, body: body.as_bytes().to_vec(), ..Reply::default() };
        date.map(|date| reply.headers.insert("date", HeaderValue::from_static(date)));
        row.read(&reply, &terms("github_app", app()))
    };
    let body = r#"{"token":"ghs_16C7e42F292c6912E7710c838347Ae178B4a","expires_at":"2016-07-11T22:14:10Z",
        "permissions":{"issues":"write"},"repository_selection":"selected"}"#;
    let dated = read(Some("Mon, 11 Jul 2016 21:44:10 GMT"), body).unwrap();
    assert_eq!(dated.access.expose(), "ghs_16C7e42F292c6912E7710c838347Ae178B4a");
    assert_eq!(dated.expires_in, Some(Duration::from_secs(1800)));
    assert_eq!(read(None, body).unwrap().expires_in, Some(Duration::from_secs(3600)));
    assert_eq!(read(None, r#"{"token":"ghs_x"}"#).unwrap().expires_in, Some(Duration::from_secs(3600)));
    for body in
        ["", "{}", r#"{"token":""}"#, r#"{"token":"a b"}"#, r#"{"token":"a\r\nb"}"#, r#"{"message":"Not Found"}"#]
    {
        assert!(read(None, body).is_none(), "{body}");
    }
}

#[test]
fn a_key_pair_jwt_names_account_user_and_the_public_keys_fingerprint() {
    let key = key();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.public);
    let fingerprint = format!("SHA256:{}", STANDARD.encode(hash));
    for (account, name) in [
        ("exampleorg-account1", "EXAMPLEORG-ACCOUNT1"),
        ("xy12345.eu-central-1", "XY12345"),
        ("xy12345-k7.global", "XY12345"),
    ] {
        let options = Options::default()
            .with("account", text(account))
            .with("user", text("robot"))
            .with("private_key", secret(&key.pem));
        let Redemption::Sign(assertion) = renewal(&terms("key_pair_jwt", options), &Provider::default()).unwrap()
        else {
            panic!("it is signed and not sent");
        };
        let wanted = json!({"iss": format!("{name}.ROBOT.{fingerprint}"), "sub": format!("{name}.ROBOT")});
        assert_eq!(claims(&assertion), wanted);
        assert!(assertion.life + assertion.backdated <= Duration::from_secs(3600));
    }
}
