//! Reads token sets that somebody else obtained: a token response, or another tool's file. Pure.

use outlast::{Code, Secret, Timestamp, TokenSet, TokenType, read_token_set};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::Duration;

use crate::exit::Fault;
use crate::owned_file::{self, OwnedEntry};

/// Largest text that is read, in bytes; token responses are a few kilobytes.
pub(crate) const IMPORT_BYTES_MAX: usize = 1024 * 1024;
/// Longest list of services that an error repeats.
const SERVICES_SHOWN_MAX: usize = 10;
/// Longest name of a service that an error repeats, in characters.
const NAME_SHOWN_MAX: usize = 64;
/// Numbers beyond this are milliseconds: in seconds it would be the year 5138.
const SECONDS_MAX: f64 = 1e11;

/// What was read.
#[derive(Debug)]
pub(crate) struct Found {
    /// The token set, its life counted from when it was saved.
    pub(crate) tokens: TokenSet,
    /// What the person should know about it, if anything.
    pub(crate) note: Option<&'static str>,
    /// The client that it was given to, where the file says.
    pub(crate) client_id: Option<String>,
}

/// A file, and what is wanted of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// Where it lies: some tools are told by that alone.
    pub(crate) path: Option<&'a Path>,
    /// Which of its token sets.
    pub(crate) service: Option<&'a str>,
    /// Whether what another tool goes on using is to be read too.
    pub(crate) take_over: bool,
}

/// Reads a token response as the token endpoint gave it (RFC 6749 5.1).
pub(crate) fn read_response(bytes: &[u8], now: Timestamp) -> Result<Found, Fault> {
    let text = plain_text(bytes)?;
    if let Some(response) = read_token_set(text) {
        return Ok(Found { tokens: TokenSet::first(response, now), note: None, client_id: None });
    }
    let members = object(text)?;
    entry(&members, now)
}

/// Reads a file of the form `{"service": {"access_token", "refresh_token", "expires_in",
/// "saved_at"}}`; a file with one service needs no `service`, and neither does a bare entry.
/// What another tool goes on using is read only where that is wanted.
pub(crate) fn read_file(bytes: &[u8], wanted: Wanted<'_>, now: Timestamp) -> Result<Found, Fault> {
    let members = object(plain_text(bytes)?)?;
    match owned_file::find(&members, wanted.path) {
        Some(owned) if wanted.take_over => return taken_over(owned, now),
        Some(owned) => return Err(still_owned(&owned)),
        None => {}
    }
    let services: Vec<(&String, &Map<String, Value>)> =
        members.iter().filter_map(|(name, value)| value.as_object().map(|entry| (name, entry))).collect();
    let bare = ["access_token", "refresh_token"].iter().any(|name| members.get(*name).is_some_and(Value::is_string));
    match (wanted.service, services.as_slice()) {
        (Some(wanted), all) => match all.iter().find(|(name, _)| *name == wanted) {
            Some((_, found)) => entry(found, now),
            None => Err(invalid(format!("the file has no service {wanted:?}; it has: {}", listed(all)))),
        },
        (None, _) if bare => entry(&members, now),
        (None, [(_, only)]) => entry(only, now),
        (None, []) => Err(invalid("the file holds neither a token set nor a service with one")),
        (None, all) => Err(invalid(format!("the file holds several services: {}", listed(all)))
            .mend("name the one to take over with --service NAME")),
    }
}

