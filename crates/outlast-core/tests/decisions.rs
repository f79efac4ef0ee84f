//! Tables and properties of the two decisions, `plan` and `settle`, and of the note made between
//! them. Every moment is an argument, so nothing here waits.

#![allow(clippy::unwrap_used)]

use outlast_core::breaker::{Breaker, FORCED_GAP, OPEN_FIRST};
use outlast_core::classify::{Evidence, StepUp, Verdict};
use outlast_core::freshness::{BACK_OFF_FIRST, BACK_OFF_MAX, Lead, doubt_delay, next_wake};
use outlast_core::grant::ClientAuth;
use outlast_core::outcome::judge;
use outlast_core::plan::{By, Rejected};
use outlast_core::settle::{MISCONFIGURED_PAUSE, RETRY_AFTER_MAX, begin};
use outlast_core::strategy::{Recovery, Renewal, Rotation};
use outlast_core::token::TokenType;
use outlast_core::token_response::read_token_response;
use outlast_core::wire::Fault;
use outlast_core::{
    Advice, Answer, Ask, Cause, Code, Generation, Grant, GrantId, Happening, Outcome, Plan, Quirks, Reply, Secret,
    Standing, Strategy, Terms, Timestamp, TokenResponse, TokenSet, plan, settle,
};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use std::time::Duration;

const BORN: u64 = 1_000_000_000;

const ROTATING: Strategy = Strategy {
    grant_type: "refresh_token",
    rfc: "RFC 6749 6",
    renewal: Renewal::Refresh,
    rotation: Rotation::Possible,
    recovery: Recovery::User,
};

