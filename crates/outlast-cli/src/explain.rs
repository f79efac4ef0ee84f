//! Judging replies that somebody else received: what is read of them, and what is said.

pub(crate) mod answer;
pub(crate) mod case;
pub(crate) mod har;
pub(crate) mod jsonl;
pub(crate) mod reply_text;
pub(crate) mod traffic;
