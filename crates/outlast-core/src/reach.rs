//! Which part of the network an address that came from a stranger's document may be in (RFC 9728 7.7).
//!
//! A document that names an address makes us send a request there. One that was fetched from the
//! open internet may not make us send one to the router, the neighbour or the machine itself.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Which part of the network an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Loopback,
    /// Nowhere a server of ours can be: link-local (where clouds hand out the machine's own
    /// credentials), multicast, unspecified, documentation, reserved.
    Nowhere,
    /// In a network of one's own: RFC 1918, carrier-grade NAT, unique local.
    Private,
    /// On the open internet.
    Public,
}

/// Where requests may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Wherever: a person configured the address.
    #[default]
    Anywhere,
    /// The open internet, and this machine: what named the address is on it itself.
    Loopback,
    /// The open internet, and networks of one's own: what named the address is in one itself.
    Private,
    /// The open internet alone.
    Public,
}

impl Reach {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Anywhere, Self::Loopback, Self::Private, Self::Public];

    /// The name it has in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.as_str() == name)
    }

    /// How far the documents of a server at `address` reach: to the open internet, and to the part
    /// of the network that the server is in.
    pub fn of(address: IpAddr) -> Self {
        match place(address) {
            Place::Loopback => Self::Loopback,
            Place::Private => Self::Private,
            Place::Nowhere | Place::Public => Self::Public,
        }
    }

    /// Whether a connection may be made to `address`.
    pub fn allows(self, address: IpAddr) -> bool {
        match (self, place(address)) {
            (Self::Anywhere, _) | (_, Place::Public) => true,
            (_, Place::Nowhere) => false,
            (Self::Loopback, there) => there == Place::Loopback,
            (Self::Private, there) => there == Place::Private,
            (Self::Public, Place::Loopback | Place::Private) => false,
        }
    }

    /// Whether the address itself rules the host out, before any name is resolved. A host that is a
    /// name passes here, for a name says nothing; its addresses are judged when they are known.
    pub fn allows_host(self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) => self.allows(address.into()),
            Some(Host::Ipv6(address)) => self.allows(address.into()),
            Some(Host::Domain(name)) if is_this_machine(name) => self.allows(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }
}

/// `localhost` and what is below it (RFC 6761 6.3).
fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Which part of the network `address` is in (the registries of RFC 6890). An IPv4 address inside an
/// IPv6 one counts as itself.
pub fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => place_v4(inner),
            None => place_v6(address),
        },
    }
}

fn place_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        [127, ..] => Place::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Place::Private,
        // This network, link-local, IETF assignments, documentation, the old 6to4 relays,
        // benchmarks, multicast and all that is reserved, broadcast included.
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Place::Nowhere,
        [192, 88, 99, _] | [198, 18 | 19, ..] | [224..=255, ..] => Place::Nowhere,
        _ => Place::Public,
    }
}

