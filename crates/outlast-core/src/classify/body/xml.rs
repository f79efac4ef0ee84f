//! A scanner for XML errors: S3, SOAP, Azure and their kin. Element names are keys, what stands
//! between the tags is text; entities stay as they are. No recursion, no tree, never fails.

use super::fact::{Facts, Flag, Scalar, is_soap};
use crate::classify::words::{Word, pack, vocabulary};

/// Most tags that are looked at.
const TAGS_MAX: usize = 512;

vocabulary! {
    /// Names that hold data in XML, whatever they mean in JSON.
    fn is_data_element -> u8 {
        key | name | _type | id | status | title | value | note => 1;
    }
}

/// Scans a body; what stands between the tags goes to `facts`.
pub(crate) fn scan<'a>(text: &'a [u8], facts: &mut Facts<'a>) {
    let mut at = 0;
    let mut key: Word = 0;
    let mut tags = 0;
    while at < text.len() && tags < TAGS_MAX {
        if text[at] != b'<' {
            let end = find(text, at, b'<').unwrap_or(text.len());
            take(facts, key, text[at..end].trim_ascii());
            at = end;
            continue;
        }
        tags += 1;
        if let Some(rest) = text[at..].strip_prefix(b"<![CDATA[") {
            let length = rest.windows(3).position(|three| three == b"]]>").unwrap_or(rest.len());
            take(facts, key, rest[..length].trim_ascii());
            at += 9 + (length + 3).min(rest.len());
            continue;
        }
        let end = find(text, at, b'>').unwrap_or(text.len());
        let tag = &text[at + 1..end];
        key = match tag.first() {
            Some(b'/' | b'?' | b'!') | None => 0,
            Some(_) => open(facts, tag),
        };
        at = end + 1;
    }
}

/// An opening tag: its name is the key, and its attributes are members (`<error code="5">`).
fn open<'a>(facts: &mut Facts<'a>, tag: &'a [u8]) -> Word {
    let name_end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/').unwrap_or(tag.len());
    let name = &tag[..name_end];
    let local = name.iter().rposition(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..]);
    let key = pack(local);
    if is_soap(key) {
        facts.set(Flag::SOAP);
    }
    let mut rest = &tag[name_end..];
    while let Some(equals) = find(rest, 0, b'=') {
        let attribute = rest[..equals].trim_ascii();
        let Some(quote) = rest.get(equals + 1).filter(|byte| matches!(byte, b'"' | b'\'')) else { break };
        let Some(end) = find(rest, equals + 2, *quote) else { break };
        if !attribute.starts_with(b"xml") {
            take(facts, pack(attribute), &rest[equals + 2..end]);
        }
        rest = &rest[end + 1..];
    }
    key
}

fn take<'a>(facts: &mut Facts<'a>, key: Word, text: &'a [u8]) {
    if !text.is_empty() && is_data_element(key) == 0 {
        let number = text.iter().all(u8::is_ascii_digit);
        facts.take(key, 0, 2, if number { Scalar::Number(text) } else { Scalar::Text(text) });
    }
}

fn find(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    text.get(from..)?.iter().position(|b| *b == byte).map(|found| from + found)
}
