//! What is known of single providers, as data: one file each, values and no code paths.
//!
//! To add one: write `quirks/<name>.rs` with a `pub(super) static TABLE`, name it in the list
//! below, and give every rule a fixture in `tests/fixtures/quirks.jsonl`.

mod rule;

pub use rule::{Endpoints, Rule, Sign, Table};

use super::body::Facts;
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
    TABLES
        .iter()
        .filter(|other| table.is_none_or(|table| table.name != other.name) && other.recognises(headers, facts))
        .find_map(|other| other.decide(kind, status, headers, facts))
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
