//! Tasks at the control socket.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "how long it took is of interest")]

mod support;

use outlast::task::{Task, TaskId};
use outlast::{Keeper, Settings};
use outlast_daemon::client::ControlClient;
use outlast_daemon::{Options, Sidecar, TaskReach, draw_capability};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{Stage, import, settings, stage};

struct Client(ControlClient);

impl Client {
    async fn to(socket: &Path) -> Self {
        Self(ControlClient::connect(socket).await.unwrap())
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.0.request(method.parse().unwrap(), path, body.to_owned()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn post(&mut self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, &body.to_string()).await
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        self.send("GET", path, "").await
    }

    async fn begin(&mut self, key: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/v1/tasks/harvest/steps/{key}/begin"), body).await
    }

    /// Begins a step that has to begin; its run.
    async fn begun(&mut self, key: &str, body: Value) -> String {
        let (status, begun) = self.begin(key, body).await;
        assert_eq!((status, &begun["state"]), (200, &json!("begun")), "{begun}");
        begun["run"].as_str().unwrap().to_owned()
    }

    async fn complete(&mut self, key: &str, run: &str, output: &str) -> (u16, Value) {
        self.post(&format!("/v1/tasks/harvest/steps/{key}/complete"), json!({ "run": run, "output": output })).await
    }

    async fn fail(&mut self, key: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/v1/tasks/harvest/steps/{key}/fail"), body).await
    }
}

fn is(problem: &(u16, Value), status: u16, code: &str) {
    assert_eq!((problem.0, problem.1["code"].as_str()), (status, Some(code)), "{}", problem.1);
    assert_eq!(problem.1["status"], status);
    assert!(problem.1["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

async fn started(keeper: &Keeper, socket: PathBuf, tasks: TaskReach) -> Sidecar {
    let proxy = SocketAddr::from(([127, 0, 0, 1], 0));
    let capability = draw_capability().unwrap();
    let options = Options { socket: Some(socket), proxy, hold: Duration::ZERO, logins: true, tasks, capability };
    Sidecar::start(keeper.clone(), options).await.unwrap()
}

/// A keeper over a store on disk, which another one can be opened beside.
async fn on_disk(stage: &Stage) -> Keeper {
    let endpoint = stage.sandbox.token_endpoint();
    let crm = settings("crm", &endpoint, Some(stage.sandbox.api()));
    Settings::new(stage.folder.path().join("store")).grants([crm]).open().unwrap()
}

#[tokio::test]
async fn a_step_is_begun_once_and_its_output_given_back_ever_after() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let (status, begun) = client.begin("page%2017", json!({ "grants": ["crm"], "input": "https://a" })).await;
    assert_eq!(status, 200, "{begun}");
    assert_eq!((begun["state"].as_str(), begun["attempt"].as_u64()), (Some("begun"), Some(1)));
    assert_eq!(begun["patience"], 60);
    let run = begun["run"].as_str().unwrap();
    assert!(begun["idempotency_key"].as_str().unwrap().len() >= 16);
    let (_, shown) = client.get("/v1/tasks/harvest/steps/page%2017").await;
    assert_eq!(shown["state"], "running", "{shown}");
    assert_eq!(client.complete("page%2017", run, "done ä").await, (200, json!({ "state": "done" })));
    let (status, done) = client.begin("page%2017", json!({})).await;
    assert_eq!((status, done), (200, json!({ "state": "done", "exit": null, "output": "done ä" })));
    is(&client.begin("page%2017", json!({ "input": "https://b" })).await, 409, "step-input-changed");
    let (_, shown) = client.get("/v1/tasks/harvest").await;
    assert_eq!((&shown["steps"], &shown["done"], &shown["state"]), (&json!(1), &json!(1), &json!("running")));
    let (_, listed) = client.get("/v1/tasks").await;
    assert_eq!(listed[0]["task"], "harvest");
}

#[tokio::test]
async fn an_end_that_is_told_twice_is_taken_twice_and_another_one_is_refused() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({})).await;
    assert_eq!(client.complete("a", &run, "one").await.0, 200);
    assert_eq!(client.complete("a", &run, "one").await.0, 200, "the first answer may have been lost");
    is(&client.complete("a", &run, "two").await, 409, "step-let-go");
    is(&client.complete("a", "no such run", "two").await, 409, "step-let-go");
    is(&client.fail("a", json!({ "run": run, "reason": "late" })).await, 409, "step-let-go");
    assert_eq!(client.begin("a", json!({})).await.1["output"], "one");
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_in_base64() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({})).await;
    let body = json!({ "run": run, "exit": 3, "output_base64": "//4A" });
    assert_eq!(client.post("/v1/tasks/harvest/steps/a/complete", body).await.0, 200);
    let (_, done) = client.begin("a", json!({})).await;
    assert_eq!(done, json!({ "state": "done", "exit": 3, "output_base64": "//4A" }));
}

