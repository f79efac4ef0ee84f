//! The whole product's vocabulary of failure: one [`Code`] for each thing a person or program can
//! be told, and the [`Advice`] it carries.

use std::fmt;

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Ask the person whose grant it is to sign in.
    AskUser,
    /// A person has to decide what is true.
    Decide,
    /// Mend the configuration, the machine or the call.
    FixConfig,
    /// It is our mistake: report it.
    ReportBug,
    /// Try again now.
    Retry,
    /// Wait, then try again.
    Wait,
}

impl Advice {
    /// A stable word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AskUser => "ask-user",
            Self::Decide => "decide",
            Self::FixConfig => "fix-config",
            Self::ReportBug => "report-bug",
            Self::Retry => "retry",
            Self::Wait => "wait",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $advice:ident;)*) => {
        /// A stable name for each failure, used in logs, metrics, HTTP fields, the command line and
        /// the documentation; each has a page in `docs/errors/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in alphabetical order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// What the caller should do about it.
            pub const fn advice(self) -> Advice {
                match self { $(Code::$name => Advice::$advice,)* }
            }

            /// The code of that name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// Another account signed in than the one the grant is pinned to.
    AccountMismatch = "account-mismatch", AskUser;
    /// The store is a copy, or was put back to an earlier state: refreshing could burn the grant.
    AdoptNeeded = "adopt-needed", Decide;
    /// The held tokens were issued by another authorization server than the one configured.
    AuthorizationServerChanged = "authorization-server-changed", FixConfig;
    /// The caller showed no capability, or one that does not cover this grant.
    CapabilityRefused = "capability-refused", FixConfig;
    /// The authorization server refuses the client: its id, secret or a parameter.
    ClientMisconfigured = "client-misconfigured", FixConfig;
    /// The command of the tool that owns the grant failed, or printed no token.
    CommandFailed = "command-failed", AskUser;
    /// The configuration file cannot be read or has a mistake.
    ConfigurationInvalid = "configuration-invalid", FixConfig;
    /// A renewal failed and the next may not be tried yet.
    CoolingDown = "cooling-down", Wait;
    /// Nothing answers on the control socket.
    DaemonUnreachable = "daemon-unreachable", Retry;
    /// No grant of that name is configured.
    GrantUnknown = "grant-unknown", FixConfig;
    /// What was to be imported is not a token set.
    ImportInvalid = "import-invalid", FixConfig;
    /// A renewal was sent and its answer lost; it is found out on a schedule.
    InDoubt = "in-doubt", Wait;
    /// An address is neither https nor on loopback.
    InsecureAddress = "insecure-address", FixConfig;
    /// The token lacks a scope that the resource wants: a person has to grant it, no renewal does.
    InsufficientScope = "insufficient-scope", AskUser;
    /// A broken promise inside Outlast.
    Internal = "internal", ReportBug;
    /// The key that seals the store cannot be had.
    KeyUnavailable = "key-unavailable", FixConfig;
    /// The person or the authorization server said no to a login.
    LoginDenied = "login-denied", AskUser;
    /// Nobody answered a login in time.
    LoginExpired = "login-expired", AskUser;
    /// An answer that does not belong to the login, or that the server does not stand by.
    LoginRefused = "login-refused", AskUser;
    /// This login is not possible for this grant, server or machine.
    LoginUnavailable = "login-unavailable", FixConfig;
    /// The authorization server's answer to a renewal was lost, and with it the grant.
    LostRotation = "lost-rotation", AskUser;
    /// The server's metadata is missing, cannot be read or names another issuer.
    MetadataInvalid = "metadata-invalid", FixConfig;
    /// Only the person whose grant it is can go on: it is expired, revoked or was never given.
    NeedsUser = "needs-user", AskUser;
    /// The token was renewed, but this request cannot be sent twice; send it again.
    NotReplayed = "not-replayed", Retry;
    /// A step brought more than is recorded.
    OutputTooLarge = "output-too-large", FixConfig;
    /// A task plan cannot be read or has a mistake, or an output is not what it is wanted for.
    PlanInvalid = "plan-invalid", FixConfig;
    /// A request or a task is more than is recorded of one.
    RecordLimit = "record-limit", FixConfig;
    /// The authorization server registers no client for us.
    RegistrationRefused = "registration-refused", FixConfig;
    /// The resource refuses tokens that were just renewed; renewals stop for a while.
    RejectedAfterRenewal = "rejected-after-renewal", Wait;
    /// A request to the proxy is malformed or names something that is not there.
    RequestInvalid = "request-invalid", FixConfig;
    /// Somebody signed out, and the authorization server has not revoked the tokens yet.
    RevocationPending = "revocation-pending", Wait;
    /// A key could not be rotated or retired; the held one is kept.
    RotationFailed = "rotation-failed", Wait;
    /// The authorization server answered with something that is no answer.
    ServerMisbehaved = "server-misbehaved", Wait;
    /// The authorization server cannot be reached or is ill.
    ServerUnreachable = "server-unreachable", Wait;
    /// A step began, and nobody knows whether it came to its end.
    StepAmbiguous = "step-ambiguous", Decide;
    /// The work of a step failed, and trying again does not help.
    StepFailed = "step-failed", FixConfig;
    /// A step failed as often as one run tries it; another run tries it again.
    StepFailing = "step-failing", Retry;
    /// The key of a step was used before with another input.
    StepInputChanged = "step-input-changed", FixConfig;
    /// A run of a step is over that somebody still spoke for: it ended, was let go, or another began since.
    StepLetGo = "step-let-go", Decide;
    /// A step failed so often that it is not tried again before a person says so.
    StepPoisoned = "step-poisoned", Decide;
    /// Another client runs the step at this moment.
    StepRunning = "step-running", Wait;
    /// The resource wants the person to sign in again, or to prove more.
    StepUpRequired = "step-up-required", AskUser;
    /// Another process is changing the record.
    StoreBusy = "store-busy", Retry;
    /// What is on disk is not what was written.
    StoreCorrupt = "store-corrupt", FixConfig;
    /// Files or folders are open to others, or belong to somebody else.
    StoreInsecure = "store-insecure", FixConfig;
    /// The store's folder lies on a file system that other machines may use as well.
    StoreRemote = "store-remote", FixConfig;
    /// The store was written by a newer version of Outlast.
    StoreTooNew = "store-too-new", FixConfig;
    /// The disk is full, failing or read-only; nothing was spent.
    StoreUnwritable = "store-unwritable", FixConfig;
    /// Another runner has the task.
    TaskBusy = "task-busy", Wait;
    /// The task is over.
    TaskClosed = "task-closed", FixConfig;
    /// Another runner has taken the task up; this one writes nothing more.
    TaskFenced = "task-fenced", Wait;
    /// No task of that name is kept.
    TaskUnknown = "task-unknown", FixConfig;
    /// The authorization server says that the refresh token was used before, and not by us.
    TheftSuspected = "theft-suspected", AskUser;
    /// The token is bound to a key and is of use only with a proof for each request (RFC 9449).
    TokenBound = "token-bound", FixConfig;
    /// The request's target is outside the one origin of its grant.
    UpstreamRefused = "upstream-refused", FixConfig;
    /// The resource cannot be reached.
    UpstreamUnreachable = "upstream-unreachable", Retry;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_sorted_and_parse_back() {
        let names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(names.is_sorted());
        for (code, name) in Code::ALL.iter().zip(names) {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
            assert_eq!(Code::parse(name), Some(*code));
        }
        assert_eq!(Code::parse("no-such-code"), None);
    }
}
