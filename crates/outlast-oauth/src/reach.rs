//! Connects to nothing that is out of reach: the decision of [`Reach`] is made over the addresses a
//! connection is really made to, so that a name cannot resolve to one address when it is looked at and
//! to another when it is used, nor to another the next time.

use outlast_core::reach::Reach;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use url::Url;

/// Finds the addresses of a name; may block.
pub(crate) type Lookup = fn(&str) -> io::Result<Vec<IpAddr>>;

/// Whether a connection to what `address` names would be made to something within reach. A name
/// that resolves to nothing leads nowhere, and passes.
pub(crate) async fn resolves_within(reach: Reach, address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    if !reach.allows_host(&url) {
        return false;
    }
    let Some(name) = url.domain().and_then(|name| name.parse().ok()) else { return true };
    !Resolver::within(reach).resolve(name).await.is_err_and(|error| error.is::<OutOfReach>())
}

/// A name whose addresses are all out of reach.
#[derive(Debug)]
pub(crate) struct OutOfReach;

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name resolves to no address that may be connected to")
    }
}

impl std::error::Error for OutOfReach {}

/// Resolves names to addresses within reach and to no others: what comes out of here is what the
/// connection is made to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver {
    pub(crate) reach: Reach,
    pub(crate) lookup: Lookup,
}

impl Resolver {
    pub(crate) fn within(reach: Reach) -> Self {
        let lookup = |name: &str| Ok((name, 0).to_socket_addrs()?.map(|found| found.ip()).collect());
        Self { reach, lookup }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::within(Reach::default())
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { reach, lookup } = *self;
        Box::pin(async move {
            // The system's resolver blocks.
            let found = tokio::task::spawn_blocking(move || lookup(name.as_str())).await??.into_iter();
            let near = found.filter(|found| reach.allows(*found)).map(|found| SocketAddr::new(found, 0));
            let near: Vec<SocketAddr> = near.collect();
            if near.is_empty() {
                return Err(OutOfReach.into());
            }
            Ok(Box::new(near.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn n40_a_name_resolves_to_nothing_but_addresses_within_reach() {
        let resolve = |reach| async move { Resolver::within(reach).resolve("localhost".parse().unwrap()).await };
        assert!(resolve(Reach::Public).await.is_err_and(|error| error.is::<OutOfReach>()));
        assert!(resolve(Reach::Private).await.is_err());
        let found: Vec<_> = resolve(Reach::Loopback).await.unwrap_or_else(|error| panic!("{error}")).collect();
        assert!(resolves_within(Reach::Public, "https://1.1.1.1/").await);
        assert!(resolves_within(Reach::Public, "https://no-such-name.invalid/").await);
        assert!(!resolves_within(Reach::Public, "https://127.0.0.1/").await);
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
    }
}