#[tokio::test]
async fn of_two_clients_one_runs_the_step_and_the_other_gets_its_output() {
    let stage = stage().await;
    let (mut first, mut second) = (Client::to(&stage.socket).await, Client::to(&stage.socket).await);
    let run = first.begun("a", json!({})).await;
    is(&second.begin("a", json!({})).await, 503, "step-running");
    let waiting = tokio::spawn(async move { second.post("/v1/tasks/harvest/steps/a/begin?wait=30s", json!({})).await });
    assert_eq!(first.complete("a", &run, "of the first").await.0, 200);
    let (status, done) = waiting.await.unwrap();
    assert_eq!((status, done["output"].as_str()), (200, Some("of the first")), "{done}");
}

#[tokio::test]
async fn a_failure_says_whether_to_try_again_and_only_the_codes_advice_decides() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({})).await;
    let failed = client.fail("a", json!({ "run": run, "reason": "busy\u{1b}[2J", "undone": true, "retry_after": 7 }));
    assert_eq!(failed.await, (200, json!({ "state": "again", "retry_after": 7 })));
    let (_, shown) = client.get("/v1/tasks/harvest/steps/a").await;
    assert_eq!((&shown["state"], &shown["failures"]), (&json!("failed"), &json!(1)));
    assert_eq!(shown["reason"], "busy [2J");
    let paused = client.begin("a", json!({})).await;
    is(&paused, 503, "cooling-down");
    assert!(paused.1["retry_after"].as_u64().unwrap() >= 1);

    let run = client.begun("b", json!({})).await;
    let body = json!({ "run": run, "reason": "no such table", "undone": true, "code": "configuration-invalid" });
    let (status, failed) = client.fail("b", body).await;
    assert_eq!((status, failed["state"].as_str()), (200, Some("given-up")));
    assert_eq!((failed["code"].as_str(), failed["advice"].as_str()), (Some("step-failed"), Some("fix-config")));

    let run = client.begun("c", json!({})).await;
    let (_, failed) = client.fail("c", json!({ "run": run, "reason": "the connection broke" })).await;
    assert_eq!(failed["code"], "step-ambiguous");
    is(&client.begin("c", json!({})).await, 409, "step-ambiguous");
}

#[tokio::test]
async fn a_silent_client_is_let_go_and_may_still_say_how_it_ended() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({ "patience": 1 })).await;
    let waited = client.post("/v1/tasks/harvest/steps/a/begin?wait=30", json!({})).await;
    is(&waited, 409, "step-ambiguous");
    assert!(waited.1["detail"].as_str().unwrap().contains("was silent"), "{}", waited.1);
    assert_eq!(client.get("/v1/tasks/harvest/steps/a").await.1["state"], "ambiguous");
    assert_eq!(client.complete("a", &run, "late, and true").await.0, 200);
    assert_eq!(client.begin("a", json!({})).await.1["output"], "late, and true");
}

#[tokio::test]
async fn heartbeats_keep_a_step_and_tell_of_grants_that_need_a_person() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({ "patience": 2, "grants": ["crm"] })).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let heard = client.post("/v1/tasks/harvest/steps/a/heartbeat", json!({ "run": run })).await;
        assert_eq!(heard, (200, json!({ "patience": 2, "needs_user": [] })));
    }
    is(&client.post("/v1/tasks/harvest/steps/a/heartbeat", json!({ "run": "x" })).await, 409, "step-let-go");
    assert_eq!(client.complete("a", &run, "").await.0, 200);
}

