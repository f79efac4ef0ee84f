//! Google's service account files, and the other files that are taken for one.

use outlast_core::Secret;
use serde_json::{Map, Value};

/// What a service account's file says.
pub(super) struct ServiceAccount {
    pub(super) client_email: String,
    pub(super) private_key: Secret,
    pub(super) key_id: Option<String>,
    pub(super) token_uri: String,
}

const USUAL_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

impl ServiceAccount {
    /// Reads the file's content. What it is instead is told, and what to do about it.
    pub(super) fn read(content: &Secret) -> Result<Self, &'static str> {
        let text = content.expose().trim_start_matches('\u{feff}').trim();
        let members: Map<String, Value> = serde_json::from_str(text).map_err(
            |_| "service_account is no JSON object: name the key file that Google made for the service account",
        )?;
        let find = |name: &str| members.get(name).and_then(Value::as_str);
        match find("type") {
            Some("service_account") => {}
            Some("authorized_user") => {
                return Err("service_account is a person's own credentials, as gcloud's application-default login \
                            leaves them, and not a service account: sign in for a grant of your own, or use grant_type \
                            delegate to ask gcloud");
            }
            Some("external_account") => {
                return Err(
                    "service_account is a workload identity configuration, which holds no key: use grant_type \
                            token_exchange for it",
                );
            }
            Some("impersonated_service_account") => {
                return Err(
                    "service_account only names another account to act as, and holds no key: name the key file \
                            of a service account",
                );
            }
            Some(_) | None if members.contains_key("installed") || members.contains_key("web") => {
                return Err(
                    "service_account is the file of an OAuth client and not a service account: set client_id and \
                            client_secret from it, and sign in",
                );
            }
            Some(_) | None => {
                return Err(
                    "service_account is no service account's key file: name the JSON file that Google made for \
                            its key",
                );
            }
        }
        let missing = "service_account is incomplete, without client_email or private_key: make a new key for the \
                       service account";
        Ok(Self {
            client_email: find("client_email").ok_or(missing)?.to_owned(),
            private_key: Secret::new(find("private_key").ok_or(missing)?),
            key_id: find("private_key_id").map(str::to_owned),
            token_uri: find("token_uri").unwrap_or(USUAL_TOKEN_URI).to_owned(),
        })
    }
}
