//! Files of tools that renew their own tokens. Two programs that spend one rotating refresh token end
//! the grant of both (R21), so nothing is taken from them unasked.

use serde_json::{Map, Value};
use std::path::Path;

/// What two programs with one refresh token that is replaced at each use come to.
const REPLACED: &str = "which spends this refresh token itself: whoever of the two comes second ends the grant of both";
/// The same for one that stays good.
const KEPT: &str = "which goes on using this refresh token: whoever of the two signs out first ends the grant of both";

/// A token set in the file of the tool that goes on using it.
pub(crate) struct OwnedEntry {
    /// The tool, as people call it.
    pub(crate) tool: &'static str,
    /// What it does with the refresh token, and what taking it comes to; goes on from its name.
    pub(crate) shared: &'static str,
    /// The keys of a grant of type `delegate` that leaves the tool its refresh token.
    pub(crate) delegate: &'static str,
    /// The client that the refresh token was given to, where the file says.
    pub(crate) client_id: Option<String>,
    /// The token set, with the names of RFC 6749 5.1; else why none of it can be taken.
    pub(crate) entry: Result<Map<String, Value>, &'static str>,
}

/// The token set in `members`, if they are the file of a tool known to use what it holds itself.
pub(crate) fn find(members: &Map<String, Value>, path: Option<&Path>) -> Option<OwnedEntry> {
    let by_content = [azure, claude_code, codex, gcloud];
    by_content.iter().find_map(|read| read(members)).or_else(|| mcp_remote(members, path?))
}

/// The cache of MSAL, which the Azure CLI keeps in plain text where it finds no other way:
/// <https://learn.microsoft.com/cli/azure/msal-based-azure-cli>,
/// <https://github.com/AzureAD/microsoft-authentication-library-for-python/blob/dev/msal/token_cache.py>.
fn azure(members: &Map<String, Value>) -> Option<OwnedEntry> {
    let cached = members.get("RefreshToken")?.as_object()?;
    let held: Vec<&Value> = cached.values().filter(|each| each["credential_type"] == "RefreshToken").collect();
    let entry = match held.as_slice() {
        [] => return None,
        [only] => Ok(Map::from_iter([("refresh_token".to_owned(), only["secret"].clone())])),
        [_, _, ..] => Err("it holds refresh tokens of several accounts or clients"),
    };
    let client_id = held.first().and_then(|only| only["client_id"].as_str());
    Some(OwnedEntry {
        tool: "the Azure CLI",
        shared: KEPT,
        delegate: r#"command = ["az", "account", "get-access-token", "-o", "json"]"#,
        client_id: client_id.map(str::to_owned),
        entry,
    })
}

fn claude_code(members: &Map<String, Value>) -> Option<OwnedEntry> {
    let found = members.get("claudeAiOauth")?.as_object()?;
    found.get("refreshToken")?.as_str()?;
    let names = [("accessToken", "access_token"), ("refreshToken", "refresh_token"), ("expiresAt", "expires_at")];
    let entry = names.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), found.get(*theirs)?.clone())));
    Some(OwnedEntry {
        tool: "Claude Code",
        shared: REPLACED,
        delegate: r#"command = ["cat", "FILE"], format = "json", token_pointer = "/claudeAiOauth/accessToken""#,
        client_id: None,
        entry: Ok(entry.collect()),
    })
}

fn codex(members: &Map<String, Value>) -> Option<OwnedEntry> {
    // A service may be named "tokens" in anybody's file: what stands beside it tells.
    if !["last_refresh", "OPENAI_API_KEY"].iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    let found = members.get("tokens")?.as_object()?;
    found.get("refresh_token")?.as_str()?;
    Some(OwnedEntry {
        tool: "Codex",
        shared: REPLACED,
        delegate: r#"command = ["cat", "FILE"], format = "json", token_pointer = "/tokens/access_token""#,
        client_id: None,
        entry: Ok(found.clone()),
    })
}

/// `application_default_credentials.json` of a person:
/// <https://github.com/googleapis/google-auth-library-python/blob/main/tests/data/authorized_user.json>.
fn gcloud(members: &Map<String, Value>) -> Option<OwnedEntry> {
    if members.get("type")? != "authorized_user" {
        return None;
    }
    let refresh = members.get("refresh_token")?;
    Some(OwnedEntry {
        tool: "gcloud",
        shared: KEPT,
        delegate: r#"command = ["gcloud", "auth", "application-default", "print-access-token"]"#,
        client_id: members.get("client_id").and_then(Value::as_str).map(str::to_owned),
        entry: Ok(Map::from_iter([("refresh_token".to_owned(), refresh.clone())])),
    })
}

/// `mcp-remote-v1/HASH_tokens.json`, a token response that nothing but its place tells from any other:
/// <https://github.com/geelen/mcp-remote/blob/main/src/lib/mcp-auth-config.ts>.
fn mcp_remote(members: &Map<String, Value>, path: &Path) -> Option<OwnedEntry> {
    hash_of_mcp_remote(path)?;
    members.get("refresh_token")?.as_str()?;
    Some(OwnedEntry {
        tool: "mcp-remote",
        shared: REPLACED,
        delegate: r#"command = ["cat", "FILE"], format = "json", token_pointer = "/access_token""#,
        client_id: None,
        entry: Ok(members.clone()),
    })
}

/// What mcp-remote's files of one server begin with, if `path` is its file of tokens.
pub(crate) fn hash_of_mcp_remote(path: &Path) -> Option<&str> {
    let folder = path.parent()?.file_name()?.to_str()?;
    let hash = path.file_name()?.to_str()?.strip_suffix("_tokens.json")?;
    folder.starts_with("mcp-remote-").then_some(hash)
}
