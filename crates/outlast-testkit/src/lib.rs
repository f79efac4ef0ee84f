//! For tests only: simulated clock, fault injection, the contract suites and the tidy test.

pub mod contract;
