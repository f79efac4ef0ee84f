//! From `/GRANT/PATH` to the grant and the address at its one upstream. Nothing is normalised:
//! what could be read in two ways is refused (F63).

use super::answer::Failure;
use http::{StatusCode, Uri};
use outlast::{Code, GrantId};

/// How often percent-encoding is undone to look for what it hides.
const DECODINGS_MAX: usize = 3;

/// Splits a request's path into the grant and the rest, which starts with `/` or is empty.
pub(crate) fn split(path: &str) -> Result<(GrantId, &str), Failure> {
    let Some(inner) = path.strip_prefix('/') else { return Err(refused("the path does not start with '/'")) };
    let (name, rest) = inner.split_at(inner.find('/').unwrap_or(inner.len()));
    match GrantId::parse(name) {
        Ok(id) => Ok((id, rest)),
        Err(_) => Err(unknown_grant()),
    }
}

/// The path names no grant that is configured.
pub(crate) fn unknown_grant() -> Failure {
    Failure {
        status: StatusCode::NOT_FOUND,
        code: Code::GrantUnknown,
        detail: "the path does not begin with the name of a configured grant: ask for /GRANT/PATH; see: outlast status"
            .to_owned(),
        retry_after: None,
    }
}

/// The address at `upstream` for the rest of a path and its query.
pub(crate) fn target(upstream: &Uri, rest: &str, query: Option<&str>) -> Result<Uri, Failure> {
    check_path(rest)?;
    let prefix = upstream.path().trim_end_matches('/');
    let path = match (prefix, rest) {
        ("", "") => "/".to_owned(),
        (prefix, rest) => format!("{prefix}{rest}"),
    };
    let path_and_query = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = http::uri::Parts::default();
    parts.scheme = upstream.scheme().cloned();
    parts.authority = upstream.authority().cloned();
    parts.path_and_query = path_and_query.parse().ok();
    Uri::from_parts(parts).map_err(|_| refused("the path cannot be part of an address"))
}

/// Refuses a path that an upstream might take for another one.
fn check_path(path: &str) -> Result<(), Failure> {
    if path.contains('#') {
        return Err(refused("the path has a fragment in it"));
    }
    let mut decoded = path.as_bytes().to_vec();
    check_segments(&decoded)?;
    for _ in 0..DECODINGS_MAX {
        let next = decode(&decoded)?;
        if next == decoded {
            return Ok(());
        }
        decoded = next;
        check_segments(&decoded)?;
    }
    Err(refused("the path is percent-encoded too many times"))
}

fn check_segments(path: &[u8]) -> Result<(), Failure> {
    if path.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\') {
        return Err(refused("the path has a backslash or a control character in it, plain or encoded"));
    }
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let dots = |segment: &&[u8]| {
        // Some servers cut parameters off before they look at dots: `..;x` climbs there.
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    };
    if segments.iter().any(dots) {
        return Err(refused("the path has a '.' or '..' segment in it, plain or encoded"));
    }
    // The first is empty because the path starts with '/', the last where it ends with one.
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    if inner.iter().any(|segment| segment.is_empty()) {
        return Err(refused("the path has an empty segment ('//') in it, plain or encoded"));
    }
    Ok(())
}

/// Undoes one layer of percent-encoding. After the first layer a lone `%` is ordinary text.
fn decode(path: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).map_err(|_| refused("the path is not encoded well"))?);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = tail;
            }
        }
    }
    Ok(decoded)
}

