//! The injecting proxy, from the outside: bytes in, bytes at the upstream, bytes back.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use support::{Upstream, ask, before, exchange, get, id, import_plain, keeper, plain, read_until, sidecar};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

#[tokio::test]
async fn f65_f66_exactly_one_credential_reaches_the_upstream() {
    let upstream = Upstream::saying("hello").await;
    let (_keeper, sidecar) = before(&upstream).await;
    let fields = [
        "Cookie: session=local",
        "X-Api-Key: local",
        "x_api_key: local",
        "Proxy-Authorization: Basic bG9jYWw=",
        "X-Forwarded-Host: evil.example",
        "Forwarded: host=evil.example",
        "Keep-Alive: timeout=5",
        "TE: gzip",
        "Accept: text/plain",
    ];
    let answer = ask(&sidecar, "GET /crm/v1/items?q=1", &fields, "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    let [seen] = upstream.seen().try_into().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/v1/items?q=1"));
    assert_eq!(seen.all("authorization"), ["Bearer token-of-crm"]);
    assert_eq!(seen.all("host"), [upstream.address.to_string()]);
    assert_eq!(seen.all("accept"), ["text/plain"]);
    let mut names: Vec<_> = seen.headers.keys().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["accept", "authorization", "host"]);
}

#[tokio::test]
async fn n54_a_grant_with_a_header_of_its_own_sends_that_one_and_no_other() {
    let upstream = Upstream::saying("hello").await;
    let presentation = outlast::Presentation::new(Some("X-Vendor-Token"), Some("key={token}")).unwrap();
    let origin = upstream.origin();
    let settings = support::settings("crm", "http://127.0.0.1:1/token", Some(&origin));
    let settings = outlast::GrantSettings { presentation, ..settings };
    let keeper = outlast::Settings::in_memory().grant(settings).open().unwrap();
    support::import_plain(&keeper, "crm", "token-of-crm").await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    let fields = ["X-Vendor-Token: local", "x_vendor_token: local", "Connection: x-vendor-token"];
    assert_eq!(ask(&sidecar, "GET /crm/x", &fields, "").await.status, 200);
    let [seen] = upstream.seen().try_into().unwrap();
    assert_eq!(seen.all("x-vendor-token"), ["key=token-of-crm"]);
    assert!(seen.all("x_vendor_token").is_empty() && seen.all("authorization").is_empty());
}

#[tokio::test]
async fn n54_connection_cannot_remove_the_injected_credential() {
    let upstream = Upstream::saying("hello").await;
    let (_keeper, sidecar) = before(&upstream).await;
    let fields = ["Connection: authorization, host, x-hop", "X-Hop: 1"];
    assert_eq!(ask(&sidecar, "GET /crm/x", &fields, "").await.status, 200);
    let [seen] = upstream.seen().try_into().unwrap();
    assert_eq!(seen.all("authorization"), ["Bearer token-of-crm"]);
    assert_eq!(seen.all("host"), [upstream.address.to_string()]);
    assert!(seen.all("x-hop").is_empty() && seen.all("connection").is_empty());
}

