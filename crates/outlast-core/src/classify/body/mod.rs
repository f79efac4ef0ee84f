//! What the body of a reply states, gathered without trusting its shape.
//!
//! A reader walks the bytes once, without recursion and without building a tree, and hands each
//! scalar with its keys to [`Facts`]; what is kept has a fixed size.

mod fact;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod text;
pub(crate) mod xml;

pub(crate) use fact::{Fact, Facts, Flag, Role, Source, holds_codes};

/// Most bytes of a body that are read: an error that comes later than this is none.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Nothing, or blanks.
    #[default]
    Empty,
    /// `application/x-www-form-urlencoded`, by its look.
    Form,
    /// A page for people.
    Html,
    /// JSON of any shape, whole or cut.
    Json,
    /// Anything else that is text.
    Text,
    /// XML that is not a page.
    Xml,
}

/// Reads a body by its look; the content type is not believed, for too many send the wrong one.
pub(crate) fn read_body<'a>(body: &'a [u8], facts: &mut Facts<'a>) -> Format {
    let body = body.get(..BODY_BYTES_MAX).unwrap_or(body);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    match body.first() {
        None => Format::Empty,
        Some(b'{' | b'[' | b'"') => {
            json::scan(body, facts);
            Format::Json
        }
        Some(b'<') if text::is_page(body) => {
            text::read_page(body, facts);
            Format::Html
        }
        Some(b'<') => {
            xml::scan(body, facts);
            Format::Xml
        }
        Some(_) if form::is_form(body) => {
            form::scan(body, facts);
            Format::Form
        }
        Some(_) => {
            text::read_text(body, facts);
            Format::Text
        }
    }
}
