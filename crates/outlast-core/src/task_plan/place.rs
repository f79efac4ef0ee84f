//! Puts values into the places of a template, escaped as the place wants it.

use super::json::JsonTemplate;
use super::template::{Part, Reference, Template};
use super::{PlanFault, listed};
use serde_json::{Map, Value};

/// Largest text that a template becomes.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Finds the value that a reference names.
pub(super) type Lookup<'a> = dyn Fn(&Reference) -> Result<&'a Value, PlanFault> + 'a;

/// Follows the path of a reference into a value.
pub(super) fn follow<'a>(reference: &Reference, root: &'a Value) -> Result<&'a Value, PlanFault> {
    let mut value = root;
    for name in &reference.path {
        let found = match value {
            Value::Array(members) => name.parse::<usize>().ok().and_then(|place| members.get(place)),
            Value::Object(members) => members.get(name),
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
        };
        value = found.ok_or_else(|| missing(reference, name, value))?;
    }
    Ok(value)
}

/// Names of members are told, values never.
fn missing(reference: &Reference, name: &str, value: &Value) -> PlanFault {
    let there = match value {
        Value::Array(members) => format!("there is a list of {} items, counted from 0", members.len()),
        Value::Object(members) if members.is_empty() => "there is an object without members".to_owned(),
        Value::Object(members) => format!("there are {}", listed(members.keys().map(String::as_str))),
        Value::Bool(_) => "there is a truth value".to_owned(),
        Value::Null => "there is null".to_owned(),
        Value::Number(_) => "there is a number".to_owned(),
        Value::String(_) => "there is a text, which is no JSON with members".to_owned(),
    };
    let detail = format!("`{}`: there is no `{}` in what the step brought", reference.written(), super::shown(name));
    PlanFault::new(&reference.span, detail, there)
}

/// What a value is, in a word.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Bool(_) => "a truth value",
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::String(_) => "a text",
    }
}

/// Whether lists and objects may stand in a text, as JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nested {
    AsJson,
    Refused,
}

/// A value as text. Nothing is guessed of a value that is not there.
pub(super) fn text_of(reference: &Reference, value: &Value, nested: Nested) -> Result<String, PlanFault> {
    let refused = |mend: &str| {
        let detail = format!("`{}` is {}, which has no place in a text here", reference.written(), kind(value));
        Err(PlanFault::new(&reference.span, detail, mend))
    };
    match value {
        Value::Array(_) | Value::Object(_) => match nested {
            Nested::AsJson => Ok(value.to_string()),
            Nested::Refused => refused("name a member of it"),
        },
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => refused("name a value that is there in every case"),
        Value::String(text) => Ok(text.clone()),
    }
}

/// Makes of a value, its text and the text before it what may stand there.
pub(super) type Escape<'a> = dyn Fn(&Reference, &Value, String, &str) -> Result<String, PlanFault> + 'a;

/// Fills a template in.
pub(super) fn fill(
    template: &Template,
    lookup: &Lookup<'_>,
    nested: Nested,
    escape: &Escape<'_>,
) -> Result<String, PlanFault> {
    let mut filled = String::new();
    for part in &template.parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Reference(reference) => {
                let value = lookup(reference)?;
                let text = text_of(reference, value, nested)?;
                filled.push_str(&escape(reference, value, text, &filled)?);
            }
        }
        if filled.len() > TEXT_BYTES_MAX {
            let detail = "the text becomes larger than 16 MiB with what the steps brought";
            return Err(PlanFault::new(&template.span, detail, "have a step write a file, and pass its name on"));
        }
    }
    Ok(filled)
}

/// Fills in a text in which nothing is escaped.
pub(super) fn plain(template: &Template, lookup: &Lookup<'_>) -> Result<String, PlanFault> {
    fill(template, lookup, Nested::AsJson, &|_, _, text, _| Ok(text))
}

/// Fills in an argument of a command. What was brought must not become an option that it was not meant to
/// be, nor end the argument early.
pub(super) fn argument(template: &Template, lookup: &Lookup<'_>, after_dashes: bool) -> Result<String, PlanFault> {
    fill(template, lookup, Nested::AsJson, &|reference, value, text, before| {
        let fault = |detail: String, mend: &str| Err(PlanFault::new(&reference.span, detail, mend));
        if text.contains('\0') {
            return fault(format!("`{}` has a NUL in it", reference.written()), "pass it by `input` instead");
        }
        if before.is_empty() && !after_dashes && value.is_string() && text.starts_with('-') {
            let detail =
                format!("`{}` begins with '-', and the program would take it for an option", reference.written());
            return fault(detail, "put \"--\" before it where the program knows that, or pass it by `input`");
        }
        Ok(text)
    })
}

/// Fills in a path or an address: each value is one segment, or a part of one, whatever it has in it.
pub(super) fn address(template: &Template, lookup: &Lookup<'_>) -> Result<String, PlanFault> {
    let filled = fill(template, lookup, Nested::Refused, &|reference, _, text, before| {
        if text.is_empty() && !before.contains('?') {
            let detail = format!("`{}` is empty, and the address would be another one", reference.written());
            return Err(PlanFault::new(
                &reference.span,
                detail,
                "leave such items out in the step that makes the list",
            ));
        }
        Ok(percent_encoded(&text))
    })?;
    let path = filled.split('?').next().unwrap_or_default();
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        let detail = "the address has a '.' or '..' segment in it: it would lead somewhere else";
        return Err(PlanFault::new(&template.span, detail, "leave such items out in the step that makes the list"));
    }
    Ok(filled)
}

/// Everything but what RFC 3986 2.3 reserves for nothing is encoded, so that no value is a separator.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Fills in the value of a field. A line end in it would begin another field.
pub(super) fn field(template: &Template, lookup: &Lookup<'_>) -> Result<String, PlanFault> {
    fill(template, lookup, Nested::Refused, &|reference, _, text, _| {
        if text.chars().any(|c| c.is_control() && c != '\t') {
            let detail = format!("`{}` has a control character in it, which no field may have", reference.written());
            return Err(PlanFault::new(&reference.span, detail, "send it in the body"));
        }
        Ok(text)
    })
}

/// Fills in JSON.
pub(super) fn json(template: &JsonTemplate, lookup: &Lookup<'_>) -> Result<Value, PlanFault> {
    Ok(match template {
        JsonTemplate::Array(members) => {
            Value::Array(members.iter().map(|member| json(member, lookup)).collect::<Result<_, _>>()?)
        }
        JsonTemplate::Object(members) => {
            let filled = members.iter().map(|(name, member)| Ok((name.clone(), json(member, lookup)?)));
            Value::Object(filled.collect::<Result<Map<_, _>, PlanFault>>()?)
        }
        JsonTemplate::Text(text) => match text.as_reference() {
            Some(reference) => lookup(reference)?.clone(),
            None => Value::String(plain(text, lookup)?),
        },
        JsonTemplate::Value(value) => value.clone(),
    })
}
