//! A remote MCP server from its address alone: found, registered at, signed in to, called through the
//! proxy; against a certified authorization server.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use outlast::{Ask, By, Code, GrantSettings, LoginOptions, Rejected, Server, Settings, discover_resource};
use outlast_testkit::peer::OidcProvider;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Browser, Upstream, ask, get, id, import_plain, plain, sidecar};

/// The grant that `outlast add --resource` writes.
async fn discovered(server: &OidcProvider) -> GrantSettings {
    let found = discover_resource(&format!("{}/mcp", server.api()), None).await.unwrap();
    let named = Server::Found { issuer: found.server.issuer.clone(), reach: found.reach };
    let mut settings = GrantSettings {
        scope: vec!["api:read".to_owned()],
        resource: Some(found.metadata.resource.clone()),
        upstream: Some(server.api().parse().unwrap()),
        ..GrantSettings::new(id("mcp"), "authorization_code", named)
    };
    settings.login.mcp = true;
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn n43_n48_n51_an_mcp_server_is_found_registered_at_and_called_through_the_proxy() {
    let Some(server) = OidcProvider::start(&[("ACCESS_TTL", "600"), ("AUTO_LOGIN", "1")]) else { return };
    let keeper = Settings::in_memory().grant(discovered(&server).await).open().unwrap();
    let handle = keeper.grant(&id("mcp")).unwrap();
    handle.login(&LoginOptions::default(), &Browser).await.unwrap();
    let client = handle.record().await.unwrap().registration.expect("a client was registered");
    assert_eq!(client.authorization_server, server.issuer(), "and belongs to its issuer");

    let sidecar = sidecar(&keeper, Duration::from_secs(5), None).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "hello"}}});
    let call = async || {
        let fields = ["Content-Type: application/json", "Accept: application/json, text/event-stream"];
        ask(&sidecar, "POST /mcp/mcp", &fields, &call.to_string()).await
    };
    let answer = call().await;
    assert!(answer.status == 200 && answer.body.contains("hello"), "{answer:?}");
    server.kill_access_tokens();
    let answer = call().await;
    assert!(answer.status == 200 && answer.body.contains("hello"), "after a 401: {answer:?}");

    // A second login uses the same client.
    handle.login(&LoginOptions::default(), &Browser).await.unwrap();
    assert_eq!(handle.record().await.unwrap().registration, Some(client));
    let registered = server.counters().pointer("/endpoints/registration").and_then(Value::as_u64);
    assert_eq!(registered, Some(1), "{}", server.counters());
}

#[tokio::test(flavor = "multi_thread")]
async fn n48_a_client_of_one_server_is_never_used_at_another() {
    let start = || OidcProvider::start(&[("AUTO_LOGIN", "1")]);
    let (Some(old), Some(new)) = (start(), start()) else { return };
    let home = tempfile::tempdir().unwrap();
    let first = Settings::new(home.path().join("state")).grant(discovered(&old).await).open().unwrap();
    first.grant(&id("mcp")).unwrap().login(&LoginOptions::default(), &Browser).await.unwrap();
    let before = first.grant(&id("mcp")).unwrap().record().await.unwrap().registration.unwrap();
    drop(first);
    let moved = Settings::new(home.path().join("state")).grant(discovered(&new).await).open().unwrap();
    let handle = moved.grant(&id("mcp")).unwrap();
    let refused = handle.access_token(Ask::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::AuthorizationServerChanged);
    // A login that fails takes nothing away: back at the old server, its client still renews the grant.
    new.fault(&json!({"kind": "oauth_error", "on": "token", "times": 1, "error": "invalid_grant", "status": 400}));
    handle.login(&LoginOptions::default(), &Browser).await.unwrap_err();
    let back = Settings::new(home.path().join("state")).grant(discovered(&old).await).open().unwrap();
    let still = back.grant(&id("mcp")).unwrap().record().await.unwrap();
    assert_eq!(still.registration.as_ref(), Some(&before));
    drop(back);
    handle.login(&LoginOptions::default(), &Browser).await.unwrap();
    let after = handle.record().await.unwrap();
    let client = after.registration.unwrap();
    assert_eq!(client.authorization_server, new.issuer());
    assert_ne!(client.client_id, before.client_id);
    let ask = Ask { rejected: Some(Rejected { generation: after.generation, by: By::Person }), ..Ask::default() };
    assert!(handle.access_token(ask).await.is_ok(), "it is renewed with the new client");
}

