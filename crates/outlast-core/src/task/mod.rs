//! Task checkpointing: a task is a journal of steps. Resuming is folding the journal again; what
//! cannot be known from it is reported, never guessed.

mod entry;
mod name;
mod next;
mod summary;
mod view;

pub use entry::{Decision, Digest, Effect, Entry, Event, Output, Place};
pub use name::{StepKey, TaskId};
pub use next::{ATTEMPTS_MAX, Next, Wish, back_off, is_paused, next};
pub use summary::{Block, Progress, Stand, Summary};
pub use view::{Parked, StepState, StepView, TaskView};
