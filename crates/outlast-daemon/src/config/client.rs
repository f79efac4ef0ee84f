//! Reads how a grant's client proves who it is.

use super::ConfigError;
use super::document::{Located, Table, shown};
use super::nearest::nearest;
use super::secret_source::SecretSource;
use outlast::assertion::{self, Algorithm, KeyError};
use outlast::{ClientAuth, ClientAuthMethod, GrantType, Secret, SigningKey};
use std::ops::Range;

/// The keys of a grant's table that are about its client's authentication.
pub(super) const KEYS: &[&str] =
    &["algorithm", "client_auth", "client_certificate", "client_secret", "key_id", "private_key"];

/// How a client proves who it is; its secrets are named and not yet read.
#[derive(Clone, Debug)]
pub struct ClientEntry {
    /// How it authenticates.
    pub method: ClientAuthMethod,
    /// Where its secret comes from.
    pub secret: Option<SecretSource>,
    /// Where its private key comes from.
    pub private_key: Option<SecretSource>,
    /// The private key's name at the server.
    pub key_id: Option<String>,
    /// What the private key signs with, where it is said.
    pub algorithm: Option<String>,
    /// Where its certificate comes from.
    pub certificate: Option<SecretSource>,
    /// Where in the file one of those stands as plain text.
    pub(super) plain: Option<Range<usize>>,
}

impl ClientEntry {
    /// Every secret that it names.
    pub(super) fn sources(&self) -> impl Iterator<Item = &SecretSource> {
        [&self.secret, &self.private_key, &self.certificate].into_iter().flatten()
    }

