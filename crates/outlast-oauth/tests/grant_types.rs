//! What each grant type writes into its renewal.
#![allow(clippy::unwrap_used)]

use outlast_core::grant::ClientAuth;
use outlast_core::strategy::{Redemption, Renewal, Renewing, Rotation, Unrenewable};
use outlast_core::{Grant, GrantId, Provider, Secret, Terms, Timestamp, TokenRequest, TokenResponse, TokenSet};
use outlast_oauth::grant_type::{TABLE, find};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn terms(client_auth: ClientAuth) -> Terms {
    Terms {
        client_id: "client".to_owned(),
        client_auth,
        scope: vec!["api".to_owned(), "offline_access".to_owned()],
        resource: Some("https://api.example.com/".to_owned()),
        ..Terms::new(GrantId::parse("crm").unwrap(), "refresh_token", "https://login.example.com")
    }
}

fn provider() -> Provider {
    Provider { token_endpoint: "https://login.example.com/token".to_owned(), ..Provider::default() }
}

fn grant(terms: &Terms, refresh: Option<&str>) -> Grant {
    let response = TokenResponse { refresh: refresh.map(Secret::new), ..TokenResponse::bearer("access") };
    Grant { tokens: Some(TokenSet::first(response, Timestamp::from_secs(1))), ..Grant::empty(terms) }
}

