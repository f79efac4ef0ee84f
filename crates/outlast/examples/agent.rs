//! An agent over the library: twenty calls on tokens that live for two seconds, against the strict
//! sandbox, with no refusal. Run it with `cargo run -p outlast --example agent`.
#![allow(clippy::print_stdout)]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use outlast::middleware::AuthorizedClient;
use outlast::{
    ClientAuth, Clock, GrantId, GrantSettings, Secret, Server, Settings, SystemClock, TokenSet, read_token_set,
};
use outlast_sandbox::Sandbox;
use std::error::Error;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let two_seconds = Duration::from_secs(2);
    let sandbox = Sandbox::start(outlast_sandbox::Settings { access_ttl: two_seconds, ..Default::default() }).await?;

    // Open a keeper with one grant; `Settings::new(folder)` keeps its tokens on disk.
    let crm = GrantId::parse("crm")?;
    let keeper = Settings::in_memory()
        .grant(GrantSettings {
            client_id: "sandbox".to_owned(),
            client_auth: ClientAuth::Basic(Secret::new("sandbox-secret")),
            ..GrantSettings::new(crm.clone(), "refresh_token", Server::Issuer(sandbox.issuer().to_owned()))
        })
        .open()?;
    let _refresher = keeper.refresh_in_background();

    // Hand it the token set that a login brought.
    let grant = keeper.grant(&crm)?;
    let login = sandbox.issue().token_response().to_string();
    let tokens = read_token_set(&login).ok_or("the sandbox issued no token set")?;
    grant.import(TokenSet::first(tokens, SystemClock::new().now())).await?;

    // Work for much longer than a token lives.
    let client = AuthorizedClient::new(reqwest::Client::builder().no_proxy().build()?, grant);
    for step in 1..=20 {
        let request = http::Request::post(format!("{}/api/echo", sandbox.api())).body(Full::<Bytes>::from("work"))?;
        let response = client.send(request).await?;
        println!("step {step:2}: {}", response.status());
        response.into_body().collect().await.map_err(|error| error.to_string())?;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let seen = sandbox.counters();
    println!("{} refreshes, {} refusals, {} reuse alarms", seen.refreshes, seen.api_unauthorized, seen.reuse_alarms);
    Ok(())
}
