//! A key in the desktop's key store. The one file of this crate that reaches beyond files: the
//! Secret Service is asked over D-Bus, on a thread of its own, and not waited for when it hangs.

use crate::seal::{StoreId, StoreKey};
use outlast_core::StoreError;

/// The key of an existing store.
pub(crate) fn read(store: StoreId) -> Result<StoreKey, StoreError> {
    service::ask(store, service::Question::Read)
}

/// A new key, kept in the key store under the new store's id.
pub(crate) fn create(store: StoreId) -> Result<StoreKey, StoreError> {
    service::ask(store, service::Question::Create)
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
    use super::{StoreError, StoreId, StoreKey, unavailable};

    pub(super) enum Question {
        Create,
        Read,
    }

    pub(super) fn ask(_store: StoreId, question: Question) -> Result<StoreKey, StoreError> {
        match question {
            Question::Create | Question::Read => Err(unavailable("this build has no key store support")),
        }
    }
}

#[cfg(feature = "keyring")]
mod service {
    use super::{StoreError, StoreId, StoreKey, unavailable};
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

    pub(super) enum Question {
        Create,
        Read,
    }

    /// Asks on a thread of its own, which is left behind if it gets no answer: a D-Bus call cannot
    /// be called off.
    pub(super) fn ask(store: StoreId, question: Question) -> Result<StoreKey, StoreError> {
        let (answer, answered) = mpsc::channel();
        let asking = move || drop(answer.send(converse(store, &question)));
        std::thread::Builder::new()
            .name("outlast-keyring".to_owned())
            .spawn(asking)
            .map_err(|cause| unavailable(format!("no thread to ask the key store on: {cause}")))?;
        answered.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            Err(unavailable(format!("the key store did not answer within {} s", PATIENCE.as_secs())))
        })
    }

    fn converse(store: StoreId, question: &Question) -> Result<StoreKey, StoreError> {
        let entry = entry(store).map_err(|cause| refused(&cause))?;
        if let Question::Create = question {
            let key = StoreKey::draw()?;
            entry.set_secret(key.bytes()).map_err(|cause| refused(&cause))?;
        }
        // Read back even what was just written: only then is it known to be kept.
        let bytes = entry.get_secret().map(Zeroizing::new).map_err(|cause| refused(&cause))?;
        let bytes: [u8; KEY_BYTES] =
            bytes.as_slice().try_into().map_err(|_| unavailable("the key store holds something that is no key"))?;
        Ok(StoreKey::new(Zeroizing::new(bytes)))
    }

    fn entry(store: StoreId) -> keyring_core::Result<Entry> {
        let user: String = store.0.iter().map(|byte| format!("{byte:02x}")).collect();
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
