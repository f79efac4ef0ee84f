//! The challenges of `WWW-Authenticate` (RFC 9110 11.6.1), as they occur in the field: several
//! schemes in one field, commas inside quotes, values without quotes, parameters without commas,
//! bare quoted strings, any case. Total and linear; allocates nothing.

/// Most parameters of one challenge that are looked at.
pub const CHALLENGE_PARAMETERS_MAX: usize = 64;

/// Longest header field value that is looked at, in bytes.
pub const CHALLENGE_BYTES_MAX: usize = 16 * 1024;

/// One piece of a challenge. A value is what stands between the quotes, escapes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// An authentication scheme: a new challenge begins.
    Scheme(&'a [u8]),
    /// A parameter of the challenge that began last.
    Parameter(&'a [u8], &'a [u8]),
    /// A quoted string without a name, as Facebook sends them.
    Bare(&'a [u8]),
}

/// Calls `take` with each piece of one `WWW-Authenticate` field, in order.
pub fn read_challenges<'a>(field: &'a [u8], mut take: impl FnMut(Piece<'a>)) {
    let field = field.get(..CHALLENGE_BYTES_MAX).unwrap_or(field);
    let mut at = 0;
    let mut pieces = 0;
    // A scheme may stand at the start, after a comma, and wherever a word is followed by no `=`.
    let mut may_be_token68 = false;
    while at < field.len() && pieces < CHALLENGE_PARAMETERS_MAX {
        let byte = field[at];
        if byte == b'"' {
            let (value, next) = quoted(field, at);
            take(Piece::Bare(value));
            at = next;
        } else if is_token(byte) {
            let end = token_end(field, at);
            let word = &field[at..end];
            if let Some(value_at) = value_start(field, end) {
                let (value, next) = value(field, value_at);
                take(Piece::Parameter(word, value));
                at = next;
            } else if may_be_token68 && (field.get(end) == Some(&b'=') || field.get(end).is_none_or(|b| *b == b',')) {
                at = field[end..].iter().position(|b| *b != b'=').map_or(field.len(), |more| end + more);
            } else {
                take(Piece::Scheme(word));
                at = end;
                may_be_token68 = field.get(end) == Some(&b' ');
                pieces += 1;
                continue;
            }
        } else {
            at += 1;
            if byte == b',' {
                may_be_token68 = false;
            }
            continue;
        }
        may_be_token68 = false;
        pieces += 1;
    }
}

/// Where the value of a parameter begins whose name ended at `end`; `None` where no `=` follows,
/// or where it is the padding of a token68.
fn value_start(field: &[u8], end: usize) -> Option<usize> {
    let equals = skip_blanks(field, end);
    if field.get(equals) != Some(&b'=') {
        return None;
    }
    let start = skip_blanks(field, equals + 1);
    match field.get(start) {
        None | Some(b'=' | b',') => None,
        Some(_) => Some(start),
    }
}

fn value(field: &[u8], start: usize) -> (&[u8], usize) {
    if field[start] == b'"' { quoted(field, start) } else { unquoted(field, start) }
}

/// What stands between the quotes from `start`, to the end where the closing quote is missing.
fn quoted(field: &[u8], start: usize) -> (&[u8], usize) {
    let mut at = start + 1;
    while at < field.len() {
        match field[at] {
            b'"' => return (&field[start + 1..at], at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    (&field[start + 1..], field.len())
}

/// A value without quotes ends at a comma, or at a blank that the next parameter follows: some
/// servers send whole sentences so.
fn unquoted(field: &[u8], start: usize) -> (&[u8], usize) {
    let mut at = start;
    while at < field.len() && field[at] != b',' {
        if is_blank(field[at]) {
            let word = skip_blanks(field, at);
            let end = token_end(field, word);
            if end > word && field.get(end) == Some(&b'=') {
                return (&field[start..at], word);
            }
            // The word belongs to the value; going on behind it keeps this linear.
            at = end.max(at + 1);
        } else {
            at += 1;
        }
    }
    (field[start..at].trim_ascii_end(), at)
}

fn skip_blanks(field: &[u8], mut at: usize) -> usize {
    while at < field.len() && is_blank(field[at]) {
        at += 1;
    }
    at
}

fn token_end(field: &[u8], mut at: usize) -> usize {
    while at < field.len() && is_token(field[at]) {
        at += 1;
    }
    at
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 9110 5.6.2 `tchar`, and `/` and `:` for token68 and for addresses without quotes.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
                | b'/'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut pieces = Vec::new();
        read_challenges(field.as_bytes(), |piece| {
            pieces.push(match piece {
                Piece::Scheme(scheme) => format!("<{}>", text(scheme)),
                Piece::Parameter(name, value) => format!("{}={}", text(name), text(value)),
                Piece::Bare(value) => format!("'{}'", text(value)),
            });
        });
        pieces
    }

    #[test]
    fn n13_every_form_of_challenge_is_read() {
        let table: &[(&str, &[&str])] = &[
            ("Bearer", &["<Bearer>"]),
            ("Bearer realm=\"example\"", &["<Bearer>", "realm=example"]),
            ("bearer realm=\"a\",error=\"invalid_token\"", &["<bearer>", "realm=a", "error=invalid_token"]),
            ("Bearer error=invalid_token", &["<Bearer>", "error=invalid_token"]),
            ("Bearer error = \"invalid_token\"", &["<Bearer>", "error=invalid_token"]),
            ("Bearer scope=\"\" error=\"invalid_token\"", &["<Bearer>", "scope=", "error=invalid_token"]),
            ("Bearer realm=\"a, b\", error=\"x\"", &["<Bearer>", "realm=a, b", "error=x"]),
            ("Bearer realm=\"a \\\"b\\\", c\", error=\"x\"", &["<Bearer>", "realm=a \\\"b\\\", c", "error=x"]),
            (
                "Negotiate, Basic realm=\"corp, intranet\", Bearer error=\"x\"",
                &["<Negotiate>", "<Basic>", "realm=corp, intranet", "<Bearer>", "error=x"],
            ),
            ("Negotiate YII+/a==, Bearer error=\"x\"", &["<Negotiate>", "<Bearer>", "error=x"]),
            ("NTLM TlRMTVNTUAAC, Bearer error=\"x\"", &["<NTLM>", "<Bearer>", "error=x"]),
            (
                "Bearer error=invalid_token, error_description=The token expired",
                &["<Bearer>", "error=invalid_token", "error_description=The token expired"],
            ),
            (
                "Bearer error_description=The token expired error=invalid_token",
                &["<Bearer>", "error_description=The token expired", "error=invalid_token"],
            ),
            (
                "OAuth \"Facebook Platform\" \"invalid_token\" \"Session, has expired\"",
                &["<OAuth>", "'Facebook Platform'", "'invalid_token'", "'Session, has expired'"],
            ),
            ("Bearer error=\"open", &["<Bearer>", "error=open"]),
            ("Bearer error=\"open\\", &["<Bearer>", "error=open\\"]),
            ("error=\"invalid_token\"", &["error=invalid_token"]),
            (",,, ,Bearer,,", &["<Bearer>"]),
            ("Bearer,", &["<Bearer>"]),
            (
                "Bearer error=\"invalid_token\"DPoP algs=\"ES256\"",
                &["<Bearer>", "error=invalid_token", "<DPoP>", "algs=ES256"],
            ),
            ("Bearer max_age=900", &["<Bearer>", "max_age=900"]),
            ("Bearer\terror=\"x\"", &["<Bearer>", "error=x"]),
            (
                "Bearer resource_metadata=https://a.example/x, error=x",
                &["<Bearer>", "resource_metadata=https://a.example/x", "error=x"],
            ),
            ("", &[]),
            ("   ", &[]),
            ("=", &[]),
            ("\"", &["''"]),
            ("Bearer error=,scope=a", &["<Bearer>", "scope=a"]),
        ];
        for (field, expected) in table {
            assert_eq!(read(field), *expected, "{field}");
        }
    }

    #[test]
    fn a_hostile_field_is_cut_off() {
        let field = format!("Bearer {}", "a=b,".repeat(1_000_000));
        assert_eq!(read(&field).len(), CHALLENGE_PARAMETERS_MAX);
        let sentence = format!("Bearer a={}", "word ".repeat(1_000_000));
        assert_eq!(read(&sentence).len(), 2);
    }
}
