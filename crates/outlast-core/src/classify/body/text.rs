//! Bodies for people: pages and plain text. They are read for sentences and never for codes that
//! could cost a login.

use super::fact::{Fact, Facts, Role, Source};
use crate::classify::words::TEXT_BYTES_MAX;

/// How far into a page its title and heading are looked for, in bytes.
const PAGE_BYTES_MAX: usize = 4096;

/// Whether markup is a page for people.
pub(crate) fn is_page(body: &[u8]) -> bool {
    let start = body.get(..PAGE_BYTES_MAX).unwrap_or(body);
    starts_with(start, b"<!doctype html")
        || find(start, b"<html").is_some_and(|at| at < 512)
        || find(start, b"<head").is_some()
}

/// Takes the title and the first heading.
pub(crate) fn read_page<'a>(body: &'a [u8], facts: &mut Facts<'a>) {
    let start = body.get(..PAGE_BYTES_MAX).unwrap_or(body);
    for tag in [b"<title".as_slice(), b"<h1", b"<body"] {
        let Some(tag_at) = find(start, tag) else { continue };
        let Some(open) = start[tag_at..].iter().position(|byte| *byte == b'>') else { continue };
        let rest = &start[tag_at + open + 1..];
        let end = rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
        keep(rest[..end].trim_ascii(), Role::Sentence, facts);
    }
}

/// Takes the text, and where it is a single word, as a code.
pub(crate) fn read_text<'a>(body: &'a [u8], facts: &mut Facts<'a>) {
    let text = body.get(..TEXT_BYTES_MAX).unwrap_or(body);
    let word =
        text.len() <= 64 && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    keep(text, if word { Role::Code } else { Role::Sentence }, facts);
}

fn keep<'a>(text: &'a [u8], role: Role, facts: &mut Facts<'a>) {
    if !text.is_empty() {
        facts.keep(Fact { key: 0, text, role, source: Source::Body });
    }
}

/// Finds lower-case `needle` in any case. The haystack is a few KiB at most, so this is as good as
/// anything that is linear.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
