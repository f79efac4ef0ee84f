//! Codes whose meaning the standards, or the usage of many providers, fix: compared whole, never
//! as a part of something longer.

use super::meaning::Meaning;
use super::verdict::EndpointKind;

/// Longest code, without separators.
const CODE_BYTES_MAX: usize = 48;

/// One code: how it is spelt without separators and in lower case, what it means at a resource,
/// and what it means at a token endpoint.
pub(crate) struct Row(pub(crate) &'static str, pub(crate) Option<Meaning>, pub(crate) Option<Meaning>);

use Meaning::{
    AccessTokenExpired as Expired, AccessTokenInvalid as Invalid, AuthorizationPending as Pending,
    ClientMisconfigured as Client, DpopNonceRequired as Nonce, GrantDead as Dead, InsufficientScope as Scope,
    PermissionDenied as Denied, RateLimited as Rate, SlowDown as Slow, StepUpRequired as StepUp, Transient,
};

/// Sorted by code; a test holds it to that.
///
/// RFC 6749 5.2, 6750 3.1, 8628 3.5, 8707 2, 9449 5 and 7.1, 9470 3, OpenID Connect Core 3.1.2.6,
/// OAuth 1.0 Problem Reporting, gRPC status names, AWS Signature V4 common errors, and the names
/// under which dead grants and bad sessions are known elsewhere.
pub(crate) const CODES: &[Row] = &[
    Row("accessdenied", None, Some(Denied)),
    Row("accountselectionrequired", Some(StepUp), Some(StepUp)),
    Row("additionalaction", None, Some(StepUp)),
    Row("additionalauthorizationrequired", Some(StepUp), None),
    Row("authfailure", Some(Invalid), None),
    Row("authorizationdeclined", None, Some(Dead)),
    Row("authorizationpending", None, Some(Pending)),
    Row("authorizationrevoked", Some(Invalid), Some(Dead)),
    Row("backenderror", Some(Transient), Some(Transient)),
    Row("badrefreshtoken", None, Some(Dead)),
    Row("badverificationcode", None, Some(Dead)),
    Row("basicaction", None, Some(StepUp)),
    Row("clientdisabled", None, Some(Client)),
    Row("clientnotfound", None, Some(Client)),
    Row("codeexpired", None, Some(Dead)),
    Row("consentrequired", Some(StepUp), Some(StepUp)),
    Row("consumerkeyrefused", Some(Client), None),
    Row("consumerkeyrejected", Some(Client), None),
    Row("consumerkeyunknown", Some(Client), None),
    Row("deletedclient", None, Some(Client)),
    Row("disabledclient", None, Some(Client)),
    Row("expiredaccesstoken", Some(Expired), None),
    Row("expiredrefreshtoken", None, Some(Dead)),
    Row("expiredtoken", None, Some(Dead)),
    Row("grantexpired", None, Some(Dead)),
    Row("grantnotfound", None, Some(Dead)),
    Row("grantrevoked", None, Some(Dead)),
    Row("incompletesignature", Some(Client), None),
    Row("incorrectclientcredentials", None, Some(Client)),
    Row("insufficientclaims", Some(StepUp), Some(StepUp)),
    Row("insufficientscope", Some(Scope), Some(Scope)),
    Row("insufficientscopes", Some(Scope), Some(Scope)),
    Row("insufficientuserauthentication", Some(StepUp), Some(StepUp)),
    Row("interactionrequired", Some(StepUp), Some(StepUp)),
    Row("internalerror", Some(Transient), Some(Transient)),
    Row("internalfailure", Some(Transient), Some(Transient)),
    Row("internalservererror", Some(Transient), Some(Transient)),
    Row("invalidaccesstoken", Some(Invalid), None),
    Row("invalidapikey", Some(Client), Some(Client)),
    Row("invalidassertion", None, Some(Client)),
    Row("invalidauth", Some(Invalid), None),
    Row("invalidauthentication", Some(Invalid), None),
    Row("invalidclient", Some(Client), Some(Client)),
    Row("invalidclientassertion", None, Some(Client)),
    Row("invalidclientcredentials", None, Some(Client)),
    Row("invalidclientid", Some(Client), Some(Client)),
    Row("invalidclientmetadata", None, Some(Client)),
    Row("invalidclientsecret", Some(Client), Some(Client)),
    Row("invalidclienttokenid", Some(Invalid), None),
    Row("invalidcode", None, Some(Dead)),
    Row("invaliddpopproof", Some(Client), Some(Client)),
    Row("invalidgrant", Some(Invalid), Some(Dead)),
    Row("invalidrapt", Some(StepUp), Some(StepUp)),
    Row("invalidredirecturi", None, Some(Client)),
    Row("invalidrefreshtoken", None, Some(Dead)),
    Row("invalidrequest", None, Some(Client)),
    Row("invalidscope", Some(Scope), Some(Client)),
    Row("invalidsignatureexception", Some(Client), None),
    Row("invalidtarget", None, Some(Client)),
    Row("invalidtoken", Some(Invalid), Some(Dead)),
    Row("loginrequired", None, Some(StepUp)),
    Row("messageonly", None, Some(StepUp)),
    Row("mfaenrollmentrequired", Some(StepUp), Some(StepUp)),
    Row("mfarequired", Some(StepUp), Some(StepUp)),
    Row("missingscope", Some(Scope), Some(Scope)),
    Row("missingscopes", Some(Scope), Some(Scope)),
    Row("notauthed", Some(Invalid), None),
    Row("passwordchangerequired", Some(StepUp), Some(StepUp)),
    Row("protectionpolicyrequired", None, Some(StepUp)),
    Row("raptrequired", Some(StepUp), Some(StepUp)),
    Row("ratelimited", Some(Rate), Some(Rate)),
    Row("ratelimitexceeded", Some(Rate), Some(Rate)),
    Row("reauthenticationrequired", Some(StepUp), Some(StepUp)),
    Row("reauthrequired", Some(StepUp), Some(StepUp)),
    Row("redirecturimismatch", None, Some(Client)),
    Row("refreshtokenexpired", None, Some(Dead)),
    Row("refreshtokeninvalid", None, Some(Dead)),
    Row("refreshtokennotfound", None, Some(Dead)),
    Row("refreshtokenrevoked", None, Some(Dead)),
    Row("requestexpired", Some(Expired), None),
    Row("requesttimetooskewed", Some(Client), None),
    Row("resourceexhausted", Some(Rate), Some(Rate)),
    Row("revokedrefreshtoken", None, Some(Dead)),
    Row("servererror", Some(Transient), Some(Transient)),
    Row("serviceunavailable", Some(Transient), Some(Transient)),
    Row("signaturedoesnotmatch", Some(Client), None),
    Row("signatureinvalid", Some(Client), None),
    Row("slowdown", Some(Rate), Some(Slow)),
    Row("temporarilyunavailable", Some(Transient), Some(Transient)),
    Row("throttlingexception", Some(Rate), Some(Rate)),
    Row("timestamprefused", Some(Client), None),
    Row("tokenexpired", Some(Expired), Some(Dead)),
    Row("tokennotvalid", Some(Invalid), Some(Dead)),
    Row("tokenrejected", Some(Invalid), None),
    Row("tokenrevoked", Some(Invalid), Some(Dead)),
    Row("toomanyrequests", Some(Rate), Some(Rate)),
    Row("unauthenticated", Some(Invalid), None),
    Row("unauthorizedclient", Some(Client), Some(Client)),
    Row("unknownclient", None, Some(Client)),
    Row("unmetauthenticationrequirements", Some(StepUp), Some(StepUp)),
    Row("unrecognizedclientexception", Some(Invalid), None),
    Row("unsupportedgranttype", Some(Client), Some(Client)),
    Row("unsupportedresponsetype", None, Some(Client)),
    Row("unsupportedtokentype", None, Some(Client)),
    Row("usedpopnonce", Some(Nonce), Some(Nonce)),
    Row("userauthenticationrequired", Some(StepUp), Some(StepUp)),
    Row("userpasswordexpired", None, Some(StepUp)),
];

/// What a whole code means at an endpoint of that kind.
pub(crate) fn meaning_of_code(kind: EndpointKind, code: &[u8]) -> Option<Meaning> {
    let mut buffer = [0_u8; CODE_BYTES_MAX];
    let code = normal(code, &mut buffer)?;
    let find = |code: &[u8]| CODES.binary_search_by(|row| row.0.as_bytes().cmp(code)).ok();
    // AWS names the exception: `AuthorizationPendingException`.
    let place = find(code).or_else(|| find(code.strip_suffix(b"exception")?))?;
    let Row(name, resource, token) = &CODES[place];
    match kind {
        EndpointKind::Resource => *resource,
        EndpointKind::Token => *token,
        // RFC 8628 3.5: the person said no, or the device code ran out; either way a new login.
        EndpointKind::Device if *name == "accessdenied" => Some(Dead),
        EndpointKind::Device => *token,
    }
}

/// The code in lower case and without separators; `None` where it is longer than any we know.
fn normal<'b>(code: &[u8], buffer: &'b mut [u8; CODE_BYTES_MAX]) -> Option<&'b [u8]> {
    let mut length = 0;
    for byte in code.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    Some(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::classify::{Quirks, classify};
    use http::HeaderMap;

    fn class(kind: EndpointKind, code: &str) -> &'static str {
        let body = format!(r#"{{"error":"{code}"}}"#);
        let status = if kind == EndpointKind::Resource { 401 } else { 400 };
        classify(kind, status, &HeaderMap::new(), body.as_bytes(), &Quirks::default()).verdict.class()
    }

    const fn class_of(meaning: Meaning) -> &'static str {
        match meaning {
            Expired => "access_token_expired",
            Invalid => "access_token_invalid",
            Pending => "authorization_pending",
            Client => "client_misconfigured",
            Nonce => "dpop_nonce_required",
            Dead => "refresh_token_expired_or_revoked",
            Scope => "insufficient_scope",
            Denied => "permission_denied",
            Rate => "rate_limited",
            Slow => "slow_down",
            StepUp => "step_up_required",
            Transient => "transient",
            Meaning::NotAuth => "not_auth",
            Meaning::Unknown => "unknown",
        }
    }

    #[test]
    fn every_code_means_the_same_in_a_whole_reply_as_in_the_table() {
        for Row(code, resource, token) in CODES {
            if let Some(meaning) = resource {
                assert_eq!(class(EndpointKind::Resource, code), class_of(*meaning), "{code} at a resource");
            }
            if let Some(meaning) = token {
                assert_eq!(class(EndpointKind::Token, code), class_of(*meaning), "{code} at a token endpoint");
            }
        }
    }

    #[test]
    fn a_part_of_a_code_is_not_the_code() {
        for code in ["not_invalid_grant", "invalid_grant_x", "xinvalid_grant", "invalid"] {
            assert_eq!(class(EndpointKind::Token, code), "unknown", "{code}");
        }
    }

    #[test]
    fn the_table_is_sorted_so_that_every_row_is_found() {
        for pair in CODES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} stands before {}", pair[0].0, pair[1].0);
        }
    }
}
