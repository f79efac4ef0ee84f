//! One case a line in, one verdict a line out.
//!
//! Every line is answered, in order and at once, so that a program can ask line by line; a line
//! that is no case is answered with what is wrong with it. No answer repeats a value of its line
//! but the `id`.

use super::answer::{Given, evidence, without_secrets};
use super::case::{Case, Kind, REPLY_BYTES_MAX, STATUSES, add_field, quirks_of};
use http::HeaderMap;
use outlast::Clock;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read, Write};

/// Longest line, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = REPLY_BYTES_MAX;

/// Answers every line until there are no more.
pub(crate) fn answer_lines(mut input: impl BufRead, mut output: impl Write, clock: &dyn Clock) -> io::Result<()> {
    let (mut line, mut answer) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        answer.clear();
        if line.len() > LINE_BYTES_MAX {
            if !ended {
                input.skip_until(b'\n')?;
            }
            let why = format!("the line is longer than {LINE_BYTES_MAX} bytes");
            write_refusal(&mut answer, &String::from_utf8_lossy(&line), &why)?;
        } else {
            answer_line(&mut answer, &String::from_utf8_lossy(&line), clock)?;
        }
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
    }
}

fn answer_line(answer: &mut Vec<u8>, line: &str, clock: &dyn Clock) -> io::Result<()> {
    let read = serde_json::from_str::<Line<'_>>(line).map_err(|cause| what_is_wrong(&cause));
    let case = read.and_then(|line| Ok((line.id, line.case()?)));
    match case {
        Ok((id, case)) => write_verdict(answer, id, &case, clock),
        Err(why) => write_refusal(answer, line, &why),
    }
}

fn write_verdict(answer: &mut Vec<u8>, id: Option<&RawValue>, case: &Case<'_>, clock: &dyn Clock) -> io::Result<()> {
    let judgement = without_secrets(case.judge(clock.now()));
    let verdict = VerdictLine {
        id,
        class: judgement.verdict.class(),
        recovery: judgement.verdict.recovery(),
        given: Given::of(&judgement),
        evidence: evidence(&judgement),
    };
    Ok(serde_json::to_writer(answer, &verdict)?)
}

fn write_refusal(answer: &mut Vec<u8>, line: &str, error: &str) -> io::Result<()> {
    Ok(serde_json::to_writer(answer, &RefusalLine { id: id_of(line), error })?)
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    id: Option<&'a RawValue>,
    class: &'static str,
    recovery: &'static str,
    #[serde(flatten)]
    given: Given,
    evidence: String,
}

#[derive(Serialize)]
struct RefusalLine<'a> {
    id: Option<&'a RawValue>,
    error: &'a str,
}

/// A line whose members are not read yet, so that each can be refused by its name.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    endpoint_kind: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    provider: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    fn case(&self) -> Result<Case<'a>, String> {
        let kind = self.endpoint_kind.and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok());
        let kind = kind.and_then(|name| Kind::parse(&name));
        let provider = self.provider.map(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()));
        let provider = provider.transpose().map_err(|_| "provider must be a string".to_owned())?;
        Ok(Case {
            kind: kind.ok_or("endpoint_kind must be \"api\", \"token\" or \"device\"")?,
            status: self
                .status
                .and_then(status_of)
                .ok_or_else(|| format!("status must be a number from {} to {}", STATUSES.start(), STATUSES.end()))?,
            headers: headers_of(self.headers)?,
            body: self.body.map_or(Cow::Borrowed(&[][..]), body_of),
            quirks: quirks_of(provider.as_deref()),
        })
    }
}

/// A number, or its digits in a string.
fn status_of(raw: &RawValue) -> Option<u16> {
    raw.get().trim_matches('"').parse().ok().filter(|status| STATUSES.contains(status))
}

/// An object whose values are strings, lists of them, or plain values that are written out.
fn headers_of(raw: Option<&RawValue>) -> Result<HeaderMap, String> {
    let Some(raw) = raw else { return Ok(HeaderMap::new()) };
    let read = serde_json::from_str::<Headers>(raw.get());
    read.map(|headers| headers.0).map_err(|_| "headers must be an object of strings or lists of strings".to_owned())
}

struct Headers(HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor).map(Self)
    }
}

/// A visitor and no map: one name may come twice.
struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = HeaderMap;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of header fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<HeaderMap, A::Error> {
        let mut headers = HeaderMap::new();
        while let Some((name, value)) = members.next_entry::<Cow<'_, str>, Value>()? {
            add_values(&mut headers, &name, value)?;
        }
        Ok(headers)
    }
}

fn add_values<E: serde::de::Error>(headers: &mut HeaderMap, name: &str, value: Value) -> Result<(), E> {
    match value {
        Value::Null => {}
        Value::String(text) => add_field(headers, name, text.as_bytes()),
        Value::Bool(_) | Value::Number(_) => add_field(headers, name, value.to_string().as_bytes()),
        // Values of a list are no lists: that ends the recursion.
        Value::Array(values) if !values.iter().any(Value::is_array) => {
            for value in values {
                add_values(headers, name, value)?;
            }
        }
        Value::Array(_) | Value::Object(_) => return Err(E::custom("no header field")),
    }
    Ok(())
}

/// A string's bytes; any other value as it is written, whose order of members is kept.
fn body_of(raw: &RawValue) -> Cow<'_, [u8]> {
    let text = raw.get();
    if text.starts_with('"') {
        // As bytes, since bodies that were cut may end in half a character.
        let read = (&mut serde_json::Deserializer::from_str(text)).deserialize_bytes(BodyVisitor);
        return read.unwrap_or(Cow::Borrowed(text.as_bytes()));
    }
    Cow::Borrowed(text.as_bytes())
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }
}

/// What is wrong with a line, without the words of the parser: those repeat what stands there.
fn what_is_wrong(cause: &serde_json::Error) -> String {
    match cause.classify() {
        serde_json::error::Category::Eof => "the line is empty or ends in the middle of a JSON object".to_owned(),
        serde_json::error::Category::Data => {
            format!("the line is no JSON object, or has a member twice (column {})", cause.column())
        }
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => {
            format!("the line is no valid JSON (column {})", cause.column())
        }
    }
}

/// The id of a line that cannot be read to its end.
fn id_of(line: &str) -> Option<&RawValue> {
    let found = Cell::new(None);
    // The failure was told already; what counts is what came before it.
    let _ = IdSeed(&found).deserialize(&mut serde_json::Deserializer::from_str(line));
    found.get()
}

struct IdSeed<'cell, 'de>(&'cell Cell<Option<&'de RawValue>>);

impl<'de> DeserializeSeed<'de> for IdSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IdSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            if name == "id" {
                self.0.set(members.next_value::<Option<&RawValue>>()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
