//! Requests of a task that is recorded, from the outside: what is sent, what is answered from the record,
//! and what is never done twice.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use outlast::task::{Resolution, Task, TaskId, Tasks};
use outlast::{Keeper, Secret};
use outlast_daemon::{Recording, Sidecar};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Body, Raw, Upstream, exchange, id, keeper, plain, read_until, sidecar};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Largest body of a request, and of a reply, that is recorded.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A sidecar that records what is asked with one capability.
struct Stage {
    keeper: Keeper,
    upstream: Upstream,
    sidecar: Sidecar,
    capability: Secret,
    recording: Recording,
}

fn harvest() -> TaskId {
    TaskId::parse("harvest").unwrap()
}

impl Stage {
    async fn before(upstream: Upstream) -> Self {
        Self::repeating(upstream, &[]).await
    }

    async fn repeating(upstream: Upstream, repeatable: &[&str]) -> Self {
        let keeper = keeper(&[("crm", Some(&upstream.origin()))]).await;
        let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
        let (capability, recording) = record(&keeper, &sidecar, repeatable).await;
        Self { keeper, upstream, sidecar, capability, recording }
    }

    async fn ask(&self, line: &str, body: &str) -> Raw {
        self.ask_with(line, &[], body).await
    }

    async fn ask_with(&self, line: &str, fields: &[&str], body: &str) -> Raw {
        exchange(self.sidecar.proxy_address(), self.text(line, fields, body).as_bytes()).await
    }

    fn text(&self, line: &str, fields: &[&str], body: &str) -> String {
        let address = self.sidecar.proxy_address();
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let key = self.capability.expose();
        format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n{fields}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// What the agent does next is what a new one does first.
    async fn restart(&self) {
        self.recording.settled().await;
        self.recording.rewind();
    }

    /// The whole process ends and another one goes on with the task.
    async fn restart_all(self) -> Self {
        let Self { keeper, upstream, sidecar: ended, recording, .. } = self;
        recording.settled().await;
        ended.shutdown().await;
        drop(recording);
        let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
        let (capability, recording) = record(&keeper, &sidecar, &[]).await;
        Self { keeper, upstream, sidecar, capability, recording }
    }

    fn asked(&self) -> Vec<String> {
        self.upstream.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }
}

async fn record(keeper: &Keeper, sidecar: &Sidecar, repeatable: &[&str]) -> (Secret, Recording) {
    let task = Task::open(keeper, &harvest()).await.unwrap();
    let repeatable = repeatable.iter().map(|name| id(name)).collect();
    sidecar.record(None, task, repeatable).await.unwrap()
}

fn is_replayed(answer: &Raw) -> bool {
    answer.field("outlast-replayed") == Some("1")
}

/// Numbers its answers.
async fn counting() -> Upstream {
    let turns = Arc::new(AtomicUsize::new(0));
    Upstream::start(move |_| {
        let turn = turns.fetch_add(1, Ordering::SeqCst) + 1;
        async move { plain(200, format!("answer {turn}")) }
    })
    .await
}

/// Answers with these statuses, one after the other, and with 200 ever after.
async fn answering(statuses: &'static [u16]) -> Upstream {
    let turns = Arc::new(AtomicUsize::new(0));
    Upstream::start(move |_| {
        let turn = turns.fetch_add(1, Ordering::SeqCst);
        async move { plain(statuses.get(turn).copied().unwrap_or(200), format!("answer {}", turn + 1)) }
    })
    .await
}

#[tokio::test]
async fn what_was_answered_before_a_restart_is_answered_from_the_record_until_the_agent_asks_something_new() {
    let stage = Stage::before(counting().await).await;
    let lines = [("GET /crm/a", ""), ("POST /crm/b", "one"), ("POST /crm/b", "two"), ("POST /crm/b", "one")];
    let mut first = Vec::new();
    for (line, body) in lines {
        let answer = stage.ask(line, body).await;
        assert!(answer.status == 200 && !is_replayed(&answer), "{answer:?}");
        first.push(answer.body);
    }
    assert_eq!(first, ["answer 1", "answer 2", "answer 3", "answer 4"], "the same request twice is asked twice");
    let stage = stage.restart_all().await;
    for ((line, body), before) in lines.into_iter().zip(first) {
        let answer = stage.ask(line, body).await;
        assert!(answer.status == 200 && is_replayed(&answer), "{answer:?}");
        assert_eq!(answer.body, before);
    }
    let answer = stage.ask("POST /crm/b", "one").await;
    assert_eq!((answer.body.as_str(), is_replayed(&answer)), ("answer 5", false));
    assert_eq!(stage.ask("GET /crm/a", "").await.body, "answer 6", "now it is somewhere else");
    assert_eq!((stage.recording.counts().replayed, stage.recording.counts().sent), (4, 2));
}

#[tokio::test]
async fn a_capability_without_a_recording_records_nothing_and_is_answered_from_none() {
    let stage = Stage::before(counting().await).await;
    stage.ask("GET /crm/a", "").await;
    for turn in ["answer 2", "answer 3"] {
        let answer = support::get(&stage.sidecar, "/crm/a").await;
        assert_eq!((answer.body.as_str(), is_replayed(&answer)), (turn, false));
    }
}

#[tokio::test]
async fn two_identical_requests_at_once_take_their_answers_in_order_of_arrival() {
    let stage = Stage::before(counting().await).await;
    let ask = || stage.ask("POST /crm/b", "x");
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    let mut before = [a.body, b.body, c.body];
    before.sort();
    assert_eq!(before, ["answer 1", "answer 2", "answer 3"]);
    stage.restart().await;
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!([&a, &b, &c].into_iter().all(is_replayed));
    let mut after = [a.body, b.body, c.body];
    after.sort();
    assert_eq!(after, before);
    assert_eq!(stage.upstream.seen().len(), 3);
}

/// An upstream that takes a request, and breaks the connection.
async fn breaking() -> (Upstream, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let upstream = Upstream::start(move |request: Request<Incoming>| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            if request.uri().path() == "/breaks" {
                // A panic in the task of the connection ends it without an answer.
                std::panic::resume_unwind(Box::new("it breaks"));
            }
            plain(200, "ok")
        }
    })
    .await;
    (upstream, taken)
}

