//! More than a hundred things to send to the control socket that are no good request (T13): each is answered
//! with a refusal or not at all, tells no token, renews nothing, and the next good request is served.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at the first surprise")]

mod support;

use outlast_daemon::client::{FetchError, fetch_token_blocking};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use support::{ask_control, stage};

/// What is sent; the connection is half closed after it.
fn frames() -> Vec<(String, Vec<u8>)> {
    let mut rows: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, bytes: &[u8]| rows.push((what.to_owned(), bytes.to_vec()));
    let good = "GET /v1/grants/crm/token HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Cut before the end of the head at every place but few.
    for kept in (0..good.len() - 1).step_by(3) {
        add(&format!("a request cut to {kept}"), &good.as_bytes()[..kept]);
    }
    let lines: [&[u8]; 30] = [
        b"\0",
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xfe\xfd",
        b"\r\n\r\n\r\n",
        b"{\"grant\":\"crm\"}\n",
        b"crm\n",
        b"GET\r\n\r\n",
        b"GET /v1/grants/crm/token\r\n\r\n",
        b"GET  /v1/grants/crm/token HTTP/1.1\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/0.9\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/9.9\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1 HTTP/1.1\r\n\r\n",
        b"G\0ET /v1/grants/crm/token HTTP/1.1\r\n\r\n",
        b"GET /v1/grants/c\0rm/token HTTP/1.1\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1\r\n\xc0\xaf: x\r\n\r\n",
        b"GET /v1/grants/crm/token HTTP/1.1\r\n folded: x\r\n\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /v1/capabilities HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nContent-Length: 0x10\r\n\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /v1/capabilities HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ];
    for line in lines {
        add(&String::from_utf8_lossy(line), line);
    }
    let endless = "x".repeat(1024 * 1024);
    add("an endless line", endless.as_bytes());
    add("an endless path", format!("GET /v1/grants/{endless}/token HTTP/1.1\r\n\r\n").as_bytes());
    add("an endless field", format!("GET /v1/grants/crm/token HTTP/1.1\r\nX: {endless}\r\n\r\n").as_bytes());
    let fields: String = (0..5000).map(|number| format!("X-{number}: x\r\n")).collect();
    add("fields without end", format!("GET /v1/grants/crm/token HTTP/1.1\r\n{fields}\r\n").as_bytes());
    for (what, bytes) in http2() {
        add(what, &bytes);
    }
    for target in TARGETS {
        add(target, format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "BREW"] {
        let text = format!("{method} /v1/grants/crm/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        add(&format!("method {method}"), text.as_bytes());
    }
    for body in BODIES {
        let length = body.len();
        let head = format!("POST /v1/capabilities HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n");
        add(&format!("body {body}"), format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
    }
    let deep = "[".repeat(100_000);
    let head = format!("POST /v1/capabilities HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", deep.len());
    add("a body of brackets", format!("{head}{deep}").as_bytes());
    rows
}

const TARGETS: [&str; 26] = [
    "/",
    "//",
    "*",
    "/v1",
    "/v1/",
    "/v1/grants/",
    "/v1/grants//token",
    "/v1/grants/crm/token/",
    "/v1/grants/crm//token",
    "/v1/grants/CRM/token",
    "/v1/grants/..%2fcrm/token",
    "/v1/grants/../grants/crm/token",
    "/v1/grants/./crm/token",
    "/v1/grants/crm%00/token",
    "/v1/grants/%63rm/token",
    "/v1/grants/crm;x/token",
    "/v1/grants/crm/token?min_ttl",
    "/v1/grants/crm/token?min_ttl=",
    "/v1/grants/crm/token?min_ttl=-1",
    "/v1/grants/crm/token?min_ttl=1e9",
    "/v1/grants/crm/token?min_ttl=99999999999999999999",
    "/v1/grants/crm/token?min_ttl=1&min_ttl=2&x=1",
    "/v1/grants/crm/token?renew=yes",
    "/v1/grants/crm/token?%72enew=1&renew=maybe",
    "/v2/grants/crm/token",
    "/V1/grants/crm/token",
];

/// Not `{}`: that asks for a capability for all grants, as documented.
const BODIES: [&str; 16] = [
    "",
    " ",
    "null",
    "0",
    "[]",
    "{",
    "\"crm\"",
    "{\"grants\":\"crm\"}",
    "{\"grants\":[7]}",
    "{\"grants\":[null]}",
    "{\"grants\":[[\"crm\"]]}",
    "{\"grants\":[\"\"]}",
    "{\"grants\":[\"nobody\"]}",
    "{\"grants\":[\"crm\",\"nobody\"]}",
    "{\"grants\":[\"../crm\"]}",
    "{\"grants\":[\"crm\"]}{\"grants\":[\"crm\"]}",
];

/// The preface, and what does not belong after it.
fn http2() -> Vec<(&'static str, Vec<u8>)> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frame = |length: u32, kind: u8, flags: u8, stream: u32, body: &[u8]| {
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
    };
    let after = |frames: &[Vec<u8>]| [&preface[..], &frames.concat()].concat();
    let settings = frame(0, 4, 0, 0, b"");
    vec![
        ("h2: the preface alone", preface.to_vec()),
        ("h2: half a preface", preface[..12].to_vec()),
        ("h2: no settings", after(&[frame(4, 8, 0, 0, &[0, 0, 0, 1])])),
        ("h2: settings of a wrong length", after(&[frame(5, 4, 0, 0, b"12345")])),
        ("h2: settings on a stream", after(&[frame(0, 4, 0, 1, b"")])),
        ("h2: a frame of 16 MiB", after(&[settings.clone(), frame(0x00ff_ffff, 0, 0, 1, b"x")])),
        ("h2: data on no stream", after(&[settings.clone(), frame(1, 0, 0, 0, b"x")])),
        ("h2: data on an idle stream", after(&[settings.clone(), frame(1, 0, 0, 7, b"x")])),
        ("h2: headers that are no HPACK", after(&[settings.clone(), frame(4, 1, 5, 1, b"\xff\xff\xff\xff")])),
        ("h2: headers on an even stream", after(&[settings.clone(), frame(1, 1, 5, 2, b"\x82")])),
        ("h2: a request without a path", after(&[settings.clone(), frame(1, 1, 5, 1, b"\x82")])),
        ("h2: a continuation of nothing", after(&[settings.clone(), frame(1, 9, 4, 1, b"\x82")])),
        ("h2: padding longer than the frame", after(&[settings.clone(), frame(2, 0, 8, 1, b"\xff\x00")])),
        ("h2: a push from a client", after(&[settings.clone(), frame(5, 5, 4, 1, b"\x00\x00\x00\x02\x82")])),
        ("h2: a window of nothing", after(&[settings.clone(), frame(4, 8, 0, 0, &[0; 4])])),
        ("h2: ten thousand pings", after(&[settings.clone(), frame(8, 6, 0, 0, &[0; 8]).repeat(10_000)])),
        ("h2: ten thousand settings", after(&[settings.repeat(10_000)])),
        ("h2: resets of idle streams", after(&[settings, frame(4, 3, 0, 1, &[0; 4]).repeat(1000)])),
    ]
}

/// Sends and reads to the end; None where the other side does not end it in time.
fn exchange(socket: &Path, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may be refused before all of it is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => None,
        Ok(_) | Err(_) => Some(answer),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_no_frame_on_the_control_socket_is_told_a_token_or_stops_it() {
    let stage = stage().await;
    let frames = frames();
    println!("{} frames", frames.len());
    assert!(frames.len() >= 100);
    for (what, bytes) in &frames {
        let shown: String = what.chars().take(80).collect();
        let (socket, bytes) = (stage.socket.clone(), bytes.clone());
        let answer = tokio::task::spawn_blocking(move || exchange(&socket, &bytes)).await.unwrap();
        let answer = answer.unwrap_or_else(|| panic!("{shown:?} is waited for without end"));
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains(&stage.issued.access) && !text.contains("capability\":"), "{shown:?}: {text}");
        if text.starts_with("HTTP/1.") {
            assert!(text.split(' ').nth(1).is_some_and(|status| status.starts_with('4')), "{shown:?}: {text}");
        }
        assert_eq!(ask_control(&stage.socket, "/healthz").await, (200, "ok\n".into()), "{shown:?}");
    }
    let (status, token) = ask_control(&stage.socket, "/v1/grants/crm/token").await;
    assert_eq!((status, token["access_token"].as_str()), (200, Some(stage.issued.access.as_str())));
    assert_eq!(stage.sandbox.counters().refreshes, 0, "nothing was renewed");
}

/// What something else at the socket's path may answer.
const ANSWERS: [&str; 34] = [
    "",
    "\0",
    "\r\n\r\n",
    "hello\n",
    "HTTP/1.1",
    "HTTP/1.1 200",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 999999 OK\r\n\r\n{}",
    "HTTP/1.1 abc OK\r\n\r\n{}",
    "HTTP/1.1 -200 OK\r\n\r\n{}",
    "HTTP/9.9 200 OK\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"cut",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"access_token\":7}",
    "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"access_token\":null}",
    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"access_token\":\"a\"}",
    "HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n{\"access_token\":\"a\",\"token_type\":\"mac\"}",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\n\r\nnothing",
    "HTTP/1.1 500 Oops\r\n\r\n<html>",
    "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\n{\"code\":7}",
    "HTTP/1.1 503 Busy\r\nContent-Length: 30\r\n\r\n{\"code\":\"x\",\"retry_after\":-1.5}",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching\r\n\r\n",
    "\x16\x03\x01\x02",
];

#[test]
fn t13_no_answer_at_the_sockets_path_is_taken_for_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let huge = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(32 * 1024 * 1024));
    let answers = ANSWERS.iter().copied().chain([huge.as_str()]);
    for (number, answer) in answers.enumerate() {
        let path = folder.path().join(format!("{number}.sock"));
        let listener = UnixListener::bind(&path).unwrap();
        let shown: String = answer.chars().take(100).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            });
            match fetch_token_blocking(&path, "crm", Duration::ZERO) {
                Ok(token) => panic!("{shown:?}: {token:?}"),
                Err(
                    FetchError::Misread
                    | FetchError::Refused { .. }
                    | FetchError::TimedOut
                    | FetchError::Unreachable(_),
                ) => {}
            }
        });
    }
}
