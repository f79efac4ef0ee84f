//! Getting a person's consent: by authorization code (RFC 6749 4.1) and by device code (RFC 8628).
//! What is sent, and what an answer means. Pure but for the random numbers; nothing here sends.

mod answer;
mod authorization;
pub mod device;
mod pushed;
mod random;

pub use answer::{Answered, Denial, read_answer, read_pasted};
pub use authorization::{Asking, Authorization, CannotAsk};
pub use pushed::{Pushed, read_pushed};