#[tokio::test]
async fn a_post_whose_outcome_is_unknown_is_ambiguous_after_a_restart_until_a_person_decides() {
    let (upstream, taken) = breaking().await;
    let stage = Stage::before(upstream).await;
    let answer = stage.ask("POST /crm/breaks", "charge").await;
    assert_eq!((answer.status, answer.field("outlast-code")), (502, Some("upstream-unreachable")));
    let stage = stage.restart_all().await;
    for _ in 0..2 {
        let answer = stage.ask("POST /crm/breaks", "charge").await;
        assert_eq!((answer.status, answer.field("outlast-code")), (409, Some("step-ambiguous")), "{answer:?}");
        assert!(answer.body.contains("outlast task resolve harvest http:POST:crm:breaks:"), "{}", answer.body);
        assert!(answer.body.contains("--done, or --rerun"), "{}", answer.body);
    }
    assert_eq!(taken.load(Ordering::SeqCst), 1, "it was not sent again");
    // Another one goes on.
    assert_eq!(stage.ask("POST /crm/other", "x").await.status, 200);

    let Stage { keeper, upstream, sidecar: ended, recording, .. } = stage;
    ended.shutdown().await;
    drop(recording);
    let tasks = keeper.tasks();
    let step = open_step(&tasks).await;
    let said = outlast::task::Recorded { exit: None, bytes: b"{\"id\": 17}".to_vec() };
    tasks.resolve(&harvest(), &step, Resolution::Done(said), "a person").await.unwrap();
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    let (capability, recording) = record(&keeper, &sidecar, &[]).await;
    let stage = Stage { keeper, upstream, sidecar, capability, recording };
    let answer = stage.ask("POST /crm/breaks", "charge").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"id\": 17}"));
    assert!(is_replayed(&answer) && answer.field("content-type") == Some("application/json"), "{answer:?}");
}

async fn open_step(tasks: &Tasks) -> outlast::task::StepKey {
    let (_, view) = tasks.show(&harvest()).await.unwrap();
    view.steps().iter().find(|step| step.is_open()).unwrap().key.clone()
}

