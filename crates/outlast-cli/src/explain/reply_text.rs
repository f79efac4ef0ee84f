//! Reads a reply as `curl -i` prints it: status line, header, blank line, body.
//!
//! There may be several heads: `100 Continue`, a proxy's `200 Connection established`, redirects
//! that were followed, challenges that were answered. The last one counts.

use super::case::{STATUSES, add_field};
use http::HeaderMap;

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct ReplyText<'a> {
    /// The status of the last head.
    pub(crate) status: u16,
    /// Its fields.
    pub(crate) headers: HeaderMap,
    /// What follows it.
    pub(crate) body: &'a [u8],
}

/// Why a text is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// There is nothing.
    Empty,
    /// It is a talk of `curl -v`.
    Verbose,
    /// It does not begin with a status line.
    WithoutStatusLine,
}

impl NoReply {
    /// What is wrong, in words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Empty => "there is no reply on standard input",
            Self::Verbose => "standard input holds what curl -v says, not a reply",
            Self::WithoutStatusLine => {
                "standard input does not begin with a status line such as HTTP/1.1 401 Unauthorized"
            }
        }
    }
}

/// Reads the reply.
pub(crate) fn read_reply_text(input: &[u8]) -> Result<ReplyText<'_>, NoReply> {
    let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input).trim_ascii_start();
    let first = split_line(input).0;
    let mut status = status_of(first).ok_or(match first {
        [] => NoReply::Empty,
        [b'*' | b'<' | b'>', b' ', ..] => NoReply::Verbose,
        [..] => NoReply::WithoutStatusLine,
    })?;
    let mut rest = split_line(input).1;
    loop {
        let mut headers = HeaderMap::new();
        rest = read_fields(rest, &mut headers);
        // Between two heads some versions leave further blank lines.
        let next = rest.trim_ascii_start();
        let (line, behind) = split_line(next);
        match status_of(line) {
            Some(later) => (status, rest) = (later, behind),
            None => return Ok(ReplyText { status, headers, body: rest }),
        }
    }
}

/// Reads fields up to the blank line; gives what lies behind it.
fn read_fields<'a>(mut rest: &'a [u8], headers: &mut HeaderMap) -> &'a [u8] {
    let mut field: Option<(String, Vec<u8>)> = None;
    let mut keep = |field: Option<(String, Vec<u8>)>| {
        if let Some((name, value)) = field {
            add_field(headers, &name, &value);
        }
    };
    while !rest.is_empty() {
        let (line, behind) = split_line(rest);
        rest = behind;
        if line.is_empty() {
            break;
        }
        // RFC 9112 5.2: a line that begins with a blank goes on with the field before it.
        if line[0].is_ascii_whitespace() {
            if let Some((_, value)) = &mut field {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            continue;
        }
        keep(field.take());
        let colon = line.iter().position(|byte| *byte == b':');
        field = colon.map(|at| (String::from_utf8_lossy(&line[..at]).into_owned(), line[at + 1..].to_vec()));
    }
    keep(field);
    rest
}

/// `HTTP/1.1 401 Unauthorized`, `HTTP/2 401`.
fn status_of(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.get(..64).unwrap_or(line)).ok()?;
    let (version, rest) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    let versioned = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let digits = rest.trim_start().split(' ').next().filter(|digits| digits.len() == 3)?;
    digits.parse().ok().filter(|status| versioned && STATUSES.contains(status))
}

/// The first line without its end, and what lies behind it.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, behind) = end.map_or((text, &[][..]), |end| (&text[..end], &text[end + 1..]));
    (line.strip_suffix(b"\r").unwrap_or(line), behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (u16, Vec<String>, String) {
        let reply = read_reply_text(text.as_bytes()).unwrap();
        let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}={}", String::from_utf8_lossy(value.as_bytes()))
        };
        let fields = reply.headers.iter().map(field).collect();
        (reply.status, fields, String::from_utf8_lossy(reply.body).into_owned())
    }

    #[test]
    fn every_version_and_line_end_is_read() {
        for start in ["HTTP/1.0 401 No", "HTTP/1.1 401 Unauthorized", "HTTP/1.1 401", "HTTP/2 401 ", "HTTP/3 401"] {
            for end in ["\n", "\r\n"] {
                let text = [start, "A: b", "", "body\nmore"].join(end);
                assert_eq!(read(&text), (401, vec!["a=b".to_owned()], "body\nmore".to_owned()), "{text:?}");
            }
        }
    }

    #[test]
    fn the_last_head_counts() {
        let before = [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n",
            "HTTP/2 302\r\nlocation: https://a.example/\r\n\r\n",
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 301 Moved\nA: b\n\n\n",
        ];
        for head in before {
            let text = format!("{head}HTTP/2 403 \r\nb: c\r\n\r\n{{}}");
            assert_eq!(read(&text), (403, vec!["b=c".to_owned()], "{}".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_body_that_speaks_of_http_is_a_body() {
        let text = "HTTP/1.1 502 Bad\n\nHTTP/1.1 is what we speak";
        assert_eq!(read(text), (502, Vec::new(), "HTTP/1.1 is what we speak".to_owned()));
    }

    #[test]
    fn folded_fields_and_heads_without_an_end_are_read() {
        let text = "HTTP/1.1 401 x\nWWW-Authenticate: Bearer\n  error=\"invalid_token\"\nno field\nB: c";
        let fields = vec!["www-authenticate=Bearer error=\"invalid_token\"".to_owned(), "b=c".to_owned()];
        assert_eq!(read(text), (401, fields, String::new()));
    }

    #[test]
    fn what_is_no_reply_is_told_apart() {
        let table = [
            ("", NoReply::Empty),
            (" \r\n\n", NoReply::Empty),
            ("* Host a.example was resolved", NoReply::Verbose),
            ("> GET / HTTP/1.1", NoReply::Verbose),
            ("{\"error\":\"invalid_token\"}", NoReply::WithoutStatusLine),
            ("HTTP/1.1 099 x", NoReply::WithoutStatusLine),
            ("HTTP/ 401", NoReply::WithoutStatusLine),
            ("HTTP/1.1 4010", NoReply::WithoutStatusLine),
        ];
        for (text, why) in table {
            assert_eq!(read_reply_text(text.as_bytes()).unwrap_err(), why, "{text:?}");
        }
    }
}
