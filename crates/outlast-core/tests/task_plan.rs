//! Task plans: what is refused before anything runs, what may run next, and what a step is given.
#![allow(clippy::unwrap_used)]

use http::Method;
use outlast_core::task::{Effect, TaskId};
use outlast_core::task_plan::{
    Body, CommandWork, FanOut, Items, JsonTemplate, Need, PlanFault, PlanStep, Prepared, RequestWork, Schedule, Target,
    TaskPlan, Template, Unit, Work,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn template(text: &str) -> Template {
    Template::parse(text, &(0..text.len()), &|offset| offset).unwrap()
}

fn command(words: &[&str]) -> Result<Work, PlanFault> {
    CommandWork::new(words.iter().map(|word| template(word)).collect(), &(0..0)).map(Work::Command)
}

fn step(key: &str, needs: &[&str], words: &[&str]) -> PlanStep {
    PlanStep {
        key: key.to_owned(),
        span: 1..2,
        needs: needs.iter().map(|need| Need { key: (*need).to_owned(), span: 7..8 }).collect(),
        fan_out: None,
        work: command(words).unwrap(),
        effect: Effect::Once,
        retries: 0,
        timeout: None,
    }
}

fn each(list: &str, id: Option<&str>, step: PlanStep) -> PlanStep {
    let items = Items::Output(template(list).as_reference().unwrap().clone());
    PlanStep { fan_out: Some(FanOut { items, id: id.map(template), span: 9..10 }), ..step }
}

fn request(target: &str, body: Body) -> Work {
    Work::Request(RequestWork {
        grant: None,
        method: Method::POST,
        target: Target::Path(template(target)),
        target_span: 0..0,
        headers: Vec::new(),
        body,
        accept: Vec::new(),
    })
}

fn plan(steps: Vec<PlanStep>) -> Result<Arc<TaskPlan>, PlanFault> {
    TaskPlan::new(TaskId::parse("harvest").unwrap(), 4, steps, &(0..0)).map(Arc::new)
}

fn schedule(steps: Vec<PlanStep>) -> Schedule {
    Schedule::new(plan(steps).unwrap())
}

fn ready(schedule: &mut Schedule) -> Vec<Unit> {
    std::iter::from_fn(|| schedule.next_unit()).collect()
}

fn keys(units: &[Unit]) -> Vec<&str> {
    units.iter().map(|unit| unit.key.as_str()).collect()
}

fn words(prepared: Prepared) -> Vec<String> {
    match prepared {
        Prepared::Command(command) => command.words,
        Prepared::Request(request) => panic!("{request:?}"),
    }
}

/// What the arguments of a step become when `list` brought `output`.
fn filled(output: &[u8], words_of: &[&str]) -> Result<Vec<String>, PlanFault> {
    let mut schedule = schedule(vec![step("list", &[], &["list"]), step("use", &[], words_of)]);
    let list = schedule.next_unit().unwrap();
    schedule.done(&list, output);
    let unit = schedule.next_unit().unwrap();
    schedule.prepare(&unit).map(words)
}

#[test]
fn steps_that_are_not_there_or_wait_for_each_other_are_refused_where_it_says_so() {
    let told = |steps| {
        let fault = plan(steps).unwrap_err();
        (fault.span.start, fault.detail, fault.mend)
    };
    let (span, detail, mend) = told(vec![step("a", &["lsit"], &["x"]), step("list", &[], &["x"])]);
    assert_eq!((span, detail.as_str(), mend.as_str()), (7, "there is no step `lsit`", "there are list"));
    let (span, detail, _) = told(vec![step("a", &[], &["x", "{{ b.id }}"]), step("b", &["a"], &["x"])]);
    assert_eq!((span, detail.as_str()), (7, "steps wait for each other: a -> b -> a"));
    let (span, detail, _) = told(vec![step("a", &[], &["x", "{{ a }}"])]);
    assert_eq!((span, detail.as_str()), (3, "step a waits for itself"));
    let (_, detail, _) = told(vec![step("a", &["b"], &["x"]), step("b", &["c"], &["x"]), step("c", &["b"], &["x"])]);
    assert_eq!(detail, "steps wait for each other: b -> c -> b");
    let (span, detail, _) = told(vec![step("a", &[], &["x"]), step("a", &[], &["x"])]);
    assert_eq!((span, detail.as_str()), (1, "there are two steps with the key `a`"));
    for key in ["", "item", "env", "a/b", "a b", "a[1]", "ä", &"a".repeat(81)] {
        assert_eq!(told(vec![step(key, &[], &["x"])]).0, 1, "{key}");
    }
    assert!(told(Vec::new()).1.contains("no steps"));
    assert!(told(vec![step("a", &[], &["x", "{{ item.id }}"])]).1.contains("no item"));
    assert!(told(vec![each("{{ item.x }}", None, step("a", &[], &["x"]))]).1.contains("no item"));
    let many = (0..=1000).map(|number| step(&format!("s{number}"), &[], &["x"])).collect();
    assert!(told(many).1.contains("more than 1000"));
}

#[test]
fn a_long_chain_is_checked_without_running_out_of_stack() {
    let name = |number: usize| format!("s{number}");
    let chain: Vec<PlanStep> =
        (0..1000).map(|number| step(&name(number), &[&name((number + 1) % 1000)], &["x"])).collect();
    assert!(plan(chain.clone()).unwrap_err().detail.starts_with("steps wait for each other"));
    assert!(plan(chain.into_iter().take(999).chain([step("s999", &[], &["x"])]).collect()).is_ok());
}

#[test]
fn what_an_output_has_in_it_never_decides_what_is_run() {
    let refused = |words: &[&str]| command(words).unwrap_err().detail;
    assert!(refused(&[]).contains("empty"));
    assert!(refused(&["{{ a }}"]).contains("program"));
    assert!(refused(&["run-{{ a }}"]).contains("program"));
    assert!(refused(&["sh", "-c", "echo {{ a }}"]).contains("script"));
    assert!(refused(&["/usr/bin/python3", "-c", "{{ a }}"]).contains("script"));
    assert!(command(&["sh", "-c", "echo \"$1\"", "sh", "{{ a }}"]).is_ok());
    assert!(filled(b"\"-rf\"", &["rm", "{{ list }}"]).unwrap_err().detail.contains("begins with '-'"));
    assert!(filled(b"-rf\n", &["rm", "{{ list }}"]).is_err());
    assert_eq!(filled(b"-5", &["seq", "{{ list }}"]).unwrap(), ["seq", "-5"], "a number is no option");
    assert_eq!(filled(b"-rf", &["rm", "--", "{{ list }}"]).unwrap(), ["rm", "--", "-rf"]);
    assert_eq!(filled(b"-rf", &["x", "--name={{ list }}"]).unwrap(), ["x", "--name=-rf"]);
    assert!(filled(b"\"a\\u0000b\"", &["x", "{{ list }}"]).unwrap_err().detail.contains("NUL"));
}

#[test]
fn a_value_is_found_by_its_path_and_what_is_not_there_is_told_without_values() {
    let output = br#"{"items": [{"id": 7, "name": "a b; $(rm)"}], "next": null, "secret": "CANARY-1"}"#;
    let one = |path: &str| filled(output, &["x", &format!("{{{{ list{path} }}}}")]).map(|words| words[1].clone());
    assert_eq!(one(".items.0.id").unwrap(), "7");
    assert_eq!(one(".items.0.name").unwrap(), "a b; $(rm)", "there is no shell");
    assert_eq!(one(".items").unwrap(), r#"[{"id":7,"name":"a b; $(rm)"}]"#);
    for (path, detail, mend) in [
        (".itms.0", "no `itms`", "there are items, next, secret"),
        (".items.1", "no `1`", "a list of 1 items"),
        (".items.-1", "no `-1`", "a list"),
        (".items.0.id.x", "no `x`", "a number"),
        (".secret.x", "no `x`", "a text"),
        (".next", "null", ""),
    ] {
        let fault = one(path).unwrap_err();
        assert!(fault.detail.contains(detail) && fault.mend.contains(mend), "{path}: {fault:?}");
        assert!(!format!("{fault:?}").contains("CANARY"), "{fault:?}");
        assert_eq!(fault.span.start, 3, "{fault:?}");
    }
    assert_eq!(filled(b"a line\r\n", &["x", "<{{ list }}>"]).unwrap()[1], "<a line>");
    assert_eq!(filled(b"", &["x", "<{{ list }}>"]).unwrap()[1], "<>");
    assert!(filled(b"\xff\xfe", &["x", "{{ list }}"]).unwrap_err().detail.contains("no UTF-8 text"));
    assert!(filled(b"\xff\xfe", &["x", "nothing of it"]).is_ok(), "who does not use it does not mind");
}

#[test]
fn a_list_is_run_for_each_item_and_what_the_items_brought_is_a_list() {
    let mut schedule = schedule(vec![
        step("list", &[], &["list"]),
        each("{{ list.items }}", Some("{{ item.id }}"), step("page", &[], &["get", "{{ item.id }}"])),
        step("sum", &[], &["sum", "{{ page.1.total }}", "{{ page }}"]),
    ]);
    assert_eq!((schedule.known(), schedule.knows_all()), (2, false));
    let first = ready(&mut schedule);
    assert_eq!(keys(&first), ["list"]);
    schedule.done(&first[0], br#"{"items": [{"id": "a/b"}, {"id": 2}]}"#);
    assert_eq!((schedule.known(), schedule.knows_all()), (4, true));
    let pages = ready(&mut schedule);
    assert_eq!(keys(&pages), ["page[a%2Fb]", "page[2]"]);
    assert_eq!(words(schedule.prepare(&pages[0]).unwrap()), ["get", "a/b"]);
    schedule.done(&pages[1], br#"{"total": 20}"#);
    assert!(ready(&mut schedule).is_empty(), "not before all of them are done");
    schedule.done(&pages[0], br#"{"total": 10}"#);
    let last = ready(&mut schedule);
    let wanted = ["sum", "20", r#"[{"total":10},{"total":20}]"#];
    assert_eq!(words(schedule.prepare(&last[0]).unwrap()), wanted, "in the order of the list");
    schedule.done(&last[0], b"30");
    assert!(schedule.is_done());
}

#[test]
fn a_list_that_is_none_or_whose_items_cannot_be_told_apart_fails_its_step_and_blocks_what_follows() {
    for (output, id, detail) in [
        (r#"{"items": {}}"#, None, "no list"),
        (r#"{}"#, None, "no `items`"),
        (r#"{"items": [{"id": 1}, {"id": 1}]}"#, Some("{{ item.id }}"), "items 0 and 1 of the list have the same id"),
        (r#"{"items": [{"id": null}]}"#, Some("{{ item.id }}"), "null"),
        (r#"{"items": [{"id": [1]}]}"#, Some("{{ item.id }}"), "a list"),
    ] {
        let pages = each("{{ list.items }}", id, step("page", &[], &["get"]));
        let mut schedule = schedule(vec![step("list", &[], &["l"]), pages, step("sum", &["page"], &["x"])]);
        let list = schedule.next_unit().unwrap();
        schedule.done(&list, output.as_bytes());
        assert!(ready(&mut schedule).is_empty(), "{output}");
        let [(key, fault)] = schedule.faults() else { panic!("{output}") };
        assert!(key == "page" && fault.detail.contains(detail), "{output}: {fault:?}");
        assert_eq!(
            schedule.blocked().iter().map(|blocked| (blocked.key, blocked.on)).collect::<Vec<_>>(),
            [("sum", "page")]
        );
        assert!(!schedule.is_done());
    }
    let mut empty = schedule(vec![
        step("list", &[], &["l"]),
        each("{{ list }}", None, step("page", &[], &["x"])),
        step("sum", &["page"], &["x"]),
    ]);
    let list = empty.next_unit().unwrap();
    empty.done(&list, b"[]");
    assert_eq!(keys(&ready(&mut empty)), ["sum"], "nothing to do is done");
}

#[test]
fn one_item_that_fails_keeps_no_other_from_running_and_blocks_what_needs_all() {
    let mut schedule = schedule(vec![
        step("list", &[], &["l"]),
        each("{{ list }}", None, step("page", &[], &["x"])),
        step("sum", &["page"], &["x"]),
        step("mail", &["sum"], &["x"]),
        step("other", &["list"], &["x"]),
    ]);
    let list = schedule.next_unit().unwrap();
    schedule.done(&list, b"[1, 2, 3]");
    let units = ready(&mut schedule);
    assert_eq!(keys(&units), ["page[0]", "page[1]", "page[2]", "other"]);
    schedule.failed(&units[1]);
    for unit in [0, 2, 3] {
        schedule.done(&units[unit], b"");
    }
    let blocked = schedule.blocked();
    assert_eq!(
        blocked.iter().map(|blocked| (blocked.key, blocked.on)).collect::<Vec<_>>(),
        [("sum", "page"), ("mail", "sum")]
    );
}

fn sent(target: &str, body: Body, output: &Value) -> Result<(String, String), PlanFault> {
    let work = request(target, body);
    let mut schedule = schedule(vec![step("list", &[], &["l"]), PlanStep { work, ..step("send", &[], &["x"]) }]);
    let list = schedule.next_unit().unwrap();
    schedule.done(&list, output.to_string().as_bytes());
    let unit = schedule.next_unit().unwrap();
    match schedule.prepare(&unit)? {
        Prepared::Request(request) => Ok((request.target, String::from_utf8(request.body.0).unwrap())),
        Prepared::Command(command) => panic!("{command:?}"),
    }
}

#[test]
fn each_place_escapes_as_it_needs() {
    let hostile = json!({ "id": "../a/b?c=d&e#\r\nX: y", "n": 3, "quote": "\"}, \"admin\": true, \"x\": \"" });
    let (path, _) = sent("/v1/{{ list.id }}/x?n={{ list.n }}", Body::Empty, &hostile).unwrap();
    assert_eq!(path, "/v1/..%2Fa%2Fb%3Fc%3Dd%26e%23%0D%0AX%3A%20y/x?n=3");
    let member = |name: &str, text: &str| (name.to_owned(), JsonTemplate::Text(template(text)));
    let body = JsonTemplate::Object(vec![
        member("whole", "{{ list.n }}"),
        member("part", "n is {{ list.n }}"),
        member("quote", "{{ list.quote }}"),
        ("fixed".to_owned(), JsonTemplate::Array(vec![JsonTemplate::Value(json!(true))])),
    ]);
    let (_, body) = sent("/x", Body::Json(body), &hostile).unwrap();
    let wanted = json!({ "whole": 3, "part": "n is 3", "quote": hostile["quote"], "fixed": [true] });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), wanted);
    let form = Body::Form(vec![("a b".to_owned(), template("{{ list.quote }}"))]);
    assert_eq!(sent("/x", form, &json!({ "quote": "1&admin=2" })).unwrap().1, "a%20b=1%26admin%3D2");
    for (value, detail) in [("..", "'..' segment"), (".", "'..' segment"), ("", "empty")] {
        let fault = sent("/v1/{{ list.id }}/x", Body::Empty, &json!({ "id": value })).unwrap_err();
        assert!(fault.detail.contains(detail), "{value}: {fault:?}");
    }
    assert!(sent("/x?q={{ list.id }}", Body::Empty, &json!({ "id": "" })).is_ok(), "a query may be empty");
}

#[test]
fn the_same_input_is_the_same_bytes_and_another_is_not() {
    let input = |words: &[&str]| {
        let mut schedule = schedule(vec![step("a", &[], words)]);
        let unit = schedule.next_unit().unwrap();
        schedule.prepare(&unit).unwrap().input()
    };
    assert_eq!(input(&["x", "a b"]), input(&["x", "a b"]));
    assert_ne!(input(&["x", "a b"]), input(&["x", "a", "b"]));
}

/// Plans without circles: each step may need any that were drawn before it; the order of the file is another.
fn drawn() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<usize>, Vec<u8>)> {
    (1..12_usize).prop_flat_map(|count| {
        let needs = (0..count).map(|step| proptest::collection::vec(0..step.max(1), 0..=step.min(3)).boxed());
        let order = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        (needs.collect::<Vec<_>>(), order, proptest::collection::vec(any::<u8>(), count * 4 + 4))
    })
}

/// Runs a plan, with ends in an order and of a kind that `dice` decide; what was offered, and what failed.
fn run_through(steps: &[PlanStep], dice: &[u8]) -> (Vec<String>, BTreeSet<String>, Schedule) {
    let mut schedule = schedule(steps.to_vec());
    let (mut offered, mut failed, mut running) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut dice = dice.iter().cycle();
    loop {
        while let Some(unit) = schedule.next_unit() {
            offered.push(unit.key.as_str().to_owned());
            running.push(unit);
        }
        if running.is_empty() {
            return (offered, failed, schedule);
        }
        let dice = usize::from(*dice.next().unwrap());
        let unit = running.remove(dice / 8 % running.len());
        if dice % 8 == 0 {
            failed.insert(unit.key.as_str().to_owned());
            schedule.failed(&unit);
        } else {
            schedule.done(&unit, b"{}");
        }
    }
}

proptest! {
    #[test]
    fn each_step_is_offered_once_after_all_it_needs_and_only_what_needs_a_failed_one_is_left(
        (needs, order, dice) in drawn(),
    ) {
        let name = |step: usize| format!("s{step}");
        let steps: Vec<PlanStep> = order.iter().map(|drawn| {
            let needed: Vec<String> = needs[*drawn].iter().filter(|need| *need != drawn).map(|need| name(*need)).collect();
            step(&name(*drawn), &needed.iter().map(String::as_str).collect::<Vec<_>>(), &["x"])
        }).collect();
        let (offered, failed, schedule) = run_through(&steps, &dice);
        let place: BTreeMap<&String, usize> = offered.iter().enumerate().map(|(place, key)| (key, place)).collect();
        prop_assert_eq!(place.len(), offered.len(), "each once");
        let blocked: BTreeSet<&str> = schedule.blocked().iter().map(|blocked| blocked.key).collect();
        for step in &steps {
            let spoilt = step.needs.iter().any(|need| failed.contains(&need.key) || blocked.contains(need.key.as_str()));
            prop_assert_eq!(blocked.contains(step.key.as_str()), spoilt, "{}", step.key);
            prop_assert_eq!(place.contains_key(&step.key), !spoilt, "{}", step.key);
            for need in step.needs.iter().filter(|_| !spoilt) {
                prop_assert!(place[&need.key] < place[&step.key]);
            }
        }
        prop_assert_eq!(schedule.is_done(), failed.is_empty());
        prop_assert_eq!(run_through(&steps, &dice).0, offered, "the same ends make the same offers");
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_no_value_leaves_its_segment(text in "[{}\"a.| \\\\é\n]{0,24}", value in ".*") {
        let _ = Template::parse(&text, &(0..text.len()), &|offset| offset);
        if let Ok((path, _)) = sent("/v1/{{ list }}/end", Body::Empty, &json!(value)) {
            let segments: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert!(segments[2].bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert!(!matches!(segments[2], "" | "." | ".."));
        }
        let body = Body::Json(JsonTemplate::Object(vec![("v".to_owned(), JsonTemplate::Text(template("<{{ list }}>")))]));
        let (_, body) = sent("/x", body, &json!({ "v": value.clone() })).unwrap();
        let parsed: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(parsed.as_object().unwrap().len(), 1);
    }
}