#[tokio::test]
async fn a_get_whose_outcome_is_unknown_is_sent_again_and_so_is_a_post_of_a_grant_that_may_be_repeated() {
    let (upstream, taken) = breaking().await;
    let stage = Stage::repeating(upstream, &["crm"]).await;
    assert_eq!(stage.ask("POST /crm/breaks", "x").await.status, 502);
    stage.restart().await;
    assert_eq!(stage.ask("POST /crm/breaks", "x").await.status, 502);
    assert_eq!(taken.load(Ordering::SeqCst), 2);
    let answer = stage.ask_with("POST /crm/breaks", &["Outlast-Replay: never"], "y").await;
    assert_eq!(answer.status, 502);
    stage.restart().await;
    let answer = stage.ask_with("POST /crm/breaks", &["Outlast-Replay: never"], "y").await;
    assert_eq!(answer.status, 409, "its own mark forbids it");

    let (upstream, taken) = breaking().await;
    let stage = Stage::before(upstream).await;
    for sent in [2, 4] {
        assert_eq!(stage.ask("GET /crm/breaks", "").await.status, 502);
        // Of the proxy's own accord, too: what is safe is sent once more when a connection breaks.
        assert_eq!(taken.load(Ordering::SeqCst), sent);
        stage.restart().await;
    }
}

#[tokio::test]
async fn the_agents_own_retry_of_a_post_is_sent_and_its_answer_counts() {
    let stage = Stage::before(answering(&[500, 429, 503]).await).await;
    for status in [500, 429, 503, 200] {
        assert_eq!(stage.ask("POST /crm/b", "x").await.status, status);
    }
    stage.restart().await;
    let answer = stage.ask("POST /crm/b", "x").await;
    assert_eq!((answer.body.as_str(), is_replayed(&answer)), ("answer 4", true), "the way there is not gone again");
    assert_eq!(stage.ask("POST /crm/b", "x").await.body, "answer 5");
}

#[tokio::test]
async fn an_error_of_the_server_to_a_post_is_its_outcome_once_the_agent_goes_on_and_in_doubt_if_it_ends() {
    let stage = Stage::before(answering(&[500, 200, 500]).await).await;
    assert_eq!(stage.ask("POST /crm/b", "x").await.status, 500);
    assert_eq!(stage.ask("POST /crm/c", "x").await.status, 200);
    assert_eq!(stage.ask("POST /crm/d", "x").await.status, 500);
    let stage = stage.restart_all().await;
    let answer = stage.ask("POST /crm/b", "x").await;
    assert_eq!((answer.status, answer.body.as_str(), is_replayed(&answer)), (500, "answer 1", true));
    assert!(is_replayed(&stage.ask("POST /crm/c", "x").await));
    assert_eq!(stage.ask("POST /crm/d", "x").await.status, 409);
    assert_eq!(stage.upstream.seen().len(), 3);
}

