//! Reads sources as text, for the rules of `tests/tidy.rs`: no compiler, no dependency, and no
//! opinion of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The same text with the contents of comments, strings and characters blanked out; every byte that
/// is left, and every line break, stays where it was.
pub fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !continues_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut here) = (0_usize, at);
    while here < bytes.len() {
        match (bytes[here], bytes.get(here + 1)) {
            (b'/', Some(b'*')) => (depth, here) = (depth + 1, here + 2),
            (b'*', Some(b'/')) if depth == 1 => return here + 2,
            (b'*', Some(b'/')) => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"` or `r#"…"#`; nothing if it is another word that starts with r.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let start = at + hashes + 2;
    let length = bytes[start..].windows(closing.len()).position(|window| window == closing);
    Some(length.map_or(bytes.len(), |length| start + length + closing.len()))
}

/// The end of a character; nothing for a lifetime.
fn character_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let closing = bytes.get(at + 3..)?.iter().position(|byte| *byte == b'\'')?;
        return Some(at + 3 + closing + 1);
    }
    // A character is at most four bytes long; a lifetime has no quote that soon unless it is one letter.
    let width = 1 + bytes.get(at + 2..)?.iter().take(4).take_while(|byte| **byte & 0xc0 == 0x80).count();
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
}

fn continues_word(bytes: &[u8], at: usize) -> bool {
    // `br"…"` is a raw string too: its b is no part of a longer word.
    let before = |back: usize| at.checked_sub(back).map(|here| bytes[here]);
    match (before(2), before(1)) {
        (Some(word), Some(b'b')) if is_word(word) => true,
        (_, Some(b'b')) => false,
        (_, Some(byte)) => is_word(byte),
        (_, None) => false,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The same source without its `#[cfg(test)]` modules, and so without their lines.
pub fn without_tests(source: &str) -> String {
    let code = code_only(source);
    let mut kept = String::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let body = code[start..].find(['{', ';']).map(|length| start + length);
        let end = match body {
            Some(open) if code.as_bytes()[open] == b'{' => closing_brace(&code, open) + 1,
            Some(semicolon) => semicolon + 1,
            None => code.len(),
        };
        kept.push_str(&source[from..start]);
        from = end.min(source.len());
    }
    kept + &source[from..]
}

/// Where the brace that opens at `open` closes; the last byte if it never does.
fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.as_bytes()[open..].iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return open + offset,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len().saturating_sub(1)
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line it starts on, from 1.
    pub line: usize,
    /// Its lines, from `fn` to the closing brace.
    pub lines: usize,
}

/// Every function of a source that has a body.
pub fn functions(source: &str) -> Vec<Function> {
    let code = code_only(source);
    let mut found = Vec::new();
    for start in words(&code, "fn") {
        let name: String =
            code[start + 2..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // `fn(` is the type of a function pointer; a name without parameters is a table inside a macro.
        let parameters = code[start + 2..].trim_start()[name.len()..].trim_start().starts_with(['(', '<']);
        let Some(open) = (!name.is_empty() && parameters).then(|| body_of(&code, start)).flatten() else { continue };
        let lines = code[start..=closing_brace(&code, open)].matches('\n').count() + 1;
        found.push(Function { name, line: code[..start].matches('\n').count() + 1, lines });
    }
    found
}

/// Where the body of the function that starts at `start` opens; nothing if it has none.
fn body_of(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in code.as_bytes()[start..].iter().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(start + offset),
            _ => {}
        }
    }
    None
}

/// Where `word` stands as a word of its own.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let free = |byte: Option<&u8>| byte.is_none_or(|byte| !is_word(*byte));
        free(at.checked_sub(1).and_then(|before| bytes.get(before))) && free(bytes.get(at + word.len()))
    })
}

/// Whether code names `path`, written out (`std::fs`) or in a group (`use std::{fs, io}`). A path of one segment
/// is looked for as a word.
pub fn mentions(code: &str, path: &str) -> bool {
    if words(code, path).next().is_some() {
        return true;
    }
    let Some((parent, last)) = path.rsplit_once("::") else { return false };
    let group = format!("{parent}::{{");
    code.match_indices(&group).any(|(at, _)| {
        let open = at + group.len() - 1;
        members(&code[open + 1..closing_brace(code, open)]).iter().any(|member| member == last)
    })
}

/// The first segments of the members of a `use` group.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut current, mut found) = (0_usize, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => found.push(std::mem::take(&mut current)),
            _ if depth == 0 => current.push(c),
            _ => {}
        }
    }
    found.push(current);
    let first = |member: &String| member.trim().split([':', ' ']).next().unwrap_or_default().to_owned();
    found.iter().map(first).collect()
}

/// The files that `source`, which lies at `file`, declares with `mod name;`. `is_root` tells that it is the root of
/// a crate (a library, a program, a test), whose modules lie beside it.
pub fn declared_files(source: &str, file: &Path, is_root: bool) -> Vec<PathBuf> {
    let code = code_only(source);
    let folder = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().unwrap_or_default();
    let own = if is_root || stem == "mod" { folder.to_owned() } else { folder.join(stem) };
    let mut found = Vec::new();
    if code.contains("mod $") {
        // A macro that declares a list: any name in the file may be one of it.
        let names: BTreeSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        found.extend(names.iter().filter(|name| !name.is_empty()).map(|name| own.join(format!("{name}.rs"))));
    }
    for start in words(&code, "mod") {
        let rest = code[start + 3..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() || !rest[name.len()..].trim_start().starts_with(';') {
            continue;
        }
        match path_attribute(&source[..start]) {
            Some(path) => found.push(folder.join(path)),
            None => found.extend([own.join(format!("{name}.rs")), own.join(&name).join("mod.rs")]),
        }
    }
    found
}

/// The path of a `#[path = "…"]` that stands right before a module.
fn path_attribute(before: &str) -> Option<String> {
    let item = before.rfind(['}', ';']).map_or(before, |end| &before[end + 1..]);
    let value = &item[item.rfind("#[path")?..];
    Some(value.split('"').nth(1)?.to_owned())
}

/// The names of our own crates in one section of a manifest (`dependencies`, `dev-dependencies`).
pub fn own_dependencies(manifest: &str, section: &str) -> Vec<String> {
    let (mut inside, mut found) = (false, Vec::new());
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header == section || header.ends_with(&format!(".{section}"));
            let table = header.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'));
            found.extend(table.filter(|name| is_ours(name)).map(str::to_owned));
        } else if inside {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.extend(Some(name).filter(|name| is_ours(name)).map(str::to_owned));
        }
    }
    found
}

