//! Judges one case a given number of times, for counting instructions: `classification_once CASE COUNT`.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../benches/replies/mod.rs"]
mod replies;

use std::hint::black_box;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let reply = replies::named(&arguments.next().expect("a case"));
    let count: u32 = arguments.next().and_then(|count| count.parse().ok()).expect("a count");
    for _ in 0..count {
        black_box(reply.judge());
    }
}
