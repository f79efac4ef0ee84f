//! Registers a client at an authorization server that takes clients it does not know (RFC 7591).
//! Writes the request and reads the answer; never sends.

use crate::address::{escaped, shown};
use crate::client_authentication::ClientAuthMethod;
use outlast_core::grant::{ClientAuth, Registration};
use outlast_core::wire::{Answer, Content, Fault, Reply};
use outlast_core::{Code, Provider, Secret, Timestamp, TokenRequest, outcome};
use serde_json::{Map, Value, json};
use std::fmt;

/// How people know this client where they are asked for consent.
const CLIENT_NAME: &str = "Outlast";
/// Tells this software from others, whichever version (RFC 7591 2).
const SOFTWARE_ID: &str = "outlast";
/// Methods of client authentication that a client can be given, the best first: a program on
/// somebody's machine keeps no secret (RFC 8252 8.4), so none is asked for if it can be helped.
const METHODS: &[ClientAuthMethod] = &[ClientAuthMethod::None, ClientAuthMethod::Basic, ClientAuthMethod::Post];
/// Longest identifier or secret that is taken, in bytes.
const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;

/// What is registered.
#[derive(Clone, Copy, Debug)]
pub struct Application<'a> {
    /// The grant type as it is requested, such as `authorization_code`.
    pub grant_type: &'a str,
    /// Where the browser may come back to; none for a device code.
    pub redirect_uris: &'a [String],
    /// What it will ask for.
    pub scope: &'a [String],
    /// Whether its tokens are bound to a key (RFC 9449 5.2).
    pub dpop: bool,
}

/// Why there is no client. What the server sent is shortened and escaped in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationError {
    /// The answer is none.
    Misbehaved {
        /// What is wrong with it.
        detail: String,
    },
    /// The server refuses to register a client, or this one.
    Refused {
        /// In what words.
        detail: String,
    },
    /// The server registers no clients at all.
    Unavailable {
        /// Which server.
        authorization_server: String,
        /// Whether it would take the address of a document about the client.
        takes_documents: bool,
    },
    /// The server cannot be reached, or is ill.
    Unreachable {
        /// What happened.
        detail: String,
    },
}

impl RegistrationError {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Misbehaved { .. } => Code::ServerMisbehaved,
            Self::Refused { .. } | Self::Unavailable { .. } => Code::RegistrationRefused,
            Self::Unreachable { .. } => Code::ServerUnreachable,
        }
    }
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BY_HAND: &str = "register a client with it by hand and set client_id in the configuration";
        match self {
            Self::Misbehaved { detail } => {
                write!(f, "the authorization server's answer to a registration cannot be used: {detail}")
            }
            Self::Refused { detail } => {
                write!(f, "the authorization server refuses to register a client ({detail}): {BY_HAND}")
            }
            Self::Unavailable { authorization_server, takes_documents: true } => write!(
                f,
                "no client_id is configured, and {authorization_server} registers no clients, but takes the address \
                 of a document about the client: set client_document in the configuration to one that you publish \
                 (docs/mcp.md), or {BY_HAND}"
            ),
            Self::Unavailable { authorization_server, takes_documents: false } => write!(
                f,
                "no client_id is configured, and {authorization_server} registers no clients and takes no document \
                 about one (client_document): {BY_HAND}"
            ),
            Self::Unreachable { detail } => {
                write!(f, "no client could be registered: {detail}; wait and try again")
            }
        }
    }
}

impl std::error::Error for RegistrationError {}