#[tokio::test]
async fn f63_path_tricks_reach_no_upstream() {
    let upstream = Upstream::saying("hello").await;
    let (_keeper, sidecar) = before(&upstream).await;
    for path in [
        "/crm/../admin",
        "/crm/%2e%2e/admin",
        "/crm/%252e%252e/admin",
        "/crm/..;/admin",
        "/crm/a%5c..%5cb",
        "/crm//evil.example/",
        "/crm/%00",
        "/crm/a%0d%0aX:1",
    ] {
        let answer = get(&sidecar, path).await;
        assert_eq!((answer.status, answer.field("outlast-code")), (400, Some("request-invalid")), "{path}");
    }
    for path in ["/", "/nobody/x", "/../crm/x", "/%63rm/x"] {
        let answer = get(&sidecar, path).await;
        assert_eq!((answer.status, answer.field("outlast-code")), (404, Some("grant-unknown")), "{path}");
    }
    // Bytes that are no address at all never get past the parser.
    for path in ["/crm/\0", "/crm/a\x01b"] {
        assert_eq!(get(&sidecar, path).await.status, 400, "{path:?}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn f62_requests_for_other_hosts_forward_proxying_and_web_pages_are_refused() {
    let upstream = Upstream::saying("hello").await;
    let (_keeper, sidecar) = before(&upstream).await;
    let key = format!("Authorization: Bearer {}\r\nConnection: close\r\n\r\n", sidecar.capability().expose());
    let address = sidecar.proxy_address();
    let port = address.port();
    for (head, status) in [
        ("GET /crm/x HTTP/1.1\r\nHost: evil.example\r\n".to_owned(), 421),
        (format!("GET /crm/x HTTP/1.1\r\nHost: localhost.evil.example:{port}\r\n"), 421),
        ("GET /crm/x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n".to_owned(), 421),
        ("GET /crm/x HTTP/1.1\r\n".to_owned(), 421),
        (format!("GET /crm/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n"), 400),
        (format!("GET http://127.0.0.1:{port}/crm/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"), 400),
        (format!("GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"), 400),
        (format!("CONNECT api.example.com:443 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"), 501),
        (format!("GET /crm/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\n"), 403),
        (format!("GET /crm/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\n"), 403),
        (
            format!("GET /crm/x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"),
            501,
        ),
    ] {
        let answer = exchange(address, format!("{head}{key}").as_bytes()).await;
        assert_eq!(answer.status, status, "{head}");
    }
    assert!(upstream.seen().is_empty());
    let usual = format!("GET /crm/x HTTP/1.1\r\nHost: localhost:{port}\r\n");
    assert_eq!(exchange(address, format!("{usual}{key}").as_bytes()).await.status, 200);
}

#[tokio::test]
async fn without_its_capability_nothing_passes_and_no_answer_is_a_401() {
    let upstream = Upstream::saying("hello").await;
    let origin = upstream.origin();
    let keeper = keeper(&[("crm", Some(&origin)), ("gh", Some(&origin))]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    let only_gh = sidecar.mint_capability(Some(vec![id("gh")])).unwrap();
    let only_gh = only_gh.expose();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("user:{only_gh}"));
    let address = sidecar.proxy_address();
    for (path, fields, status) in [
        ("/gh/x", String::new(), 403),
        ("/gh/x", "Authorization: Bearer wrong\r\n".to_owned(), 403),
        ("/nobody/x", String::new(), 403),
        ("/gh/x", format!("Cookie: capability={only_gh}\r\n"), 403),
        (&format!("/gh/x?capability={only_gh}"), String::new(), 403),
        ("/crm/x", format!("Authorization: Bearer {only_gh}\r\n"), 403),
        ("/gh/x", format!("Authorization: Bearer {only_gh}\r\nAuthorization: Bearer {only_gh}\r\n"), 400),
        ("/gh/x", format!("Authorization: Bearer {only_gh}\r\n"), 200),
        ("/gh/x", format!("Authorization: Basic {basic}\r\n"), 200),
        ("/gh/x", format!("X-API-Key: {only_gh}\r\n"), 200),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n");
        let answer = exchange(address, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{path} {fields}");
        if status == 403 {
            assert_eq!(answer.field("outlast-code"), Some("capability-refused"));
            assert!(answer.body.contains("do not use another"), "{}", answer.body);
        }
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.all("authorization") == ["Bearer token-of-gh"]));
    assert!(!format!("{seen:?}").contains(only_gh), "the capability stays here");
}

#[tokio::test]
async fn a_grant_without_upstream_is_refused_with_the_key_that_is_missing() {
    let keeper = keeper(&[("crm", None)]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    let answer = get(&sidecar, "/crm/x").await;
    assert_eq!((answer.status, answer.field("outlast-code")), (403, Some("upstream-refused")));
    assert!(answer.body.contains("`upstream` in [grant.crm]"), "{}", answer.body);
}

/// An upstream that sends one event, and another when it is told to.
async fn of_two_events(go_on: &Arc<Notify>) -> Upstream {
    let told = Arc::clone(go_on);
    Upstream::start(move |_| {
        let (sender, receiver) = mpsc::unbounded_channel();
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            sender.send(Ok::<_, Infallible>(Frame::data(Bytes::from("data: first\n\n")))).unwrap();
            told.notified().await;
            let _ = sender.send(Ok(Frame::data(Bytes::from("data: second\n\n"))));
        });
        let events = futures_util::stream::unfold(receiver, |mut from| async { Some((from.recv().await?, from)) });
        let response = Response::builder().header("content-type", "text/event-stream");
        std::future::ready(response.body(StreamBody::new(events).boxed_unsync()).unwrap())
    })
    .await
}

#[tokio::test]
async fn f85_a_stream_ends_when_somebody_signs_out_of_its_grant() {
    let go_on = Arc::new(Notify::new());
    let upstream = of_two_events(&go_on).await;
    let (keeper, sidecar) = before(&upstream).await;
    let mut stream = send_head(&sidecar, "GET /crm/events", "").await;
    read_until(&mut stream, "data: first").await;
    // A renewal or another record of the grant ends nothing.
    import_plain(&keeper, "crm", "next-token").await;
    let mut rest = Vec::new();
    let ends = stream.read_to_end(&mut rest);
    assert!(tokio::time::timeout(Duration::from_millis(200), ends).await.is_err(), "it goes on");
    keeper.grant(&id("crm")).unwrap().log_out(true).await.unwrap();
    let ends = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(ends.is_ok_and(|read| read.is_ok()), "the connection is closed");
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "it does not look like its end");
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() {
    let go_on = Arc::new(Notify::new());
    let upstream = of_two_events(&go_on).await;
    let (_keeper, sidecar) = before(&upstream).await;
    let mut stream = send_head(&sidecar, "GET /crm/events", "").await;
    let first = read_until(&mut stream, "data: first").await;
    assert!(first.contains("text/event-stream"), "{first}");
    go_on.notify_one();
    read_until(&mut stream, "data: second").await;
}

/// Opens a connection and sends a request's head; the body is the test's.
async fn send_head(sidecar: &outlast_daemon::Sidecar, request_line: &str, fields: &str) -> TcpStream {
    let (address, capability) = (sidecar.proxy_address(), sidecar.capability().expose());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head =
        format!("{request_line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {capability}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// An upstream that tells the length of every piece it receives as it receives it.
async fn measuring(pieces: mpsc::UnboundedSender<usize>) -> Upstream {
    Upstream::start(move |request: Request<Incoming>| {
        let pieces = pieces.clone();
        async move {
            let mut body = request.into_body();
            let mut total = 0;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                total += length;
                let _ = pieces.send(length);
            }
            plain(200, total.to_string())
        }
    })
    .await
}

#[tokio::test]
async fn an_upload_reaches_the_upstream_while_it_is_still_being_sent() {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let upstream = measuring(sender).await;
    let (_keeper, sidecar) = before(&upstream).await;
    let mut stream = send_head(&sidecar, "POST /crm/upload", "Transfer-Encoding: chunked\r\n").await;
    stream.write_all(b"5\r\nfirst\r\n").await.unwrap();
    assert_eq!(pieces.recv().await, Some(5));
    stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(pieces.recv().await, Some(6));
    assert!(read_until(&mut stream, "11").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_large_upload_passes_whole() {
    let (sender, _pieces) = mpsc::unbounded_channel();
    let upstream = measuring(sender).await;
    let (_keeper, sidecar) = before(&upstream).await;
    let body = "x".repeat(8 * 1024 * 1024);
    let answer = ask(&sidecar, "PUT /crm/upload", &[], &body).await;
    assert_eq!((answer.status, answer.body), (200, body.len().to_string()));
}

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_go_on() {
    let (sender, _pieces) = mpsc::unbounded_channel();
    let upstream = measuring(sender).await;
    let (_keeper, sidecar) = before(&upstream).await;
    let mut stream = send_head(&sidecar, "POST /crm/x", "Expect: 100-continue\r\nContent-Length: 5\r\n").await;
    read_until(&mut stream, "100 Continue\r\n\r\n").await;
    stream.write_all(b"hello").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n5").await.contains("200 OK"));
    assert!(upstream.seen()[0].all("expect").is_empty());
}

#[tokio::test]
async fn f60_a_redirect_is_passed_on_and_not_followed() {
    let elsewhere = Upstream::saying("never").await;
    let location = format!("{}/elsewhere", elsewhere.origin());
    let upstream = Upstream::start(move |request: Request<Incoming>| {
        let status = if request.uri().path() == "/301" { 301 } else { 302 };
        let mut answer = plain(status, "moved");
        answer.headers_mut().insert("location", location.parse().unwrap());
        std::future::ready(answer)
    })
    .await;
    let (_keeper, sidecar) = before(&upstream).await;
    for path in ["/crm/301", "/crm/302"] {
        let answer = get(&sidecar, path).await;
        assert!(matches!(answer.status, 301 | 302));
        assert_eq!(answer.field("location"), Some(format!("{}/elsewhere", elsewhere.origin()).as_str()));
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn answers_without_a_body_keep_their_fields() {
    let upstream = Upstream::start(|request: Request<Incoming>| async move {
        match request.method().as_str() {
            "HEAD" => Response::builder().header("content-length", "12345").body(Empty::new().boxed_unsync()).unwrap(),
            "DELETE" => Response::builder().status(204).body(Empty::new().boxed_unsync()).unwrap(),
            _ => Response::builder().status(304).header("etag", "\"x\"").body(Empty::new().boxed_unsync()).unwrap(),
        }
    })
    .await;
    let (_keeper, sidecar) = before(&upstream).await;
    let head = ask(&sidecar, "HEAD /crm/x", &[], "").await;
    assert_eq!((head.status, head.field("content-length"), head.body.as_str()), (200, Some("12345"), ""));
    let deleted = ask(&sidecar, "DELETE /crm/x", &[], "").await;
    assert_eq!((deleted.status, deleted.field("content-length"), deleted.body.as_str()), (204, None, ""));
    let unchanged = get(&sidecar, "/crm/x").await;
    assert_eq!((unchanged.status, unchanged.field("etag")), (304, Some("\"x\"")));
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let upstream = Upstream::start(|request: Request<Incoming>| async move {
        let collected = request.into_body().collect().await.unwrap();
        let sum = collected.trailers().and_then(|trailers| trailers.get("x-sum").cloned());
        let mut trailers = HeaderMap::new();
        trailers.insert("x-echo", sum.unwrap_or_else(|| "none".parse().unwrap()));
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        Response::builder().header("trailer", "x-echo").body(body).unwrap()
    })
    .await;
    let (_keeper, sidecar) = before(&upstream).await;
    let fields = "TE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n";
    let mut stream = send_head(&sidecar, "POST /crm/x", fields).await;
    stream.write_all(b"2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n").await.unwrap();
    read_until(&mut stream, "x-echo: 42").await;
}

#[tokio::test]
async fn what_an_upstream_says_of_its_connection_and_of_us_is_not_passed_on() {
    let upstream = Upstream::start(|_| async {
        let mut answer = plain(200, "ok");
        for (name, value) in [
            ("set-cookie", "a=b"),
            ("strict-transport-security", "max-age=1"),
            ("alt-svc", "h3=\":443\""),
            ("outlast-code", "needs-user"),
            ("keep-alive", "timeout=5"),
            ("x-own", "kept"),
        ] {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        answer
    })
    .await;
    let (_keeper, sidecar) = before(&upstream).await;
    let answer = get(&sidecar, "/crm/x").await;
    for name in ["set-cookie", "strict-transport-security", "alt-svc", "outlast-code", "keep-alive"] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    assert_eq!(answer.field("x-own"), Some("kept"));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502_that_says_nothing_was_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let keeper = keeper(&[("crm", Some(&origin))]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    let answer = get(&sidecar, "/crm/x").await;
    assert_eq!((answer.status, answer.field("outlast-code")), (502, Some("upstream-unreachable")));
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert!(answer.body.contains("nothing was sent"), "{}", answer.body);
}

#[tokio::test]
async fn f69_two_grants_with_one_origin_never_share_a_connection() {
    let upstream = Upstream::saying("hello").await;
    let origin = upstream.origin();
    let keeper = keeper(&[("crm", Some(&origin)), ("gh", Some(&origin))]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    for _ in 0..4 {
        for path in ["/crm/x", "/gh/x"] {
            assert_eq!(get(&sidecar, path).await.status, 200);
        }
    }
    let seen = upstream.seen();
    let connections_of = |token: &str| -> std::collections::BTreeSet<usize> {
        seen.iter().filter(|seen| seen.all("authorization") == [token]).map(|seen| seen.connection).collect()
    };
    let (crm, gh) = (connections_of("Bearer token-of-crm"), connections_of("Bearer token-of-gh"));
    assert!(crm.is_disjoint(&gh), "{crm:?} {gh:?}");
    assert!(crm.len() < 4 && gh.len() < 4, "connections are used again: {crm:?} {gh:?}");
}

#[tokio::test]
async fn http2_clients_are_served_on_the_same_port() {
    let upstream = Upstream::saying("hello").await;
    let (_keeper, sidecar) = before(&upstream).await;
    let stream = TcpStream::connect(sidecar.proxy_address()).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{}/crm/v1", sidecar.proxy_address()))
        .header("authorization", format!("Bearer {}", sidecar.capability().expose()))
        .body(Full::new(Bytes::from("body")))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let [seen] = upstream.seen().try_into().unwrap();
    assert_eq!(seen.all("authorization"), ["Bearer token-of-crm"]);
    assert_eq!(seen.all("host"), [upstream.address.to_string()]);
}

#[tokio::test]
async fn a_shutdown_lets_the_request_under_way_end_and_takes_no_other() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, told) = (Arc::clone(&reached), Arc::clone(&go_on));
    let upstream = Upstream::start(move |_| {
        let (here, told) = (Arc::clone(&here), Arc::clone(&told));
        async move {
            here.notify_one();
            told.notified().await;
            plain(200, "done")
        }
    })
    .await;
    let (_keeper, sidecar) = before(&upstream).await;
    let address = sidecar.proxy_address();
    let mut stream = send_head(&sidecar, "GET /crm/x", "").await;
    reached.notified().await;
    let stopping = tokio::spawn(sidecar.shutdown());
    // Refused as soon as the listener is gone.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished(), "the request is still under way");
    go_on.notify_one();
    read_until(&mut stream, "done").await;
    stopping.await.unwrap();
}

/// An upstream that says it keeps its connections and closes each one after an answer.
async fn hasty() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                read_until(&mut stream, "\r\n\r\n").await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            });
        }
    });
    origin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_closes_idle_connections_loses_no_request() {
    let origin = hasty().await;
    let keeper = keeper(&[("crm", Some(&origin))]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    let mut stream = TcpStream::connect(sidecar.proxy_address()).await.unwrap();
    let (address, capability) = (sidecar.proxy_address(), sidecar.capability().expose());
    let mut lost = 0;
    for round in 0..2_000 {
        let request = format!("GET /crm/{round} HTTP/1.1\r\nHost: {address}\r\nX-Api-Key: {capability}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        if !answer.starts_with("HTTP/1.1 200") {
            lost += 1;
            stream = TcpStream::connect(sidecar.proxy_address()).await.unwrap();
        } else if !answer.ends_with("ok") {
            read_until(&mut stream, "ok").await;
        }
    }
    assert_eq!(lost, 0);
}

/// An upstream that reads a request and closes the connection without a word, `times` times; then
/// it answers.
async fn abrupt(times: usize) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_until(&mut stream, "\r\n\r\n").await;
            if counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= times {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    });
    (origin, requests)
}

#[tokio::test]
async fn only_a_request_that_does_no_harm_is_sent_again_after_a_broken_connection_and_only_once() {
    for (request_line, field, broken, status, sends) in [
        ("GET /crm/x", "Accept: */*", 1, 200, 2),
        ("GET /crm/x", "Accept: */*", 2, 502, 2),
        ("GET /crm/x", "Outlast-Replay: never", 1, 502, 1),
        ("POST /crm/x", "Accept: */*", 1, 502, 1),
        ("DELETE /crm/x", "Accept: */*", 1, 502, 1),
    ] {
        let (origin, requests) = abrupt(broken).await;
        let keeper = keeper(&[("crm", Some(&origin))]).await;
        let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
        let answer = ask(&sidecar, request_line, &[field], "").await;
        let sent = requests.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!((answer.status, sent), (status, sends), "{request_line} {field}");
        if status == 502 {
            assert!(answer.body.contains("whether it acted on the request is not known"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn an_https_upstream_that_is_not_there_is_a_502() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let keeper = keeper(&[("crm", Some(&origin))]).await;
    let sidecar = sidecar(&keeper, Duration::ZERO, None).await;
    assert_eq!(get(&sidecar, "/crm/x").await.status, 502);
}
