//! The stored form of a grant: JSON inside the seal. Core types are never serialised directly, so
//! that a change of theirs cannot silently change what is on disk.

mod client;
mod history;
mod wanted;

use client::StoredRegistration;
use history::StoredEvent;
use outlast_core::breaker::Breaker;
use outlast_core::grant::{Registration, Retiring};
use outlast_core::token::TokenType;
use outlast_core::{
    Cause, Code, Generation, Grant, GrantId, Secret, Standing, StoreError, Timestamp, TokenSet, Trouble,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use wanted::StoredWanted;
use zeroize::Zeroizing;

/// Largest record, in bytes before sealing: far above two tokens of the largest size the token
/// client takes, and far below what SQLite holds in one value.
pub(crate) const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Members of a record that this version does not know: kept, and written back as they were.
pub(crate) type Unknown = Map<String, Value>;

/// The bytes to be sealed.
pub(crate) fn encode(grant: &Grant, unknown: &Unknown) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let stored = Stored::from(grant);
    let bytes = if unknown.is_empty() {
        serde_json::to_vec(&stored)
    } else {
        serde_json::to_value(&stored).and_then(|value| serde_json::to_vec(&joined(value, unknown)))
    };
    let bytes = bytes.map(Zeroizing::new).map_err(|_| too_large(&grant.id))?;
    if bytes.len() > RECORD_BYTES_MAX { Err(too_large(&grant.id)) } else { Ok(bytes) }
}

/// The grant in opened bytes, and what else was in them.
pub(crate) fn decode(id: &GrantId, generation: Generation, bytes: &[u8]) -> Result<(Grant, Unknown), StoreError> {
    // The cause is left out: a parser's words may quote what it read.
    let unreadable =
        |_| StoreError::Corrupt { detail: format!("the record of {id} opens, but holds no grant this version reads") };
    let stored: Stored = serde_json::from_slice(bytes).map_err(unreadable)?;
    let unknown = unknown_members(bytes).map_err(unreadable)?;
    Ok((stored.into_grant(id.clone(), generation), unknown))
}

fn joined(known: Value, unknown: &Unknown) -> Value {
    let mut members = unknown.clone();
    if let Value::Object(known) = known {
        members.extend(known);
    }
    Value::Object(members)
}

fn unknown_members(bytes: &[u8]) -> serde_json::Result<Unknown> {
    // Names first: values, among them tokens, are copied only where something unknown is there.
    let names: std::collections::BTreeMap<String, serde::de::IgnoredAny> = serde_json::from_slice(bytes)?;
    if names.keys().all(|name| MEMBERS.contains(&name.as_str())) {
        return Ok(Unknown::new());
    }
    let mut members: Unknown = serde_json::from_slice(bytes)?;
    members.retain(|name, _| !MEMBERS.contains(&name.as_str()));
    Ok(members)
}

fn too_large(id: &GrantId) -> StoreError {
    StoreError::Unwritable { detail: format!("the record of {id} is larger than {RECORD_BYTES_MAX} bytes") }
}

/// The members of [`Stored`]; a test holds the two together.
const MEMBERS: &[&str] = &[
    "authorization_server",
    "breaker",
    "client_id",
    "ends_at",
    "failures",
    "grant_type",
    "history",
    "in_doubt",
    "key_fingerprint",
    "proof_key",
    "registration",
    "renewed_at",
    "retiring",
    "standing",
    "subject",
    "subject_issuer",
    "subject_name",
    "terms_fingerprint",
    "tokens",
    "trouble",
    "wanted",
];

