//! Reads the access token that another tool's command printed, in the shapes that tools are known
//! to print. Nothing but the token, its life and its scope is taken: a refresh token stays with its
//! owner (R21).

use crate::moment::{Zone, moment};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outlast_core::token_response::read_token_set;
use outlast_core::{Secret, Timestamp, TokenResponse};
use serde_json::Value;
use std::time::Duration;

/// How the output is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format<'a> {
    /// JSON if it looks like that, else text.
    Auto,
    /// JSON, with pointers where they are not where the known tools have them (RFC 6901).
    Json {
        /// To the token.
        token: Option<&'a str>,
        /// To its end.
        end: Option<&'a str>,
    },
    /// The token alone.
    Text,
}

/// Where a tool writes token and end.
struct Shape {
    token: &'static str,
    ends: &'static [&'static str],
    zone: Zone,
}

static SHAPES: &[Shape] = &[
    // Credential plugins of Kubernetes: ExecCredential.
    Shape { token: "/status/token", ends: &["/status/expirationTimestamp"], zone: Zone::Utc },
    // gcloud config config-helper --format=json
    Shape { token: "/credential/access_token", ends: &["/credential/token_expiry"], zone: Zone::Utc },
    // az account get-access-token: expires_on counts seconds, expiresOn is the machine's local time.
    Shape { token: "/accessToken", ends: &["/expires_on", "/expiresOn"], zone: Zone::Local },
    // A token response (RFC 6749 5.1), and what libraries add when they keep one.
    Shape { token: "/access_token", ends: &["/expires_at", "/expires_on", "/expiry"], zone: Zone::Utc },
    // gcloud auth print-access-token --format=json, azd auth token --output json
    Shape { token: "/token", ends: &["/expiresOn", "/expires_at", "/expiry/datetime", "/expiry"], zone: Zone::Utc },
];

/// The token in `output`, or in words without secrets why there is none that may be used.
pub(crate) fn read(output: &Secret, format: Format<'_>, now: Timestamp) -> Result<TokenResponse, String> {
    let text = output.expose().trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err("it printed nothing".to_owned());
    }
    match format {
        Format::Auto if !text.starts_with('{') => plain(text, now),
        Format::Text => plain(text, now),
        Format::Auto => json(text, None, None, now),
        Format::Json { token, end } => json(text, token, end, now),
    }
}

fn plain(text: &str, now: Timestamp) -> Result<TokenResponse, String> {
    if text.lines().count() > 1 {
        return Err("it printed more than one line, and a token is one".to_owned());
    }
    with_hint(token(text)?, None, now)
}

fn json(text: &str, token_at: Option<&str>, end_at: Option<&str>, now: Timestamp) -> Result<TokenResponse, String> {
    // The parser's own message would repeat nothing of the text, and says nothing of use either.
    let value: Value = serde_json::from_str(text).map_err(|_| "it printed no JSON that can be read".to_owned())?;
    refuse_other_credentials(&value)?;
    if let Some(pointer) = token_at {
        let found = value.pointer(pointer).and_then(Value::as_str);
        let found = found.ok_or_else(|| format!("its JSON holds no text at {pointer}"))?;
        let end = end_at.and_then(|pointer| moment(value.pointer(pointer)?, Zone::Utc));
        return with_hint(token(found)?, end.map(|end| now.until(end)), now);
    }
    let known = |shape: &&Shape| value.pointer(shape.token).is_some_and(Value::is_string);
    let Some(shape) = SHAPES.iter().find(known) else {
        return Err("its JSON holds no token where tools are known to write one; set token_pointer".to_owned());
    };
    let found = token(value.pointer(shape.token).and_then(Value::as_str).unwrap_or_default())?;
    let ends = end_at.into_iter().chain(shape.ends.iter().copied());
    let end = ends.filter_map(|pointer| moment(value.pointer(pointer)?, shape.zone)).next();
    // A token response's own reader knows its types and lives; the rest of it is not taken.
    let response = read_token_set(text);
    if shape.token == "/access_token" && response.is_none() {
        return Err("its JSON is an error response, or holds a token of a type that is not known".to_owned());
    }
    let response = response.map_or(found.clone(), |response| TokenResponse {
        refresh: None,
        refresh_expires_in: None,
        id_token: None,
        ..response
    });
    let left = response.expires_in.or(end.map(|end| now.until(end)));
    with_hint(response, left, now)
}

/// Credentials that sign requests instead of standing in them.
fn refuse_other_credentials(value: &Value) -> Result<(), String> {
    if value.get("AccessKeyId").is_some() || value.pointer("/Credentials/AccessKeyId").is_some() {
        return Err("it printed AWS credentials, which sign each request and are no bearer token: \
                    use the AWS SDK for that upstream"
            .to_owned());
    }
    let certificate = value.pointer("/status/clientCertificateData").is_some();
    if certificate && value.pointer("/status/token").is_none() {
        return Err("it printed a client certificate and no token".to_owned());
    }
    Ok(())
}

