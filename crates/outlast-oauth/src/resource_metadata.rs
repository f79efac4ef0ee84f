//! From the address of a resource to the authorization server that gives tokens for it (RFC 9728),
//! in the order the Model Context Protocol asks for (revisions 2025-06-18, 2025-11-25, 2026-07-28).

mod error;

pub use error::ResourceError;

use crate::address::{self, shown};
use crate::exchange::{Exchange, Limits};
use crate::metadata::{self, Fetched, Members, Metadata};
use crate::reach;
use http::header::{ACCEPT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use outlast_core::classify::challenge::{Piece, read_challenges};
use outlast_core::reach::Reach;
use outlast_core::wire::Fault;
use reqwest::Request;
use url::{Position, Url};

/// Most scopes of a challenge or a list that are asked for.
pub const SCOPES_MAX: usize = 64;
/// Longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 256;
/// Longest address a challenge may name, in bytes.
const ADDRESS_BYTES_MAX: usize = 2048;
/// The scope that asks for a refresh token (OpenID Connect Core 11).
const OFFLINE_ACCESS: &str = "offline_access";

/// What a resource publishes of itself (RFC 9728 2), as far as Outlast has use for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// The resource's identifier: what tokens are asked for (RFC 8707).
    pub resource: String,
    /// The issuers that give tokens for it; never empty.
    pub authorization_servers: Vec<String>,
    /// The scopes it knows, where it is said.
    pub scopes_supported: Option<Vec<String>>,
    /// Whether it takes no tokens but those bound to a key (RFC 9449).
    pub dpop_bound_access_tokens_required: bool,
}

/// What was found for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundResource {
    /// What it says of itself.
    pub metadata: ResourceMetadata,
    /// The scopes of its challenge, where it named any: authoritative (MCP, 2025-11-25).
    pub challenged_scope: Option<Vec<String>>,
    /// The authorization server that was chosen.
    pub server: Metadata,
    /// How far what it names may lead, now and later: to the open internet, and to where the
    /// resource is itself.
    pub reach: Reach,
}

impl FoundResource {
    /// The scopes to ask for: those of the challenge, else those the resource lists, else none; and
    /// `offline_access` if the authorization server offers it, and only then.
    pub fn scope(&self) -> Vec<String> {
        let listed = self.challenged_scope.as_ref().or(self.metadata.scopes_supported.as_ref());
        let offers = |scope: &str| {
            let known = self.server.scopes_supported.as_ref();
            known.is_some_and(|known| known.iter().any(|known| known == scope))
        };
        let mut scope = listed.cloned().unwrap_or_default();
        scope.retain(|wanted| wanted != OFFLINE_ACCESS);
        if offers(OFFLINE_ACCESS) {
            scope.push(OFFLINE_ACCESS.to_owned());
        }
        scope
    }
}

/// Asks the resource at `address`, without any credential, where its tokens come from, and finds
/// that authorization server: `issuer` if the resource names it, the first that it names if none is
/// wanted.
pub async fn discover_resource(address: &str, issuer: Option<&str>) -> Result<FoundResource, ResourceError> {
    discover_resource_within(address, issuer, Limits::default()).await
}

/// [`discover_resource`] with other limits of time for each of the requests.
pub async fn discover_resource_within(
    address: &str,
    issuer: Option<&str>,
    limits: Limits,
) -> Result<FoundResource, ResourceError> {
    let asked = address::check(address)?;
    let challenge = challenge(&Exchange::new(limits), address).await?;
    let exchange = Exchange::within(limits, challenge.reach);
    let metadata = find(&exchange, address, &asked, challenge.resource_metadata.as_deref()).await?;
    let chosen = choose(&metadata, issuer)?;
    let server = metadata::discover_over(&exchange, &chosen).await.map_err(ResourceError::Server)?;
    for endpoint in [Some(&server.token_endpoint), server.registration_endpoint.as_ref()].into_iter().flatten() {
        if !reach::resolves_within(challenge.reach, endpoint).await {
            return Err(ResourceError::OutOfReach { address: shown(endpoint) });
        }
    }
    Ok(FoundResource { metadata, challenged_scope: challenge.scope, server, reach: challenge.reach })
}

/// What a resource answers to a stranger.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    resource_metadata: Option<String>,
    scope: Option<Vec<String>>,
    reach: Reach,
}

async fn challenge(exchange: &Exchange, address: &str) -> Result<Challenge, ResourceError> {
    let prepare = |url| {
        let mut request = Request::new(Method::GET, url);
        // Both, or a server of the Model Context Protocol answers 406 before it looks at anything.
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        Some(request)
    };
    match exchange.head(address, prepare).await {
        Ok((reply, peer)) => {
            let reach = peer.map_or(Reach::Public, Reach::of);
            let unauthorized = reply.status == 401;
            Ok(Challenge { reach, ..if unauthorized { read(&reply.headers) } else { Challenge::default() } })
        }
        Err(
            fault @ (Fault::Connect
            | Fault::Insecure
            | Fault::LeaseLost
            | Fault::OutOfReach
            | Fault::Tls
            | Fault::Unsigned),
        ) => Err(ResourceError::Unreachable { detail: metadata::at(address, fault) }),
        // It does not answer strangers; its metadata may be there all the same.
        Err(Fault::Broken | Fault::Timeout | Fault::TooLarge) => {
            Ok(Challenge { reach: Reach::Public, ..Challenge::default() })
        }
    }
}

