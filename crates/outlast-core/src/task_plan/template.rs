//! Text with places that earlier outputs are put into: `{{ list.items.0.id }}`.
//!
//! Strict and small on purpose. A template names a value and does nothing else: no filters, loops or
//! expressions, so that it cannot be made to run for long, and what it depends on is known before anything
//! runs. A template language such as minijinja brings all of these, escapes by the kind of a whole file
//! instead of by the place a value goes to, and tells lines of the template instead of the plan's.

use super::PlanFault;
use std::ops::Range;

/// Longest path into an output, in names.
const PATH_NAMES_MAX: usize = 32;

/// A text with places to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub(super) parts: Vec<Part>,
    /// The bytes of the file that it was read from.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A value of an earlier output.
    Reference(Reference),
    /// Text as it is.
    Text(String),
}

/// Names a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where the path begins.
    pub root: Root,
    /// The members and places on the way, from there.
    pub path: Vec<String>,
    /// The bytes of the file in which it stands.
    pub span: Range<usize>,
}

/// Where the path of a reference begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The item of the list that the step is run for.
    Item,
    /// What the step of that key brought.
    Step(String),
}

/// How errors show the right form.
const FORM: &str = "write {{ step.field.0 }}, or {{ item.field }} in a step with for_each";

impl Template {
    /// Reads a template. `span` is where the text stands in the file, and `at` tells for a place in the
    /// text the place in the file.
    ///
    /// # Errors
    /// If a place to be filled in is not closed, is empty, or has anything but a path in it.
    pub fn parse(text: &str, span: &Range<usize>, at: &dyn Fn(usize) -> usize) -> Result<Self, PlanFault> {
        let mut parts = Vec::new();
        let mut done = 0;
        while let Some(opening) = text[done..].find("{{").map(|found| done + found) {
            push_text(&mut parts, &text[done..opening]);
            let inner = opening + 2;
            let length = closing(&text[inner..]).ok_or_else(|| {
                PlanFault::new(
                    &(at(opening)..at(inner)),
                    "`{{` is not closed by `}}`",
                    format!("{FORM}; for two braces, write {{{{ \"{{{{\" }}}}"),
                )
            })?;
            match placeholder(&text[inner..inner + length], &|offset| at(inner + offset))? {
                Part::Text(literal) => push_text(&mut parts, &literal),
                reference @ Part::Reference(_) => parts.push(reference),
            }
            done = inner + length + 2;
        }
        push_text(&mut parts, &text[done..]);
        Ok(Self { parts, span: span.clone() })
    }

    /// A text without places to be filled in.
    pub fn fixed(text: &str, span: &Range<usize>) -> Self {
        let mut parts = Vec::new();
        push_text(&mut parts, text);
        Self { parts, span: span.clone() }
    }

    /// The places to be filled in.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// The text, if nothing is to be filled in.
    pub fn as_fixed(&self) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Reference(_) => None,
                Part::Text(text) => Some(text.as_str()),
            })
            .collect()
    }

    /// The reference, if there is one and nothing else.
    pub fn as_reference(&self) -> Option<&Reference> {
        match self.parts.as_slice() {
            [Part::Reference(reference)] => Some(reference),
            _ => None,
        }
    }

    /// The text in front of the first place to be filled in.
    pub fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            Some(Part::Reference(_)) | None => "",
        }
    }
}

impl Reference {
    /// As it is written, for errors.
    pub(super) fn written(&self) -> String {
        let root = match &self.root {
            Root::Item => "item",
            Root::Step(key) => key,
        };
        let names = std::iter::once(root).chain(self.path.iter().map(String::as_str));
        super::shown(&names.collect::<Vec<_>>().join("."))
    }
}

/// Neighbouring texts are one part, so that a fixed text has at most one.
fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(before)) => before.push_str(text),
        Some(Part::Reference(_)) | None => parts.push(Part::Text(text.to_owned())),
    }
}

/// How far it is to the closing braces; those within quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    for (offset, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '}' if !quoted && text[offset..].starts_with("}}") => return Some(offset),
            _ => {}
        }
    }
    None
}

