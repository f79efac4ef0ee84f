//! A call for a fresh token beside the load of an `arc-swap` cell; prints the ratio.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use arc_swap::ArcSwapOption;
use criterion::{Criterion, criterion_group, criterion_main};
use outlast::TokenResponse;
use outlast::{Clock, GrantHandle, GrantId, GrantSettings, Provider, Server, Settings, SystemClock, TokenSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn handle() -> GrantHandle {
    let settings = GrantSettings {
        client_id: "client".to_owned(),
        ..GrantSettings::new(
            GrantId::parse("crm").unwrap(),
            "refresh_token",
            Server::from(Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() }),
        )
    };
    let keeper = Settings::in_memory().grant(settings).open().unwrap();
    let handle = keeper.grant(&GrantId::parse("crm").unwrap()).unwrap();
    let life = Some(Duration::from_secs(36_000));
    let tokens = TokenSet::first(
        TokenResponse { expires_in: life, ..TokenResponse::bearer("a".repeat(260)) },
        SystemClock::new().now(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(handle.import(tokens)).unwrap();
    assert!(handle.fresh().is_some());
    handle
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn time_of(rounds: u32, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

fn fresh(criterion: &mut Criterion) {
    let handle = handle();
    let cell = ArcSwapOption::from(Some(Arc::new([7_u8; 300])));
    let mut group = criterion.benchmark_group("fresh token");
    group.bench_function("arc-swap load", |bencher| bencher.iter(|| black_box(cell.load()).is_some()));
    group.bench_function("outlast handle", |bencher| bencher.iter(|| black_box(handle.fresh()).is_some()));
    group.finish();
    let mut ratios: Vec<f64> = (0..21)
        .map(|_| {
            let anchor = time_of(2_000_000, || drop(black_box(cell.load())));
            let ours = time_of(2_000_000, || drop(black_box(handle.fresh())));
            ours / anchor
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "fresh token / arc-swap load: median {:.2} (min {:.2}, max {:.2}) over 21 pairs",
        ratios[10], ratios[0], ratios[20]
    );
}

criterion_group!(benches, fresh);
criterion_main!(benches);