#[tokio::test(flavor = "multi_thread")]
async fn n51_a_server_that_registers_nobody_is_told_with_what_to_do() {
    let Some(server) = OidcProvider::start(&[("AUTO_LOGIN", "1")]) else { return };
    let keeper = Settings::in_memory().grant(discovered(&server).await).open().unwrap();
    let body = json!({"error": "invalid_client_metadata", "error_description": "no \u{1b}[2Jstrangers"}).to_string();
    server.fault(&json!({"kind": "status", "on": "registration", "times": -1, "status": 403, "body": body}));
    let error = keeper.grant(&id("mcp")).unwrap().login(&LoginOptions::default(), &Browser).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistrationRefused, "{error}");
    assert!(error.to_string().contains("set client_id") && !error.to_string().contains('\u{1b}'), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn n44_a_token_leaves_for_the_one_origin_of_its_grant_and_no_other() {
    let mut upstreams = Vec::new();
    for _ in 0..10 {
        upstreams.push(Upstream::start(|_| async { plain(200, "fine") }).await);
    }
    let origins: Vec<String> = upstreams.iter().map(Upstream::origin).collect();
    let names: Vec<String> = (0..10).map(|number| format!("g{number}")).collect();
    let grants: Vec<(&str, Option<&str>)> =
        names.iter().zip(&origins).map(|(name, origin)| (name.as_str(), Some(origin.as_str()))).collect();
    let keeper = support::keeper(&grants).await;
    for name in &names {
        import_plain(&keeper, name, &format!("CANARY-{name}-token")).await;
    }
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    for name in &names {
        for origin in &origins {
            let host = origin.trim_start_matches("http://");
            assert_eq!(get(&sidecar, &format!("/{name}/api?to={origin}")).await.status, 200);
            // However another origin is named, none but the grant's own is ever dialled.
            let _ = ask(&sidecar, &format!("GET /{name}//{host}/api"), &[], "").await;
            let _ = ask(&sidecar, &format!("GET /{name}/api"), &[&format!("X-Forwarded-Host: {host}")], "").await;
        }
    }
    for (number, upstream) in upstreams.iter().enumerate() {
        let seen = upstream.seen();
        assert!(seen.len() >= 20, "{}", seen.len());
        let own = format!("Bearer CANARY-g{number}-token");
        assert!(seen.iter().all(|request| request.all("authorization") == [own.as_str()]), "origin {number}");
    }
}

/// The address of the one document that the peer fetches.
const DOCUMENT: &str = "https://client.example.com/outlast.json";

fn documented(settings: GrantSettings) -> GrantSettings {
    let mut settings = settings;
    settings.login.client_document = Some(DOCUMENT.to_owned());
    settings
}

fn registrations(server: &OidcProvider) -> u64 {
    server.counters().pointer("/endpoints/registration").and_then(Value::as_u64).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn n51_the_address_of_a_document_is_the_client_and_comes_before_a_registration() {
    let Some(server) = OidcProvider::start(&[("AUTO_LOGIN", "1"), ("CLIENT_DOCUMENTS", "1")]) else { return };
    let keeper = Settings::in_memory().grant(documented(discovered(&server).await)).open().unwrap();
    let handle = keeper.grant(&id("mcp")).unwrap();
    handle.login(&LoginOptions::default(), &Browser).await.unwrap();
    let held = handle.record().await.unwrap();
    let client = held.registration.unwrap();
    assert_eq!((client.client_id.as_str(), client.authorization_server.as_str()), (DOCUMENT, server.issuer()));
    assert_eq!(registrations(&server), 0, "nothing was registered, though the server would have");
    let ask = Ask { rejected: Some(Rejected { generation: held.generation, by: By::Person }), ..Ask::default() };
    assert!(handle.access_token(ask).await.is_ok(), "it is renewed as the same client");
}

#[tokio::test(flavor = "multi_thread")]
async fn n51_a_document_that_is_set_later_leaves_what_is_held_to_the_client_it_was_given_to() {
    let Some(server) = OidcProvider::start(&[("AUTO_LOGIN", "1"), ("CLIENT_DOCUMENTS", "1")]) else { return };
    let home = tempfile::tempdir().unwrap();
    let open = |settings| Settings::new(home.path().join("state")).grant(settings).open().unwrap();
    let settings = discovered(&server).await;
    let first = open(settings.clone());
    first.grant(&id("mcp")).unwrap().login(&LoginOptions::default(), &Browser).await.unwrap();
    let before = first.grant(&id("mcp")).unwrap().record().await.unwrap();
    drop(first);
    let keeper = open(documented(settings));
    let handle = keeper.grant(&id("mcp")).unwrap();
    server.fault(&json!({"kind": "oauth_error", "on": "token", "times": 1, "error": "invalid_grant", "status": 400}));
    handle.login(&LoginOptions::default(), &Browser).await.unwrap_err();
    assert_eq!(handle.record().await.unwrap().registration, before.registration);
    let ask = Ask { rejected: Some(Rejected { generation: before.generation, by: By::Person }), ..Ask::default() };
    assert!(handle.access_token(ask).await.is_ok(), "what is held is renewed by the client that was registered");
    handle.login(&LoginOptions::default(), &Browser).await.unwrap();
    assert_eq!(handle.record().await.unwrap().registration.unwrap().client_id, DOCUMENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn n51_a_server_that_takes_no_documents_registers_or_says_what_to_do() {
    let Some(server) = OidcProvider::start(&[("AUTO_LOGIN", "1")]) else { return };
    let keeper = Settings::in_memory().grant(documented(discovered(&server).await)).open().unwrap();
    keeper.grant(&id("mcp")).unwrap().login(&LoginOptions::default(), &Browser).await.unwrap();
    assert_eq!(registrations(&server), 1);
    let neither = [("AUTO_LOGIN", "1"), ("REGISTRATION", "0")];
    let documents = [("AUTO_LOGIN", "1"), ("REGISTRATION", "0"), ("CLIENT_DOCUMENTS", "1")];
    for (config, with_document, said) in
        [(&neither as &[_], true, "takes no document"), (&documents, false, "set client_document")]
    {
        let server = OidcProvider::start(config).unwrap();
        let settings = discovered(&server).await;
        let settings = if with_document { documented(settings) } else { settings };
        let keeper = Settings::in_memory().grant(settings).open().unwrap();
        let error = keeper.grant(&id("mcp")).unwrap().login(&LoginOptions::default(), &Browser).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistrationRefused, "{error}");
        assert!(error.to_string().contains(said) && error.to_string().contains("set client_id"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n31_a_server_that_takes_no_proof_of_ours_is_told_before_anything_is_spent() {
    let Some(server) = OidcProvider::start(&[("DPOP_ALGORITHMS", "RS256,PS256")]) else { return };
    let settings = GrantSettings { dpop: true, client_id: "dpop".to_owned(), ..discovered(&server).await };
    let keeper = Settings::in_memory().grant(settings).open().unwrap();
    let handle = keeper.grant(&id("mcp")).unwrap();
    let error = handle.login(&LoginOptions::default(), &Browser).await.unwrap_err();
    assert_eq!(error.code(), Code::ClientMisconfigured, "{error}");
    assert!(error.to_string().contains("RS256") && error.to_string().contains("ES256"), "{error}");
    // The same for what is renewed.
    let response =
        outlast::read_token_set(r#"{"access_token":"a","refresh_token":"CANARY-r","expires_in":1}"#).unwrap();
    let long_ago = outlast::Clock::now(&outlast::SystemClock::new());
    handle.import(outlast::TokenSet::first(response, long_ago)).await.unwrap();
    let generation = handle.record().await.unwrap().generation;
    let ask = Ask { rejected: Some(Rejected { generation, by: By::Person }), ..Ask::default() };
    let _the_held_token_is_served = handle.access_token(ask).await;
    let trouble = handle.record().await.unwrap().trouble.unwrap();
    assert_eq!(trouble.code, Code::ClientMisconfigured, "{trouble:?}");
    assert_eq!(server.counters().pointer("/token_requests/total").and_then(Value::as_u64), Some(0));
}
