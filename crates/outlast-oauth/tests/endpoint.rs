//! What the token endpoint's client sends, to whom, and what it says of the answer.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a stopped process is played by a blocked thread")]

mod support;

use outlast_core::wire::{Answer, Fault};
use outlast_core::{Fence, GrantId, Lease, TokenEndpoint};
use outlast_oauth::{BODY_BYTES_MAX, HttpTokenEndpoint};
use support::{Ending, Server, TOKENS, answer, brief, complete, field, in_child, send, send_within, tokens};

fn assert_lost(answer: &Answer, wanted: Fault, case: &str) {
    assert!(matches!(answer, Answer::Lost(fault) if *fault == wanted), "{case}: {answer:?}");
}

fn assert_unsent(answer: &Answer, wanted: Fault, case: &str) {
    assert!(matches!(answer, Answer::Unsent(fault) if *fault == wanted), "{case}: {answer:?}");
}

#[tokio::test]
async fn n01_a_token_request_is_one_post_of_a_form() {
    let server = Server::always(tokens(), Ending::Hold).await;
    let reply = complete(send(server.address("/token?tenant=a")).await);
    assert_eq!((reply.status, reply.body.as_slice()), (200, TOKENS.as_bytes()));
    assert_eq!(reply.headers["content-type"], "application/json");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /token?tenant=a HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(head, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(field(head, "accept"), Some("application/json"));
    assert_eq!(field(head, "accept-encoding"), Some("identity"));
    assert_eq!(field(head, "authorization"), Some("Basic Q0FOQVJZ"));
    assert_eq!(field(head, "cookie"), None);
    assert_eq!(field(head, "referer"), None);
    assert_eq!(body, "grant_type=refresh_token&refresh_token=CANARY%2Br%2F1+%26%3D");
}

#[tokio::test]
async fn f38_redirects_are_never_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let elsewhere = Server::always(tokens(), Ending::Hold).await;
        let location = format!("Location: {}\r\n", elsewhere.address("/token"));
        let server = Server::always(answer(status, &location, ""), Ending::Hold).await;
        let reply = complete(send(server.address("/token")).await);
        assert_eq!(reply.status.to_string(), status[..3]);
        assert_eq!((server.requests().len(), elsewhere.connections()), (1, 0), "{status}");
    }
}

/// As gzip packs it without making it shorter (RFC 1952, RFC 1951 3.2.4).
fn gzipped(text: &str) -> Vec<u8> {
    let crc = text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let length = u16::try_from(text.len()).unwrap();
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(text.bytes());
    packed.extend((!crc).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}

#[tokio::test]
async fn f36_an_encoded_body_is_not_opened() {
    for encoding in ["gzip", "br", "deflate", "zstd", "x-gzip", "identity, gzip", "GZIP"] {
        let fields = format!("Content-Encoding: {encoding}\r\n");
        let server = Server::always(answer("200 OK", &fields, TOKENS), Ending::Hold).await;
        assert_lost(&send(server.address("/")).await, Fault::Broken, encoding);
    }
    // One that could be opened: a client that decodes would find a token set.
    let mut packed = answer("200 OK", "Content-Encoding: gzip\r\n", &" ".repeat(gzipped(TOKENS).len()));
    packed.truncate(packed.len() - gzipped(TOKENS).len());
    packed.extend(gzipped(TOKENS));
    let server = Server::always(packed, Ending::Hold).await;
    assert_lost(&send(server.address("/")).await, Fault::Broken, "gzip, well packed");
    let server = Server::always(answer("200 OK", "Content-Encoding: Identity\r\n", TOKENS), Ending::Hold).await;
    assert_eq!(complete(send(server.address("/")).await).body, TOKENS.as_bytes());
}

#[tokio::test]
async fn f36_a_body_of_the_limit_is_read_and_one_byte_more_is_not() {
    let server = Server::always(answer("200 OK", "", &"x".repeat(BODY_BYTES_MAX)), Ending::Hold).await;
    assert_eq!(complete(send(server.address("/")).await).body.len(), BODY_BYTES_MAX);
    let server = Server::always(answer("200 OK", "", &"x".repeat(BODY_BYTES_MAX + 1)), Ending::Hold).await;
    assert_lost(&send(server.address("/")).await, Fault::TooLarge, "one more");
}

#[tokio::test]
async fn f36_a_body_without_end_is_dropped_at_the_limit() {
    const CHUNK: &[u8] = b"10\r\nxxxxxxxxxxxxxxxx\r\n";
    for head in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
    ] {
        let server = Server::always(head, Ending::Repeat(CHUNK)).await;
        assert_lost(&send(server.address("/")).await, Fault::TooLarge, head);
    }
}

