//! Where the browser comes back to: read from the configuration, before anything is bound.

use url::{Host, Url};

/// The path at which an answer is expected where the configuration names no address.
const USUAL_PATH: &str = "/callback";

/// A redirect address, as it is registered at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    /// As it is written.
    registered: String,
    /// Where to listen for it; nothing for an address that is somewhere else.
    pub(super) listen: Option<Listen>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) host: LoopbackHost,
    /// A registered port; any free one where there is none (RFC 8252 7.3).
    pub(super) port: Option<u16>,
    pub(super) path: String,
    query: Option<String>,
}

/// A name of this machine to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopbackHost {
    /// 127.0.0.1, or `::1` on a machine without it: nothing is registered that says which.
    Either,
    /// `localhost`, for servers that insist on it: both families, for which one a browser takes is its own affair.
    Name,
    /// 127.0.0.1.
    V4,
    /// `::1`.
    V6,
}

impl Redirect {
    /// The configured address, or `http://127.0.0.1/callback` on any port.
    pub(super) fn read(configured: Option<&str>) -> Result<Self, String> {
        let Some(address) = configured else {
            let listen = Listen { host: LoopbackHost::Either, port: None, path: USUAL_PATH.to_owned(), query: None };
            return Ok(Self { registered: format!("http://127.0.0.1{USUAL_PATH}"), listen: Some(listen) });
        };
        let wrong = || "its redirect_uri is neither http on loopback nor https: correct it".to_owned();
        let url = Url::parse(address).map_err(|_| wrong())?;
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err("its redirect_uri has a fragment or credentials in it: remove them".to_owned());
        }
        let host = match (url.scheme(), url.host()) {
            ("https", Some(_)) => return Ok(Self { registered: address.to_owned(), listen: None }),
            ("http", Some(Host::Domain("localhost"))) => LoopbackHost::Name,
            ("http", Some(Host::Ipv4(ip))) if ip.is_loopback() && ip.octets() == [127, 0, 0, 1] => LoopbackHost::V4,
            ("http", Some(Host::Ipv6(ip))) if ip.is_loopback() => LoopbackHost::V6,
            _ => return Err(wrong()),
        };
        let query = url.query().map(str::to_owned);
        let listen = Listen { host, port: url.port(), path: url.path().to_owned(), query };
        Ok(Self { registered: address.to_owned(), listen: Some(listen) })
    }

    /// The address without a listener: as it is registered.
    pub(super) fn registered(&self) -> &str {
        &self.registered
    }

    /// The address with the port that was bound. One that is registered with its port stays as it
    /// is, character for character.
    pub(super) fn at(&self, listen: &Listen, bound: u16, v6: bool) -> String {
        if listen.port.is_some() {
            return self.registered.clone();
        }
        let host = match listen.host {
            LoopbackHost::Name => "localhost",
            LoopbackHost::Either | LoopbackHost::V4 | LoopbackHost::V6 if v6 => "[::1]",
            LoopbackHost::Either | LoopbackHost::V4 | LoopbackHost::V6 => "127.0.0.1",
        };
        let query = listen.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("http://{host}:{bound}{}{query}", listen.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n16_the_usual_place_is_the_literal_of_loopback_and_any_port() {
        let usual = Redirect::read(None).unwrap();
        assert_eq!(usual.registered(), "http://127.0.0.1/callback");
        let listen = usual.listen.as_ref().unwrap();
        assert_eq!(usual.at(listen, 4711, false), "http://127.0.0.1:4711/callback");
        assert_eq!(usual.at(listen, 4711, true), "http://[::1]:4711/callback");
    }

    #[test]
    fn n16_localhost_and_fixed_ports_are_taken_as_they_are_registered() {
        let fixed = Redirect::read(Some("http://localhost:8765")).unwrap();
        let listen = fixed.listen.as_ref().unwrap();
        assert_eq!((listen.host, listen.port, listen.path.as_str()), (LoopbackHost::Name, Some(8765), "/"));
        assert_eq!(fixed.at(listen, 8765, false), "http://localhost:8765");
        let free = Redirect::read(Some("http://localhost/cb?x=1")).unwrap();
        assert_eq!(free.at(free.listen.as_ref().unwrap(), 9, false), "http://localhost:9/cb?x=1");
    }

    #[test]
    fn nothing_listens_for_an_address_that_is_elsewhere() {
        assert_eq!(Redirect::read(Some("https://app.example/cb")).unwrap().listen, None);
        for address in ["", "x", "http://app.example/cb", "http://0.0.0.0/cb", "app:/cb", "http://127.0.0.1/cb#x"] {
            assert!(Redirect::read(Some(address)).is_err(), "{address}");
        }
    }
}
