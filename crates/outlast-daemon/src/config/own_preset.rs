//! A user's own presets: files of the built-in presets' shape in a folder beside the configuration. A file is read
//! when a grant names it, so that one with a mistake stands in no other grant's way.

use super::ConfigError;
use super::document::{Document, Table, shown};
use super::nearest::nearest;
use outlast::provider::{Form, Parameter, Pkce, Preset, Rotates};
use outlast::{ClientAuthMethod, Code};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the folder.
const FOLDER: &str = "providers";
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most files that are listed.
const FILES_MAX: usize = 1000;

const KEYS: &[&str] = &[
    "absolute_life",
    "authorization_endpoint",
    "authorization_parameters",
    "client_auth",
    "device_endpoint",
    "display_name",
    "documentation",
    "documents",
    "exchange_endpoint",
    "grace",
    "idle_life",
    "introspection_endpoint",
    "issuer",
    "parameters",
    "pkce",
    "quirks",
    "revocation_endpoint",
    "rotates",
    "scope_separator",
    "token_endpoint",
    "upstreams",
    "usual_grant_type",
];

/// The presets in the folder `providers` beside a configuration file.
#[derive(Clone, Debug)]
pub struct OwnPresets {
    folder: PathBuf,
}

impl OwnPresets {
    /// Those beside the configuration file at `path`; nothing is read yet.
    pub fn beside(path: &Path) -> Self {
        Self { folder: path.parent().unwrap_or(Path::new("")).join(FOLDER) }
    }

    /// The names of the files, sorted. Others than `NAME.toml` are passed over.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let file = entry.ok()?.file_name().into_string().ok()?;
            file.strip_suffix(".toml").filter(|name| is_plain(name)).map(str::to_owned)
        };
        let mut names: Vec<String> = entries.take(FILES_MAX).filter_map(name).collect();
        names.sort_unstable();
        names
    }

    /// Where the preset of that name is or would be.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }

    /// What `judge` makes of the preset of that name; nothing if there is no such file.
    ///
    /// # Errors
    /// If the file cannot be read or has a mistake; the error's path is the file's.
    pub fn with<R>(&self, name: &str, judge: impl FnOnce(&Preset<'_>) -> R) -> Option<Result<R, ConfigError>> {
        // The name becomes a part of a path.
        if !is_plain(name) {
            return None;
        }
        let path = self.file(name);
        match text_of(&path) {
            Ok(text) => Some(read(Document { text: &text, path: &path }, name, judge)),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => Some(Err(ConfigError {
                code: Code::ConfigurationInvalid,
                detail: format!("this preset of your own cannot be read: {}", cause.kind()),
                mend: "make it a readable text file of at most 64 KiB, or remove it".to_owned(),
                path,
                place: None,
            })),
        }
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(plain)
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

fn read<R>(document: Document<'_>, name: &str, judge: impl FnOnce(&Preset<'_>) -> R) -> Result<R, ConfigError> {
    let parsed = document.parse()?;
    let table = Table { document, name: "this preset of your own", entries: parsed.get_ref() };
    table.expect_only(KEYS)?;
    let lists = Lists::read(table)?;
    let parameters: Vec<Parameter<'_>> = lists.parameters.iter().map(Choice::parameter).collect();
    let preset = Preset { parameters: &parameters, ..preset(table, name, &lists)? };
    preset.check().map_err(|unfit| {
        let span = table.get(unfit.field).map_or(0..0, toml::Spanned::span);
        document.coded(unfit.code, &span, unfit.detail, unfit.mend)
    })?;
    Ok(judge(&preset))
}

fn preset<'a>(table: Table<'a>, name: &'a str, lists: &'a Lists<'a>) -> Result<Preset<'a>, ConfigError> {
    let Some(token_endpoint) = text(table, "token_endpoint")? else {
        let mend = "set it to the address where tokens are asked for";
        return Err(table.document.error(&(0..0), "this preset of your own has no `token_endpoint`", mend));
    };
    let authorization_endpoint = text(table, "authorization_endpoint")?;
    // As for a server that is named by its address alone.
    let usual = if authorization_endpoint.is_some() { "authorization_code" } else { "refresh_token" };
    let methods = [ClientAuthMethod::Basic, ClientAuthMethod::Post].map(|method| (method.as_str(), method));
    Ok(Preset {
        name,
        display_name: text(table, "display_name")?.unwrap_or(name),
        parameters: &[],
        issuer: text(table, "issuer")?,
        authorization_endpoint,
        authorization_parameters: &lists.authorization_parameters,
        exchange_endpoint: text(table, "exchange_endpoint")?,
        token_endpoint,
        device_endpoint: text(table, "device_endpoint")?,
        revocation_endpoint: text(table, "revocation_endpoint")?,
        introspection_endpoint: text(table, "introspection_endpoint")?,
        usual_grant_type: text(table, "usual_grant_type")?.unwrap_or(usual),
        client_auth: word(table, "client_auth", &methods)?.unwrap_or(ClientAuthMethod::Basic),
        scope_separator: separator(table)?,
        pkce: word(table, "pkce", &Pkce::ALL.map(|each| (each.as_str(), each)))?.unwrap_or(Pkce::Undocumented),
        rotates: word(table, "rotates", &Rotates::ALL.map(|each| (each.as_str(), each)))?
            .unwrap_or(Rotates::Undocumented),
        grace: table.duration("grace")?,
        idle_life: table.duration("idle_life")?,
        absolute_life: table.duration("absolute_life")?,
        upstreams: &lists.upstreams,
        quirks: &lists.quirks,
        documentation: text(table, "documentation")?.unwrap_or_default(),
        documents: &lists.documents,
    })
}

/// What a preset only points to.
struct Lists<'a> {
    parameters: Vec<Choice<'a>>,
    authorization_parameters: Vec<(&'a str, &'a str)>,
    upstreams: Vec<&'a str>,
    quirks: Vec<&'a str>,
    documents: Vec<(&'a str, &'a str)>,
}

