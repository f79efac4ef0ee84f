//! HashiCorp Vault: 403 for every refusal, with a list of sentences.

use super::rule::Sign::Says;
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, PermissionDenied, Transient};

const ERRORS: &str = "https://developer.hashicorp.com/vault/api-docs#error-response";

pub(super) static TABLE: Table = Table {
    name: "vault",
    also_named: &["hashicorp-vault", "openbao"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Says("invalid token")], AccessTokenInvalid, ERRORS),
        resource(&[Says("bad token")], AccessTokenInvalid, ERRORS),
        resource(&[Says("missing client token")], AccessTokenInvalid, ERRORS),
        resource(&[Says("Vault is sealed")], Transient, ERRORS),
        resource(&[Says("permission denied")], PermissionDenied, ERRORS),
    ],
};
