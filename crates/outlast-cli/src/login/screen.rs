//! What a person sees of a login, and what they paste into it.

use super::browser::Browser;
use crate::ask::now;
use crate::{output, words};
use outlast::{BoxFuture, LoginPrompt, LoginStep};
use outlast_daemon::login_event;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::{Value, json};
use std::io::BufRead;
use tokio::sync::{Mutex, mpsc};

/// Most lines that are taken before anybody asks for them.
const LINES_MAX: usize = 16;

/// A login's screen.
pub(crate) struct Screen {
    grant: String,
    as_json: bool,
    browser: Option<Browser>,
    pasted: Mutex<mpsc::Receiver<String>>,
}

impl Screen {
    /// Shows a login of `grant`; what is pasted is read if `takes_paste`.
    pub(crate) fn new(grant: &str, as_json: bool, browser: Option<Browser>, takes_paste: bool) -> Self {
        let (lines, pasted) = mpsc::channel(LINES_MAX);
        if takes_paste {
            // A thread of its own, left behind at the end: reading from a terminal cannot be called off.
            let reading = std::thread::Builder::new().name("outlast-paste".to_owned());
            drop(reading.spawn(move || read_lines(&lines)));
        }
        Self { grant: grant.to_owned(), as_json, browser, pasted: Mutex::new(pasted) }
    }

    fn event(&self, mut event: Value) {
        event["grant"] = self.grant.as_str().into();
        // A reader that has gone away is told by the end of the login.
        drop(output::data(&output::json_line(&event)));
    }

    fn visit(&self, address: &str, redirect_uri: &str, listening: bool, replaces: bool) {
        let opened = !replaces && self.browser.as_ref().is_some_and(|browser| browser.open(address));
        let (first, address_line) = match (replaces, opened) {
            (true, _) => ("the server has let the first address expire; if the page says so, open this one:", true),
            (false, true) => ("a browser was opened; if it shows nothing, open this address:", true),
            (false, false) => ("open this address in a browser and sign in:", true),
        };
        output::talk(first);
        if address_line {
            output::talk(&format!("\n  {address}\n"));
        }
        output::talk(&if listening {
            "then wait; if the browser is on another machine, paste the address it ends at here".to_owned()
        } else {
            format!("then paste the address it ends at here; it begins with {redirect_uri}")
        });
    }

    fn enter_code(&self, code: &str, address: &str, complete: Option<&str>, server: &str, scope: &[String]) {
        output::talk(&format!("{server} asks whether to let Outlast use grant {}", self.grant));
        if !scope.is_empty() {
            output::talk(&format!("  for: {}", scope.join(" ")));
        }
        output::talk(&format!("on any device, open\n\n  {address}\n\nand enter the code\n\n  {code}\n"));
        if output::stderr_is_terminal()
            && let Some(picture) = complete.and_then(picture)
        {
            output::talk(&picture);
        }
        // N23: whoever sends somebody such a code wants to sign in as them.
        output::talk("go on only if you started this yourself; if somebody sent you here, stop");
    }
}

impl LoginPrompt for Screen {
    fn show(&self, step: LoginStep) {
        if self.as_json {
            self.event(login_event::step(&step, now()));
            if let LoginStep::Visit { address, replaces: false, .. } = &step
                && let Some(browser) = &self.browser
            {
                browser.open(address);
            }
            return;
        }
        match step {
            LoginStep::Visit { address, redirect_uri, listening, replaces, .. } => {
                self.visit(&address, &redirect_uri, listening, replaces);
            }
            LoginStep::EnterCode {
                user_code,
                verification_uri,
                verification_uri_complete,
                authorization_server,
                scope,
                ..
            } => {
                let complete = verification_uri_complete.as_deref();
                self.enter_code(&user_code, &verification_uri, complete, &authorization_server, &scope);
            }
            LoginStep::Waiting { left } if output::stderr_is_terminal() => {
                output::progress(&format!("waiting for the person, {} left", words::duration(left)));
            }
            _ => {}
        }
    }

    fn pasted(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            match self.pasted.lock().await.recv().await {
                Some(line) => line,
                None => std::future::pending().await,
            }
        })
    }

    fn refuse(&self, why: &str) {
        if self.as_json {
            self.event(json!({ "event": "paste_refused", "why": why }));
        } else {
            output::talk(&format!("not used: {why}; paste the whole address the browser ended at"));
        }
    }
}

fn picture(address: &str) -> Option<String> {
    let code = QrCode::new(address.as_bytes()).ok()?;
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

fn read_lines(lines: &mpsc::Sender<String>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let line = line.trim().to_owned();
        if !line.is_empty() && lines.blocking_send(line).is_err() {
            return;
        }
    }
}
