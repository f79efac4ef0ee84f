//! Which scopes a refusal asks for.

use super::body::json::unescape;
use super::body::{Facts, Role, Source};
use http::HeaderMap;

/// Longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 256;
/// Most scopes that are passed on.
const SCOPES_MAX: usize = 32;
/// Most bytes of a sentence that are searched.
const SENTENCE_BYTES_MAX: usize = 1024;

/// The scopes a reply names, without doubles: those of a challenge or a field of the body, else
/// those GitHub names in its own header field, else those a sentence lists.
pub(crate) fn wanted_scopes(facts: &Facts<'_>, headers: &HeaderMap) -> Vec<String> {
    let mut scopes = Vec::new();
    for text in facts.scopes() {
        add_list(&mut scopes, &unescape(text));
    }
    if scopes.is_empty()
        && let Some(accepted) = headers.get("x-accepted-oauth-scopes").and_then(|value| value.to_str().ok())
    {
        // Any one of them suffices: ask for the first and no more.
        add_list(&mut scopes, accepted.split(',').next().unwrap_or_default());
    }
    if scopes.is_empty() {
        for fact in facts.iter().filter(|fact| fact.role == Role::Sentence && fact.source != Source::Header) {
            let text = fact.text.get(..SENTENCE_BYTES_MAX).unwrap_or(fact.text);
            from_sentence(&mut scopes, &unescape(text));
            if !scopes.is_empty() {
                break;
            }
        }
    }
    scopes
}

fn add_list(scopes: &mut Vec<String>, list: &str) {
    for scope in list.split([' ', ',']) {
        add(scopes, scope);
    }
}

/// RFC 6749 3.3: a scope is visible ASCII without quotes and backslashes.
fn add(scopes: &mut Vec<String>, scope: &str) {
    let scope = scope.trim_matches(['\'', '"', '[', ']', '`', '(', ')', ' ', ';']).trim_end_matches('.');
    let legal = scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    let known = scopes.iter().any(|known| known == scope);
    if legal && !known && !scope.is_empty() && scope.len() <= SCOPE_BYTES_MAX && scopes.len() < SCOPES_MAX {
        scopes.push(scope.to_owned());
    }
}

/// `…required scopes: a, b`, `…one of: ['a'], but …`, `requires the 'a' permission`.
fn from_sentence(scopes: &mut Vec<String>, sentence: &str) {
    let lower = sentence.to_ascii_lowercase();
    if let Some(at) = lower.find("scope") {
        let rest = &sentence[at..];
        if let Some(colon) = rest.find(": ") {
            let list = rest[colon + 2..].trim_start();
            let list = match list.strip_prefix('[') {
                Some(inner) => inner.split(']').next().unwrap_or(inner),
                None => list.split(['\n', ';']).next().unwrap_or(list),
            };
            add_words(scopes, list);
            return;
        }
        add_quoted(scopes, rest);
    }
    let permission = lower.find(" permission").filter(|_| scopes.is_empty());
    if let Some(word) = permission.and_then(|at| sentence[..at].rsplit(' ').next())
        && word.contains(['_', ':', '.'])
    {
        add(scopes, word);
    }
}

/// Words of a list up to the first that goes on with the sentence (`…: a, b but you have c`).
fn add_words(scopes: &mut Vec<String>, list: &str) {
    for word in list.split([' ', ',']).filter(|word| !word.is_empty()) {
        if matches!(word.to_ascii_lowercase().as_str(), "but" | "to" | "in" | "your" | "for" | "please" | "which") {
            break;
        }
        if !matches!(word.to_ascii_lowercase().as_str(), "and" | "or" | "one" | "of" | "any") {
            add(scopes, word);
        }
        if word.ends_with('.') {
            break;
        }
    }
}

fn add_quoted(scopes: &mut Vec<String>, text: &str) {
    for quote in ['\'', '"', '`'] {
        let mut parts = text.split(quote);
        parts.next();
        while let (Some(inside), Some(_)) = (parts.next(), parts.next()) {
            add_list(scopes, inside);
        }
    }
}