fn place_v6(address: Ipv6Addr) -> Place {
    if address.is_loopback() {
        return Place::Loopback;
    }
    match address.segments() {
        // Unique local, and the site-local that came before it.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Place::Private,
        // IETF assignments (Teredo among them) and documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Place::Nowhere,
        // Nothing else has been given out (RFC 4291 2.4).
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Nowhere,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (RFC 6052), 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Spellings of addresses, and the part of the network they are in.
    const SPELLINGS: &[(&str, Place)] = &[
        ("127.0.0.1", Place::Loopback),
        ("127.1", Place::Loopback),
        ("127.255.255.254", Place::Loopback),
        ("2130706433", Place::Loopback),
        ("0x7f000001", Place::Loopback),
        ("0x7F.1", Place::Loopback),
        ("0177.0.0.1", Place::Loopback),
        ("017700000001", Place::Loopback),
        ("127.0.0.1.", Place::Loopback),
        ("%31%32%37.0.0.1", Place::Loopback),
        ("１２７.0.0.1", Place::Loopback),
        ("127。0。0。1", Place::Loopback),
        ("[::1]", Place::Loopback),
        ("[0:0:0:0:0:0:0:1]", Place::Loopback),
        ("[::ffff:127.0.0.1]", Place::Loopback),
        ("[::ffff:7f00:1]", Place::Loopback),
        ("[64:ff9b::7f00:1]", Place::Loopback),
        ("[2002:7f00:1::]", Place::Loopback),
        ("10.0.0.1", Place::Private),
        ("10.1", Place::Private),
        ("0xa000001", Place::Private),
        ("172.16.0.1", Place::Private),
        ("172.31.255.255", Place::Private),
        ("192.168.0.1", Place::Private),
        ("3232235521", Place::Private),
        ("100.64.0.1", Place::Private),
        ("[fc00::1]", Place::Private),
        ("[fd12:3456::1]", Place::Private),
        ("[fec0::1]", Place::Private),
        ("[::ffff:192.168.0.1]", Place::Private),
        ("[64:ff9b::a00:1]", Place::Private),
        ("[2002:c0a8:1::1]", Place::Private),
        ("0.0.0.0", Place::Nowhere),
        ("0", Place::Nowhere),
        ("169.254.169.254", Place::Nowhere),
        ("0xa9fea9fe", Place::Nowhere),
        ("[::ffff:169.254.169.254]", Place::Nowhere),
        ("[::]", Place::Nowhere),
        ("[::127.0.0.1]", Place::Nowhere),
        ("[fe80::1]", Place::Nowhere),
        ("[ff02::1]", Place::Nowhere),
        ("224.0.0.1", Place::Nowhere),
        ("255.255.255.255", Place::Nowhere),
        ("240.0.0.1", Place::Nowhere),
        ("192.0.2.1", Place::Nowhere),
        ("198.18.0.1", Place::Nowhere),
        ("[2001:db8::1]", Place::Nowhere),
        ("[2001:0:7f00:1::]", Place::Nowhere),
        ("1.1.1.1", Place::Public),
        ("172.32.0.1", Place::Public),
        ("100.128.0.1", Place::Public),
        ("[2606:4700:4700::1111]", Place::Public),
        ("[2001:4860:4860::8888]", Place::Public),
        ("[::ffff:1.1.1.1]", Place::Public),
    ];

    fn read(host: &str) -> (Url, IpAddr) {
        let url = Url::parse(&format!("https://{host}/x")).unwrap();
        let address = match url.host().unwrap() {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(name) => panic!("{name} is no address"),
        };
        (url, address)
    }

    #[test]
    fn n40_every_spelling_of_an_address_is_put_where_it_leads() {
        assert!(SPELLINGS.len() >= 40);
        for (host, wanted) in SPELLINGS {
            let (url, address) = read(host);
            assert_eq!(place(address), *wanted, "{host}");
            assert_eq!(Reach::Public.allows_host(&url), *wanted == Place::Public, "{host}");
            assert_eq!(Reach::Loopback.allows_host(&url), matches!(wanted, Place::Public | Place::Loopback), "{host}");
            assert_eq!(Reach::Private.allows_host(&url), matches!(wanted, Place::Public | Place::Private), "{host}");
            assert!(Reach::Anywhere.allows_host(&url), "{host}");
        }
    }

    #[test]
    fn n40_names_of_this_machine_are_loopback_and_other_names_are_judged_when_resolved() {
        for name in ["localhost", "LOCALHOST", "localhost.", "a.localhost"] {
            let url = Url::parse(&format!("https://{name}/")).unwrap();
            assert!(!Reach::Public.allows_host(&url) && !Reach::Private.allows_host(&url), "{name}");
            assert!(Reach::Loopback.allows_host(&url), "{name}");
        }
        let name = Url::parse("https://localhost.example.com/").unwrap();
        assert!(Reach::Public.allows_host(&name));
    }

    #[test]
    fn n40_documents_reach_the_open_internet_and_the_network_they_come_from() {
        assert_eq!(Reach::of("127.0.0.1".parse().unwrap()), Reach::Loopback);
        assert_eq!(Reach::of("192.168.1.5".parse().unwrap()), Reach::Private);
        assert_eq!(Reach::of("1.1.1.1".parse().unwrap()), Reach::Public);
        assert_eq!(Reach::of("169.254.169.254".parse().unwrap()), Reach::Public);
    }
}
