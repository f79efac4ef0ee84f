//! Advice -> exit code, and the one type of failure that a command ends with.

use outlast::task::TaskError;
use outlast::{Advice, Code, OpenError, StoreError, Timestamp, TokenError};
use rustix::process::Signal;

/// Nothing answers on the control socket (sysexits `EX_UNAVAILABLE`).
const DAEMON_DOWN: u8 = 69;
/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: u8 = 128;

/// Why a command failed, in words for a person or an agent.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What kind.
    pub(crate) code: Code,
    /// What happened, without secrets.
    pub(crate) text: String,
    /// What mends it, where it is known better than from the code alone.
    pub(crate) mend: Option<String>,
    /// When it is worth asking again, where known.
    pub(crate) retry_at: Option<Timestamp>,
    /// The signal that ended the command, if that is all there is to it.
    signal: Option<u8>,
}

impl Fault {
    /// A failure of this kind.
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), mend: None, retry_at: None, signal: None }
    }

    /// A command that was told to stop, and did so with nothing half done.
    pub(crate) fn interrupted(signal: Signal) -> Self {
        let number = u8::try_from(signal.as_raw()).ok();
        Self { signal: number, ..Self::new(Code::StoreBusy, "interrupted; nothing was lost") }
    }

    /// Whether there is nothing to mend: somebody wanted it to stop.
    pub(crate) fn is_interruption(&self) -> bool {
        self.signal.is_some()
    }

    /// The same failure with the mend that fits it.
    #[must_use]
    pub(crate) fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }

    /// Words that somebody else wrote, in one line that moves no cursor.
    pub(crate) fn plain(words: &str) -> String {
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The process exit code that goes with it.
    pub(crate) fn exit_code(&self) -> u8 {
        self.signal.map_or_else(|| exit_code(self.code), |signal| SIGNALLED + signal)
    }

    /// What to do about it.
    pub(crate) fn what_to_do(&self) -> &str {
        self.mend.as_deref().unwrap_or_else(|| what_to_do(self.code))
    }
}

/// The exit code of a failure: follows its advice alone, except that a missing daemon has its own.
pub(crate) fn exit_code(code: Code) -> u8 {
    if code == Code::DaemonUnreachable {
        return DAEMON_DOWN;
    }
    match code.advice() {
        Advice::AskUser => 77,
        Advice::Decide => 65,
        Advice::FixConfig => 78,
        Advice::ReportBug => 70,
        Advice::Retry | Advice::Wait => 75,
    }
}

/// What to do about a failure of this kind, where nothing more is known. Never points to another
/// credential: agents read this as an instruction.
pub(crate) fn what_to_do(code: Code) -> &'static str {
    if code == Code::DaemonUnreachable {
        return "start the sidecar with: outlast serve";
    }
    match code.advice() {
        Advice::AskUser => "stop, and ask the person who owns the grant to sign in again with: outlast login NAME",
        Advice::Decide => "stop: a person has to decide",
        Advice::FixConfig => "stop, and have the configuration or the machine mended; outlast doctor names each fault",
        Advice::ReportBug => "stop, and report it with the text above; the held credentials are kept",
        Advice::Retry => "try again",
        Advice::Wait => "wait, then try again; Outlast keeps the grant and tries by itself",
    }
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        let mut fault = Self::new(error.code(), error.to_string());
        fault.retry_at = error.retry_at();
        if let TokenError::AdoptNeeded { grant, .. } = &error {
            let stop =
                "stop, and have a person decide: if the store is in use elsewhere, it is to be stopped there first";
            fault.mend = Some(format!("{stop}; then: outlast adopt {grant}"));
        }
        if let TokenError::SignedInSince { grant } = &error {
            // Its code says to try again, which would end what somebody has just signed in to.
            let stop = "stop: the login stays, and whether it is to end as well a person decides";
            fault.mend = Some(format!("{stop}; then: outlast logout {grant}"));
        }
        fault
    }
}

impl From<TaskError> for Fault {
    fn from(error: TaskError) -> Self {
        let error = match error {
            TaskError::Token(cause) => return cause.into(),
            other => other,
        };
        let mut fault = Self::new(error.code(), error.to_string());
        fault.retry_at = error.retry_at();
        fault.mend = match &error {
            TaskError::Ambiguous { task, key, .. } => Some(format!(
                "stop, and have a person look whether it was done; then: outlast task resolve {task} {0} --done, or: \
                 outlast task resolve {task} {0} --rerun",
                quoted(key.as_str())
            )),
            TaskError::Failed { advice: Advice::Retry, .. } => Some("run the same command again later".to_owned()),
            TaskError::InputChanged { .. } => {
                Some("stop: give the step another key, or the input that it had; or run it in another task".to_owned())
            }
            TaskError::Poisoned { task, key, .. } => Some(format!(
                "stop, and have the cause mended; then: outlast task resolve {task} {0} --rerun",
                quoted(key.as_str())
            )),
            TaskError::Parked { grant, .. } => Some(format!(
                "wait, or stop and ask the owner of grant {grant} to sign in with: outlast login {grant}; then run the \
                 same command again"
            )),
            _ => None,
        };
        fault
    }
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outlast::GrantId;

    #[test]
    fn nobody_is_told_to_end_a_login_that_came_in_the_middle_of_a_logout() {
        let grant = GrantId::parse("crm").unwrap();
        let fault = Fault::from(TokenError::SignedInSince { grant });
        assert!(fault.what_to_do().starts_with("stop: the login stays"), "{}", fault.what_to_do());
        assert!(fault.text.contains("Stop"), "{}", fault.text);
    }

    #[test]
    fn every_code_has_an_exit_code_that_is_no_success_and_a_thing_to_do() {
        for code in Code::ALL {
            assert!([65, 69, 70, 75, 77, 78].contains(&exit_code(*code)), "{code}");
            assert!(!what_to_do(*code).is_empty(), "{code}");
        }
        assert_eq!(exit_code(Code::DaemonUnreachable), 69);
        assert_eq!(exit_code(Code::NeedsUser), 77);
        assert_eq!(exit_code(Code::CoolingDown), 75);
        assert_eq!(exit_code(Code::ConfigurationInvalid), 78);
        assert_eq!(exit_code(Code::Internal), 70);
    }
}
