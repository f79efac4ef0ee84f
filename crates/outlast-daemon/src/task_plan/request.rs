//! Reads what a step says of its request.

use super::{step, text};
use crate::config::ConfigError;
use crate::config::address;
use crate::config::document::{Located, Table, shown};
use http::{HeaderName, Method};
use outlast::GrantId;
use outlast::task_plan::{Body, JsonTemplate, RequestWork, Target, Template};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeValue};

pub(super) const KEYS: &[&str] = &["request"];
const REQUEST_KEYS: &[&str] = &["accept", "body", "form", "grant", "headers", "method", "path", "url"];

/// Fields that are not the plan's to set, with the reason.
const FIELDS_OF_OTHERS: &[(&str, &str)] = &[
    ("authorization", CREDENTIAL),
    ("cookie", CREDENTIAL),
    ("proxy-authorization", CREDENTIAL),
    ("connection", FRAMING),
    ("content-length", FRAMING),
    ("expect", FRAMING),
    ("host", FRAMING),
    ("te", FRAMING),
    ("trailer", FRAMING),
    ("transfer-encoding", FRAMING),
    ("upgrade", FRAMING),
    ("idempotency-key", "each step has a key of its own, which is set by itself"),
    ("outlast-replay", "idempotent = false says so of the whole step"),
];
const CREDENTIAL: &str = "name the grant instead: its token is set by itself, and no secret belongs in a plan";
const FRAMING: &str = "it is set by itself";

pub(super) fn read(step: Table<'_>) -> Result<RequestWork, ConfigError> {
    let name = format!("the request of {}", step.name);
    let Some(table) = step.table("request", &name)? else {
        return Err(step.wrong_type("request", &(0..0), "a table"));
    };
    table.expect_only(REQUEST_KEYS)?;
    let span = step.get("request").map_or(0..0, Spanned::span);
    let grant = table.text("grant")?.map(|name| step::grant(table, &name)).transpose()?;
    let (target, target_span) = target(table, grant.as_ref(), &span)?;
    let (headers, body) = (headers(table)?, body(table)?);
    let method = method(table, &body)?;
    Ok(RequestWork { grant, method, target, target_span, headers, body, accept: accept(table)? })
}

fn method(table: Table<'_>, body: &Body) -> Result<Method, ConfigError> {
    let Some(text) = table.text("method")? else {
        return Ok(if *body == Body::Empty { Method::GET } else { Method::POST });
    };
    let refused = |detail: String, mend: &str| Err(table.document.error(&text.span, detail, mend));
    match Method::from_bytes(text.value.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) | Err(_) => {
            refused(format!("`{}` is no method of a step", shown(&text.value)), "use GET, POST, PUT, PATCH or DELETE")
        }
        Ok(method) if text.value != text.value.to_ascii_uppercase() => refused(
            format!("`{}` is not in capitals", shown(method.as_str())),
            "methods are written in capitals, such as GET",
        ),
        Ok(method @ (Method::GET | Method::HEAD)) if *body != Body::Empty => {
            refused(format!("a {method} has no body"), "remove the body, or use POST")
        }
        Ok(method) => Ok(method),
    }
}

fn target(
    table: Table<'_>,
    grant: Option<&GrantId>,
    span: &Range<usize>,
) -> Result<(Target, Range<usize>), ConfigError> {
    let refused = |span: &Range<usize>, detail: &str, mend: &str| {
        Err(table.document.error(span, format!("{} {detail}", table.name), mend))
    };
    match (table.get("path"), table.get("url"), grant) {
        (Some(value), None, Some(_)) => {
            let path = text::template_of(table, "path", value)?;
            let begins = path.beginning();
            let plain = begins.starts_with('/') && !begins.starts_with("//") && !begins.contains(['\\', '#']);
            if !plain {
                return refused(
                    &value.span(),
                    "has a path that does not begin with one '/'",
                    "write it as path = \"/v1/items\"",
                );
            }
            no_other_place(table, value.span(), &path)?;
            Ok((Target::Path(path), value.span()))
        }
        (None, Some(value), None) => {
            let url = text::template_of(table, "url", value)?;
            let located = Located { value: fixed_origin(table, &url, value.span())?, span: value.span() };
            address::secure(table.document, "url", &located)?;
            no_other_place(table, value.span(), &url)?;
            Ok((Target::Url(url), value.span()))
        }
        (_, Some(url), Some(_)) => refused(
            &url.span(),
            "has a grant and a url",
            "write path = \"/…\": a token goes to the grant's upstream alone",
        ),
        (Some(path), None, None) => {
            refused(&path.span(), "has a path and no grant", "add grant = \"NAME\", or write url = \"https://…\"")
        }
        (Some(path), Some(_), None) => refused(&path.span(), "has a path and a url", "keep one of them"),
        (None, None, _) => refused(
            span,
            "does not say where it goes",
            "add grant = \"NAME\" and path = \"/…\", or url = \"https://…\"",
        ),
    }
}

/// No output decides to which server a request goes: the address up to its path is written out.
fn fixed_origin(table: Table<'_>, url: &Template, span: Range<usize>) -> Result<String, ConfigError> {
    let begins = url.beginning();
    let after_scheme = begins.find("://").map(|found| found + 3);
    let path = after_scheme.and_then(|start| begins[start..].find(['/', '?']));
    match path {
        Some(_) => Ok(begins.to_owned()),
        None if url.references().next().is_none() => Ok(begins.to_owned()),
        None => {
            let mend = "write scheme and host out: https://host/path/{{ item.id }}";
            Err(table.document.error(&span, "what a step brought would decide to which server this goes", mend))
        }
    }
}

