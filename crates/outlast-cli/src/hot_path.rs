//! `outlast token NAME` with a fresh token: answered before anything is built up.
//!
//! Says nothing where anything is out of the ordinary; the full path then finds out and tells.

use crate::commands::token::print_secret;
use crate::env::{self, Places};
use crate::{ask, output};
use outlast::freshness::{Freshness, Lead, freshness};
use outlast::{Grant, KeySource, Secret, Standing, read_record};
use outlast_daemon::client::fetch_token_blocking;
use outlast_daemon::config::{Config, GrantEntry};
use std::ffi::OsString;
use std::time::Duration;

/// The exit code, if the question could be answered here.
pub(crate) fn answer(arguments: &[OsString]) -> Option<u8> {
    let [verb, name] = arguments else { return None };
    if verb != "token" {
        return None;
    }
    let token = held(name.to_str()?)?;
    match print_secret(&token) {
        Ok(()) => Some(0),
        Err(fault) => {
            output::fault(&fault, false);
            Some(fault.exit_code())
        }
    }
}

fn held(name: &str) -> Option<Secret> {
    let places = env::places().ok()?;
    let config = Config::load(&places.config).ok()?;
    let entry = config.entries().iter().find(|entry| entry.id.as_str() == name)?;
    if let Some(token) = from_sidecar(&places, entry) {
        return Some(token);
    }
    // Any other key takes longer than the rest of this together.
    let key = config.key_source(&|_| None).ok().filter(|key| matches!(key, KeySource::File))?;
    let grant = read_record(&places.home, &key, &entry.id).ok()??;
    servable(entry, grant)
}

/// What the sidecar hands out, if one runs. It renews behind this answer by itself.
fn from_sidecar(places: &Places, entry: &GrantEntry) -> Option<Secret> {
    // Asked for only if there is a socket: a connection that is refused costs more than a look.
    let socket = places.socket.exists().then_some(&places.socket)?;
    Some(fetch_token_blocking(socket, entry.id.as_str(), Duration::ZERO).ok()?.access_token)
}

/// The access token, if it may be served without a further look: the same judgement as the
/// library's, for the one case that needs neither clock thread nor lease.
fn servable(entry: &GrantEntry, grant: Grant) -> Option<Secret> {
    // Whether an API key was replaced tells only its source, which is not read here; and a bound token is
    // not handed out without a word.
    if entry.grant_type == "api_key" || entry.dpop {
        return None;
    }
    let same_server = grant.authorization_server == entry.server.identity();
    let tokens = grant.tokens.filter(|_| same_server && grant.standing == Standing::Live)?;
    let fresh = freshness(&tokens, Lead::of(&entry.id).at_most(entry.renew_within), ask::now()) == Freshness::Fresh;
    (fresh && !tokens.access.is_empty()).then_some(tokens.access)
}