#[tokio::test]
async fn f36_heads_beyond_the_limits_are_refused() {
    let one = |size: usize| format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(size));
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    let server = Server::always(answer("200 OK", &fields(127), ""), Ending::Hold).await;
    assert_eq!(complete(send(server.address("/")).await).headers.len(), 128);
    for (case, head) in [
        ("70 kB", one(70_000)),
        ("600 kB", one(600_000)),
        ("129 fields", format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", fields(128))),
    ] {
        let server = Server::always(head, Ending::Hold).await;
        let lost = send(server.address("/")).await;
        assert!(matches!(lost, Answer::Lost(Fault::Broken | Fault::TooLarge)), "{case}: {lost:?}");
    }
    let server = Server::always("HTTP/1.1 200 OK\r\n", Ending::Repeat(b"X-More: and more\r\n")).await;
    assert!(matches!(send(server.address("/")).await, Answer::Lost(Fault::Broken | Fault::TooLarge)));
}

#[tokio::test]
async fn f33_a_server_that_dawdles_runs_into_the_total_time() {
    let cases = [
        ("silent", "", Ending::Hold),
        ("a field at a time", "HTTP/1.1 200 OK\r\n", Ending::Trickle(b"A: b\r\n")),
        ("a byte at a time", "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", Ending::Trickle(b"x")),
        ("silent in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", Ending::Hold),
        ("endless 1xx", "HTTP/1.1 103 Early Hints\r\n\r\n", Ending::Trickle(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    ];
    futures_util::future::join_all(cases.map(|(case, start, ending)| async move {
        let server = Server::always(start, ending).await;
        assert_lost(&send_within(server.address("/"), brief()).await, Fault::Timeout, case);
        assert_eq!(server.requests().len(), 1, "{case}");
    }))
    .await;
}

#[tokio::test]
async fn f03_an_answer_that_is_not_whole_is_lost() {
    let cut_json = r#"{"access_token":"tru"#;
    for (case, bytes, ending) in [
        ("closed after the request", String::new(), Ending::Close),
        ("reset after the request", String::new(), Ending::Reset),
        ("closed in the head", "HTTP/1.1 200 OK\r\nContent-Le".to_owned(), Ending::Close),
        ("not HTTP", "SSH-2.0-OpenSSH_9.9\r\n".to_owned(), Ending::Close),
        ("shorter than its length", format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{TOKENS}"), Ending::Close),
        ("reset in the body", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_owned(), Ending::Reset),
        ("cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{".to_owned(), Ending::Close),
        ("no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n".to_owned(), Ending::Close),
        ("bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}".to_owned(), Ending::Close),
        ("ends with the connection, cut", format!("HTTP/1.1 200 OK\r\n\r\n{cut_json}"), Ending::Close),
        ("the same in HTTP/1.0", format!("HTTP/1.0 200 OK\r\n\r\n{cut_json}"), Ending::Close),
        ("the same as a refusal", "HTTP/1.0 400 Bad\r\n\r\n{\"error\":\"invalid_gr".to_owned(), Ending::Close),
        ("a form that may be cut", "HTTP/1.1 200 OK\r\n\r\naccess_token=tru".to_owned(), Ending::Close),
        ("a page that may be cut", "HTTP/1.1 200 OK\r\n\r\n<html>".to_owned(), Ending::Close),
        ("nothing, then the end", "HTTP/1.1 200 OK\r\n\r\n".to_owned(), Ending::Close),
        ("a number that may be cut", "HTTP/1.1 200 OK\r\n\r\n12".to_owned(), Ending::Close),
        ("another coding", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{TOKENS}"), Ending::Close),
    ] {
        let server = Server::always(bytes, ending).await;
        assert_lost(&send(server.address("/")).await, Fault::Broken, case);
        assert_eq!(server.requests().len(), 1, "{case}: sent again");
    }
}

#[tokio::test]
async fn an_answer_that_is_whole_is_delivered_whatever_it_says() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n";
    for (case, bytes, ending, status, body) in [
        ("HTML", answer("200 OK", "Content-Type: text/html\r\n", "<html>"), Ending::Hold, 200, "<html>"),
        ("empty", answer("200 OK", "", ""), Ending::Hold, 200, ""),
        ("no content", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), Ending::Close, 204, ""),
        (
            "form",
            answer("200 OK", "", "access_token=a&token_type=bearer"),
            Ending::Hold,
            200,
            "access_token=a&token_type=bearer",
        ),
        ("cut by its own length", answer("200 OK", "", "{\"acc"), Ending::Hold, 200, "{\"acc"),
        ("chunked", chunked.as_bytes().to_vec(), Ending::Hold, 200, "{\"a\":1}"),
        (
            "JSON that ends with the connection",
            b"HTTP/1.1 200 OK\r\n\r\n{\"a\":1}".to_vec(),
            Ending::Close,
            200,
            "{\"a\":1}",
        ),
        (
            "an early hint first",
            [b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec(), answer("400 Bad", "", "{}")].concat(),
            Ending::Hold,
            400,
            "{}",
        ),
        (
            "server error",
            answer("500 Oops", "", "{\"error\":\"server_error\"}"),
            Ending::Hold,
            500,
            "{\"error\":\"server_error\"}",
        ),
        ("strange status", answer("999 What", "", "x"), Ending::Hold, 999, "x"),
    ] {
        let server = Server::always(bytes, ending).await;
        let reply = complete(send(server.address("/")).await);
        assert_eq!((reply.status, reply.body.as_slice()), (status, body.as_bytes()), "{case}");
    }
}

#[tokio::test]
async fn f30_a_server_that_cannot_be_reached_was_sent_nothing() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = closed.local_addr().unwrap();
    drop(closed);
    assert_unsent(&send(format!("http://{host}/token")).await, Fault::Connect, "refused");
    assert_unsent(&send("https://token.invalid/token".to_owned()).await, Fault::Connect, "no such name");
}

#[tokio::test]
async fn f39_a_server_that_does_not_speak_tls_was_sent_nothing() {
    let server = Server::always(tokens(), Ending::Close).await;
    let address = format!("https://{}/token", server.host);
    // The server waits for an end of head that never comes.
    assert!(matches!(send_within(address, brief()).await, Answer::Unsent(Fault::Connect)));
    assert_eq!(server.requests().len(), 0);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _said = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    });
    assert_unsent(&send(address).await, Fault::Tls, "plain HTTP where TLS belongs");
}

