//! Whether a refusal says that the refresh token was used before (F41): word by word, as everything
//! that servers say in sentences, and never by a substring.

use super::body::{Facts, json, read_body};
use super::words::TEXT_BYTES_MAX;

/// How many words may stand between "already" and "used".
const APART_MAX: usize = 2;

/// Whether the body of a token endpoint's refusal says that the refresh token was used before.
pub(crate) fn tells_of_reuse(body: &[u8]) -> bool {
    let mut facts = Facts::new(true);
    read_body(body, &mut facts);
    facts.iter().any(|fact| says_reused(fact.text))
}

fn says_reused(text: &[u8]) -> bool {
    let text = json::unescape(text.get(..TEXT_BYTES_MAX).unwrap_or(text)).to_ascii_lowercase();
    let words: Vec<&str> =
        text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let any = |known: &[&str]| words.iter().any(|word| known.contains(word));
    // "expired, revoked or already used" names what may be, and not what is.
    if !any(&["refresh"]) || any(&["not", "never", "or", "may", "might"]) {
        return false;
    }
    any(&["reuse", "reused", "replay", "replayed"]) || used_before(&words)
}

fn used_before(words: &[&str]) -> bool {
    let spent = ["consumed", "exchanged", "redeemed", "rotated", "used"];
    let before = words.iter().enumerate().filter(|(_, word)| ["already", "been", "previously"].contains(word));
    before
        .map(|(place, _)| words[place..].iter().skip(1).take(APART_MAX))
        .any(|mut near| near.any(|word| spent.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f41_servers_say_in_many_words_that_a_refresh_token_was_used_before() {
        for body in [
            r#"{"error":"invalid_grant","error_description":"Maximum allowed refresh token reuse exceeded"}"#,
            r#"{"error":{"code":"refresh_token_reused","message":"Your refresh token has already been used."}}"#,
            r#"{"code":400,"error_code":"refresh_token_already_used","msg":"Invalid Refresh Token: Already Used"}"#,
            r#"{"error":"invalid_grant","error_description":"The refresh token was previously rotated."}"#,
            "error=invalid_grant&error_description=refresh+token+replayed",
        ] {
            assert!(tells_of_reuse(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn f41_what_lists_possibilities_or_speaks_of_something_else_says_nothing() {
        for body in [
            r#"{"error":"invalid_grant"}"#,
            r#"{"error":"invalid_grant","error_description":"refresh token is expired, revoked or already used"}"#,
            r#"{"error":"invalid_grant","error_description":"the authorization code has already been used"}"#,
            r#"{"error":"invalid_grant","error_description":"the refresh token was not reused"}"#,
            r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
            "<html>refresh token reuse</html>",
            "",
        ] {
            assert!(!tells_of_reuse(body.as_bytes()), "{body}");
        }
    }
}
