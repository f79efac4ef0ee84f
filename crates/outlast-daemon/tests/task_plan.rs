//! Plans as files: what is read from one, and where each mistake is said to be.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

use outlast::Code;
use outlast::task::Effect;
use outlast::task_plan::{Prepared, Schedule, Work};
use outlast_daemon::config::ConfigError;
use outlast_daemon::task_plan::PlanFile;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn parse(text: &str) -> Result<PlanFile, ConfigError> {
    PlanFile::parse(text, Path::new("plan.toml"))
}

const TASK: &str = "[task]\nid = \"t\"\n";

/// Takes the mark out of a text: what is left, and where it stood.
fn marked(text: &str) -> (String, String) {
    let before = text.split('¦').next().unwrap();
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (text.replace('¦', ""), format!("plan.toml:{}:{column}: ", before.matches('\n').count() + 1))
}

/// Every key that there is.
const WHOLE: &str = include_str!("fixtures/whole_plan.toml");

#[test]
fn every_key_is_read() {
    let file = parse(WHOLE).unwrap();
    let plan = file.plan();
    assert_eq!((plan.id().as_str(), plan.concurrency(), file.hold()), ("harvest", 8, Some(Duration::from_secs(1800))));
    let [list, page, report] = plan.steps() else { panic!("three steps") };
    assert_eq!((list.effect, list.retries, list.timeout), (Effect::Idempotent, 4, None));
    assert_eq!((page.effect, page.retries, page.timeout), (Effect::Idempotent, 2, Some(Duration::from_secs(30))));
    assert_eq!(report.effect, Effect::Once);
    let Work::Command(command) = &report.work else { panic!("a command") };
    assert_eq!(command.grants.iter().map(|grant| grant.id.as_str()).collect::<Vec<_>>(), ["crm", "gh"]);
    assert_eq!(command.grants[1].variable.as_deref(), Some("GH_FILE"));
    let mut schedule = Schedule::new(Arc::clone(plan));
    let unit = schedule.next_unit().unwrap();
    schedule.done(&unit, br#"{"items": [{"id": "a/1", "amount": 5}]}"#);
    let unit = schedule.next_unit().unwrap();
    assert_eq!(unit.key.as_str(), "page[a%2F1]");
    let Ok(Prepared::Request(request)) = schedule.prepare(&unit) else { panic!("a request") };
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PATCH", "/v1/items/a%2F1"));
    assert_eq!(request.headers["x-note"], "item a/1");
    assert_eq!(request.headers["content-type"], "application/json");
    let body = r#"{"amount":5,"deep":{"list":[{"amount":5,"id":"a/1"},1,2.5,true]},"when":"2026-11-26"}"#;
    assert_eq!(String::from_utf8(request.body.0).unwrap(), body);
    schedule.done(&unit, b"{}");
    let unit = schedule.next_unit().unwrap();
    let Ok(Prepared::Command(command)) = schedule.prepare(&unit) else { panic!("a command") };
    assert_eq!(command.words, ["python3", "report.py", "--count", "3"]);
    assert_eq!(command.input.as_deref(), Some("[{}]\n"));
}

#[test]
fn each_mistake_is_told_with_its_line_and_column() {
    const A: &str = "[[step]]\nkey = \"a\"\n";
    const RUN: &str = "[[step]]\nkey = \"a\"\ncommand = [\"x\"]\n";
    for (step, rest, told) in [
        (RUN, "needs = [¦\"b\"]", "there is no step `b`"),
        (A, "command = [\"x\", \"é {{ ¦b.id }}\"]", "there is no step `b`"),
        (A, "command = [\"x\", \"\\u00e9\\t{{¦b }}\"]", "there is no step `b`"),
        (RUN, "input = '''\none\ntwo {{ ¦b }}'''", "there is no step `b`"),
        (
            RUN,
            "needs = [\"b\"]\n[[step]]\nkey = \"b\"\ncommand = [\"x\"]\nneeds = [¦\"a\"]",
            "steps wait for each other: a -> b -> a",
        ),
        (RUN, "needs = [¦\"a\"]", "waits for itself"),
        (RUN, "[[step]]\nkey = ¦\"a\"\ncommand = [\"x\"]", "two steps with the key `a`"),
        (A, "command = [\"x\", \"¦{{ b\"]", "not closed"),
        (A, "command = [\"x\", \"{{ b¦ | c }}\"]", "can do nothing else"),
        (A, "command = [\"x\", \"{{ ¦env.HOME }}\"]", "secrets are not at hand"),
        (A, "command = [\"sh\", \"-c\", \"echo {{ ¦b }}\"]", "script"),
        (A, "command = [¦\"{{ b }}\"]", "program"),
        (A, "command = ¦[]", "empty"),
        (A, "¦comand = [\"x\"]", "did you mean `command`?"),
        (RUN, "retries = ¦5", "from 0 to 4"),
        (RUN, "id = ¦\"{{ b }}\"", "no for_each"),
        (RUN, "for_each = ¦\"x {{ b }}\"", "one list"),
        (A, "command = [\"x\", \"{{ ¦item.id }}\"]", "no item here"),
        ("", "¦[[step]]\nkey = \"a\"", "nothing to do"),
        ("", "¦[[step]]\ncommand = [\"x\"]", "no key"),
        ("", "[[step]]\nkey = ¦\"a/b\"\ncommand = [\"x\"]", "no key of a step"),
        (RUN, "timeout = ¦\"0s\"", "up to a day"),
        (RUN, "grants = [¦\"crm=1X\"]", "environment variable"),
        (RUN, "grants = [\"crm\", ¦\"crm=X\"]", "twice"),
        (RUN, "grants = [¦\"../x\"]", "no grant"),
        ("", "[[step]¦\n", "not TOML"),
    ] {
        let (text, place) = marked(&format!("{TASK}{step}{rest}"));
        let error = parse(&text).unwrap_err();
        assert_eq!(error.code(), Code::PlanInvalid, "{error}");
        let shown = error.to_string();
        assert!(shown.starts_with(&place) && shown.contains(told), "{text}\n{place}\n{shown}");
    }
}

#[test]
fn a_request_goes_where_the_plan_says_and_with_no_secret_of_the_plans() {
    const URL: &str = "url = \"https://api.example.com/\", ";
    for (start, rest, told) in [
        ("", "path = ¦\"/x\"", "a path and no grant"),
        ("", "grant = \"crm\", url = ¦\"https://api.example.com\"", "a grant and a url"),
        ("", "grant = \"crm\", path = ¦\"x\"", "begin with one '/'"),
        ("", "grant = \"crm\", path = ¦\"//evil.example/x\"", "begin with one '/'"),
        ("", "grant = \"crm\", path = ¦\"{{ b }}\"", "begin with one '/'"),
        ("", "grant = \"crm\", path = ¦\"/a/../b\"", "'..'"),
        ("", "grant = \"crm\", path = ¦\"/a b\"", "blank"),
        ("", "url = ¦\"https://{{ b }}/x\"", "to which server"),
        ("", "url = ¦\"https://api.example.com{{ b }}\"", "to which server"),
        ("", "url = ¦\"http://api.example.com/\"", "neither https nor http on loopback"),
        ("", "url = ¦\"https://u:p@api.example.com/\"", "user name or password"),
        (URL, "headers = { ¦Authorization = \"x\" }", "no secret belongs in a plan"),
        (URL, "headers = { ¦Idempotency-Key = \"x\" }", "set by itself"),
        (URL, "headers = { ¦\"a b\" = \"x\" }", "no name of a field"),
        (URL, "method = ¦\"get\"", "capitals"),
        (URL, "method = ¦\"CONNECT\"", "no method"),
        (URL, "method = ¦\"GET\", body = {}", "no body"),
        (URL, "body = {}, form = ¦{}", "a body and a form"),
        (URL, "body = '{\"id\": \"{{ ¦b }}\"}'", "write the body as a table"),
        (URL, "accept = [¦200]", "from 300 to 499"),
        (URL, "accept = [¦401]", "from 300 to 499"),
    ] {
        let (text, place) = marked(&format!("{TASK}[[step]]\nkey = \"a\"\nrequest = {{ {start}{rest} }}"));
        let error = parse(&text).unwrap_err();
        let insecure = told.contains("http on") || told.contains("password");
        assert_eq!(error.code(), if insecure { Code::InsecureAddress } else { Code::PlanInvalid }, "{error}");
        let shown = error.to_string();
        assert!(shown.starts_with(&place) && shown.contains(told), "{text}\n{place}\n{shown}");
    }
    let nowhere = parse(&format!("{TASK}[[step]]\nkey = \"a\"\nrequest = {{ grant = \"crm\" }}")).unwrap_err();
    assert!(nowhere.detail.contains("does not say where it goes"), "{nowhere}");
    let sent = "[[step]]\nkey = \"a\"\nrequest = { url = \"https://api.example.com/\", body = { a = 1 } }";
    let file = parse(&format!("{TASK}{sent}")).unwrap();
    assert_eq!(file.plan().steps()[0].effect, Effect::Once, "a POST may do something that must not be done twice");
}

#[test]
fn a_task_has_to_have_a_name_that_is_one() {
    for (text, told) in [
        ("", "1:1: the plan has no [task]"),
        ("[task]\n", "has no id"),
        ("[task]\nid = \"../x\"", "2:6"),
        ("[task]\nid = \"a\\u001bb\"", "2:6"),
        (
            "[task]\nid = \"a\"\nconcurrency = 0",
            "3:15: `concurrency` in [task] has the wrong type; give a whole number from 1 to 256",
        ),
        ("[task]\nid = \"a\"\nname = 1", "3:1: unknown key `name` in [task]"),
        ("[tsk]", "did you mean `task`?"),
    ] {
        let told_of = parse(text).unwrap_err().to_string();
        assert!(told_of.contains(told), "{text}: {told_of}");
    }
}

#[test]
fn a_file_that_is_not_there_is_no_text_or_too_large_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.toml");
    assert!(PlanFile::load(&path).unwrap_err().detail.contains("cannot be read"));
    std::fs::write(&path, b"[task]\nid = \"\xff\"").unwrap();
    assert!(PlanFile::load(&path).unwrap_err().detail.contains("cannot be read"));
    std::fs::write(&path, format!("{TASK}# {}", "x".repeat(1024 * 1024))).unwrap();
    assert!(PlanFile::load(&path).unwrap_err().detail.contains("larger than 1 MiB"));
}
