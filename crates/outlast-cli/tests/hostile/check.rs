//! What must hold for any file or answer that somebody imports. Used by the test beside it and by a fuzz
//! target; both take the command's own files in by path, for a command has no library.

use crate::exit::Fault;
use crate::token_set_file::{Found, Wanted, read_file, read_response};
use outlast::{Code, Timestamp};
use std::path::Path;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// More than any of our own words; what is repeated of a file is shortened.
const TEXT_BYTES_MAX: usize = 4096;

/// An import: what is taken can be sent and ends after it began; what is refused is said in short, with
/// nothing in it that a terminal obeys.
pub fn import(input: &[u8]) {
    let of_mcp_remote = Path::new("/home/u/.mcp-auth/mcp-remote-0.1.18/0123456789abcdef0123456789abcdef_tokens.json");
    judge(read_response(input, NOW));
    for (path, service, take_over) in
        [(None, None, false), (None, Some("crm"), false), (None, None, true), (Some(of_mcp_remote), None, true)]
    {
        judge(read_file(input, Wanted { path, service, take_over }, NOW));
    }
}

fn judge(read: Result<Found, Fault>) {
    match read {
        Ok(found) => {
            let tokens = found.tokens;
            let refresh = tokens.refresh.as_ref().map(|refresh| refresh.expose());
            for sent in [Some(tokens.access.expose()), refresh].into_iter().flatten() {
                assert!(sent.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
            }
            assert!(!tokens.access.is_empty() || refresh.is_some_and(|refresh| !refresh.is_empty()));
            assert!(tokens.expires_at.is_none_or(|end| end >= tokens.issued_at) && tokens.issued_at <= NOW);
        }
        Err(fault) => {
            let text = format!("{} {}", fault.text, fault.what_to_do());
            assert_eq!(fault.code, Code::ImportInvalid);
            assert!(text.len() <= TEXT_BYTES_MAX, "{} bytes", text.len());
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}
