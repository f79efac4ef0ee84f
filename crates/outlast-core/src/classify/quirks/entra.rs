//! Microsoft Entra ID: `invalid_grant` means many things, and the number in the sentence says which. Only numbers that soften the verdict are listed; a new number falls back to the sub-error and the claims.

use super::rule::Sign::{Begins, Code, Says};
use super::rule::{Table, token};
use crate::classify::meaning::Meaning::{
    ClientMisconfigured, GrantDead, PermissionDenied, RateLimited, StepUpRequired, Transient,
};

const CODES: &str = "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes";
const SUBERRORS: &str = "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes#handling-error-codes-in-your-application";
const DEVICE: &str = "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-device-code";

pub(super) static TABLE: Table = Table {
    name: "microsoft-entra",
    also_named: &["entra", "azure-ad", "azure-active-directory", "microsoft", "aad", "azure", "microsoft-identity"],
    errors_on_success: false,
    recognised_by: &[Begins("AADSTS")],
    rules: &[
        token(&[Says("AADSTS50072")], StepUpRequired, CODES),
        token(&[Says("AADSTS50074")], StepUpRequired, CODES),
        token(&[Says("AADSTS50076")], StepUpRequired, CODES),
        token(&[Says("AADSTS50079")], StepUpRequired, CODES),
        token(&[Says("AADSTS50055")], StepUpRequired, CODES),
        token(&[Says("AADSTS50097")], StepUpRequired, CODES),
        token(&[Says("AADSTS50105")], StepUpRequired, CODES),
        token(&[Says("AADSTS50158")], StepUpRequired, CODES),
        token(&[Says("AADSTS53000")], StepUpRequired, CODES),
        token(&[Says("AADSTS53001")], StepUpRequired, CODES),
        token(&[Says("AADSTS53002")], StepUpRequired, CODES),
        token(&[Says("AADSTS53003")], StepUpRequired, CODES),
        token(&[Says("AADSTS53004")], StepUpRequired, CODES),
        token(&[Says("AADSTS65001")], StepUpRequired, CODES),
        token(&[Says("AADSTS65004")], StepUpRequired, CODES),
        token(&[Says("AADSTS16000")], StepUpRequired, CODES),
        token(&[Code("additional_action")], StepUpRequired, SUBERRORS),
        token(&[Code("message_only")], StepUpRequired, SUBERRORS),
        token(&[Code("user_password_expired")], StepUpRequired, SUBERRORS),
        token(&[Code("protection_policy_required")], StepUpRequired, SUBERRORS),
        token(&[Says("AADSTS50196")], RateLimited, CODES),
        token(&[Says("AADSTS90033")], Transient, CODES),
        token(&[Says("AADSTS700016")], ClientMisconfigured, CODES),
        token(&[Says("AADSTS50011")], ClientMisconfigured, CODES),
        token(&[Says("AADSTS50053")], PermissionDenied, CODES),
        token(&[Code("authorization_declined")], GrantDead, DEVICE),
    ],
};