#[tokio::test]
async fn the_death_of_the_connection_lets_a_tied_step_go_at_once() {
    let stage = stage().await;
    let mut dying = Client::to(&stage.socket).await;
    dying.begun("a", json!({ "tied": true, "idempotent": true })).await;
    dying.begun("b", json!({ "tied": true })).await;
    drop(dying);
    let mut client = Client::to(&stage.socket).await;
    let (status, begun) = client.post("/v1/tasks/harvest/steps/a/begin?wait=10", json!({ "idempotent": true })).await;
    assert_eq!((status, begun["attempt"].as_u64()), (200, Some(2)), "{begun}");
    let doubtful = client.post("/v1/tasks/harvest/steps/b/begin?wait=10", json!({})).await;
    is(&doubtful, 409, "step-ambiguous");
    assert!(doubtful.1["detail"].as_str().unwrap().contains("connection"), "{}", doubtful.1);
}

#[tokio::test]
async fn an_output_outlives_the_sidecar_that_its_step_was_begun_at() {
    let stage = stage().await;
    let socket = stage.folder.path().join("second/control.sock");
    let keeper = on_disk(&stage).await;
    let sidecar = started(&keeper, socket.clone(), TaskReach::All).await;
    let mut client = Client::to(&socket).await;
    let run = client.begun("a", json!({})).await;
    drop((client, sidecar, keeper));
    let keeper = on_disk(&stage).await;
    let socket = stage.folder.path().join("third/control.sock");
    let _sidecar = started(&keeper, socket.clone(), TaskReach::All).await;
    let mut client = Client::to(&socket).await;
    is(&client.complete("a", "0123456789abcdef", "of nobody").await, 409, "step-let-go");
    assert_eq!(client.complete("a", &run, "kept").await.0, 200);
    assert_eq!(client.begin("a", json!({})).await.1["output"], "kept");
}

#[tokio::test]
async fn a_login_in_another_process_wakes_whoever_waits_for_a_parked_task() {
    let stage = stage().await;
    let socket = stage.folder.path().join("second/control.sock");
    let keeper = on_disk(&stage).await;
    let _sidecar = started(&keeper, socket.clone(), TaskReach::All).await;
    let mut client = Client::to(&socket).await;
    let parked = client.begin("a", json!({ "grants": ["crm"] })).await;
    is(&parked, 503, "needs-user");
    assert!(parked.1["detail"].as_str().unwrap().contains("outlast login crm"), "{}", parked.1);
    let (_, shown) = client.get("/v1/tasks/harvest").await;
    assert_eq!(shown["state"], "parked", "{shown}");
    assert_eq!((&shown["blocks"][0]["grant"], &shown["blocks"][0]["ready"]), (&json!("crm"), &json!(false)));
    let other = socket.clone();
    let step = tokio::spawn(async move {
        let mut client = Client::to(&other).await;
        client.post("/v1/tasks/harvest/steps/a/begin?wait=30s", json!({ "grants": ["crm"] })).await
    });
    let task = tokio::spawn(async move { client.get("/v1/tasks/harvest?wait=30s").await });
    let elsewhere = on_disk(&stage).await;
    import(&elsewhere.grant(&support::id("crm")).unwrap(), &stage.sandbox).await;
    let (status, begun) = step.await.unwrap();
    assert_eq!((status, begun["state"].as_str()), (200, Some("begun")), "{begun}");
    let (_, shown) = task.await.unwrap();
    assert!(shown["blocks"].as_array().unwrap().iter().all(|block| block["ready"] == true), "{shown}");
}

#[tokio::test]
async fn f85_a_revoked_grant_stops_injection_and_the_attempt_is_no_failure() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({ "grants": ["crm"], "idempotent": true })).await;
    assert_eq!(support::get(&stage.sidecar, "/crm/api/whoami").await.status, 200);
    stage.sandbox.revoke_family(None);
    // The first refusal finds it out; nothing is sent with the dead token after it.
    let refused = support::get(&stage.sidecar, "/crm/api/whoami").await;
    assert_eq!((refused.status, refused.field("outlast-code")), (503, Some("needs-user")));
    let heard = client.post("/v1/tasks/harvest/steps/a/heartbeat", json!({ "run": run })).await;
    assert_eq!(heard.1["needs_user"], json!(["crm"]), "{}", heard.1);
    let failed = client.fail("a", json!({ "run": run, "reason": "503", "undone": true, "code": "needs-user" })).await;
    assert_eq!(failed, (200, json!({ "state": "again", "retry_after": null })));
    assert_eq!(client.get("/v1/tasks/harvest/steps/a").await.1["failures"], 0);
}

