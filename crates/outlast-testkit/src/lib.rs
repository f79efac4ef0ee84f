//! For tests only: simulated clock, fault injection, the contract suites and the tidy test.

pub mod canary;
pub mod clock;
pub mod contract;
pub mod faults;
pub mod judge;
pub mod mutation;
pub mod peer;
pub mod strict_server;
pub mod tidy;