#[derive(Serialize, Deserialize)]
struct Stored {
    authorization_server: String,
    breaker: StoredBreaker,
    client_id: String,
    ends_at: Option<Millis>,
    failures: u8,
    grant_type: String,
    #[serde(default)]
    history: Vec<StoredEvent>,
    in_doubt: bool,
    #[serde(default)]
    key_fingerprint: Option<u64>,
    #[serde(default)]
    proof_key: Option<StoredSecret>,
    #[serde(default)]
    registration: Option<StoredRegistration>,
    renewed_at: Option<Millis>,
    #[serde(default)]
    retiring: Option<StoredRetiring>,
    standing: StoredStanding,
    subject: Option<String>,
    #[serde(default)]
    subject_issuer: Option<String>,
    #[serde(default)]
    subject_name: Option<String>,
    terms_fingerprint: u64,
    tokens: Option<StoredTokens>,
    trouble: Option<StoredTrouble>,
    #[serde(default)]
    wanted: StoredWanted,
}

#[derive(Serialize, Deserialize)]
struct StoredRetiring {
    access: StoredSecret,
    retire_at: Millis,
}

#[derive(Serialize, Deserialize)]
struct StoredBreaker {
    born_forced: bool,
    forced: Vec<Millis>,
    streak: u8,
}

#[derive(Serialize, Deserialize)]
struct StoredTokens {
    access: StoredSecret,
    expires_at: Option<Millis>,
    issued_at: Millis,
    refresh: Option<StoredSecret>,
    scope: Option<Vec<String>>,
    token_type: StoredTokenType,
}

