//! By authorization code (RFC 6749 4.1).

use super::{LoggedIn, LoginError, LoginOptions, LoginPrompt, LoginWay};
use crate::handle::GrantHandle;

impl GrantHandle {
    pub(super) async fn login_by_code(
        &self,
        _way: LoginWay,
        _options: &LoginOptions,
        _prompt: &dyn LoginPrompt,
    ) -> Result<LoggedIn, LoginError> {
        Err(self.unavailable("signing in with a browser is not built yet"))
    }
}
