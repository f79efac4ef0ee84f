//! Stores as a failing disk or a clumsy tool leaves them (T9): a few thousand damages to the file. `fuzz/`
//! goes further with the same check, and `corruptions.rs` names each kind.

#![allow(clippy::disallowed_methods, reason = "files are damaged on purpose")]
#![allow(missing_docs)]

#[expect(unreachable_pub, reason = "the fuzz target takes the check in by path")]
mod check;

use outlast_testkit::mutation::try_all;

#[test]
fn t9_stores() {
    let damages: &[&[u8]] = &[
        &[0, 24, 0, 1, 0, 100, 0, 255],
        &[16, 0, 3, 255, 32, 0, 4, 255],
        &[0, 0, 2, 0],
        &[24, 9, 1, 7, 28, 200, 1, 0],
        &[64, 0, 4, 255, 64, 1, 5, 9],
    ];
    try_all(damages, 1000, check::store);
}
