//! `outlast sandbox`: the strict authorization server and API, in the foreground.

use super::Done;
use crate::exit::Fault;
use crate::{output, process, words};
use outlast::Code;
use outlast_sandbox::{Sandbox, Settings};
use serde_json::json;
use std::time::Duration;

/// What `sandbox` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast sandbox
  outlast sandbox --access-ttl 10s --port 9000 --api-port 9001
  curl -d '{\"kind\":\"outage\",\"for_ms\":5000}' http://127.0.0.1:9000/faults")]
pub(crate) struct Arguments {
    /// Port of the authorization server; any free one if left out
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Port of the API; any free one if left out
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    api_port: u16,
    /// Life of an access token
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration, default_value = "3s")]
    access_ttl: Duration,
    /// How long a rotated refresh token still works
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration, default_value = "0s")]
    grace: Duration,
    /// Print addresses, client and a token set as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs until interrupted.
pub(crate) fn run(arguments: &Arguments) -> Done {
    process::block_on_all(async {
        let settings = Settings {
            port: arguments.port,
            api_port: arguments.api_port,
            access_ttl: arguments.access_ttl,
            rotation_grace: arguments.grace,
            ..Settings::default()
        };
        let (client_id, client_secret) =
            (settings.client_id.clone(), settings.client_secret.clone().unwrap_or_default());
        let sandbox = Sandbox::start(settings).await.map_err(|cause| {
            Fault::new(Code::RequestInvalid, format!("the sandbox cannot listen: {cause}")).mend("choose another port")
        })?;
        if arguments.json {
            tell_programs(&sandbox, &client_id, &client_secret)?;
        } else {
            tell_people(&sandbox, &client_id, &client_secret)?;
        }
        process::Stop::listen()?.asked().await;
        sandbox.shutdown().await;
        Ok(0)
    })
}

fn tell_programs(sandbox: &Sandbox, client_id: &str, client_secret: &str) -> Result<(), Fault> {
    output::data(
        &json!({
            "issuer": sandbox.issuer(),
            "token_endpoint": sandbox.token_endpoint(),
            "api": sandbox.api(),
            "client_id": client_id,
            "client_secret": client_secret,
            "token_response": sandbox.issue().token_response(),
            "configuration": configuration(sandbox, client_id),
        })
        .to_string(),
    )
}

fn tell_people(sandbox: &Sandbox, client_id: &str, client_secret: &str) -> Result<(), Fault> {
    let (issuer, api, configuration) = (sandbox.issuer(), sandbox.api(), configuration(sandbox, client_id));
    output::data(&format!(
        "authorization server  {issuer}   (rotates refresh tokens; reuse revokes the family)
protected API         {api}/api/echo

1. Put this into your outlast.toml:

{configuration}
2. In another terminal, hand in a token set and run something:

   export SANDBOX_SECRET={client_secret}
   curl -s -X POST {issuer}/mint | outlast import sandbox
   outlast run --grant sandbox -- sh -c 'while sleep 1; do curl -s -H \"Authorization: Bearer $OUTLAST_CAPABILITY\" $OUTLAST_SANDBOX_URL/api/whoami; echo; done'

3. Make it misbehave, and look at what it saw:

   curl -d '{{\"kind\":\"outage\",\"for_ms\":5000}}' {issuer}/faults
   curl -d '{{\"kind\":\"kill_access_tokens\"}}' {issuer}/faults
   curl {issuer}/counters

4. End the whole grant, and sign in again with a code on the page it shows:

   curl -d '{{\"kind\":\"revoke_family\"}}' {issuer}/faults
   outlast login sandbox --device

Ctrl-C stops it."
    ))
}

fn configuration(sandbox: &Sandbox, client_id: &str) -> String {
    format!(
        "[grant.sandbox]\nissuer = \"{}\"\ngrant_type = \"refresh_token\"\nclient_id = \"{client_id}\"\n\
         client_secret = {{ env = \"SANDBOX_SECRET\" }}\nupstream = \"{}\"\n",
        sandbox.issuer(),
        sandbox.api()
    )
}
