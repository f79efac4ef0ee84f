//! The table the demo ends in, and its closing sentence. Pure.

use super::agent::{STEPS, WORKERS};
use crate::output;
use serde_json::{Value, json};

/// How one story ended; every number was counted by the workers or by the story's own server.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Which story.
    pub(crate) name: &'static str,
    /// The signal that the first agent died of; nothing if it gave up before.
    pub(crate) killed_by_signal: Option<i32>,
    /// Steps whose every call was answered 200.
    pub(crate) steps_done: usize,
    /// Steps of which a call was made again after all of them had been answered 200.
    pub(crate) steps_run_twice: usize,
    /// Calls that the API answered 200 once more: by step and number of the call.
    pub(crate) work_paid_twice: u64,
    /// Logins of the person.
    pub(crate) logins: u64,
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
            "killed_by_signal": run.killed_by_signal,
            "steps_done": run.steps_done,
            "steps_total": STEPS,
            "steps_run_twice": run.steps_run_twice,
            "work_paid_twice": run.work_paid_twice,
            "logins": run.logins,
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

/// The runs for people: a column for each.
pub(crate) fn to_text(runs: &[Run]) -> String {
    let row = |name: &str, figure: &dyn Fn(&Run) -> String| {
        std::iter::once(name.to_owned()).chain(runs.iter().map(figure)).collect::<Vec<_>>()
    };
    let grant = |run: &Run| if run.grant_alive { "alive" } else { "revoked" }.to_owned();
    let first = |run: &Run| run.killed_by_signal.map_or("gave up".to_owned(), |signal| format!("killed ({signal})"));
    let rows = vec![
        row("first agent", &first),
        row("steps done", &|run| format!("{} of {STEPS}", run.steps_done)),
        row("steps run twice", &|run| run.steps_run_twice.to_string()),
        row("work paid twice", &|run| format!("{} calls", run.work_paid_twice)),
        row("401s seen", &|run| run.unauthorized_seen.to_string()),
        row("token requests", &|run| run.token_requests.to_string()),
        row("reuse alarms", &|run| run.reuse_alarms.to_string()),
        row("grant", &grant),
        row("calls wasted", &|run| format!("{} of {}", run.calls_wasted, run.calls)),
        row("seconds", &|run| format!("{:.0}", run.seconds)),
    ];
    let head: Vec<&str> = std::iter::once("story").chain(runs.iter().map(|run| run.name)).collect();
    output::table(&head, rows)
}

/// One sentence on what the table shows; says so when it does not show what it should.
pub(crate) fn closing(runs: &[Run]) -> String {
    let Some(outlast) = runs.iter().find(|run| run.name == super::story::OUTLAST) else { return String::new() };
    let whole = outlast.steps_done == STEPS
        && outlast.steps_run_twice == 0
        && outlast.unauthorized_seen == 0
        && outlast.reuse_alarms == 0;
    let others: Vec<String> = runs
        .iter()
        .filter(|run| run.name != super::story::OUTLAST)
        .map(|run| format!("{} {}", run.name, run.steps_done))
        .collect();
    if whole && outlast.grant_alive {
        format!(
            "Through Outlast {WORKERS} workers finished {STEPS} of {STEPS} steps on tokens that live 3 seconds, \
             were killed and started again, lost their grant and got it back by a login, met an outage, saw no 401 \
             and ran no step twice ({} of {STEPS}).",
            others.join(" and ")
        )
    } else {
        format!(
            "Through Outlast only {} of {STEPS} steps were done, with {} visible 401s and {} steps run twice: that \
             is a fault of Outlast, please report it.",
            outlast.steps_done, outlast.unauthorized_seen, outlast.steps_run_twice
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &'static str, steps_done: usize, unauthorized_seen: u64) -> Run {
        Run {
            name,
            killed_by_signal: Some(9),
            steps_done,
            steps_run_twice: 0,
            work_paid_twice: 0,
            logins: 1,
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
        let repeating = Run { steps_run_twice: 2, ..run("outlast", 24, 0) };
        assert!(closing(&[repeating]).contains("2 steps run twice"));
    }

    #[test]
    fn programs_get_every_promised_member() {
        let told = to_json(&[run("outlast", 24, 0)]);
        for member in [
            "name",
            "killed_by_signal",
            "steps_done",
            "steps_total",
            "steps_run_twice",
            "work_paid_twice",
            "logins",
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
