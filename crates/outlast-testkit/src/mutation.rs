//! Hostile inputs made of good ones: the same ones in every run, so that what they find can be found
//! again without a fuzzer. A fuzzer looks further (`fuzz/`); these run wherever the tests do.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Longest input that is made, in bytes.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What is put in where it hurts: ends, brackets, escapes, numbers beyond all bounds, bytes that are no
/// text.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\n",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"=",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"99999999999999999999",
    b"18446744073709551616",
    b"NaN",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"%00",
    b"%",
    b"../",
    b"//",
    b"http://[::1]/",
    b" ",
    b"\t",
    b"'",
    b";",
    b"<",
    b"&",
];

/// A generator of numbers that is the same everywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

/// Gives `check` every seed, every seed cut at every byte, and `count` mutations of them: fifty times as many
/// where `OUTLAST_NIGHTLY` is 1. Fails with the input if `check` panics.
pub fn try_all(seeds: &[&[u8]], count: usize, check: impl Fn(&[u8])) {
    let give = |input: &[u8]| {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| check(input))) {
            let shown = String::from_utf8_lossy(&input[..input.len().min(2000)]).into_owned();
            tell(&format!("the input was {shown:?}, as bytes {:?}", &input[..input.len().min(200)]));
            resume_unwind(cause);
        }
    };
    for seed in seeds {
        (0..=seed.len().min(2000)).for_each(|length| give(&seed[..length]));
        give(seed);
    }
    let mut dice = Dice(0x6f75_746c_6173_7400);
    for _ in 0..count * patience() {
        give(&mutation(seeds, &mut dice));
    }
}

#[expect(clippy::disallowed_methods, reason = "the runner's word to the test; the product reads no such variable")]
fn patience() -> usize {
    if std::env::var("OUTLAST_NIGHTLY").is_ok_and(|value| value == "1") { 50 } else { 1 }
}

#[expect(clippy::print_stderr, reason = "shown by the test that failed")]
fn tell(what: &str) {
    eprintln!("{what}");
}

fn mutation(seeds: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut input = seeds.get(dice.below(seeds.len())).map(|seed| seed.to_vec()).unwrap_or_default();
    for _ in 0..=dice.below(4) {
        change(&mut input, seeds, dice);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(input: &mut Vec<u8>, seeds: &[&[u8]], dice: &mut Dice) {
    let (from, to) = (dice.below(input.len() + 1), dice.below(input.len() + 1));
    let (from, to) = (from.min(to), from.max(to));
    match dice.below(8) {
        0 if !input.is_empty() => {
            let at = dice.below(input.len());
            input[at] ^= 1 << dice.below(8);
        }
        1 => {
            let token = TOKENS[dice.below(TOKENS.len())];
            input.splice(from..from, token.iter().copied());
        }
        2 => {
            let token = TOKENS[dice.below(TOKENS.len())];
            input.splice(from..to.min(from + 12), token.iter().copied());
        }
        3 => drop(input.drain(from..to.min(from + 16))),
        4 => {
            let part = input[from..to.min(from + 64)].to_vec();
            let times = 1 + dice.below(40);
            input.splice(from..from, part.repeat(times));
        }
        5 => {
            let other = seeds[dice.below(seeds.len())];
            let tail = dice.below(other.len() + 1);
            input.truncate(from);
            input.extend_from_slice(&other[tail..]);
        }
        6 => input.truncate(from),
        _ => {
            let byte = u8::try_from(dice.below(256)).unwrap_or(0);
            input.insert(from, byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    #[test]
    fn the_inputs_are_many_and_the_same_in_every_run() {
        let run = || {
            let seen = RefCell::new(Vec::new());
            try_all(&[b"{\"a\":1}", b"x=1"], 1000, |input| seen.borrow_mut().push(input.to_vec()));
            seen.into_inner()
        };
        let inputs = run();
        assert_eq!(inputs, run());
        assert!(inputs.iter().collect::<BTreeSet<_>>().len() > 500);
    }

    #[test]
    fn an_input_that_breaks_something_fails_the_test() {
        let found = catch_unwind(|| try_all(&[b"ab"], 1000, |input| assert!(!input.contains(&0))));
        assert!(found.is_err());
    }
}
