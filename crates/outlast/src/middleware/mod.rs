//! RETRY ON 401: attaches the token, judges the reply, renews once for everybody, sends once more.

mod authorize;
mod body;
mod peek;
#[cfg(feature = "reqwest")]
mod reqwest;
mod tower;

pub use self::authorize::{AuthorizeError, OUTLAST_CODE, OUTLAST_REPLAY, Policy, authorize};
pub use self::body::ReplayBody;
pub use self::peek::PeekedBody;
#[cfg(feature = "reqwest")]
pub use self::reqwest::{AuthorizedClient, SendError};
pub use self::tower::{Authorize, AuthorizeLayer};
