//! `outlast token NAME`: prints a valid access token and nothing else.

use super::Done;
use crate::ask::{self, Wanted};
use crate::context::Context;
use crate::exit::Fault;
use crate::{output, process, words};
use outlast::{AccessToken, Secret, TokenType};
use serde_json::json;
use std::time::Duration;

/// What `token` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  curl -H \"Authorization: Bearer $(outlast token crm)\" https://api.example.com/v1/me
  outlast token crm --min-ttl 5m      a token that is good for five minutes more
  outlast token crm --renew           a new one, whatever the held one is worth")]
pub(crate) struct Arguments {
    /// The grant
    name: String,
    /// Time the token should have left, such as 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration, default_value = "0s", hide_default_value = true)]
    min_ttl: Duration,
    /// Renew first, even if the held token is good
    #[arg(long)]
    renew: bool,
    /// Print a JSON object with the token and its life
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the token.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let handle = context.grant(&arguments.name)?;
    let wanted = Wanted { min_ttl: arguments.min_ttl, renew: arguments.renew };
    let token = process::block_on(ask::access_token(&handle, wanted))?;
    if let Some(left) = left(&token).filter(|left| *left < arguments.min_ttl) {
        output::talk(&format!(
            "note: the token has {} left, not the {} asked for; the authorization server grants no more",
            words::duration(left),
            words::duration(arguments.min_ttl)
        ));
    }
    if token.token_type() == TokenType::Dpop {
        output::talk(
            "note: this token is bound to a key and of use only with a proof for each request; the sidecar sets both",
        );
    }
    print(&token, arguments.json)?;
    Ok(0)
}

/// Writes the token and nothing else: the one place where a token leaves for standard output.
pub(crate) fn print_secret(token: &Secret) -> Result<(), Fault> {
    output::data(token.expose())
}

fn left(token: &AccessToken) -> Option<Duration> {
    token.expires_at().map(|end| ask::now().until(end))
}

fn print(token: &AccessToken, as_json: bool) -> Result<(), Fault> {
    if !as_json {
        return print_secret(token.secret());
    }
    let scheme = token.authorization().to_str().ok().and_then(|value| value.split(' ').next());
    output::json(&json!({
        "access_token": token.secret().expose(),
        "token_type": scheme,
        "expires_in": left(token).map(|left| left.as_secs()),
        "expires_at": token.expires_at().map(words::rfc3339),
        "generation": token.generation().0,
    }))
}
