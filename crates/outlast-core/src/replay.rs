//! RETRY ON 401: may this request be sent twice? (R8, N55, F52)

use http::Method;

/// What is known of a request's body when the refusal arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKept {
    /// All of it is kept and can be sent again, byte for byte.
    Whole,
    /// Some of it is gone.
    Gone,
}

/// Whether a request that was answered with a refusal of its token may be sent once more.
///
/// A server that answered 401 is taken not to have acted, so any method may be repeated if its
/// body can be; a caller that knows better marks the request *once*.
pub fn may_replay(method: &Method, body: BodyKept, once: bool) -> bool {
    // A tunnel is not a request that can be repeated.
    !once && body == BodyKept::Whole && method != Method::CONNECT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_only_what_is_kept_whole_and_not_marked_once_is_sent_again() {
        let table = [
            (Method::GET, BodyKept::Whole, false, true),
            (Method::POST, BodyKept::Whole, false, true),
            (Method::POST, BodyKept::Whole, true, false),
            (Method::PUT, BodyKept::Gone, false, false),
            (Method::GET, BodyKept::Gone, false, false),
            (Method::CONNECT, BodyKept::Whole, false, false),
        ];
        for (method, body, once, wanted) in table {
            assert_eq!(may_replay(&method, body, once), wanted, "{method} {body:?} {once}");
        }
    }
}
