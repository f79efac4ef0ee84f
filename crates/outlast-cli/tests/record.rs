//! Fast-forward with the real command: an agent that knows nothing of steps is killed and started again.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use outlast::KeySource;
use outlast::task::{Resolution, TaskId, Tasks};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::Bed;

const CANARY: &str = "CANARY-in-a-reply-77e1";
/// More than lies in the journal itself.
const LARGE: usize = 1024 * 1024;

/// A resource that answers the same request in the same way, and notes what it was asked.
struct Resource {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Resource {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, noted) = (stream.unwrap(), Arc::clone(&noted));
                std::thread::spawn(move || serve(stream, &noted));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn wait_for(&self, line: &str) {
        let began = Instant::now();
        while !self.asked().iter().any(|asked| asked == line) {
            assert!(began.elapsed() < Duration::from_secs(30), "{line}: {:?}", self.asked());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn serve(stream: TcpStream, noted: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((line, body)) = request(&mut reader) {
        noted.lock().unwrap().push(line.clone());
        let path = line.split(' ').nth(1).unwrap();
        let sum = body.iter().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        let text = format!("{CANARY} {path} {sum}\n");
        let answer = match path.split('?').next().unwrap() {
            "/events" => {
                let event = format!("data: {text}\n");
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
                    chunk.repeat(3)
                )
            }
            // It takes the request, and is never heard of again.
            "/silent" => return std::thread::sleep(Duration::from_secs(600)),
            "/large" => plain(&text.repeat(LARGE / text.len())),
            _ => plain(&text),
        };
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn plain(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nSet-Cookie: CANARY-cookie=1\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line: Vec<&str> = first.split(' ').take(2).collect();
    Some((line.join(" "), body))
}

/// Somebody with one grant on a resource; nothing, where there is no Python for the agent.
fn stage() -> Option<(Bed, Resource)> {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3");
        return None;
    }
    let (bed, resource) = (Bed::new(), Resource::start());
    let api = bed.sandbox.api().to_owned();
    bed.configure(
        &bed.grant("crm").replace(&format!("upstream = \"{api}\""), &format!("upstream = \"{}\"", resource.address)),
    );
    bed.import("crm");
    Some((bed, resource))
}

fn agent(bed: &Bed, task: &str, more: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/recorded_agent.py");
    let mut words = vec!["run", "--task", task, "--record"];
    words.extend_from_slice(more);
    words.extend_from_slice(&["--", "python3", script.to_str().unwrap()]);
    bed.command(&words)
}

fn ran(bed: &Bed, command: &mut Command) -> (Option<i32>, String, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = bed.home.ended(child);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// One request of a program, with the status and the body as its output.
fn curl(bed: &Bed, task: &str, words: &str) -> Command {
    let text = format!(
        "exec curl --noproxy '*' -s -w ' %{{http_code}}' -H \"Authorization: Bearer $OUTLAST_CAPABILITY\" {words}"
    );
    bed.command(&["run", "--task", task, "--record", "--", "sh", "-c", &text])
}

fn tasks(bed: &Bed) -> Tasks {
    Tasks::in_folder(&bed.state(), KeySource::File).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn harvest() -> TaskId {
    TaskId::parse("harvest").unwrap()
}

fn kill(child: &mut Child) {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    for id in children.split_whitespace() {
        Command::new("kill").args(["-KILL", id]).status().unwrap();
    }
}

#[test]
fn a_50_call_agent_killed_at_call_40_is_there_again_without_asking_and_its_output_is_the_same() {
    let Some((bed, resource)) = stage() else { return };
    let (code, unkilled, _) = ran(&bed, &mut agent(&bed, "unkilled", &[]));
    assert_eq!((code, unkilled.lines().count(), resource.asked().len()), (Some(0), 50, 50));
    resource.asked.lock().unwrap().clear();

    let (code, first, _) = ran(&bed, agent(&bed, "harvest", &[]).env("DIES_AT", "40"));
    assert_eq!((code, first.lines().count()), (Some(137), 40));
    assert_eq!(resource.asked().len(), 40);
    let (code, second, stderr) = ran(&bed, &mut agent(&bed, "harvest", &[]));
    assert_eq!(code, Some(0), "{stderr}");
    println!("{stderr}");
    assert_eq!(second, unkilled, "the output is that of an agent that was never killed");
    assert_eq!(resource.asked().len(), 50, "ten more");
    assert!(stderr.contains("40 of them from the record"), "{stderr}");
    assert!(stderr.contains("task harvest: 40 requests were answered from the record, 10 were sent"), "{stderr}");
}

#[test]
fn an_agent_that_is_killed_with_its_sidecar_again_and_again_comes_to_its_end_with_the_same_output() {
    let Some((bed, resource)) = stage() else { return };
    let (_, unkilled, _) = ran(&bed, &mut agent(&bed, "unkilled", &[]));
    resource.asked.lock().unwrap().clear();
    let start = || agent(&bed, "harvest", &["--repeatable", "crm"]);
    for place in [9, 21, 33] {
        let mut child = start().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.take(place).for_each(drop);
        kill(&mut child);
    }
    let (code, stdout, stderr) = ran(&bed, &mut start());
    assert_eq!((code, stdout), (Some(0), unkilled), "{stderr}");
    // What was on its way at a kill may be sent once more; nothing that the agent had seen is.
    assert!((50..=53).contains(&resource.asked().len()), "{:?}", resource.asked().len());
}

#[test]
fn a_post_that_was_on_its_way_when_everything_was_killed_is_in_doubt_until_a_person_decides() {
    let Some((bed, resource)) = stage() else { return };
    let post = || curl(&bed, "harvest", "-d amount=5 \"$OUTLAST_CRM_URL/silent\"");
    let mut child = post().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    resource.wait_for("POST /silent");
    kill(&mut child);
    for _ in 0..2 {
        let (_, stdout, _) = ran(&bed, &mut post());
        assert!(
            stdout.ends_with(" 409") && stdout.contains("outlast task resolve harvest http:POST:crm:silent:"),
            "{stdout}"
        );
    }
    assert_eq!(resource.asked(), ["POST /silent"]);
    let tasks = tasks(&bed);
    let (_, view) = block_on(tasks.show(&harvest())).unwrap();
    let key = view.steps().iter().find(|step| step.is_open()).unwrap().key.clone();
    let said = outlast::task::Recorded { exit: None, bytes: b"charged".to_vec() };
    block_on(tasks.resolve(&harvest(), &key, Resolution::Done(said), "a person")).unwrap();
    let (_, stdout, _) = ran(&bed, &mut post());
    assert_eq!(stdout, "charged 200");
    assert_eq!(resource.asked(), ["POST /silent"]);
}

#[test]
fn large_replies_come_back_whole_and_nothing_of_them_or_of_a_token_lies_there_in_clear() {
    let Some((bed, resource)) = stage() else { return };
    let get = || curl(&bed, "harvest", "\"$OUTLAST_CRM_URL/large?x=1\" \"$OUTLAST_CRM_URL/small\"");
    let (code, before, _) = ran(&bed, &mut get());
    let (_, after, stderr) = ran(&bed, &mut get());
    assert!(code == Some(0) && before.len() > LARGE * 9 / 10 && before.contains(CANARY));
    assert_eq!(before, after);
    assert!(stderr.contains("2 requests were answered from the record, 0 were sent"), "{stderr}");
    assert_eq!(resource.asked().len(), 2);
    let issued = bed.import("crm");
    let kept = files(&bed.state());
    assert!(kept.iter().any(|path| path.to_str().unwrap().contains("harvest.outputs")), "{kept:?}");
    for path in kept {
        let bytes = std::fs::read(&path).unwrap();
        for secret in [CANARY, "CANARY-cookie", issued.access.as_str(), issued.refresh.as_str(), "small"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} lies in {}", path.display());
        }
    }
}

#[test]
fn deleting_the_task_removes_all_that_was_recorded() {
    let Some((bed, resource)) = stage() else { return };
    let get = || curl(&bed, "harvest", "\"$OUTLAST_CRM_URL/large\"");
    ran(&bed, &mut get());
    let of_task = || files(&bed.state().join("tasks"));
    assert!(of_task().len() >= 2, "a journal, and a reply that lies apart: {:?}", of_task());
    block_on(tasks(&bed).delete(&harvest())).unwrap();
    assert!(of_task().is_empty(), "{:?}", of_task());
    let (_, _, stderr) = ran(&bed, &mut get());
    assert!(stderr.contains("0 requests were answered from the record, 1 were sent"), "{stderr}");
    assert_eq!(resource.asked().len(), 2);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn without_record_nothing_is_recorded() {
    let Some((bed, resource)) = stage() else { return };
    let text =
        "curl --noproxy '*' -s -o /dev/null -H \"Authorization: Bearer $OUTLAST_CAPABILITY\" \"$OUTLAST_CRM_URL/a\"";
    for _ in 0..2 {
        assert_eq!(ran(&bed, &mut bed.command(&["run", "--", "sh", "-c", text])).0, Some(0));
    }
    assert_eq!(resource.asked().len(), 2);
    assert!(block_on(tasks(&bed).names()).unwrap().is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_before_the_program_starts() {
    let bed = Bed::new();
    bed.import("crm");
    let run = |words: &[&str]| bed.run(&[&["run"], words, &["--", "echo", "started"]].concat());
    for name in ["../x", "a/b", "a\nb", "", ".x", &"x".repeat(65)] {
        run(&["--task", name, "--record"]).assert_failed(78, "request-invalid");
    }
    run(&["--task", "harvest", "--record", "--repeatable", "llm"]).assert_failed(78, "grant-unknown");
    for words in [&["--record"][..], &["--task", "x", "--repeatable", "crm"], &["--repeatable", "crm"]] {
        let told = run(words);
        assert!(told.code == 2 && told.stdout.is_empty(), "{told:?}");
    }
    let mut first =
        bed.command(&["run", "--task", "harvest", "--record", "--", "sh", "-c", "echo ready; exec sleep 60"]);
    let mut first = first.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut line).unwrap();
    run(&["--task", "harvest", "--record"]).assert_failed(75, "task-busy");
    kill(&mut first);
    assert_eq!(run(&["--task", "harvest", "--record"]).code, 0, "the kernel gave it back");
}