impl<'a> Lists<'a> {
    fn read(table: Table<'a>) -> Result<Self, ConfigError> {
        Ok(Self {
            parameters: choices(table)?,
            authorization_parameters: pairs(table, "authorization_parameters", "`authorization_parameters`")?,
            upstreams: texts(table, "upstreams")?,
            quirks: texts(table, "quirks")?,
            documents: pairs(table, "documents", "`documents`")?,
        })
    }
}

/// A parameter as it is written.
struct Choice<'a> {
    name: &'a str,
    meaning: &'a str,
    is_host: bool,
    one_of: Vec<&'a str>,
}

impl Choice<'_> {
    fn parameter(&self) -> Parameter<'_> {
        let form = match (self.one_of.as_slice(), self.is_host) {
            ([], true) => Form::Host,
            ([], false) => Form::Name,
            (values, _) => Form::OneOf(values),
        };
        Parameter { name: self.name, meaning: self.meaning, form }
    }
}

fn choices(table: Table<'_>) -> Result<Vec<Choice<'_>>, ConfigError> {
    let Some(parameters) = table.table("parameters", "`parameters`")? else { return Ok(Vec::new()) };
    let mut keys: Vec<_> = parameters.entries.keys().collect();
    keys.sort_by_key(|key| key.span().start);
    keys.into_iter().map(|key| choice(parameters, key)).collect()
}

fn choice<'a>(
    parameters: Table<'a>,
    key: &'a toml::Spanned<toml::de::DeString<'a>>,
) -> Result<Choice<'a>, ConfigError> {
    let (document, name) = (parameters.document, key.get_ref().as_ref());
    if !is_plain(name) {
        let detail = format!("`{}` cannot be the name of a parameter", shown(name));
        return Err(document.error(&key.span(), detail, "use letters, digits, '-' and '_'"));
    }
    let Some(table) = parameters.table(name, "a parameter")? else {
        return Err(document.error(&key.span(), "this parameter is empty", "set its `meaning`"));
    };
    table.expect_only(&["form", "meaning", "one_of"])?;
    let Some(meaning) = text(table, "meaning")? else {
        let detail = format!("the parameter `{name}` has no `meaning`");
        return Err(document.error(&key.span(), detail, "say what it is, with an example"));
    };
    let form = word(table, "form", &[("host", true), ("name", false)])?;
    let one_of = texts(table, "one_of")?;
    let fits = |value: &&str| Form::Name.takes(value);
    match (form, table.get("one_of")) {
        (Some(_), Some(place)) => {
            let detail = format!("the parameter `{name}` has both `form` and `one_of`");
            Err(document.error(&place.span(), detail, "keep one of them"))
        }
        // They become parts of addresses as they are.
        (None, Some(place)) if one_of.is_empty() || !one_of.iter().all(fits) => {
            let detail = format!("`one_of` of the parameter `{name}` is empty, or a member is no plain name");
            Err(document.error(&place.span(), detail, "use letters, digits, '-', '_' and '.'"))
        }
        (form, _) => Ok(Choice { name, meaning, is_host: form.unwrap_or(false), one_of }),
    }
}

