//! What a request has to be before it is routed: one that was made for this proxy by a program on
//! this machine, and not by a web page or for another server.

use super::answer::Failure;
use http::header::{HOST, HeaderName, ORIGIN, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Version, request};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks a request's head; `port` is where the proxy listens.
pub(crate) fn check(head: &request::Parts, port: u16) -> Result<(), Failure> {
    if head.method == Method::CONNECT {
        return Err(refuse(StatusCode::NOT_IMPLEMENTED, "this proxy opens no tunnels: ask for /GRANT/PATH instead"));
    }
    check_target(head)?;
    check_host(head, port)?;
    check_page(&head.headers, port)?;
    check_upgrade(&head.headers)
}

fn check_target(head: &request::Parts) -> Result<(), Failure> {
    // HTTP/2 always names scheme and authority; in HTTP/1 that is a request to a forward proxy.
    let absolute = head.version < Version::HTTP_2 && (head.uri.scheme().is_some() || head.uri.authority().is_some());
    if absolute {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "this is no forward proxy: use http://127.0.0.1:PORT/GRANT/PATH as the base address, not as HTTP proxy",
        ));
    }
    if !head.uri.path().starts_with('/') {
        return Err(refuse(StatusCode::BAD_REQUEST, "the request names no path: ask for /GRANT/PATH"));
    }
    Ok(())
}

/// Only names of loopback that nobody else can claim: a page that points its own name here is
/// refused by it. The route is never chosen by it (F62).
fn check_host(head: &request::Parts, port: u16) -> Result<(), Failure> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.as_bytes()),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(refuse(StatusCode::BAD_REQUEST, "the request has two Host fields")),
    };
    let authority = head.uri.authority().map(Authority::as_str).map(str::as_bytes);
    let stranger = [named, authority].into_iter().flatten().any(|host| !is_ours(host, port));
    if stranger || (named.is_none() && authority.is_none()) {
        return Err(refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "the request is for another host: address this proxy as 127.0.0.1, localhost or [::1]",
        ));
    }
    Ok(())
}

fn is_ours(host: &[u8], port: u16) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let names = ["127.0.0.1", "localhost", "[::1]"];
    names.iter().any(|name| {
        let Some(rest) = host.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)) else { return false };
        match &host[rest.len()..] {
            "" => true,
            suffix => suffix.strip_prefix(':').is_some_and(|digits| digits == port.to_string()),
        }
    })
}

/// Browsers say on whose behalf they ask. No page is served here, so no page may ask.
fn check_page(headers: &HeaderMap, port: u16) -> Result<(), Failure> {
    let own = |origin: &[u8]| origin.strip_prefix(b"http://").is_some_and(|host| is_ours(host, port));
    let foreign_origin = headers.get_all(ORIGIN).iter().any(|origin| !own(origin.as_bytes()));
    let sites = headers.get_all(SEC_FETCH_SITE);
    let foreign_site = sites.iter().any(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"));
    if foreign_origin || foreign_site {
        return Err(refuse(StatusCode::FORBIDDEN, "web pages may not use this proxy"));
    }
    Ok(())
}

fn check_upgrade(headers: &HeaderMap) -> Result<(), Failure> {
    let asks = headers.get_all(UPGRADE).iter().any(|protocols| {
        // An offer to speak HTTP/2 may be ignored (RFC 9110 7.8); some clients always make it.
        let offers = protocols.to_str().unwrap_or("?").split(',').map(str::trim);
        offers.into_iter().any(|offer| !offer.eq_ignore_ascii_case("h2c"))
    });
    if asks {
        return Err(refuse(
            StatusCode::NOT_IMPLEMENTED,
            "this proxy does not pass WebSocket or other upgrades on: use plain HTTP or server-sent events",
        ));
    }
    Ok(())
}

fn refuse(status: StatusCode, detail: &'static str) -> Failure {
    Failure::request(status, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn status(request: http::request::Builder) -> Option<u16> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head, 7788).err().map(|failure| failure.status.as_u16())
    }

    fn get(host: &str) -> http::request::Builder {
        Request::get("/crm/x").header("host", host)
    }

    #[test]
    fn f62_only_our_own_names_are_answered() {
        for host in ["127.0.0.1:7788", "127.0.0.1", "localhost:7788", "LocalHost", "[::1]:7788", "[::1]"] {
            assert_eq!(status(get(host)), None, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "localhost.:7788",
            "localhost.evil.example:7788",
            "127.0.0.1:7789",
            "127.0.0.1:",
            "127.0.0.1:07788",
            "127.0.0.1:7788:7788",
            "127.0.0.2:7788",
            "0.0.0.0:7788",
            "[::ffff:127.0.0.1]:7788",
            "::1",
            "127.1",
            "2130706433",
            "user@127.0.0.1:7788",
            "xn--lcalhost-54a:7788",
        ] {
            assert_eq!(status(get(host)), Some(421), "{host}");
        }
        assert_eq!(status(Request::get("/crm/x")), Some(421));
        assert_eq!(status(get("127.0.0.1").header("host", "127.0.0.1")), Some(400));
    }

    #[test]
    fn f62_absolute_targets_and_tunnels_are_refused() {
        let absolute = Request::get("http://127.0.0.1:7788/crm/x").header("host", "127.0.0.1:7788");
        assert_eq!(status(absolute), Some(400));
        let asterisk = Request::builder().method("OPTIONS").uri("*").header("host", "127.0.0.1:7788");
        assert_eq!(status(asterisk), Some(400));
        let tunnel = Request::builder().method("CONNECT").uri("api.example.com:443").header("host", "127.0.0.1:7788");
        assert_eq!(status(tunnel), Some(501));
    }

    #[test]
    fn http2_names_its_authority_and_that_has_to_be_ours() {
        let h2 = |uri: &str| Request::get(uri).version(Version::HTTP_2);
        assert_eq!(status(h2("http://127.0.0.1:7788/crm/x")), None);
        assert_eq!(status(h2("http://evil.example/crm/x")), Some(421));
        assert_eq!(status(h2("http://127.0.0.1:7788/crm/x").header("host", "evil.example")), Some(421));
    }

    #[test]
    fn web_pages_are_refused_and_programs_are_not() {
        let ours = || get("127.0.0.1:7788");
        assert_eq!(status(ours().header("origin", "https://evil.example")), Some(403));
        assert_eq!(status(ours().header("origin", "null")), Some(403));
        assert_eq!(status(ours().header("origin", "http://localhost:3000")), Some(403));
        assert_eq!(status(ours().header("sec-fetch-site", "cross-site")), Some(403));
        assert_eq!(status(ours().header("sec-fetch-site", "same-site")), Some(403));
        assert_eq!(status(ours().header("sec-fetch-site", "none")), None);
        assert_eq!(status(ours().header("origin", "http://127.0.0.1:7788")), None);
    }

    #[test]
    fn f68_upgrades_are_refused_except_the_idle_offer_of_http2() {
        let ours = || get("127.0.0.1:7788").header("connection", "upgrade");
        assert_eq!(status(ours().header("upgrade", "websocket")), Some(501));
        assert_eq!(status(ours().header("upgrade", "h2c, websocket")), Some(501));
        assert_eq!(status(ours().header("upgrade", "h2c")), None);
    }
}
