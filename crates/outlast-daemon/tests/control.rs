//! The control socket, its clients, and the token files.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use outlast::{Secret, Settings};
use outlast_daemon::client::{ControlClient, FetchError, fetch_token_blocking};
use outlast_daemon::status::GrantStatus;
use outlast_daemon::token_file::TokenFiles;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use support::{ask_control as ask, get, id, import_plain, settings, sidecar, stage};

#[tokio::test]
async fn a_token_is_told_with_its_end_and_its_generation() {
    let stage = stage().await;
    let (status, token) = ask(&stage.socket, "/v1/grants/crm/token?min_ttl=300").await;
    assert_eq!(status, 200);
    assert_eq!(token["access_token"], stage.issued.access.as_str());
    assert_eq!((token["token_type"].as_str(), token["generation"].as_u64()), (Some("Bearer"), Some(1)));
    let left = token["expires_in"].as_u64().unwrap();
    assert!((590..=600).contains(&left), "{left}");
    assert!(token["expires_at"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn renew_brings_the_next_generation_once() {
    let stage = stage().await;
    let (_, token) = ask(&stage.socket, "/v1/grants/crm/token?renew=1").await;
    assert_eq!(token["generation"], 2);
    assert_ne!(token["access_token"], stage.issued.access.as_str());
    let (_, again) = ask(&stage.socket, "/v1/grants/crm/token").await;
    assert_eq!(again["access_token"], token["access_token"]);
    assert_eq!(stage.sandbox.counters().refreshes, 1);
}

#[tokio::test]
async fn errors_are_problem_documents_with_code_advice_and_time() {
    let stage = stage().await;
    for (path, status, code, advice) in [
        ("/v1/grants/nobody/token", 404, "grant-unknown", "fix-config"),
        ("/v1/grants/nobody", 404, "grant-unknown", "fix-config"),
        ("/v1/grants/a%20b", 404, "grant-unknown", "fix-config"),
        ("/v1/grants/empty/token", 503, "needs-user", "ask-user"),
        ("/v1/grants/crm/token?min_ttl=soon", 400, "request-invalid", "fix-config"),
        ("/v1/grants/crm/token?ttl=1", 400, "request-invalid", "fix-config"),
        ("/v1/capabilities", 405, "request-invalid", "fix-config"),
        ("/v2", 404, "request-invalid", "fix-config"),
    ] {
        let (found, problem) = ask(&stage.socket, path).await;
        assert_eq!(found, status, "{path}");
        assert_eq!((problem["code"].as_str(), problem["advice"].as_str()), (Some(code), Some(advice)), "{path}");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    let (_, problem) = ask(&stage.socket, "/v1/grants/empty/token").await;
    assert_eq!(problem["retry_after"], 60);
    assert!(problem["detail"].as_str().unwrap().contains("do not use another credential"));
}

#[tokio::test]
async fn status_tells_how_each_grant_stands_and_no_token() {
    let stage = stage().await;
    let (_, listed) = ask(&stage.socket, "/v1/grants").await;
    let listed: Vec<GrantStatus> = serde_json::from_value(listed).unwrap();
    let [crm, empty] = listed.try_into().unwrap();
    assert_eq!((crm.name.as_str(), crm.standing.as_str(), crm.generation), ("crm", "live", 1));
    assert!((590..=600).contains(&crm.seconds_left.unwrap()));
    assert!(crm.next_renewal_at.unwrap() < crm.access_token_expires_at.unwrap());
    assert!(!crm.renewal_required_soon && crm.code.is_none() && crm.last_trouble.is_none());
    assert_eq!((empty.standing.as_str(), empty.code.as_deref()), ("empty", Some("needs-user")));
    assert!(empty.what_to_do.contains("outlast import empty"), "{}", empty.what_to_do);

    stage.sandbox.revoke_family(None);
    assert_eq!(get(&stage.sidecar, "/crm/api/whoami").await.status, 503);
    let (_, parked) = ask(&stage.socket, "/v1/grants/crm").await;
    assert_eq!((parked["standing"].as_str(), parked["code"].as_str()), (Some("parked"), Some("needs-user")));
    assert!(parked["what_to_do"].as_str().unwrap().contains("outlast import crm"));
    assert_eq!(parked["next_renewal_at"], Value::Null);
}

#[tokio::test]
async fn a_grant_whose_record_cannot_be_had_says_so_and_hides_no_other() {
    let stage = stage().await;
    let folder = stage.folder.path();
    let open = |crm: &str| {
        let grants = [settings("crm", crm, None), settings("other", "http://127.0.0.1:1/token", None)];
        Settings::new(folder.join("store")).grants(grants).open().unwrap()
    };
    let before = open("http://127.0.0.1:1/token");
    import_plain(&before, "crm", "CANARY-crm").await;
    import_plain(&before, "other", "CANARY-other").await;
    // N48: what is held is another server's.
    let socket = folder.join("second/control.sock");
    let _sidecar = sidecar(&open("http://127.0.0.1:2/token"), Duration::ZERO, Some(socket.clone())).await;
    let (status, listed) = ask(&socket, "/v1/grants").await;
    assert_eq!(status, 200, "{listed}");
    let listed: Vec<GrantStatus> = serde_json::from_value(listed).unwrap();
    let [crm, other] = listed.try_into().unwrap();
    assert_eq!((crm.name.as_str(), crm.standing.as_str()), ("crm", "unreadable"));
    assert_eq!(crm.code.as_deref(), Some("authorization-server-changed"));
    assert_eq!((other.name.as_str(), other.standing.as_str()), ("other", "live"));
    let (status, problem) = ask(&socket, "/v1/grants/crm").await;
    assert!(status >= 400 && problem["code"] == "authorization-server-changed", "{problem}");
}

#[tokio::test]
async fn a_capability_that_was_minted_opens_only_its_grants() {
    let stage = stage().await;
    let mut client = ControlClient::connect(&stage.socket).await.unwrap();
    let (status, body) = client.post("/v1/capabilities", r#"{"grants":["crm"]}"#).await.unwrap();
    assert_eq!(status, 200);
    let minted: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(minted["url"], stage.sidecar.url());
    let capability = minted["capability"].as_str().unwrap();
    let address = stage.sidecar.proxy_address();
    for (path, status) in [("/crm/api/whoami", 200), ("/empty/x", 403)] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        let request = format!("{head}Authorization: Bearer {capability}\r\n\r\n");
        assert_eq!(support::exchange(address, request.as_bytes()).await.status, status, "{path}");
    }
    for wrong in [r#"{"grants":["nobody"]}"#, r#"{"grants":7}"#, r#"{"grant":["crm"]}"#, "", "[]"] {
        let (status, _) = client.post("/v1/capabilities", wrong).await.unwrap();
        assert!(matches!(status, 400 | 404), "{wrong} {status}");
    }
}

#[tokio::test]
async fn the_blocking_client_gets_a_token_or_is_told_why_not() {
    let stage = stage().await;
    let socket = stage.socket.clone();
    let access = stage.issued.access.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let token = fetch_token_blocking(&socket, "crm", Duration::from_secs(60)).unwrap();
        assert_eq!(token.access_token, Secret::new(access));
        assert_eq!((token.token_type.as_str(), token.generation), ("Bearer", 1));
        assert!(token.expires_at.is_some());
        match fetch_token_blocking(&socket, "empty", Duration::ZERO).unwrap_err() {
            FetchError::Refused { status: 503, code, retry_after: Some(60), .. } => assert_eq!(code, "needs-user"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(fetch_token_blocking(&socket, "../x", Duration::ZERO), Err(FetchError::Misread)));
        let nowhere = socket.with_file_name("nowhere.sock");
        assert!(matches!(fetch_token_blocking(&nowhere, "crm", Duration::ZERO), Err(FetchError::Unreachable(_))));
    });
    asked.await.unwrap();
}

#[tokio::test]
async fn metrics_count_requests_and_failures_by_code() {
    let stage = stage().await;
    assert_eq!(get(&stage.sidecar, "/crm/api/whoami").await.status, 200);
    assert_eq!(get(&stage.sidecar, "/nobody/x").await.status, 404);
    let (status, text) = ask(&stage.socket, "/metrics").await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 200);
    for line in [
        "outlast_proxy_requests_total 2",
        "outlast_proxy_answers_total{class=\"2xx\"} 1",
        "outlast_proxy_answers_total{class=\"4xx\"} 1",
        "outlast_failures_total{code=\"grant-unknown\"} 1",
        "outlast_grant_generation{grant=\"crm\"} 1",
        "outlast_grant_standing{grant=\"crm\",standing=\"live\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert_eq!(ask(&stage.socket, "/healthz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn the_socket_is_gone_after_a_shutdown_and_taken_over_after_a_crash() {
    let stage = stage().await;
    assert_eq!(std::fs::metadata(&stage.socket).unwrap().permissions().mode() & 0o777, 0o600);
    stage.sidecar.shutdown().await;
    assert!(!stage.socket.exists());
    let again = sidecar(&stage.keeper, Duration::ZERO, Some(stage.socket.clone())).await;
    assert_eq!(ask(&stage.socket, "/healthz").await.0, 200);
    drop(again);
}

#[tokio::test]
async fn a_token_file_holds_the_token_alone_and_is_replaced_at_every_renewal() {
    let stage = stage().await;
    let folder = stage.folder.path().join("tokens");
    let files = TokenFiles::start(&stage.keeper, &folder, &[id("crm"), id("empty")]).await.unwrap();
    let path = files.path(&id("crm")).unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", stage.issued.access));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!files.path(&id("empty")).unwrap().exists());

    let (_, token) = ask(&stage.socket, "/v1/grants/crm/token?renew=1").await;
    let wanted = format!("{}\n", token["access_token"].as_str().unwrap());
    let mut held = String::new();
    for _ in 0..2_000 {
        held = std::fs::read_to_string(&path).unwrap();
        assert!(held == wanted || held == format!("{}\n", stage.issued.access), "never a part: {held:?}");
        if held == wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(held, wanted);
    drop(files);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_folder_for_token_files_that_others_can_enter_is_refused() {
    let stage = stage().await;
    let folder = stage.folder.path().join("open");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = TokenFiles::start(&stage.keeper, &folder, &[id("crm")]).await.unwrap_err();
    assert!(error.to_string().contains("chmod 700"), "{error}");
}
