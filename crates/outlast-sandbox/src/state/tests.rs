#![allow(clippy::unwrap_used)]

use super::*;

const fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn strict() -> Settings {
    Settings { access_ttl: at(2_500), refresh_ttl: at(60_000), ..Settings::default() }
}

fn fresh(name: &str) -> FreshTokens {
    FreshTokens { access: format!("access-{name}"), refresh: format!("refresh-{name}") }
}

fn usable(server: &mut AuthorizationServer, token: &str, now: Duration) -> bool {
    matches!(server.judge(token, now), Access::Granted { .. })
}

#[test]
fn a_refresh_rotates_and_leaves_the_earlier_access_token_alive() {
    let mut server = AuthorizationServer::new(&strict());
    let first = server.issue(fresh("1"), at(0));
    let second = server.refresh(&first.refresh, fresh("2"), at(1_000)).unwrap();
    assert_ne!(first.refresh, second.refresh);
    assert!(usable(&mut server, &first.access, at(1_000)) && usable(&mut server, &second.access, at(1_000)));
    let counters = server.counters(at(1_000));
    assert_eq!((counters.refreshes, counters.rotations, counters.reuse_alarms), (1, 1, 0));
}

#[test]
fn reuse_of_a_rotated_token_revokes_the_family_and_kills_its_access_tokens() {
    let mut server = AuthorizationServer::new(&strict());
    let first = server.issue(fresh("1"), at(0));
    let second = server.refresh(&first.refresh, fresh("2"), at(10)).unwrap();
    assert_eq!(server.refresh(&first.refresh, fresh("3"), at(10)), Err(Refusal::Reused));
    assert_eq!(server.judge(&second.access, at(11)), Access::Invalid);
    assert_eq!(server.refresh(&second.refresh, fresh("4"), at(11)), Err(Refusal::FamilyRevoked));
    let counters = server.counters(at(11));
    assert_eq!((counters.reuse_alarms, counters.families_revoked, counters.grant_alive), (1, 1, false));
}

#[test]
fn a_reuse_in_one_family_leaves_another_family_alone() {
    let mut server = AuthorizationServer::new(&strict());
    let unlucky = server.issue(fresh("1"), at(0));
    let bystander = server.issue(fresh("2"), at(0));
    server.refresh(&unlucky.refresh, fresh("3"), at(1)).unwrap();
    server.refresh(&unlucky.refresh, fresh("4"), at(2)).unwrap_err();
    assert!(usable(&mut server, &bystander.access, at(3)));
    assert!(server.refresh(&bystander.refresh, fresh("5"), at(3)).is_ok());
}

#[test]
fn a_second_reuse_raises_no_second_alarm() {
    let mut server = AuthorizationServer::new(&strict());
    let first = server.issue(fresh("1"), at(0));
    server.refresh(&first.refresh, fresh("2"), at(1)).unwrap();
    for _ in 0..5 {
        server.refresh(&first.refresh, fresh("3"), at(2)).unwrap_err();
    }
    assert_eq!(server.counters(at(2)).reuse_alarms, 1);
}

#[test]
fn a_grace_lets_a_rotated_token_work_until_it_ends_and_reuse_does_not_lengthen_it() {
    let mut server = AuthorizationServer::new(&Settings { rotation_grace: at(100), ..strict() });
    let first = server.issue(fresh("1"), at(0));
    server.refresh(&first.refresh, fresh("2"), at(0)).unwrap();
    server.refresh(&first.refresh, fresh("3"), at(99)).unwrap();
    assert_eq!(server.refresh(&first.refresh, fresh("4"), at(100)), Err(Refusal::Reused));
}

#[test]
fn without_rotation_the_same_refresh_token_stays_good_and_is_not_sent_again() {
    let mut server = AuthorizationServer::new(&Settings { rotate: false, ..strict() });
    let first = server.issue(fresh("1"), at(0));
    for name in ["2", "3"] {
        let answer = server.refresh(&first.refresh, fresh(name), at(1)).unwrap();
        assert_eq!(answer.refresh, "");
        assert!(answer.token_response().get("refresh_token").is_none());
    }
    let counters = server.counters(at(1));
    assert_eq!((counters.refreshes, counters.rotations), (2, 0));
}

#[test]
fn tokens_expire_to_the_millisecond() {
    let mut server = AuthorizationServer::new(&strict());
    let first = server.issue(fresh("1"), at(500));
    assert_eq!(server.judge(&first.access, at(2_999)), Access::Granted { family: Some(1), left: at(1) });
    assert_eq!(server.judge(&first.access, at(3_000)), Access::Expired);
    assert!(server.counters(at(60_499)).grant_alive);
    assert!(!server.counters(at(60_500)).grant_alive);
    assert_eq!(server.refresh(&first.refresh, fresh("2"), at(60_500)), Err(Refusal::Expired));
    assert_eq!(server.counters(at(60_500)).reuse_alarms, 0);
}

#[test]
fn early_revocation_kills_access_tokens_and_spares_refresh_tokens() {
    let mut server = AuthorizationServer::new(&strict());
    let first = server.issue(fresh("1"), at(0));
    let own = server.client_credentials(fresh("2"), at(0));
    assert_eq!(server.kill_access_tokens(at(1)), 2);
    assert_eq!(server.judge(&first.access, at(1)), Access::Invalid);
    assert_eq!(server.judge(&own.access, at(1)), Access::Invalid);
    assert!(server.counters(at(1)).grant_alive);
    let second = server.refresh(&first.refresh, fresh("3"), at(1)).unwrap();
    assert!(usable(&mut server, &second.access, at(1)));
}

#[test]
fn revoking_an_access_token_spares_the_family_and_revoking_a_refresh_token_ends_it() {
    let mut server = AuthorizationServer::new(&strict());
    let first = server.issue(fresh("1"), at(0));
    let second = server.refresh(&first.refresh, fresh("2"), at(1)).unwrap();
    server.revoke(&first.access);
    assert_eq!(server.judge(&first.access, at(1)), Access::Invalid);
    assert!(usable(&mut server, &second.access, at(1)));
    server.revoke("never issued");
    server.revoke(&second.refresh);
    assert_eq!(server.judge(&second.access, at(1)), Access::Invalid);
    assert_eq!(server.counters(at(1)).families_revoked, 1);
}

#[test]
fn requests_of_one_family_in_progress_together_are_counted_and_those_of_two_are_not_added_up() {
    let mut server = AuthorizationServer::new(&strict());
    let one = server.issue(fresh("1"), at(0));
    let two = server.issue(fresh("2"), at(0));
    let first = server.enter(Some(&one.refresh));
    let other = server.enter(Some(&two.refresh));
    assert_eq!(server.counters(at(0)).max_concurrent_token_requests_per_family, 1);
    let second = server.enter(Some(&one.refresh));
    assert_eq!(server.counters(at(0)).max_concurrent_token_requests_per_family, 2);
    for flight in [first, other, second] {
        server.leave(flight);
    }
    server.enter(Some(&one.refresh));
    let counters = server.counters(at(0));
    assert_eq!((counters.max_concurrent_token_requests_per_family, counters.token_requests), (2, 4));
}

#[test]
fn a_grant_is_not_alive_before_one_was_issued() {
    assert!(!AuthorizationServer::new(&strict()).counters(at(0)).grant_alive);
}
