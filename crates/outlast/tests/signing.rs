//! Grants that sign, through the library.
#![allow(clippy::unwrap_used)]

use outlast::{
    Ask, ClientAuth, Code, GrantId, GrantSettings, OptionValue, Options, Provider, Secret, Server, Settings,
};
use outlast::{Keeper, SigningKey};

fn settings(grant_type: &str, server: Server) -> GrantSettings {
    GrantSettings {
        client_id: "client".to_owned(),
        ..GrantSettings::new(GrantId::parse("crm").unwrap(), grant_type, server)
    }
}

async fn refusal(settings: GrantSettings) -> (Code, String) {
    let keeper: Keeper = Settings::in_memory().grant(settings).open().unwrap();
    let error = keeper.access_token(&GrantId::parse("crm").unwrap(), Ask::default()).await.unwrap_err();
    (error.code(), format!("{error} {error:?}"))
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_a_mistake_in_words_and_nothing_is_sent() {
    let nowhere = || Provider { token_endpoint: "http://127.0.0.1:1/token".to_owned(), ..Provider::default() };
    let canary = || Secret::new("CANARY");
    let key = SigningKey { material: canary(), algorithm: None, key_id: None };
    let by_key = GrantSettings {
        client_auth: ClientAuth::PrivateKeyJwt(key),
        ..settings("client_credentials", Server::from(nowhere()))
    };
    let by_certificate = GrantSettings {
        client_auth: ClientAuth::TlsClient(canary()),
        ..settings("client_credentials", Server::from(nowhere()))
    };
    let signs = Options::default()
        .with("private_key", OptionValue::Secret(canary()))
        .with("installation_id", OptionValue::Text("42".to_owned()))
        .with("account", OptionValue::Text("a".to_owned()))
        .with("user", OptionValue::Text("u".to_owned()));
    let with_options = |grant_type, server| GrantSettings { options: signs.clone(), ..settings(grant_type, server) };
    for (case, settings, wanted) in [
        ("client key", by_key, "no private key that can be read"),
        ("certificate", by_certificate, "no certificate with its private key"),
        ("app", with_options("github_app", Server::None), "no private key that can be read"),
        ("bearer", with_options("jwt_bearer", Server::from(nowhere())), "no private key that can be read"),
        ("key pair", with_options("key_pair_jwt", Server::None), "private key cannot be used"),
    ] {
        let (code, told) = refusal(settings).await;
        assert_eq!(code, Code::ClientMisconfigured, "{case}: {told}");
        assert!(told.contains(wanted) && !told.contains("CANARY"), "{case}: {told}");
    }
}
