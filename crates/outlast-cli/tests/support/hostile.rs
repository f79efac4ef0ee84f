//! An authorization server that does what a certified one never would, and keeps what it was sent.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request, as far as a test looks at it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub path: String,
    /// The request line and the fields.
    pub head: String,
    pub body: String,
}

/// What is answered at a path: a status, and a body of JSON. A `location` in it is a field as well.
type Answers = Arc<dyn Fn(&str, &str) -> (u16, Value) + Send + Sync>;

pub struct Hostile {
    pub issuer: String,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Hostile {
    /// Publishes `metadata` (its issuer and endpoints are filled in where it names none; a value
    /// that begins with `ISSUER` is at the issuer), and answers
    /// everything else as `answers` says, given the path and the issuer.
    pub fn start(metadata: &Value, answers: impl Fn(&str, &str) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let answers: Answers = Arc::new(answers);
        let (document, kept, own) = (whole(&issuer, metadata), Arc::clone(&sent), issuer.clone());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (document, kept, own, answers) =
                    (document.clone(), Arc::clone(&kept), own.clone(), Arc::clone(&answers));
                std::thread::spawn(move || serve(&stream, &document, &kept, &|path| answers(path, &own)));
            }
        });
        Self { issuer, sent }
    }

    /// Everything that was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// What was sent to `path` so far.
    pub fn sent_to(&self, path: &str) -> Vec<Sent> {
        self.sent.lock().unwrap().iter().filter(|sent| sent.path == path).cloned().collect()
    }
}

fn whole(issuer: &str, metadata: &Value) -> String {
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    });
    for (name, value) in metadata.as_object().unwrap() {
        document[name] = match value.as_str().and_then(|text| text.strip_prefix("ISSUER")) {
            Some(rest) => Value::from(format!("{issuer}{rest}")),
            None => value.clone(),
        };
    }
    document.to_string()
}

fn serve(stream: &TcpStream, document: &str, kept: &Mutex<Vec<Sent>>, answers: &dyn Fn(&str) -> (u16, Value)) {
    let Some(sent) = read(stream) else { return };
    let path = sent.path.clone();
    kept.lock().unwrap().push(sent);
    let mut location = String::new();
    let (status, body) = if path.starts_with("/.well-known/") {
        (200, document.to_owned())
    } else {
        let (status, body) = answers(&path);
        if let Some(elsewhere) = body["location"].as_str() {
            location = format!("Location: {elsewhere}\r\n");
        }
        (status, body.to_string())
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{location}Content-Length: {length}\r\n");
    // Whoever asked may have gone.
    let _ = (&mut &*stream).write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
}

fn read(stream: &TcpStream) -> Option<Sent> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut head = line;
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        if field.trim().is_empty() {
            break;
        }
        head.push_str(&field);
        if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = target.split('?').next()?.to_owned();
    Some(Sent { path, head, body: String::from_utf8_lossy(&body).into_owned() })
}