fn is_ours(name: &str) -> bool {
    name == "outlast" || name.starts_with("outlast-")
}

/// Everything between backticks in a text, fenced blocks left out.
pub fn quoted(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The targets of the links of a text that lead to files.
pub fn linked_files(markdown: &str) -> Vec<String> {
    let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.filter_map(|target| target.split('#').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_words_in_text_are_not_code() {
        let source =
            "let a = \"fn { \\\" }\"; // fn {\nlet b = r#\"mod x; \"{\"#; /* { /* } */ */ let c = '{'; let d: &'a str;";
        let code = code_only(source);
        assert_eq!(code.len(), source.len());
        assert!(!code.contains(['{', '}']), "{code}");
        assert!(code.contains("let b") && code.contains("let c") && code.contains("&'a str"), "{code}");
    }

    #[test]
    fn escaped_and_wide_characters_end_where_they_end() {
        let code = code_only("let a = '\\''; let b = '\\u{7f}'; let c = 'é'; let d = b'\"'; let e = 1;");
        assert!(!code.contains(['{', '"']) && code.contains("let e = 1;"), "{code}");
    }

    #[test]
    fn a_function_is_measured_to_its_closing_brace() {
        let source = "trait T { fn none(&self); }\nfn one() -> [u8; 2] {\n    if a { b }\n}\nlet f: fn(u8) = g;\ntable! { fn t -> u8 { a => b; } } async fn two<F>(f: F)\nwhere F: Fn() {}\n";
        let found = functions(source);
        let wanted = [("one", 2, 3), ("two", 6, 2)];
        let wanted = wanted.map(|(name, line, lines)| Function { name: name.to_owned(), line, lines });
        assert_eq!(found, wanted);
    }

    #[test]
    fn test_modules_are_left_out_and_the_rest_is_kept() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { \"}\" }\n}\nfn c() {}\n";
        let kept = without_tests(source);
        assert!(kept.contains("fn a") && kept.contains("fn c") && !kept.contains("fn b"), "{kept}");
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests;\nb"), "a\n\nb");
    }

    #[test]
    fn a_path_is_found_written_out_and_in_groups_and_not_in_longer_words() {
        for code in ["std::fs::read(p)", "use std::{io, fs};", "use std::{fs::File, io};", "use std::{a::{b, c}, fs};"]
        {
            assert!(mentions(code, "std::fs"), "{code}");
        }
        for code in ["std::fsx", "use std::{io::fs_like, env};", "use rustix::fs::open;", "mystd::fs"] {
            assert!(!mentions(code, "std::fs"), "{code}");
        }
        assert!(mentions("let x: SystemTime;", "SystemTime") && !mentions("MySystemTime", "SystemTime"));
    }

    #[test]
    fn modules_lie_beside_a_root_and_below_any_other_file() {
        let files = |source, file, root| declared_files(source, Path::new(file), root);
        assert_eq!(files("mod a;", "src/lib.rs", true), [PathBuf::from("src/a.rs"), PathBuf::from("src/a/mod.rs")]);
        assert_eq!(files("pub mod b;", "src/a.rs", false)[0], PathBuf::from("src/a/b.rs"));
        assert_eq!(files("pub(crate) mod b;", "src/a/mod.rs", false)[0], PathBuf::from("src/a/b.rs"));
        assert_eq!(files("#[path = \"other.rs\"]\nmod b;", "src/a.rs", false), [PathBuf::from("src/other.rs")]);
        let listed = files("macro_rules! m { ($($f:ident),*) => { $(mod $f;)* } }\nm! { b, c }", "src/a/mod.rs", false);
        assert!(listed.contains(&PathBuf::from("src/a/b.rs")) && !listed.contains(&PathBuf::from("src/a/d.rs")));
        assert!(files("mod inline { } // mod c;", "src/a.rs", false).is_empty());
    }

    #[test]
    fn own_crates_are_found_in_each_way_of_writing_them() {
        let manifest = "[dependencies]\noutlast-core.workspace = true\noutlast = { path = \"x\" }\nserde = \"1\"\n\
                        [dependencies.outlast-store]\npath = \"y\"\n[dev-dependencies]\noutlast-testkit.workspace = true\n";
        assert_eq!(own_dependencies(manifest, "dependencies"), ["outlast-core", "outlast", "outlast-store"]);
        assert_eq!(own_dependencies(manifest, "dev-dependencies"), ["outlast-testkit"]);
    }

    #[test]
    fn links_and_quotes_are_found_outside_of_fences() {
        assert_eq!(quoted("a `b` c `d`\n```\n`e`\n```\n"), ["b", "d"]);
        assert_eq!(linked_files("[a](b.md#c) [d](https://e) [f](#g)"), ["b.md"]);
    }
}
