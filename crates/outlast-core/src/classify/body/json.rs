//! A scanner for JSON of any shape, whole or cut: it yields scalars with their keys, keeps no
//! tree, never recurses and never fails.

use super::fact::{Facts, Scalar, is_alien, is_data};
use crate::classify::words::{Word, pack};

/// Levels whose keys are remembered; what lies deeper is walked over and not read.
pub(crate) const DEPTH_MAX: usize = 16;
/// Most scalars that are looked at.
const SCALARS_MAX: usize = 4096;

struct Scanner<'a, 'f> {
    text: &'a [u8],
    at: usize,
    /// Keys of the open objects and arrays, outermost first.
    keys: [Word; DEPTH_MAX],
    /// Which of them are arrays, as bits.
    arrays: u32,
    depth: usize,
    /// The key read last in the innermost object.
    key: Word,
    /// Depth at which something began that is not the error's own; nothing is read below it.
    silent_from: Option<usize>,
    scalars: usize,
    facts: &'f mut Facts<'a>,
}

/// Scans a body; the scalars go to `facts`.
pub(crate) fn scan<'a>(text: &'a [u8], facts: &mut Facts<'a>) {
    let mut scanner = Scanner {
        text,
        at: 0,
        keys: [0; DEPTH_MAX],
        arrays: 0,
        depth: 0,
        key: 0,
        silent_from: None,
        scalars: 0,
        facts,
    };
    while scanner.at < text.len() && scanner.scalars < SCALARS_MAX {
        scanner.step();
    }
}

impl<'a> Scanner<'a, '_> {
    fn step(&mut self) {
        match self.text[self.at] {
            b'{' => self.open(false),
            b'[' => self.open(true),
            b'}' | b']' => self.close(),
            b'"' => {
                let (text, is_whole) = self.string();
                if self.is_key() {
                    self.key = pack(text);
                } else if is_whole || text.contains(&b' ') {
                    self.scalar(Scalar::Text(text));
                }
                // A word that is cut off may be the beginning of another one, and condemns no grant.
                return;
            }
            b'-' | b'0'..=b'9' => {
                let number = self.number();
                self.scalar(Scalar::Number(number));
                return;
            }
            b't' => self.literal(Scalar::True),
            b'f' => self.literal(Scalar::False),
            b'n' => self.literal(Scalar::Null),
            _ => {}
        }
        self.at += 1;
    }

    fn open(&mut self, array: bool) {
        let key = if self.in_array() { self.keys[self.depth.min(DEPTH_MAX) - 1] } else { self.key };
        if self.silent_from.is_none() && self.depth > 0 {
            // GraphQL puts what was asked for under `data`: the caller's own, where all went well.
            if is_alien(key) || (is_data(key) && self.depth == 1 && !self.facts.reads_data) {
                self.silent_from = Some(self.depth);
            } else {
                self.facts.open(key, u8::try_from(self.depth).unwrap_or(u8::MAX));
            }
        }
        if self.depth < DEPTH_MAX {
            self.keys[self.depth] = key;
            let bit = 1 << self.depth;
            self.arrays = if array { self.arrays | bit } else { self.arrays & !bit };
        }
        // Saturates: a body of brackets is as harmless as any other.
        self.depth = self.depth.saturating_add(1);
        self.key = 0;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.key = 0;
        if self.silent_from.is_some_and(|from| self.depth <= from) {
            self.silent_from = None;
        }
    }

    fn in_array(&self) -> bool {
        self.depth > 0 && self.depth <= DEPTH_MAX && self.arrays & (1 << (self.depth - 1)) != 0
    }

    fn scalar(&mut self, value: Scalar<'a>) {
        self.scalars += 1;
        if self.depth == 0 {
            // Only where the string is the whole body, not a stray one behind an object.
            if let (Scalar::Text(text), Some(b'"')) = (value, self.text.first()) {
                self.facts.lone_text.get_or_insert(text);
            }
            return;
        }
        if self.depth > DEPTH_MAX || self.silent_from.is_some() {
            return;
        }
        let frame = self.keys[self.depth - 1];
        let (key, parent) = match self.in_array() {
            true => (frame, if self.depth > 1 { self.keys[self.depth - 2] } else { 0 }),
            false => (self.key, frame),
        };
        // Elements of an outermost array count as members of an outermost object.
        let outermost_array = self.arrays & 1;
        let depth = self.depth - usize::try_from(outermost_array).unwrap_or(0).min(self.depth - 1);
        self.facts.take(key, parent, u8::try_from(depth).unwrap_or(u8::MAX), value);
    }

    /// Reads a string from its opening quote, and says whether it has an end; one that is cut off
    /// reaches to that of the body.
    fn string(&mut self) -> (&'a [u8], bool) {
        let start = self.at + 1;
        let mut at = start;
        while at < self.text.len() {
            match self.text[at] {
                b'"' => {
                    self.at = at + 1;
                    return (&self.text[start..at], true);
                }
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = self.text.len();
        (&self.text[start..], false)
    }

    /// Whether a colon follows.
    fn is_key(&mut self) -> bool {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at) == Some(&b':')
    }

    fn number(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn literal(&mut self, value: Scalar<'a>) {
        self.scalar(value);
        // To the last letter; the caller steps over it.
        while self.text.get(self.at + 1).is_some_and(u8::is_ascii_alphabetic) {
            self.at += 1;
        }
    }
}

/// Undoes the escapes of a JSON string; what is no escape stays as it is.
pub(crate) fn unescape(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' {
            bytes.push(text[at]);
            at += 1;
            continue;
        }
        let (replacement, taken) = match text.get(at + 1) {
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'u') => (code_point(text.get(at + 2..at + 6)), 6),
            Some(byte @ (b'"' | b'\\' | b'/')) => (char::from(*byte), 2),
            Some(_) | None => ('\\', 1),
        };
        bytes.extend_from_slice(replacement.encode_utf8(&mut [0; 4]).as_bytes());
        at += taken;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Halves of a surrogate pair become replacement characters: no code or scope has them.
fn code_point(digits: Option<&[u8]>) -> char {
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}