/// The request that registers `application`, and how the client will authenticate.
pub fn request(
    provider: &Provider,
    application: &Application<'_>,
) -> Result<(TokenRequest, ClientAuthMethod), RegistrationError> {
    let server = || shown(provider.issuer.as_deref().unwrap_or(&provider.token_endpoint));
    let unavailable = || RegistrationError::Unavailable {
        authorization_server: server(),
        takes_documents: provider.takes_client_documents,
    };
    let endpoint = provider.registration_endpoint.as_deref().ok_or_else(unavailable)?;
    let method = method(provider).ok_or_else(|| RegistrationError::Refused {
        detail: "it takes none of the client authentication methods none, client_secret_basic, client_secret_post"
            .to_owned(),
    })?;
    let mut members = json!({
        // Without it, OpenID Connect takes every client for a web site and refuses loopback.
        "application_type": "native",
        "client_name": CLIENT_NAME,
        "grant_types": [application.grant_type, "refresh_token"],
        "software_id": SOFTWARE_ID,
        "software_version": env!("CARGO_PKG_VERSION"),
        "token_endpoint_auth_method": method.as_str(),
    });
    let is_code = application.grant_type == "authorization_code";
    members["response_types"] = if is_code { json!(["code"]) } else { json!([]) };
    if !application.redirect_uris.is_empty() {
        members["redirect_uris"] = json!(application.redirect_uris);
    }
    if !application.scope.is_empty() {
        members["scope"] = json!(application.scope.join(" "));
    }
    if application.dpop {
        members["dpop_bound_access_tokens"] = json!(true);
    }
    let content = Content::Json(Secret::new(members.to_string()));
    Ok((TokenRequest { content, ..provider.form(endpoint, Vec::new()) }, method))
}

fn method(provider: &Provider) -> Option<ClientAuthMethod> {
    let Some(taken) = &provider.client_auth_methods else { return METHODS.first().copied() };
    METHODS.iter().copied().find(|method| taken.iter().any(|taken| taken == method.as_str()))
}

/// The client that the answer gives, at `authorization_server` and nowhere else.
pub fn read(
    answer: &Answer,
    asked: ClientAuthMethod,
    authorization_server: &str,
) -> Result<Registration, RegistrationError> {
    match answer {
        Answer::Complete(reply) if (200..300).contains(&reply.status) => registered(reply, asked, authorization_server),
        Answer::Complete(reply) => Err(refused(reply)),
        Answer::Unsent(fault @ (Fault::Insecure | Fault::OutOfReach)) => {
            Err(RegistrationError::Refused { detail: outcome::describe(*fault).to_owned() })
        }
        Answer::Lost(fault) | Answer::Unsent(fault) => {
            Err(RegistrationError::Unreachable { detail: outcome::describe(*fault).to_owned() })
        }
    }
}

/// Lenient: what a server leaves out is as it was asked for. An identifier there has to be.
fn registered(
    reply: &Reply,
    asked: ClientAuthMethod,
    authorization_server: &str,
) -> Result<Registration, RegistrationError> {
    let misbehaved = |detail: &str| RegistrationError::Misbehaved { detail: detail.to_owned() };
    let members: Map<String, Value> =
        serde_json::from_slice(&reply.body).map_err(|_| misbehaved("it is not a JSON object"))?;
    let text = |name: &str| {
        let found = members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match found {
            Some(text) if text.len() > CREDENTIAL_BYTES_MAX => Err(misbehaved(&format!("its {name} is too long"))),
            found => Ok(found.map(str::to_owned)),
        }
    };
    let client_id = text("client_id")?.ok_or_else(|| misbehaved("it names no client_id"))?;
    let secret = text("client_secret")?.map(Secret::new);
    let method = match text("token_endpoint_auth_method")? {
        None => asked,
        Some(name) => METHODS.iter().copied().find(|method| method.as_str() == name).ok_or_else(|| {
            let detail = format!("it wants client authentication by \"{}\"", escaped(&name));
            RegistrationError::Misbehaved { detail }
        })?,
    };
    let client_auth = match (method, secret) {
        (ClientAuthMethod::None, _) => ClientAuth::None,
        (method, Some(secret)) => method.with_secret(secret),
        (_, None) => return Err(misbehaved("it gives no client_secret")),
    };
    let secret_ends_at = if client_auth == ClientAuth::None { None } else { moment(&members) };
    Ok(Registration { authorization_server: authorization_server.to_owned(), client_id, client_auth, secret_ends_at })
}