const MINTED: Strategy = Strategy {
    grant_type: "client_credentials",
    rfc: "RFC 6749 4.4",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

const FIXED: Strategy = Strategy {
    grant_type: "api_key",
    rfc: "",
    renewal: Renewal::Never,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

/// The moment `millis` after the held token was asked for.
const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(BORN + millis)
}

const fn seconds(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn terms() -> Terms {
    Terms {
        client_id: "agent".to_owned(),
        client_auth: ClientAuth::Basic(Secret::new("first secret")),
        scope: vec!["api".to_owned()],
        ..Terms::new(GrantId::parse("crm").unwrap(), "refresh_token", "https://login.example.com")
    }
}

fn lead() -> Lead {
    Lead::of(&terms().id)
}

fn response(access: &str, life: Option<u64>, refresh: Option<&str>) -> TokenResponse {
    TokenResponse { expires_in: life.map(seconds), refresh: refresh.map(Secret::new), ..TokenResponse::bearer(access) }
}

/// A live grant with a token that lives for 100 s and a refresh token, at generation 7.
fn live() -> Grant {
    let tokens = TokenSet::first(response("access-7", Some(100), Some("refresh-7")), at(0));
    Grant {
        generation: Generation(7),
        tokens: Some(tokens),
        terms_fingerprint: terms().fingerprint(),
        ..Grant::empty(&terms())
    }
}

fn standing(standing: Standing) -> Grant {
    Grant { standing, ..live() }
}

fn without_refresh_token() -> Grant {
    let mut grant = live();
    grant.tokens.as_mut().unwrap().refresh = None;
    grant
}

fn min_ttl(secs: u64) -> Ask {
    Ask { min_ttl: seconds(secs), rejected: None }
}

fn complaint(generation: u64, by: By) -> Ask {
    Ask { min_ttl: Duration::ZERO, rejected: Some(Rejected { generation: Generation(generation), by }) }
}

fn refused_by_resource(accepted: bool) -> Ask {
    complaint(7, By::Resource { accepted })
}

/// A plan in one word, so that tables read as tables.
fn word(plan: &Plan<'_>) -> &'static str {
    match plan {
        Plan::NeedsUser(_) => "needs user",
        Plan::Renew => "renew",
        Plan::Serve(_) => "serve",
        Plan::ServeAndRenew(_) => "serve and renew",
        Plan::Wait { .. } => "wait",
    }
}

fn planned(grant: &Grant, strategy: &Strategy, ask: Ask, millis: u64) -> &'static str {
    word(&plan(grant, strategy, ask, lead(), at(millis)))
}

/// A whole attempt: the note of intent, then what its outcome leaves 100 ms later.
fn attempt(grant: &Grant, strategy: &Strategy, outcome: Outcome, millis: u64) -> Grant {
    let intent = begin(grant, &terms(), Ask::default(), at(millis));
    settle(&intent, strategy, outcome, at(millis + 100))
}

fn refused(verdict: Verdict) -> Outcome {
    Outcome::Refused(verdict, Evidence { place: "body error", found: "as told".to_owned() })
}

fn transient() -> Outcome {
    refused(Verdict::Transient { retry_after: None })
}

fn lost() -> Outcome {
    Outcome::InDoubt { detail: "no answer arrived in time".to_owned() }
}

/// Every verdict once; `deserved` below has an opinion on each variant, so a new one stops the
/// build there.
fn every_verdict() -> Vec<Verdict> {
    vec![
        Verdict::AccessTokenExpired,
        Verdict::AccessTokenInvalid,
        Verdict::AuthorizationPending,
        Verdict::ClientMisconfigured,
        Verdict::DpopNonceRequired { nonce: Some("n".to_owned()) },
        Verdict::GrantDead,
        Verdict::InsufficientScope { scopes: vec!["admin".to_owned()] },
        Verdict::NotAuth,
        Verdict::PermissionDenied,
        Verdict::RateLimited { retry_after: Some(seconds(7)) },
        Verdict::SlowDown,
        Verdict::StepUpRequired(StepUp::default()),
        Verdict::Transient { retry_after: None },
        Verdict::Unknown,
    ]
}

// ---- plan ----

#[test]
fn d11_a_live_grant_is_served_then_renewed_behind_the_caller_then_renewed_first() {
    let table =
        [(0, "serve"), (69_000, "serve"), (81_000, "serve and renew"), (99_999, "serve and renew"), (100_000, "renew")];
    for (millis, wanted) in table {
        assert_eq!(planned(&live(), &ROTATING, Ask::default(), millis), wanted, "{millis} ms");
    }
}

#[test]
fn what_is_served_is_the_held_token() {
    let grant = live();
    let Plan::Serve(tokens) = plan(&grant, &ROTATING, Ask::default(), lead(), at(0)) else {
        panic!("a fresh token was not served");
    };
    assert!(tokens.access.matches("access-7"));
}

#[test]
fn n05_a_token_of_unknown_life_is_served_until_it_is_refused() {
    let mut grant = live();
    grant.tokens.as_mut().unwrap().expires_at = None;
    for millis in [0, 100_000, 10_000_000_000] {
        assert_eq!(planned(&grant, &ROTATING, Ask::default(), millis), "serve", "{millis} ms");
        assert_eq!(planned(&grant, &ROTATING, min_ttl(3600), millis), "serve", "{millis} ms with min_ttl");
    }
    assert_eq!(planned(&grant, &ROTATING, refused_by_resource(true), 0), "renew");
}

/// Everything that can stand in the way of a renewal of a due token at 85 s.
fn obstacles() -> [Grant; 4] {
    [
        standing(Standing::CoolingDown { until: at(95_000) }),
        standing(Standing::Parked { cause: Cause::Dead, since: at(80_000) }),
        standing(Standing::Renewing { since: at(84_900), attempt: 1 }),
        without_refresh_token(),
    ]
}

#[test]
fn r5_an_obstacle_never_takes_a_good_token_away() {
    for grant in obstacles() {
        for millis in [84_950, 85_000, 85_300] {
            let found = planned(&grant, &ROTATING, Ask::default(), millis);
            assert_eq!(found, "serve", "{:?} at {millis} ms", grant.standing);
        }
    }
}

#[test]
fn r5_an_obstacle_never_takes_a_good_token_away_from_a_demanding_caller() {
    for grant in obstacles() {
        assert_eq!(planned(&grant, &ROTATING, min_ttl(60), 85_000), "serve", "{:?}", grant.standing);
    }
}

#[test]
fn without_a_good_token_the_obstacle_is_the_answer() {
    let [_, parked, _, unrenewable] = obstacles();
    let cooling = standing(Standing::CoolingDown { until: at(130_000) });
    let renewing = standing(Standing::Renewing { since: at(120_000), attempt: 1 });
    let table = [
        (cooling, Plan::Wait { until: at(130_000) }),
        (parked, Plan::NeedsUser(Cause::Dead)),
        (renewing, Plan::Wait { until: at(120_500) }),
        (unrenewable, Plan::NeedsUser(Cause::NotRenewable)),
    ];
    for (grant, wanted) in table {
        assert_eq!(plan(&grant, &ROTATING, Ask::default(), lead(), at(120_000)), wanted);
    }
}

#[test]
fn a_pause_that_has_passed_is_no_obstacle() {
    let cooling = standing(Standing::CoolingDown { until: at(130_000) });
    assert_eq!(planned(&cooling, &ROTATING, Ask::default(), 129_999), "wait");
    assert_eq!(planned(&cooling, &ROTATING, Ask::default(), 130_000), "renew");
}

#[test]
fn f19_a_pause_that_another_clock_wrote_down_holds_nobody_up_for_years() {
    // The machine came up without knowing the time: all that was written before lies far ahead.
    let far_ahead = at(120_000).plus(seconds(50 * 365 * 86_400));
    for standing_then in
        [Standing::CoolingDown { until: far_ahead }, Standing::Renewing { since: far_ahead, attempt: 1 }]
    {
        assert_eq!(planned(&standing(standing_then), &ROTATING, Ask::default(), 120_000), "renew", "{standing_then:?}");
    }
    let longest = standing(Standing::CoolingDown { until: at(120_000).plus(RETRY_AFTER_MAX) });
    assert_eq!(planned(&longest, &ROTATING, Ask::default(), 120_000), "wait", "no server is cut short");
}

#[test]
fn f19_a_token_from_ahead_of_the_clock_is_tried_and_not_renewed_on_suspicion() {
    let mut grant = live();
    let tokens = grant.tokens.as_mut().unwrap();
    (tokens.issued_at, tokens.expires_at) = (at(0).plus(seconds(1 << 30)), Some(at(0).plus(seconds((1 << 30) + 100))));
    assert_eq!(planned(&grant, &ROTATING, Ask::default(), 120_000), "serve");
    assert_eq!(planned(&grant, &ROTATING, refused_by_resource(true), 120_000), "renew", "until it is refused");
}

#[test]
fn the_caller_is_told_the_cause_that_was_recorded() {
    for cause in [Cause::Dead, Cause::LostRotation, Cause::NeverGranted, Cause::NotRenewable, Cause::StepUp] {
        let parked = standing(Standing::Parked { cause, since: at(0) });
        assert_eq!(plan(&parked, &ROTATING, Ask::default(), lead(), at(120_000)), Plan::NeedsUser(cause));
    }
}

#[test]
fn d4_an_attempt_in_doubt_is_repeated_after_half_a_second_then_three_then_slower() {
    for (attempt, pause_millis) in [(1, 500), (2, 3_000), (3, 6_000), (4, 12_000), (5, 24_000)] {
        let grant = standing(Standing::Renewing { since: at(120_000), attempt });
        let before = planned(&grant, &ROTATING, Ask::default(), 120_000 + pause_millis - 1);
        let after = planned(&grant, &ROTATING, Ask::default(), 120_000 + pause_millis);
        assert_eq!((before, after), ("wait", "renew"), "attempt {attempt}");
    }
    for attempt in 5..=u8::MAX {
        assert!(doubt_delay(attempt) <= BACK_OFF_MAX, "attempt {attempt}");
    }
}

#[test]
fn d4_a_doubt_is_resolved_behind_callers_though_the_access_token_is_fresh() {
    let grant = standing(Standing::Renewing { since: at(10_000), attempt: 1 });
    assert_eq!(planned(&grant, &ROTATING, Ask::default(), 10_499), "serve");
    assert_eq!(planned(&grant, &ROTATING, Ask::default(), 10_500), "serve and renew");
    assert_eq!(next_wake(&grant, lead()), Some(at(10_500)), "the refresher comes in time");
}

#[test]
fn d4_without_grace_the_first_repetition_waits_until_a_fifth_of_the_tokens_life_is_left() {
    let no_grace = lead().without_grace(true);
    let planned = |grant: &Grant, strategy, ask, millis| word(&plan(grant, strategy, ask, no_grace, at(millis)));
    let lost = |attempt| standing(Standing::Renewing { since: at(10_000), attempt });
    // The token lives for 100 s.
    for (millis, wanted) in [(10_500, "serve"), (79_999, "serve"), (80_000, "serve and renew"), (100_000, "renew")] {
        assert_eq!(planned(&lost(1), &ROTATING, Ask::default(), millis), wanted, "{millis}");
    }
    assert_eq!(next_wake(&lost(1), no_grace), Some(at(80_000)), "the refresher comes then and not before");
    // A person who wants another token waits too: it would cost everybody the one that is good.
    assert_eq!(planned(&lost(1), &ROTATING, complaint(7, By::Person), 79_999), "wait");
    assert_eq!(planned(&lost(1), &ROTATING, complaint(7, By::Person), 80_000), "renew");
    assert_eq!(planned(&lost(1), &ROTATING, Ask { min_ttl: seconds(80), rejected: None }, 40_000), "serve");
    // What a resource refuses is worth nothing, and what comes after the first repetition is on the usual schedule.
    assert_eq!(planned(&lost(1), &ROTATING, refused_by_resource(true), 10_500), "renew");
    assert_eq!(planned(&lost(2), &ROTATING, Ask::default(), 13_000), "serve and renew");
    assert_eq!(next_wake(&lost(2), no_grace), Some(at(13_000)));
    // So is a first one whose answer was lost later than that.
    let late = standing(Standing::Renewing { since: at(85_000), attempt: 1 });
    assert_eq!(planned(&late, &ROTATING, Ask::default(), 85_499), "serve");
    assert_eq!(planned(&late, &ROTATING, Ask::default(), 85_500), "serve and renew");
}

#[test]
fn d4_a_token_of_a_day_or_of_unknown_life_is_held_back_as_long_as_it_is_worth() {
    let no_grace = lead().without_grace(true);
    let with_life = |life| {
        let tokens = TokenSet::first(response("access-7", life, Some("refresh-7")), at(0));
        Grant { tokens: Some(tokens), ..standing(Standing::Renewing { since: at(10_000), attempt: 1 }) }
    };
    let planned = |life, secs: u64| word(&plan(&with_life(life), &ROTATING, Ask::default(), no_grace, at(secs * 1000)));
    assert_eq!(planned(Some(86_400), 86_400 * 8 / 10 - 1), "serve", "for longer than any pause lasts");
    assert_eq!(planned(Some(86_400), 86_400 * 8 / 10), "serve and renew");
    assert_eq!(planned(None, 11), "serve and renew", "nobody knows what a fifth of it is");
}

#[test]
fn r1_a_complaint_about_an_older_generation_is_answered_with_the_current_one() {
    for by in [By::Person, By::Resource { accepted: true }, By::Resource { accepted: false }] {
        assert_eq!(planned(&live(), &ROTATING, complaint(6, by), 10_000), "serve", "{by:?}");
        assert_eq!(planned(&live(), &ROTATING, complaint(7, by), 10_000), "renew", "{by:?}");
    }
}

#[test]
fn fifty_complaints_about_one_generation_cause_one_renewal() {
    let mut grant = live();
    let mut renewals = 0;
    for _ in 0..50 {
        let ask = refused_by_resource(true);
        if plan(&grant, &ROTATING, ask, lead(), at(10_000)) == Plan::Renew {
            let intent = begin(&grant, &terms(), ask, at(10_000));
            let fresh = response("access-8", Some(100), Some("refresh-8"));
            grant = settle(&intent, &ROTATING, Outcome::Renewed(fresh), at(10_100));
            renewals += 1;
        }
    }
    assert_eq!((renewals, grant.generation), (1, Generation(8)));
}

/// The grant after one renewal that a refusal forced at 1 s, with a life long enough that nothing
/// below falls into the second half of it.
fn forced_once(accepted: bool) -> Grant {
    let intent = begin(&live(), &terms(), refused_by_resource(accepted), at(1_000));
    settle(&intent, &ROTATING, Outcome::Renewed(response("access-8", Some(86_400), Some("refresh-8"))), at(1_000))
}

#[test]
fn r9_a_second_forced_renewal_of_a_token_that_was_never_accepted_waits() {
    let grant = forced_once(false);
    let ask = complaint(8, By::Resource { accepted: false });
    let wanted = Plan::Wait { until: at(1_000).plus(OPEN_FIRST) };
    assert_eq!(plan(&grant, &ROTATING, ask, lead(), at(2_000)), wanted);
    assert_eq!(plan(&grant, &ROTATING, ask, lead(), at(1_000).plus(FORCED_GAP)), wanted);
    assert_eq!(plan(&grant, &ROTATING, ask, lead(), at(1_000).plus(OPEN_FIRST)), Plan::Renew);
}

#[test]
fn d12_a_forced_renewal_of_a_token_that_was_accepted_waits_thirty_seconds() {
    let grant = forced_once(true);
    let ask = complaint(8, By::Resource { accepted: true });
    assert_eq!(plan(&grant, &ROTATING, ask, lead(), at(30_999)), Plan::Wait { until: at(31_000) });
    assert_eq!(plan(&grant, &ROTATING, ask, lead(), at(31_000)), Plan::Renew);
}

#[test]
fn a_forced_renewal_that_fails_does_not_count_against_the_breaker() {
    let failures = [transient(), refused(Verdict::GrantDead), Outcome::Unsent(Fault::Connect)];
    for (held, begun) in [(live(), at(10_000)), (forced_once(false), at(1_000).plus(OPEN_FIRST))] {
        let ask = complaint(held.generation.0, By::Resource { accepted: false });
        for failure in &failures {
            let intent = begin(&held, &terms(), ask, begun);
            assert_eq!(intent.breaker.forced.last(), Some(&begun), "{failure:?}: the attempt was not counted at all");
            let next = settle(&intent, &ROTATING, failure.clone(), begun);
            assert_eq!(next.breaker, held.breaker, "{failure:?}");
        }
    }
}

#[test]
fn d12_a_forced_renewal_in_doubt_goes_on_whatever_the_breaker_says_and_is_counted_once() {
    let ask = refused_by_resource(false);
    let intent = begin(&live(), &terms(), ask, at(10_000));
    let doubted = settle(&intent, &ROTATING, lost(), at(10_100));
    assert_eq!(doubted.breaker.forced, [at(10_000)]);
    assert_eq!(planned(&doubted, &ROTATING, ask, 10_599), "wait");
    assert_eq!(planned(&doubted, &ROTATING, ask, 10_600), "renew", "the breaker would wait until 310 s");
    let again = begin(&doubted, &terms(), ask, at(10_600));
    assert_eq!(again.breaker, doubted.breaker);
}

#[test]
fn a_person_is_obeyed_while_the_breaker_is_open() {
    assert_eq!(planned(&forced_once(false), &ROTATING, complaint(8, By::Person), 2_000), "renew");
}

#[test]
fn a_person_is_not_obeyed_over_a_pause_or_a_dead_grant() {
    let cooling = standing(Standing::CoolingDown { until: at(95_000) });
    let parked = standing(Standing::Parked { cause: Cause::Dead, since: at(0) });
    assert_eq!(planned(&cooling, &ROTATING, complaint(7, By::Person), 10_000), "wait");
    assert_eq!(planned(&parked, &ROTATING, complaint(7, By::Person), 10_000), "needs user");
}

#[test]
fn a_refusal_in_the_second_half_of_a_life_is_neither_counted_nor_held_up() {
    for (millis, counted) in [(0, true), (49_999, true), (50_000, false), (99_000, false)] {
        let intent = begin(&live(), &terms(), refused_by_resource(false), at(millis));
        assert_eq!(!intent.breaker.forced.is_empty(), counted, "{millis} ms");
        let open = Grant { breaker: Breaker { forced: vec![at(0)], born_forced: true, streak: 0 }, ..live() };
        let found = planned(&open, &ROTATING, refused_by_resource(false), millis);
        assert_eq!(found, if counted { "wait" } else { "renew" }, "{millis} ms");
    }
}

#[test]
fn a_demand_for_more_life_renews_first_and_one_renewal_satisfies_all_askers() {
    assert_eq!(planned(&live(), &ROTATING, min_ttl(60), 30_000), "serve");
    assert_eq!(planned(&live(), &ROTATING, min_ttl(60), 45_000), "renew");
    let fresh = response("access-8", Some(100), Some("refresh-8"));
    let renewed = attempt(&live(), &ROTATING, Outcome::Renewed(fresh), 45_000);
    for millis in [45_100, 60_000, 80_000] {
        assert_eq!(planned(&renewed, &ROTATING, min_ttl(60), millis), "serve", "{millis} ms");
    }
}

#[test]
fn a_demand_that_no_token_of_the_server_can_meet_is_cut_down() {
    for secs in [91, 100, 3600, 1_000_000] {
        assert_eq!(planned(&live(), &ROTATING, min_ttl(secs), 0), "serve", "{secs} s, newborn");
        assert_eq!(planned(&live(), &ROTATING, min_ttl(secs), 49_000), "serve", "{secs} s, before half");
        assert_eq!(planned(&live(), &ROTATING, min_ttl(secs), 51_000), "renew", "{secs} s, past half");
    }
}

#[test]
fn f45_demands_on_a_token_of_one_second_do_not_renew_more_than_once_a_second() {
    let mut grant = live();
    grant.tokens = Some(TokenSet::first(response("short", Some(1), Some("refresh")), at(0)));
    for millis in [0, 400, 600, 999] {
        assert_ne!(planned(&grant, &ROTATING, min_ttl(300), millis), "renew", "{millis} ms");
    }
}

#[test]
fn who_can_be_renewed_follows_from_the_strategy_and_what_is_held() {
    let nothing = Grant { tokens: None, ..live() };
    let table = [
        (nothing.clone(), &ROTATING, Plan::NeedsUser(Cause::NeverGranted)),
        (nothing.clone(), &FIXED, Plan::NeedsUser(Cause::NeverGranted)),
        (nothing, &MINTED, Plan::Renew),
        (without_refresh_token(), &ROTATING, Plan::NeedsUser(Cause::NotRenewable)),
        (live(), &FIXED, Plan::NeedsUser(Cause::NotRenewable)),
        (without_refresh_token(), &MINTED, Plan::Renew),
        (live(), &ROTATING, Plan::Renew),
    ];
    for (grant, strategy, wanted) in &table {
        let found = plan(grant, strategy, Ask::default(), lead(), at(200_000));
        assert_eq!(found, *wanted, "{} holding {:?}", strategy.grant_type, grant.tokens);
    }
}

#[test]
fn the_refresher_wakes_for_what_time_can_change_and_never_for_a_parked_grant() {
    let due = lead().due_at(live().tokens.as_ref().unwrap());
    assert_eq!(next_wake(&live(), lead()), due);
    assert_eq!(next_wake(&standing(Standing::CoolingDown { until: at(95_000) }), lead()), Some(at(95_000)));
    assert_eq!(next_wake(&standing(Standing::CoolingDown { until: at(5) }), lead()), due);
    assert_eq!(next_wake(&standing(Standing::Parked { cause: Cause::Dead, since: at(0) }), lead()), None);
    let renewing = standing(Standing::Renewing { since: at(90_000), attempt: 1 });
    assert_eq!(next_wake(&renewing, lead()), Some(at(90_500)));
}

// ---- begin ----

#[test]
fn attempts_are_counted_over_crashes_and_a_crash_leaves_doubt() {
    let mut found = live();
    for expected in 1..=5 {
        // Each holder dies after its note of intent; the next finds the note.
        found = begin(&found, &terms(), Ask::default(), at(80_000 + u64::from(expected) * 60_000));
        let Standing::Renewing { attempt, .. } = found.standing else { panic!("no note of intent") };
        assert_eq!(attempt, expected);
        assert_eq!(found.in_doubt, expected > 1, "attempt {expected}");
    }
}

#[test]
fn a_crash_loop_does_not_overflow_the_count() {
    let grant = standing(Standing::Renewing { since: at(0), attempt: u8::MAX });
    let next = begin(&grant, &terms(), Ask::default(), at(1));
    assert_eq!(next.standing, Standing::Renewing { since: at(1), attempt: u8::MAX });
}

#[test]
fn the_note_of_intent_keeps_tokens_and_generation() {
    let next = begin(&live(), &terms(), Ask::default(), at(80_000));
    assert_eq!((next.generation, next.tokens), (live().generation, live().tokens));
}

#[test]
fn an_attempt_after_a_definite_answer_counts_from_one_again() {
    let after = attempt(&live(), &ROTATING, transient(), 80_000);
    let next = begin(&after, &terms(), Ask::default(), at(90_000));
    assert_eq!(next.standing, Standing::Renewing { since: at(90_000), attempt: 1 });
    assert!(!next.in_doubt);
}

// ---- settle ----

#[test]
fn f38_a_404_of_whoever_is_in_the_way_passes_and_is_the_configurations_fault_when_it_goes_on() {
    let not_found = |status: &str| {
        let evidence = Evidence { place: "status", found: status.to_owned() };
        Outcome::Refused(Verdict::ClientMisconfigured, evidence)
    };
    let first = attempt(&live(), &ROTATING, not_found("404"), 80_000);
    assert_eq!(left_behind(&first), "paused server-misbehaved");
    assert_eq!(planned(&first, &ROTATING, Ask::default(), 80_100 + 500), "serve and renew");
    let sixth = attempt(&Grant { failures: 5, ..first }, &ROTATING, not_found("404"), 90_000);
    assert_eq!(left_behind(&sixth), "paused client-misconfigured");
    assert_eq!(planned(&sixth, &ROTATING, Ask::default(), 90_100 + 60_000), "renew", "and it is still tried");
    // RFC 6749 5.2: this one is the server's own.
    let unauthenticated = attempt(&live(), &ROTATING, not_found("401"), 80_000);
    assert_eq!(unauthenticated.standing, Standing::CoolingDown { until: at(80_100).plus(MISCONFIGURED_PAUSE) });
}

#[test]
fn the_life_of_a_token_counts_from_the_start_of_the_request() {
    let intent = begin(&live(), &terms(), Ask::default(), at(80_000));
    let next = settle(&intent, &ROTATING, Outcome::Renewed(response("slow", Some(10), None)), at(95_000));
    let tokens = next.tokens.unwrap();
    assert_eq!((tokens.issued_at, tokens.expires_at), (at(80_000), Some(at(90_000))));
    assert_eq!(next.renewed_at, Some(at(95_000)));
}

#[test]
fn a_success_clears_failures_and_doubt_and_moves_one_generation_on() {
    let troubled = Grant { failures: 9, in_doubt: true, ..standing(Standing::CoolingDown { until: at(1) }) };
    let next = attempt(&troubled, &ROTATING, Outcome::Renewed(response("access-8", Some(100), None)), 80_000);
    assert_eq!((next.generation, next.standing), (Generation(8), Standing::Live));
    assert_eq!((next.failures, next.in_doubt), (0, false));
    assert!(next.tokens.unwrap().refresh.unwrap().matches("refresh-7"), "n07: left out, and so lost");
}

#[test]
fn the_end_of_the_grant_is_kept_where_the_server_told_it_and_not_forgotten() {
    let mut told = response("access-8", Some(100), Some("refresh-8"));
    told.refresh_expires_in = Some(seconds(1_000));
    let first = attempt(&live(), &ROTATING, Outcome::Renewed(told), 80_000);
    assert_eq!(first.ends_at, Some(at(1_080_000)));
    let second = attempt(&first, &ROTATING, Outcome::Renewed(response("access-9", Some(100), None)), 160_000);
    assert_eq!(second.ends_at, Some(at(1_080_000)));
}

/// What a verdict of the token endpoint leaves of a rotating and of a minted grant.
fn deserved(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::GrantDead => ("parked needs-user", "paused client-misconfigured"),
        Verdict::StepUpRequired(_) => ("parked needs-user", "parked needs-user"),
        Verdict::ClientMisconfigured | Verdict::InsufficientScope { .. } | Verdict::PermissionDenied => {
            ("paused client-misconfigured", "paused client-misconfigured")
        }
        Verdict::RateLimited { .. } | Verdict::Transient { .. } => {
            ("paused server-unreachable", "paused server-unreachable")
        }
        Verdict::AccessTokenExpired
        | Verdict::AccessTokenInvalid
        | Verdict::AuthorizationPending
        | Verdict::DpopNonceRequired { .. }
        | Verdict::NotAuth
        | Verdict::SlowDown
        | Verdict::Unknown => ("paused server-misbehaved", "paused server-misbehaved"),
    }
}

fn left_behind(grant: &Grant) -> String {
    let kind = match grant.standing {
        Standing::CoolingDown { .. } => "paused",
        Standing::Live => "live",
        Standing::Parked { .. } => "parked",
        Standing::Revoking { .. } => "revoking",
        Standing::Renewing { .. } => "in flight",
    };
    format!("{kind} {}", grant.trouble.as_ref().map_or("", |trouble| trouble.code.as_str()))
}

#[test]
fn every_verdict_leaves_the_standing_it_deserves_and_erases_nothing() {
    for verdict in every_verdict() {
        let (rotating, minted) = deserved(&verdict);
        for (strategy, wanted) in [(&ROTATING, rotating), (&MINTED, minted)] {
            let next = attempt(&live(), strategy, refused(verdict.clone()), 80_000);
            assert_eq!(left_behind(&next), wanted, "{verdict:?} of {}", strategy.grant_type);
            assert_eq!((next.generation, &next.tokens), (Generation(7), &live().tokens), "{verdict:?}");
            assert_eq!(next.failures, 1, "{verdict:?}");
            assert_eq!(planned(&next, strategy, Ask::default(), 80_200), "serve", "r5: {verdict:?}");
        }
    }
}

#[test]
fn every_unsent_request_is_an_outage_but_an_insecure_address_is_a_mistake() {
    let table = [
        (Fault::Broken, "paused server-unreachable"),
        (Fault::Connect, "paused server-unreachable"),
        (Fault::Insecure, "paused insecure-address"),
        (Fault::OutOfReach, "paused insecure-address"),
        (Fault::Timeout, "paused server-unreachable"),
        (Fault::Tls, "paused server-unreachable"),
        (Fault::TooLarge, "paused server-unreachable"),
    ];
    for (fault, wanted) in table {
        let next = attempt(&live(), &ROTATING, Outcome::Unsent(fault), 80_000);
        assert_eq!(left_behind(&next), wanted, "{fault:?}");
        assert!(!next.in_doubt, "{fault:?}: nothing was sent");
    }
}

#[test]
fn a_refusal_as_dead_parks_a_rotating_grant_as_dead() {
    let next = attempt(&live(), &ROTATING, refused(Verdict::GrantDead), 80_000);
    assert_eq!(next.standing, Standing::Parked { cause: Cause::Dead, since: at(80_100) });
}

#[test]
fn dead_after_a_lost_answer_is_a_lost_rotation() {
    let doubtful = attempt(&live(), &ROTATING, lost(), 80_000);
    assert_eq!(left_behind(&doubtful), "in flight in-doubt");
    let next = attempt(&doubtful, &ROTATING, refused(Verdict::GrantDead), 81_000);
    assert_eq!(next.standing, Standing::Parked { cause: Cause::LostRotation, since: at(81_100) });
    assert_eq!(next.trouble.unwrap().code, Code::LostRotation);
}

#[test]
fn dead_after_a_crash_is_a_lost_rotation() {
    let corpse = begin(&live(), &terms(), Ask::default(), at(80_000));
    let next = attempt(&corpse, &ROTATING, refused(Verdict::GrantDead), 81_000);
    assert_eq!(next.standing, Standing::Parked { cause: Cause::LostRotation, since: at(81_100) });
}

#[test]
fn f41_a_reuse_that_was_not_ours_is_suspected_theft_and_keeps_what_is_held() {
    let reused = || Outcome::Reused(Evidence { place: "body error", found: "as told".to_owned() });
    let next = attempt(&live(), &ROTATING, reused(), 80_000);
    assert_eq!(next.standing, Standing::Parked { cause: Cause::TheftSuspected, since: at(80_100) });
    assert_eq!((next.trouble.as_ref().unwrap().code, &next.tokens), (Code::TheftSuspected, &live().tokens));
    assert_eq!(next.history.events().last().unwrap().happening, Happening::Parked(Cause::TheftSuspected));
    // Where an answer of ours was lost, it was we who used it.
    let doubtful = attempt(&attempt(&live(), &ROTATING, lost(), 80_000), &ROTATING, reused(), 81_000);
    assert_eq!(doubtful.standing, Standing::Parked { cause: Cause::LostRotation, since: at(81_100) });
    let corpse = begin(&live(), &terms(), Ask::default(), at(80_000));
    let crashed = attempt(&corpse, &ROTATING, reused(), 81_000);
    assert_eq!(crashed.standing, Standing::Parked { cause: Cause::LostRotation, since: at(81_100) });
    // What is minted anew spends nothing that anybody could have used.
    let minted = attempt(&live(), &MINTED, reused(), 80_000);
    assert!(!matches!(minted.standing, Standing::Parked { .. }), "{minted:?}");
}

#[test]
fn an_outage_between_a_lost_answer_and_the_refusal_does_not_hide_the_loss() {
    let between = [
        transient(),
        refused(Verdict::RateLimited { retry_after: None }),
        refused(Verdict::ClientMisconfigured),
        Outcome::Unsent(Fault::Connect),
    ];
    for outage in between {
        let doubtful = attempt(&live(), &ROTATING, lost(), 80_000);
        let ill = attempt(&doubtful, &ROTATING, outage.clone(), 81_000);
        let next = attempt(&ill, &ROTATING, refused(Verdict::GrantDead), 2_000_000);
        let found = matches!(next.standing, Standing::Parked { cause: Cause::LostRotation, .. });
        assert!(found, "{outage:?} then {:?}", next.standing);
    }
}

#[test]
fn a_success_after_a_lost_answer_ends_the_doubt() {
    let doubtful = attempt(&live(), &ROTATING, lost(), 80_000);
    let fresh = response("access-8", Some(100), Some("refresh-8"));
    let saved = attempt(&doubtful, &ROTATING, Outcome::Renewed(fresh), 81_000);
    let next = attempt(&saved, &ROTATING, refused(Verdict::GrantDead), 160_000);
    assert!(matches!(next.standing, Standing::Parked { cause: Cause::Dead, .. }), "{:?}", next.standing);
}

#[test]
fn a_lost_answer_is_counted_and_tried_again_on_the_schedule_of_doubt() {
    let first = attempt(&live(), &ROTATING, lost(), 120_000);
    assert_eq!(first.standing, Standing::Renewing { since: at(120_100), attempt: 1 });
    assert_eq!(planned(&first, &ROTATING, Ask::default(), 120_599), "wait");
    assert_eq!(planned(&first, &ROTATING, Ask::default(), 120_600), "renew");
    let second = attempt(&first, &ROTATING, lost(), 120_600);
    assert_eq!(second.standing, Standing::Renewing { since: at(120_700), attempt: 2 });
    assert_eq!(planned(&second, &ROTATING, Ask::default(), 123_699), "wait");
    assert_eq!(planned(&second, &ROTATING, Ask::default(), 123_700), "renew");
}

#[test]
fn minted_grants_are_never_in_doubt_and_no_refusal_of_the_grant_parks_them() {
    let doubtful = attempt(&live(), &MINTED, lost(), 80_000);
    assert_eq!(left_behind(&doubtful), "paused server-unreachable");
    assert!(!doubtful.in_doubt);
    let dead = attempt(&live(), &MINTED, refused(Verdict::GrantDead), 80_000);
    assert_eq!(left_behind(&dead), "paused client-misconfigured");
}

#[test]
fn f37_a_pause_for_a_mistake_lasts_a_quarter_of_an_hour_under_the_same_terms() {
    let next = attempt(&live(), &ROTATING, refused(Verdict::ClientMisconfigured), 120_000);
    assert_eq!(next.standing, Standing::CoolingDown { until: at(120_100).plus(MISCONFIGURED_PAUSE) });
    assert_eq!(next.clone().under(&terms()), next);
}

#[test]
fn f37_a_pause_for_a_mistake_ends_when_the_terms_change() {
    let next = attempt(&live(), &ROTATING, refused(Verdict::ClientMisconfigured), 120_000);
    let changes: [fn(&mut Terms); 5] = [
        |terms| terms.client_auth = ClientAuth::Basic(Secret::new("second secret")),
        |terms| terms.client_auth = ClientAuth::Post(Secret::new("first secret")),
        |terms| terms.client_id = "other".to_owned(),
        |terms| terms.scope.push("more".to_owned()),
        |terms| terms.resource = Some("https://api.example.com".to_owned()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut mended = terms();
        change(&mut mended);
        let held = next.clone().under(&mended);
        assert_eq!(held.standing, Standing::Live, "change {number}");
        assert_eq!(planned(&held, &ROTATING, Ask::default(), 120_200), "renew", "change {number}");
    }
}

#[test]
fn a_pause_for_an_outage_does_not_end_when_the_terms_change() {
    let next = attempt(&live(), &ROTATING, transient(), 120_000);
    let mended = Terms { client_id: "other".to_owned(), ..terms() };
    assert_eq!(next.clone().under(&mended).standing, next.standing);
}

#[test]
fn a_dead_grant_stays_parked_when_the_terms_change() {
    let next = attempt(&live(), &ROTATING, refused(Verdict::GrantDead), 120_000);
    let mended = Terms { client_id: "other".to_owned(), ..terms() };
    assert_eq!(next.clone().under(&mended).standing, next.standing);
}

fn pause_after(grant: &Grant, asked: Option<Duration>) -> Duration {
    let next = settle(grant, &ROTATING, refused(Verdict::RateLimited { retry_after: asked }), at(0));
    let Standing::CoolingDown { until } = next.standing else { panic!("no pause: {:?}", next.standing) };
    until.since(at(0))
}

#[test]
fn f31_a_pause_the_server_asks_for_is_kept_up_to_an_hour() {
    let own = pause_after(&live(), None);
    assert_eq!(pause_after(&live(), Some(seconds(7))), seconds(7));
    assert_eq!(pause_after(&live(), Some(RETRY_AFTER_MAX)), RETRY_AFTER_MAX);
    assert_eq!(pause_after(&live(), Some(seconds(86_400))), RETRY_AFTER_MAX);
    assert_eq!(pause_after(&live(), Some(Duration::MAX)), RETRY_AFTER_MAX);
    assert_eq!(pause_after(&live(), Some(Duration::ZERO)), own, "a zero pause is no leave to hammer");
}

#[test]
fn pauses_double_with_every_failure_up_to_a_minute_and_survive_the_note_of_intent() {
    let (mut grant, mut millis, mut pauses) = (live(), 120_000, Vec::new());
    for _ in 0..12 {
        grant = attempt(&grant, &ROTATING, transient(), millis);
        let Standing::CoolingDown { until } = grant.standing else { panic!("no pause: {:?}", grant.standing) };
        pauses.push(until.since(at(millis + 100)));
        millis = until.since(at(0)).as_millis().try_into().unwrap();
    }
    let rounding = Duration::from_millis(2);
    assert!(pauses.windows(2).take(6).all(|pair| pair[1] + rounding >= pair[0] * 2), "{pauses:?}");
    assert!(pauses[0] >= BACK_OFF_FIRST * 9 / 10 && *pauses.last().unwrap() >= BACK_OFF_MAX * 9 / 10, "{pauses:?}");
    assert!(pauses.is_sorted() && *pauses.last().unwrap() <= BACK_OFF_MAX, "{pauses:?}");
}

#[test]
fn failures_do_not_overflow() {
    let grant = Grant { failures: u8::MAX, ..live() };
    assert_eq!(attempt(&grant, &ROTATING, refused(Verdict::Unknown), 80_000).failures, u8::MAX);
}

#[test]
fn a_login_clears_everything_but_the_pinned_subject_and_moves_one_generation_on() {
    let parked = attempt(&live(), &ROTATING, refused(Verdict::GrantDead), 80_000);
    let dead = Grant { subject: Some("alice".to_owned()), ..parked };
    let next = dead.granted(&terms(), TokenSet::first(response("new", Some(100), Some("new")), at(90_000)));
    assert_eq!((next.generation, next.standing), (Generation(8), Standing::Live));
    assert_eq!((next.failures, next.in_doubt, next.trouble), (0, false, None));
    assert_eq!(next.subject.as_deref(), Some("alice"));
}

// ---- what an answer comes to ----

fn reply(status: u16, body: &str) -> Outcome {
    let reply = Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() };
    judge(&Answer::Complete(reply), &Quirks::default(), &read_token_response)
}

#[test]
fn f32_a_bare_server_error_leaves_a_rotating_grant_in_doubt() {
    for status in [408, 500, 502, 503, 504] {
        for body in ["", "<html>Bad gateway</html>"] {
            let next = attempt(&live(), &ROTATING, reply(status, body), 80_000);
            assert!(next.in_doubt, "{status} {body:?} left {}", left_behind(&next));
        }
    }
}

#[test]
fn a_lost_answer_is_in_doubt_and_an_unsent_request_is_not() {
    for fault in [Fault::Broken, Fault::Timeout, Fault::TooLarge, Fault::Tls, Fault::Connect] {
        assert!(
            matches!(judge(&Answer::Lost(fault), &Quirks::default(), &read_token_response), Outcome::InDoubt { .. }),
            "{fault:?}"
        );
        assert_eq!(judge(&Answer::Unsent(fault), &Quirks::default(), &read_token_response), Outcome::Unsent(fault));
    }
}

#[test]
fn f34_a_success_without_a_token_is_no_success_and_erases_nothing() {
    for body in ["", "{}", "<html>Sign in to the network</html>", "{\"access_token\":\"cut", "[]", "null"] {
        let next = attempt(&live(), &ROTATING, reply(200, body), 80_000);
        assert_eq!((next.generation, &next.tokens), (Generation(7), &live().tokens), "{body:?}");
        assert_ne!(next.standing, Standing::Live, "{body:?}");
    }
}

#[test]
fn a_success_with_a_token_renews() {
    let next = attempt(&live(), &ROTATING, reply(200, "{\"access_token\":\"new\",\"expires_in\":\"60\"}"), 80_000);
    assert_eq!(next.generation, Generation(8));
    assert_eq!(next.tokens.unwrap().expires_at, Some(at(140_000)));
}

// ---- properties ----

fn any_verdict() -> impl Generate<Value = Verdict> {
    let pause = prop::option::of(any::<u64>().prop_map(Duration::from_secs));
    prop_oneof![
        prop::sample::select(every_verdict()),
        pause.clone().prop_map(|retry_after| Verdict::RateLimited { retry_after }),
        pause.prop_map(|retry_after| Verdict::Transient { retry_after }),
    ]
}

fn any_response() -> impl Generate<Value = Outcome> {
    let life = prop::option::of(any::<u64>().prop_map(Duration::from_secs));
    let refresh = prop::option::of(prop::sample::select(vec!["", "refresh-a", "refresh-b"]));
    (life.clone(), refresh, life).prop_map(|(expires_in, refresh, refresh_expires_in)| {
        Outcome::Renewed(TokenResponse {
            expires_in,
            refresh: refresh.map(Secret::new),
            refresh_expires_in,
            ..TokenResponse::bearer("access")
        })
    })
}

fn any_outcome() -> impl Generate<Value = Outcome> {
    let faults = [Fault::Broken, Fault::Connect, Fault::Insecure, Fault::Timeout, Fault::Tls, Fault::TooLarge];
    prop_oneof![
        Just(lost()),
        any_verdict().prop_map(refused),
        prop::sample::select(faults.to_vec()).prop_map(Outcome::Unsent),
        any_response(),
    ]
}

fn any_moment() -> impl Generate<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::from_millis(0)),
        Just(Timestamp::from_millis(u64::MAX)),
        (0..10_000_000_u64).prop_map(at),
        any::<u64>().prop_map(Timestamp::from_millis),
    ]
}