/// What the written part of an address must not have in it, for it would lead elsewhere or nowhere.
fn no_other_place(table: Table<'_>, span: Range<usize>, template: &Template) -> Result<(), ConfigError> {
    let Some(text) = template.as_fixed().or_else(|| Some(template.beginning().to_owned())) else { return Ok(()) };
    let path = text.split('?').next().unwrap_or_default();
    let odd = text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '#'));
    if odd || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        let detail = "the address has a blank, a backslash, a '#' or a '..' in it";
        return Err(table.document.error(&span, detail, "write it as it is to be sent, percent-encoded where needed"));
    }
    Ok(())
}

type Member<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

fn headers(table: Table<'_>) -> Result<Vec<(HeaderName, Template)>, ConfigError> {
    let name = format!("headers of {}", table.name);
    let Some(fields) = table.table("headers", &name)? else { return Ok(Vec::new()) };
    let field = |(name, value): Member<'_>| {
        let refused = |detail: String, mend: &str| Err(table.document.error(&name.span(), detail, mend));
        let Ok(parsed) = HeaderName::from_bytes(name.get_ref().as_bytes()) else {
            return refused(
                format!("`{}` is no name of a field", shown(name.get_ref())),
                "use letters, digits and '-'",
            );
        };
        if let Some((_, why)) = FIELDS_OF_OTHERS.iter().find(|(other, _)| *other == parsed.as_str()) {
            return refused(format!("a plan does not set the field {parsed}"), why);
        }
        Ok((parsed, text::template_of(fields, name.get_ref(), value)?))
    };
    in_order(fields.entries.iter()).into_iter().map(field).collect()
}

/// In the order of the file, whatever the order of the table.
fn in_order<'a>(members: impl Iterator<Item = Member<'a>>) -> Vec<Member<'a>> {
    let mut members: Vec<Member<'a>> = members.collect();
    members.sort_by_key(|(name, _)| name.span().start);
    members
}

fn body(table: Table<'_>) -> Result<Body, ConfigError> {
    match (table.get("body"), table.get("form")) {
        (None, None) => Ok(Body::Empty),
        (Some(value), None) => match value.get_ref() {
            DeValue::String(_) => text_body(table, value),
            DeValue::Array(_) | DeValue::Table(_) => Ok(Body::Json(json(table, value)?)),
            _ => Err(table.wrong_type("body", &value.span(), "a table or list for JSON, or a string for text")),
        },
        (None, Some(_)) => {
            let Some(fields) = table.table("form", "form")? else { return Ok(Body::Empty) };
            let field = |(name, value): Member<'_>| {
                Ok((name.get_ref().to_string(), text::template_of(fields, name.get_ref(), value)?))
            };
            in_order(fields.entries.iter()).into_iter().map(field).collect::<Result<_, _>>().map(Body::Form)
        }
        (Some(_), Some(form)) => {
            let detail = format!("{} has a body and a form", table.name);
            Err(table.document.error(&form.span(), detail, "keep one of them"))
        }
    }
}

/// Text that is JSON is written as a table, where each value is encoded as JSON wants it.
fn text_body(table: Table<'_>, value: &Spanned<DeValue<'_>>) -> Result<Body, ConfigError> {
    let template = text::template_of(table, "body", value)?;
    let is_json = template.beginning().trim_start().starts_with(['{', '[']);
    let within = template.references().next().filter(|_| is_json).map(|reference| reference.span.clone());
    match within {
        Some(span) => {
            let detail = "a template within JSON that is written as text could break it";
            let mend = "write the body as a table: body = { id = \"{{ item.id }}\" }";
            Err(table.document.error(&span, detail, mend))
        }
        None => Ok(Body::Text(template)),
    }
}

fn json(table: Table<'_>, value: &Spanned<DeValue<'_>>) -> Result<JsonTemplate, ConfigError> {
    Ok(match value.get_ref() {
        DeValue::Array(members) => {
            JsonTemplate::Array(members.iter().map(|member| json(table, member)).collect::<Result<_, _>>()?)
        }
        DeValue::String(_) => JsonTemplate::Text(text::template_of(table, "body", value)?),
        DeValue::Table(members) => {
            let member = |(name, member): Member<'_>| Ok((name.get_ref().to_string(), json(table, member)?));
            JsonTemplate::Object(in_order(members.iter()).into_iter().map(member).collect::<Result<_, ConfigError>>()?)
        }
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Float(_) | DeValue::Integer(_) => {
            JsonTemplate::Value(text::json_of(table, value)?)
        }
    })
}

/// Statuses that are a result besides those of success, such as 404 for what is gone.
fn accept(table: Table<'_>) -> Result<Vec<u16>, ConfigError> {
    let wanted = "a list of statuses from 300 to 499, such as [404]; 401, 407 and 429 are dealt with by themselves";
    let status = |member: &Spanned<DeValue<'_>>| {
        let number = member.get_ref().as_integer().and_then(|number| number.as_str().parse::<u16>().ok());
        number
            .filter(|status| (300..500).contains(status) && ![401, 407, 429].contains(status))
            .ok_or_else(|| table.wrong_type("accept", &member.span(), wanted))
    };
    text::members(table, "accept", wanted)?.iter().map(status).collect()
}
