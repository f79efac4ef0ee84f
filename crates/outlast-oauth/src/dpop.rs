//! Proof of possession (RFC 9449): the key that a grant's tokens are bound to, the proof that goes
//! with each request, and the nonces that servers want in it.

use crate::address::escaped;
use crate::assertion::{KeyError, PrivateKey, random_id};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, Method, Uri};
use outlast_core::{Provider, Secret, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The field that carries a proof.
pub const PROOF: HeaderName = HeaderName::from_static("dpop");
/// The field that carries a nonce for the next proof (RFC 9449 8).
pub const PROOF_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// The algorithm of every proof.
pub const PROOF_ALGORITHM: &str = "ES256";
/// How often one request is sent again with a new nonce. One is the rule; the second is for a nonce
/// that went out of date on the way.
pub const CHALLENGES_MAX: usize = 2;
/// How many of the algorithms that a server lists are repeated in an error.
const ALGORITHMS_SHOWN_MAX: usize = 8;
/// For how many servers a nonce is kept.
const SERVERS_MAX: usize = 64;
/// Longest nonce that is taken, in bytes.
const NONCE_BYTES_MAX: usize = 1024;
/// First byte of a point whose two coordinates follow (SEC 1 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A new key for a grant, as a JWK.
///
/// # Errors
/// If the system gives no random numbers.
pub fn generate() -> Result<Secret, KeyError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError::Random)?;
    let scalar = pair.private_key().as_be_bytes().map_err(|_| KeyError::Random)?;
    let scalar = Zeroizing::new(URL_SAFE_NO_PAD.encode(scalar.as_ref()));
    let (x, y) = coordinates(&pair)?;
    // By hand, so that the scalar lies in no JSON value that is dropped without being wiped.
    Ok(Secret::new(format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"{}"}}"#, *scalar)))
}

/// Why `provider` would refuse every proof, as far as its metadata tells; nothing if it would not.
pub fn refusal(provider: &Provider) -> Option<String> {
    let taken = provider.proof_algorithms.as_ref()?;
    if taken.iter().any(|taken| taken == PROOF_ALGORITHM) {
        return None;
    }
    let listed: Vec<_> = taken.iter().take(ALGORITHMS_SHOWN_MAX).map(|name| escaped(name)).collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    Some(format!(
        "the authorization server takes proofs of possession (DPoP) in {listed}, and Outlast makes them in \
         {PROOF_ALGORITHM}: have its operator allow {PROOF_ALGORITHM}, or remove dpop from the configuration if the \
         API takes tokens that are not bound"
    ))
}

/// The thumbprint of a grant's key (RFC 7638), which an authorization request names as `dpop_jkt`
/// (RFC 9449 10).
///
/// # Errors
/// If it is no key that proofs can be made with.
pub fn thumbprint(key: &Secret) -> Result<String, KeyError> {
    Ok(ProofKey::read(key)?.thumbprint)
}

/// What one proof is for.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// Its target.
    pub target: &'a Uri,
    /// The nonce of the server that it goes to, where that gave one.
    pub nonce: Option<&'a str>,
    /// The token that goes with it; none goes to a token endpoint.
    pub access_token: Option<&'a Secret>,
    /// The present moment.
    pub now: Timestamp,
}

/// A key that proofs are made with. `Debug` is blind.
pub struct ProofKey {
    pair: EcdsaKeyPair,
    /// The header of every proof, encoded: only the claims change.
    header: String,
    thumbprint: String,
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKey").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

impl ProofKey {
    /// Reads a key on P-256, as [`generate`] makes them or in PEM.
    ///
    /// # Errors
    /// If it is no such key.
    pub fn read(key: &Secret) -> Result<Self, KeyError> {
        let pair = match PrivateKey::read(key)?.0 {
            PrivateKey::Ec(pair) => pair,
            PrivateKey::Ed(_) | PrivateKey::Rsa(_) => return Err(KeyError::Unsupported),
        };
        let (x, y) = coordinates(&pair)?;
        // The required members alone, in the order of their names, without blanks (RFC 7638 3.2).
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = hashed(members.as_bytes());
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let header = json!({ "typ": "dpop+jwt", "alg": PROOF_ALGORITHM, "jwk": jwk });
        Ok(Self { pair, header: URL_SAFE_NO_PAD.encode(header.to_string()), thumbprint })
    }

    /// Its thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A proof for one request, with a `jti` that no other has (RFC 9449 4.2).
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn proof(&self, of: &Proof<'_>) -> Result<Secret, KeyError> {
        let mut claims = Map::new();
        claims.insert("jti".to_owned(), random_id()?.into());
        claims.insert("htm".to_owned(), of.method.as_str().into());
        claims.insert("htu".to_owned(), target(of.target).into());
        claims.insert("iat".to_owned(), of.now.as_secs().into());
        if let Some(token) = of.access_token {
            claims.insert("ath".to_owned(), hashed(token.expose().as_bytes()).into());
        }
        if let Some(nonce) = of.nonce {
            claims.insert("nonce".to_owned(), nonce.into());
        }
        let mut proof = format!("{}.", self.header);
        URL_SAFE_NO_PAD.encode_string(Value::Object(claims).to_string(), &mut proof);
        let signature = self.pair.sign(&SystemRandom::new(), proof.as_bytes()).map_err(|_| KeyError::Random)?;
        proof.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut proof);
        Ok(Secret::new(proof))
    }
}