/// A text that borrows from the file.
fn text<'a>(table: Table<'a>, key: &str) -> Result<Option<&'a str>, ConfigError> {
    // For its checks.
    table.text(key)?;
    Ok(table.get(key).and_then(|value| value.get_ref().as_str()))
}

/// One of a few words.
fn word<T: Copy>(table: Table<'_>, key: &str, known: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
    let Some(written) = table.text(key)? else { return Ok(None) };
    if let Some((_, meant)) = known.iter().find(|(word, _)| *word == written.value) {
        return Ok(Some(*meant));
    }
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    let mend = match nearest(&written.value, &words) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write one of {}", words.join(", ")),
    };
    let detail = format!("`{}` is no value of `{key}`", shown(&written.value));
    Err(table.document.error(&written.span, detail, mend))
}

fn separator(table: Table<'_>) -> Result<char, ConfigError> {
    let Some(value) = table.get("scope_separator") else { return Ok(' ') };
    let written = value.get_ref().as_str().map(|text| text.chars().collect::<Vec<_>>());
    match written.as_deref() {
        Some([separator]) => Ok(*separator),
        _ => Err(table.wrong_type("scope_separator", &value.span(), "one character: \" \" or \",\"")),
    }
}

/// An array of texts, each fit to be shown.
fn texts<'a>(table: Table<'a>, key: &str) -> Result<Vec<&'a str>, ConfigError> {
    table.texts(key)?;
    let Some(members) = table.get(key).and_then(|value| value.get_ref().as_array()) else { return Ok(Vec::new()) };
    let read = |member: &'a toml::Spanned<toml::de::DeValue<'a>>| {
        let text = member.get_ref().as_str().unwrap_or_default();
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            let detail = format!("a member of `{key}` is empty or has a control character in it");
            return Err(table.document.error(&member.span(), detail, "mend or remove it"));
        }
        Ok(text)
    };
    members.iter().map(read).collect()
}

/// A table of names and texts, sorted by name.
fn pairs<'a>(table: Table<'a>, key: &str, title: &'a str) -> Result<Vec<(&'a str, &'a str)>, ConfigError> {
    let Some(inner) = table.table(key, title)? else { return Ok(Vec::new()) };
    let mut pairs = Vec::new();
    for name in inner.entries.keys() {
        if name.get_ref().chars().any(char::is_control) {
            let detail = format!("a name in {title} has a control character in it");
            return Err(table.document.error(&name.span(), detail, "mend it"));
        }
        if let Some(value) = text(inner, name.get_ref())? {
            pairs.push((name.get_ref().as_ref(), value));
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}
