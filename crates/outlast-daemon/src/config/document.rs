//! Reads values out of a TOML document and knows where each one stands.

use super::ConfigError;
use super::nearest::nearest;
use outlast::Code;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest text from the file that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 40;

/// A value and the bytes of the file it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The file that is read, for errors that say where.
#[derive(Clone, Copy)]
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: &'a Path,
}

impl<'a> Document<'a> {
    /// The document's outermost table. The parser's own rendering of an error shows the line it is
    /// in, which may hold a secret: only its message and place are taken.
    pub(crate) fn parse(self) -> Result<Spanned<DeTable<'a>>, ConfigError> {
        DeTable::parse(self.text).map_err(|error| {
            let detail = format!("not TOML: {}", error.message().lines().collect::<Vec<_>>().join(" "));
            self.error(&error.span().unwrap_or(0..0), detail, "mend the line")
        })
    }

    pub(crate) fn error(self, span: &Range<usize>, detail: impl Into<String>, mend: impl Into<String>) -> ConfigError {
        self.coded(Code::ConfigurationInvalid, span, detail, mend)
    }

    pub(crate) fn coded(
        self,
        code: Code,
        span: &Range<usize>,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            code,
            path: self.path.to_owned(),
            place: Some(self.place(span.start)),
            detail: detail.into(),
            mend: mend.into(),
        }
    }

    fn place(self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// One table of the document.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) document: Document<'a>,
    /// As errors call it.
    pub(crate) name: &'a str,
    pub(crate) entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// Refuses keys that are not `known`, naming the nearest one that is.
    pub(crate) fn expect_only(self, known: &[&str]) -> Result<(), ConfigError> {
        self.expect(known, |word| format!("unknown key `{}`", shown(word)))
    }

    /// The same where the unknown key may be the secret itself, put in the wrong place: it is not
    /// repeated, and the error's place says where it stands.
    pub(crate) fn expect_only_unrepeated(self, known: &[&str]) -> Result<(), ConfigError> {
        self.expect(known, |_| "unknown key".to_owned())
    }

    fn expect(self, known: &[&str], told: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        let unknown = self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        // The first in the file, whatever the order of the table.
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let word = key.get_ref().as_ref();
        let mend = match nearest(word, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known keys are {}", known.join(", ")),
        };
        Err(self.document.error(&key.span(), format!("{} in {}", told(word), self.name), mend))
    }

    pub(crate) fn get(self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    pub(crate) fn text(self, key: &str) -> Result<Option<Located<String>>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(text) = value.get_ref().as_str() else {
            return Err(self.wrong_type(key, &value.span(), "a string"));
        };
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            let mend = "give it a value, or remove the line";
            let detail = format!("`{key}` in {} is empty or has a control character in it", self.name);
            return Err(self.document.error(&value.span(), detail, mend));
        }
        Ok(Some(Located { value: text.to_owned(), span: value.span() }))
    }

    /// `true` or `false`.
    pub(crate) fn flag(self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.get_ref().as_bool().map(Some).ok_or_else(|| self.wrong_type(key, &value.span(), "true or false"))
    }

    pub(crate) fn table(self, key: &str, name: &'a str) -> Result<Option<Table<'a>>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get_ref().as_table() {
            Some(entries) => Ok(Some(Table { document: self.document, name, entries })),
            None => Err(self.wrong_type(key, &value.span(), "a table")),
        }
    }

    /// A list of words: an array of strings, or one string with spaces between.
    pub(crate) fn words(self, key: &str) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let span = value.span();
        let words = match value.get_ref() {
            DeValue::String(text) => text.split_whitespace().map(str::to_owned).collect(),
            DeValue::Array(_) => self.texts(key)?,
            _ => return Err(self.wrong_type(key, &span, "a list of strings")),
        };
        match words.iter().find(|word| word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()))
        {
            Some(_) => {
                let detail = format!("a member of `{key}` in {} is empty or has a space in it", self.name);
                Err(self.document.error(&span, detail, "give each word as a string of its own"))
            }
            None => Ok(words),
        }
    }

    /// An array of strings.
    pub(crate) fn texts(self, key: &str) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let members = value.get_ref().as_array();
        let members = members.ok_or_else(|| self.wrong_type(key, &value.span(), "a list of strings"))?;
        members
            .iter()
            .map(|member| {
                let text = member.get_ref().as_str().map(str::to_owned);
                text.ok_or_else(|| self.wrong_type(key, &member.span(), "a list of strings"))
            })
            .collect()
    }

    /// A length of time: `"20s"`, `"5m"`, `"2h"`, `"500ms"`, or a whole number of seconds.
    pub(crate) fn duration(self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let parsed = match value.get_ref() {
            DeValue::Integer(number) => {
                u64::from_str_radix(number.as_str(), number.radix()).ok().map(Duration::from_secs)
            }
            DeValue::String(text) => parse_duration(text),
            _ => None,
        };
        match parsed {
            Some(duration) => Ok(Some(duration)),
            None => Err(self.wrong_type(key, &value.span(), "a length of time such as \"20s\", \"5m\" or \"2h\"")),
        }
    }

    pub(crate) fn wrong_type(self, key: &str, span: &Range<usize>, wanted: &str) -> ConfigError {
        self.document.error(span, format!("`{key}` in {} has the wrong type", self.name), format!("give {wanted}"))
    }
}

/// Reads a length of time such as `20s`, `5m`, `2h`, `500ms`; a bare number counts seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let per_unit = match text[digits..].trim_start() {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(per_unit).map(Duration::from_secs)
}

/// A word of the file as errors show it: shortened, and with nothing that moves a cursor.
pub(crate) fn shown(word: &str) -> String {
    word.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect()
}
