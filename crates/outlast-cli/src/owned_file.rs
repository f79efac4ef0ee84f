//! Files of tools that renew their own tokens, and whose refresh token rotates. Two programs that
//! spend it end the grant of both (R21), so nothing is taken from them unasked.

use serde_json::{Map, Value};

/// A token set in the file of the tool that goes on using it.
pub(crate) struct OwnedEntry {
    /// The tool, as people call it.
    pub(crate) tool: &'static str,
    /// Where in the file its access token stands (RFC 6901), for a grant of type `delegate`.
    pub(crate) token_pointer: &'static str,
    /// The token set, with the names of RFC 6749 5.1.
    pub(crate) entry: Map<String, Value>,
}

/// The token set in `members`, if they are the file of a tool known to rotate what it holds.
pub(crate) fn find(members: &Map<String, Value>) -> Option<OwnedEntry> {
    claude_code(members).or_else(|| codex(members))
}

fn claude_code(members: &Map<String, Value>) -> Option<OwnedEntry> {
    let found = members.get("claudeAiOauth")?.as_object()?;
    found.get("refreshToken")?.as_str()?;
    let names = [("accessToken", "access_token"), ("refreshToken", "refresh_token"), ("expiresAt", "expires_at")];
    let entry = names.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), found.get(*theirs)?.clone())));
    Some(OwnedEntry { tool: "Claude Code", token_pointer: "/claudeAiOauth/accessToken", entry: entry.collect() })
}

fn codex(members: &Map<String, Value>) -> Option<OwnedEntry> {
    // A service may be named "tokens" in anybody's file: what stands beside it tells.
    if !["last_refresh", "OPENAI_API_KEY"].iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    let found = members.get("tokens")?.as_object()?;
    found.get("refresh_token")?.as_str()?;
    Some(OwnedEntry { tool: "Codex", token_pointer: "/tokens/access_token", entry: found.clone() })
}
