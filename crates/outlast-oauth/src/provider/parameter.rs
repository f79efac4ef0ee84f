//! The parts of a preset's addresses that differ by customer, and how they are filled in.

use super::{Pkce, Preset};
use crate::address::{self, AddressError};
use outlast_core::{Code, Provider, Quirks};
use std::fmt;

/// Longest value of a parameter, in bytes: the longest domain name (RFC 1035 2.3.4).
const VALUE_BYTES_MAX: usize = 253;

/// A part of a preset's addresses that differs by customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name; `{name}` stands for it in the addresses.
    pub name: &'a str,
    /// What it is, with an example: shown to whoever has to give it.
    pub meaning: &'a str,
    /// Which values it takes.
    pub form: Form<'a>,
}

/// Which values a parameter takes. None lets a value end the part of the address that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// A host name: letters, digits, dots and hyphens; a port may follow.
    Host,
    /// A name: letters, digits, dots, hyphens and underscores, with a letter or digit at both ends.
    Name,
    /// One of these.
    OneOf(&'a [&'a str]),
}

impl Form<'_> {
    /// Whether `value` is of this form.
    pub fn takes(self, value: &str) -> bool {
        match self {
            Self::Host => match value.split_once(':') {
                Some((host, port)) => is_name(host, "-.") && port.parse::<u16>().is_ok_and(|port| port > 0),
                None => is_name(value, "-."),
            },
            Self::Name => is_name(value, "-._"),
            Self::OneOf(values) => values.contains(&value),
        }
    }
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("a host name such as login.example.com"),
            Self::Name => f.write_str("letters, digits, dots, hyphens and underscores"),
            Self::OneOf(values) => write!(f, "one of {}", values.join(", ")),
        }
    }
}

/// Two dots in a row would be another folder in a path, and are no domain name either.
fn is_name(value: &str, others: &str) -> bool {
    let ends = [value.chars().next(), value.chars().next_back()];
    value.len() <= VALUE_BYTES_MAX
        && value.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        && ends.iter().all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
        && !value.contains("..")
}

/// The addresses of an authorization server, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The server.
    pub provider: Provider,
    /// The origins of its APIs.
    pub upstreams: Vec<String>,
}

/// Why a preset cannot be used with the values that were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterError<'a> {
    /// With these values an address is not one that secrets may be sent to.
    Address {
        /// The preset.
        preset: &'a str,
        /// What is wrong with the address.
        source: AddressError,
    },
    /// A parameter has no value.
    Missing {
        /// The preset.
        preset: &'a str,
        /// The parameter.
        parameter: Parameter<'a>,
    },
    /// A parameter is given twice.
    Repeated {
        /// The preset.
        preset: &'a str,
        /// The parameter.
        parameter: Parameter<'a>,
    },
    /// The preset has no such parameter.
    Unknown {
        /// The preset.
        preset: &'a str,
        /// Those it has.
        parameters: &'a [Parameter<'a>],
    },
    /// A value is not of its parameter's form.
    Unsuitable {
        /// The preset.
        preset: &'a str,
        /// The parameter.
        parameter: Parameter<'a>,
    },
}

impl ParameterError<'_> {
    /// Its code.
    pub fn code(&self) -> Code {
        match self {
            Self::Address { source, .. } => source.code(),
            Self::Missing { .. } | Self::Repeated { .. } | Self::Unknown { .. } | Self::Unsuitable { .. } => {
                Code::ConfigurationInvalid
            }
        }
    }
}

impl fmt::Display for ParameterError<'_> {
    // The values are not repeated: whoever reads this has them, and they may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { preset, source } => write!(f, "provider {preset}: {source}"),
            Self::Missing { preset, parameter } => {
                write!(f, "provider {preset} needs `{}`: set it to {}", parameter.name, parameter.meaning)
            }
            Self::Repeated { preset, parameter } => {
                write!(f, "provider {preset}: `{}` is given twice: keep one", parameter.name)
            }
            Self::Unknown { preset, parameters: [] } => {
                write!(f, "provider {preset} has no parameters: remove those that are given")
            }
            Self::Unknown { preset, parameters } => {
                let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
                write!(f, "provider {preset} has no such parameter: it has {}", known.join(", "))
            }
            Self::Unsuitable { preset, parameter } => write!(
                f,
                "provider {preset}: the value of `{}` does not fit: it is {} ({})",
                parameter.name, parameter.meaning, parameter.form
            ),
        }
    }
}

impl std::error::Error for ParameterError<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { source, .. } => Some(source),
            Self::Missing { .. } | Self::Repeated { .. } | Self::Unknown { .. } | Self::Unsuitable { .. } => None,
        }
    }
}

impl<'a> Preset<'a> {
    /// This preset's addresses with `values` for its parameters, as pairs of name and value. Every parameter has to be
    /// given, once, and no other; a preset without parameters takes none.
    pub fn with(&self, values: &[(&str, &str)]) -> Result<Addresses, ParameterError<'a>> {
        self.check_values(values)?;
        let fill = |template: &str| self.filled(template, values);
        let fill_some = |template: Option<&str>| template.map(fill).transpose();
        Ok(Addresses {
            upstreams: self.upstreams.iter().map(|upstream| fill(upstream)).collect::<Result<_, _>>()?,
            provider: Provider {
                name: self.name.to_owned(),
                token_endpoint: fill(self.token_endpoint)?,
                issuer: fill_some(self.issuer)?,
                quirks: Quirks::for_provider(self.name),
                authorization_endpoint: fill_some(self.authorization_endpoint)?,
                authorization_parameters: owned(self.authorization_parameters),
                exchange_endpoint: fill_some(self.exchange_endpoint)?,
                device_endpoint: fill_some(self.device_endpoint)?,
                revocation_endpoint: fill_some(self.revocation_endpoint)?,
                introspection_endpoint: fill_some(self.introspection_endpoint)?,
                scope_separator: (self.scope_separator != ' ').then_some(self.scope_separator),
                refuses_pkce: self.pkce == Pkce::Unsupported,
                ..Provider::default()
            },
        })
    }

    /// The server without its parameters filled in. A template has no address before
    /// [`Preset::with`]: nothing can be sent to what this returns for one.
    pub fn provider(&self) -> Provider {
        let unfilled =
            || Provider { name: self.name.to_owned(), quirks: Quirks::for_provider(self.name), ..Provider::default() };
        self.with(&[]).map_or_else(|_| unfilled(), |addresses| addresses.provider)
    }

    fn check_values(&self, values: &[(&str, &str)]) -> Result<(), ParameterError<'a>> {
        let (preset, parameters) = (self.name, self.parameters);
        if values.iter().any(|(name, _)| parameters.iter().all(|parameter| parameter.name != *name)) {
            return Err(ParameterError::Unknown { preset, parameters });
        }
        for parameter in parameters.iter().copied() {
            let mut given = values.iter().filter(|(name, _)| *name == parameter.name);
            let Some((_, value)) = given.next() else { return Err(ParameterError::Missing { preset, parameter }) };
            if given.next().is_some() {
                return Err(ParameterError::Repeated { preset, parameter });
            }
            if !parameter.form.takes(value) {
                return Err(ParameterError::Unsuitable { preset, parameter });
            }
        }
        Ok(())
    }

    /// `template` with the values in place. No value has a brace in it, so their order does not matter.
    fn filled(&self, template: &str, values: &[(&str, &str)]) -> Result<String, ParameterError<'a>> {
        let filled =
            values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
        match address::check(&filled) {
            Ok(_) => Ok(filled),
            Err(source) => Err(ParameterError::Address { preset: self.name, source }),
        }
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
