//! From a resource to its authorization server, against servers that are honest and servers that are not.
#![allow(clippy::unwrap_used)]

mod support;

use outlast_core::Code;
use outlast_oauth::resource_metadata::{
    FoundResource, ResourceError, discover_resource, discover_resource_within as within,
};
use support::{Ending, Server, answer, brief, field};

const MISSING: &str = "404 Not Found";

/// What a server says at a path, given its own origin.
type Said = Option<Vec<u8>>;

async fn serve(say: impl Fn(&str, &str) -> Said + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        let origin = format!("http://{}", field(request, "host").unwrap());
        (say(path, &origin).unwrap_or_else(|| answer(MISSING, "", "no")), Ending::Hold)
    })
    .await
}

fn json(text: &str) -> Said {
    Some(answer("200 OK", "Content-Type: application/json\r\n", text))
}

fn challenge(parameters: &str) -> Said {
    Some(answer("401 Unauthorized", &format!("WWW-Authenticate: Bearer {parameters}\r\n"), ""))
}

fn resource(identifier: &str, issuers: &str) -> Said {
    json(&format!(r#"{{"resource":"{identifier}","authorization_servers":[{issuers}],"scopes_supported":["x","y"]}}"#))
}

fn issuer(origin: &str, more: &str) -> Said {
    json(&format!(r#"{{"issuer":"{origin}","token_endpoint":"{origin}/token"{more}}}"#))
}

/// An honest server that is resource and authorization server in one; `say` comes first.
async fn honest(say: impl Fn(&str, &str) -> Said + Send + Sync + 'static) -> Server {
    serve(move |path, origin| {
        say(path, origin).or_else(|| match path {
            "/mcp" => challenge(""),
            "/.well-known/oauth-protected-resource/mcp" => resource(&format!("{origin}/mcp"), &format!("\"{origin}\"")),
            "/.well-known/oauth-authorization-server" => issuer(origin, ""),
            _ => None,
        })
    })
    .await
}

fn paths(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
}

async fn found(server: &Server) -> FoundResource {
    discover_resource(&server.address("/mcp"), None).await.unwrap()
}

async fn refused(server: &Server) -> ResourceError {
    within(&server.address("/mcp"), None, brief()).await.unwrap_err()
}

#[tokio::test]
async fn n43_a_resource_is_found_by_its_challenge_and_without_one() {
    let with = honest(|path, origin| match path {
        "/mcp" => challenge(&format!("resource_metadata=\"{origin}/elsewhere\", scope=\"a b\"")),
        "/elsewhere" => resource(&format!("{origin}/mcp"), &format!("\"{origin}\"")),
        _ => None,
    })
    .await;
    let one = found(&with).await;
    assert_eq!(paths(&with), ["/mcp", "/elsewhere", "/.well-known/oauth-authorization-server"]);
    assert_eq!((one.metadata.resource, one.server.issuer), (with.address("/mcp"), with.address("")));
    assert_eq!(one.challenged_scope.unwrap(), ["a", "b"]);

    let without = honest(|_, _| None).await;
    let two = found(&without).await;
    assert_eq!(two.server.token_endpoint, without.address("/token"));
    assert_eq!(two.challenged_scope, None);
}

#[tokio::test]
async fn n43_metadata_at_the_root_is_taken_if_it_is_about_the_root() {
    let root = |resource_is: fn(&str) -> String| {
        honest(move |path, origin| match path {
            "/.well-known/oauth-protected-resource/mcp" => Some(answer("200 OK", "", "<html>a page for everything")),
            "/.well-known/oauth-protected-resource" => resource(&resource_is(origin), &format!("\"{origin}\"")),
            _ => None,
        })
    };
    let server = root(str::to_owned).await;
    assert_eq!(found(&server).await.metadata.resource, server.address(""));
    let server = root(|origin| format!("{origin}/other")).await;
    assert_eq!(refused(&server).await.code(), Code::MetadataInvalid);
}

#[tokio::test]
async fn n43_issuer_metadata_is_looked_for_in_the_order_of_the_protocol() {
    let server = honest(|path, origin| match path {
        "/.well-known/oauth-protected-resource/mcp" => resource(&format!("{origin}/mcp"), &format!("\"{origin}/t1\"")),
        "/t1/.well-known/openid-configuration" => issuer(&format!("{origin}/t1"), ""),
        _ => None,
    })
    .await;
    assert_eq!(found(&server).await.server.issuer, server.address("/t1"));
    assert_eq!(
        paths(&server)[2..],
        [
            "/.well-known/oauth-authorization-server/t1",
            "/.well-known/openid-configuration/t1",
            "/t1/.well-known/openid-configuration"
        ]
    );
}

#[tokio::test]
async fn n39_a_challenge_that_leads_to_another_resources_metadata_is_refused() {
    let server = honest(|path, origin| match path {
        "/mcp" => challenge(&format!("resource_metadata=\"{origin}/elsewhere\"")),
        "/elsewhere" => resource("https://bank.example/api", &format!("\"{origin}\"")),
        _ => None,
    })
    .await;
    let error = refused(&server).await;
    assert!(matches!(error, ResourceError::Mismatch { .. }), "{error:?}");
    assert!(error.to_string().contains("https://bank.example/api"));
    assert_eq!(paths(&server), ["/mcp", "/elsewhere"], "nothing further is asked of anybody");
}

#[tokio::test]
async fn n19_an_authorization_server_whose_metadata_names_another_issuer_is_refused() {
    let server = honest(|path, _| match path {
        "/.well-known/oauth-authorization-server" => issuer("https://login.bank.example", ""),
        _ => None,
    })
    .await;
    let error = refused(&server).await;
    assert!(matches!(error, ResourceError::Server(_)), "{error:?}");
    assert!(error.to_string().contains("is that of issuer \"https://login.bank.example\""), "{error}");
}

#[tokio::test]
async fn n40_private_addresses_in_documents_are_not_connected_to() {
    for address in [
        "https://10.0.0.1/x",
        "https://192.168.1.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://0xa9fea9fe/x",
        "https://100.64.0.1/x",
        "https://0.0.0.0/x",
    ] {
        let named = address.to_owned();
        let by_challenge = honest(move |path, _| match path {
            "/mcp" => challenge(&format!("resource_metadata=\"{named}\"")),
            _ => None,
        })
        .await;
        let named = address.to_owned();
        let by_resource = honest(move |path, origin| match path {
            "/.well-known/oauth-protected-resource/mcp" => resource(&format!("{origin}/mcp"), &format!("\"{named}\"")),
            _ => None,
        })
        .await;
        let named = address.to_owned();
        let by_issuer = honest(move |path, origin| match path {
            "/.well-known/oauth-authorization-server" => {
                issuer(origin, &format!(",\"registration_endpoint\":\"{named}\""))
            }
            _ => None,
        })
        .await;
        for (place, server) in [("challenge", by_challenge), ("resource", by_resource), ("issuer", by_issuer)] {
            let error = refused(&server).await;
            assert_eq!(error.code(), Code::InsecureAddress, "{address} in the {place}: {error:?}");
            assert!(error.to_string().contains("private network"), "{address} in the {place}: {error}");
        }
    }
}

#[tokio::test]
async fn n10_plain_http_and_odd_schemes_in_documents_are_refused() {
    for address in [
        "http://attacker.example/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://attacker.example/",
        "-x",
        "//attacker.example/x",
        "https://user:CANARY@attacker.example/",
    ] {
        let named = address.to_owned();
        let server = honest(move |path, origin| match path {
            "/mcp" => challenge(&format!("resource_metadata=\"{named}\"")),
            "/.well-known/oauth-protected-resource/mcp" => resource(&format!("{origin}/mcp"), "\"https://as.example\""),
            _ => None,
        })
        .await;
        let error = refused(&server).await;
        assert!(matches!(error.code(), Code::InsecureAddress | Code::MetadataInvalid), "{address}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
        assert_eq!(paths(&server), ["/mcp"], "{address}");
    }
}

#[tokio::test]
async fn n37_redirects_of_resources_and_of_metadata_are_not_followed() {
    let elsewhere = serve(|_, origin| resource(origin, &format!("\"{origin}\""))).await;
    let target = elsewhere.address("/x");
    let server =
        serve(move |_, _| Some(answer("307 Temporary Redirect", &format!("Location: {target}\r\n"), ""))).await;
    assert!(matches!(refused(&server).await, ResourceError::Missing { .. }));
    assert_eq!((elsewhere.connections(), paths(&server).len()), (0, 3));
}

#[tokio::test]
async fn discovery_sends_no_credential_and_asks_by_get_alone() {
    let server = honest(|_, _| None).await;
    found(&server).await;
    for request in server.requests() {
        assert!(request.starts_with("GET "), "{request}");
        for name in ["authorization", "cookie", "proxy-authorization", "referer"] {
            assert_eq!(field(&request, name), None, "{request}");
        }
    }
}

#[tokio::test]
async fn a_resource_that_streams_without_end_holds_nobody_up() {
    let server = Server::start(|request| {
        let path = request.split(' ').nth(1).unwrap();
        let origin = format!("http://{}", field(request, "host").unwrap());
        match path {
            "/mcp" => (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n".to_vec(),
                Ending::Trickle(b": ping\n\n"),
            ),
            "/.well-known/oauth-protected-resource/mcp" => {
                (resource(&format!("{origin}/mcp"), &format!("\"{origin}\"")).unwrap(), Ending::Hold)
            }
            _ => (issuer(&origin, "").unwrap(), Ending::Hold),
        }
    })
    .await;
    let began = std::time::Duration::from_secs(10);
    tokio::time::timeout(began, found(&server)).await.unwrap();
}

#[tokio::test]
async fn n46_n50_scopes_come_from_the_challenge_then_from_the_list_and_offline_access_if_it_is_offered() {
    for (challenged, offered, wanted) in [
        ("scope=\"files:read\"", "", &["files:read"] as &[_]),
        ("", "", &["x", "y"]),
        ("", r#","scopes_supported":["x","offline_access"]"#, &["x", "y", "offline_access"]),
        ("scope=\"a offline_access\"", r#","scopes_supported":["a"]"#, &["a"]),
        ("scope=\"a offline_access\"", r#","scopes_supported":["offline_access"]"#, &["a", "offline_access"]),
    ] {
        let server = honest(move |path, origin| match path {
            "/mcp" => challenge(challenged),
            "/.well-known/oauth-authorization-server" => issuer(origin, offered),
            _ => None,
        })
        .await;
        assert_eq!(found(&server).await.scope(), wanted, "{challenged} {offered}");
    }
}

#[tokio::test]
async fn of_several_authorization_servers_the_first_is_taken_and_only_a_listed_one_may_be_chosen() {
    let server = honest(|path, origin| match path {
        "/.well-known/oauth-protected-resource/mcp" => {
            resource(&format!("{origin}/mcp"), &format!("\"{origin}\",\"{origin}/t2\""))
        }
        "/.well-known/oauth-authorization-server/t2" => issuer(&format!("{origin}/t2"), ""),
        _ => None,
    })
    .await;
    let address = server.address("/mcp");
    assert_eq!(found(&server).await.server.issuer, server.address(""));
    let second = server.address("/t2");
    assert_eq!(discover_resource(&address, Some(&second)).await.unwrap().server.issuer, second);
    let error = discover_resource(&address, Some("https://login.bank.example")).await.unwrap_err();
    assert!(matches!(error, ResourceError::IssuerNotListed { .. }), "{error:?}");
}

#[tokio::test]
async fn what_a_resource_writes_cannot_take_over_a_terminal() {
    for body in [
        r#"{"resource":"https://x.example/\u001b[2J\u0007\u202e","authorization_servers":["https://as.example"]}"#,
        r#"{"resource":7}"#,
        "[]",
        "",
        r#"{"resource":"@","authorization_servers":[]}"#,
        r#"{"resource":"@","authorization_servers":"https://as.example"}"#,
        r#"{"resource":"@","authorization_servers":["https://as.example/?a=\u001b[2J"]}"#,
    ] {
        let server = honest(move |path, origin| match path {
            "/.well-known/oauth-protected-resource/mcp" => json(&body.replace('@', &format!("{origin}/mcp"))),
            _ => None,
        })
        .await;
        let error = refused(&server).await;
        assert_eq!(error.code(), Code::MetadataInvalid, "{body}: {error:?}");
        assert!(error.to_string().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{error}");
    }
}

#[tokio::test]
async fn a_resource_that_is_away_or_ill_is_said_to_be_unreachable() {
    let closed = "http://127.0.0.1:1/mcp";
    assert_eq!(within(closed, None, brief()).await.unwrap_err().code(), Code::ServerUnreachable);
    let ill = Server::always(answer("503 Busy", "", ""), Ending::Hold).await;
    assert_eq!(refused(&ill).await.code(), Code::ServerUnreachable);
    let bare = serve(|_, _| None).await;
    assert!(matches!(refused(&bare).await, ResourceError::Missing { .. }));
    for address in ["http://mcp.example.com/mcp", "mcp.example.com", "https://a:b@mcp.example.com/"] {
        assert!(discover_resource(address, None).await.is_err(), "{address}");
    }
}
