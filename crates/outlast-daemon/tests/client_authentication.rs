//! How the configuration says that a client proves who it is.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

use outlast::{ClientAuth, ClientAuthMethod, Code, SigningKey};
use outlast_daemon::config::{Config, ConfigError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// RFC 7515 appendix A.3.
const JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

fn text(client: &str) -> String {
    format!(
        "[grant.crm]\nissuer = \"https://login.example.com\"\ngrant_type = \"client_credentials\"\n\
         client_id = \"agent\"\n{client}\n"
    )
}

fn environment(name: &str) -> Option<String> {
    match name {
        "KEY" => Some(JWK.to_owned()),
        "CANARY_KEY" => Some("CANARY-key-that-is-none".to_owned()),
        "SECRET" => Some("secret".to_owned()),
        _ => None,
    }
}

fn resolved(client: &str) -> Result<ClientAuth, ConfigError> {
    let config = Config::parse(&text(client), Path::new("outlast.toml"))?;
    config.resolve_one("crm", &environment).map(|settings| settings.client_auth)
}

#[test]
fn a_private_key_implies_private_key_jwt_and_its_labels_go_with_it() {
    let key = match resolved("private_key = { env = \"KEY\" }").unwrap() {
        ClientAuth::PrivateKeyJwt(key) => key,
        other => panic!("{other:?}"),
    };
    assert_eq!((key.material.expose(), key.algorithm, key.key_id), (JWK, None, None));
    let full =
        "client_auth = \"private_key_jwt\"\nprivate_key = { env = \"KEY\" }\nkey_id = \"k1\"\nalgorithm = \"ES256\"";
    match resolved(full).unwrap() {
        ClientAuth::PrivateKeyJwt(SigningKey { algorithm, key_id, .. }) => {
            assert_eq!((algorithm.as_deref(), key_id.as_deref()), (Some("ES256"), Some("k1")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn n21_a_secret_alone_is_basic() {
    assert!(matches!(resolved("client_secret = { env = \"SECRET\" }").unwrap(), ClientAuth::Basic(_)));
}

#[test]
fn a_key_file_that_others_may_open_is_refused_and_one_of_ones_own_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.key");
    std::fs::write(&file, JWK).unwrap();
    let client = format!("private_key = {{ file = \"{}\" }}", file.display());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = resolved(&client).unwrap_err().to_string();
    assert!(error.contains("open to others") && error.contains("chmod 600"), "{error}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(resolved(&client).unwrap(), ClientAuth::PrivateKeyJwt(_)));
}

#[test]
fn a_key_that_cannot_be_used_is_told_with_its_place_and_mend_and_never_shown() {
    for (client, wanted) in [
        ("private_key = { env = \"CANARY_KEY\" }", "private_key of [grant.crm]: this is no private key"),
        ("private_key = { env = \"KEY\" }\nalgorithm = \"RS256\"", "does not sign with RS256"),
        ("private_key = { env = \"ABSENT\" }", "ABSENT"),
        ("client_certificate = { env = \"CANARY_KEY\" }", "client_certificate of [grant.crm]: this is no certificate"),
    ] {
        let error = resolved(client).unwrap_err();
        assert_eq!(error.code(), Code::ConfigurationInvalid, "{client}");
        let told = format!("{error} {error:?}");
        assert!(told.contains(wanted), "{client}: {told}");
        assert!(!told.contains("CANARY-"), "{told}");
    }
}

#[test]
fn n60_no_algorithm_but_those_of_the_list_is_taken() {
    for algorithm in ["none", "HS256", "RS512"] {
        let client = format!("private_key = {{ env = \"KEY\" }}\nalgorithm = \"{algorithm}\"");
        let error = resolved(&client).unwrap_err().to_string();
        assert!(error.contains("known are EdDSA, ES256, PS256, RS256"), "{error}");
    }
}

#[test]
fn a_method_and_what_is_there_for_it_have_to_agree() {
    let table = [
        ("client_auth = \"private_key_jwt\"", "there is no private_key"),
        ("client_auth = \"tls_client_auth\"", "there is no client_certificate"),
        (
            "client_auth = \"private_key_jwt\"\nprivate_key = { env = \"KEY\" }\nclient_secret = { env = \"SECRET\" }",
            "remove one",
        ),
        ("client_auth = \"client_secret_post\"\nprivate_key = { env = \"KEY\" }", "there is no client_secret"),
        ("private_key = { env = \"KEY\" }\nclient_secret = { env = \"SECRET\" }", "keep one of"),
        ("client_auth = \"none\"\nprivate_key = { env = \"KEY\" }", "remove one"),
        ("client_secret = { env = \"SECRET\" }\nkey_id = \"k1\"", "about a private key, and there is none"),
        ("client_auth = \"private_key\"", "did you mean `private_key_jwt`?"),
        ("client_auth = \"client_secret_jwt\"", "did you mean"),
    ];
    for (client, wanted) in table {
        let error = resolved(client).unwrap_err().to_string();
        assert!(error.contains(wanted), "{client}: {error}");
    }
}

#[test]
fn every_secret_of_a_grant_is_known_so_that_none_is_left_to_a_child() {
    let config = Config::parse(&text("private_key = { env = \"KEY\" }"), Path::new("outlast.toml")).unwrap();
    let entry = &config.entries()[0];
    assert_eq!(entry.client.method, ClientAuthMethod::PrivateKeyJwt);
    let named: Vec<String> = entry.secret_sources().map(ToString::to_string).collect();
    assert_eq!(named, ["the environment variable KEY"]);
}
