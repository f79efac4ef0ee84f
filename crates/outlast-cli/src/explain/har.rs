//! Reads HAR 1.2 files as browsers and proxies save them.
//!
//! The file is read as a stream, one entry at a time, and an entry is taken as it is: what is
//! missing or of the wrong type counts as absent.

use super::case::{Case, Kind, STATUSES, add_field, quirks_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use outlast::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::io::Read;
use std::sync::LazyLock;
use url::Url;

/// Largest file that is read, in bytes.
pub(crate) const HAR_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Grant type of device codes (RFC 8628 3.4).
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// One exchange of the file.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// When the request was sent, where known.
    pub(crate) sent_at: Option<Timestamp>,
    /// The request's method.
    pub(crate) method: String,
    /// Where the request went, where that can be read.
    pub(crate) address: Option<Url>,
    /// The name of the preset whose host it is.
    pub(crate) provider: Option<&'static str>,
    /// The reply; none where the request was cut off.
    pub(crate) reply: Option<Case<'static>>,
    /// Whether the reply's body was recorded in a form that cannot be read.
    pub(crate) body_unreadable: bool,
}

/// Why a file is no HAR file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoHar {
    /// It ends too early, or is too large.
    CutOff,
    /// It cannot be read.
    Io(std::io::ErrorKind),
    /// It is no JSON from here on.
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It has no `log.entries`.
    WithoutEntries,
}

impl fmt::Display for NoHar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => formatter.write_str("it ends in the middle of an entry"),
            Self::Io(kind) => write!(formatter, "it cannot be read: {kind}"),
            Self::NotJson { line, column } => write!(formatter, "it is no valid JSON at line {line}, column {column}"),
            Self::WithoutEntries => formatter.write_str("it has no list log.entries"),
        }
    }
}

/// Hands each exchange of a file to `take`, in the order of the file.
pub(crate) fn read_har(file: impl Read, take: &mut dyn FnMut(Exchange)) -> Result<(), NoHar> {
    let mut found = false;
    let mut entries = |entry: Value| take(exchange_of(&entry));
    let mut deserializer = serde_json::Deserializer::from_reader(file);
    let level = Level { path: &["log", "entries"], found: &mut found, take: &mut entries };
    let read = level.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match read.map_err(|cause| no_har(&cause)) {
        Ok(()) if found => Ok(()),
        Ok(()) => Err(NoHar::WithoutEntries),
        Err(why) => Err(why),
    }
}

/// The parser's own words are not used: they repeat what stands in the file.
fn no_har(cause: &serde_json::Error) -> NoHar {
    match cause.classify() {
        serde_json::error::Category::Data => NoHar::WithoutEntries,
        serde_json::error::Category::Eof => NoHar::CutOff,
        serde_json::error::Category::Io => NoHar::Io(cause.io_error_kind().unwrap_or(std::io::ErrorKind::Other)),
        serde_json::error::Category::Syntax => NoHar::NotJson { line: cause.line(), column: cause.column() },
    }
}

/// The way down to the list of entries.
struct Level<'a> {
    path: &'static [&'static str],
    found: &'a mut bool,
    take: &'a mut dyn FnMut(Value),
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() { deserializer.deserialize_seq(self) } else { deserializer.deserialize_map(self) }
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the members of a HAR file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match self.path {
                [next, path @ ..] if *next == name => {
                    members.next_value_seed(Level { path, found: &mut *self.found, take: &mut *self.take })?;
                }
                [..] => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        *self.found = true;
        while let Some(entry) = entries.next_element::<Value>()? {
            (self.take)(entry);
        }
        Ok(())
    }
}

fn exchange_of(entry: &Value) -> Exchange {
    let request = &entry["request"];
    let address = request["url"].as_str().and_then(|text| Url::parse(text).ok());
    let provider = address.as_ref().and_then(provider_of);
    let kind = kind_of(request, address.as_ref());
    let (body, body_unreadable) = match body_of(&entry["response"]["content"]) {
        Ok(body) => (body, false),
        Err(Unreadable) => (Vec::new(), true),
    };
    Exchange {
        sent_at: entry["startedDateTime"].as_str().and_then(moment),
        method: request["method"].as_str().unwrap_or_default().to_owned(),
        address,
        provider,
        reply: reply_of(&entry["response"], kind, body, provider),
        body_unreadable,
    }
}

