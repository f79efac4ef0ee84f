//! `outlast headers NAME`: the header that carries the token as JSON, for helper hooks.

use super::Done;
use crate::ask::{self, Wanted};
use crate::context::Context;
use crate::exit::Fault;
use crate::{output, process};
use outlast::{Code, TokenType};
use serde_json::json;

/// What `headers` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  outlast headers notion              {\"Authorization\":\"Bearer …\"}")]
pub(crate) struct Arguments {
    /// The grant
    name: String,
}

/// Prints the header.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let context = Context::load()?;
    let handle = context.grant(&arguments.name)?;
    let token = process::block_on(ask::access_token(&handle, Wanted::default()))?;
    if token.token_type() == TokenType::Dpop {
        let text = format!("grant {} has tokens that are of use only with a proof for each request", arguments.name);
        return Err(Fault::new(Code::TokenBound, text)
            .mend("send requests through the sidecar, which sets the proofs: outlast run, or outlast serve"));
    }
    // Tokens are visible ASCII wherever they come from; the store holds no other.
    let value = token.authorization().to_str();
    let value = value.map_err(|_| Fault::new(Code::Internal, "the token is not text"))?;
    // Names of fields are equal in any case; this one is written as people know it.
    let name = if token.field() == "authorization" { "Authorization" } else { token.field().as_str() };
    output::data(&json!({ name: value }).to_string())?;
    Ok(0)
}
