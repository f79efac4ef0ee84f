//! Simple JWT for Django: the token endpoint says `token_not_valid`.

use super::rule::Sign::{Code, Says};
use super::rule::{Table, resource, token};
use crate::classify::meaning::Meaning::{AccessTokenExpired, GrantDead};

const DOCS: &str = "https://django-rest-framework-simplejwt.readthedocs.io/en/latest/getting_started.html";

pub(super) static TABLE: Table = Table {
    name: "django-simplejwt",
    also_named: &["drf-simplejwt", "simplejwt"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        token(&[Code("token_not_valid")], GrantDead, DOCS),
        resource(&[Code("token_not_valid"), Says("Token is expired")], AccessTokenExpired, DOCS),
    ],
};
