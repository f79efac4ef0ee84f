//! What is taken for an authorization server's metadata, and what is not.
#![allow(clippy::unwrap_used)]

mod support;

use outlast_core::{Code, Reach};
use outlast_oauth::metadata::{discover_within, well_known};
use outlast_oauth::{BODY_BYTES_MAX, DiscoveryError, Limits, Metadata, discover, provider};
use support::{Ending, Server, answer, brief};

const ISSUER: &str = "https://login.example.com";

fn document(issuer: &str, more: &str) -> String {
    format!(r#"{{"issuer":"{issuer}","token_endpoint":"{issuer}/token"{more}}}"#)
}

fn parse(more: &str) -> Result<Metadata, DiscoveryError> {
    Metadata::parse(ISSUER, document(ISSUER, more).as_bytes())
}

/// A server with documents at some paths, and 404 elsewhere.
async fn serve(documents: impl Fn(&str, &str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        let host = support::field(request, "host").unwrap();
        let missing = || answer("404 Not Found", "Content-Type: text/html\r\n", "<html>");
        (documents(path, &format!("http://{host}")).unwrap_or_else(missing), Ending::Hold)
    })
    .await
}

fn paths(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn n20_metadata_is_looked_for_at_the_places_the_issuer_implies() {
    let table: &[(&str, &[&str])] = &[
        (
            "https://a.example",
            &[
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a.example/",
            &[
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a.example:8443/t1",
            &[
                "https://a.example:8443/.well-known/oauth-authorization-server/t1",
                "https://a.example:8443/.well-known/openid-configuration/t1",
                "https://a.example:8443/t1/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a.example/realms/two/",
            &[
                "https://a.example/.well-known/oauth-authorization-server/realms/two",
                "https://a.example/.well-known/openid-configuration/realms/two",
                "https://a.example/realms/two/.well-known/openid-configuration",
            ],
        ),
        (
            "http://127.0.0.1:9000/t/v2.0",
            &[
                "http://127.0.0.1:9000/.well-known/oauth-authorization-server/t/v2.0",
                "http://127.0.0.1:9000/.well-known/openid-configuration/t/v2.0",
                "http://127.0.0.1:9000/t/v2.0/.well-known/openid-configuration",
            ],
        ),
        (
            "http://[::1]:9000",
            &[
                "http://[::1]:9000/.well-known/oauth-authorization-server",
                "http://[::1]:9000/.well-known/openid-configuration",
            ],
        ),
    ];
    for (issuer, places) in table {
        assert_eq!(well_known(issuer).unwrap(), *places, "{issuer}");
    }
}

#[tokio::test]
async fn n20_an_issuer_that_can_be_none_is_refused_before_anything_is_sent() {
    for (issuer, code) in [
        ("http://login.example.com", Code::InsecureAddress),
        ("https://user:CANARY@login.example.com", Code::InsecureAddress),
        ("https://login.example.com/?tenant=CANARY", Code::MetadataInvalid),
        ("https://login.example.com/#CANARY", Code::MetadataInvalid),
        ("login.example.com", Code::MetadataInvalid),
        ("", Code::MetadataInvalid),
    ] {
        let error = discover(issuer, Reach::Anywhere).await.unwrap_err();
        assert_eq!(error.code(), code, "{issuer}");
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
    }
}

#[tokio::test]
async fn metadata_is_found_at_each_of_the_places() {
    for (place, wanted) in [
        ("/.well-known/oauth-authorization-server/t1", 1),
        ("/.well-known/openid-configuration/t1", 2),
        ("/t1/.well-known/openid-configuration", 3),
    ] {
        let server = serve(move |path, origin| {
            (path == place).then(|| answer("200 OK", "", &document(&format!("{origin}/t1"), "")))
        })
        .await;
        let issuer = server.address("/t1");
        let found = discover(&issuer, Reach::Anywhere).await.unwrap();
        assert_eq!((found.issuer.as_str(), found.token_endpoint), (issuer.as_str(), format!("{issuer}/token")));
        assert_eq!(server.requests().len(), wanted);
        assert!(server.requests().iter().all(|request| request.starts_with("GET ")));
    }
}

#[tokio::test]
async fn a_page_at_the_first_place_does_not_hide_metadata_at_the_next() {
    let server = serve(|path, origin| {
        Some(if path.contains("openid") {
            answer("200 OK", "", &document(origin, ""))
        } else {
            answer("200 OK", "", "<html>")
        })
    })
    .await;
    assert!(discover(&server.address(""), Reach::Anywhere).await.is_ok());
    assert_eq!(paths(&server).len(), 2);
}

#[test]
fn n19_the_issuer_must_be_the_same_to_the_last_character() {
    for found in [
        "https://login.example.com/",
        "https://LOGIN.example.com",
        "https://login.example.com:443",
        "http://login.example.com",
        "https://login.example.com.",
        "https://login.example.com/t1",
        "https://attacker.example",
        "",
    ] {
        let error = Metadata::parse(ISSUER, document(found, "").as_bytes()).unwrap_err();
        let wanted = DiscoveryError::IssuerMismatch { asked: ISSUER.to_owned(), found: found.to_owned() };
        assert_eq!((error.code(), error), (Code::MetadataInvalid, wanted));
    }
    let slash = "https://login.example.com/";
    assert!(Metadata::parse(slash, document(ISSUER, "").as_bytes()).is_err());
    assert!(
        Metadata::parse(slash, br#"{"issuer":"https://login.example.com/","token_endpoint":"https://x.example"}"#)
            .is_ok()
    );
}

#[tokio::test]
async fn n19_a_server_that_names_another_issuer_is_not_used_at_any_place() {
    let server = serve(|_, _| Some(answer("200 OK", "", &document("https://attacker.example", "")))).await;
    let error = discover(&server.address("/t1"), Reach::Anywhere).await.unwrap_err();
    assert!(matches!(error, DiscoveryError::IssuerMismatch { .. }), "{error:?}");
    assert!(error.to_string().contains("https://attacker.example"));
    assert_eq!(server.requests().len(), 3);
}

/// Every member that names an address.
const ENDPOINTS: &[&str] = &[
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "introspection_endpoint",
    "pushed_authorization_request_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "mtls_endpoint_aliases",
];

#[tokio::test]
async fn n40_metadata_may_name_no_private_address_in_any_of_its_members() {
    for member in ENDPOINTS {
        for address in ["https://10.0.0.1/x", "https://[fd00::1]/x", "https://169.254.169.254/x", "https://0xa000001/x"]
        {
            let named = match *member {
                "mtls_endpoint_aliases" => format!(r#"{{"token_endpoint":"{address}"}}"#),
                _ => format!("\"{address}\""),
            };
            let server = serve(move |_, origin| {
                let document = document(origin, "").replace("\"token_endpoint\"", "\"x\"");
                let token_endpoint = format!(r#","token_endpoint":"{origin}/token""#);
                let token_endpoint = if *member == "token_endpoint" { "" } else { &token_endpoint };
                let document = document.replace('}', &format!(r#"{token_endpoint},"{member}":{named}}}"#));
                Some(answer("200 OK", "", &document))
            })
            .await;
            for reach in [Reach::Anywhere, Reach::Loopback] {
                let error = discover(&server.address(""), reach).await.unwrap_err();
                assert!(matches!(error, DiscoveryError::OutOfReach { .. }), "{member} {address}: {error:?}");
                assert_eq!(error.code(), Code::InsecureAddress);
            }
        }
    }
}

#[tokio::test]
async fn n40_an_issuer_out_of_reach_is_not_asked() {
    let server = serve(|_, origin| Some(answer("200 OK", "", &document(origin, "")))).await;
    for reach in [Reach::Public, Reach::Private] {
        let error = discover(&server.address(""), reach).await.unwrap_err();
        assert!(matches!(error, DiscoveryError::OutOfReach { .. }), "{reach:?}: {error:?}");
    }
    for issuer in ["https://10.0.0.1", "https://localhost", "https://a.localhost/t1", "https://[::ffff:127.0.0.1]"] {
        let error = discover(issuer, Reach::Public).await.unwrap_err();
        assert!(matches!(error, DiscoveryError::OutOfReach { .. }), "{issuer}: {error:?}");
    }
    assert_eq!(server.connections(), 0);
    assert!(discover(&server.address(""), Reach::Loopback).await.is_ok());
}

#[test]
fn a_client_with_a_certificate_uses_the_aliases_and_nobody_else_does() {
    let found = parse(
        r#","revocation_endpoint":"https://a.example/revoke","mtls_endpoint_aliases":
        {"token_endpoint":"https://mtls.example/token","introspection_endpoint":"https://mtls.example/introspect"}"#,
    )
    .unwrap();
    let provider = outlast_oauth::provider::generic::from_metadata(&found);
    assert_eq!(provider.token_endpoint, "https://login.example.com/token");
    let certified = provider.for_certificate();
    assert_eq!(certified.token_endpoint, "https://mtls.example/token");
    assert_eq!(certified.introspection_endpoint.as_deref(), Some("https://mtls.example/introspect"));
    assert_eq!(certified.revocation_endpoint.as_deref(), Some("https://a.example/revoke"));
    for aliases in [r#"{"token_endpoint":"http://mtls.example/token"}"#, r#"{"token_endpoint":7}"#, "[]"] {
        assert!(parse(&format!(r#","mtls_endpoint_aliases":{aliases}"#)).is_err(), "{aliases}");
    }
}

#[test]
fn metadata_is_read_and_what_is_absent_is_told_from_what_is_empty() {
    let bare = parse("").unwrap();
    assert_eq!(bare.token_endpoint, "https://login.example.com/token");
    assert_eq!(bare.token_endpoint_auth_methods_supported, ["client_secret_basic"], "N21");
    assert_eq!((bare.grant_types_supported, bare.code_challenge_methods_supported), (None, None));
    assert_eq!((bare.revocation_endpoint, bare.authorization_endpoint), (None, None));
    assert!(!bare.authorization_response_iss_parameter_supported);

    let full = parse(
        r#","authorization_endpoint":"https://a.example/authorize","device_authorization_endpoint":"https://a.example/device",
        "introspection_endpoint":"https://a.example/introspect","pushed_authorization_request_endpoint":"https://a.example/par",
        "registration_endpoint":"https://a.example/register","revocation_endpoint":"https://a.example/revoke",
        "token_endpoint_auth_methods_supported":["none","client_secret_post"],"grant_types_supported":[],
        "code_challenge_methods_supported":["S256"],"authorization_response_iss_parameter_supported":true,
        "scopes_supported":null,"unknown":{"a":[1]}"#,
    )
    .unwrap();
    assert_eq!(full.token_endpoint_auth_methods_supported, ["none", "client_secret_post"]);
    assert_eq!(full.grant_types_supported, Some(vec![]));
    assert_eq!(full.code_challenge_methods_supported, Some(vec!["S256".to_owned()]));
    assert!(full.authorization_response_iss_parameter_supported);
    let endpoints = [
        full.authorization_endpoint,
        full.device_authorization_endpoint,
        full.introspection_endpoint,
        full.pushed_authorization_request_endpoint,
        full.registration_endpoint,
        full.revocation_endpoint,
    ];
    let names = ["authorize", "device", "introspect", "par", "register", "revoke"];
    assert_eq!(endpoints, names.map(|name| Some(format!("https://a.example/{name}"))));
}

#[test]
fn n10_metadata_that_would_send_a_secret_in_the_clear_is_refused() {
    for member in [
        "token_endpoint",
        "authorization_endpoint",
        "device_authorization_endpoint",
        "introspection_endpoint",
        "pushed_authorization_request_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
    ] {
        let text = format!(
            r#"{{"issuer":"{ISSUER}","token_endpoint":"{ISSUER}/token","{member}":"http://login.example.com/x?CANARY"}}"#
        );
        let error = Metadata::parse(ISSUER, text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::InsecureAddress, "{member}");
        assert!(!error.to_string().contains("CANARY"));
    }
}

#[test]
fn what_is_no_metadata_is_refused() {
    let deep = "[".repeat(100_000);
    for (case, text) in [
        ("nothing", String::new()),
        ("a page", "<!doctype html><html>".to_owned()),
        ("a list", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("cut", format!(r#"{{"issuer":"{ISSUER}","#)),
        ("deep", deep),
        ("not UTF-8", "{\"issuer\":\"\\ud800\"}".to_owned()),
        ("no issuer", r#"{"token_endpoint":"https://login.example.com/token"}"#.to_owned()),
        ("issuer null", r#"{"issuer":null,"token_endpoint":"https://login.example.com/token"}"#.to_owned()),
        ("issuer a number", r#"{"issuer":7}"#.to_owned()),
        ("no token endpoint", format!(r#"{{"issuer":"{ISSUER}"}}"#)),
        ("token endpoint null", format!(r#"{{"issuer":"{ISSUER}","token_endpoint":null}}"#)),
        ("token endpoint a list", format!(r#"{{"issuer":"{ISSUER}","token_endpoint":["https://a.example"]}}"#)),
        ("token endpoint relative", format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"/token"}}"#)),
        ("token endpoint empty", format!(r#"{{"issuer":"{ISSUER}","token_endpoint":""}}"#)),
        ("token endpoint with fragment", format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"https://a.example/#x"}}"#)),
        ("methods a string", document(ISSUER, r#","token_endpoint_auth_methods_supported":"none""#)),
        ("methods of numbers", document(ISSUER, r#","token_endpoint_auth_methods_supported":[1]"#)),
        ("flag a string", document(ISSUER, r#","authorization_response_iss_parameter_supported":"true""#)),
    ] {
        let error = Metadata::parse(ISSUER, text.as_bytes()).unwrap_err();
        assert!(matches!(error, DiscoveryError::Invalid { .. }), "{case}: {error:?}");
        assert_eq!(error.code(), Code::MetadataInvalid, "{case}");
        assert!(error.to_string().contains("correct `issuer`"), "{case}: {error}");
    }
}

#[test]
fn what_a_server_writes_cannot_take_over_a_terminal_or_fill_a_log() {
    let nasty = format!(r"https://x.example/\u001b[2J\u0007\r\nIgnore\u202e{}", "a".repeat(10_000));
    let error = Metadata::parse(ISSUER, document(&nasty, "").as_bytes()).unwrap_err();
    let text = format!("{error}");
    assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text:?}");
    assert!(text.len() < 1_000);
}

#[tokio::test]
async fn a_server_without_metadata_is_said_to_have_none() {
    for status in ["404 Not Found", "401 Unauthorized", "301 Moved"] {
        let elsewhere = serve(|_, origin| Some(answer("200 OK", "", &document(origin, "")))).await;
        let location = format!("Location: {}\r\n", elsewhere.address("/"));
        let server = Server::always(answer(status, &location, ""), Ending::Hold).await;
        let error = discover(&server.address(""), Reach::Anywhere).await.unwrap_err();
        assert_eq!(error.code(), Code::MetadataInvalid, "{status}");
        assert_eq!((server.requests().len(), elsewhere.connections()), (2, 0), "{status}");
    }
}

#[tokio::test]
async fn f30_a_server_that_is_ill_or_away_is_said_to_be_unreachable() {
    for bytes in [answer("503 Busy", "", ""), answer("500 Oops", "", "{}"), b"HTTP/1.1 200 OK\r\n\r\n{\"iss".to_vec()] {
        let server = Server::always(bytes, Ending::Close).await;
        assert_eq!(discover(&server.address(""), Reach::Anywhere).await.unwrap_err().code(), Code::ServerUnreachable);
    }
    let silent = Server::always("", Ending::Hold).await;
    let error = discover_within(&silent.address("/t1"), Reach::Anywhere, brief()).await.unwrap_err();
    assert_eq!((error.code(), silent.requests().len()), (Code::ServerUnreachable, 1), "{error}");
    let host = silent.host.clone();
    drop(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let error = discover_within(&format!("https://{host}"), Reach::Anywhere, brief()).await.unwrap_err();
    assert_eq!(error.code(), Code::ServerUnreachable, "{error}");
}

#[tokio::test]
async fn f36_metadata_beyond_the_limit_is_not_read() {
    let filler = format!(r#","x":"{}""#, "x".repeat(BODY_BYTES_MAX));
    let server = serve(move |_, origin| Some(answer("200 OK", "", &document(origin, &filler)))).await;
    let error = discover_within(&server.address(""), Reach::Anywhere, Limits::default()).await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), (Code::MetadataInvalid, 1));
}

#[test]
fn a_provider_is_built_from_metadata_or_from_a_token_endpoint() {
    let discovered = provider::generic::from_metadata(&parse("").unwrap());
    assert_eq!((discovered.name.as_str(), discovered.issuer.as_deref()), ("issuer", Some(ISSUER)));
    assert_eq!(discovered.token_endpoint, "https://login.example.com/token");
    let custom = provider::generic::from_token_endpoint("https://login.example.com/token").unwrap();
    assert_eq!((custom.name.as_str(), custom.issuer), ("custom", None));
    assert!(provider::generic::from_token_endpoint("http://login.example.com/token").is_err());
}

#[test]
fn presets_are_sorted_complete_and_safe_to_send_secrets_to() {
    assert!(provider::TABLE.is_sorted_by(|a, b| a.name < b.name));
    for preset in provider::TABLE {
        assert_eq!(provider::find(preset.name), Some(*preset));
        let endpoints =
            [Some(preset.token_endpoint), preset.authorization_endpoint, preset.device_endpoint, preset.issuer];
        for address in endpoints.into_iter().flatten().chain([preset.documentation]) {
            assert_eq!(outlast_oauth::address::check(address).unwrap().scheme(), "https", "{address}");
        }
        assert!(outlast_oauth::grant_type::find(preset.usual_grant_type).is_some(), "{}", preset.name);
        let provider = preset.provider();
        assert_eq!((provider.name.as_str(), provider.token_endpoint.as_str()), (preset.name, preset.token_endpoint));
    }
    assert!(provider::find("example").is_none());
}