/// A status of 0 is how browsers record that there was no answer.
fn reply_of(response: &Value, kind: Kind, body: Vec<u8>, provider: Option<&str>) -> Option<Case<'static>> {
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| STATUSES.contains(status))?;
    let mut headers = HeaderMap::new();
    for field in response["headers"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (field["name"].as_str(), field["value"].as_str()) {
            add_field(&mut headers, name, value.as_bytes());
        }
    }
    Some(Case { kind, status, headers, body: Cow::Owned(body), quirks: quirks_of(provider) })
}

/// The body was recorded in a form that cannot be read.
struct Unreadable;

fn body_of(content: &Value) -> Result<Vec<u8>, Unreadable> {
    let text = content["text"].as_str().unwrap_or_default();
    if content["encoding"].as_str() == Some("base64") {
        let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        return STANDARD.decode(compact).map_err(|_| Unreadable);
    }
    Ok(text.as_bytes().to_vec())
}

/// By what was asked: a POST with a grant type went to a token endpoint (RFC 6749 3.2).
fn kind_of(request: &Value, address: Option<&Url>) -> Kind {
    if !request["method"].as_str().is_some_and(|method| method.eq_ignore_ascii_case("POST")) {
        return Kind::Api;
    }
    let in_query = || {
        let (_, value) = address?.query_pairs().find(|(name, _)| name == "grant_type")?;
        Some(value.into_owned())
    };
    match grant_type_of(&request["postData"]).or_else(in_query).as_deref() {
        None => Kind::Api,
        Some(DEVICE_CODE) => Kind::Device,
        Some(_) => Kind::Token,
    }
}

/// The grant type of a form, in whichever of its two places, or of a flat JSON body, which some
/// providers take in its stead.
fn grant_type_of(form: &Value) -> Option<String> {
    let parameters = form["params"].as_array().into_iter().flatten();
    let named = parameters.filter(|parameter| parameter["name"] == "grant_type");
    if let Some(value) = named.filter_map(|parameter| parameter["value"].as_str()).next() {
        let encoded = format!("v={value}");
        return url::form_urlencoded::parse(encoded.as_bytes()).next().map(|(_, value)| value.into_owned());
    }
    let text = form["text"].as_str()?;
    if text.trim_start().starts_with('{') {
        let object: Value = serde_json::from_str(text).ok()?;
        return object["grant_type"].as_str().map(str::to_owned);
    }
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.find(|(name, _)| name == "grant_type").map(|(_, value)| value.into_owned())
}

/// The preset one of whose addresses has this host, or else the nearest host above it.
fn provider_of(address: &Url) -> Option<&'static str> {
    let host = address.host_str()?;
    let is_at = |known: &str| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let known = PRESET_HOSTS.iter().filter(|(known, _)| is_at(known));
    // The first of several presets with one host: the others are its variants.
    known.min_by_key(|(known, _)| Reverse(known.len())).map(|(_, name)| *name)
}

/// Each host of each preset, and its name; addresses that are patterns have none.
static PRESET_HOSTS: LazyLock<Vec<(String, &'static str)>> = LazyLock::new(|| {
    let mut hosts = Vec::new();
    for preset in outlast::provider::TABLE {
        let others = [preset.authorization_endpoint, preset.device_endpoint, preset.issuer];
        let others = others.into_iter().flatten().chain(preset.upstreams.iter().copied());
        for address in others.chain([preset.token_endpoint]) {
            let host = Url::parse(address).ok().and_then(|address| address.host_str().map(str::to_owned));
            hosts.extend(host.map(|host| (host, preset.name)));
        }
    }
    hosts
});

