//! The table the demo ends in, and its closing sentence. Pure.

use super::agent::{STEPS, WORKERS};
use crate::output;
use serde_json::{Value, json};

/// How one story ended; every number was counted by the workers or by the story's own server.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Which story.
    pub(crate) name: &'static str,
    /// Steps whose every call was answered 200.
    pub(crate) steps_done: usize,
    /// 401s that a worker saw.
    pub(crate) unauthorized_seen: u64,
    /// Requests that reached the token endpoint.
    pub(crate) token_requests: u64,
    /// How often the server saw a refresh token used again.
    pub(crate) reuse_alarms: u64,
    /// Whether the grant is alive at the end.
    pub(crate) grant_alive: bool,
    /// Calls sent in all.
    pub(crate) calls: u64,
    /// Calls that brought no step to its end.
    pub(crate) calls_wasted: u64,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// The runs for programs.
pub(crate) fn to_json(runs: &[Run]) -> Value {
    let run = |run: &Run| {
        json!({
            "name": run.name,
            "steps_done": run.steps_done,
            "steps_total": STEPS,
            "unauthorized_seen": run.unauthorized_seen,
            "token_requests": run.token_requests,
            "reuse_alarms": run.reuse_alarms,
            "grant_alive": run.grant_alive,
            "calls": run.calls,
            "calls_wasted": run.calls_wasted,
            "seconds": (run.seconds * 10.0).round() / 10.0,
        })
    };
    json!({ "runs": runs.iter().map(run).collect::<Vec<_>>() })
}

/// The runs for people.
pub(crate) fn to_text(runs: &[Run]) -> String {
    let head =
        ["story", "steps done", "401s seen", "token requests", "reuse alarms", "grant", "calls wasted", "seconds"];
    let row = |run: &Run| {
        vec![
            run.name.to_owned(),
            format!("{} of {STEPS}", run.steps_done),
            run.unauthorized_seen.to_string(),
            run.token_requests.to_string(),
            run.reuse_alarms.to_string(),
            if run.grant_alive { "alive" } else { "revoked" }.to_owned(),
            format!("{} of {}", run.calls_wasted, run.calls),
            format!("{:.0}", run.seconds),
        ]
    };
    output::table(&head, runs.iter().map(row).collect())
}

/// One sentence on what the table shows; says so when it does not show what it should.
pub(crate) fn closing(runs: &[Run]) -> String {
    let Some(outlast) = runs.iter().find(|run| run.name == super::story::OUTLAST) else { return String::new() };
    let whole = outlast.steps_done == STEPS && outlast.unauthorized_seen == 0 && outlast.reuse_alarms == 0;
    let others: Vec<String> = runs
        .iter()
        .filter(|run| run.name != super::story::OUTLAST)
        .map(|run| format!("{} {}", run.name, run.steps_done))
        .collect();
    if whole && outlast.grant_alive {
        format!(
            "Through Outlast {WORKERS} workers finished {STEPS} of {STEPS} steps on tokens that live 3 seconds, \
             with an outage and a revocation in between, and saw no 401 ({} of {STEPS}).",
            others.join(" and ")
        )
    } else {
        format!(
            "Through Outlast only {} of {STEPS} steps were done, with {} visible 401s: that is a fault of Outlast, \
             please report it.",
            outlast.steps_done, outlast.unauthorized_seen
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &'static str, steps_done: usize, unauthorized_seen: u64) -> Run {
        Run {
            name,
            steps_done,
            unauthorized_seen,
            token_requests: 7,
            reuse_alarms: 0,
            grant_alive: true,
            calls: 120,
            calls_wasted: 0,
            seconds: 18.04,
        }
    }

    #[test]
    fn the_closing_sentence_does_not_praise_a_run_that_failed() {
        assert!(closing(&[run("fixed-token", 4, 60), run("outlast", 24, 0)]).contains("fixed-token 4"));
        assert!(closing(&[run("outlast", 23, 0)]).contains("only 23"));
        assert!(closing(&[run("outlast", 24, 1)]).contains("1 visible"));
    }

    #[test]
    fn programs_get_every_promised_member() {
        let told = to_json(&[run("outlast", 24, 0)]);
        for member in [
            "name",
            "steps_done",
            "steps_total",
            "unauthorized_seen",
            "token_requests",
            "reuse_alarms",
            "grant_alive",
            "seconds",
        ] {
            assert!(!told["runs"][0][member].is_null(), "{member}");
        }
    }
}
