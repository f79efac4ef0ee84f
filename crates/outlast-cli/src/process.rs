//! What concerns the whole process: its memory, its log, its runtime.

use crate::env;
use crate::exit::Fault;
use crate::output;
use outlast::Code;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Keeps tokens out of core dumps and away from debuggers of the same user. A child that is
/// started later is not affected: the flag ends where another program begins.
pub(crate) fn keep_memory_private() {
    // Where the kernel refuses, the command still works; doctor is the place to complain.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// A broken invariant is told by its place. What the message says is kept back unless it is a fixed text, for
/// one that was put together may quote what was at hand: cutting a text within a character does.
pub(crate) fn keep_panics_discreet() {
    std::panic::set_hook(Box::new(|about| output::talk(&broken(about))));
}

fn broken(about: &PanicHookInfo<'_>) -> String {
    let place = about.location().map_or_else(|| "a place that is not known".to_owned(), ToString::to_string);
    let text = about.payload().downcast_ref::<&'static str>().map_or_else(String::new, |text| format!(": {text}"));
    // There is one if it was asked for with RUST_BACKTRACE; it holds no values.
    let trace = Backtrace::capture();
    let trace = if trace.status() == BacktraceStatus::Captured { format!("\n{trace}") } else { String::new() };
    format!(
        "error[{}]: a bug of Outlast, at {place}{text}\nwhat to do: report it with this place; what is on disk is \
         whole{trace}",
        Code::Internal
    )
}

/// Logs to stderr what `OUTLAST_LOG` asks for, and nothing without it. Only what Outlast itself
/// says: what other crates would write about a request could hold its secrets.
pub(crate) fn start_logging() {
    let Some(filter) = env::log_filter() else { return };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(output::stderr_is_terminal())
        .with_filter(filter_fn(|about| about.target().starts_with("outlast")));
    // Only a second call could fail, and there is none.
    let _ = tracing_subscriber::registry().with(EnvFilter::new(filter)).with(lines).try_init();
}

/// Runs to the end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    run(tokio::runtime::Builder::new_current_thread(), future)
}

/// Runs to the end on a thread per processor, for what serves requests.
pub(crate) fn block_on_all<T>(future: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    run(tokio::runtime::Builder::new_multi_thread(), future)
}

fn run<T>(mut builder: tokio::runtime::Builder, future: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|cause| Fault::new(Code::Internal, format!("no runtime: {cause}")))?;
    runtime.block_on(future)
}

/// Being asked to stop, by Ctrl-C or a signal.
pub(crate) struct Stop {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// From here on such a signal is taken note of instead of ending the process.
    pub(crate) fn listen() -> Result<Self, Fault> {
        let listen =
            |kind| signal(kind).map_err(|cause| Fault::new(Code::Internal, format!("no signal handler: {cause}")));
        Ok(Self {
            hang_up: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one, and says which it was.
    pub(crate) async fn asked(&mut self) -> rustix::process::Signal {
        tokio::select! {
            _ = self.hang_up.recv() => rustix::process::Signal::HUP,
            _ = self.interrupt.recv() => rustix::process::Signal::INT,
            _ = self.terminate.recv() => rustix::process::Signal::TERM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn f74_a_panic_tells_its_place_and_quotes_nothing() {
        static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(|about| SAID.lock().unwrap().push(broken(about))));
        let cut = |text: &'static str| std::panic::catch_unwind(move || text[..17].len()).is_err();
        let broke = [
            // The runtime's own message quotes the whole text.
            cut("CANARY-refresh-1\u{e9}"),
            std::panic::catch_unwind(|| panic!("{} is no token", String::from("CANARY-access-1"))).is_err(),
            std::panic::catch_unwind(|| panic!("records with tokens have a header")).is_err(),
        ];
        std::panic::set_hook(usual);
        assert_eq!(broke, [true; 3]);
        let said = SAID.lock().unwrap().join("\n");
        assert!(!said.contains("CANARY"), "{said}");
        assert_eq!(said.matches("error[internal]: a bug of Outlast, at crates/outlast-cli/src/process.rs:").count(), 3);
        assert!(said.contains(": records with tokens have a header\n"), "{said}");
    }
}
