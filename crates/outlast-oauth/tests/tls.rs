//! Whom the client believes to be the authorization server.
#![allow(clippy::unwrap_used)]

mod support;

use outlast_core::wire::{Answer, Fault};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{complete, in_child, input, send, tokens};

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(file)
}

/// A TLS server with one certificate; returns its port and how many requests it has read.
fn serve(certificate: &str) -> (u16, Arc<AtomicUsize>) {
    let chain = vec![CertificateDer::from_pem_file(path(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(path("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    // HTTP/2 first: a client that took it up would not understand the answer.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = Stream::new(&mut connection, &mut stream);
            let mut buffer = [0_u8; 4096];
            if tls.read(&mut buffer).is_ok_and(|count| count > 0) {
                counter.fetch_add(1, Ordering::SeqCst);
                tls.write_all(&tokens()).unwrap();
                tls.conn.send_close_notify();
                tls.flush().unwrap();
            }
        }
    });
    (port, requests)
}

async fn assert_refused(certificate: &str, host: &str) {
    let (port, requests) = serve(certificate);
    let answer = send(format!("https://{host}:{port}/token")).await;
    assert!(matches!(answer, Answer::Unsent(Fault::Tls)), "{certificate} for {host}: {answer:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 0, "{certificate} for {host}");
}

#[tokio::test]
async fn n14_a_certificate_nobody_vouches_for_is_sent_nothing() {
    assert_refused("self_signed.pem", "localhost").await;
    assert_refused("good.pem", "localhost").await;
}

#[test]
fn n14_a_trusted_root_does_not_excuse_a_wrong_name_or_an_ended_certificate() {
    let root = path("root.pem").display().to_string();
    let environment = [("SSL_CERT_FILE", root), ("SSL_CERT_DIR", String::new())];
    in_child("child_trusts_the_test_root", &environment, "go");
}

#[tokio::test]
#[ignore = "run by the n14 test above in a process of its own, which trusts the root in tests/tls"]
async fn child_trusts_the_test_root() {
    if input().is_none() {
        return;
    }
    for host in ["localhost", "127.0.0.1"] {
        let (port, requests) = serve("good.pem");
        assert_eq!(complete(send(format!("https://{host}:{port}/token")).await).status, 200);
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
    assert_refused("other_name.pem", "localhost").await;
    assert_refused("expired.pem", "localhost").await;
    assert_refused("self_signed.pem", "localhost").await;
}