fn moment(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Vec<Exchange>, NoHar> {
        let mut exchanges = Vec::new();
        read_har(text.as_bytes(), &mut |exchange| exchanges.push(exchange))?;
        Ok(exchanges)
    }

    fn one(entry: &Value) -> Exchange {
        let file = json!({ "log": { "version": "1.2", "entries": [entry], "pages": [] } });
        read(&file.to_string()).unwrap().pop().unwrap()
    }

    fn kind(request: &Value) -> Kind {
        one(&json!({ "request": request, "response": { "status": 400 } })).reply.unwrap().kind
    }

    #[test]
    fn the_endpoint_is_told_by_the_grant_type_of_a_post() {
        let at = "https://a.example/t";
        let form = |text: &str| json!({ "method": "POST", "url": at, "postData": { "text": text } });
        let parameter = |value: &str| json!({ "method": "post", "url": at, "postData": { "params": [{ "name": "grant_type", "value": value }] } });
        assert_eq!(kind(&form("a=b&grant_type=refresh_token")), Kind::Token);
        assert_eq!(kind(&form("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code")), Kind::Device);
        assert_eq!(kind(&form("{\"grant_type\":\"refresh_token\"}")), Kind::Token);
        assert_eq!(kind(&parameter("refresh_token")), Kind::Token);
        assert_eq!(kind(&parameter(DEVICE_CODE)), Kind::Device);
        assert_eq!(kind(&parameter("urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code")), Kind::Device);
        assert_eq!(kind(&json!({ "method": "POST", "url": "https://a.example/t?grant_type=x" })), Kind::Token);
        assert_eq!(kind(&form("note=grant_type")), Kind::Api);
        assert_eq!(kind(&json!({ "method": "GET", "url": "https://a.example/t?grant_type=x" })), Kind::Api);
        assert_eq!(kind(&json!({})), Kind::Api);
    }

    #[test]
    fn a_provider_is_known_by_its_host_alone() {
        let provider = |address: &str| provider_of(&Url::parse(address).unwrap());
        assert_eq!(provider("https://github.com/login/oauth/access_token"), Some("github"));
        assert_eq!(provider("https://api.github.com/user"), Some("github"));
        assert_eq!(provider("https://notgithub.com/user"), None);
        assert_eq!(provider("https://github.com.example/user"), None);
        assert_eq!(provider("https://a.example/github.com"), None);
    }

    #[test]
    fn a_body_in_base64_is_decoded_and_a_broken_one_told() {
        let with = |text: &str| {
            let content = json!({ "text": text, "encoding": "base64" });
            one(&json!({ "response": { "status": 401, "content": content } }))
        };
        assert_eq!(with("eyJl\ncnIiOjF9").reply.unwrap().body.as_ref(), b"{\"err\":1}");
        assert!(with("%%%").body_unreadable);
    }

    #[test]
    fn an_entry_without_its_members_is_still_an_entry() {
        for entry in [json!({}), json!(null), json!({ "response": { "status": 0 } }), json!({ "response": 3 })] {
            assert!(one(&entry).reply.is_none(), "{entry}");
        }
        let bare = one(&json!({ "startedDateTime": "then", "response": { "status": 401, "headers": {} } }));
        assert_eq!((bare.sent_at, bare.address.is_none()), (None, true));
        assert_eq!(bare.reply.unwrap().status, 401);
    }

    #[test]
    fn what_is_no_har_file_is_told_apart() {
        let table = [
            ("", NoHar::CutOff),
            ("{\"log\":{\"entries\":[{\"a\":", NoHar::CutOff),
            ("{}", NoHar::WithoutEntries),
            ("[]", NoHar::WithoutEntries),
            ("{\"log\":{}}", NoHar::WithoutEntries),
            ("{\"log\":{\"entries\":{}}}", NoHar::WithoutEntries),
            ("{\"log\":{\"entries\":[]}}\nx", NoHar::NotJson { line: 2, column: 1 }),
            ("not json", NoHar::NotJson { line: 1, column: 2 }),
        ];
        for (text, why) in table {
            assert_eq!(read(text).unwrap_err(), why, "{text:?}");
        }
        assert_eq!(read("{\"log\":{\"entries\":[]}}\n").unwrap().len(), 0);
    }
}
