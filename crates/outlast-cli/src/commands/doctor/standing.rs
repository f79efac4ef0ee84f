//! What `outlast doctor` says of how a grant stands.

use crate::exit::Fault;
use crate::words;
use outlast::{Code, Timestamp};
use outlast_daemon::status::GrantStatus;

/// A grant that something stands in the way of is a fault with the code, the moment and the mend.
pub(super) fn standing(status: &GrantStatus, now: Timestamp) -> Result<String, Fault> {
    let Some(code) = &status.code else {
        return Ok(match status.what_to_do.as_str() {
            "nothing" => status.standing.clone(),
            what_to_do => format!("{}; {what_to_do}", status.standing),
        });
    };
    let since = status.since.map(Timestamp::from_secs);
    let since = since.map_or_else(String::new, |since| {
        format!(" since {} ({})", words::rfc3339(since), words::seen_from(now, since))
    });
    let detail = status.detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
    let text = format!("{}{since}{detail}", status.standing);
    Err(Fault::new(Code::parse(code).unwrap_or(Code::Internal), text).mend(&status.what_to_do))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::as_text;
    use crate::exit::exit_code;
    use outlast::{Cause, Grant, GrantId, GrantSettings, Provider, Server, Standing, TokenResponse, TokenSet, Trouble};
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const SINCE: Timestamp = Timestamp::from_secs(1_800_000_000 - 7200);

    fn settings() -> GrantSettings {
        let provider = Server::from(Provider::default());
        GrantSettings::new(GrantId::parse("crm").unwrap(), "authorization_code", provider)
    }

    fn standing_so(standing: Standing) -> Grant {
        let terms = settings().terms();
        let tokens = TokenSet::first(TokenResponse::bearer("CANARY-access"), NOW);
        Grant { standing, ..Grant::empty(&terms).granted(&terms, tokens) }
    }

    fn page(code: Code) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/errors/{code}.md"));
        std::fs::read_to_string(path).unwrap()
    }

    /// Walks the causes; a new one stops the build here.
    fn after(cause: Cause) -> Option<Cause> {
        match cause {
            Cause::Dead => Some(Cause::LoggedOut),
            Cause::LoggedOut => Some(Cause::LostRotation),
            Cause::LostRotation => Some(Cause::NeverGranted),
            Cause::NeverGranted => Some(Cause::NotRenewable),
            Cause::NotRenewable => Some(Cause::ProofKeyLost),
            Cause::ProofKeyLost => Some(Cause::StepUp),
            Cause::StepUp => Some(Cause::TheftSuspected),
            Cause::TheftSuspected => None,
        }
    }

    /// What the page of its code calls a cause.
    fn on_its_page(cause: Cause) -> &'static str {
        match cause {
            Cause::Dead => "refuses the grant as expired or revoked",
            Cause::LoggedOut => "somebody signed out",
            Cause::LostRotation => "The answer to a renewal was lost",
            Cause::NeverGranted => "nobody ever gave the grant",
            Cause::NotRenewable => "there is no refresh token",
            Cause::ProofKeyLost => "the key that its tokens are bound to is lost",
            Cause::StepUp => "wants the person to prove more",
            Cause::TheftSuspected => "says that it was used before",
        }
    }

    /// Doctor and status name the code, the page of the code is there, and both say when and what to do.
    fn assert_told(grant: &Grant, code: Code, words: &str) {
        let status = GrantStatus::describe(&settings(), grant, None, NOW);
        assert_eq!(status.code.as_deref(), Some(code.as_str()), "{grant:?}");
        let fault = standing(&status, NOW).unwrap_err();
        assert_eq!((fault.code, exit_code(fault.code)), (code, exit_code(code)));
        let dated = status.since.is_none() || fault.text.contains(&words::rfc3339(SINCE));
        assert!(dated && fault.text.contains(words), "{fault:?}");
        assert!(!fault.what_to_do().is_empty());
        let told = as_text(std::slice::from_ref(&status), NOW);
        assert!(told.contains(code.as_str()) && told.contains(&status.standing), "{told}");
        assert!(told.contains(&status.what_to_do), "{told}");
        assert!(page(code).starts_with(&format!("# {code}\n")));
    }

    #[test]
    fn every_cause_that_a_grant_is_parked_for_is_told_by_doctor_status_and_its_page() {
        let mut seen = BTreeSet::new();
        let causes = std::iter::successors(Some(Cause::Dead), |cause| after(*cause));
        for cause in causes {
            let grant = standing_so(Standing::Parked { cause, since: SINCE });
            assert_told(&grant, cause.code(), cause.describe());
            let said = page(cause.code());
            assert!(said.contains(on_its_page(cause)), "docs/errors/{}.md does not tell of {cause:?}", cause.code());
            assert!(said.contains("outlast login NAME"), "{cause:?}: no way to sign in again");
            seen.insert(cause);
        }
        assert_eq!(seen.len(), 8);
    }

    #[test]
    fn every_standing_but_a_live_one_is_told_with_its_code_and_since_when() {
        // No `_`: a new standing has to be told as well.
        let told = |standing| match standing {
            Standing::CoolingDown { .. } => (Code::ServerUnreachable, "the server answers 503"),
            Standing::Live => (Code::RejectedAfterRenewal, "refusing tokens that were just renewed"),
            Standing::Parked { cause, .. } => (cause.code(), "refuses it"),
            Standing::Renewing { .. } => (Code::InDoubt, "its answer was lost"),
            Standing::Revoking { .. } => (Code::RevocationPending, "has not revoked the tokens yet"),
        };
        let detail = "the server answers 503".to_owned();
        for standing in [
            Standing::CoolingDown { until: NOW },
            Standing::Live,
            Standing::Parked { cause: Cause::Dead, since: SINCE },
            Standing::Renewing { since: SINCE, attempt: 1 },
            Standing::Revoking { since: SINCE, retry_at: NOW },
        ] {
            let mut grant = Grant {
                in_doubt: true,
                trouble: Some(Trouble { code: Code::ServerUnreachable, at: SINCE, detail: detail.clone() }),
                ..standing_so(standing)
            };
            // A token born of a forced renewal was refused as well.
            (grant.breaker.forced, grant.breaker.streak) = (vec![NOW], 1);
            grant.breaker.born_forced = true;
            let (code, words) = told(standing);
            assert_told(&grant, code, words);
        }
        assert_eq!(
            standing(&GrantStatus::describe(&settings(), &standing_so(Standing::Live), None, NOW), NOW).unwrap(),
            "live"
        );
    }

    #[test]
    fn a_renewal_whose_process_died_is_told_once_it_is_overdue() {
        let begun = |since| {
            GrantStatus::describe(&settings(), &standing_so(Standing::Renewing { since, attempt: 1 }), None, NOW)
        };
        assert_eq!(standing(&begun(NOW), NOW).unwrap(), "renewing; wait");
        let fault = standing(&begun(NOW.minus(Duration::from_secs(61))), NOW).unwrap_err();
        assert_eq!(fault.code, Code::InDoubt);
        assert!(fault.text.contains("never ended"), "{fault:?}");
    }

    /// Who tells of a code.
    #[derive(PartialEq)]
    enum Told {
        /// The answer to one call; nothing of it lasts.
        Answer,
        /// A check of `doctor`, by the test of the real command that shows it.
        Check(&'static str),
        /// Why a store does not open: `doctor` passes it on whatever it is, as the tests of other reasons show.
        Opening,
        /// The standing of a grant: `doctor` and `status`.
        Standing,
    }

    fn told_by(code: Code) -> Told {
        match code {
            Code::AdoptNeeded => {
                Told::Check("f15_a_copy_serves_what_it_holds_and_refreshes_nothing_until_it_is_adopted")
            }
            Code::AuthorizationServerChanged => Told::Check("doctor_tells_of_each_grant_whose_record_cannot_be_had"),
            Code::ConfigurationInvalid => Told::Check("doctor_names_each_fault_and_its_mend"),
            Code::DaemonUnreachable => Told::Check("doctor_tells_of_a_sidecar_that_is_gone"),
            Code::KeyUnavailable => Told::Check("doctor_tells_of_a_key_that_is_gone"),
            Code::StoreCorrupt => Told::Check("doctor_tells_of_each_grant_whose_record_cannot_be_had"),
            Code::StoreInsecure => Told::Check("doctor_names_each_fault_and_its_mend"),
            Code::StoreRemote => Told::Opening,
            Code::StoreTooNew => Told::Check("doctor_tells_of_a_store_of_a_newer_version"),
            Code::StoreUnwritable => Told::Check("doctor_tells_of_a_full_disk"),
            Code::ClientMisconfigured
            | Code::CommandFailed
            | Code::CoolingDown
            | Code::InDoubt
            | Code::InsecureAddress
            | Code::Internal
            | Code::LostRotation
            | Code::MetadataInvalid
            | Code::NeedsUser
            | Code::RejectedAfterRenewal
            | Code::RevocationPending
            | Code::RotationFailed
            | Code::ServerMisbehaved
            | Code::ServerUnreachable
            | Code::StoreBusy
            | Code::TheftSuspected => Told::Standing,
            Code::AccountMismatch
            | Code::CapabilityRefused
            | Code::GrantUnknown
            | Code::ImportInvalid
            | Code::InsufficientScope
            | Code::LoginDenied
            | Code::LoginExpired
            | Code::LoginRefused
            | Code::LoginUnavailable
            | Code::NotReplayed
            | Code::OutputTooLarge
            | Code::PlanInvalid
            | Code::RecordLimit
            | Code::RegistrationRefused
            | Code::RequestInvalid
            | Code::StepAmbiguous
            | Code::StepFailed
            | Code::StepFailing
            | Code::StepInputChanged
            | Code::StepLetGo
            | Code::StepPoisoned
            | Code::StepRunning
            | Code::StepUpRequired
            | Code::TaskBusy
            | Code::TaskClosed
            | Code::TaskFenced
            | Code::TaskUnknown
            | Code::TokenBound
            | Code::UpstreamRefused
            | Code::UpstreamUnreachable => Told::Answer,
        }
    }

    #[test]
    fn every_code_is_told_by_a_standing_by_a_check_or_by_the_answer_to_one_call_and_has_its_page() {
        let tests = [
            include_str!("../../../tests/copies.rs"),
            include_str!("../../../tests/doctor.rs"),
            include_str!("../../../tests/status.rs"),
        ];
        let parked = std::iter::successors(Some(Cause::Dead), |cause| after(*cause)).map(Cause::code);
        let own: BTreeSet<Code> =
            parked.chain([Code::InDoubt, Code::RejectedAfterRenewal, Code::RevocationPending]).collect();
        for code in Code::ALL {
            assert!(page(*code).contains("## What to do"), "{code}");
            match told_by(*code) {
                Told::Standing if own.contains(code) => {}
                // What an attempt ended with is the code of the pause after it.
                Told::Standing => {
                    let trouble = Some(Trouble { code: *code, at: SINCE, detail: "words of it".to_owned() });
                    let grant = Grant { trouble, ..standing_so(Standing::CoolingDown { until: NOW }) };
                    assert_told(&grant, *code, "words of it");
                }
                Told::Check(test) => {
                    assert!(tests.concat().contains(&format!("fn {test}()")), "{code}: no test {test}")
                }
                Told::Opening => {}
                Told::Answer => assert!(!own.contains(code), "{code} stands, and nobody tells of it"),
            }
        }
    }
}
