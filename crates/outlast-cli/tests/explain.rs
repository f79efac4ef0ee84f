//! `outlast explain`: every form of input, what is answered to each, and that no token of a
//! recorded reply comes out again.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use support::Bed;

/// In every place of a reply where a server may echo a secret.
const CANARY: &str = "CANARYq7Zp0Xw3Lk9Rt5Vb";

const EXPIRED: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error=\"invalid_token\", \
     error_description=\"The access token expired\"\r\nContent-Type: application/json\r\n\r\n{}";

fn lines(bed: &Bed, input: &str) -> Vec<Value> {
    let told = bed.run_with_input(&["explain", "--jsonl"], input.as_bytes());
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn har(entries: &Value) -> String {
    json!({ "log": { "version": "1.2", "creator": { "name": "x", "version": "1" }, "entries": entries } }).to_string()
}

fn entry(method: &str, address: &str, status: u16, body: &str) -> Value {
    json!({
        "startedDateTime": "2026-03-01T10:00:00.250+01:00",
        "request": {
            "method": method,
            "url": address,
            "headers": [{ "name": "Authorization", "value": format!("Bearer {CANARY}") }],
            "cookies": [{ "name": "session", "value": CANARY }],
        },
        "response": {
            "status": status,
            "headers": [{ "name": "Content-Type", "value": "application/json" }],
            "content": { "mimeType": "application/json", "text": body },
        },
    })
}

#[test]
fn a_reply_as_curl_prints_it_is_explained() {
    let bed = Bed::new();
    let heads = [
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/2 302 \r\nlocation: https://api.example.com/v2\r\n\r\n",
    ];
    for head in heads {
        for text in [format!("{head}{EXPIRED}"), format!("{head}{EXPIRED}").replace("\r\n", "\n")] {
            let told = bed.run_with_input(&["explain"], text.as_bytes());
            assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
            assert!(
                told.stdout.starts_with("verdict:  access_token_expired: the access token has run out\n"),
                "{told:?}"
            );
            assert!(told.stdout.contains("why:      header WWW-Authenticate"), "{told:?}");
            assert!(told.stdout.contains("recovery: refresh_and_retry\n"), "{told:?}");
            assert!(told.stdout.contains("Outlast:  renews the token and sends the request again, once\n"), "{told:?}");
            assert!(told.stdout.contains("you:      Nothing."), "{told:?}");
        }
    }
    let told = bed
        .run_with_input(&["explain", "--json"], EXPIRED.replace("HTTP/1.1 401 Unauthorized", "HTTP/2 401 ").as_bytes());
    let object = told.json();
    assert_eq!(
        (object["class"].as_str(), object["recovery"].as_str()),
        (Some("access_token_expired"), Some("refresh_and_retry"))
    );
    assert_eq!((object["status"].as_u64(), object["endpoint_kind"].as_str()), (Some(401), Some("api")));
}

#[test]
fn a_reply_in_flags_is_explained() {
    let bed = Bed::new();
    let scope = "WWW-Authenticate: Bearer error=\"insufficient_scope\", scope=\"crm.read crm.write\"";
    let told = bed.run(&["explain", "--status", "403", "--header", scope]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.starts_with("verdict:  insufficient_scope"), "{told:?}");
    assert!(told.stdout.contains("scopes:   crm.read crm.write\n"), "{told:?}");
    assert!(told.stdout.contains("see:      docs/errors/needs-user.md\n"), "{told:?}");

    let dead = "{\"error\":\"invalid_grant\"}";
    let told = bed.run(&["explain", "--status", "400", "--kind", "token", "--body", dead, "--json"]);
    assert_eq!(told.json()["class"], "refresh_token_expired_or_revoked");
    assert_eq!(told.json()["see"], "docs/errors/needs-user.md");

    let pending = "{\"error\":\"authorization_pending\"}";
    let told = bed.run(&["explain", "--status", "400", "--kind", "device", "--body", pending, "--json"]);
    assert_eq!(told.json()["class"], "authorization_pending");

    let told = bed.run(&["explain", "--status", "429", "--header", "Retry-After: 30", "--json"]);
    assert_eq!((&told.json()["class"], &told.json()["retry_after"]), (&json!("rate_limited"), &json!(30)));
}

#[test]
fn a_body_is_read_from_a_file_or_standard_input() {
    let bed = Bed::new();
    let path = bed.home().join("body.json");
    let dead = "{\"error\":\"invalid_grant\"}";
    std::fs::write(&path, dead).unwrap();
    let from_file = format!("@{}", path.display());
    let flags = ["explain", "--status", "400", "--kind", "token", "--json", "--body"];
    let told = bed.run(&[&flags[..], &[from_file.as_str()]].concat());
    assert_eq!(told.json()["class"], "refresh_token_expired_or_revoked");
    let told = bed.run_with_input(&[&flags[..], &["@-"]].concat(), dead.as_bytes());
    assert_eq!(told.json()["class"], "refresh_token_expired_or_revoked");
    bed.run(&["explain", "--status", "400", "--body", "@/no/such/file"]).assert_failed(78, "request-invalid");
}

#[test]
fn the_providers_habits_are_asked_where_it_is_named() {
    let bed = Bed::new();
    let body = "{\"ok\":false,\"error\":\"token_expired\"}";
    let told = bed.run(&["explain", "--status", "200", "--body", body, "--provider", "slack", "--json"]);
    assert_eq!((&told.json()["class"], &told.json()["provider"]), (&json!("access_token_expired"), &json!("slack")));
    let told = bed.run(&["explain", "--status", "401", "--provider", "no-such-provider"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stderr.contains("no habits of that provider are known"), "{told:?}");
}

#[test]
fn what_is_no_reply_is_refused_with_the_mend() {
    let bed = Bed::new();
    for input in ["", "\n\n", "{\"error\":\"invalid_token\"}", "* Connected to a.example\n< HTTP/2 401"] {
        let told = bed.run_with_input(&["explain"], input.as_bytes());
        told.assert_failed(78, "request-invalid");
        assert!(told.stderr.contains("curl -i"), "{told:?}");
    }
    let told = bed.run(&["explain", "--status", "401", "--header", CANARY]);
    told.assert_failed(78, "request-invalid");
    assert!(!told.stderr.contains(CANARY), "{told:?}");
    let told = bed.run_with_input(&["explain", "--json"], b"");
    assert_eq!(serde_json::from_str::<Value>(&told.stderr).unwrap()["code"], "request-invalid", "{told:?}");
}

#[test]
fn on_a_terminal_without_input_help_is_printed_and_nothing_is_waited_for() {
    let bed = Bed::new();
    let script = "import os, pty, sys\n\
        status = pty.spawn(sys.argv[1:])\n\
        sys.exit(os.waitstatus_to_exitcode(status))\n";
    let binary = bed.command(&[]).get_program().to_owned();
    let mut python = std::process::Command::new("python3");
    let Ok(output) = python.args(["-c", script]).arg(binary).arg("explain").stdin(Stdio::null()).output() else {
        println!("skipped: there is no python3 to make a terminal with");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{shown}");
    assert!(shown.contains("outlast explain --jsonl"), "{shown}");
}

#[test]
fn every_line_is_answered_with_what_its_verdict_needs() {
    let bed = Bed::new();
    let cases = [
        json!({ "id": "scope", "endpoint_kind": "api", "status": 403, "body": "",
            "headers": { "WWW-Authenticate": "Bearer error=\"insufficient_scope\", scope=\"a b\"" } }),
        json!({ "id": 7, "endpoint_kind": "api", "status": 429, "headers": { "retry-after": "1.5" }, "body": "" }),
        json!({ "id": "list", "endpoint_kind": "api", "status": 401, "body": null,
            "headers": { "www-authenticate": ["Negotiate", "Bearer error=\"invalid_token\", error_description=\"The access token expired\""] } }),
        json!({ "id": "object", "endpoint_kind": "token", "status": "400", "headers": {}, "body": { "error": "invalid_grant" } }),
        json!({ "id": "step-up", "endpoint_kind": "api", "status": 401, "body": "",
            "headers": { "www-authenticate": "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\", max_age=\"300\"" } }),
        json!({ "id": "mcp", "endpoint_kind": "api", "status": 401, "body": "",
            "headers": { "www-authenticate": "Bearer resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource\"" } }),
        json!({ "id": "nonce", "endpoint_kind": "api", "status": 401, "body": "",
            "headers": { "www-authenticate": "DPoP error=\"use_dpop_nonce\"", "dpop-nonce": "n0nce-1" } }),
        json!({ "id": "device", "endpoint_kind": "device", "status": 400, "body": "{\"error\":\"slow_down\",\"interval\":10}" }),
        json!({ "id": "slack", "endpoint_kind": "api", "status": 200, "provider": "slack", "headers": {},
            "body": "{\"ok\":false,\"error\":\"token_expired\"}" }),
    ];
    // The last line has no end.
    let input = cases.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let told = lines(&bed, &input);
    let of = |place: usize, id: Value, class: &str, recovery: &str| {
        let line = &told[place];
        assert_eq!(
            (&line["id"], line["class"].as_str(), line["recovery"].as_str()),
            (&id, Some(class), Some(recovery)),
            "{line}"
        );
        assert!(!line["evidence"].as_str().unwrap().is_empty(), "{line}");
        line
    };
    assert_eq!(of(0, json!("scope"), "insufficient_scope", "reauthorize_with_scopes")["scopes"], json!(["a", "b"]));
    assert_eq!(of(1, json!(7), "rate_limited", "wait")["retry_after"], json!(1.5));
    of(2, json!("list"), "access_token_expired", "refresh_and_retry");
    of(3, json!("object"), "refresh_token_expired_or_revoked", "reauthenticate");
    let step_up = of(4, json!("step-up"), "step_up_required", "interactive_step_up");
    assert_eq!((&step_up["acr_values"], &step_up["max_age"]), (&json!("gold"), &json!(300)));
    let metadata = &of(5, json!("mcp"), "access_token_invalid", "refresh_and_retry_once")["resource_metadata"];
    assert_eq!(metadata, "https://mcp.example.com/.well-known/oauth-protected-resource");
    assert_eq!(of(6, json!("nonce"), "dpop_nonce_required", "retry_with_nonce")["nonce"], "n0nce-1");
    assert_eq!(of(7, json!("device"), "slow_down", "keep_polling")["retry_after"], json!(10));
    of(8, json!("slack"), "access_token_expired", "refresh_and_retry");
    assert_eq!(told.len(), cases.len());
    for absent in ["scopes", "max_age", "claims", "nonce"] {
        assert!(told[7].get(absent).is_none(), "{absent}");
    }
}

#[test]
fn a_line_that_is_no_case_is_answered_and_the_next_one_judged() {
    let bed = Bed::new();
    let good = r#"{"id":"good","endpoint_kind":"api","status":401,"headers":{},"body":""}"#;
    let table = [
        ("not json", Value::Null, "no valid JSON"),
        ("", Value::Null, "empty"),
        ("[]", Value::Null, "no JSON object"),
        ("42", Value::Null, "no JSON object"),
        ("{}", Value::Null, "endpoint_kind"),
        (r#"{"id":"a"}"#, json!("a"), "endpoint_kind"),
        (r#"{"id":"b","endpoint_kind":"apex","status":401}"#, json!("b"), "endpoint_kind"),
        (r#"{"id":"c","endpoint_kind":"api"}"#, json!("c"), "status"),
        (r#"{"id":"d","endpoint_kind":"api","status":99}"#, json!("d"), "status"),
        (r#"{"id":"e","endpoint_kind":"api","status":1000}"#, json!("e"), "status"),
        (r#"{"id":"f","endpoint_kind":"api","status":-1}"#, json!("f"), "status"),
        (r#"{"id":"g","endpoint_kind":"api","status":401,"headers":[]}"#, json!("g"), "headers"),
        (r#"{"id":"h","endpoint_kind":"api","status":401,"headers":{"a":{}}}"#, json!("h"), "headers"),
        (r#"{"id":"i","endpoint_kind":"api","status":401,"headers":{"a":[["b"]]}}"#, json!("i"), "headers"),
        (r#"{"id":"j","endpoint_kind":"api","status":401,"provider":3}"#, json!("j"), "provider"),
        (r#"{"id":"k","status":401,"status":402}"#, json!("k"), "twice"),
        (r#"{"id":{"x":1},"endpoint_kind":"api","status":401,"body":"cut o"#, json!({ "x": 1 }), "ends in the middle"),
    ];
    let mut input = String::new();
    for (line, _, _) in &table {
        input += &format!("{line}\n{good}\n");
    }
    let told = lines(&bed, &input);
    assert_eq!(told.len(), 2 * table.len());
    for ((line, id, why), pair) in table.iter().zip(told.chunks(2)) {
        assert_eq!(pair[0]["id"], *id, "{line}");
        assert!(pair[0]["error"].as_str().unwrap().contains(why), "{line}: {}", pair[0]);
        assert_eq!((&pair[1]["id"], &pair[1]["class"]), (&json!("good"), &json!("access_token_invalid")));
    }
}

#[test]
fn the_longest_line_is_judged_and_one_byte_more_is_refused() {
    const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
    let bed = Bed::new();
    let start = r#"{"id":"long","endpoint_kind":"token","status":400,"headers":{},"body":"error=invalid_grant&x="#;
    let fill = "x".repeat(LINE_BYTES_MAX - start.len() - 2);
    let told = lines(&bed, &format!("{start}{fill}\"}}\n{start}{fill}x\"}}\n{start}\"}}\n{start}{fill}{fill}\"}}"));
    assert_eq!(told[0]["class"], "refresh_token_expired_or_revoked");
    assert_eq!(told[2]["class"], "refresh_token_expired_or_revoked");
    for refused in [&told[1], &told[3]] {
        assert_eq!(refused["id"], "long");
        assert!(refused["error"].as_str().unwrap().contains("longer than 4194304 bytes"), "{refused}");
    }
}

#[test]
fn bytes_that_are_no_text_and_halves_of_characters_are_judged() {
    let bed = Bed::new();
    let start = br#"{"id":"x","endpoint_kind":"token","status":400,"body":"{\"error\":\"invalid_grant\",\"n\":\""#;
    let input = [&start[..], b"\xff\xfe\\\"}\"}\n", &start[..], br#"\ud83d\"}"}"#, b"\n"].concat();
    let told = bed.run_with_input(&["explain", "--jsonl"], &input);
    assert_eq!(told.stdout.lines().count(), 2, "{told:?}");
    for line in told.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["class"], "refresh_token_expired_or_revoked", "{line}");
    }
}

#[test]
fn a_deep_body_is_judged() {
    let deep = "[".repeat(500_000) + &"]".repeat(500_000);
    let line = format!(r#"{{"id":1,"endpoint_kind":"api","status":401,"headers":{{}},"body":{deep}}}"#);
    assert_eq!(lines(&Bed::new(), &line)[0]["class"], "access_token_invalid");
}

#[test]
fn an_answer_comes_before_the_next_line_is_asked_for() {
    let bed = Bed::new();
    let mut child = bed.command(&["explain", "--jsonl"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(input, r#"{{"id":{id},"endpoint_kind":"api","status":401,"headers":{{}},"body":""}}"#).unwrap();
        let mut line = String::new();
        // Hangs where answers are held back.
        output.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], id);
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn recorded_traffic_is_listed_by_its_failures() {
    let bed = Bed::new();
    let mut renewal = entry("POST", "https://oauth2.googleapis.com/token", 400, "{\"error\":\"invalid_grant\"}");
    renewal["request"]["postData"] = json!({ "text": format!("grant_type=refresh_token&refresh_token={CANARY}") });
    let mut packed = entry("GET", "https://api.example.com/packed", 401, "eyJlcnJvciI6InRva2VuX2V4cGlyZWQifQ==");
    packed["response"]["content"]["encoding"] = json!("base64");
    let mut broken = entry("GET", "https://api.example.com/broken", 401, "%%%");
    broken["response"]["content"]["encoding"] = json!("base64");
    let entries = json!([
        entry(
            "GET",
            &format!("https://api.example.com/me?access_token={CANARY}"),
            401,
            &format!("{{\"error\":\"invalid_token\",\"token\":\"{CANARY}\"}}")
        ),
        entry("GET", "https://api.example.com/fine", 200, "{\"a\":1}"),
        entry("GET", "https://api.example.com/busy", 503, ""),
        entry("GET", "https://api.example.com/gone", 0, ""),
        renewal,
        packed,
        broken,
        {},
    ]);
    let path = bed.home().join("traffic.har");
    std::fs::write(&path, har(&entries)).unwrap();
    let path = path.to_str().unwrap();

    let told = bed.run(&["explain", "--har", path]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    let row = |place: &str| told.stdout.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{told:?}"));
    let first = row("api.example.com/me");
    for part in ["2026-03-01T09:00:00Z", "GET", "401", "access_token_invalid"] {
        assert!(first.contains(part), "{first}");
    }
    assert!(row("oauth2.googleapis.com/token").contains("refresh_token_expired_or_revoked"), "{told:?}");
    row("api.example.com/packed");
    row("api.example.com/broken");
    for fine in ["/fine", "/busy", "/gone"] {
        assert!(!told.stdout.contains(fine), "{fine}: {told:?}");
    }
    assert!(
        told.stdout.ends_with(
            "8 exchanges judged, 4 failures of authorization; 1 that ask to wait or try again; 2 without an answer; \
         1 with a body that cannot be read\n"
        ),
        "{told:?}"
    );

    let listed = bed.run(&["explain", "--har", path, "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert_eq!((&listed[1]["endpoint_kind"], &listed[1]["provider"]), (&json!("token"), &json!("google")));
    assert_eq!((&listed[0]["endpoint_kind"], &listed[0]["provider"]), (&json!("api"), &Value::Null));
    let piped = bed.run_with_input(&["explain", "--har", "-", "--json"], har(&entries).as_bytes());
    assert_eq!(piped.json(), listed);
}

#[test]
fn what_is_no_recording_is_refused_with_its_place() {
    let bed = Bed::new();
    let path = bed.home().join("traffic.har");
    let table = [
        ("", "ends in the middle"),
        ("not json", "line 1, column 2"),
        ("{}", "log.entries"),
        ("{\"log\":{\"entries\":[{\"request\":", "ends in the middle"),
    ];
    for (text, why) in table {
        std::fs::write(&path, text).unwrap();
        let told = bed.run(&["explain", "--har", path.to_str().unwrap()]);
        told.assert_failed(78, "request-invalid");
        assert!(told.stderr.contains(why), "{text}: {told:?}");
    }
    bed.run(&["explain", "--har", "/no/such/file"]).assert_failed(78, "request-invalid");
    bed.run(&["explain", "--har", bed.home().to_str().unwrap()]).assert_failed(78, "request-invalid");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(512 * 1024 * 1024 + 1).unwrap();
    let told = bed.run(&["explain", "--har", path.to_str().unwrap()]);
    told.assert_failed(78, "request-invalid");
    assert!(told.stderr.contains("larger than 512 MiB"), "{told:?}");
}

#[test]
fn no_token_of_a_reply_comes_out_again() {
    let bed = Bed::new();
    let bodies = [
        format!("{{\"error\":\"invalid_token\",\"error_description\":\"Token {CANARY} expired\"}}"),
        format!("{{\"error\":\"{CANARY}\"}}"),
        format!("{{\"error\":{{\"code\":\"{CANARY}\",\"message\":\"token={CANARY}\"}},\"access_token\":\"{CANARY}\"}}"),
        format!("<Error><Code>ExpiredToken</Code><Message>{CANARY}</Message></Error>"),
        format!("error=invalid_grant&error_description={CANARY}"),
        format!("\"{CANARY}\""),
        format!("Bearer {CANARY} is not known"),
        format!("{{\"message\":\"missing required scopes: {CANARY}\"}}"),
    ];
    let challenges = [
        format!("Bearer realm=\"{CANARY}\", error=\"invalid_token\", error_description=\"{CANARY} expired\""),
        format!("Bearer error=\"insufficient_scope\", scope=\"{CANARY}\""),
        format!("Bearer error=\"{CANARY}\", resource_metadata=\"https://a.example/x?t={CANARY}\""),
        format!("Bearer error=\"insufficient_user_authentication\", acr_values=\"{CANARY}\""),
    ];
    let (mut input, mut entries) = (String::new(), Vec::new());
    for (place, body) in bodies.iter().enumerate() {
        for challenge in &challenges {
            for (kind, status) in [("api", 401), ("api", 403), ("token", 400), ("device", 400), ("api", 200)] {
                let headers = json!({ "www-authenticate": challenge, "set-cookie": CANARY, "location": format!("https://a.example/?t={CANARY}") });
                let case =
                    json!({ "id": place, "endpoint_kind": kind, "status": status, "headers": headers, "body": body });
                input += &format!("{case}\n");
                let mut recorded =
                    entry("GET", &format!("https://u:{CANARY}@a.example/{CANARY}?t={CANARY}#{CANARY}"), status, body);
                recorded["response"]["headers"] = json!([{ "name": "WWW-Authenticate", "value": challenge }]);
                entries.push(recorded);
            }
        }
        let reply =
            format!("HTTP/1.1 401 x\nWWW-Authenticate: {}\nSet-Cookie: {CANARY}\n\n{body}", challenges[place % 4]);
        for arguments in [&["explain"][..], &["explain", "--json"], &["explain", "--kind", "token"]] {
            let told = bed.run_with_input(arguments, reply.as_bytes());
            assert_eq!(told.code, 0, "{told:?}");
            assert!(!format!("{told:?}").contains(CANARY), "{told:?}");
        }
    }
    // Lines that are refused may hold one too.
    input += &format!(
        "{{\"endpoint_kind\":\"{CANARY}\"}}\n{{\"id\":1,\"endpoint_kind\":\"api\",\"status\":\"{CANARY}\"}}\n"
    );
    input += &format!("{CANARY}\n\"{CANARY}\"\n{{\"{CANARY}\":{CANARY}}}\n");
    let told = bed.run_with_input(&["explain", "--jsonl"], input.as_bytes());
    assert_eq!(told.stdout.lines().count(), 8 * 4 * 5 + 5, "{told:?}");
    let leaks: Vec<&str> =
        told.stdout.lines().chain(told.stderr.lines()).filter(|line| line.contains(CANARY)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");

    let recording = har(&json!(entries));
    let broken = format!("{{\"log\":{{\"entries\":[{{\"request\":{CANARY}");
    for (text, code) in [(recording.as_str(), 0), (broken.as_str(), 78)] {
        for arguments in [&["explain", "--har", "-"][..], &["explain", "--har", "-", "--json"]] {
            let told = bed.run_with_input(arguments, text.as_bytes());
            assert_eq!(told.code, code, "{told:?}");
            assert!(!format!("{told:?}").contains(CANARY), "{told:?}");
        }
    }
}

/// What a set of recorded replies was judged as.
#[derive(Debug, Default)]
struct Accuracy {
    cases: usize,
    class: usize,
    recovery: usize,
    harmful: Vec<String>,
}

fn measure(bed: &Bed, cases: &[Value], with_provider: bool) -> Accuracy {
    let mut input = String::new();
    for case in cases {
        let mut case = case.clone();
        let members = case.as_object_mut().unwrap();
        // The command has to judge without seeing what is expected.
        members.remove("expected");
        if !with_provider {
            members.remove("provider");
        }
        input += &format!("{case}\n");
    }
    let answers: HashMap<String, Value> =
        lines(bed, &input).into_iter().map(|answer| (answer["id"].as_str().unwrap().to_owned(), answer)).collect();
    let mut accuracy = Accuracy { cases: cases.len(), ..Accuracy::default() };
    for case in cases {
        let (id, expected) = (case["id"].as_str().unwrap(), &case["expected"]);
        let answer = &answers[id];
        let right = answer["class"] == expected["class"] || answer["class"] == expected["also"];
        accuracy.class += usize::from(right);
        // A second class that a reader could defend brings its own recovery.
        accuracy.recovery += usize::from(right || answer["recovery"] == expected["recovery"]);
        let dead = "refresh_token_expired_or_revoked";
        let renews = |class: &Value| class == "access_token_expired" || class == "access_token_invalid";
        let buries = answer["class"] == dead;
        let needless = renews(&answer["class"]) && !renews(&expected["class"]);
        if !right && (buries || needless) {
            accuracy.harmful.push(format!("{id}: {}", answer["class"]));
        }
        if !right {
            println!("{id}: {} instead of {}", answer["class"], expected["class"]);
        }
    }
    accuracy
}

#[test]
fn recorded_refusals_of_many_providers_are_judged_rightly() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/refusals.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: there are no recorded refusals beside the repository");
        return;
    };
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bed = Bed::new();
    for (with_provider, class_min) in [(true, 97), (false, 93)] {
        let accuracy = measure(&bed, &cases, with_provider);
        println!("with provider {with_provider}: {accuracy:?}");
        assert!(accuracy.class * 100 >= accuracy.cases * class_min, "{accuracy:?}");
        if with_provider {
            assert!(accuracy.recovery * 100 >= accuracy.cases * 98, "{accuracy:?}");
            assert!(accuracy.harmful.is_empty(), "{accuracy:?}");
        }
    }
}

#[test]
fn the_transcripts_of_the_page_are_what_the_command_prints() {
    let bed = Bed::new();
    let page = support::text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/explain.md"));
    let binary = Path::new(env!("CARGO_BIN_EXE_outlast")).parent().unwrap().to_owned();
    let mut checked = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (opening, content) = block.split_once('\n').unwrap();
        if let Some((_, file)) = opening.split_once(' ') {
            std::fs::write(bed.home().join(file), format!("{content}\n")).unwrap();
            continue;
        }
        assert_eq!(opening, "console");
        for transcript in content.strip_prefix("$ ").unwrap().split("\n$ ") {
            let (line, printed) = transcript.split_once('\n').unwrap();
            let mut shell = std::process::Command::new("/bin/sh");
            let told =
                shell.args(["-c", line]).env_clear().env("PATH", &binary).current_dir(bed.home()).output().unwrap();
            assert_eq!(String::from_utf8(told.stdout).unwrap().trim_end(), printed.trim_end(), "{line}");
            checked += 1;
        }
    }
    assert_eq!(checked, 8);
}
