//! Signing in by authorization code (RFC 6749 4.1): what is sent, and what an answer means. Pure but
//! for the random numbers; nothing here sends.

mod answer;
mod authorization;
mod pushed;
mod random;

pub use answer::{Answered, Denial, read_answer, read_pasted};
pub use authorization::{Asking, Authorization, CannotAsk};
pub use pushed::{Pushed, read_pushed};