fn any_ask() -> impl Generate<Value = Ask> {
    let by = prop::sample::select(vec![By::Person, By::Resource { accepted: true }, By::Resource { accepted: false }]);
    let generation = prop_oneof![0..20_u64, Just(u64::MAX)].prop_map(Generation);
    let rejected = prop::option::of((generation, by).prop_map(|(generation, by)| Rejected { generation, by }));
    (any::<u32>(), rejected).prop_map(|(secs, rejected)| Ask { min_ttl: seconds(secs.into()), rejected })
}

fn any_strategy() -> impl Generate<Value = Strategy> {
    prop::sample::select(vec![ROTATING, MINTED, FIXED])
}

fn holds_refresh_token(grant: &Grant) -> bool {
    grant.tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some())
}

proptest! {
    #[test]
    fn no_course_of_events_lowers_the_generation_loses_a_refresh_token_or_panics(
        strategy in any_strategy(),
        events in prop::collection::vec((any_ask(), any_moment(), any_outcome(), any_moment()), 1..20),
        first_is_empty in any::<bool>(),
    ) {
        let mut grant = if first_is_empty { Grant::empty(&terms()) } else { live() };
        for (ask, begun, outcome, ended) in events {
            let _ = plan(&grant, &strategy, ask, lead(), begun);
            let intent = begin(&grant, &terms(), ask, begun);
            prop_assert_eq!(&intent.tokens, &grant.tokens);
            prop_assert_eq!(intent.generation, grant.generation);
            let renewed = matches!(outcome, Outcome::Renewed(_));
            let next = settle(&intent, &strategy, outcome, ended);
            let _ = (next_wake(&next, lead()), next.clone().under(&terms()));

            prop_assert_eq!(next.generation, if renewed { grant.generation.next() } else { grant.generation });
            if !renewed {
                prop_assert_eq!(&next.tokens, &grant.tokens);
                prop_assert!(next.trouble.is_some(), "a failure without a reason");
            }
            prop_assert!(!holds_refresh_token(&grant) || holds_refresh_token(&next), "a refresh token was lost");
            let empty = next.tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref()).is_some_and(Secret::is_empty);
            prop_assert!(!empty, "an empty refresh token was kept");
            grant = next;
        }
    }

    #[test]
    fn r5_no_standing_takes_a_good_token_away(
        strategy in any_strategy(),
        until in any_moment(),
        attempt in any::<u8>(),
        which in 0..4,
        min in any::<u32>(),
        millis in 0..100_000_u64,
    ) {
        let grant = standing(match which {
            0 => Standing::CoolingDown { until },
            1 => Standing::Parked { cause: Cause::Dead, since: until },
            2 => Standing::Renewing { since: until, attempt },
            _ => Standing::Live,
        });
        match plan(&grant, &strategy, min_ttl(min.into()), lead(), at(millis)) {
            Plan::Serve(tokens) | Plan::ServeAndRenew(tokens) => prop_assert!(tokens.access.matches("access-7")),
            Plan::Renew => prop_assert!(min > 0, "renewed first though nobody demanded it"),
            obstacle @ (Plan::NeedsUser(_) | Plan::Wait { .. }) => prop_assert!(false, "{:?}", obstacle),
        }
    }

    #[test]
    fn what_is_served_has_not_ended_and_was_not_complained_about(
        ask in any_ask(),
        which in 0..4,
        millis in 0..200_000_u64,
    ) {
        let grant = standing(match which {
            0 => Standing::CoolingDown { until: at(150_000) },
            1 => Standing::Parked { cause: Cause::StepUp, since: at(0) },
            2 => Standing::Renewing { since: at(100_000), attempt: 2 },
            _ => Standing::Live,
        });
        let found = plan(&grant, &ROTATING, ask, lead(), at(millis));
        if let Plan::Serve(tokens) | Plan::ServeAndRenew(tokens) = found {
            prop_assert!(tokens.expires_at.unwrap() > at(millis));
            prop_assert!(ask.rejected.is_none_or(|rejected| rejected.generation < grant.generation));
        }
    }

    #[test]
    fn a_plan_that_waits_waits_for_the_future(ask in any_ask(), until in any_moment(), now in any_moment()) {
        let grant = standing(Standing::CoolingDown { until });
        if let Plan::Wait { until } = plan(&grant, &ROTATING, ask, lead(), now) {
            prop_assert!(until > now);
        }
    }

    #[test]
    fn every_pause_ends_within_an_hour_and_one_for_a_mistake_within_a_quarter(
        outcome in any_outcome(),
        millis in 0..1_000_000_u64,
    ) {
        let next = attempt(&live(), &ROTATING, outcome, millis);
        if let (Standing::CoolingDown { until }, Some(trouble)) = (next.standing, &next.trouble) {
            let mistake = trouble.code.advice() == Advice::FixConfig;
            let pause = until.since(at(millis + 100));
            prop_assert!(pause <= if mistake { MISCONFIGURED_PAUSE } else { RETRY_AFTER_MAX }, "{:?}", pause);
            prop_assert!(pause > Duration::ZERO);
        }
    }
}