    /// With what `fetch` brings for each source, given the key it stands at.
    pub(super) fn authentication<E>(
        &self,
        fetch: &dyn Fn(&SecretSource, &'static str) -> Result<Secret, E>,
    ) -> Result<ClientAuth, E> {
        let secret = |source: &Option<SecretSource>, key| source.as_ref().map(|source| fetch(source, key)).transpose();
        let proof = match self.method {
            ClientAuthMethod::None => return Ok(ClientAuth::None),
            ClientAuthMethod::Basic | ClientAuthMethod::Post => secret(&self.secret, "client_secret")?,
            ClientAuthMethod::PrivateKeyJwt => {
                let material = secret(&self.private_key, "private_key")?;
                let key = |material| self.key(material);
                return Ok(material.map_or(ClientAuth::None, |material| ClientAuth::PrivateKeyJwt(key(material))));
            }
            ClientAuthMethod::SelfSignedTls | ClientAuthMethod::Tls => {
                let chain = secret(&self.certificate, "client_certificate")?;
                let key = secret(&self.private_key, "private_key")?;
                chain.map(|chain| assertion::certificate_with_key(&chain, key.as_ref()))
            }
        };
        Ok(proof.map_or(ClientAuth::None, |proof| self.method.with_secret(proof)))
    }

    fn key(&self, material: Secret) -> SigningKey {
        SigningKey { material, algorithm: self.algorithm.clone(), key_id: self.key_id.clone() }
    }
}

/// What is wrong with the key or certificate of `client_auth`, and the key of the table it is at.
pub(super) fn check(client_auth: &ClientAuth) -> Result<(), (&'static str, KeyError)> {
    match client_auth {
        ClientAuth::Basic(_) | ClientAuth::None | ClientAuth::Post(_) => Ok(()),
        ClientAuth::PrivateKeyJwt(key) => assertion::check(key).map_err(|error| ("private_key", error)),
        ClientAuth::TlsClient(certificate) => {
            assertion::check_certificate(certificate).map_err(|error| ("client_certificate", error))
        }
    }
}

/// What a table holds to prove a client by.
struct Proofs {
    secret: Option<Located<SecretSource>>,
    private_key: Option<Located<SecretSource>>,
    certificate: Option<Located<SecretSource>>,
}

/// Reads the client's part of the table of a grant of type `row`. `usual` is how it authenticates
/// with a secret where nobody says.
pub(super) fn read(table: Table<'_>, row: &dyn GrantType, usual: ClientAuthMethod) -> Result<ClientEntry, ConfigError> {
    let named = table.text("client_auth")?.map(|named| method(table, named)).transpose()?;
    // A grant type that signs for itself has the private key for that, unless the client is said
    // to authenticate by it too.
    let signs = row.options().iter().any(|option| option.name == "private_key");
    let clients_key = !signs || matches!(named, Some(Located { value: ClientAuthMethod::PrivateKeyJwt, .. }));
    let private_key = if clients_key { SecretSource::read(table, "private_key")? } else { None };
    let proofs = Proofs {
        secret: SecretSource::read(table, "client_secret")?,
        private_key,
        certificate: SecretSource::read(table, "client_certificate")?,
    };
    let method = match named {
        Some(named) => fitting(table, named, &proofs)?,
        None => implied(table, &proofs, usual)?,
    };
    if clients_key {
        refuse_labels_without_key(table, proofs.private_key.is_some())?;
    }
    let (key_id, algorithm) = (table.text("key_id")?, table.text("algorithm")?);
    if let Some(algorithm) = &algorithm {
        check_algorithm(table, algorithm)?;
    }
    let value = |found: Option<Located<SecretSource>>| found.map(|found| found.value);
    let Proofs { secret, private_key, certificate } = proofs;
    let plain = [&secret, &private_key, &certificate].into_iter().flatten().find_map(plain_span);
    Ok(ClientEntry {
        method,
        plain,
        secret: value(secret),
        private_key: value(private_key),
        key_id: key_id.map(|key_id| key_id.value),
        algorithm: algorithm.map(|algorithm| algorithm.value),
        certificate: value(certificate),
    })
}

fn plain_span(secret: &Located<SecretSource>) -> Option<Range<usize>> {
    match secret.value {
        SecretSource::Plain(_) => Some(secret.span.clone()),
        SecretSource::Command(_)
        | SecretSource::Environment(_)
        | SecretSource::File(_)
        | SecretSource::Keyring { .. } => None,
    }
}

fn method(table: Table<'_>, named: Located<String>) -> Result<Located<ClientAuthMethod>, ConfigError> {
    let Some(method) = ClientAuthMethod::parse(&named.value) else {
        let known: Vec<&str> = ClientAuthMethod::ALL.iter().map(|method| method.as_str()).collect();
        let mend = match nearest(&named.value, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        return Err(table.document.error(&named.span, format!("unknown client_auth `{}`", shown(&named.value)), mend));
    };
    Ok(Located { value: method, span: named.span })
}

/// The method that was named, if what it needs is there and nothing else is.
fn fitting(
    table: Table<'_>,
    named: Located<ClientAuthMethod>,
    proofs: &Proofs,
) -> Result<ClientAuthMethod, ConfigError> {
    let method = named.value;
    let present = [
        ("client_secret", proofs.secret.is_some()),
        ("private_key", proofs.private_key.is_some()),
        ("client_certificate", proofs.certificate.is_some()),
    ];
    let (needed, allowed): (Option<&str>, &[&str]) = match method {
        ClientAuthMethod::None => (None, &[]),
        ClientAuthMethod::Basic | ClientAuthMethod::Post => (Some("client_secret"), &["client_secret"]),
        ClientAuthMethod::PrivateKeyJwt => (Some("private_key"), &["private_key"]),
        // The key may stand in the same source as the certificate, or in one of its own.
        ClientAuthMethod::SelfSignedTls | ClientAuthMethod::Tls => {
            (Some("client_certificate"), &["client_certificate", "private_key"])
        }
    };
    if let Some(needed) = needed.filter(|needed| !present.contains(&(*needed, true))) {
        let detail = format!("`client_auth` is {} and there is no {needed}", method.as_str());
        let mend = match needed {
            "client_secret" => {
                "set client_secret = { env = \"NAME\" }, { file = … }, { command = […] } or { keyring = … }".to_owned()
            }
            needed => {
                format!("set {needed} = {{ file = \"FILE\" }}, {{ env = … }}, {{ command = […] }} or {{ keyring = … }}")
            }
        };
        return Err(table.document.error(&named.span, detail, mend));
    }
    match present.iter().find(|(key, present)| *present && !allowed.contains(key)) {
        Some((key, _)) => {
            let detail = format!("`client_auth` is {}, and yet there is a {key}", method.as_str());
            Err(table.document.error(&named.span, detail, "remove one of the two"))
        }
        None => Ok(method),
    }
}

/// The method that what is there is for.
fn implied(table: Table<'_>, proofs: &Proofs, usual: ClientAuthMethod) -> Result<ClientAuthMethod, ConfigError> {
    match (&proofs.secret, &proofs.private_key, &proofs.certificate) {
        (None, None, None) => Ok(ClientAuthMethod::None),
        (Some(_), None, None) => Ok(usual),
        (None, Some(_), None) => Ok(ClientAuthMethod::PrivateKeyJwt),
        (None, _, Some(_)) => Ok(ClientAuthMethod::Tls),
        (Some(secret), _, _) => {
            let detail = format!("the client of {} has a client_secret and another proof of who it is", table.name);
            Err(table.document.error(
                &secret.span,
                detail,
                "keep one of client_secret, private_key, client_certificate",
            ))
        }
    }
}

fn refuse_labels_without_key(table: Table<'_>, has_key: bool) -> Result<(), ConfigError> {
    let stray = ["algorithm", "key_id"].into_iter().find(|label| !has_key && table.get(label).is_some());
    let Some(label) = stray else { return Ok(()) };
    let span = table.get(label).map_or(0..0, toml::Spanned::span);
    let detail = format!("`{label}` in {} is about a private key, and there is none", table.name);
    Err(table.document.error(&span, detail, "set private_key = { file = \"FILE\" }, or remove the line"))
}

fn check_algorithm(table: Table<'_>, algorithm: &Located<String>) -> Result<(), ConfigError> {
    if Algorithm::parse(&algorithm.value).is_ok() {
        return Ok(());
    }
    let known: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
    let detail = format!("`algorithm` in {} is none that is signed with: {}", table.name, shown(&algorithm.value));
    let mend = format!("remove the line: the key tells; known are {}", known.join(", "));
    Err(table.document.error(&algorithm.span, detail, mend))
}