/// The first address and the first scopes that the challenges name.
fn read(headers: &HeaderMap) -> Challenge {
    let mut challenge = Challenge::default();
    for field in headers.get_all(WWW_AUTHENTICATE) {
        read_challenges(field.as_bytes(), |piece| {
            let Piece::Parameter(name, value) = piece else { return };
            let Ok(value) = std::str::from_utf8(value) else { return };
            if name.eq_ignore_ascii_case(b"resource_metadata") && value.len() <= ADDRESS_BYTES_MAX {
                // What a backslash is before in a quoted string, no address has (RFC 3986 2).
                challenge.resource_metadata.get_or_insert_with(|| value.to_owned());
            } else if name.eq_ignore_ascii_case(b"scope") && !value.trim().is_empty() {
                challenge.scope.get_or_insert_with(|| scopes(value.split(' ')));
            }
        });
    }
    challenge
}

/// Scopes as RFC 6749 3.3 writes them, without doubles; others are not passed on.
fn scopes<'t>(words: impl Iterator<Item = &'t str>) -> Vec<String> {
    let legal = |word: &str| {
        let bytes = || word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        !word.is_empty() && word.len() <= SCOPE_BYTES_MAX && bytes()
    };
    let mut scopes: Vec<String> = Vec::new();
    for word in words.filter(|word| legal(word)) {
        if scopes.len() < SCOPES_MAX && !scopes.iter().any(|known| known == word) {
            scopes.push(word.to_owned());
        }
    }
    scopes
}

/// A place where the metadata may be, and the identifier that place stands for: the document has to
/// name it (RFC 9728 3.3).
type Candidate = (String, String);

async fn find(
    exchange: &Exchange,
    address: &str,
    asked: &Url,
    named: Option<&str>,
) -> Result<ResourceMetadata, ResourceError> {
    if let Some(place) = named {
        address::check(place)?;
        // RFC 9728 3.3: what a challenge leads to is about the address that was asked.
        if let Some(found) = look(exchange, &(place.to_owned(), address.to_owned())).await? {
            return found;
        }
    }
    let mut refusal = None;
    for candidate in candidates(address, asked) {
        match look(exchange, &candidate).await? {
            Some(Ok(found)) => return Ok(found),
            // A page at the first place does not hide a document at the second.
            Some(Err(error)) => refusal = refusal.or(Some(error)),
            None => {}
        }
    }
    Err(refusal.unwrap_or_else(|| ResourceError::Missing { address: shown(address) }))
}

/// Where the metadata of a resource is (RFC 9728 3.1): at the well-known address of its path; and,
/// an extension of the Model Context Protocol, at that of its origin, which then has to be what the
/// document is about.
fn candidates(address: &str, asked: &Url) -> Vec<Candidate> {
    const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
    let origin = asked.origin().ascii_serialization();
    let rest = &asked[Position::BeforePath..Position::AfterQuery];
    let path = rest.strip_suffix('/').unwrap_or(rest);
    let mut candidates = vec![(format!("{origin}{WELL_KNOWN}{path}"), address.to_owned())];
    if !path.is_empty() {
        candidates.push((format!("{origin}{WELL_KNOWN}"), origin));
    }
    candidates
}

/// What is at the place; nothing if there is nothing.
async fn look(
    exchange: &Exchange,
    (place, identifier): &Candidate,
) -> Result<Option<Result<ResourceMetadata, ResourceError>>, ResourceError> {
    match metadata::fetch(exchange, place).await? {
        Fetched::Document(body, _) => Ok(Some(ResourceMetadata::parse(identifier, &body))),
        Fetched::Ill(detail) => Err(ResourceError::Unreachable { detail }),
        Fetched::Missing => Ok(None),
    }
}

impl ResourceMetadata {
    /// Reads the document that was found for the resource `identifier`, and for no other.
    pub fn parse(identifier: &str, body: &[u8]) -> Result<Self, ResourceError> {
        let members = Members::read(body)?;
        let invalid = |detail: &str| ResourceError::Invalid { detail: detail.to_owned() };
        let resource = members.text("resource")?.ok_or_else(|| invalid("it names no resource"))?;
        if !is_same(&resource, identifier) {
            return Err(ResourceError::Mismatch { asked: shown(identifier), found: shown(&resource) });
        }
        address::check_resource(&resource)?;
        let authorization_servers = members.list("authorization_servers")?.unwrap_or_default();
        if authorization_servers.is_empty() {
            return Err(invalid("it names no authorization server"));
        }
        let supported = members.list("scopes_supported")?;
        Ok(Self {
            resource,
            authorization_servers,
            scopes_supported: supported.map(|supported| scopes(supported.iter().map(String::as_str))),
            dpop_bound_access_tokens_required: members.flag("dpop_bound_access_tokens_required")?,
        })
    }
}

