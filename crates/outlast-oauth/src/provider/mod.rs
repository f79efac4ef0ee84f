//! Authorization servers by name. A new one is a file here and a line in the list below: under `ready` if its addresses
//! are the same for everybody, under `templates` if they need a tenant, a domain or a region.
//!
//! Only what a provider documents is stated, each preset with the addresses of the documents. What is left out is not
//! known, and code must not read anything into its absence.

pub mod generic;

mod check;
mod page;
mod parameter;

pub use check::Unfit;
pub use page::{index, page, snippet};
pub use parameter::{Addresses, Form, Parameter, ParameterError};

use crate::client_authentication::ClientAuthMethod;
use outlast_core::strategy::Rotation;
use std::time::Duration;

macro_rules! presets {
    (ready: $($ready:ident),* ; templates: $($template:ident),* $(;)?) => {
        $(mod $ready;)*
        $(mod $template;)*
        /// The presets that can be used as they are, sorted by name.
        pub static TABLE: &[Preset<'static>] = &[$($ready::PRESET),*];
        /// The presets whose addresses have parameters, sorted by name. [`Preset::with`] makes them usable.
        pub static TEMPLATES: &[Preset<'static>] = &[$($template::PRESET),*];
    };
}

presets! {
    ready:
        airtable,
        amazon,
        asana,
        atlassian,
        bitbucket,
        box_com,
        calendly,
        canva,
        clickup,
        digitalocean,
        discord,
        docusign,
        dropbox,
        facebook,
        figma,
        fitbit,
        github,
        github_app,
        gitlab,
        google,
        heroku,
        hubspot,
        huggingface,
        intercom,
        linear,
        linkedin,
        mailchimp,
        microsoft,
        miro,
        monday,
        notion,
        pagerduty,
        paypal,
        pipedrive,
        quickbooks,
        reddit,
        salesforce,
        sentry,
        slack,
        spotify,
        square,
        strava,
        stripe_connect,
        surveymonkey,
        tiktok,
        todoist,
        twitch,
        typeform,
        vercel,
        webex,
        x,
        xero,
        yahoo,
        zoho,
        zoom;
    templates:
        auth0,
        cognito,
        databricks,
        keycloak,
        microsoft_tenant,
        okta,
        okta_server,
        ping,
        salesforce_domain,
        shopify,
        snowflake,
        zendesk,
        zoho_region;
}

/// What a provider documents of its authorization server. The built-in ones live as long as the program, a
/// user's own as long as the file they were read from is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset<'a> {
    /// The name in the configuration.
    pub name: &'a str,
    /// The name a person knows it by.
    pub display_name: &'a str,
    /// The parts of its addresses that differ by customer, written `{name}` in them; none for those in [`TABLE`].
    pub parameters: &'a [Parameter<'a>],
    /// The issuer, where there is one for everybody (RFC 8414 2).
    pub issuer: Option<&'a str>,
    /// Where a person is sent to consent (RFC 6749 3.1).
    pub authorization_endpoint: Option<&'a str>,
    /// What goes with every authorization request besides the standard's parameters, so that the grant lasts.
    pub authorization_parameters: &'a [(&'a str, &'a str)],
    /// Where authorization codes are exchanged, if that is not the token endpoint.
    pub exchange_endpoint: Option<&'a str>,
    /// Where tokens are asked for (RFC 6749 3.2); for the few that have two such endpoints, the one that renews.
    pub token_endpoint: &'a str,
    /// Where device codes are asked for, if that works as RFC 8628 says.
    pub device_endpoint: Option<&'a str>,
    /// Where tokens are revoked, if that works as RFC 7009 says.
    pub revocation_endpoint: Option<&'a str>,
    /// Where tokens are examined, if that works as RFC 7662 says.
    pub introspection_endpoint: Option<&'a str>,
    /// The grant type that is meant when the configuration names none.
    pub usual_grant_type: &'a str,
    /// How a client with a secret authenticates when the configuration does not say.
    pub client_auth: ClientAuthMethod,
    /// What stands between scopes where a person is asked for them.
    pub scope_separator: char,
    /// What it makes of PKCE (RFC 7636).
    pub pkce: Pkce,
    /// Whether a refresh token may be replaced by its use.
    pub rotates: Rotates,
    /// How long a replaced refresh token still serves those who lost the answer.
    pub grace: Option<Duration>,
    /// How long a grant lives without being renewed. Months count as their shortest.
    pub idle_life: Option<Duration>,
    /// How long a grant lives from the login on, however often it is renewed. Months count as their shortest.
    pub absolute_life: Option<Duration>,
    /// The origins of its APIs; none where they differ by customer or product.
    pub upstreams: &'a [&'a str],
    /// What else there is to know, a sentence each.
    pub quirks: &'a [&'a str],
    /// Address of the document that gives the endpoints.
    pub documentation: &'a str,
    /// Which facts stand in another document, and its address.
    pub documents: &'a [(&'a str, &'a str)],
}

