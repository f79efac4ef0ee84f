//! API keys that are rotated and retired by requests, against a key service of our own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Bed, Told};

/// What the service was asked: method and path, the key in the header, the body.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    line: String,
    key: String,
    body: String,
}

/// A service of keys that answers as it is told; nothing closes the connection without an answer.
struct Service {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answer = fn(&Asked) -> Option<(u16, String)>;

impl Service {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, answer, &log);
            }
        });
        Self { address, asked }
    }

    fn asked(&self, method: &str) -> Vec<Asked> {
        let all = self.asked.lock().unwrap();
        all.iter().filter(|asked| asked.line.starts_with(method)).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, answer: Answer, log: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let field = |name: &str| {
        let found =
            lines.iter().filter_map(|line| line.split_once(": ")).find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    let asked = Asked { line, key: field("x-api-key"), body: String::from_utf8(body).unwrap() };
    log.lock().unwrap().push(asked.clone());
    if let Some((status, body)) = answer(&asked) {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    }
}

const NEW_KEY: &str = r#"{"data":{"id":"k2","key":"CANARY-key-2"}}"#;

fn made(_: &Asked) -> Option<(u16, String)> {
    Some((201, NEW_KEY.to_owned()))
}

fn configure(bed: &Bed, service: &Service, every: &str, overlap: &str) {
    let keys = format!("{}/v1/keys", service.address);
    bed.configure(&format!(
        "[grant.weather]\ngrant_type = \"api_key\"\nkey = {{ file = \"weather.key\" }}\nheader = \"X-Api-Key\"\n\
         rotate_every = \"{every}\"\noverlap = \"{overlap}\"\n\
         new_key = {{ post = \"{keys}\", body = '{{\"name\":\"agent\",\"old\":\"{{key}}\"}}', read = \"/data/key\" }}\n\
         retire_key = {{ delete = \"{keys}/self\" }}\n"
    ));
}

/// A bed whose key is due for rotation.
fn due(service: &Service, every: &str, overlap: &str) -> Bed {
    let bed = Bed::new();
    let path = bed.config_path().with_file_name("weather.key");
    std::fs::write(&path, "CANARY-key-1").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    configure(&bed, service, every, overlap);
    assert_eq!(token(&bed), "CANARY-key-1");
    std::thread::sleep(Duration::from_millis(if every == "1s" { 1100 } else { 3100 }));
    bed
}

/// The key that is served; what else is said, the log included, holds none.
fn token(bed: &Bed) -> String {
    let said = bed.command(&["token", "weather"]).env("OUTLAST_LOG", "trace").output().unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !stderr.contains("CANARY"), "{stderr}");
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

fn status(bed: &Bed) -> String {
    let told = bed.run(&["status", "weather", "--json"]);
    assert!(told.code == 0 && !told.stdout.contains("CANARY"), "{told:?}");
    told.stdout
}

#[test]
fn a_due_key_is_rotated_by_one_request_of_many_processes_and_retired_after_its_overlap() {
    let service = Service::start(|asked| match asked.line.as_str() {
        "DELETE /v1/keys/self" => Some((204, String::new())),
        _ => {
            std::thread::sleep(Duration::from_millis(300));
            made(asked)
        }
    });
    let bed = due(&service, "3s", "2s");
    let children: Vec<_> =
        (0..6).map(|_| bed.command(&["token", "weather"]).stdout(Stdio::piped()).spawn().unwrap()).collect();
    for child in children {
        let said = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&said.stdout).trim().starts_with("CANARY-key-"), "{said:?}");
    }
    configure(&bed, &service, "1h", "2s");
    assert_eq!(token(&bed), "CANARY-key-2");
    let body = r#"{"name":"agent","old":"CANARY-key-1"}"#.to_owned();
    let wanted = Asked { line: "POST /v1/keys".to_owned(), key: "CANARY-key-1".to_owned(), body };
    assert_eq!(service.asked("POST"), [wanted], "the old key authenticates, once");
    assert!(service.asked("DELETE").is_empty(), "both keys are good during the overlap");
    std::thread::sleep(Duration::from_secs(2));
    // A key is looked after when its grant is; ask for more than it has.
    configure(&bed, &service, "4s", "2s");
    std::thread::sleep(Duration::from_secs(3));
    token(&bed);
    let retired = service.asked("DELETE");
    assert_eq!((retired.len(), retired[0].key.as_str()), (1, "CANARY-key-1"), "the retired key authenticates itself");
}

