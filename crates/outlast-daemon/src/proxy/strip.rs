//! Removes what is meant for the next hop only, and every credential, before one is set (N54, F65, F66).

use super::admit::X_API_KEY;
use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRANSFER_ENCODING, UPGRADE,
};
use outlast::middleware::{OUTLAST_CODE, OUTLAST_REPLAY};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const ALT_SVC: HeaderName = HeaderName::from_static("alt-svc");

/// Of one connection only (RFC 9110 7.6.1), whether named in Connection or not.
static HOP_BY_HOP: [HeaderName; 7] =
    [CONNECTION, HTTP2_SETTINGS, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];

/// Of the client alone: its credentials, what it says of the way here, and what is answered here.
static OF_THE_CLIENT: [HeaderName; 13] = [
    AUTHORIZATION,
    COOKIE,
    // A proof of a key of the client's own.
    HeaderName::from_static("dpop"),
    // The client is told to go on as soon as the body is wanted.
    EXPECT,
    FORWARDED,
    // Set anew from the upstream's address.
    HOST,
    OUTLAST_CODE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("via"),
    X_API_KEY,
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-rewrite-url"),
];
/// Beginning of the fields that claim where a request came from.
const FORWARDING: &str = "x-forwarded-";

/// Marks an answer that was recorded earlier and is given again.
pub(crate) const OUTLAST_REPLAYED: HeaderName = HeaderName::from_static("outlast-replayed");

/// Of the upstream alone. Cookies and the promise of https would hold for every port of this
/// machine, and another service named here would be reached around this proxy.
static OF_THE_UPSTREAM: [HeaderName; 6] =
    [ALT_SVC, OUTLAST_CODE, OUTLAST_REPLAYED, PROXY_AUTHENTICATE, SET_COOKIE, STRICT_TRANSPORT_SECURITY];

/// Strips a request's fields, `own` among them: the one that is to carry the grant's token. What is
/// set afterwards cannot be removed by them.
pub(crate) fn request(headers: &mut HeaderMap, own: &HeaderName) {
    let trailers = takes_trailers(headers);
    // Named in Connection or not, this mark is ours and has to arrive: it forbids a second send.
    let replay = headers.get(OUTLAST_REPLAY).cloned();
    remove_named_in_connection(headers);
    remove(headers, &HOP_BY_HOP);
    remove(headers, &OF_THE_CLIENT);
    headers.remove(own);
    remove_twins(headers, own);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(replay) = replay {
        headers.insert(OUTLAST_REPLAY, replay);
    }
}

/// Strips a response's fields.
pub(crate) fn response(headers: &mut HeaderMap) {
    remove_named_in_connection(headers);
    remove(headers, &HOP_BY_HOP);
    remove(headers, &OF_THE_UPSTREAM);
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let members = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    members.into_iter().any(|member| member.trim().eq_ignore_ascii_case("trailers"))
}

fn remove_named_in_connection(headers: &mut HeaderMap) {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    // What frames the body is no hop-by-hop field, whoever says so: removing it would change where
    // the message ends.
    remove(headers, &named.into_iter().filter(|name| *name != CONTENT_LENGTH).collect::<Vec<_>>());
}

/// Some servers read `x_api_key` as `x-api-key`: what may not pass under its name may not pass
/// under that one either. The same goes for all fields that frame the message.
fn remove_twins(headers: &mut HeaderMap, own: &HeaderName) {
    let own = own.as_str().replace('_', "-");
    let banned = |name: &HeaderName| {
        let plain = name.as_str().replace('_', "-");
        let twin = plain != name.as_str();
        let known = |list: &[HeaderName]| list.iter().any(|banned| banned.as_str() == plain);
        plain.starts_with(FORWARDING)
            || plain == own
            || twin && (known(&HOP_BY_HOP) || known(&OF_THE_CLIENT) || plain == CONTENT_LENGTH.as_str())
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| banned(name)).cloned().collect();
    remove(headers, &names);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn n54_f65_f66_no_hop_by_hop_field_and_no_credential_passes() {
        let mut sent = headers(&[
            ("accept", "*/*"),
            ("authorization", "Bearer local"),
            ("connection", "close, x-hop, authorization"),
            ("content-length", "3"),
            ("content_length", "9"),
            ("cookie", "a=b"),
            ("expect", "100-continue"),
            ("forwarded", "for=1.2.3.4"),
            ("host", "127.0.0.1:7788"),
            ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            ("keep-alive", "timeout=5"),
            ("outlast-code", "spoofed"),
            ("proxy-authorization", "Basic x"),
            ("proxy_authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("transfer_encoding", "chunked"),
            ("upgrade", "h2c"),
            ("user-agent", "agent"),
            ("x-api-key", "local"),
            ("x_api_key", "local"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "evil.example"),
            ("x_forwarded_host", "evil.example"),
            ("x-hop", "1"),
            ("x-own_field", "kept"),
            ("x-real-ip", "1.2.3.4"),
        ]);
        request(&mut sent, &AUTHORIZATION);
        assert_eq!(names(&sent), ["accept", "content-length", "user-agent", "x-own_field"]);
    }

    #[test]
    fn n54_the_field_that_carries_the_grants_token_does_not_pass_under_any_spelling() {
        let own = HeaderName::from_static("x-vendor-token");
        let mut sent = headers(&[("accept", "*/*"), ("x-vendor-token", "local"), ("x_vendor-token", "local")]);
        request(&mut sent, &own);
        assert_eq!(names(&sent), ["accept"]);
        let own = HeaderName::from_static("vendor_token");
        let mut sent = headers(&[("vendor_token", "local"), ("vendor-token", "local")]);
        request(&mut sent, &own);
        assert!(sent.is_empty(), "{sent:?}");
    }

    #[test]
    fn connection_cannot_remove_the_mark_against_a_second_send_nor_the_length() {
        let mut sent = headers(&[
            ("connection", "outlast-replay, content-length"),
            ("outlast-replay", "never"),
            ("content-length", "3"),
        ]);
        request(&mut sent, &AUTHORIZATION);
        assert_eq!(names(&sent), ["content-length", "outlast-replay"]);
    }

    #[test]
    fn only_the_wish_for_trailers_is_kept_of_te() {
        let mut sent = headers(&[("te", "deflate;q=0.5, trailers"), ("trailer", "x-sum")]);
        request(&mut sent, &AUTHORIZATION);
        assert_eq!(sent.get("te").unwrap(), "trailers");
        assert_eq!(sent.get("trailer").unwrap(), "x-sum");
    }

    #[test]
    fn responses_keep_their_answer_and_lose_what_is_of_the_connection() {
        let mut answer = headers(&[
            ("alt-svc", "h3=\":443\""),
            ("connection", "x-hop"),
            ("content-type", "text/plain"),
            ("location", "https://elsewhere.example/"),
            ("outlast-code", "spoofed"),
            ("outlast-replayed", "spoofed"),
            ("retry-after", "3"),
            ("set-cookie", "a=b"),
            ("strict-transport-security", "max-age=1"),
            ("transfer-encoding", "chunked"),
            ("www-authenticate", "Bearer"),
            ("x-hop", "1"),
        ]);
        response(&mut answer);
        assert_eq!(names(&answer), ["content-type", "location", "retry-after", "www-authenticate"]);
    }
}