#[tokio::test]
async fn f85_a_grant_that_is_signed_out_of_elsewhere_is_injected_no_more() {
    let stage = stage().await;
    // It takes every token: what stops is the injection.
    let upstream = support::Upstream::saying("taken").await;
    let open = || {
        let crm = settings("crm", "http://127.0.0.1:1/token", Some(&upstream.origin()));
        Settings::new(stage.folder.path().join("store")).grants([crm]).open().unwrap()
    };
    let (keeper, elsewhere) = (open(), open());
    support::import_plain(&keeper, "crm", "token-of-crm").await;
    let socket = stage.folder.path().join("second/control.sock");
    let sidecar = started(&keeper, socket.clone(), TaskReach::All).await;
    let mut client = Client::to(&socket).await;
    assert_eq!(support::get(&sidecar, "/crm/x").await.status, 200);
    // No step is open that names it: whoever works through the proxy may know nothing of steps.
    let handle = elsewhere.grant(&support::id("crm")).unwrap();
    handle.log_out(true).await.unwrap();
    let refused = answered(&sidecar, 503).await;
    let before = upstream.seen().len();
    assert_eq!(support::get(&sidecar, "/crm/x").await.field("outlast-code"), Some("needs-user"));
    assert_eq!(upstream.seen().len(), before, "nothing is sent");
    support::import_plain(&elsewhere, "crm", "next-token-of-crm").await;
    let served = answered(&sidecar, 200).await;
    println!("a logout elsewhere held after {refused:?}, a login after {served:?}");
    let run = client.begun("a", json!({ "grants": ["crm"] })).await;
    handle.log_out(true).await.unwrap();
    answered(&sidecar, 503).await;
    let failed = client.fail("a", json!({ "run": run, "reason": "503", "undone": true, "code": "needs-user" })).await;
    assert_eq!(failed.1["state"], "again", "{}", failed.1);
    assert_eq!(client.get("/v1/tasks/harvest/steps/a").await.1["failures"], 0);
    // The pause after a failure comes first.
    let parked = client.post("/v1/tasks/harvest/steps/a/begin?wait=3", json!({ "grants": ["crm"] })).await;
    is(&parked, 503, "needs-user");
}

/// Asks until it is answered so; how long that took.
async fn answered(sidecar: &Sidecar, status: u16) -> Duration {
    let since = Instant::now();
    while support::get(sidecar, "/crm/x").await.status != status {
        assert!(since.elapsed() < Duration::from_secs(20), "not {status} in 20 seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    since.elapsed()
}

#[tokio::test]
async fn a_person_decides_and_an_agent_does_not() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({})).await;
    is(&client.post("/v1/tasks/harvest/steps/a/resolve", json!({ "decision": "rerun" })).await, 503, "step-running");
    client.fail("a", json!({ "run": run, "reason": "unclear" })).await;
    let capability = stage.sidecar.capability().expose().to_owned();
    for (method, path) in [("POST", "/v1/tasks/harvest/steps/a/resolve"), ("DELETE", "/v1/tasks/harvest")] {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let request = format!("{head}Authorization: Bearer {capability}\r\nContent-Length: 2\r\n\r\n{{}}");
        let answer = over_socket(&stage.socket, &request).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("do not") | answer.contains("Stop"), "{answer}");
    }
    let decided = client.post("/v1/tasks/harvest/steps/a/resolve", json!({ "decision": "rerun" })).await;
    assert_eq!(decided, (200, json!({ "state": "rerun" })));
    let run = client.begun("a", json!({})).await;
    client.fail("a", json!({ "run": run, "reason": "unclear" })).await;
    let done = json!({ "decision": "done", "output": "seen by a person" });
    assert_eq!(client.post("/v1/tasks/harvest/steps/a/resolve", done).await.0, 200);
    assert_eq!(client.begin("a", json!({})).await.1["output"], "seen by a person");
    let again = json!({ "decision": "rerun" });
    is(&client.post("/v1/tasks/harvest/steps/a/resolve", again).await, 409, "request-invalid");
    assert_eq!(client.post("/v1/tasks/harvest/close", json!({})).await.0, 200);
    assert_eq!(client.get("/v1/tasks/harvest").await.1["state"], "closed");
    assert_eq!(client.send("DELETE", "/v1/tasks/harvest", "").await.0, 200);
    is(&client.get("/v1/tasks/harvest").await, 404, "task-unknown");
}

