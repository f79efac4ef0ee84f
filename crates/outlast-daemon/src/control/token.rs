//! `GET /v1/grants/{name}/token`: an access token that is good for a while.

use super::problem::Problem;
use super::{Answer, Control, json};
use http::StatusCode;
use outlast::{AccessToken, Ask, By, GrantHandle, Rejected};
use serde::Serialize;
use std::time::Duration;

/// Longest remaining life that may be asked for.
const MIN_TTL_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) async fn answer(control: &Control, name: &str, query: &str) -> Answer {
    let handle = control.grant(name)?;
    let wish = read(query)?;
    let ask = Ask { min_ttl: wish.min_ttl, rejected: rejected(control, &handle, wish.renew).await? };
    let token = handle.access_token(ask).await.map_err(|error| control.problem(&error))?;
    json(&shown(control, &token))
}

struct Wish {
    min_ttl: Duration,
    renew: bool,
}

fn read(query: &str) -> Result<Wish, Problem> {
    let wrong = |detail| Problem::request(StatusCode::BAD_REQUEST, detail);
    let mut wish = Wish { min_ttl: Duration::ZERO, renew: false };
    for (key, text) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "min_ttl" => {
                let secs = text.parse().map_err(|_| wrong("min_ttl is not a whole number of seconds"))?;
                wish.min_ttl = Duration::from_secs(secs).min(MIN_TTL_MAX);
            }
            "renew" => {
                wish.renew = match text.as_ref() {
                    "" | "1" | "true" => true,
                    "0" | "false" => false,
                    // The token that is complained about would be told again, as if it were another one.
                    _ => return Err(wrong("renew is neither 1 nor 0")),
                }
            }
            _ => return Err(wrong("unknown parameter: known are min_ttl and renew")),
        }
    }
    Ok(wish)
}

/// A complaint about the generation that is held now, so that another one is brought.
async fn rejected(control: &Control, handle: &GrantHandle, renew: bool) -> Result<Option<Rejected>, Problem> {
    if !renew {
        return Ok(None);
    }
    let record = handle.record().await.map_err(|error| control.problem(&error))?;
    Ok(Some(Rejected { generation: record.generation, by: By::Person }))
}

/// An access token.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct TokenShown {
    /// The token.
    access_token: String,
    /// How it is presented: `Bearer`, say.
    token_type: String,
    /// When it ends, where known.
    expires_at: Option<u64>,
    /// In how many seconds it ends, where known.
    expires_in: Option<u64>,
    /// Names the token set; rises with every renewal.
    generation: u64,
}

fn shown(control: &Control, token: &AccessToken) -> TokenShown {
    let authorization = token.authorization().to_str().unwrap_or_default();
    TokenShown {
        access_token: token.secret().expose().to_owned(),
        token_type: authorization.split(' ').next().unwrap_or_default().to_owned(),
        expires_at: token.expires_at().map(|end| end.as_secs()),
        expires_in: token.expires_at().map(|end| control.now().until(end).as_secs()),
        generation: token.generation().0,
    }
}