/// When the secret ends; 0 means never (RFC 7591 3.2.1).
fn moment(members: &Map<String, Value>) -> Option<Timestamp> {
    let value = members.get("client_secret_expires_at")?;
    let seconds = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    // Far beyond this no date is meant, and the sum in milliseconds must hold.
    (1..=u64::from(u32::MAX) * 16).contains(&seconds).then(|| Timestamp::from_secs(seconds))
}

fn refused(reply: &Reply) -> RegistrationError {
    let members: Map<String, Value> = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = |name: &str| members.get(name).and_then(Value::as_str).map(escaped);
    // The description too: it says which member the server does not like, and no secret was sent.
    let said = [word("error"), word("error_description")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let detail = if said.is_empty() { format!("status {}", reply.status) } else { said };
    match reply.status {
        408 | 429 | 500.. => RegistrationError::Unreachable { detail: format!("status {}", reply.status) },
        _ => RegistrationError::Refused { detail },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SERVER: &str = "https://as.example";

    fn provider(methods: Option<&[&str]>) -> Provider {
        Provider {
            token_endpoint: format!("{SERVER}/token"),
            registration_endpoint: Some(format!("{SERVER}/register")),
            client_auth_methods: methods.map(|methods| methods.iter().map(|method| (*method).to_owned()).collect()),
            ..Provider::default()
        }
    }

    fn written(provider: &Provider, grant_type: &str, dpop: bool) -> (Value, TokenRequest, ClientAuthMethod) {
        let redirect_uris = ["http://127.0.0.1/callback".to_owned()];
        let is_code = grant_type == "authorization_code";
        let application = Application {
            grant_type,
            redirect_uris: if is_code { &redirect_uris } else { &[] },
            scope: &["a".to_owned(), "b".to_owned()],
            dpop,
        };
        let (request, method) = super::request(provider, &application).unwrap();
        let Content::Json(text) = &request.content else { panic!("no JSON") };
        (serde_json::from_str(text.expose()).unwrap(), request, method)
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer::Complete(Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() })
    }

    fn given(body: &str, asked: ClientAuthMethod) -> Result<Registration, RegistrationError> {
        read(&answer(201, body), asked, SERVER)
    }

    #[test]
    fn n50_n51_a_native_client_with_refresh_tokens_is_registered() {
        let (members, request, method) = written(&provider(None), "authorization_code", false);
        assert_eq!((request.endpoint.as_str(), method), ("https://as.example/register", ClientAuthMethod::None));
        assert!(request.authorization.is_none());
        for (name, wanted) in [
            ("application_type", json!("native")),
            ("grant_types", json!(["authorization_code", "refresh_token"])),
            ("response_types", json!(["code"])),
            ("redirect_uris", json!(["http://127.0.0.1/callback"])),
            ("scope", json!("a b")),
            ("token_endpoint_auth_method", json!("none")),
            ("client_name", json!("Outlast")),
        ] {
            assert_eq!(members[name], wanted, "{name}");
        }
        assert_eq!(members.get("dpop_bound_access_tokens"), None);
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let (members, ..) = written(&provider(None), device, true);
        assert_eq!(
            (&members["grant_types"], &members["response_types"]),
            (&json!([device, "refresh_token"]), &json!([]))
        );
        assert_eq!((members.get("redirect_uris"), &members["dpop_bound_access_tokens"]), (None, &json!(true)));
    }

    #[test]
    fn n21_the_method_is_one_the_server_takes_and_none_if_it_can_be() {
        let table: &[(&[&str], Option<ClientAuthMethod>)] = &[
            (&["client_secret_basic", "none"], Some(ClientAuthMethod::None)),
            (&["client_secret_post", "client_secret_basic"], Some(ClientAuthMethod::Basic)),
            (&["private_key_jwt", "client_secret_post"], Some(ClientAuthMethod::Post)),
            (&["private_key_jwt"], None),
        ];
        for (taken, wanted) in table {
            assert_eq!(method(&provider(Some(taken))), *wanted, "{taken:?}");
        }
        let application = Application { grant_type: "authorization_code", redirect_uris: &[], scope: &[], dpop: false };
        let refused = super::request(&provider(Some(&["private_key_jwt"])), &application).unwrap_err();
        assert_eq!(refused.code(), Code::RegistrationRefused);
        let none =
            super::request(&Provider { registration_endpoint: None, ..provider(None) }, &application).unwrap_err();
        assert!(matches!(none, RegistrationError::Unavailable { .. }));
        assert!(none.to_string().contains("set client_id"), "{none}");
        let silent = Provider { registration_endpoint: None, takes_client_documents: true, ..provider(None) };
        let document = super::request(&silent, &application).unwrap_err();
        assert!(document.to_string().contains("set client_document"), "{document}");
    }

    #[test]
    fn an_answer_is_read_leniently() {
        let public = given(r#"{"client_id":"c1"}"#, ClientAuthMethod::None).unwrap();
        assert_eq!((public.client_id.as_str(), public.authorization_server.as_str()), ("c1", SERVER));
        assert_eq!((public.client_auth, public.secret_ends_at), (ClientAuth::None, None));
        // A secret that was not asked for is not used: the client stays what the server was told.
        let surplus = given(r#"{"client_id":"c1","client_secret":"CANARY"}"#, ClientAuthMethod::None).unwrap();
        assert_eq!(surplus.client_auth, ClientAuth::None);
        let post = r#"{"client_id":"c1","client_secret":"CANARY","client_secret_expires_at":"1700000000",
                       "token_endpoint_auth_method":"client_secret_post","more":[1]}"#;
        let post = given(post, ClientAuthMethod::None).unwrap();
        assert_eq!(post.client_auth, ClientAuth::Post(Secret::new("CANARY")));
        assert_eq!(post.secret_ends_at, Some(Timestamp::from_secs(1_700_000_000)));
        assert!(!format!("{post:?}").contains("CANARY"));
        let never = r#"{"client_id":"c1","client_secret":"s","client_secret_expires_at":0}"#;
        assert_eq!(given(never, ClientAuthMethod::Basic).unwrap().secret_ends_at, None);
    }

    #[test]
    fn an_answer_that_gives_no_client_is_none() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"client_id":""}"#,
            r#"{"client_id":7}"#,
            r#"{"client_id":"c1","token_endpoint_auth_method":"private_key_jwt"}"#,
            r#"{"client_id":"c1","token_endpoint_auth_method":"client_secret_basic"}"#,
        ] {
            let error = given(body, ClientAuthMethod::None).unwrap_err();
            assert_eq!(error.code(), Code::ServerMisbehaved, "{body}: {error}");
        }
        let long = format!(r#"{{"client_id":"{}"}}"#, "x".repeat(CREDENTIAL_BYTES_MAX + 1));
        assert!(given(&long, ClientAuthMethod::None).is_err());
    }

    #[test]
    fn n51_a_refusal_says_what_the_server_said_and_what_to_do_and_moves_no_cursor() {
        let body = r#"{"error":"invalid_redirect_uri","error_description":"no \u001b[2Jloopback"}"#;
        let error = read(&answer(400, body), ClientAuthMethod::None, SERVER).unwrap_err();
        assert_eq!(error.code(), Code::RegistrationRefused);
        let text = error.to_string();
        assert!(text.contains("invalid_redirect_uri: no ") && text.contains("set client_id"), "{text}");
        assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
        for status in [401, 403, 404, 302] {
            let error = read(&answer(status, ""), ClientAuthMethod::None, SERVER).unwrap_err();
            assert_eq!(error.code(), Code::RegistrationRefused, "{status}");
        }
        for status in [429, 500, 503] {
            let error = read(&answer(status, ""), ClientAuthMethod::None, SERVER).unwrap_err();
            assert_eq!(error.code(), Code::ServerUnreachable, "{status}");
        }
        let error = read(&Answer::Lost(Fault::Timeout), ClientAuthMethod::None, SERVER).unwrap_err();
        assert_eq!(error.code(), Code::ServerUnreachable);
    }
}