/// What stands between the braces.
fn placeholder(text: &str, at: &dyn Fn(usize) -> usize) -> Result<Part, PlanFault> {
    let inner = text.trim();
    let start = text.len() - text.trim_start().len();
    let span = at(start)..at(start + inner.len());
    if let Some(literal) = inner.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        && !literal.contains('"')
    {
        return Ok(Part::Text(literal.to_owned()));
    }
    let mut names = names(inner, &|offset| at(start + offset))?.into_iter();
    let first = names.next().unwrap_or_default();
    let path: Vec<String> = names.collect();
    if path.len() > PATH_NAMES_MAX {
        return Err(PlanFault::new(&span, "the path is longer than 32 names", "have an earlier step make it shorter"));
    }
    let root = match first.as_str() {
        "item" => Root::Item,
        "env" | "secret" | "secrets" => {
            let mend = "name a grant in the step: its token is set where it belongs, and is never part of a plan";
            return Err(PlanFault::new(&span, "the environment and secrets are not at hand in a plan", mend));
        }
        _ => Root::Step(first),
    };
    Ok(Part::Reference(Reference { root, path, span }))
}

/// The names of a path. One that has other characters than letters, digits and a few is put into quotes.
fn names(text: &str, at: &dyn Fn(usize) -> usize) -> Result<Vec<String>, PlanFault> {
    let fault = |offset: usize, detail: &str| Err(PlanFault::new(&(at(offset)..at(text.len())), detail, FORM));
    let mut names = Vec::new();
    let mut offset = 0;
    loop {
        let rest = &text[offset..];
        let length = match rest.strip_prefix('"') {
            Some(inner) => match inner.find('"') {
                Some(end) => end + 2,
                None => return fault(offset, "a quote in the path is not closed"),
            },
            None => rest.find(|c: char| !is_plain(c)).unwrap_or(rest.len()),
        };
        let name = rest[..length].trim_matches('"');
        match (name.is_empty(), text.is_empty()) {
            (true, true) => return fault(offset, "there is nothing between the braces"),
            (true, false) if rest.starts_with(|c: char| !matches!(c, '.' | '"') && !is_plain(c)) => {
                return fault(offset, "a template names a value and can do nothing else");
            }
            (true, false) => return fault(offset, "a name of the path is empty"),
            (false, _) => names.push(name.to_owned()),
        }
        offset += length;
        match text[offset..].chars().next() {
            None => return Ok(names),
            Some('.') => offset += 1,
            Some(_) => return fault(offset, "a template names a value and can do nothing else"),
        }
    }
}

/// What names in JSON commonly have in them.
fn is_plain(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '@' | '$' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template, PlanFault> {
        Template::parse(text, &(100..100 + text.len()), &|offset| 100 + offset)
    }

    fn told(text: &str) -> String {
        let parts = parse(text).unwrap().parts;
        let told = |part: &Part| match part {
            Part::Text(text) => format!("'{text}'"),
            Part::Reference(Reference { root, path, span }) => format!("{root:?}{path:?}@{}", span.start),
        };
        parts.iter().map(told).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_path_is_read_with_the_place_it_stands_at() {
        for (text, wanted) in [
            ("plain }} text", "'plain }} text'"),
            ("", ""),
            ("{{list}}", "Step(\"list\")[]@102"),
            ("a{{ list.items.0.id }}b", "'a' Step(\"list\")[\"items\", \"0\", \"id\"]@104 'b'"),
            ("{{ item.\"odd.name }}\" }}", "Item[\"odd.name }}\"]@103"),
            ("{{ item.@odata:next }}{{item}}", "Item[\"@odata:next\"]@103 Item[]@124"),
            ("a {{ \"{{\" }} b", "'a {{ b'"),
        ] {
            assert_eq!(told(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_where_it_stands() {
        for (text, place, detail) in [
            ("ab {{ list", 103, "not closed"),
            ("{{ \"x }}", 100, "not closed"),
            ("{{}}", 102, "nothing between"),
            ("{{  }}", 104, "nothing between"),
            ("{{ a..b }}", 105, "empty"),
            ("{{ .a }}", 103, "empty"),
            ("{{ a. }}", 105, "empty"),
            ("{{ a.\"\" }}", 105, "empty"),
            ("{{ a | upper }}", 104, "can do nothing else"),
            ("{{ a + 1 }}", 104, "can do nothing else"),
            ("{{ a[0] }}", 104, "can do nothing else"),
            ("{{ (a) }}", 103, "can do nothing else"),
            ("{{ {{ a }} }}", 103, "can do nothing else"),
            ("{{ env.HOME }}", 103, "secrets"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.detail.contains(detail), "{text}: {fault:?}");
            assert_eq!(fault.span.start, place, "{text}: {fault:?}");
        }
        let long = format!("{{{{ a{} }}}}", ".a".repeat(PATH_NAMES_MAX + 1));
        assert!(parse(&long).unwrap_err().detail.contains("longer"));
    }
}
