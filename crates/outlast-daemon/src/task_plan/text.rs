//! Texts of a plan: templates, with the place in the file of whatever stands in them, and numbers.

use super::told;
use crate::config::ConfigError;
use crate::config::document::Table;
use outlast::task_plan::Template;
use serde_json::{Number, Value};
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::DeValue;

/// The template under a key.
pub(super) fn template(table: Table<'_>, key: &str) -> Result<Option<Template>, ConfigError> {
    table.get(key).map(|value| template_of(table, key, value)).transpose()
}

/// A value as a template. Numbers and truth values are texts without places.
pub(super) fn template_of(table: Table<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Template, ConfigError> {
    let span = value.span();
    match value.get_ref() {
        DeValue::String(text) => {
            let raw = table.document.text.get(span.clone()).unwrap_or_default();
            let at = |offset| span.start + offset_in_file(raw, offset);
            Template::parse(text, &span, &at).map_err(|fault| told(table.document, &fault))
        }
        DeValue::Boolean(flag) => Ok(Template::fixed(&flag.to_string(), &span)),
        DeValue::Integer(_) | DeValue::Float(_) => Ok(Template::fixed(&number_of(table, value)?.to_string(), &span)),
        _ => Err(table.wrong_type(key, &span, "a string")),
    }
}

/// Where in the file the byte of a string is that stands at `offset` of its value. `raw` is the string as it
/// is written, with its quotes.
fn offset_in_file(raw: &str, offset: usize) -> usize {
    let quote = if raw.starts_with('\'') { "'''" } else { "\"\"\"" };
    let is_long = raw.starts_with(quote) && raw.len() >= 6;
    let mut place = if is_long { 3 } else { 1 };
    if is_long {
        // A line end right after the quotes does not count.
        place += raw[place..]
            .find(|c| c != '\r')
            .filter(|found| raw[place + found..].starts_with('\n'))
            .map_or(0, |found| found + 1);
    }
    let mut left = offset;
    while left > 0 {
        let Some(character) = raw.get(place..).and_then(|rest| rest.chars().next()) else { return place };
        if character != '\\' || raw.starts_with('\'') {
            place += character.len_utf8();
            left = left.saturating_sub(character.len_utf8());
            continue;
        }
        let (written, meant) = escape(&raw[place..]);
        place += written;
        left = left.saturating_sub(meant);
    }
    place
}

/// How many bytes an escape has as it is written, and how many it means.
fn escape(raw: &str) -> (usize, usize) {
    let digits = match raw.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            // A line that is continued: the line end and the blanks of the next are not meant.
            return (raw[1..].find(|c: char| !c.is_whitespace()).map_or(raw.len(), |found| found + 1), 0);
        }
        Some(_) | None => return (2.min(raw.len()), 1),
    };
    let code = raw.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    (2 + digits, code.map_or(1, char::len_utf8))
}

/// A number of JSON.
pub(super) fn number_of(table: Table<'_>, value: &Spanned<DeValue<'_>>) -> Result<Number, ConfigError> {
    let number = match value.get_ref() {
        DeValue::Integer(number) => {
            let signed = i64::from_str_radix(number.as_str(), number.radix()).ok().map(Number::from);
            signed.or_else(|| u64::from_str_radix(number.as_str(), number.radix()).ok().map(Number::from))
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().and_then(Number::from_f64),
        _ => None,
    };
    number.ok_or_else(|| {
        let detail = "the number cannot be written in JSON";
        table.document.error(&value.span(), detail, "write it as a string")
    })
}

/// A value without places, as JSON.
pub(super) fn json_of(table: Table<'_>, value: &Spanned<DeValue<'_>>) -> Result<Value, ConfigError> {
    Ok(match value.get_ref() {
        DeValue::Array(members) => {
            Value::Array(members.iter().map(|member| json_of(table, member)).collect::<Result<_, _>>()?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Float(_) | DeValue::Integer(_) => Value::Number(number_of(table, value)?),
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Table(members) => {
            let member = |(name, member): (&Spanned<toml::de::DeString<'_>>, &Spanned<DeValue<'_>>)| {
                Ok((name.get_ref().to_string(), json_of(table, member)?))
            };
            Value::Object(members.iter().map(member).collect::<Result<_, ConfigError>>()?)
        }
    })
}

/// A whole number within bounds.
pub(super) fn number(table: Table<'_>, key: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let found =
        value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
    match found.filter(|number| bounds.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => {
            let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
            Err(table.wrong_type(key, &value.span(), &wanted))
        }
    }
}

/// The members of an array, each knowing where it stands; none where there is no such key.
pub(super) fn members<'a>(
    table: Table<'a>,
    key: &str,
    wanted: &str,
) -> Result<&'a [Spanned<DeValue<'a>>], ConfigError> {
    let Some(value) = table.get(key) else { return Ok(&[]) };
    let members = value.get_ref().as_array().map(|members| &**members);
    members.ok_or_else(|| table.wrong_type(key, &value.span(), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_string_is_found_in_the_file_however_it_is_written() {
        for (raw, value, found, wanted) in [
            ("\"ab{{\"", "ab{{", "{{", "{{"),
            ("'a\\b{{'", "a\\b{{", "{{", "{{"),
            ("\"\\\"\\u00e9\\t{{\"", "\"é\t{{", "{{", "{{"),
            ("\"\\U0001F600é{{\"", "😀é{{", "{{", "{{"),
            ("\"\"\"\na\n{{\"\"\"", "a\n{{", "{{", "{{"),
            ("\"\"\"\r\na{{\"\"\"", "a{{", "{{", "{{"),
            ("\"\"\"a \\\n   b{{\"\"\"", "a b{{", "{{", "{{"),
            ("'''\n\\{{'''", "\\{{", "{{", "{{"),
            ("\"\\x41{{\"", "A{{", "{{", "{{"),
        ] {
            let offset = value.find(found).unwrap();
            assert!(raw[offset_in_file(raw, offset)..].starts_with(wanted), "{raw}");
        }
        assert!(offset_in_file("\"a\"", 500) <= 3, "never past the string");
    }
}