/// What a server makes of PKCE (RFC 7636).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    /// A request without a challenge is refused.
    Required,
    /// A challenge is checked where one is sent.
    Supported,
    /// Its documents do not say. A challenge may be sent all the same: servers ignore what they do not know
    /// (RFC 6749 3.1).
    Undocumented,
    /// Its documents say that a challenge must not be sent.
    Unsupported,
}

impl Pkce {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Required, Self::Supported, Self::Undocumented, Self::Unsupported];

    /// The word for it in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Supported => "supported",
            Self::Undocumented => "undocumented",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Whether the use of a refresh token replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotates {
    /// It stays the same.
    No,
    /// Its documents do not say, or it issues no refresh tokens.
    Undocumented,
    /// A renewal may answer with a new one, for every client or for those so configured.
    Yes,
}

impl Rotates {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::No, Self::Undocumented, Self::Yes];

    /// The word for it in listings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Undocumented => "undocumented",
            Self::Yes => "yes",
        }
    }

    /// What a renewal has to reckon with: only a documented No makes a second use harmless.
    pub const fn rotation(self) -> Rotation {
        match self {
            Self::No => Rotation::None,
            Self::Undocumented | Self::Yes => Rotation::Possible,
        }
    }
}

impl Preset<'_> {
    /// How long after its last renewal a grant should be renewed though nobody asks: half of its idle life.
    pub fn keep_alive_after(&self) -> Option<Duration> {
        self.idle_life.map(|life| life / 2)
    }
}

/// The preset of that name that can be used as it is.
pub fn find(name: &str) -> Option<Preset<'static>> {
    TABLE.iter().copied().find(|preset| preset.name == name)
}

/// The preset of that name whose addresses have parameters.
pub fn find_template(name: &str) -> Option<Preset<'static>> {
    TEMPLATES.iter().copied().find(|preset| preset.name == name)
}

/// Every preset, sorted by name.
pub fn all() -> Vec<Preset<'static>> {
    let mut presets = [TABLE, TEMPLATES].concat();
    presets.sort_unstable_by_key(|preset| preset.name);
    presets
}

/// What is true of a preset that states nothing.
const BLANK: Preset<'static> = Preset {
    name: "",
    display_name: "",
    parameters: &[],
    issuer: None,
    authorization_endpoint: None,
    authorization_parameters: &[],
    exchange_endpoint: None,
    token_endpoint: "",
    device_endpoint: None,
    revocation_endpoint: None,
    introspection_endpoint: None,
    usual_grant_type: "authorization_code",
    client_auth: ClientAuthMethod::Post,
    scope_separator: ' ',
    pkce: Pkce::Undocumented,
    rotates: Rotates::Undocumented,
    grace: None,
    idle_life: None,
    absolute_life: None,
    upstreams: &[],
    quirks: &[],
    documentation: "",
    documents: &[],
};

const fn days(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count * 24 * 60 * 60))
}

const fn minutes(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count * 60))
}