fn token(text: &str) -> Result<TokenResponse, String> {
    let visible = !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if visible {
        Ok(TokenResponse::bearer(text))
    } else {
        Err("what it printed is no token: it has a space or another character that none has".to_owned())
    }
}

/// With the life that is known; where none is, a JWT's own `exp` is taken for a hint, and one that
/// has passed for none (N28).
fn with_hint(response: TokenResponse, left: Option<Duration>, now: Timestamp) -> Result<TokenResponse, String> {
    if left == Some(Duration::ZERO) {
        return Err("the token it printed has ended already".to_owned());
    }
    let hint = || expiry(response.access.expose()).map(|end| now.until(end)).filter(|left| !left.is_zero());
    let expires_in = left.or_else(hint);
    Ok(TokenResponse { expires_in, ..response })
}

fn expiry(token: &str) -> Option<Timestamp> {
    let [_, claims, _]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("exp").filter(|end| end.is_number()).and_then(|end| moment(end, Zone::Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

    fn auto(text: &str) -> Result<TokenResponse, String> {
        read(&Secret::new(text), Format::Auto, NOW)
    }

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn r21_what_known_tools_print_is_read() {
        let table = [
            ("gh auth token", "gho_16C7e42F292c6912E7710c838347Ae178B4a\n".to_owned(), None),
            ("gcloud auth print-access-token", "ya29.a0Ae\n".to_owned(), None),
            ("az", r#"{"accessToken":"t","expiresOn":"1970-01-01 00:00:00.000000","expires_on":1800003600,"subscription":"s","tenant":"t","tokenType":"Bearer"}"#.to_owned(), HOUR),
            ("azd", r#"{"token":"t","expiresOn":"2027-01-15T09:00:00Z"}"#.to_owned(), HOUR),
            ("gcloud config-helper", r#"{"configuration":{},"credential":{"access_token":"t","id_token":"i","token_expiry":"2027-01-15T09:00:00Z"}}"#.to_owned(), HOUR),
            ("gcloud json", r#"{"token":"t","expiry":{"datetime":"2027-01-15 09:00:00.000000"}}"#.to_owned(), HOUR),
            ("ExecCredential", r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"expirationTimestamp":"2027-01-15T09:00:00Z","token":"t"}}"#.to_owned(), HOUR),
            ("OAuth", r#"{"access_token":"t","token_type":"Bearer","expires_in":3600,"refresh_token":"CANARY"}"#.to_owned(), HOUR),
            ("a JWT", jwt(r#"{"exp":1800003600}"#), HOUR),
        ];
        for (tool, text, life) in table {
            let response = auto(&text).unwrap_or_else(|why| panic!("{tool}: {why}"));
            assert_eq!(response.expires_in, life, "{tool}");
            assert!(response.refresh.is_none() && response.id_token.is_none(), "{tool}");
        }
    }

    #[test]
    fn n28_a_jwt_that_lies_about_its_end_is_served_like_an_opaque_token() {
        for claims in [r#"{"exp":1}"#, r#"{"exp":"never"}"#, r#"{"exp":-5}"#, "{}", "not json"] {
            assert_eq!(auto(&jwt(claims)).unwrap().expires_in, None, "{claims}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused_with_a_reason_and_never_repeated() {
        let table = [
            ("", "nothing"),
            ("CANARY one\nCANARY two", "more than one line"),
            ("CANARY two words", "no token"),
            (r#"{"Version":1,"AccessKeyId":"CANARY","SecretAccessKey":"CANARY"}"#, "AWS credentials"),
            (r#"{"kind":"ExecCredential","status":{"clientCertificateData":"CANARY"}}"#, "client certificate"),
            (r#"{"secret":"CANARY"}"#, "token_pointer"),
            (r#"{"error":"CANARY","access_token":"CANARY"}"#, "error response"),
            (r#"{"access_token":"CANARY","token_type":"mac"}"#, "type that is not known"),
            (r#"{"accessToken":"CANARY","expires_on":1799999999}"#, "ended already"),
            (r#"{"access_token":"CANA"#, "no JSON"),
        ];
        for (text, wanted) in table {
            let why = auto(text).unwrap_err();
            assert!(why.contains(wanted) && !why.contains("CANARY"), "{text}: {why}");
        }
    }

    #[test]
    fn pointers_lead_where_no_known_tool_writes() {
        let text = Secret::new(r#"{"data":[{"t":"abc","until":1800003600}]}"#);
        let format = Format::Json { token: Some("/data/0/t"), end: Some("/data/0/until") };
        let response = read(&text, format, NOW).unwrap();
        assert_eq!((response.access, response.expires_in), (Secret::new("abc"), HOUR));
        let astray = Format::Json { token: Some("/data/1/t"), end: None };
        assert!(read(&text, astray, NOW).unwrap_err().contains("/data/1/t"));
    }
}