#[tokio::test]
async fn n10_plain_http_beyond_loopback_is_refused_without_a_connection() {
    let server = Server::always(tokens(), Ending::Hold).await;
    let port = server.host.rsplit(':').next().unwrap();
    // This address reaches the server on Linux, so a connection would be noticed.
    for address in [
        format!("http://0.0.0.0:{port}/token"),
        "http://login.example.com/token".to_owned(),
        format!("http://user:pass@{}/token", server.host),
        format!("ftp://{}/token", server.host),
        server.host.clone(),
        String::new(),
    ] {
        assert_unsent(&send(address.clone()).await, Fault::Insecure, &address);
    }
    assert_eq!(server.connections(), 0);
    complete(send(format!("http://localhost:{port}/token")).await);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_carries_one_request() {
    let server = Server::always(tokens(), Ending::Hold).await;
    let lease = Lease::new(GrantId::parse("test").unwrap(), Fence(1), ());
    let endpoint = HttpTokenEndpoint::new(std::sync::Arc::new(support::Standing));
    for _ in 0..3 {
        complete(endpoint.send(&lease, &support::refresh_request(server.address("/"))).await);
    }
    assert_eq!((server.requests().len(), server.connections()), (3, 3));
}

#[tokio::test]
async fn f11_a_lease_that_is_lost_while_the_connection_is_made_sends_no_byte() {
    let server = Server::always(tokens(), Ending::Hold).await;
    let connected = server.address("/");
    let endpoint = HttpTokenEndpoint::new(std::sync::Arc::new(support::Standing));
    let lost = Lease::new(GrantId::parse("test").unwrap(), Fence(1), ()).watched(|| false);
    let answer = endpoint.send(&lost, &support::refresh_request(connected.clone())).await;
    assert_unsent(&answer, Fault::LeaseLost, "lost");
    // The connection was made before the lease was looked at: the look is the last thing before the bytes.
    assert_eq!((server.connections(), server.bytes()), (1, 0));
    let held = Lease::new(GrantId::parse("test").unwrap(), Fence(1), ()).watched(|| true);
    let reply = complete(endpoint.send(&held, &support::refresh_request(connected)).await);
    assert_eq!(reply.body, TOKENS.as_bytes());
    let request = &server.requests()[0];
    assert!(field(request.split_once("\r\n\r\n").unwrap().0, "transfer-encoding").is_none(), "{request}");
}

#[test]
fn f11_a_process_that_was_stopped_reads_the_answer_that_came_meanwhile() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // More than one read brings.
    let body = "x".repeat(200 * 1024);
    let whole = answer("200 OK", "", &body);
    let server = runtime.block_on(Server::start(move |_| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        (whole.clone(), Ending::Hold)
    }));
    // One thread, which is blocked from when the request is out until long after its time is up.
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = client.block_on(async {
        let limits = brief();
        let sending = tokio::spawn(send_within(server.address("/"), limits));
        while server.requests().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        std::thread::sleep(limits.total + std::time::Duration::from_millis(500));
        sending.await.unwrap()
    });
    assert_eq!(complete(answer).body.len(), body.len());
}

#[test]
fn f39_the_environments_proxy_is_not_asked() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, proxy) = runtime.block_on(async {
        (Server::always(tokens(), Ending::Hold).await, Server::always(tokens(), Ending::Hold).await)
    });
    let proxies = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let mut environment: Vec<_> = proxies.iter().map(|name| (*name, proxy.address("/"))).collect();
    environment.extend([("no_proxy", String::new()), ("NO_PROXY", String::new())]);
    in_child("child_sends_one_request", &environment, &server.address("/token"));
    assert_eq!((server.requests().len(), proxy.connections()), (1, 0));
}

#[tokio::test]
#[ignore = "run by f39_the_environments_proxy_is_not_asked in a process of its own"]
async fn child_sends_one_request() {
    if let Some(address) = support::input() {
        complete(send(address).await);
    }
}
