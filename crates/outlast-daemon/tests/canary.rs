//! A search for secrets in everything that is said. Alone in its process, so that the log of the whole
//! process can be heard.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};
use support::{ask_control as ask, get, id, stage};

/// What a subscriber would have printed.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_answer_and_no_log_holds_a_refresh_token_or_a_client_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    tracing::subscriber::set_global_default(subscriber.with_writer(move || writer.clone()).finish()).unwrap();
    let stage = stage().await;
    let mut said = String::new();
    for path in ["/v1/grants", "/v1/grants/crm", "/metrics", "/v1/grants/empty/token", "/v1/grants/nobody/token"] {
        said.push_str(&ask(&stage.socket, path).await.1.to_string());
    }
    stage.sandbox.kill_access_tokens();
    for path in ["/crm/api/echo", "/crm/api/whoami", "/crm/../x", "/nobody/x"] {
        said.push_str(&format!("{:?}", get(&stage.sidecar, path).await));
    }
    let (_, renewed) = ask(&stage.socket, "/v1/grants/crm/token?renew=1").await;
    let access = renewed["access_token"].as_str().unwrap().to_owned();
    stage.sandbox.revoke_family(None);
    said.push_str(&format!("{:?}", get(&stage.sidecar, "/crm/api/whoami").await));
    said.push_str(&ask(&stage.socket, "/v1/grants/crm").await.1.to_string());
    said.push_str(&format!("{:?} {:?}", stage.sidecar, stage.keeper.grant(&id("crm")).unwrap().settings()));
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.contains("crm"), "the log was heard: {logged}");
    said.push_str(&logged);
    let secrets = [
        stage.issued.refresh.as_str(),
        stage.issued.access.as_str(),
        access.as_str(),
        "sandbox-secret",
        "sandbox-refresh-",
        stage.sidecar.capability().expose(),
    ];
    for secret in secrets {
        assert!(!secret.is_empty());
        assert!(!said.contains(secret), "{secret} was said");
    }
}
