//! The keys of a grant's table that its grant type adds, read as the grant type describes them: a
//! new grant type needs no change here.

use super::ConfigError;
use super::document::{Table, shown};
use super::key_request;
use super::secret_source::SecretSource;
use outlast::{GrantId, GrantOption, GrantType, OptionKind, OptionValue, Options, Secret, grant_type};
use std::collections::BTreeMap;
use std::ops::Range;

/// What an option is told; a secret is named and not yet read.
#[derive(Clone, Debug)]
pub enum Told {
    /// Where a secret comes from, and where that stands in the file.
    Secret(SecretSource, Range<usize>),
    /// Anything else.
    Value(OptionValue),
}

impl Told {
    /// Where a secret stands as plain text.
    pub(crate) fn plain_span(&self) -> Option<Range<usize>> {
        match self {
            Self::Secret(SecretSource::Plain(_), span) => Some(span.clone()),
            Self::Secret(..) | Self::Value(_) => None,
        }
    }
}

/// The keys of every grant, and those of this grant type; of all of them, if it is not known yet.
pub(super) fn keys(common: &[&[&'static str]], row: Option<&dyn GrantType>) -> Vec<&'static str> {
    let mut keys = common.concat();
    for row in grant_type::TABLE
        .iter()
        .filter(|each| row.is_none_or(|row| row.strategy().grant_type == each.strategy().grant_type))
    {
        keys.extend(row.options().iter().map(|option| option.name));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The one grant type that has the options which stand in `table`, where nobody names it: a key that
/// only one has, and that is not one of the `common` ones, tells which is meant.
pub(super) fn implied(table: Table<'_>, common: &[&[&str]]) -> Option<&'static dyn GrantType> {
    let mut meant: Option<&'static dyn GrantType> = None;
    let own = |key: &&str| !common.iter().any(|keys| keys.contains(key));
    for key in table.entries.keys().map(|key| key.get_ref().as_ref()).filter(own) {
        let has = |row: &&&dyn GrantType| row.options().iter().any(|option| option.name == key);
        let mut rows = grant_type::TABLE.iter().filter(has);
        if let (Some(row), None) = (rows.next(), rows.next()) {
            if meant.is_some_and(|other| other.strategy().grant_type != row.strategy().grant_type) {
                return None;
            }
            meant = Some(*row);
        }
    }
    meant
}

/// Reads the options of `row` from a grant's table, which stands at `span`.
pub(super) fn read(
    table: Table<'_>,
    row: &dyn GrantType,
    span: &Range<usize>,
) -> Result<Vec<(&'static str, Told)>, ConfigError> {
    let mut told = Vec::new();
    for option in row.options() {
        match one(table, option)? {
            Some(value) => told.push((option.name, value)),
            None if option.required => {
                let grant_type = row.strategy().grant_type;
                let detail = format!("{} has grant type {grant_type} and no `{}`", table.name, option.name);
                return Err(table.document.error(span, detail, format!("set {}: {}", option.name, option.meaning)));
            }
            None => {}
        }
    }
    Ok(told)
}

/// The options with their secrets fetched: `fetch` gets a source and the key it stands at.
pub(super) fn resolve<E>(
    told: &[(&'static str, Told)],
    fetch: &dyn Fn(&SecretSource, &'static str) -> Result<Secret, E>,
) -> Result<Options, E> {
    let mut options = Options::default();
    for (name, told) in told {
        let value = match told {
            Told::Secret(source, _) => OptionValue::Secret(fetch(source, name)?),
            Told::Value(value) => value.clone(),
        };
        options.set(name, value);
    }
    Ok(options)
}

fn one(table: Table<'_>, option: &GrantOption) -> Result<Option<Told>, ConfigError> {
    let Some(place) = table.get(option.name) else { return Ok(None) };
    let value = match option.kind {
        OptionKind::Secret => {
            let source = SecretSource::read(table, option.name)?;
            return Ok(source.map(|source| Told::Secret(source.value, source.span)));
        }
        OptionKind::Command => OptionValue::Command(command(table, option)?),
        OptionKind::CommandOrRequest => match place.get_ref().as_table() {
            Some(_) => OptionValue::Request(key_request::read(table, option.name)?),
            None => OptionValue::Command(command(table, option)?),
        },
        OptionKind::Duration => OptionValue::Duration(table.duration(option.name)?.unwrap_or_default()),
        OptionKind::Grant => OptionValue::Grant(grant(table, option)?),
        OptionKind::List => OptionValue::List(table.words(option.name)?),
        OptionKind::Table => OptionValue::Table(words(table, option)?),
        // Identifiers that are numbers are written as such.
        OptionKind::Text if place.get_ref().as_integer().is_some_and(|number| number.radix() == 10) => {
            OptionValue::Text(place.get_ref().as_integer().map(|number| number.as_str().to_owned()).unwrap_or_default())
        }
        OptionKind::Text => match table.text(option.name)? {
            Some(text) if !text.value.is_empty() => OptionValue::Text(text.value),
            Some(_) | None => {
                let detail = format!("`{}` in {} is empty", option.name, table.name);
                return Err(table.document.error(&place.span(), detail, "remove the line, or fill it in"));
            }
        },
    };
    Ok(Some(Told::Value(value)))
}

fn command(table: Table<'_>, option: &GrantOption) -> Result<Vec<String>, ConfigError> {
    let words = table.texts(option.name)?;
    if words.first().is_none_or(String::is_empty) {
        let span = table.get(option.name).map_or(0..0, toml::Spanned::span);
        let mend = format!("write {} = [\"program\", \"argument\"]; it is never given to a shell", option.name);
        return Err(table.document.error(&span, format!("`{}` names no program", option.name), mend));
    }
    Ok(words)
}

fn grant(table: Table<'_>, option: &GrantOption) -> Result<GrantId, ConfigError> {
    let span = table.get(option.name).map_or(0..0, toml::Spanned::span);
    let name = table.text(option.name)?.map(|name| name.value).unwrap_or_default();
    GrantId::parse(&name).map_err(|why| {
        let detail = format!("`{}` names no grant: {why}", option.name);
        table.document.error(&span, detail, "give the name of another [grant.NAME]")
    })
}

fn words(table: Table<'_>, option: &GrantOption) -> Result<BTreeMap<String, String>, ConfigError> {
    let title = format!("`{}`", option.name);
    let Some(inner) = table.table(option.name, &title)? else { return Ok(BTreeMap::new()) };
    let mut words = BTreeMap::new();
    for key in inner.entries.keys() {
        if let Some(word) = inner.text(key.get_ref())? {
            words.insert(shown(key.get_ref()), word.value);
        }
    }
    Ok(words)
}
