//! What is known of single providers, as data: one file each, values and no code paths.
//!
//! To add one: write `quirks/<name>.rs` with a `pub(super) static TABLE`, name it in the list
//! below, and give every rule a fixture in `tests/fixtures/quirks.jsonl`.

mod rule;

pub use rule::{Endpoints, Rule, Sign, Table};

use super::body::{Facts, Flag};
use super::verdict::EndpointKind;
use http::HeaderMap;

macro_rules! providers {
    ($($file:ident),* $(,)?) => {
        $(mod $file;)*
        /// Every table, in alphabetical order of the files.
        static TABLES: &[&Table] = &[$(&$file::TABLE,)*];
    };
}

providers! {
    anthropic,
    atlassian,
    auth0,
    aws,
    azure,
    azure_devops,
    azure_storage,
    baidu,
    box_com,
    cognito,
    databricks,
    datadog,
    dingtalk,
    discord,
    django_simplejwt,
    docusign,
    dropbox,
    ebay,
    entra,
    esri,
    facebook,
    feishu,
    firebase,
    github,
    gitlab,
    google,
    hubspot,
    kakao,
    keycloak,
    kubernetes,
    linkedin,
    magento,
    matrix,
    mcp,
    microsoft_graph,
    notion,
    okta,
    openai,
    paypal,
    plaid,
    quickbooks,
    salesforce,
    shopify,
    slack,
    snowflake,
    spotify,
    stripe,
    supabase,
    tiktok,
    twitch,
    vault,
    wechat,
    weibo,
    x,
    xero,
    zendesk,
    zoho,
    zoom,
}

/// What is known of a provider's habits. The default knows nothing: the generic rules decide, and
/// those tables whose replies are unmistakable.
#[derive(Clone, Copy, Default)]
pub struct Quirks {
    table: Option<&'static Table>,
}

impl Quirks {
    /// The habits of the provider of that name (`github`, `Google Drive`, `microsoft-entra`); the
    /// default where none are known. A name with a suffix (`google-sheets`) falls back to the
    /// name without it.
    pub fn for_provider(name: &str) -> Self {
        let slug = slug_of(name);
        let mut rest = slug.as_str();
        loop {
            if let Some(table) = TABLES.iter().find(|table| table.is_named(rest)) {
                return Self { table: Some(table) };
            }
            match rest.rsplit_once('-') {
                Some((shorter, _)) => rest = shorter,
                None => return Self::default(),
            }
        }
    }

    /// The provider's name, where its habits are known.
    pub const fn provider(&self) -> Option<&'static str> {
        match self.table {
            Some(table) => Some(table.name),
            None => None,
        }
    }

    /// How many bytes of a *successful* reply's body have to be seen before it can be judged, for
    /// providers that send errors with status 200; `None` where the status can be believed and
    /// nothing need be held back.
    pub const fn success_peek(&self) -> Option<usize> {
        match self.table {
            Some(Table { errors_on_success: true, .. }) => Some(SUCCESS_PEEK_BYTES),
            Some(_) | None => None,
        }
    }

    pub(crate) const fn table(&self) -> Option<&'static Table> {
        self.table
    }
}

impl std::fmt::Debug for Quirks {
    /// The name alone: the whole table would drown a log line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Quirks").field(&self.provider()).finish()
    }
}

impl PartialEq for Quirks {
    fn eq(&self, other: &Self) -> bool {
        self.provider() == other.provider()
    }
}

impl Eq for Quirks {}

/// How much of a successful reply is looked at for an error, in bytes.
pub const SUCCESS_PEEK_BYTES: usize = 4096;

/// Every provider whose habits are known.
pub fn tables() -> &'static [&'static Table] {
    TABLES
}

/// The rule that decides a reply: of the named provider's table first, then of those tables that
/// recognise their own replies.
pub(crate) fn decide(
    table: Option<&'static Table>,
    kind: EndpointKind,
    status: u16,
    headers: &HeaderMap,
    facts: &Facts<'_>,
) -> Option<&'static Rule> {
    if let Some(table) = table
        && let Some(rule) = table.decide(kind, status, headers, facts)
    {
        return Some(rule);
    }
    if !may_be_recognised(facts) {
        return None;
    }
    TABLES
        .iter()
        .filter(|other| table.is_none_or(|table| table.name != other.name) && other.recognises(headers, facts))
        .find_map(|other| other.decide(kind, status, headers, facts))
}

/// A set of two short keys, as bits; what is in it may be recognised, what is not cannot.
struct Filter([u64; 4]);

/// What the tables recognise their replies by.
static FILTER: Filter = Filter::of(TABLES);

impl Filter {
    const fn of(tables: &[&Table]) -> Self {
        let mut bits = [0; 4];
        let mut table = 0;
        while table < tables.len() {
            let signs = tables[table].recognised_by;
            let mut sign = 0;
            while sign < signs.len() {
                let place = match signs[sign] {
                    Sign::Code(code) => Self::place(code.as_bytes(), code.len()),
                    Sign::Begins(start) => Self::place(start.as_bytes(), 0),
                    // Found by their own flag.
                    Sign::Field(..) => {
                        sign += 1;
                        continue;
                    }
                    Sign::Between(..) | Sign::Says(_) | Sign::Status(_) | Sign::Under(..) => {
                        panic!("a table is recognised by whole codes, beginnings and header fields")
                    }
                };
                bits[place / 64] |= 1 << (place % 64);
                sign += 1;
            }
            table += 1;
        }
        Self(bits)
    }

    /// A code's length and first letter; a beginning has no length.
    const fn place(text: &[u8], length: usize) -> usize {
        let first = if text.is_empty() { 0 } else { text[0].to_ascii_lowercase() as usize };
        (length * 31 + first * 7) % 256
    }

    const fn holds(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }
}

fn may_be_recognised(facts: &Facts<'_>) -> bool {
    facts.has(Flag::PRIVATE_FIELDS)
        || facts.iter().any(|fact| {
            FILTER.holds(Filter::place(fact.text, fact.text.len())) || FILTER.holds(Filter::place(fact.text, 0))
        })
}

fn slug_of(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for character in name.chars().take(64) {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