fn refused(detail: &'static str) -> Failure {
    Failure::request(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(upstream: &str, path: &str, query: Option<&str>) -> Result<String, u16> {
        let (_, rest) = split(path).map_err(|failure| failure.status.as_u16())?;
        let target = target(&upstream.parse().unwrap(), rest, query);
        target.map(|uri| uri.to_string()).map_err(|failure| failure.status.as_u16())
    }

    #[test]
    fn a_grants_path_leads_to_its_one_upstream() {
        let table = [
            ("https://api.example.com/", "/crm/v1/items", None, "https://api.example.com/v1/items"),
            (
                "https://api.example.com/",
                "/crm/v1/items/",
                Some("a=/../b&c"),
                "https://api.example.com/v1/items/?a=/../b&c",
            ),
            ("https://api.example.com/", "/crm", None, "https://api.example.com/"),
            ("https://api.example.com/", "/crm/", None, "https://api.example.com/"),
            ("https://api.example.com/", "/crm", Some("x=1"), "https://api.example.com/?x=1"),
            ("https://api.example.com/base", "/crm/x", None, "https://api.example.com/base/x"),
            ("https://api.example.com/base", "/crm", None, "https://api.example.com/base"),
            ("https://api.example.com/base/", "/crm/", None, "https://api.example.com/base/"),
            ("http://127.0.0.1:9/", "/crm/@evil.example/", None, "http://127.0.0.1:9/@evil.example/"),
            ("https://api.example.com/", "/crm/a%20b/c%2Fd", None, "https://api.example.com/a%20b/c%2Fd"),
            ("https://api.example.com/", "/crm/100%25", None, "https://api.example.com/100%25"),
            ("https://api.example.com/", "/crm/a;v=1/b", None, "https://api.example.com/a;v=1/b"),
            ("https://api.example.com/", "/crm/...", None, "https://api.example.com/..."),
            ("https://api.example.com/", "/crm/.well-known/x..y", None, "https://api.example.com/.well-known/x..y"),
        ];
        for (upstream, path, query, wanted) in table {
            assert_eq!(to(upstream, path, query).as_deref(), Ok(wanted), "{path}");
        }
    }

    #[test]
    fn f63_paths_that_could_be_read_in_two_ways_are_refused() {
        for path in [
            "/crm/../x",
            "/crm/..",
            "/crm/a/./b",
            "/crm/%2e%2e/x",
            "/crm/%2E%2e/x",
            "/crm/.%2e/x",
            "/crm/%2e%2e%2fx",
            "/crm/a%2f..%2fb",
            "/crm/%252e%252e/x",
            "/crm/%25252e%25252e/x",
            "/crm/..;/x",
            "/crm/..;a=b/x",
            "/crm/..%3b/x",
            "/crm/a\\b",
            "/crm/a%5cb",
            "/crm/a%255cb",
            "/crm/%00",
            "/crm/a%2500b",
            "/crm/a%0d%0aX-Evil:1",
            "/crm/a%7f",
            "/crm//evil.example/x",
            "/crm/a//b",
            "/crm/a%2f%2fb",
            "/crm/a#b",
            "/crm/%2525252525",
        ] {
            assert_eq!(to("https://api.example.com/", path, None), Err(400), "{path}");
        }
    }

    #[test]
    fn what_names_no_grant_is_not_found() {
        for path in ["/", "//x", "/../x", "/%63rm/x", "/crm%2fx", "/-x/y", "/a b/c"] {
            assert_eq!(to("https://api.example.com/", path, None), Err(404), "{path}");
        }
    }
}

#[cfg(test)]
mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Undoes every layer there is, as the most eager server might.
    fn fully_decoded(path: &str) -> Vec<u8> {
        let mut decoded = path.as_bytes().to_vec();
        loop {
            let next = decode(&decoded).unwrap();
            if next == decoded {
                return decoded;
            }
            decoded = next;
        }
    }

    proptest! {
        #[test]
        fn f63_no_accepted_path_climbs_however_often_it_is_decoded(
            parts in proptest::collection::vec(
                proptest::sample::select(vec!["/", ".", "..", "%2e", "%252e", "%2f", "%5c", "\\", ";", "a", "%", "25", "%00", "#"]),
                0..12,
            ),
        ) {
            let rest = format!("/{}", parts.concat());
            let upstream: Uri = "https://api.example.com/base".parse().unwrap();
            if let Ok(target) = target(&upstream, &rest, None) {
                prop_assert_eq!(target.authority().map(|a| a.as_str()), Some("api.example.com"));
                prop_assert_eq!(target.path(), format!("/base{rest}"));
                let decoded = fully_decoded(&rest);
                prop_assert!(!decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'));
                let climbs = decoded.split(|byte| *byte == b'/').any(|segment| {
                    matches!(segment.split(|byte| *byte == b';').next().unwrap(), b"." | b"..")
                });
                prop_assert!(!climbs, "{}", rest);
            }
        }
    }
}
