//! What may be shown of a server's words: some echo the token they refuse.

/// Longest text that is shown, in characters.
pub const SHOWN_CHARACTERS_MAX: usize = 160;

/// What stands in the place of what was taken out.
pub const REDACTED: &str = "[redacted]";

/// Shortest run that may be a token by its look: letters with digits.
const MIXED_RUN_BYTES_MIN: usize = 20;
/// Shortest run that may be a token though it has no digits.
const PLAIN_RUN_BYTES_MIN: usize = 32;
/// Shortest run that is taken out behind a label such as `token:`.
const LABELLED_RUN_BYTES_MIN: usize = 6;

/// Beginnings by which tokens of well-known providers are told.
const PREFIXES: [&str; 20] = [
    "eyJ",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxe",
    "xapp-",
    "sk-",
    "ya29.",
    "1//",
    "EAA",
    "AKIA",
    "ASIA",
    "shpat_",
    "dop_v1_",
];

/// Words whose value is secret.
const LABELS: [&str; 14] = [
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "secret",
    "client_secret",
    "password",
    "assertion",
    "authorization",
    "bearer",
    "api_key",
    "apikey",
    "code",
    "device_code",
];

/// `text` without what may be a token, an address of a person, or a control character, cut to
/// [`SHOWN_CHARACTERS_MAX`].
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN_CHARACTERS_MAX));
    let mut label: Option<(String, bool)> = None;
    let mut rest = text;
    let mut left = SHOWN_CHARACTERS_MAX;
    while let Some(first) = rest.chars().next() {
        if left == 0 {
            shown.push('…');
            break;
        }
        if !is_part(first) {
            shown.push(if moves_text(first) { ' ' } else { first });
            left -= 1;
            if matches!(first, ':' | '=') {
                label = label.map(|(word, _)| (word, true));
            } else if !matches!(first, ' ' | '"' | '\'') {
                label = None;
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let run = &rest[..end];
        let secret = looks_secret(run) || label.as_ref().is_some_and(|label| is_value_of(run, label));
        let piece = if secret { REDACTED } else { run };
        shown.extend(piece.chars().take(left));
        left = left.saturating_sub(piece.chars().count());
        let is_label = LABELS.iter().any(|known| run.eq_ignore_ascii_case(known));
        label = is_label.then(|| (run.to_ascii_lowercase(), false));
        rest = &rest[end..];
    }
    shown
}

const fn is_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '~' | '+' | '/' | '@' | '%')
}

/// Control characters, and what turns a line around or cannot be seen: a terminal obeys the ones, and
/// with the others a text reads as another than it is.
fn moves_text(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A run behind `token:` or `secret=`, and any long one behind `Bearer`.
fn is_value_of(run: &str, (label, marked): &(String, bool)) -> bool {
    let length = run.len();
    match marked {
        true => length >= LABELLED_RUN_BYTES_MIN && !is_plain_word(run),
        false => label == "bearer" && length >= LABELLED_RUN_BYTES_MIN * 2 && !is_plain_word(run),
    }
}

/// Lower-case letters and underscores: a word or an error code of the vocabulary.
fn is_plain_word(run: &str) -> bool {
    run.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn looks_secret(run: &str) -> bool {
    if run.contains('@') && run.len() > 3 {
        return true;
    }
    let run = run.trim_end_matches('.');
    if PREFIXES.iter().any(|prefix| run.starts_with(prefix)) && run.len() >= 12 {
        return true;
    }
    let digits = run.bytes().any(|byte| byte.is_ascii_digit());
    let letters = run.bytes().any(|byte| byte.is_ascii_alphabetic());
    let separated = run.contains(['.', '_', '-', '/']);
    (run.len() >= MIXED_RUN_BYTES_MIN && digits && letters && !is_address(run))
        || (run.len() >= PLAIN_RUN_BYTES_MIN && !separated)
}

/// Names of hosts and paths are long and have digits too (`//docs.example.com/v3/errors`).
fn is_address(run: &str) -> bool {
    run.starts_with("//") && run.split(['/', '.', '-', '_']).all(|part| part.len() < MIXED_RUN_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_a_servers_words_are_taken_out() {
        let secret = [
            "Access token expired: eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
            "Refresh token invalid: c643a63c072f0f05478e9d18b991db80ef6061e4f8e6c822d83fed53e5fafdd7",
            "token=s3cr3t-v4lue",
            "Bearer AbCdEfGhIjKlMnOp is not known",
            "gho_16C7e42F292c6912E7 was revoked",
            "AKIAIOSFODNN7EXAMPLE does not exist",
            "client_secret: hunter2-hunter2",
            "user jane.doe@example.com is locked",
            "code \"Q4Rt7\": 99",
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP",
        ];
        for text in &secret[..8] {
            assert!(redact(text).contains(REDACTED), "{text} -> {}", redact(text));
        }
        assert!(redact(secret[9]).contains(REDACTED));
    }

    #[test]
    fn what_explains_the_verdict_stays() {
        let plain = [
            "The access token expired",
            "AADSTS7000215: Invalid client secret provided.",
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "Error: invalid_token",
            "Token is expired. You can either do re-authorization or token refresh.",
            "com.example.exceptions.PermissionException: not permitted",
            "code: invalid_grant",
        ];
        for text in plain {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn f58_control_characters_do_not_reach_a_terminal() {
        assert_eq!(redact("a\u{1b}[31mb\r\nc"), "a [31mb  c");
        assert_eq!(redact("a\u{9b}2Jb\u{7f}\u{202e}c\u{2066}\u{200b}\u{feff}d"), "a 2Jb  c   d");
        assert_eq!(redact("Zugriff für नमस्ते abgelehnt"), "Zugriff für नमस्ते abgelehnt");
    }

    #[test]
    fn what_is_shown_has_a_limit() {
        let shown = redact(&"word ".repeat(1000));
        assert_eq!(shown.chars().count(), SHOWN_CHARACTERS_MAX + 1);
    }
}