async fn over_socket(socket: &Path, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_program_of_one_task_reaches_no_other_and_decides_nothing() {
    let stage = stage().await;
    let own = Task::open(&stage.keeper, &TaskId::parse("harvest").unwrap()).await.unwrap();
    let socket = stage.folder.path().join("run2/control.sock");
    let _sidecar = started(&stage.keeper, socket.clone(), TaskReach::Only(own)).await;
    let mut client = Client::to(&socket).await;
    client.begun("a", json!({})).await;
    is(&client.post("/v1/tasks/other/steps/a/begin", json!({})).await, 403, "capability-refused");
    is(&client.get("/v1/tasks/other").await, 403, "capability-refused");
    is(&client.send("DELETE", "/v1/tasks/harvest", "").await, 403, "capability-refused");
    is(
        &client.post("/v1/tasks/harvest/steps/a/resolve", json!({ "decision": "rerun" })).await,
        403,
        "capability-refused",
    );
    // The owner's sidecar finds it taken.
    let mut owner = Client::to(&stage.socket).await;
    is(&owner.begin("a", json!({})).await, 503, "task-busy");

    let socket = stage.folder.path().join("run3/control.sock");
    let _sidecar = started(&stage.keeper, socket.clone(), TaskReach::Nothing).await;
    is(&Client::to(&socket).await.begin("a", json!({})).await, 403, "capability-refused");
}

#[tokio::test]
async fn a_capability_reaches_the_task_it_was_minted_for() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let (status, minted) = client.post("/v1/capabilities", json!({ "grants": ["crm"], "task": "harvest" })).await;
    assert_eq!(status, 200);
    let word = minted["capability"].as_str().unwrap();
    for (task, status) in [("harvest", 200), ("other", 403)] {
        let head = format!("POST /v1/tasks/{task}/steps/a/begin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let request = format!("{head}Authorization: Bearer {word}\r\nContent-Length: 2\r\n\r\n{{}}");
        let answer = over_socket(&stage.socket, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn hostile_input_is_refused_with_a_code_and_nothing_is_lost() {
    let stage = stage().await;
    let mut client = Client::to(&stage.socket).await;
    let run = client.begun("a", json!({})).await;
    let long = "k".repeat(201);
    for path in ["a%1b%5b2J", "%2e%2e", "a%2fb", "%ff", "%", "%zz", "%20a", &long, "%e2%80%ae"] {
        is(&client.begin(path, json!({})).await, 400, "request-invalid");
    }
    for task in ["..%2fx", "%00", "-x", "a%20b"] {
        is(&client.get(&format!("/v1/tasks/{task}")).await, 400, "request-invalid");
    }
    let (begin, complete) = ("/v1/tasks/harvest/steps/b/begin", "/v1/tasks/harvest/steps/a/complete");
    let both = format!(r#"{{"run":"{run}","output":"x","output_base64":"eA=="}}"#);
    let broken = format!(r#"{{"run":"{run}","output_base64":"*"}}"#);
    for (path, body) in [
        (begin, "["),
        (begin, r#"{"grant":"crm"}"#),
        (begin, r#"{"grants":"crm"}"#),
        (begin, r#"{"patience":-1}"#),
        (begin, r#"{"patience":0}"#),
        (begin, r#"{"patience":1.5}"#),
        (begin, "[true]"),
        ("/v1/capabilities", "[null, null]"),
        ("/v1/grants/crm/login", "[null, null]"),
        (begin, "\u{0}"),
        ("/v1/tasks/harvest/steps/b/begin?wait=soon", "{}"),
        ("/v1/tasks/harvest/steps/b/begin?wait=-1", "{}"),
        ("/v1/tasks/harvest/steps/b/begin?hold=1", "{}"),
        (complete, "{}"),
        (complete, &both),
        (complete, &broken),
        ("/v1/tasks/harvest/steps/a/fail", r#"{"run":"x","reason":"y","code":"no-such"}"#),
        ("/v1/tasks/harvest/steps/a/heartbeat", r#"{"run":7}"#),
    ] {
        is(&client.send("POST", path, body).await, 400, "request-invalid");
    }
    let (_, begun) = client.begin("c", json!({ "patience": 7.0 })).await;
    assert_eq!(begun["patience"], 7, "some languages write every number so");
    is(&client.begin("b", json!({ "grants": ["nobody"] })).await, 404, "grant-unknown");
    is(&client.post("/v1/tasks/nothing/steps/a/complete", json!({ "run": "x" })).await, 404, "task-unknown");
    is(&client.get("/v1/tasks/nothing").await, 404, "task-unknown");
    is(&client.get("/v1/tasks/harvest/steps/never").await, 404, "task-unknown");
    is(&client.begin("b", json!({ "input": "x".repeat(300_000) })).await, 413, "output-too-large");
    is(&client.send("PUT", "/v1/tasks/harvest", "").await, 405, "request-invalid");
    // What was begun is as it was.
    assert_eq!(client.complete("a", &run, "still here").await.0, 200);
    assert_eq!(client.get("/v1/tasks").await.1.as_array().unwrap().len(), 1, "no task was made on the way");
}

#[tokio::test]
async fn f84_an_output_past_the_limit_is_refused_and_a_smaller_one_taken_after_it() {
    let stage = stage().await;
    let socket = stage.folder.path().join("second/control.sock");
    let keeper = on_disk(&stage).await;
    let _sidecar = started(&keeper, socket.clone(), TaskReach::All).await;
    let mut client = Client::to(&socket).await;
    let run = client.begun("a", json!({})).await;
    let large = "x".repeat(64 * 1024 * 1024 + 1);
    is(&client.complete("a", &run, &large).await, 413, "output-too-large");
    assert_eq!(client.complete("a", &run, "the name of a file").await.0, 200);
    assert_eq!(client.begin("a", json!({})).await.1["output"], "the name of a file");
}

#[tokio::test]
async fn the_proxy_names_the_step_to_the_upstream_when_asked() {
    let upstream = support::Upstream::saying("ok").await;
    let keeper = support::keeper(&[("crm", Some(&upstream.origin()))]).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/control.sock");
    let sidecar = started(&keeper, socket.clone(), TaskReach::All).await;
    let mut client = Client::to(&socket).await;
    let (_, begun) = client.begin("page%2017", json!({})).await;
    let marks = ["Outlast-Step: page%2017", "Outlast-Task: harvest"];
    assert_eq!(support::ask(&sidecar, "POST /crm/charge", &marks, "x").await.status, 200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.all("idempotency-key"), [begun["idempotency_key"].as_str().unwrap()]);
    assert!(seen.all("outlast-step").is_empty() && seen.all("outlast-task").is_empty());
    for (fields, status, code) in [
        (vec!["Outlast-Step: page%2018", "Outlast-Task: harvest"], 409, "step-let-go"),
        (vec!["Outlast-Step: page%2017"], 400, "request-invalid"),
        (vec!["Outlast-Step: a%2fb", "Outlast-Task: harvest"], 400, "request-invalid"),
        (vec!["Outlast-Step: page%2017", "Outlast-Task: harvest", "Idempotency-Key: own"], 400, "request-invalid"),
        (vec!["Outlast-Step: page%2017", "Outlast-Step: b", "Outlast-Task: harvest"], 400, "request-invalid"),
    ] {
        let refused = support::ask(&sidecar, "POST /crm/charge", &fields, "x").await;
        assert_eq!(
            (refused.status, refused.field("outlast-code")),
            (status, Some(code)),
            "{fields:?} {}",
            refused.body
        );
    }
    assert_eq!(upstream.seen().len(), 1, "nothing was sent unmarked");
    assert_eq!(support::ask(&sidecar, "POST /crm/charge", &["Idempotency-Key: own"], "x").await.status, 200);
    assert_eq!(upstream.seen().pop().unwrap().all("idempotency-key"), ["own"]);
}