fn renewal(name: &str, terms: &Terms, grant: &Grant) -> Result<TokenRequest, Unrenewable> {
    let renewing = Renewing { grant, terms, provider: &provider(), subject_token: None, actor_token: None };
    match find(name).unwrap().renewal(&renewing)? {
        Redemption::Post(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn form(request: &TokenRequest) -> Vec<(&str, &str)> {
    request.form_members().iter().map(|(name, value)| (*name, value.expose())).collect()
}

#[test]
fn the_table_is_sorted_and_finds_each_of_its_rows() {
    let names: Vec<_> = TABLE.iter().map(|row| row.strategy().grant_type).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for name in names {
        assert_eq!(find(name).unwrap().strategy().grant_type, name);
    }
    assert!(find("password").is_none());
}

#[test]
fn what_a_renewal_spends_can_be_replaced_by_it() {
    for row in TABLE {
        let strategy = row.strategy();
        let spends = strategy.renewal == Renewal::Refresh;
        assert_eq!(strategy.rotation == Rotation::Possible, spends, "{}", strategy.grant_type);
    }
}

#[test]
fn grants_a_person_gave_are_renewed_by_their_refresh_token() {
    for name in ["authorization_code", "device_code", "refresh_token"] {
        let terms = terms(ClientAuth::None);
        let request = renewal(name, &terms, &grant(&terms, Some("held"))).unwrap();
        assert_eq!(request.endpoint, "https://login.example.com/token");
        assert_eq!(request.authorization, None);
        let wanted = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "held"),
            ("scope", "api offline_access"),
            ("resource", "https://api.example.com/"),
            ("client_id", "client"),
        ];
        assert_eq!(form(&request), wanted, "{name}");
    }
}

#[test]
fn client_credentials_need_no_tokens_and_send_none() {
    let terms = terms(ClientAuth::Post(Secret::new("secret")));
    for held in [Grant::empty(&terms), grant(&terms, Some("held"))] {
        let wanted = [
            ("grant_type", "client_credentials"),
            ("scope", "api offline_access"),
            ("resource", "https://api.example.com/"),
            ("client_id", "client"),
            ("client_secret", "secret"),
        ];
        assert_eq!(form(&renewal("client_credentials", &terms, &held).unwrap()), wanted);
    }
}

#[test]
fn a_grant_without_refresh_token_is_not_renewed() {
    let terms = terms(ClientAuth::None);
    for name in ["authorization_code", "device_code", "refresh_token"] {
        let mut empty = grant(&terms, None);
        assert_eq!(renewal(name, &terms, &empty).unwrap_err(), Unrenewable::NoRefreshToken);
        empty.tokens.as_mut().unwrap().refresh = Some(Secret::new(""));
        assert_eq!(renewal(name, &terms, &empty).unwrap_err(), Unrenewable::NoRefreshToken);
        assert_eq!(renewal(name, &terms, &Grant::empty(&terms)).unwrap_err(), Unrenewable::NoRefreshToken);
    }
}

#[test]
fn n02_a_client_in_the_authorization_field_is_not_in_the_form_too() {
    let terms = terms(ClientAuth::Basic(Secret::new("secret")));
    let request = renewal("client_credentials", &terms, &Grant::empty(&terms)).unwrap();
    assert_eq!(request.authorization, Some(Secret::new("Basic Y2xpZW50OnNlY3JldA==")));
    assert!(form(&request).iter().all(|(name, _)| !name.starts_with("client_")));
}

#[test]
fn n10_a_request_shows_no_secret_when_it_is_printed() {
    for auth in [ClientAuth::Basic(Secret::new("CANARY")), ClientAuth::Post(Secret::new("CANARY"))] {
        let terms = terms(auth);
        let request = renewal("refresh_token", &terms, &grant(&terms, Some("CANARY"))).unwrap();
        assert!(!format!("{request:?}{request:#?}").contains("CANARY"));
        assert!(!request.endpoint.contains('?'));
    }
}

fn any_auth() -> impl Strategy<Value = ClientAuth> {
    (0..3_u8, ".{0,8}").prop_map(|(kind, secret)| match kind {
        0 => ClientAuth::None,
        1 => ClientAuth::Basic(Secret::new(secret)),
        _ => ClientAuth::Post(Secret::new(secret)),
    })
}

proptest! {
    #[test]
    fn n01_n06_no_renewal_repeats_a_parameter_leaves_one_empty_or_widens_the_scope(
        auth in any_auth(),
        client_id in ".{0,8}",
        scope in proptest::collection::vec("[a-z: ]{0,6}", 0..4),
        resource in proptest::option::of("(https://a.example/)?"),
        refresh in "[!-~]{1,20}",
        granted in proptest::option::of(proptest::collection::vec("[a-z]{1,6}", 1..3)),
    ) {
        let terms = Terms { client_id, scope: scope.clone(), resource: resource.clone(), ..terms(auth) };
        let mut grant = grant(&terms, Some(&refresh));
        grant.tokens.as_mut().unwrap().scope = granted.clone();
        // Those that are told a server and a client, and nothing of their own.
        for row in TABLE.iter().filter(|row| row.options().is_empty()) {
            let request = renewal(row.strategy().grant_type, &terms, &grant).unwrap();
            let names: BTreeSet<_> = request.form_members().iter().map(|(name, _)| *name).collect();
            prop_assert_eq!(names.len(), request.form_members().len());
            prop_assert!(request.form_members().iter().all(|(_, value)| !value.is_empty()));
            let find = |name: &str| form(&request).into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
            let configured = scope.join(" ");
            let asked = find("scope").unwrap_or_default();
            let configured: Vec<_> = configured.split_whitespace().collect();
            let held = |word: &&str| {
                granted.as_ref().is_none_or(|granted| *word == "openid" || granted.iter().any(|one| one == word))
            };
            // Minting anew asks as the configuration does; a refresh for what was granted, said or unsaid.
            let minted = row.strategy().renewal != Renewal::Refresh;
            let wanted = if minted || configured.iter().all(held) { configured } else { Vec::new() };
            prop_assert_eq!(asked.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>(), wanted);
            prop_assert_eq!(find("resource"), resource.clone().filter(|resource| !resource.is_empty()));
        }
    }
}

#[test]
fn n06_a_refresh_asks_for_no_more_than_was_granted_and_takes_nothing_away() {
    let terms = terms(ClientAuth::None);
    let mut held = grant(&terms, Some("held"));
    let sent = |held: &Grant| {
        let request = renewal("authorization_code", &terms, held).unwrap();
        form(&request).iter().find(|(name, _)| *name == "scope").map(|(_, scope)| (*scope).to_owned())
    };
    assert_eq!(sent(&held).as_deref(), Some("api offline_access"), "unsaid: as was asked (RFC 6749 5.1)");
    held.tokens.as_mut().unwrap().scope = Some(vec!["api".to_owned()]);
    assert_eq!(sent(&held), None, "some servers refuse to be asked for what they did not name, offline_access too");
    held.tokens.as_mut().unwrap().scope = Some(vec!["offline_access".to_owned(), "api".to_owned()]);
    assert_eq!(sent(&held).as_deref(), Some("api offline_access"), "as it was granted");
    held.tokens.as_mut().unwrap().scope = Some(vec!["other".to_owned()]);
    assert_eq!(sent(&held), None, "less was granted");
    held.tokens.as_mut().unwrap().scope = Some(vec!["api".to_owned(), "more".to_owned()]);
    held.wanted = held.wanted.with_scope(&["more".to_owned()]);
    assert_eq!(sent(&held), None, "a later sign-in brought more");
}

#[test]
fn n32_a_refresh_token_that_is_bound_to_no_key_is_not_spent_where_dpop_is_wanted() {
    let terms = Terms { dpop: true, ..terms(ClientAuth::None) };
    let mut held = grant(&terms, Some("held"));
    assert!(matches!(renewal("authorization_code", &terms, &held), Err(Unrenewable::Misconfigured(_))));
    held.proof_key = Some(Secret::new("a key"));
    assert!(renewal("authorization_code", &terms, &held).is_ok());
}