#[test]
fn a_refused_rotation_keeps_the_key_warns_and_is_not_tried_again_soon() {
    let service = Service::start(|_| Some((403, r#"{"error":"CANARY-body"}"#.to_owned())));
    let bed = due(&service, "1s", "0s");
    for _ in 0..3 {
        assert_eq!(token(&bed), "CANARY-key-1");
    }
    assert_eq!(service.asked("POST").len(), 1);
    let status = status(&bed);
    assert!(status.contains("rotation-failed") && status.contains("answered 403"), "{status}");
    assert!(!status.contains("nobody knows"), "{status}");
}

#[test]
fn a_lost_answer_is_told_as_a_doubt_and_the_key_is_asked_for_once_in_the_period() {
    let answers: [(Answer, &str); 4] = [
        (|_| None, "broke"),
        (|_| Some((500, String::new())), "answered 500"),
        (|_| Some((200, "{}".to_owned())), "no key where"),
        (|_| Some((200, "<html>".to_owned())), "no key where"),
    ];
    for (answer, wanted) in answers {
        let service = Service::start(answer);
        let bed = due(&service, "1s", "0s");
        for _ in 0..3 {
            assert_eq!(token(&bed), "CANARY-key-1");
        }
        assert_eq!(service.asked("POST").len(), 1, "{wanted}");
        let status = status(&bed);
        assert!(status.contains(wanted) && status.contains("a key may exist that nobody knows"), "{status}");
        assert!(service.asked("DELETE").is_empty(), "the key that is served is not retired");
        // The way out: whoever found the key, or made another, configures it.
        std::fs::write(bed.config_path().with_file_name("weather.key"), "CANARY-key-9").unwrap();
        assert_eq!(token(&bed), "CANARY-key-9", "{wanted}");
    }
}

#[test]
fn an_answer_that_names_the_same_key_or_a_service_that_is_away_is_a_plain_failure() {
    let service = Service::start(|_| Some((200, NEW_KEY.replace("key-2", "key-1"))));
    let bed = due(&service, "1s", "0s");
    assert_eq!(token(&bed), "CANARY-key-1");
    assert!(status(&bed).contains("gave the key that is to be replaced"));
    let gone = Service { address: "http://127.0.0.1:9".to_owned(), asked: Arc::default() };
    let bed = due(&gone, "1s", "0s");
    assert_eq!(token(&bed), "CANARY-key-1");
    let status = status(&bed);
    assert!(status.contains("no connection") && !status.contains("nobody knows"), "{status}");
}

/// Rotates, asks again so that the replaced key is retired, and gives back the service and the bed.
fn retired_by(answer: Answer) -> (Service, Bed) {
    let service = Service::start(answer);
    let bed = due(&service, "1s", "0s");
    token(&bed);
    std::thread::sleep(Duration::from_millis(1100));
    token(&bed);
    (service, bed)
}

#[test]
fn a_key_that_the_service_does_not_know_any_more_is_retired() {
    let answers: [Answer; 3] = [
        |asked| if asked.line.starts_with("DELETE") { Some((404, String::new())) } else { made(asked) },
        |asked| if asked.line.starts_with("DELETE") { Some((401, String::new())) } else { made(asked) },
        |asked| if asked.line.starts_with("DELETE") { Some((410, String::new())) } else { made(asked) },
    ];
    for answer in answers {
        let (service, bed) = retired_by(answer);
        assert_eq!(service.asked("DELETE").len(), 1);
        assert!(!status(&bed).contains("could not be retired"));
    }
}

#[test]
fn a_key_that_cannot_be_retired_is_kept_told_and_no_further_key_is_made() {
    let answers: [(Answer, &str); 2] = [
        (
            |asked| if asked.line.starts_with("DELETE") { Some((500, String::new())) } else { made(asked) },
            "answered 500",
        ),
        (|asked| if asked.line.starts_with("DELETE") { None } else { made(asked) }, "broke"),
    ];
    for (answer, wanted) in answers {
        let (service, bed) = retired_by(answer);
        for _ in 0..2 {
            assert_eq!(token(&bed), "CANARY-key-2");
        }
        assert_eq!((service.asked("DELETE").len(), service.asked("POST").len()), (1, 1), "{wanted}");
        let status = status(&bed);
        assert!(status.contains("rotation-failed"), "{status}");
    }
}

#[test]
fn signing_out_retires_a_replaced_key_that_is_still_in_its_overlap() {
    let retire = |answer: Answer| {
        let service = Service::start(answer);
        let bed = due(&service, "3s", "2s");
        assert!(token(&bed).starts_with("CANARY"));
        assert_eq!(token(&bed), "CANARY-key-2");
        let told: Told = bed.run(&["logout", "weather"]);
        assert_eq!(service.asked("DELETE").len(), 1, "{told:?}");
        assert_eq!(service.asked("DELETE")[0].key, "CANARY-key-1");
        (service, bed, told)
    };
    let (_service, _bed, told) =
        retire(|asked| if asked.line.starts_with("DELETE") { Some((204, String::new())) } else { made(asked) });
    assert_eq!(told.code, 0, "{told:?}");
    let (service, bed, told) =
        retire(|asked| if asked.line.starts_with("DELETE") { Some((503, String::new())) } else { made(asked) });
    assert!(told.code != 0 && told.stderr.contains("answered 503"), "{told:?}");
    assert_eq!(bed.run(&["logout", "weather", "--force"]).code, 0);
    assert_eq!(service.asked("DELETE").len(), 2);
}

#[test]
fn a_request_that_is_written_wrong_is_a_mistake_with_its_place() {
    let bed = Bed::new();
    for (request, wanted) in [
        ("{ post = \"http://keys.example.com/\", read = \"/key\" }", "neither https nor http on loopback"),
        ("{ post = \"https://keys.example.com/\", raed = \"/key\" }", "did you mean `read`?"),
        ("{ post = \"https://keys.example.com/\", read = \"key\" }", "no JSON pointer"),
        ("{ post = \"https://keys.example.com/\" }", "set read"),
        ("{ post = \"https://k.example/\", put = \"https://k.example/\", read = \"/key\" }", "more than one address"),
        ("{ read = \"/key\" }", "no address"),
        ("{ post = \"https://keys.example.com/\", body = \"name=x\", read = \"/key\" }", "is no JSON"),
    ] {
        bed.configure(&format!(
            "[grant.weather]\ngrant_type = \"api_key\"\nkey = {{ file = \"k\" }}\nrotate_every = \"1h\"\nnew_key = {request}\n"
        ));
        let said = bed.run(&["token", "weather"]);
        assert!(said.code == 78 && said.stderr.contains(wanted), "{wanted}: {said:?}");
    }
}

#[test]
fn the_requests_of_the_documentation_are_read() {
    let page = include_str!("../../../docs/grant-types.md");
    let wanted = ["    new_key = { ", "    retire_key = { "];
    let requests: Vec<&str> = page.lines().filter(|line| wanted.iter().any(|key| line.starts_with(key))).collect();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let service = Service::start(made);
    let bed = due(&service, "1s", "0s");
    let table = "[grant.weather]\ngrant_type = \"api_key\"\nkey = { file = \"weather.key\" }\nrotate_every = \"30d\"\n";
    bed.configure(&format!("{table}{}\n", requests.join("\n")));
    assert_eq!(token(&bed), "CANARY-key-1");
}
