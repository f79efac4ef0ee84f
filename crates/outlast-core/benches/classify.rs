//! What a judgement costs, beside httparse and serde_json on the same bytes.
#![allow(missing_docs)]

mod replies;

use criterion::{Criterion, criterion_group, criterion_main};
use outlast_core::classify::Verdict;
use outlast_core::classify::challenge::read_challenges;
use std::hint::black_box;

fn judgements(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("classify");
    for name in ["success", "challenge", "json", "form", "xml", "unknown"] {
        let reply = replies::named(name);
        group.bench_function(name, |bencher| bencher.iter(|| reply.judge()));
    }
    let reply = replies::named("success");
    // As the middleware asks it: the verdict is looked at and the rest let go.
    group.bench_function("success, looked at", |bencher| {
        bencher.iter(|| matches!(reply.judge().verdict, Verdict::NotAuth));
    });
    group.bench_function("challenge header alone", |bencher| {
        bencher.iter(|| {
            read_challenges(black_box(replies::CHALLENGE.as_bytes()), |piece| {
                black_box(piece);
            })
        });
    });
    group.finish();
}

fn hostile(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("hostile, 1 MiB");
    for name in ["hostile brackets", "hostile keys", "hostile text", "hostile xml"] {
        let reply = replies::named(name);
        group.bench_function(name, |bencher| bencher.iter(|| reply.judge()));
    }
    group.finish();
}

fn yardsticks(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("yardstick");
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         server: x\r\nwww-authenticate: {}\r\n\r\n",
        replies::CHALLENGE
    );
    group.bench_function("httparse of the challenge's head", |bencher| {
        bencher.iter(|| {
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut fields);
            black_box(response.parse(black_box(head.as_bytes())).is_ok())
        });
    });
    group.bench_function("serde_json::Value of the json body", |bencher| {
        bencher.iter(|| {
            black_box(serde_json::from_slice::<serde_json::Value>(black_box(replies::JSON.as_bytes())).is_ok())
        });
    });
    group.finish();
}

criterion_group!(benches, judgements, hostile, yardsticks);
criterion_main!(benches);
