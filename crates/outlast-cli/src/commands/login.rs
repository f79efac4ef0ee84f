//! `outlast login NAME`: obtains or renews a person's consent.

use super::{Done, add};
use crate::ask::now;
use crate::context::{Context, grant_id};
use crate::exit::Fault;
use crate::login::browser::Browser;
use crate::login::screen::Screen;
use crate::{output, process, words};
use outlast::{Code, GrantHandle, LoggedIn, LoginError, LoginOptions, LoginWay};
use outlast_daemon::login_event;
use std::time::Duration;

/// What `login` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  outlast login crm                     in a browser on this machine
  outlast login crm --device            with a code on another device
  outlast login crm --no-browser        print the address, take the address the browser ended at
  outlast login crm --json              what a person has to do as JSON lines, for programs
What is held stays in use until the new tokens are stored; a running `outlast serve`
serves those at once. On a terminal, a grant that is not configured yet is asked for first.")]
pub(crate) struct Arguments {
    /// The grant
    name: String,
    /// In a browser on this machine
    #[arg(long)]
    browser: bool,
    /// With a code on another device (RFC 8628)
    #[arg(long, conflicts_with = "browser")]
    device: bool,
    /// In a browser anywhere: paste the address it ends at
    #[arg(long, conflicts_with_all = ["browser", "device"])]
    no_browser: bool,
    /// Let another account take the place of the one that is held
    #[arg(long)]
    switch_account: bool,
    /// Give up after this time, such as 5m
    #[arg(long, value_name = "DURATION", value_parser = words::parse_duration)]
    timeout: Option<Duration>,
    /// Print what is needed and what came of it as JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Signs in, by the first way that is possible here.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let mut context = Context::load_or_empty()?;
    if context.entry(&arguments.name).is_none() && output::can_ask() && !arguments.json {
        add::in_three_answers(&grant_id(&arguments.name)?)?;
        context = Context::load()?;
    }
    let handle = context.grant(&arguments.name)?;
    let browser = Browser::find(context.secret_variables());
    let ways = ways(arguments, &handle, browser.is_some());
    let takes_paste = output::stdin_is_terminal() || arguments.no_browser;
    let screen = Screen::new(&arguments.name, arguments.json, browser, takes_paste);
    let brought = process::block_on(async {
        let mut stop = process::Stop::listen()?;
        let limit = async {
            match arguments.timeout {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let brought = tokio::select! {
            brought = sign_in(&handle, &ways, arguments.switch_account, &screen) => brought,
            () = limit => {
                let text = format!("nobody answered the login for grant {} in time; what was held is kept", arguments.name);
                Err(Fault::new(Code::LoginExpired, text))
            }
            signal = stop.asked() => Err(Fault::interrupted(signal)),
        }?;
        // Its token of before may be another account's, or of a narrower scope.
        context.let_sidecar_look().await;
        Ok(brought)
    })?;
    told(arguments, &brought)?;
    Ok(0)
}

/// The ways to try, one after the other: a next one only where the one before is not possible.
fn ways(arguments: &Arguments, handle: &GrantHandle, has_browser: bool) -> Vec<LoginWay> {
    if arguments.device {
        vec![LoginWay::Device]
    } else if arguments.no_browser {
        vec![LoginWay::Paste]
    } else if arguments.browser {
        vec![LoginWay::Browser]
    } else if handle.settings().grant_type == "device_code" {
        vec![LoginWay::Device]
    } else if has_browser {
        vec![LoginWay::Browser]
    } else if output::stdin_is_terminal() {
        // A person sits here, though no browser does.
        vec![LoginWay::Device, LoginWay::Paste]
    } else {
        vec![LoginWay::Device, LoginWay::Browser]
    }
}

async fn sign_in(
    handle: &GrantHandle,
    ways: &[LoginWay],
    switch_account: bool,
    screen: &Screen,
) -> Result<LoggedIn, Fault> {
    let mut last = None;
    for way in ways {
        let options = LoginOptions { way: Some(*way), switch_account };
        match handle.login(&options, screen).await {
            Err(error) if is_impossible(&error) => last = Some(error),
            settled => return Ok(settled?),
        }
    }
    let nothing = || Fault::new(Code::LoginUnavailable, "there is no way to sign in");
    Err(last.map_or_else(nothing, Fault::from))
}

/// Whether another way may work where this one did not: this server or client does not know it.
fn is_impossible(error: &LoginError) -> bool {
    matches!(error.code(), Code::LoginUnavailable | Code::ClientMisconfigured)
}

fn told(arguments: &Arguments, brought: &LoggedIn) -> Result<(), Fault> {
    let left = brought.expires_at.map(|end| now().until(end));
    if arguments.json {
        let event = login_event::logged_in(&arguments.name, brought, now());
        return output::data(&output::json_line(&event));
    }
    let whose = match (&brought.subject_name, &brought.subject) {
        (Some(name), Some(id)) if name != id => format!(" as {} ({})", plain(name), plain(id)),
        (_, Some(id)) => format!(" as {}", plain(id)),
        (_, None) => String::new(),
    };
    let life = left.map_or_else(|| "of unknown life".to_owned(), |left| format!("good for {}", words::duration(left)));
    output::data(&format!("signed in to {}{whose}: access token {life}", arguments.name))?;
    if !brought.renewable {
        // N50: no server owes anybody a refresh token.
        output::talk(
            "note: the server gave no refresh token, so this grant cannot outlast its access token; where the server \
             offers the scope offline_access, add it and sign in again",
        );
    }
    Ok(())
}

/// A name from elsewhere, with nothing in it that moves a cursor.
fn plain(name: &str) -> String {
    name.chars().flat_map(char::escape_debug).collect()
}

impl From<LoginError> for Fault {
    fn from(error: LoginError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
