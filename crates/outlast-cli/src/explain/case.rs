//! One reply to be judged, wherever it was read from.

use clap::ValueEnum;
use http::{HeaderMap, HeaderName, HeaderValue};
use outlast::Timestamp;
use outlast::classify::{EndpointKind, Judgement, Quirks, classify_at, documented_rule};
use std::borrow::Cow;

/// Most bytes of a reply or a line that are taken in; the classifier reads no more than the
/// beginning of a body.
pub(crate) const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most header fields of a reply; further ones are not looked at.
pub(crate) const HEADER_FIELDS_MAX: usize = 1000;

/// The statuses a reply can have; some servers answer outside of the five classes.
pub(crate) const STATUSES: std::ops::RangeInclusive<u16> = 100..=999;

/// Where a reply came from, as a person types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A protected resource.
    Api,
    /// The token endpoint while a device code is polled.
    Device,
    /// The token endpoint.
    Token,
}

impl Kind {
    /// The kind of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "api" => Some(Self::Api),
            "device" => Some(Self::Device),
            "token" => Some(Self::Token),
            _ => None,
        }
    }

    /// The name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Device => "device",
            Self::Token => "token",
        }
    }

    /// The kind in the classifier's words.
    pub(crate) const fn endpoint(self) -> EndpointKind {
        match self {
            Self::Api => EndpointKind::Resource,
            Self::Device => EndpointKind::Device,
            Self::Token => EndpointKind::Token,
        }
    }
}

/// A reply and what is known of where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Case<'a> {
    /// The endpoint.
    pub(crate) kind: Kind,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The header.
    pub(crate) headers: HeaderMap,
    /// The body, or its beginning.
    pub(crate) body: Cow<'a, [u8]>,
    /// The habits of whoever sent it.
    pub(crate) quirks: Quirks,
}

impl Case<'_> {
    /// What the reply means; `now` is when it came.
    pub(crate) fn judge(&self, now: Timestamp) -> Judgement {
        classify_at(self.kind.endpoint(), self.status, &self.headers, &self.body, &self.quirks, now)
    }

    /// Where the provider documents the rule that decides, where it is one of the provider's own.
    pub(crate) fn documented_at(&self) -> Option<&'static str> {
        documented_rule(self.kind.endpoint(), self.status, &self.headers, &self.body, &self.quirks)
            .map(|rule| rule.source)
    }
}

/// The habits of a provider that may not be named.
pub(crate) fn quirks_of(provider: Option<&str>) -> Quirks {
    provider.map_or_else(Quirks::default, Quirks::for_provider)
}

/// Adds a header field as it was recorded. What is no field is left out: a reply is judged by what
/// can be read of it. Recorders join several fields of one name with line ends.
pub(crate) fn add_field(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else { return };
    for line in value.split(|byte| matches!(byte, b'\r' | b'\n')) {
        if headers.len() >= HEADER_FIELDS_MAX {
            return;
        }
        let visible = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
        let line: Vec<u8> = line.trim_ascii().iter().map(visible).collect();
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            headers.append(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_was_joined_with_line_ends_is_several() {
        let mut headers = HeaderMap::new();
        add_field(&mut headers, "WWW-Authenticate", b"Negotiate\nBearer error=\"invalid_token\"\x07");
        add_field(&mut headers, "no name", b"x");
        let values: Vec<_> = headers.get_all("www-authenticate").iter().collect();
        assert_eq!(values, ["Negotiate", "Bearer error=\"invalid_token\" "]);
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_header_without_end_is_cut_off() {
        let mut headers = HeaderMap::new();
        add_field(&mut headers, "x", "y\n".repeat(HEADER_FIELDS_MAX * 2).as_bytes());
        assert_eq!(headers.len(), HEADER_FIELDS_MAX);
    }
}
