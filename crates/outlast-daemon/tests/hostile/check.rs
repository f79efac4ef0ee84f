//! What must hold for any configuration and any task plan. Used by the test beside it and by fuzz targets.

use outlast::Code;
use outlast::task_plan::Schedule;
use outlast_daemon::config::{Config, HOLD_MAX};
use outlast_daemon::task_plan::PlanFile;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// A plain secret, as it stands in the good configurations.
const SECRET_LINE: &str = "client_secret = \"CANARY";
/// More than any of our own words; what is repeated of the file is shortened.
const TEXT_BYTES_MAX: usize = 4096;
/// How many steps of a plan are run: a list may have very many items.
const STEPS_MAX: usize = 200;

/// A configuration: what is read keeps its limits, and what is wrong is said in short, without the secrets
/// beside it and with nothing in it that a terminal obeys. Nothing is fetched: that would run commands.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let told = match Config::parse(text, Path::new("/nowhere/outlast.toml")) {
        Ok(config) => {
            assert!(config.proxy().listen.ip().is_loopback() && config.proxy().hold <= HOLD_MAX);
            let ids = config.entries().iter().map(|entry| entry.id.as_str());
            assert!(ids.clone().all(|id| !id.is_empty() && id.len() <= 64 && id.is_ascii()));
            ids.map(|id| config.resolve_one(&format!("{id}?"), &|_| None).map(drop).expect_err("unknown")).collect()
        }
        Err(error) => vec![error],
    };
    for error in told {
        let shown = error.to_string();
        short(&shown);
        let beside = text.matches("CANARY").count() == text.matches(SECRET_LINE).count();
        assert!(!(beside && format!("{shown} {error:?}").contains("CANARY")), "{shown}");
    }
}

/// A task plan, and behind a zero what each step brings: what is read can be run to its end, each step under a
/// key of its own, and what is wrong is said in short, wherever it turns up.
pub fn plan(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return };
    let output = parts.next().unwrap_or(br#"{"items": [{"id": "a/1"}, {"id": 2}]}"#);
    let file = match PlanFile::parse(text, Path::new("/nowhere/plan.toml")) {
        Ok(file) => file,
        Err(error) => {
            // An address on plain http is told as such wherever it is configured.
            assert!(matches!(error.code, Code::PlanInvalid | Code::InsecureAddress), "{error:?}");
            return short(&error.to_string());
        }
    };
    let mut schedule = Schedule::new(Arc::clone(file.plan()));
    let (mut keys, mut failed) = (HashSet::new(), false);
    for _ in 0..STEPS_MAX {
        let Some(unit) = schedule.next_unit() else { break };
        assert!(keys.insert(unit.key.clone()), "{} twice", unit.key.as_str());
        match schedule.prepare(&unit) {
            Ok(prepared) => {
                assert_eq!(prepared.input(), schedule.prepare(&unit).expect("as before").input());
                schedule.done(&unit, output);
            }
            Err(fault) => {
                let shown = file.fault(&fault).to_string();
                short(&shown);
                assert!(!shown.contains("not there yet"), "{} was offered too early", unit.key.as_str());
                schedule.failed(&unit);
                failed = true;
            }
        }
    }
    for (_, fault) in schedule.faults() {
        short(&file.fault(fault).to_string());
    }
    let told = failed || !schedule.faults().is_empty();
    assert!(schedule.has_ready() || schedule.is_done() || told, "steps wait, and nobody is told for what");
}

fn short(shown: &str) {
    assert!(shown.len() <= TEXT_BYTES_MAX, "{} bytes", shown.len());
    assert!(!shown.chars().any(|character| character.is_control() && character != '\n'), "{shown:?}");
}
