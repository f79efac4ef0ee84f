//! What a browser brought back (RFC 6749 4.1.2, RFC 9207).

use super::authorization::Authorization;
use outlast_core::{Provider, Secret};
use url::form_urlencoded;

/// Longest answer that is looked at, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Longest error code that is repeated.
const ERROR_CHARS_MAX: usize = 64;

/// What an answer is.
#[derive(Clone, Debug)]
pub enum Answered {
    /// A code for the request at that place of the list.
    Code(usize, Secret),
    /// It answers a request of ours, and must not be used.
    Forged(&'static str),
    /// The server, or the person, said no.
    Denied(Denial, String),
    /// It answers no request of ours.
    Stranger,
}

/// What kind of no (RFC 6749 4.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Of the person, or because of who it is.
    Person,
    /// Of the request: the client, its redirect or its scope.
    Request,
    /// The server is ill.
    Server,
}

/// What the query that came back means. `outstanding` are the requests whose answer is waited for.
pub fn read_answer(query: &str, outstanding: &[Authorization], provider: &Provider) -> Answered {
    if query.len() > ANSWER_BYTES_MAX {
        return Answered::Stranger;
    }
    let members: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all =
        |wanted: &str| members.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect();
    let (states, issuers): (Vec<&str>, Vec<&str>) = (all("state"), all("iss"));
    let (codes, errors): (Vec<&str>, Vec<&str>) = (all("code"), all("error"));
    // A parameter that comes twice is no answer (RFC 6749 3.1).
    let [state] = states.as_slice() else { return Answered::Stranger };
    let Some(place) = outstanding.iter().position(|request| request.state().matches(state)) else {
        return Answered::Stranger;
    };
    // Before anything else of it is believed or shown: on a mix-up, even the error is the attacker's
    // (RFC 9207 2.4; N30, N36, N49).
    if let Err(why) = check_issuer(&issuers, provider) {
        return Answered::Forged(why);
    }
    match (codes.as_slice(), errors.as_slice()) {
        ([code], []) if !code.is_empty() => Answered::Code(place, Secret::new(*code)),
        ([], [error]) => Answered::Denied(denial(error), shown_error(error)),
        _ => Answered::Forged("it holds neither one code nor one error"),
    }
}

/// The query of an address that a person pasted: the whole address the browser ended at. What is
/// wrong with it, if it is not that.
pub fn read_pasted<'p>(pasted: &'p str, redirect_uri: &str) -> Result<&'p str, &'static str> {
    let pasted = pasted.trim();
    let Some((address, query)) = pasted.split_once('?') else {
        return Err("paste the whole address, with everything after the question mark");
    };
    // Everything a browser makes of the registered address: it adds a slash where there is no path.
    let plain = |address: &str| address.trim_end_matches('/').to_owned();
    let registered = redirect_uri.split('?').next().unwrap_or(redirect_uri);
    if plain(address) != plain(registered) {
        return Err("that is not the address the browser comes back to at the end of the sign-in");
    }
    Ok(query.split('#').next().unwrap_or(query))
}

/// Compared as it is, without normalisation. A server that is known to name itself must (RFC 9207
/// 2.4); where the issuer is not known, there is nothing to compare with.
fn check_issuer(issuers: &[&str], provider: &Provider) -> Result<(), &'static str> {
    match (issuers, &provider.issuer) {
        ([], _) if provider.names_issuer => Err("it does not name the issuer, although its server always does"),
        ([], _) | ([_], None) => Ok(()),
        ([answered], Some(issuer)) if answered == issuer => Ok(()),
        ([_], Some(_)) => Err("it names another issuer than the one that was asked"),
        ([_, _, ..], _) => Err("it names the issuer more than once"),
    }
}

fn denial(error: &str) -> Denial {
    match error {
        "access_denied"
        | "account_selection_required"
        | "consent_required"
        | "interaction_required"
        | "login_required"
        | "unmet_authentication_requirements" => Denial::Person,
        "server_error" | "temporarily_unavailable" => Denial::Server,
        _ => Denial::Request,
    }
}

/// The code of an error, if it looks like one; never its description, which anybody can write.
fn shown_error(error: &str) -> String {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let fit = !error.is_empty() && error.len() <= ERROR_CHARS_MAX && error.chars().all(word);
    if fit { error.to_owned() } else { "an error without a code".to_owned() }
}
