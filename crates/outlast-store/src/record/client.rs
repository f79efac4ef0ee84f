//! The stored form of a client that was registered for a grant.

use super::{Millis, StoredSecret};
use outlast_core::grant::{ClientAuth, Registration};
use outlast_core::wire::SigningKey;
use outlast_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRegistration {
    authorization_server: String,
    client_auth: StoredClientAuth,
    client_id: String,
    #[serde(default)]
    secret_ends_at: Option<Millis>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum StoredClientAuth {
    ClientSecretBasic { secret: StoredSecret },
    ClientSecretPost { secret: StoredSecret },
    None,
    PrivateKeyJwt { key: StoredSecret, algorithm: Option<String>, key_id: Option<String> },
    TlsClientAuth { certificate: StoredSecret },
}

impl From<&Registration> for StoredRegistration {
    fn from(registration: &Registration) -> Self {
        let Registration { authorization_server, client_id, client_auth, secret_ends_at } = registration;
        Self {
            authorization_server: authorization_server.clone(),
            client_auth: client_auth.into(),
            client_id: client_id.clone(),
            secret_ends_at: secret_ends_at.map(Millis::from),
        }
    }
}

impl From<StoredRegistration> for Registration {
    fn from(stored: StoredRegistration) -> Self {
        Self {
            authorization_server: stored.authorization_server,
            client_id: stored.client_id,
            client_auth: stored.client_auth.into(),
            secret_ends_at: stored.secret_ends_at.map(Timestamp::from),
        }
    }
}

impl From<&ClientAuth> for StoredClientAuth {
    fn from(client_auth: &ClientAuth) -> Self {
        let stored = |secret: &Secret| StoredSecret(secret.clone());
        match client_auth {
            ClientAuth::Basic(secret) => Self::ClientSecretBasic { secret: stored(secret) },
            ClientAuth::None => Self::None,
            ClientAuth::Post(secret) => Self::ClientSecretPost { secret: stored(secret) },
            ClientAuth::PrivateKeyJwt(SigningKey { material, algorithm, key_id }) => {
                Self::PrivateKeyJwt { key: stored(material), algorithm: algorithm.clone(), key_id: key_id.clone() }
            }
            ClientAuth::TlsClient(certificate) => Self::TlsClientAuth { certificate: stored(certificate) },
        }
    }
}

impl From<StoredClientAuth> for ClientAuth {
    fn from(stored: StoredClientAuth) -> Self {
        match stored {
            StoredClientAuth::ClientSecretBasic { secret } => Self::Basic(secret.0),
            StoredClientAuth::ClientSecretPost { secret } => Self::Post(secret.0),
            StoredClientAuth::None => Self::None,
            StoredClientAuth::PrivateKeyJwt { key, algorithm, key_id } => {
                Self::PrivateKeyJwt(SigningKey { material: key.0, algorithm, key_id })
            }
            StoredClientAuth::TlsClientAuth { certificate } => Self::TlsClient(certificate.0),
        }
    }
}