#[test]
fn f48_tokens_whose_key_is_lost_are_neither_served_nor_spent() {
    let mut bound = live();
    bound.tokens.as_mut().unwrap().token_type = TokenType::Dpop;
    bound.proof_key = Some(Secret::new("a key"));
    assert_eq!(planned(&bound, &ROTATING, Ask::default(), 100), "serve");
    bound.proof_key = None;
    for now in [100, 80_000, 200_000] {
        let plan = plan(&bound, &ROTATING, Ask::default(), lead(), at(now));
        assert_eq!(plan, Plan::NeedsUser(Cause::ProofKeyLost), "at {now}");
    }
}

#[test]
fn a_rotation_that_failed_keeps_the_key_pauses_and_leaves_no_doubt_behind() {
    let intent = Grant { standing: Standing::Renewing { since: at(0), attempt: 2 }, in_doubt: true, ..live() };
    let next = settle(&intent, &MINTED, Outcome::CommandFailed { detail: "no".to_owned() }, at(0));
    assert_eq!(next.standing, Standing::CoolingDown { until: at(0).plus(seconds(15 * 60)) });
    assert_eq!((next.trouble.unwrap().code, next.in_doubt), (Code::RotationFailed, false));
    assert_eq!((next.tokens, next.generation), (intent.tokens, intent.generation));
}