/// The `htu` of a request (RFC 9449 4.2): without query and fragment, and with what is the same for
/// everybody written in one way (RFC 9449 4.3). The path stays as it is sent: a server that
/// normalises it does so on both sides, and one that does not would see a difference.
fn target(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https").to_ascii_lowercase();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let usual = if scheme == Scheme::HTTP.as_str() { 80 } else { 443 };
    let port = uri.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    format!("{scheme}://{host}{port}{path}")
}

/// The origin a request goes to, which its nonces belong to.
fn origin(uri: &Uri) -> String {
    let mut origin = target(uri);
    let authority = origin.find("://").map_or(0, |at| at + "://".len());
    let end = origin[authority..].find('/').map_or(origin.len(), |at| authority + at);
    origin.truncate(end);
    origin
}

fn coordinates(pair: &EcdsaKeyPair) -> Result<(String, String), KeyError> {
    match pair.public_key().as_ref() {
        [UNCOMPRESSED, point @ ..] if point.len() == 64 => {
            let (x, y) = point.split_at(32);
            Ok((URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
        }
        _ => Err(KeyError::Unreadable),
    }
}

fn hashed(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// The nonces that servers gave, by origin; of each the latest (RFC 9449 8.2).
#[derive(Debug, Default)]
pub struct Nonces(Mutex<BTreeMap<String, String>>);

impl Nonces {
    /// The nonce for the next request to `target`, where its server gave one.
    pub fn latest(&self, target: &Uri) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&origin(target)).cloned()
    }

    /// Takes the nonce of a response from there, whatever its status.
    pub fn learn(&self, target: &Uri, headers: &HeaderMap) {
        let Some(nonce) = headers.get(PROOF_NONCE).and_then(|value| value.to_str().ok()) else { return };
        if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX {
            return;
        }
        let origin = origin(target);
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= SERVERS_MAX && !nonces.contains_key(&origin) {
            // Whichever: it is given again with the next challenge.
            nonces.pop_first();
        }
        nonces.insert(origin, nonce.to_owned());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::HeaderValue;
    use std::collections::HashSet;

    #[test]
    fn n31_a_million_proofs_share_no_jti() {
        // What names them is drawn here alone; signing a million would take minutes.
        let drawn: HashSet<String> = (0..1_000_000).map(|_| random_id().unwrap()).collect();
        assert_eq!(drawn.len(), 1_000_000);
        assert!(drawn.iter().all(|jti| jti.len() == 22), "each has 128 bits");
    }

    #[test]
    fn n31_the_target_is_named_without_query_and_in_one_way() {
        let table = [
            ("https://API.Example.com/v1/a?b=c", "https://api.example.com/v1/a"),
            ("https://api.example.com:443", "https://api.example.com/"),
            ("HTTPS://api.example.com:8443/a/", "https://api.example.com:8443/a/"),
            ("http://127.0.0.1:80/%7Ea?", "http://127.0.0.1/%7Ea"),
            ("http://[::1]:4456/a%2Fb?q=1&r=/x", "http://[::1]:4456/a%2Fb"),
            ("https://user:CANARY@api.example.com/a", "https://api.example.com/a"),
        ];
        for (sent, named) in table {
            assert_eq!(target(&sent.parse().unwrap()), named, "{sent}");
        }
        assert_eq!(origin(&"https://API.example.com:8443/a/b?c".parse().unwrap()), "https://api.example.com:8443");
        assert_eq!(origin(&"https://api.example.com:443".parse().unwrap()), "https://api.example.com");
    }

    #[test]
    fn a_server_that_takes_proofs_in_other_algorithms_alone_is_told_from_one_that_does_not_say() {
        let listing = |algorithms: Option<&[&str]>| Provider {
            proof_algorithms: algorithms.map(|all| all.iter().map(|name| (*name).to_owned()).collect()),
            ..Provider::default()
        };
        assert_eq!(refusal(&listing(None)), None);
        assert_eq!(refusal(&listing(Some(&["RS256", "ES256"]))), None);
        for (taken, said) in [(&["RS256", "es256\u{1b}[2J"] as &[_], "RS256, es256"), (&[], "in none")] {
            let text = refusal(&listing(Some(taken))).unwrap();
            assert!(text.contains(said) && text.contains("ES256") && !text.contains('\u{1b}'), "{text}");
        }
    }

    fn nonce(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(PROOF_NONCE, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn n33_the_latest_nonce_of_each_server_wins() {
        let nonces = Nonces::default();
        let (one, other): (Uri, Uri) = ("https://a.example/x".parse().unwrap(), "https://b.example/x".parse().unwrap());
        nonces.learn(&one, &nonce("1"));
        nonces.learn(&"https://a.example/another?path".parse().unwrap(), &nonce("2"));
        assert_eq!(nonces.latest(&one).as_deref(), Some("2"));
        assert_eq!(nonces.latest(&other), None, "a nonce of another server is not sent there");
        nonces.learn(&one, &HeaderMap::new());
        nonces.learn(&one, &nonce(&"n".repeat(NONCE_BYTES_MAX + 1)));
        assert_eq!(nonces.latest(&one).as_deref(), Some("2"));
    }

    #[test]
    fn n33_the_number_of_servers_whose_nonce_is_kept_has_a_limit() {
        let nonces = Nonces::default();
        for number in 0..=SERVERS_MAX {
            nonces.learn(&format!("https://{number}.example/").parse().unwrap(), &nonce("n"));
        }
        assert_eq!(nonces.0.lock().unwrap().len(), SERVERS_MAX);
    }
}
