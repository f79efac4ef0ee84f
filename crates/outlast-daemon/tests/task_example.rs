//! The Python program of docs/tasks.md, as it stands there.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use http_body_util::BodyExt;
use outlast::{Keeper, Settings};
use outlast_daemon::{Options, Sidecar, TaskReach, draw_capability};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Upstream, import_plain, plain, settings};

/// So many invoices the program charges.
const INVOICES: usize = 10;

/// An API that heeds `Idempotency-Key`, and may kill whoever asks before it answers.
#[derive(Default)]
struct Ledger {
    requests: usize,
    /// Which invoice each key paid.
    paid: BTreeMap<String, String>,
    /// The program is killed by its request of that number.
    kill_at: Option<usize>,
    program: Option<Child>,
}

async fn ledger() -> (Upstream, Arc<Mutex<Ledger>>) {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let kept = Arc::clone(&ledger);
    let upstream = Upstream::start(move |request| {
        let ledger = Arc::clone(&kept);
        async move {
            let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let invoice = String::from_utf8_lossy(&body).into_owned();
            let mut ledger = ledger.lock().unwrap();
            ledger.requests += 1;
            let before = ledger.paid.insert(key, invoice.clone());
            assert!(before.is_none_or(|before| before == invoice), "one key for two invoices");
            if ledger.kill_at == Some(ledger.requests) {
                ledger.program.as_mut().unwrap().kill().unwrap();
            }
            plain(200, format!("charged {invoice}"))
        }
    });
    (upstream.await, ledger)
}

/// The first program in Python of the page.
fn program(folder: &Path) -> std::path::PathBuf {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tasks.md")).unwrap();
    let text = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    let path = folder.join("invoices.py");
    std::fs::write(&path, text).unwrap();
    path
}

async fn keeper(folder: &Path, upstream: &Upstream) -> Keeper {
    let crm = settings("crm", "http://127.0.0.1:1/token", Some(&upstream.origin()));
    Settings::new(folder.join("store")).grants([crm]).open().unwrap()
}

async fn sidecar(keeper: &Keeper, socket: &Path) -> Sidecar {
    let options = Options {
        socket: Some(socket.to_owned()),
        proxy: SocketAddr::from(([127, 0, 0, 1], 0)),
        hold: Duration::ZERO,
        logins: false,
        tasks: TaskReach::All,
        capability: draw_capability().unwrap(),
    };
    Sidecar::start(keeper.clone(), options).await.unwrap()
}

fn start(program: &Path, sidecar: &Sidecar, socket: &Path) -> Child {
    let mut command = Command::new("python3");
    command.arg(program).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("OUTLAST_SOCKET", socket).env("OUTLAST_TASK", "invoices");
    command.env("OUTLAST_CRM_URL", format!("{}/crm", sidecar.url()));
    command.env("OUTLAST_CAPABILITY", sidecar.capability().expose());
    command.spawn().unwrap()
}

/// Runs the program to its end, which `kill_at` may bring early.
async fn run(ledger: &Arc<Mutex<Ledger>>, program: Child, kill_at: Option<usize>) -> Output {
    let mut program = program;
    let (mut said, mut complained) = (program.stdout.take().unwrap(), program.stderr.take().unwrap());
    {
        let mut ledger = ledger.lock().unwrap();
        ledger.kill_at = kill_at;
        ledger.program = Some(program);
    }
    let (stdout, stderr) = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        said.read_to_end(&mut out).unwrap();
        complained.read_to_end(&mut err).unwrap();
        (out, err)
    })
    .await
    .unwrap();
    let mut program = ledger.lock().unwrap().program.take().unwrap();
    Output { status: program.wait().unwrap(), stdout, stderr }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_program_of_the_page_is_killed_in_the_middle_and_charges_each_invoice_once() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, ledger) = ledger().await;
    let script = program(folder.path());
    {
        let keeper = keeper(folder.path(), &upstream).await;
        import_plain(&keeper, "crm", "token-of-crm").await;
        let socket = folder.path().join("first/control.sock");
        let sidecar = sidecar(&keeper, &socket).await;
        // In the middle of a step, twice, beside a sidecar that goes on.
        for kill_at in [4, 7] {
            let program = start(&script, &sidecar, &socket);
            let ended = run(&ledger, program, Some(kill_at)).await;
            assert!(!ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        }
    }
    // And once more after the sidecar has ended, too.
    let keeper = keeper(folder.path(), &upstream).await;
    let socket = folder.path().join("second/control.sock");
    let sidecar = sidecar(&keeper, &socket).await;
    let program = start(&script, &sidecar, &socket);
    let ended = run(&ledger, program, None).await;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    let lines: Vec<String> = (1..=INVOICES).map(|number| format!("charged invoice=invoice {number}")).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), lines);
    let ledger = ledger.lock().unwrap();
    assert_eq!(ledger.paid.len(), INVOICES, "each invoice by one key: {:?}", ledger.paid);
    assert_eq!(ledger.requests, INVOICES + 2, "only the two in whose middle it was killed were asked again");
}
