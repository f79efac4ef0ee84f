//! A grant that another tool owns: its command prints the access token, and its refresh token stays
//! with it (R21). Two programs that spend one refresh token end the grant of both.

use crate::tool_output::{self, Format};
use outlast_core::options::{GrantOption, OptionKind};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::{GrantType, Secret, Terms, Timestamp, TokenResponse};

/// The row `delegate`.
pub(super) struct Delegate;

static STRATEGY: Strategy = Strategy {
    grant_type: "delegate",
    rfc: "none",
    renewal: Renewal::Delegate,
    rotation: Rotation::None,
    recovery: Recovery::Owner,
};

static OPTIONS: &[GrantOption] = &[
    GrantOption::required(
        "command",
        OptionKind::Command,
        "what prints the access token, such as [\"gh\", \"auth\", \"token\"]",
    ),
    GrantOption::optional(
        "expires_pointer",
        OptionKind::Text,
        "where in the JSON it says when the token ends, as a JSON pointer (RFC 6901)",
    ),
    GrantOption::optional("format", OptionKind::Text, "what the command prints: auto, json or text"),
    GrantOption::optional(
        "token_pointer",
        OptionKind::Text,
        "where in the JSON the token stands, as a JSON pointer (RFC 6901)",
    ),
];

impl GrantType for Delegate {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn has_server(&self) -> bool {
        false
    }

    fn check(&self, terms: &Terms) -> Result<(), String> {
        let options = &terms.options;
        let pointers = ["token_pointer", "expires_pointer"].map(|name| options.text(name));
        if pointers.iter().flatten().any(|pointer| !pointer.starts_with('/')) {
            return Err("has a pointer that does not begin with /: write it as \"/data/token\" (RFC 6901)".to_owned());
        }
        match options.text("format") {
            Some("json") => Ok(()),
            None | Some("auto" | "text") if pointers.iter().all(Option::is_none) => Ok(()),
            None | Some("auto" | "text") => Err("has a pointer into JSON: set format = \"json\" with it".to_owned()),
            Some(_) => Err("has an unknown `format`: known are auto, json, text".to_owned()),
        }
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let command = renewing.terms.options.command("command");
        let command = command.ok_or(Unrenewable::Misconfigured("it names no command"))?;
        Ok(Redemption::Run { command: command.to_vec(), input: None })
    }

    fn read_output(&self, output: &Secret, terms: &Terms, now: Timestamp) -> Result<TokenResponse, String> {
        let options = &terms.options;
        let format = match options.text("format") {
            Some("json") => Format::Json { token: options.text("token_pointer"), end: options.text("expires_pointer") },
            Some("text") => Format::Text,
            Some(_) | None => Format::Auto,
        };
        tool_output::read(output, format, now)
    }
}
