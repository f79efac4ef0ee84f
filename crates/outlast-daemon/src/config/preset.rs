//! Finds the preset a grant names, and fills its addresses in with the grant's `parameters`.

use super::ConfigError;
use super::document::{Located, Table, shown};
use super::nearest::nearest;
use super::own_preset::OwnPresets;
use outlast::provider::{self, Addresses, ParameterError, Preset};
use std::ops::Range;

/// The key of the table that holds what differs by customer.
const PARAMETERS: &str = "parameters";

/// What `judge` makes of the preset of that name and of its addresses as `parameters` in `table` fill them in. A file of
/// the user's own goes before a built-in preset: one that a later release brings changes nothing.
///
/// # Errors
/// With the path of that file, if the mistake is in there.
pub(super) fn with<R>(
    table: Table<'_>,
    name: &Located<String>,
    judge: impl Fn(&Preset<'_>, Addresses) -> R,
) -> Result<R, ConfigError> {
    let filled = |preset: &Preset<'_>| Ok(judge(preset, addresses(table, preset, name)?));
    let own = OwnPresets::beside(table.document.path);
    match own.with(&name.value, filled) {
        Some(read) => read?,
        None => {
            let known = provider::find(&name.value).or_else(|| provider::find_template(&name.value));
            filled(&known.ok_or_else(|| unknown(table, name, &own))?)
        }
    }
}

fn addresses(table: Table<'_>, preset: &Preset<'_>, name: &Located<String>) -> Result<Addresses, ConfigError> {
    let given = given(table)?;
    if preset.parameters.is_empty()
        && let Some(value) = table.get(PARAMETERS)
    {
        let detail = format!("provider `{}` has no parameters", preset.name);
        return Err(table.document.error(&value.span(), detail, "remove `parameters`"));
    }
    let values: Vec<(&str, &str)> = given.iter().map(|(name, value)| (name.value.as_str(), &*value.value)).collect();
    preset.with(&values).map_err(|error| refused(table, preset, name, &given, &error))
}

/// Refuses `parameters` beside a server that is named by an address.
pub(super) fn refuse_parameters(table: Table<'_>) -> Result<(), ConfigError> {
    let Some(value) = table.get(PARAMETERS) else { return Ok(()) };
    let detail = format!("{} has `parameters` and names no provider", table.name);
    Err(table.document.error(&value.span(), detail, "remove `parameters`, or name the server by `provider`"))
}

fn unknown(table: Table<'_>, name: &Located<String>, own: &OwnPresets) -> ConfigError {
    let own = own.names();
    let mut known: Vec<&str> = provider::all().iter().map(|preset| preset.name).collect();
    known.extend(own.iter().map(String::as_str));
    let detail = format!("unknown provider `{}`", shown(&name.value));
    let mend = match nearest(&name.value, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}; any other is named by its issuer or token_endpoint", known.join(", ")),
    };
    table.document.error(&name.span, detail, mend)
}

type Given = (Located<String>, Located<String>);

/// The parameters as they stand in the file, the first one first.
fn given(table: Table<'_>) -> Result<Vec<Given>, ConfigError> {
    let Some(parameters) = table.table(PARAMETERS, "`parameters`")? else { return Ok(Vec::new()) };
    let mut given = Vec::new();
    for key in parameters.entries.keys() {
        let name = key.get_ref().as_ref();
        if let Some(value) = parameters.text(name)? {
            given.push((Located { value: name.to_owned(), span: key.span() }, value));
        }
    }
    given.sort_by_key(|(name, _)| name.span.start);
    Ok(given)
}

fn refused(
    table: Table<'_>,
    preset: &Preset<'_>,
    name: &Located<String>,
    given: &[Given],
    error: &ParameterError<'_>,
) -> ConfigError {
    let document = table.document;
    let all: Range<usize> = table.get(PARAMETERS).map_or_else(|| name.span.clone(), |value| value.span());
    let find = |wanted: &str| given.iter().find(|(name, _)| name.value == wanted);
    match error {
        ParameterError::Missing { parameter, .. } => {
            let detail = format!("provider `{}` needs the parameter `{}`", preset.name, parameter.name);
            document.error(&all, detail, format!("{}, where it is {}", wanted(preset), parameter.meaning))
        }
        ParameterError::Unknown { parameters, .. } => {
            let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
            let Some((stray, _)) = given.iter().find(|(name, _)| !known.contains(&name.value.as_str())) else {
                return document.error(&all, error.to_string(), wanted(preset));
            };
            let detail = format!("provider `{}` has no parameter `{}`", preset.name, shown(&stray.value));
            let mend = match nearest(&stray.value, &known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => wanted(preset),
            };
            document.error(&stray.span, detail, mend)
        }
        ParameterError::Unsuitable { parameter, .. } => {
            let span = find(parameter.name).map_or(all, |(_, value)| value.span.clone());
            let detail = format!("the parameter `{}` of provider `{}` does not fit", parameter.name, preset.name);
            document.error(&span, detail, format!("give {} ({})", parameter.meaning, parameter.form))
        }
        ParameterError::Repeated { .. } | ParameterError::Address { .. } => {
            document.coded(error.code(), &all, error.to_string(), wanted(preset))
        }
    }
}

/// What to write, with every parameter the preset has.
fn wanted(preset: &Preset<'_>) -> String {
    let each: Vec<String> = preset.parameters.iter().map(|parameter| format!("{} = \"…\"", parameter.name)).collect();
    format!("set parameters = {{ {} }} (outlast add: --parameter KEY=VALUE)", each.join(", "))
}