#[derive(Serialize, Deserialize)]
struct StoredTrouble {
    at: Millis,
    code: String,
    detail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum StoredStanding {
    CoolingDown {
        until: Millis,
    },
    Live,
    Parked {
        cause: StoredCause,
        since: Millis,
    },
    Renewing {
        since: Millis,
        attempt: u8,
    },
    Revoking {
        since: Millis,
        #[serde(default)]
        retry_at: Option<Millis>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredCause {
    Dead,
    LoggedOut,
    LostRotation,
    NeverGranted,
    NotRenewable,
    ProofKeyLost,
    StepUp,
    TheftSuspected,
}

#[derive(Serialize, Deserialize)]
enum StoredTokenType {
    Bearer,
    #[serde(rename = "DPoP")]
    Dpop,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
struct Millis(u64);

struct StoredSecret(Secret);

impl Serialize for StoredSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for StoredSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|value| Self(Secret::new(value)))
    }
}

impl From<Timestamp> for Millis {
    fn from(moment: Timestamp) -> Self {
        Self(moment.as_millis())
    }
}

impl From<Millis> for Timestamp {
    fn from(millis: Millis) -> Self {
        Timestamp::from_millis(millis.0)
    }
}

impl From<&Grant> for Stored {
    fn from(grant: &Grant) -> Self {
        // Taken apart by name: a member added to Grant must stop the build here.
        let Grant {
            id: _,
            grant_type,
            authorization_server,
            client_id,
            subject,
            subject_issuer,
            subject_name,
            generation: _,
            tokens,
            standing,
            failures,
            in_doubt,
            breaker,
            ends_at,
            renewed_at,
            trouble,
            terms_fingerprint,
            proof_key,
            registration,
            key_fingerprint,
            retiring,
            wanted,
            history,
        } = grant;
        Self {
            authorization_server: authorization_server.clone(),
            breaker: breaker.into(),
            client_id: client_id.clone(),
            ends_at: ends_at.map(Millis::from),
            failures: *failures,
            grant_type: grant_type.clone(),
            history: history.events().iter().map(StoredEvent::from).collect(),
            in_doubt: *in_doubt,
            key_fingerprint: *key_fingerprint,
            proof_key: proof_key.clone().map(StoredSecret),
            registration: registration.as_ref().map(StoredRegistration::from),
            renewed_at: renewed_at.map(Millis::from),
            retiring: retiring.as_ref().map(StoredRetiring::from),
            standing: (*standing).into(),
            subject: subject.clone(),
            subject_issuer: subject_issuer.clone(),
            subject_name: subject_name.clone(),
            terms_fingerprint: *terms_fingerprint,
            tokens: tokens.as_ref().map(StoredTokens::from),
            trouble: trouble.as_ref().map(StoredTrouble::from),
            wanted: wanted.into(),
        }
    }
}

impl Stored {
    fn into_grant(self, id: GrantId, generation: Generation) -> Grant {
        Grant {
            id,
            grant_type: self.grant_type,
            authorization_server: self.authorization_server,
            client_id: self.client_id,
            subject: self.subject,
            subject_issuer: self.subject_issuer,
            subject_name: self.subject_name,
            generation,
            tokens: self.tokens.map(TokenSet::from),
            standing: self.standing.into(),
            failures: self.failures,
            in_doubt: self.in_doubt,
            key_fingerprint: self.key_fingerprint,
            breaker: self.breaker.into(),
            ends_at: self.ends_at.map(Timestamp::from),
            renewed_at: self.renewed_at.map(Timestamp::from),
            trouble: self.trouble.and_then(StoredTrouble::into_trouble),
            terms_fingerprint: self.terms_fingerprint,
            proof_key: self.proof_key.map(|key| key.0),
            registration: self.registration.map(Registration::from),
            retiring: self.retiring.map(Retiring::from),
            wanted: self.wanted.into(),
            history: history::read(self.history),
        }
    }
}

impl From<&Breaker> for StoredBreaker {
    fn from(breaker: &Breaker) -> Self {
        let Breaker { forced, born_forced, streak } = breaker;
        Self { born_forced: *born_forced, forced: forced.iter().copied().map(Millis::from).collect(), streak: *streak }
    }
}

impl From<StoredBreaker> for Breaker {
    fn from(stored: StoredBreaker) -> Self {
        let forced = stored.forced.into_iter().map(Timestamp::from).collect();
        Self { forced, born_forced: stored.born_forced, streak: stored.streak }
    }
}

impl From<&Retiring> for StoredRetiring {
    fn from(retiring: &Retiring) -> Self {
        let Retiring { access, retire_at } = retiring;
        Self { access: StoredSecret(access.clone()), retire_at: (*retire_at).into() }
    }
}

impl From<StoredRetiring> for Retiring {
    fn from(stored: StoredRetiring) -> Self {
        Self { access: stored.access.0, retire_at: stored.retire_at.into() }
    }
}

impl From<&TokenSet> for StoredTokens {
    fn from(tokens: &TokenSet) -> Self {
        let TokenSet { access, refresh, token_type, issued_at, expires_at, scope } = tokens;
        Self {
            access: StoredSecret(access.clone()),
            expires_at: expires_at.map(Millis::from),
            issued_at: (*issued_at).into(),
            refresh: refresh.clone().map(StoredSecret),
            scope: scope.clone(),
            token_type: match token_type {
                TokenType::Bearer => StoredTokenType::Bearer,
                TokenType::Dpop => StoredTokenType::Dpop,
            },
        }
    }
}

impl From<StoredTokens> for TokenSet {
    fn from(stored: StoredTokens) -> Self {
        Self {
            access: stored.access.0,
            refresh: stored.refresh.map(|secret| secret.0),
            token_type: match stored.token_type {
                StoredTokenType::Bearer => TokenType::Bearer,
                StoredTokenType::Dpop => TokenType::Dpop,
            },
            issued_at: stored.issued_at.into(),
            expires_at: stored.expires_at.map(Timestamp::from),
            scope: stored.scope,
        }
    }
}

impl From<&Trouble> for StoredTrouble {
    fn from(trouble: &Trouble) -> Self {
        let Trouble { code, at, detail } = trouble;
        Self { at: (*at).into(), code: code.as_str().to_owned(), detail: detail.clone() }
    }
}

impl StoredTrouble {
    /// None for a code that only a newer version knows: it is told for information, and no reason
    /// to refuse the tokens beside it.
    fn into_trouble(self) -> Option<Trouble> {
        Code::parse(&self.code).map(|code| Trouble { code, at: self.at.into(), detail: self.detail })
    }
}

impl From<Standing> for StoredStanding {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::CoolingDown { until } => Self::CoolingDown { until: until.into() },
            Standing::Live => Self::Live,
            Standing::Parked { cause, since } => Self::Parked { cause: cause.into(), since: since.into() },
            Standing::Renewing { since, attempt } => Self::Renewing { since: since.into(), attempt },
            Standing::Revoking { since, retry_at } => {
                Self::Revoking { since: since.into(), retry_at: Some(retry_at.into()) }
            }
        }
    }
}

