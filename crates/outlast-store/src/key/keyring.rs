//! A key in the desktop's key store. The one file of this crate that reaches beyond files: the
//! Secret Service is asked over D-Bus, on a thread of its own, and not waited for when it hangs.

use super::{Beside, Both};
use crate::seal::{StoreId, StoreKey};
use outlast_core::StoreError;

/// The key of an existing store, and the one that a change of it left. Both are asked for in one go, within
/// the time for one.
pub(crate) fn read(store: StoreId) -> Both {
    match service::ask(move || service::both(store)) {
        Ok(both) => both,
        Err(cause) => Both { own: Err(cause), beside: Beside::Nothing },
    }
}

/// A new key, kept in the key store under the new store's id.
pub(crate) fn create(store: StoreId) -> Result<StoreKey, StoreError> {
    service::ask(move || service::create(store, service::Name::Own))
}

/// A new key beside the store's, kept when this returns.
pub(crate) fn draw_beside(store: StoreId) -> Result<StoreKey, StoreError> {
    service::ask(move || service::create(store, service::Name::Beside))
}

/// Gives the key beside the store's its place: kept there and read back before its other entry is removed.
pub(crate) fn promote(store: StoreId) -> Result<(), StoreError> {
    service::ask(move || service::promote(store))
}

/// Removes what lies beside the store's key.
pub(crate) fn discard(store: StoreId) -> Result<(), StoreError> {
    service::ask(move || service::remove(store, service::Name::Beside))
}

fn unavailable(detail: impl Into<String>) -> StoreError {
    StoreError::KeyUnavailable {
        detail: detail.into(),
        mend: "start and unlock the desktop's key store (Secret Service); a new store can be made with key source \
               `file` or `passphrase` instead"
            .to_owned(),
    }
}

#[cfg(not(feature = "keyring"))]
mod service {
    use super::{Both, StoreError, StoreId, StoreKey, unavailable};

    pub(super) enum Name {
        Beside,
        Own,
    }

    pub(super) fn ask<T>(question: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        question()
    }

    pub(super) fn both(_store: StoreId) -> Result<Both, StoreError> {
        Err(none())
    }

    pub(super) fn create(_store: StoreId, name: Name) -> Result<StoreKey, StoreError> {
        remove(_store, name).and(Err(none()))
    }

    pub(super) fn promote(_store: StoreId) -> Result<(), StoreError> {
        Err(none())
    }

    pub(super) fn remove(_store: StoreId, name: Name) -> Result<(), StoreError> {
        match name {
            Name::Beside | Name::Own => Err(none()),
        }
    }

    fn none() -> StoreError {
        unavailable("this build has no key store support")
    }
}

#[cfg(feature = "keyring")]
mod service {
    use super::{Beside, Both, StoreError, StoreId, StoreKey, unavailable};
    use crate::seal::KEY_BYTES;
    use keyring_core::api::CredentialStoreApi;
    use keyring_core::{Entry, Error};
    use std::sync::mpsc;
    use std::time::Duration;
    use zbus_secret_service_keyring_store::Store;
    use zeroize::Zeroizing;

    /// For how long the key store is waited for, prompts and all.
    const PATIENCE: Duration = Duration::from_secs(2);
    const SERVICE: &str = "outlast";

    /// Which of a store's two entries.
    #[derive(Clone, Copy)]
    pub(super) enum Name {
        Beside,
        Own,
    }

    /// Asks on a thread of its own, which is left behind if it gets no answer: a D-Bus call cannot
    /// be called off.
    pub(super) fn ask<T: Send + 'static>(
        question: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = mpsc::channel();
        let asking = move || drop(answer.send(question()));
        std::thread::Builder::new()
            .name("outlast-keyring".to_owned())
            .spawn(asking)
            .map_err(|cause| unavailable(format!("no thread to ask the key store on: {cause}")))?;
        answered.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            Err(unavailable(format!("the key store did not answer within {} s", PATIENCE.as_secs())))
        })
    }

    pub(super) fn both(store: StoreId) -> Result<Both, StoreError> {
        let entry = entry(store, Name::Beside).map_err(|cause| refused(&cause))?;
        let beside = match entry.get_secret().map(Zeroizing::new) {
            Err(Error::NoEntry) => Beside::Nothing,
            Err(_) => Beside::NoKey,
            Ok(bytes) => key(&bytes).map_or(Beside::NoKey, Beside::Key),
        };
        Ok(Both { own: read(store, Name::Own), beside })
    }

    pub(super) fn create(store: StoreId, name: Name) -> Result<StoreKey, StoreError> {
        keep(store, name, &StoreKey::draw()?)
    }

    pub(super) fn promote(store: StoreId) -> Result<(), StoreError> {
        let next = read(store, Name::Beside)?;
        let kept = keep(store, Name::Own, &next)?;
        if kept.id() != next.id() {
            return Err(unavailable("the key store kept another key than it was given"));
        }
        remove(store, Name::Beside)
    }

    pub(super) fn remove(store: StoreId, name: Name) -> Result<(), StoreError> {
        match entry(store, name).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(cause) => Err(refused(&cause)),
        }
    }

    fn keep(store: StoreId, name: Name, key: &StoreKey) -> Result<StoreKey, StoreError> {
        let kept = entry(store, name).and_then(|entry| entry.set_secret(key.bytes()));
        kept.map_err(|cause| refused(&cause))?;
        // Read back even what was just written: only then is it known to be kept.
        read(store, name)
    }

    fn read(store: StoreId, name: Name) -> Result<StoreKey, StoreError> {
        let bytes = entry(store, name).and_then(|entry| entry.get_secret()).map(Zeroizing::new);
        let bytes = bytes.map_err(|cause| refused(&cause))?;
        key(&bytes).ok_or_else(|| unavailable("the key store holds something that is no key"))
    }

    fn key(bytes: &[u8]) -> Option<StoreKey> {
        let bytes: [u8; KEY_BYTES] = bytes.try_into().ok()?;
        Some(StoreKey::new(Zeroizing::new(bytes)))
    }

    fn entry(store: StoreId, name: Name) -> keyring_core::Result<Entry> {
        let mut user: String = store.0.iter().map(|byte| format!("{byte:02x}")).collect();
        user += match name {
            Name::Beside => ".new",
            Name::Own => "",
        };
        Store::new()?.build(SERVICE, &user, None)
    }

    /// Some of these errors carry what was read: only their kind is told, and the platform's words
    /// where they come with nothing else.
    fn refused(cause: &Error) -> StoreError {
        match cause {
            Error::NoEntry => unavailable("the key store has no entry for this store"),
            Error::NoStorageAccess(cause) => unavailable(format!("the key store is locked: {cause}")),
            Error::PlatformFailure(cause) => unavailable(format!("no key store can be reached: {cause}")),
            _ => unavailable("the key store refused"),
        }
    }
}