fn listed(services: &[(&String, &Map<String, Value>)]) -> String {
    let shortened = |name: &str| format!("{:?}", name.chars().take(NAME_SHOWN_MAX).collect::<String>());
    let names: Vec<String> = services.iter().take(SERVICES_SHOWN_MAX).map(|(name, _)| shortened(name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn plain_text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > IMPORT_BYTES_MAX {
        return Err(invalid("the input is larger than 1 MiB; token responses are a few kilobytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("the input is not text"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        Err(invalid("the input is empty"))
    } else if text.starts_with('<') {
        Err(invalid("the input is a web page, not a token response"))
    } else {
        Ok(text)
    }
}

fn object(text: &str) -> Result<Map<String, Value>, Fault> {
    // The parser's own message names a place and never repeats the text.
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(invalid("the input is JSON, but no object")),
        Err(cause) if cause.is_eof() => Err(invalid("the input is cut: the JSON object does not end")),
        Err(cause) => Err(invalid(format!("the input is no JSON (line {}, column {})", cause.line(), cause.column()))),
    }
}

fn entry(members: &Map<String, Value>, now: Timestamp) -> Result<Found, Fault> {
    if let Some(error) = members.get("error").filter(|error| !error.is_null()) {
        let known = error.as_str().filter(|text| text.len() <= 64 && text.bytes().all(is_error_byte));
        return Err(invalid(format!("the input is an error response ({})", known.unwrap_or("error"))));
    }
    let saved_at = match members.get("saved_at") {
        None | Some(Value::Null) => None,
        Some(value) => Some(moment(value).ok_or_else(|| invalid("saved_at is no time"))?),
    };
    match members.get("access_token") {
        None | Some(Value::Null) => refresh_token_alone(members, now),
        Some(Value::String(_)) => {
            let response = read_token_set(&Value::Object(members.clone()).to_string());
            let response = response.ok_or_else(|| {
                invalid("the access token has characters that no token has, or is of an unknown token_type")
            })?;
            let life = response.expires_in;
            let end = members.get("expires_at").and_then(moment);
            Ok(aged(TokenSet::first(response, now), life, saved_at, end, now))
        }
        Some(_) => Err(invalid("access_token is not text")),
    }
}

/// The set with the life that is left of it.
fn aged(
    tokens: TokenSet,
    life: Option<Duration>,
    saved_at: Option<Timestamp>,
    end: Option<Timestamp>,
    now: Timestamp,
) -> Found {
    // A clock that runs ahead where the file was written must not make the token look younger.
    let saved_at = saved_at.map(|at| at.min(now));
    let (issued_at, expires_at, note) = match (saved_at, life, end) {
        (Some(saved_at), Some(life), _) => (saved_at, Some(saved_at.plus(life)), None),
        (saved_at, _, Some(end)) => (saved_at.unwrap_or(now).min(end), Some(end), None),
        // A life that counts from an unknown time says nothing: the first use finds out.
        (None, Some(_), None) if tokens.refresh.is_some() => {
            (now, Some(now), Some("the file does not say when it was saved, so the token is renewed at first use"))
        }
        (None, Some(_), None) => {
            (now, None, Some("the file does not say when it was saved, so the time left is not known"))
        }
        (saved_at, None, None) => (saved_at.unwrap_or(now), None, None),
    };
    Found { tokens: TokenSet { issued_at, expires_at, ..tokens }, note, client_id: None }
}

fn refresh_token_alone(members: &Map<String, Value>, now: Timestamp) -> Result<Found, Fault> {
    let is_token = |token: &&str| !token.is_empty() && token.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    let refresh = members.get("refresh_token").and_then(Value::as_str).filter(is_token);
    let refresh = refresh.ok_or_else(|| invalid("the input holds neither an access_token nor a refresh_token"))?;
    let tokens = TokenSet {
        access: Secret::new(""),
        refresh: Some(Secret::new(refresh)),
        token_type: TokenType::Bearer,
        issued_at: now,
        expires_at: Some(now),
        scope: None,
    };
    let note = Some("only a refresh token was given, so an access token is fetched at first use");
    Ok(Found { tokens, note, client_id: None })
}

/// A moment as tools write it: seconds or milliseconds since 1970, as number or text, or RFC 3339.
fn moment(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => Some(number),
            Err(_) => return rfc3339(text.trim()),
        },
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    }?;
    let millis = if number.abs() > SECONDS_MAX { number } else { number * 1000.0 };
    let sane = millis.is_finite() && (0.0..1e15).contains(&millis);
    sane.then(|| Timestamp::from_millis(Duration::from_secs_f64(millis / 1000.0).as_millis() as u64))
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    // Without a zone, as some languages write it by themselves, it is taken for UTC.
    let moment: jiff::Timestamp = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// RFC 6749 5.2: what an error code consists of.
fn is_error_byte(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\'
}

fn taken_over(owned: OwnedEntry, now: Timestamp) -> Result<Found, Fault> {
    let OwnedEntry { tool, client_id, entry: members, .. } = owned;
    match members {
        Ok(members) => Ok(Found { client_id, ..entry(&members, now)? }),
        Err(why) => Err(Fault::new(
            Code::ImportInvalid,
            format!("nothing can be taken from the file of {tool}: {why}; nothing was changed"),
        )
        .mend("have the person whose grant it is sign in with: outlast login NAME")),
    }
}

fn still_owned(owned: &OwnedEntry) -> Fault {
    let OwnedEntry { tool, shared, delegate, .. } = owned;
    let text = format!("the file belongs to {tool}, {shared}; nothing was changed");
    Fault::new(Code::ImportInvalid, text).mend(format!(
        "leave it with {tool} and read the access token alone: grant_type = \"delegate\", {delegate}; or ask the \
         person whose grant it is whether {tool} is to be signed out here for good, and only then import with \
         --take-over"
    ))
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Code::ImportInvalid, format!("{}; nothing was changed", text.into()))
        .mend("hand in the token endpoint's JSON answer, or a file of the form {\"service\": {\"access_token\": …}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn file(text: &str, service: Option<&str>) -> Result<Found, Fault> {
        read_file(text.as_bytes(), Wanted { service, ..Wanted::default() }, NOW)
    }

    fn end_of(entry: &str) -> Option<Timestamp> {
        file(&format!(r#"{{"s":{entry}}}"#), None).unwrap().tokens.expires_at
    }

    #[test]
    fn the_life_that_is_left_counts_from_when_it_was_saved() {
        let end = Some(Timestamp::from_secs(1_800_000_000 - 100 + 3600));
        for saved_at in ["1799999900", "1799999900000", "\"1799999900\"", "\"2027-01-15T07:58:20Z\"", "1799999900.0"] {
            let entry = format!(r#"{{"access_token":"a","expires_in":3600,"saved_at":{saved_at}}}"#);
            assert_eq!(end_of(&entry), end, "{saved_at}");
        }
    }

    #[test]
    fn a_file_from_a_clock_that_runs_ahead_makes_no_token_younger() {
        let end = end_of(r#"{"access_token":"a","expires_in":60,"saved_at":1800009999}"#);
        assert_eq!(end, Some(Timestamp::from_secs(1_800_000_060)));
    }

    #[test]
    fn an_expired_access_token_with_a_refresh_token_is_taken_as_due() {
        let found =
            file(r#"{"s":{"access_token":"a","refresh_token":"r","expires_in":60,"saved_at":1}}"#, None).unwrap();
        assert!(found.tokens.expires_at.unwrap() < NOW);
        assert!(found.tokens.refresh.is_some());
    }

    #[test]
    fn a_life_without_a_start_is_not_believed() {
        let found = file(r#"{"s":{"access_token":"a","refresh_token":"r","expires_in":60}}"#, None).unwrap();
        assert_eq!(found.tokens.expires_at, Some(NOW));
        assert!(found.note.is_some());
        assert_eq!(end_of(r#"{"access_token":"a","expires_in":60}"#), None);
    }

    #[test]
    fn expires_at_is_read_where_there_is_one() {
        assert_eq!(
            end_of(r#"{"access_token":"a","expires_at":1800000077}"#),
            Some(Timestamp::from_secs(1_800_000_077))
        );
    }

    #[test]
    fn a_refresh_token_alone_is_taken_as_expired() {
        let found = read_response(br#"{"refresh_token":"r"}"#, NOW).unwrap();
        assert_eq!(found.tokens.expires_at, Some(NOW));
    }

    #[test]
    fn one_service_needs_no_name_and_several_do() {
        let two = r#"{"a":{"access_token":"x"},"b":{"access_token":"y"}}"#;
        assert!(file(two, None).unwrap_err().text.contains("several services"));
        assert_eq!(file(two, Some("b")).unwrap().tokens.access, Secret::new("y"));
        assert!(file(two, Some("c")).unwrap_err().text.contains("\"a\", \"b\""));
        assert_eq!(file(r#"{"access_token":"flat"}"#, None).unwrap().tokens.access, Secret::new("flat"));
    }

    #[test]
    fn what_is_no_token_set_is_refused_and_never_repeated() {
        let huge = format!(r#"{{"access_token":"{}"}}"#, "SECRET".repeat(200_000));
        for text in [
            "",
            "  \n",
            "<!DOCTYPE html><p>SECRET</p>",
            r#"{"access_token":"SECRET"#,
            r#"["SECRET"]"#,
            "SECRET",
            r#"{"access_token":7}"#,
            r#"{"access_token":"SECRET\n"}"#,
            r#"{"access_token":"SECRET","token_type":"mac"}"#,
            r#"{"error":"invalid_grant","error_description":"SECRET"}"#,
            r#"{"refresh_token":""}"#,
            r#"{"id_token":"SECRET"}"#,
            huge.as_str(),
        ] {
            let shown = text.chars().take(60).collect::<String>();
            let fault = read_response(text.as_bytes(), NOW).expect_err(&shown);
            assert_eq!(fault.code, Code::ImportInvalid, "{shown}");
            assert!(!fault.text.contains("SECRET"), "{}", fault.text);
            assert!(file(text, None).is_err(), "{shown}");
        }
        assert!(read_response(&[0xff, 0xfe, 0x00], NOW).is_err());
    }
}
