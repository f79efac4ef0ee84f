//! A key that somebody issued by hand and that stands in the configuration: served as it is. Nothing
//! is asked for it, and one that was replaced there is not served any more. Where commands for it are
//! configured it is rotated: they get the key on their standard input, never by argument.

use crate::tool_output::{self, Format};
use outlast_core::options::{GrantOption, OptionKind};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::{Grant, GrantType, Secret, Terms, Timestamp, TokenResponse, rotation};
use std::time::Duration;

/// The row `api_key`.
pub(super) struct ApiKey;

static STRATEGY: Strategy = Strategy {
    grant_type: "api_key",
    rfc: "none",
    renewal: Renewal::Remint,
    rotation: Rotation::None,
    recovery: Recovery::Operator,
};

static OPTIONS: &[GrantOption] = &[
    GrantOption { name: "key", kind: OptionKind::Secret, required: true, meaning: "the API key" },
    GrantOption::optional("new_key", OptionKind::Command, "what makes and prints a new key; it reads the present one"),
    GrantOption::optional("overlap", OptionKind::Duration, "how long a replaced key stays good"),
    GrantOption::optional("retire_key", OptionKind::Command, "what puts a replaced key out of use; it reads that key"),
    GrantOption::optional("rotate_every", OptionKind::Duration, "how long a key is used"),
];

impl GrantType for ApiKey {
    fn strategy(&self) -> &'static Strategy {
        &STRATEGY
    }

    fn options(&self) -> &'static [GrantOption] {
        OPTIONS
    }

    fn has_server(&self) -> bool {
        false
    }

    fn renewal(&self, renewing: &Renewing<'_>) -> Result<Redemption, Unrenewable> {
        let key = renewing.terms.options.secret("key").filter(|key| !key.is_empty());
        let key = key.ok_or(Unrenewable::Misconfigured("there is no key: set it"))?;
        let Some(held) = &renewing.grant.tokens else { return Ok(known(key)) };
        let options = &renewing.terms.options;
        let (Some(command), Some(every)) = (options.command("new_key"), options.duration("rotate_every")) else {
            return Ok(known(&held.access));
        };
        if !rotation::is_due(renewing.grant, every) {
            return Ok(known(&held.access));
        }
        if renewing.grant.in_doubt {
            return Err(Unrenewable::RotationBlocked(
                "a rotation was interrupted: a key may exist that nobody knows; look for it at the provider",
            ));
        }
        if renewing.grant.retiring.is_some() {
            return Err(Unrenewable::RotationBlocked("the key before this one is not retired yet"));
        }
        Ok(Redemption::Run { command: command.to_vec(), input: Some(held.access.clone()) })
    }

    fn check(&self, terms: &Terms) -> Result<(), String> {
        let options = &terms.options;
        let every = options.duration("rotate_every");
        let rest = ["new_key", "retire_key"].map(|name| options.command(name).is_some());
        match every {
            None if rest.contains(&true) || options.duration("overlap").is_some() => {
                Err("is told how to rotate its key and not when: set rotate_every, such as \"30d\"".to_owned())
            }
            None => Ok(()),
            Some(_) if !rest[0] => {
                Err("has `rotate_every` and no `new_key`: set new_key to the command that prints a new key".to_owned())
            }
            Some(every) if every <= options.duration("overlap").unwrap_or_default() => {
                Err("has a `rotate_every` that is not longer than `overlap`: make it longer".to_owned())
            }
            Some(_) if terms.token_life.is_some() => {
                Err("has both `rotate_every` and `token_life`: remove token_life".to_owned())
            }
            Some(_) => Ok(()),
        }
    }

    fn read_output(&self, output: &Secret, _terms: &Terms, now: Timestamp) -> Result<TokenResponse, String> {
        tool_output::read(output, Format::Text, now).map(|read| TokenResponse { expires_in: None, ..read })
    }

    fn is_outdated(&self, held: &Grant, terms: &Terms) -> bool {
        // The key that was configured is compared, not the held one: that may have been rotated since.
        held.tokens.is_some() && held.key_fingerprint != terms.options.secret("key").map(Secret::fingerprint)
    }

    fn overlap(&self, terms: &Terms) -> Option<Duration> {
        // Without a command to retire it a replaced key is of no more use.
        terms.options.command("retire_key")?;
        Some(terms.options.duration("overlap").unwrap_or_default())
    }

    fn retirement(&self, renewing: &Renewing<'_>, retired: &Secret) -> Option<Redemption> {
        let command = renewing.terms.options.command("retire_key")?;
        Some(Redemption::Run { command: command.to_vec(), input: Some(retired.clone()) })
    }
}

fn known(key: &Secret) -> Redemption {
    Redemption::Known(TokenResponse { access: key.clone(), ..TokenResponse::bearer("") })
}
