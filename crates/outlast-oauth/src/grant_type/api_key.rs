//! A key that somebody issued by hand and that stands in the configuration: served as it is. Nothing
//! is asked for it, and one that was replaced there is not served any more. Where commands or requests for
//! it are configured it is rotated: a command gets the key on its standard input, a request in its header.

use crate::key_request::read_key;
use crate::tool_output::{self, Format};
use outlast_core::options::{GrantOption, OptionKind, Options};
use outlast_core::strategy::{Recovery, Redemption, Renewal, Renewing, Rotation, Strategy, Unrenewable};
use outlast_core::{Grant, GrantType, KeyRequest, Reply, Secret, Terms, Timestamp, TokenResponse, rotation};
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
    GrantOption::optional("new_key", OptionKind::CommandOrRequest, "what makes a new key; it is told the present one"),
    GrantOption::optional("overlap", OptionKind::Duration, "how long a replaced key stays good"),
    GrantOption::optional(
        "retire_key",
        OptionKind::CommandOrRequest,
        "what puts a replaced key out of use; it is told that key",
    ),
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
        let (Some(rotation), Some(every)) = (told(options, "new_key", &held.access), options.duration("rotate_every"))
        else {
            return Ok(known(&held.access));
        };
        if !rotation::is_due(renewing.grant, every) {
            return Ok(known(&held.access));
        }
        if rotation::was_interrupted(renewing.grant) {
            return Err(Unrenewable::RotationInDoubt(every));
        }
        if renewing.grant.retiring.is_some() {
            return Err(Unrenewable::RotationBlocked("the key before this one is not retired yet"));
        }
        Ok(rotation)
    }

    fn check(&self, terms: &Terms) -> Result<(), String> {
        let options = &terms.options;
        let every = options.duration("rotate_every");
        let rest = ["new_key", "retire_key"].map(|name| is_told(options, name));
        match every {
            None if rest.contains(&true) || options.duration("overlap").is_some() => {
                Err("is told how to rotate its key and not when: set rotate_every, such as \"30d\"".to_owned())
            }
            None => Ok(()),
            Some(_) if !rest[0] => {
                Err("has `rotate_every` and no `new_key`: set new_key to the command or request that makes a new key"
                    .to_owned())
            }
            Some(every) if every <= options.duration("overlap").unwrap_or_default() => {
                Err("has a `rotate_every` that is not longer than `overlap`: make it longer".to_owned())
            }
            Some(_) if options.request("new_key").is_some_and(|request| request.read.is_none()) => {
                Err("has a request for `new_key` that does not say where the key is in the answer: set read, such as \
                     \"/data/key\""
                    .to_owned())
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

    fn read(&self, reply: &Reply, terms: &Terms) -> Option<TokenResponse> {
        read_key(terms.options.request("new_key")?, reply)
    }

    fn is_outdated(&self, held: &Grant, terms: &Terms) -> bool {
        // The key that was configured is compared, not the held one: that may have been rotated since.
        held.tokens.is_some() && held.key_fingerprint != terms.options.secret("key").map(Secret::fingerprint)
    }

    fn overlap(&self, terms: &Terms) -> Option<Duration> {
        // Without anything to retire it a replaced key is of no more use.
        is_told(&terms.options, "retire_key").then_some(())?;
        Some(terms.options.duration("overlap").unwrap_or_default())
    }

    fn retirement(&self, renewing: &Renewing<'_>, retired: &Secret) -> Option<Redemption> {
        told(&renewing.terms.options, "retire_key", retired)
    }
}

fn is_told(options: &Options, name: &str) -> bool {
    options.command(name).is_some() || options.request(name).is_some()
}

/// The command or the request of that name, about `key`.
fn told(options: &Options, name: &str, key: &Secret) -> Option<Redemption> {
    let run = |command: &[String]| Redemption::Run { command: command.to_vec(), input: Some(key.clone()) };
    let ask = |request: &KeyRequest| Redemption::Ask { request: request.clone(), key: key.clone() };
    options.command(name).map(run).or_else(|| options.request(name).map(ask))
}

fn known(key: &Secret) -> Redemption {
    Redemption::Known(TokenResponse { access: key.clone(), ..TokenResponse::bearer("") })
}