/// Identical as strings. One difference is none: an empty path and `/` are the same address in
/// every request that can be made to it (RFC 9110 4.2.3).
fn is_same(found: &str, identifier: &str) -> bool {
    let bare = |address: &str| {
        let url = Url::parse(address).ok()?;
        let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        is_origin.then(|| address.strip_suffix('/').unwrap_or(address).to_owned())
    };
    found == identifier || bare(found).is_some_and(|found| bare(identifier) == Some(found))
}

fn choose(metadata: &ResourceMetadata, wanted: Option<&str>) -> Result<String, ResourceError> {
    let listed = &metadata.authorization_servers;
    let chosen = match wanted {
        Some(wanted) => listed.iter().find(|issuer| *issuer == wanted),
        None => listed.first(),
    };
    chosen.cloned().ok_or_else(|| ResourceError::IssuerNotListed {
        wanted: shown(wanted.unwrap_or_default()),
        listed: listed.iter().map(|issuer| shown(issuer)).collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn challenged(fields: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(field).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn n40_n46_a_challenge_is_read_for_the_metadata_and_the_scopes_whatever_its_form() {
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource";
        for fields in [
            &[r#"Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource", scope="a b""#]
                as &[_],
            &[
                r#"bearer scope="a b" ,  Resource_Metadata=https://mcp.example.com/.well-known/oauth-protected-resource"#,
            ],
            &[
                r#"Basic realm="x, y""#,
                r#"Bearer realm="scope=\"c\"", scope="a b a"#,
                r#"DPoP resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource", scope="z""#,
            ],
        ] {
            let challenge = challenged(fields);
            assert_eq!(challenge.resource_metadata.as_deref(), Some(metadata), "{fields:?}");
            assert_eq!(challenge.scope.unwrap(), ["a", "b"], "{fields:?}");
        }
        assert_eq!(challenged(&["Bearer"]), Challenge::default());
        assert_eq!(challenged(&[r#"Bearer scope="""#]).scope, None);
    }

    #[test]
    fn scopes_that_are_none_are_not_passed_on() {
        let many = (0..1000).map(|n| format!("s{n}")).collect::<Vec<_>>();
        assert_eq!(scopes(many.iter().map(String::as_str)).len(), SCOPES_MAX);
        assert_eq!(scopes(["a", "b\u{1b}[2J", "ü", "c\"d", "", "e:f/g"].into_iter()), ["a", "e:f/g"]);
    }

    #[test]
    fn n43_metadata_is_looked_for_at_the_path_and_then_at_the_root() {
        let table: &[(&str, &[(&str, &str)])] = &[
            (
                "https://a.example/public/mcp",
                &[
                    (
                        "https://a.example/.well-known/oauth-protected-resource/public/mcp",
                        "https://a.example/public/mcp",
                    ),
                    ("https://a.example/.well-known/oauth-protected-resource", "https://a.example"),
                ],
            ),
            (
                "https://a.example:8443/mcp/?x=1",
                &[
                    (
                        "https://a.example:8443/.well-known/oauth-protected-resource/mcp/?x=1",
                        "https://a.example:8443/mcp/?x=1",
                    ),
                    ("https://a.example:8443/.well-known/oauth-protected-resource", "https://a.example:8443"),
                ],
            ),
            ("https://a.example/", &[("https://a.example/.well-known/oauth-protected-resource", "https://a.example/")]),
            ("http://[::1]:9", &[("http://[::1]:9/.well-known/oauth-protected-resource", "http://[::1]:9")]),
        ];
        for (address, wanted) in table {
            let found = candidates(address, &Url::parse(address).unwrap());
            let found: Vec<_> = found.iter().map(|(place, about)| (place.as_str(), about.as_str())).collect();
            assert_eq!(found, *wanted, "{address}");
        }
    }

    #[test]
    fn n39_a_document_about_another_resource_is_not_used() {
        let document =
            |resource: &str| format!(r#"{{"resource":"{resource}","authorization_servers":["https://as.example"]}}"#);
        let asked = "https://mcp.example.com/mcp";
        for resource in [
            "https://mcp.example.com",
            "https://mcp.example.com/mcp/",
            "https://mcp.example.com/mcp?x",
            "https://MCP.example.com/mcp",
            "https://mcp.example.com:443/mcp",
            "https://mcp.example.com/MCP",
            "http://mcp.example.com/mcp",
            "https://mcp.example.com.attacker.example/mcp",
            "https://attacker.example/mcp",
            "",
        ] {
            let error = ResourceMetadata::parse(asked, document(resource).as_bytes()).unwrap_err();
            assert!(matches!(error, ResourceError::Mismatch { .. }), "{resource}: {error:?}");
        }
        assert!(ResourceMetadata::parse(asked, document(asked).as_bytes()).is_ok());
        let origin = document("https://mcp.example.com/");
        assert!(ResourceMetadata::parse("https://mcp.example.com", origin.as_bytes()).is_ok());
    }
}
