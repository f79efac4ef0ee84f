//! The control interface does what `docs/openapi.json` says, as schemathesis sees it, which this project did not
//! write.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod support;

use outlast_testkit::peer::REQUIRE_PEERS;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::stage;
use tokio::net::{TcpListener, UnixStream};

/// Where schemathesis lies, if it is installed.
fn schemathesis() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/schemathesis");
    if folder.join(".venv/.outlast-installed").exists() {
        return Some(folder.join("run"));
    }
    assert!(std::env::var(REQUIRE_PEERS).is_err(), "schemathesis is missing: run tests/peers/install");
    eprintln!("skipped: schemathesis is missing; run tests/peers/install");
    None
}

/// A door on loopback to the control socket, for clients that know no unix sockets.
async fn door(socket: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut outside, _) = listener.accept().await.unwrap();
            let mut inside = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                // It ends when either side does.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    address
}

async fn run(script: &Path, options: &[&str]) {
    let stage = stage().await;
    let address = door(stage.socket.clone()).await;
    let mut client = outlast_daemon::client::ControlClient::connect(&stage.socket).await.unwrap();
    let begin = "/v1/tasks/harvest/steps/page-1/begin";
    let (status, _) = client.post(begin, json!({ "grants": ["crm"] }).to_string()).await.unwrap();
    assert_eq!(status, 200);
    let mut command = Command::new(script);
    command.arg(format!("http://{address}")).args(options);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("Operations") || said.contains("operations"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_interface_answers_whatever_is_asked_as_its_openapi_file_says() {
    let Some(script) = schemathesis() else { return };
    run(&script, &["--max-examples", "30"]).await;
}