fn id_token(claims: &str) -> Option<Secret> {
    let part = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    Some(Secret::new(format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(claims))))
}

#[test]
fn n42_an_id_token_of_somebody_else_makes_a_renewal_unused_and_keeps_what_is_held() {
    let mut held = live();
    held.client_id = "agent".to_owned();
    held.subject = Some("alice".to_owned());
    held.subject_issuer = Some("https://as.example".to_owned());
    let after = |claims: &str| {
        let response = TokenResponse { id_token: id_token(claims), ..response("new", Some(3600), Some("next")) };
        attempt(&held, &ROTATING, Outcome::Renewed(response), 80_000)
    };
    let same = after(r#"{"iss":"https://as.example","sub":"alice","aud":"agent"}"#);
    assert_eq!((same.generation, same.standing), (Generation(8), Standing::Live));
    for other in [
        r#"{"iss":"https://as.example","sub":"bob","aud":"agent"}"#,
        r#"{"iss":"https://other.example","sub":"alice","aud":"agent"}"#,
        r#"{"iss":"https://as.example","sub":"alice","aud":["somebody"]}"#,
        r#"{"iss":"https://as.example","sub":"alice","aud":["agent","somebody"],"azp":"somebody"}"#,
    ] {
        let next = after(other);
        assert_eq!((next.generation, &next.tokens), (Generation(7), &held.tokens), "{other}");
        assert_eq!(next.trouble.as_ref().unwrap().code, Code::ServerMisbehaved, "{other}");
        assert!(next.in_doubt, "the server may have rotated");
    }
    // One that cannot be read says nothing, as before.
    let encrypted = TokenResponse { id_token: Some(Secret::new("a.b.c.d.e")), ..response("new", Some(3600), None) };
    assert_eq!(attempt(&held, &ROTATING, Outcome::Renewed(encrypted), 80_000).generation, Generation(8));
}

#[test]
fn n42_where_no_id_token_named_anybody_at_the_login_a_renewals_refuses_and_pins_nobody() {
    // By UserInfo or an API of the configuration, or not at all: neither can be compared with an ID token.
    for subject in [Some("17".to_owned()), None] {
        let mut held = live();
        (held.client_id, held.subject, held.subject_issuer) = ("agent".to_owned(), subject.clone(), None);
        let claims = r#"{"iss":"https://other.example","sub":"bob","aud":"somebody"}"#;
        let response = TokenResponse { id_token: id_token(claims), ..response("new", Some(3600), Some("next")) };
        let next = attempt(&held, &ROTATING, Outcome::Renewed(response), 80_000);
        assert_eq!((next.generation, next.standing), (Generation(8), Standing::Live));
        assert_eq!(
            (next.subject, next.subject_issuer),
            (subject, None),
            "a login says whose a grant is, and nothing else"
        );
    }
}
