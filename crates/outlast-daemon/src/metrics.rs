//! Counters, by code where something failed.

use http::StatusCode;
use outlast::{Code, Window};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Classes of statuses: 1xx to 5xx.
const CLASSES: usize = 5;

/// What the proxy and the control interface count.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: AtomicU64,
    replayed: AtomicU64,
    control: AtomicU64,
    answers: [AtomicU64; CLASSES],
    failures: Vec<AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            replayed: AtomicU64::new(0),
            control: AtomicU64::new(0),
            answers: Default::default(),
            failures: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// One grant, as the metrics show it.
pub(crate) struct GrantGauge {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) seconds_left: Option<u64>,
    pub(crate) standing: String,
}

impl Metrics {
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn replayed(&self) {
        self.replayed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn control_request(&self) {
        self.control.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(count) = class.checked_sub(1).and_then(|class| self.answers.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failure(&self, code: Code) {
        let index = Code::ALL.iter().position(|known| *known == code);
        if let Some(count) = index.and_then(|index| self.failures.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters in the text format of Prometheus. Names of grants need no escaping.
    pub(crate) fn render(&self, grants: &[GrantGauge], window: Option<Window>) -> String {
        let mut text = String::new();
        counter(&mut text, "outlast_proxy_requests_total", "Requests that reached the proxy.");
        sample(&mut text, "outlast_proxy_requests_total", "", load(&self.requests));
        counter(&mut text, "outlast_proxy_replayed_total", "Requests that were answered from the record of a task.");
        sample(&mut text, "outlast_proxy_replayed_total", "", load(&self.replayed));
        counter(&mut text, "outlast_control_requests_total", "Requests on the control socket.");
        sample(&mut text, "outlast_control_requests_total", "", load(&self.control));
        counter(&mut text, "outlast_proxy_answers_total", "Answers of the proxy by class of status.");
        for (index, count) in self.answers.iter().enumerate() {
            let class = format!("class=\"{}xx\"", index + 1);
            sample(&mut text, "outlast_proxy_answers_total", &class, load(count));
        }
        counter(&mut text, "outlast_failures_total", "Failures by code.");
        for (code, count) in Code::ALL.iter().zip(&self.failures) {
            sample(&mut text, "outlast_failures_total", &format!("code=\"{code}\""), load(count));
        }
        gauges(&mut text, grants);
        if let Some(window) = window {
            windows(&mut text, window);
        }
        text
    }
}

fn gauges(text: &mut String, grants: &[GrantGauge]) {
    gauge(text, "outlast_grant_generation", "Rises by one with every token set of a grant.");
    for grant in grants {
        sample(text, "outlast_grant_generation", &format!("grant=\"{}\"", grant.name), grant.generation);
    }
    gauge(text, "outlast_grant_access_token_seconds_left", "Life left on the access token, where it has an end.");
    for (grant, left) in grants.iter().filter_map(|grant| grant.seconds_left.map(|left| (grant, left))) {
        sample(text, "outlast_grant_access_token_seconds_left", &format!("grant=\"{}\"", grant.name), left);
    }
    gauge(text, "outlast_grant_standing", "1 for the standing the grant has.");
    for grant in grants {
        let labels = format!("grant=\"{}\",standing=\"{}\"", grant.name, grant.standing);
        sample(text, "outlast_grant_standing", &labels, 1);
    }
}

fn windows(text: &mut String, window: Window) {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let name = "outlast_window_microseconds";
    gauge(text, name, "From the answer of a renewal until its token set is on disk, over the latest renewals.");
    sample(text, name, "of=\"last\"", micros(window.last));
    sample(text, name, "of=\"p99\"", micros(window.p99));
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn counter(text: &mut String, name: &str, help: &str) {
    describe(text, name, help, "counter");
}

fn gauge(text: &mut String, name: &str, help: &str) {
    describe(text, name, help, "gauge");
}

// Writing to a string does not fail.
fn describe(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}