impl From<StoredStanding> for Standing {
    fn from(stored: StoredStanding) -> Self {
        match stored {
            StoredStanding::CoolingDown { until } => Self::CoolingDown { until: until.into() },
            StoredStanding::Live => Self::Live,
            StoredStanding::Parked { cause, since } => Self::Parked { cause: cause.into(), since: since.into() },
            StoredStanding::Renewing { since, attempt } => Self::Renewing { since: since.into(), attempt },
            // Without it the server may be asked at once.
            StoredStanding::Revoking { since, retry_at } => {
                Self::Revoking { since: since.into(), retry_at: retry_at.unwrap_or(since).into() }
            }
        }
    }
}

impl From<Cause> for StoredCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Dead => Self::Dead,
            Cause::LoggedOut => Self::LoggedOut,
            Cause::LostRotation => Self::LostRotation,
            Cause::NeverGranted => Self::NeverGranted,
            Cause::NotRenewable => Self::NotRenewable,
            Cause::ProofKeyLost => Self::ProofKeyLost,
            Cause::StepUp => Self::StepUp,
            Cause::TheftSuspected => Self::TheftSuspected,
        }
    }
}

impl From<StoredCause> for Cause {
    fn from(stored: StoredCause) -> Self {
        match stored {
            StoredCause::Dead => Self::Dead,
            StoredCause::LoggedOut => Self::LoggedOut,
            StoredCause::LostRotation => Self::LostRotation,
            StoredCause::NeverGranted => Self::NeverGranted,
            StoredCause::NotRenewable => Self::NotRenewable,
            StoredCause::ProofKeyLost => Self::ProofKeyLost,
            StoredCause::StepUp => Self::StepUp,
            StoredCause::TheftSuspected => Self::TheftSuspected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outlast_core::{Happening, History, Process};
    use outlast_testkit::contract::token_store::{all_kinds, grant, id};
    use std::time::Duration;

    fn there_and_back(held: &Grant) -> Grant {
        let bytes = encode(held, &Unknown::new()).unwrap();
        decode(&held.id, held.generation, &bytes).unwrap().0
    }

    #[test]
    fn every_kind_of_grant_survives_being_stored() {
        for held in all_kinds() {
            assert_eq!(there_and_back(&held), held);
        }
    }

    #[test]
    fn the_list_of_members_is_what_is_written() {
        let value: Unknown = serde_json::from_slice(&encode(&grant("crm", 1), &Unknown::new()).unwrap()).unwrap();
        assert_eq!(value.keys().map(String::as_str).collect::<Vec<_>>(), MEMBERS);
    }

    #[test]
    fn f27_members_that_this_version_does_not_know_are_written_back() {
        let mut newer: Unknown = serde_json::from_slice(&encode(&grant("crm", 1), &Unknown::new()).unwrap()).unwrap();
        newer.insert("hint".to_owned(), serde_json::json!({ "deep": [1, "x"] }));
        let (held, unknown) = decode(&id("crm"), Generation(1), &serde_json::to_vec(&newer).unwrap()).unwrap();
        assert_eq!(held, grant("crm", 1));
        let again: Unknown = serde_json::from_slice(&encode(&grant("crm", 2), &unknown).unwrap()).unwrap();
        assert_eq!(again["hint"], newer["hint"]);
        assert_eq!(again["tokens"]["access"], "access-crm-2", "what is known is written anew");
    }

    #[test]
    fn a_code_that_only_a_newer_version_knows_does_not_hide_the_tokens() {
        let text = String::from_utf8(encode(&all_kinds().pop().unwrap(), &Unknown::new()).unwrap().to_vec()).unwrap();
        let newer = text.replace(Code::ServerMisbehaved.as_str(), "not-invented-yet");
        let (held, _) = decode(&id("crm"), Generation(1), newer.as_bytes()).unwrap();
        assert_eq!((held.trouble, held.tokens.is_some()), (None, true));
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        for text in [r#"{"tokens":"CANARY"}"#, "CANARY", r#"{"standing":{"is":"CANARY"}}"#] {
            let refused = decode(&id("crm"), Generation(1), text.as_bytes()).unwrap_err();
            assert!(matches!(refused, StoreError::Corrupt { .. }));
            assert!(!format!("{refused} {refused:?}").contains("CANARY"), "{refused}");
        }
    }

    #[test]
    fn a_record_stays_small_however_long_its_history_is() {
        let length = |history: History| {
            let held = Grant { history, ..grant("crm", 1) };
            encode(&held, &Unknown::new()).unwrap().len()
        };
        let at = |secs| Timestamp::from_millis(1_800_000_000_123 + secs * 1000);
        let took = Some(Duration::from_millis(1234));
        let note = |history: History, happening, turn| history.with(happening, Generation(turn), took, at(turn));
        // Each the longest to write of its kind, and none like the one before it.
        let worst = (1..10_000).fold(History::default(), |history, turn| {
            let once = note(history, Happening::Failed(Code::AuthorizationServerChanged), turn);
            note(once, Happening::Failed(Code::AuthorizationServerChanged), turn).by(Process::Command)
        });
        let renewals = (1..10_000).fold(History::default(), |history, turn| note(history, Happening::Renewed, turn));
        let (none, usual, worst) = (length(History::default()), length(renewals.by(Process::Sidecar)), length(worst));
        assert!(usual - none <= 5 * 1024, "{usual} - {none}");
        assert!(worst - none <= 7 * 1024, "{worst} - {none}");
    }

    #[test]
    fn a_record_from_before_there_was_a_history_is_read() {
        let mut older: Unknown = serde_json::from_slice(&encode(&grant("crm", 1), &Unknown::new()).unwrap()).unwrap();
        older.remove("history").unwrap();
        let (held, _) = decode(&id("crm"), Generation(1), &serde_json::to_vec(&older).unwrap()).unwrap();
        assert_eq!(held, grant("crm", 1));
    }

    #[test]
    fn what_a_newer_version_notes_in_a_history_hides_neither_the_tokens_nor_the_rest() {
        let history = History::default().with(Happening::Imported, Generation(1), None, Timestamp::from_secs(1));
        let history = history.with(Happening::Renewed, Generation(2), None, Timestamp::from_secs(2));
        let held = Grant { history, ..grant("crm", 1) };
        let text = String::from_utf8(encode(&held, &Unknown::new()).unwrap().to_vec()).unwrap();
        let newer = text.replace("\"imported\"", "\"not_invented_yet\"");
        let (read, _) = decode(&id("crm"), Generation(1), newer.as_bytes()).unwrap();
        assert_eq!(read.tokens, held.tokens);
        assert_eq!(read.history.events(), &held.history.events()[1..]);
    }

    #[test]
    fn a_record_larger_than_the_limit_is_refused() {
        let with = |length: usize| {
            let mut held = grant("crm", 1);
            held.tokens.as_mut().unwrap().access = Secret::new("x".repeat(length));
            encode(&held, &Unknown::new()).map(|bytes| bytes.len())
        };
        let rest = with(0).unwrap();
        assert_eq!(with(RECORD_BYTES_MAX - rest).unwrap(), RECORD_BYTES_MAX);
        assert!(matches!(with(RECORD_BYTES_MAX - rest + 1), Err(StoreError::Unwritable { .. })));
    }
}