#[tokio::test]
async fn an_error_that_an_agent_was_answered_last_is_its_outcome_if_it_ended_well() {
    let stage = Stage::before(answering(&[500]).await).await;
    assert_eq!(stage.ask("POST /crm/b", "x").await.status, 500);
    stage.recording.ended_well().await;
    stage.restart().await;
    let answer = stage.ask("POST /crm/b", "x").await;
    assert_eq!((answer.status, is_replayed(&answer)), (500, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_has_seen_the_end_of_is_on_record_at_that_moment() {
    let stage = Stage::before(counting().await).await;
    for turn in 0..50 {
        let line = if turn % 2 == 0 { "POST /crm/b" } else { "GET /crm/b" };
        assert_eq!(stage.ask(line, &format!("{turn}")).await.status, 200);
        let (summary, _) = stage.keeper.tasks().show(&harvest()).await.unwrap();
        assert_eq!((summary.progress.steps, summary.progress.done), (turn + 1, turn + 1));
    }
}

#[tokio::test]
async fn refusals_that_say_nothing_of_the_work_are_not_recorded_and_plain_ones_are() {
    for (status, is_kept) in [(404, true), (409, true), (429, false), (500, false), (503, false)] {
        let statuses: &'static [u16] = Box::leak(Box::new([status]));
        let stage = Stage::before(answering(statuses).await).await;
        assert_eq!(stage.ask("GET /crm/a", "").await.status, status);
        stage.restart().await;
        let answer = stage.ask("GET /crm/a", "").await;
        assert_eq!(is_replayed(&answer), is_kept, "{status}");
        assert_eq!(answer.status, if is_kept { status } else { 200 });
    }
    // A 401 that a renewal would mend and cannot: the grant has no refresh token.
    for line in ["GET /crm/a", "POST /crm/a"] {
        let stage = Stage::before(answering(&[401]).await).await;
        let answer = stage.ask(line, "").await;
        assert!(answer.field("outlast-code").is_some() && answer.status != 200, "{answer:?}");
        stage.restart().await;
        let (_, view) = stage.keeper.tasks().show(&harvest()).await.unwrap();
        assert!(!view.steps()[0].is_open(), "the server did not act");
    }
}

fn events(gate: Arc<Notify>, ends_well: bool) -> Response<Body> {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
    tokio::spawn(async move {
        sender.send(Ok(Frame::data(Bytes::from("data: one\n\n")))).await.unwrap();
        gate.notified().await;
        if ends_well {
            sender.send(Ok(Frame::data(Bytes::from("data: [DONE]\n\n")))).await.unwrap();
        }
    });
    let stream = futures_util::stream::unfold((receiver, ends_well), |(mut receiver, ends_well)| async move {
        match receiver.recv().await {
            Some(frame) => Some((frame, (receiver, ends_well))),
            None if ends_well => None,
            // The connection is cut in the middle of the body.
            None => std::panic::resume_unwind(Box::new("cut")),
        }
    });
    let body = StreamBody::new(stream).boxed_unsync();
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

async fn streaming(gate: &Arc<Notify>, ends_well: bool) -> Upstream {
    let gate = Arc::clone(gate);
    Upstream::start(move |_| {
        let gate = Arc::clone(&gate);
        async move { events(gate, ends_well) }
    })
    .await
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes_recorded_at_its_end_and_replayed_whole() {
    let gate = Arc::new(Notify::new());
    let stage = Stage::before(streaming(&gate, true).await).await;
    let mut stream = TcpStream::connect(stage.sidecar.proxy_address()).await.unwrap();
    stream.write_all(stage.text("POST /crm/chat", &[], "hi").as_bytes()).await.unwrap();
    let begun = read_until(&mut stream, "data: one").await;
    assert!(!begun.contains("DONE"), "the first event is there before the second was sent");
    gate.notify_one();
    read_until(&mut stream, "data: [DONE]\n\n").await;
    stage.restart().await;
    let answer = stage.ask("POST /crm/chat", "hi").await;
    assert!(is_replayed(&answer) && answer.field("content-type") == Some("text/event-stream"), "{answer:?}");
    assert_eq!(answer.body, "data: one\n\ndata: [DONE]\n\n");
    assert_eq!(stage.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_stream_that_is_cut_in_the_middle_has_no_outcome() {
    for (line, status) in [("POST /crm/chat", 409), ("GET /crm/chat", 200)] {
        let gate = Arc::new(Notify::new());
        let stage = Stage::before(streaming(&gate, false).await).await;
        let ask = || async {
            let mut stream = TcpStream::connect(stage.sidecar.proxy_address()).await.unwrap();
            stream.write_all(stage.text(line, &[], "").as_bytes()).await.unwrap();
            let begun = read_until(&mut stream, "\r\n\r\n").await;
            gate.notify_one();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            Raw::parse(&(begun + &String::from_utf8(rest).unwrap()))
        };
        let answer = ask().await;
        assert!(answer.status == 200 && !answer.body.contains("\r\n0\r\n"), "the agent sees the cut: {answer:?}");
        stage.restart().await;
        let answer = ask().await;
        assert_eq!((answer.status, is_replayed(&answer)), (status, false), "{line}");
    }
}

#[tokio::test]
async fn an_answer_that_an_agent_was_killed_over_is_taken_in_and_answers_the_next() {
    let gate = Arc::new(Notify::new());
    let stage = Stage::before(streaming(&gate, true).await).await;
    let mut stream = TcpStream::connect(stage.sidecar.proxy_address()).await.unwrap();
    stream.write_all(stage.text("POST /crm/chat", &[], "hi").as_bytes()).await.unwrap();
    read_until(&mut stream, "data: one").await;
    drop(stream);
    stage.recording.rewind();
    let again = async { stage.ask("POST /crm/chat", "hi").await };
    let end = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.notify_one();
    };
    let (answer, ()) = tokio::join!(again, end);
    assert!(is_replayed(&answer), "{answer:?}");
    assert_eq!(answer.body, "data: one\n\ndata: [DONE]\n\n");
    assert_eq!(stage.upstream.seen().len(), 1, "it was paid once");
}

#[tokio::test]
async fn at_the_bound_a_large_request_is_refused_unsent_and_one_byte_less_is_recorded() {
    let stage = Stage::before(counting().await).await;
    let most = "x".repeat(BYTES_MAX);
    assert_eq!(stage.ask("POST /crm/up", &most).await.body, "answer 1");
    let answer = stage.ask("POST /crm/up", &format!("{most}x")).await;
    assert_eq!((answer.status, answer.field("outlast-code")), (413, Some("record-limit")), "{answer:?}");
    assert_eq!(stage.upstream.seen().len(), 1);
    stage.restart().await;
    assert!(is_replayed(&stage.ask("POST /crm/up", &most).await));
}

#[tokio::test]
async fn at_the_bound_a_large_reply_passes_whole_and_is_sent_again_or_in_doubt() {
    for (more, line, status, is_kept) in
        [(0, "POST /crm/down", 200, true), (1, "POST /crm/down", 409, false), (1, "GET /crm/down", 200, false)]
    {
        let large = Upstream::start(move |_| async move { plain(200, "x".repeat(BYTES_MAX + more)) }).await;
        let stage = Stage::before(large).await;
        assert_eq!(stage.ask(line, "").await.body.len(), BYTES_MAX + more, "the agent gets all of it");
        stage.restart().await;
        let answer = stage.ask(line, "").await;
        assert_eq!((answer.status, is_replayed(&answer)), (status, is_kept), "{line} {more}");
        assert!(!is_kept || answer.body.len() == BYTES_MAX);
    }
}

#[tokio::test]
async fn what_is_of_the_moment_is_not_recorded_and_the_rest_comes_back() {
    let upstream = Upstream::start(|_| async {
        let answer =
            Response::builder().status(201).header("etag", "\"1\"").header("link", "<a>").header("link", "<b>");
        let answer = answer.header("set-cookie", "CANARY=1").header("authorization", "Bearer CANARY");
        answer.header("outlast-replayed", "1").body(plain(201, "made").into_body()).unwrap()
    })
    .await;
    let stage = Stage::before(upstream).await;
    let before = stage.ask("POST /crm/a", "").await;
    assert!(!is_replayed(&before), "no upstream says so: {before:?}");
    stage.restart().await;
    let after = stage.ask("POST /crm/a", "").await;
    assert_eq!((after.status, after.body.as_str(), after.field("etag")), (201, "made", Some("\"1\"")));
    assert!(after.head.contains("link: <a>") && after.head.contains("link: <b>"), "{after:?}");
    assert!(!after.head.contains("CANARY"), "{after:?}");
    let (_, view) = stage.keeper.tasks().show(&harvest()).await.unwrap();
    let written = stage.keeper.tasks().output(&harvest(), &view.steps()[0].key).await.unwrap().unwrap();
    assert!(!String::from_utf8(written.bytes).unwrap().contains("CANARY"));
}

#[tokio::test]
async fn a_head_request_keeps_the_length_it_was_told() {
    let upstream = Upstream::saying("12345").await;
    let stage = Stage::before(upstream).await;
    let before = stage.ask("HEAD /crm/a", "").await;
    stage.restart().await;
    let after = stage.ask("HEAD /crm/a", "").await;
    assert!(is_replayed(&after) && after.body.is_empty());
    assert_eq!(before.field("content-length"), Some("5"));
    assert_eq!(after.field("content-length"), Some("5"));
}

#[tokio::test]
async fn without_a_token_what_is_recorded_is_answered_and_nothing_new_is_in_doubt() {
    let stage = Stage::before(counting().await).await;
    stage.ask("POST /crm/a", "").await;
    stage.keeper.grant(&id("crm")).unwrap().log_out(true).await.unwrap();
    stage.restart().await;
    assert!(is_replayed(&stage.ask("POST /crm/a", "").await));
    let answer = stage.ask("POST /crm/b", "").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(stage.asked(), ["POST /a"]);
    let (_, view) = stage.keeper.tasks().show(&harvest()).await.unwrap();
    assert_eq!(view.steps().len(), 1, "nothing was begun");
}
