//! What holds of every preset, the built-in ones and those of a user's own.

use super::{Form, Preset, Rotates};
use crate::address;
use crate::grant_type;
use outlast_core::Code;
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// Longest grace that is believed.
const GRACE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A value of the form of each parameter, for looking at addresses before there are any.
const HOST_SAMPLE: &str = "login.example.com";
const NAME_SAMPLE: &str = "example";

/// Parameters of the standard, which an authorization request sets for itself (RFC 6749 4.1.1, RFC 7636, RFC 8707).
const STANDARD: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "resource",
    "response_type",
    "scope",
    "state",
];

/// Why a preset cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What kind.
    pub code: Code,
    /// The field that is wrong, as in a file.
    pub field: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub mend: String,
}

impl Unfit {
    fn new(field: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code: Code::ConfigurationInvalid, field, detail: detail.into(), mend: mend.into() }
    }
}

impl<'a> Preset<'a> {
    /// Checks that secrets may be sent to its addresses, that its parameters are those in its addresses, that a grant
    /// can begin with it, and that its times agree with each other.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Unfit> {
        self.check_parameters()?;
        for (field, written) in self.addresses() {
            self.check_address(field, written)?;
        }
        self.check_beginning()?;
        self.check_times()
    }

    /// Every address that requests go to or that tokens are issued by, as it is written, and its field.
    pub fn addresses(&self) -> Vec<(&'static str, &'a str)> {
        let optional = [
            ("issuer", self.issuer),
            ("authorization_endpoint", self.authorization_endpoint),
            ("exchange_endpoint", self.exchange_endpoint),
            ("token_endpoint", Some(self.token_endpoint)),
            ("device_endpoint", self.device_endpoint),
            ("revocation_endpoint", self.revocation_endpoint),
            ("introspection_endpoint", self.introspection_endpoint),
        ];
        let named = optional.into_iter().filter_map(|(field, address)| Some((field, address?)));
        named.chain(self.upstreams.iter().map(|upstream| ("upstreams", *upstream))).collect()
    }

    fn check_parameters(&self) -> Result<(), Unfit> {
        let declared: BTreeSet<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
        for (field, written) in self.addresses() {
            if let Some(stray) = placeholders(written).difference(&declared).next() {
                let detail = format!("`{field}` has {{{stray}}} in it, which is no parameter");
                return Err(Unfit::new(
                    field,
                    detail,
                    format!("add a table [parameters.{stray}], or write the address out"),
                ));
            }
        }
        // A request for tokens that a value is missing from must have no address to go to.
        let used = placeholders(self.token_endpoint);
        match declared.difference(&used).next() {
            None => Ok(()),
            Some(idle) => Err(Unfit::new(
                "parameters",
                format!("the parameter `{idle}` does not stand in `token_endpoint`"),
                format!("write {{{idle}}} there, or remove the parameter"),
            )),
        }
    }

    fn check_address(&self, field: &'static str, written: &str) -> Result<(), Unfit> {
        let sample = |form| match form {
            Form::Host => HOST_SAMPLE,
            Form::Name => NAME_SAMPLE,
            Form::OneOf(values) => values.first().copied().unwrap_or_default(),
        };
        let filled = self.parameters.iter().fold(written.to_owned(), |text, parameter| {
            text.replace(&format!("{{{}}}", parameter.name), sample(parameter.form))
        });
        let url = address::check(&filled).map_err(|error| {
            let detail = format!("`{field}` is no address that secrets may be sent to");
            Unfit {
                code: error.code(),
                ..Unfit::new(field, detail, "use https, or http on loopback, and no user name")
            }
        })?;
        if url.query().is_some() || filled.contains(['{', '}', ' ', '?']) {
            let detail = format!("`{field}` has a query, a brace or a space in it");
            return Err(Unfit::new(field, detail, "write the plain address; parameters stand as {name} in it"));
        }
        if field == "upstreams" && Url::origin(&url).ascii_serialization() != filled {
            let mend = "write it as https://host, without a path and without a slash at its end";
            return Err(Unfit::new(field, "a member of `upstreams` is not an origin", mend));
        }
        Ok(())
    }

    fn check_beginning(&self) -> Result<(), Unfit> {
        if grant_type::find(self.usual_grant_type).is_none() {
            let known: Vec<&str> = grant_type::TABLE.iter().map(|row| row.strategy().grant_type).collect();
            let mend = format!("known are {}", known.join(", "));
            return Err(Unfit::new("usual_grant_type", "`usual_grant_type` is no grant type", mend));
        }
        if self.usual_grant_type == "authorization_code" && self.authorization_endpoint.is_none() {
            let detail = "`usual_grant_type` is authorization_code, and there is no `authorization_endpoint`";
            return Err(Unfit::new(
                "usual_grant_type",
                detail,
                "set authorization_endpoint, or name another grant type",
            ));
        }
        if ![' ', ','].contains(&self.scope_separator) {
            let detail = "`scope_separator` is neither a space nor a comma";
            return Err(Unfit::new("scope_separator", detail, "write \" \" or \",\""));
        }
        match self.authorization_parameters.iter().find(|(name, value)| STANDARD.contains(name) || value.is_empty()) {
            None => Ok(()),
            Some((name, _)) => Err(Unfit::new(
                "authorization_parameters",
                format!("`{name}` in `authorization_parameters` is set by each request itself, or is empty"),
                "remove it",
            )),
        }
    }

    fn check_times(&self) -> Result<(), Unfit> {
        if self.idle_life.is_some_and(|life| life.is_zero()) {
            return Err(Unfit::new("idle_life", "`idle_life` is nothing", "give how long a grant lives unrenewed"));
        }
        if let (Some(idle), Some(absolute)) = (self.idle_life, self.absolute_life)
            && idle > absolute
        {
            return Err(Unfit::new("idle_life", "`idle_life` is longer than `absolute_life`", "make it shorter"));
        }
        match self.grace {
            None => Ok(()),
            Some(_) if self.rotates != Rotates::Yes => {
                let detail = "there is a `grace` for replaced refresh tokens, and none is replaced";
                Err(Unfit::new("grace", detail, "set rotates = \"yes\", or remove grace"))
            }
            Some(grace) if grace >= GRACE_MAX => {
                Err(Unfit::new("grace", "`grace` is a day or longer", "give what the server documents"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// What stands in braces.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
}
