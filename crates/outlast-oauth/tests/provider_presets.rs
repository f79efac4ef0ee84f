//! The table of providers: complete, safe to send secrets to, and the same in the documentation.

#![allow(clippy::unwrap_used)]

use outlast_core::strategy::Rotation;
use outlast_core::{Code, Quirks};
use outlast_oauth::address;
use outlast_oauth::provider::{self, Form, Parameter, ParameterError, Preset, Rotates, TABLE, TEMPLATES};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// What the first release promises to know by name.
const PROMISED: &[&str] = &[
    "airtable",
    "amazon",
    "asana",
    "atlassian",
    "auth0",
    "bitbucket",
    "box",
    "calendly",
    "canva",
    "clickup",
    "cognito",
    "databricks",
    "digitalocean",
    "discord",
    "docusign",
    "dropbox",
    "facebook",
    "figma",
    "fitbit",
    "github",
    "github-app",
    "gitlab",
    "google",
    "heroku",
    "hubspot",
    "huggingface",
    "intercom",
    "keycloak",
    "linear",
    "linkedin",
    "mailchimp",
    "microsoft",
    "microsoft-tenant",
    "miro",
    "monday",
    "notion",
    "okta",
    "pagerduty",
    "paypal",
    "ping",
    "pipedrive",
    "quickbooks",
    "reddit",
    "salesforce",
    "sentry",
    "shopify",
    "slack",
    "snowflake",
    "spotify",
    "square",
    "strava",
    "stripe-connect",
    "surveymonkey",
    "tiktok",
    "todoist",
    "twitch",
    "typeform",
    "vercel",
    "webex",
    "x",
    "xero",
    "yahoo",
    "zendesk",
    "zoho",
    "zoom",
];

/// Every address of a preset that requests go to or that tokens are issued by, as it is written.
fn addresses(preset: &Preset<'static>) -> Vec<&'static str> {
    preset.addresses().into_iter().map(|(_, address)| address).collect()
}

/// A value of each parameter's form.
fn samples(preset: &Preset<'static>) -> Vec<(&'static str, &'static str)> {
    let value = |form| match form {
        Form::Host => "login.example.com:8443",
        Form::Name => "example-1",
        Form::OneOf(values) => values[0],
    };
    preset.parameters.iter().map(|parameter| (parameter.name, value(parameter.form))).collect()
}

fn template(name: &str) -> Preset<'static> {
    provider::find_template(name).unwrap()
}

#[test]
fn every_promised_provider_is_known() {
    let known: Vec<&str> = provider::all().iter().map(|preset| preset.name).collect();
    let missing: Vec<&&str> = PROMISED.iter().filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn names_are_sorted_and_each_is_found_in_its_own_table_only() {
    for table in [TABLE, TEMPLATES, &provider::all()] {
        assert!(table.is_sorted_by(|a, b| a.name < b.name));
    }
    for preset in TABLE {
        assert_eq!((provider::find(preset.name), provider::find_template(preset.name)), (Some(*preset), None));
        assert!(preset.parameters.is_empty(), "{}", preset.name);
    }
    for preset in TEMPLATES {
        assert_eq!((provider::find(preset.name), provider::find_template(preset.name)), (None, Some(*preset)));
        assert!(!preset.parameters.is_empty(), "{}", preset.name);
    }
    let shown: BTreeSet<&str> = provider::all().iter().map(|preset| preset.display_name).collect();
    assert_eq!(shown.len(), TABLE.len() + TEMPLATES.len(), "two presets are shown by the same name");
    assert!(provider::find("example").is_none() && provider::find_template("example").is_none());
}

#[test]
fn names_can_stand_in_a_configuration_and_a_file_name() {
    for preset in provider::all() {
        let plain = preset.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(plain && !preset.name.is_empty() && !preset.display_name.is_empty(), "{}", preset.name);
    }
}

#[test]
fn n20_every_address_is_https_without_query_fragment_or_credentials() {
    for preset in provider::all() {
        for written in addresses(&preset) {
            let text = samples(&preset)
                .iter()
                .fold(written.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
            let url = address::check(&text).unwrap();
            assert_eq!((url.scheme(), url.query(), url.fragment()), ("https", None, None), "{text}");
            assert!(!text.contains(['{', '}', '?', '#', '@', ' ']) && text.starts_with("https://"), "{text}");
        }
    }
}

#[test]
fn n19_an_issuer_is_written_as_its_metadata_has_to_repeat_it() {
    for preset in provider::all() {
        let Some(issuer) = preset.issuer else { continue };
        // Auth0 alone documents an issuer that ends in a slash.
        assert_eq!(issuer.ends_with('/'), preset.name == "auth0", "{issuer}");
    }
}

#[test]
fn every_preset_passes_the_checks_that_a_users_own_has_to_pass() {
    for preset in provider::all() {
        assert_eq!(preset.check(), Ok(()), "{}", preset.name);
    }
}

/// A preset without a fault, and what is done to it to give it one.
type Spoil = fn(&mut Preset<'static>);

#[test]
fn each_check_of_a_preset_can_fail_and_names_the_field() {
    let spoils: &[(&str, Code, Spoil)] = &[
        ("token_endpoint", Code::InsecureAddress, |it| it.token_endpoint = "http://login.example.com/token"),
        ("token_endpoint", Code::InsecureAddress, |it| it.token_endpoint = "https://user@login.example.com/token"),
        ("token_endpoint", Code::ConfigurationInvalid, |it| it.token_endpoint = ""),
        ("device_endpoint", Code::ConfigurationInvalid, |it| {
            it.device_endpoint = Some("https://{tenant}.example.com/")
        }),
        ("issuer", Code::ConfigurationInvalid, |it| it.issuer = Some("https://login.example.com?a=b")),
        ("revocation_endpoint", Code::ConfigurationInvalid, |it| it.revocation_endpoint = Some("https://x.example/#a")),
        ("upstreams", Code::ConfigurationInvalid, |it| it.upstreams = &["https://api.example.com/v1"]),
        ("parameters", Code::ConfigurationInvalid, |it| {
            it.parameters = &[Parameter { name: "tenant", meaning: "the tenant", form: Form::Name }];
        }),
        ("usual_grant_type", Code::ConfigurationInvalid, |it| it.usual_grant_type = "magic"),
        ("usual_grant_type", Code::ConfigurationInvalid, |it| it.authorization_endpoint = None),
        ("scope_separator", Code::ConfigurationInvalid, |it| it.scope_separator = '+'),
        ("authorization_parameters", Code::ConfigurationInvalid, |it| it.authorization_parameters = &[("state", "x")]),
        ("idle_life", Code::ConfigurationInvalid, |it| it.idle_life = Some(Duration::ZERO)),
        ("idle_life", Code::ConfigurationInvalid, |it| {
            it.idle_life = Some(Duration::from_secs(2));
            it.absolute_life = Some(Duration::from_secs(1));
        }),
        ("grace", Code::ConfigurationInvalid, |it| it.rotates = Rotates::No),
        ("grace", Code::ConfigurationInvalid, |it| it.grace = Some(Duration::from_secs(24 * 3600))),
    ];
    let sound = provider::find("xero").unwrap();
    for (index, (field, code, spoil)) in spoils.iter().enumerate() {
        let mut preset = sound;
        spoil(&mut preset);
        let unfit = preset.check().unwrap_err();
        assert_eq!((unfit.field, unfit.code), (*field, *code), "{index}: {unfit:?}");
    }
}

#[test]
fn every_preset_names_its_documents() {
    for preset in provider::all() {
        let facts: Vec<&str> = preset.documents.iter().map(|(facts, _)| *facts).collect();
        assert!(facts.is_sorted_by(|a, b| a < b) && !facts.contains(&""), "{}: {facts:?}", preset.name);
        for document in preset.documents.iter().map(|(_, address)| *address).chain([preset.documentation]) {
            assert_eq!(address::check(document).unwrap().scheme(), "https", "{}: {document}", preset.name);
        }
    }
}

#[test]
fn every_parameter_has_a_meaning_and_is_declared_once() {
    for preset in provider::all() {
        let declared: BTreeSet<&str> = preset.parameters.iter().map(|parameter| parameter.name).collect();
        assert_eq!(declared.len(), preset.parameters.len(), "{}: a parameter is declared twice", preset.name);
        assert!(preset.parameters.iter().all(|parameter| !parameter.meaning.is_empty()), "{}", preset.name);
    }
}

#[test]
fn quirks_are_sentences() {
    for quirk in provider::all().iter().flat_map(|preset| preset.quirks) {
        let cell_safe = !quirk.contains(['\n', '|']);
        assert!(cell_safe && quirk.ends_with('.') && !quirk.contains("  "), "{quirk}");
    }
}

#[test]
fn only_a_documented_no_makes_a_second_use_of_a_refresh_token_harmless() {
    assert_eq!(Rotates::No.rotation(), Rotation::None);
    assert_eq!(Rotates::Undocumented.rotation(), Rotation::Possible);
    assert_eq!(Rotates::Yes.rotation(), Rotation::Possible);
}

#[test]
fn a_grant_is_kept_alive_at_half_of_its_idle_life_where_that_is_known() {
    let after = |name| provider::find(name).unwrap().keep_alive_after();
    assert_eq!(after("xero"), Some(Duration::from_secs(30 * 24 * 3600)));
    assert_eq!(after("dropbox"), None);
}

#[test]
fn facts_that_renewals_hang_on_are_as_documented() {
    let xero = provider::find("xero").unwrap();
    assert_eq!((xero.rotates, xero.grace), (Rotates::Yes, Some(Duration::from_secs(30 * 60))));
    assert_eq!(provider::find("atlassian").unwrap().absolute_life, Some(Duration::from_secs(365 * 24 * 3600)));
    assert_eq!(provider::find("google").unwrap().rotates, Rotates::No);
    assert_eq!(provider::find("github-app").unwrap().idle_life, Some(Duration::from_secs(15_897_600)));
}

#[test]
fn renewals_go_where_tokens_are_renewed_and_codes_where_they_are_exchanged() {
    let figma = provider::find("figma").unwrap().with(&[]).unwrap();
    assert_eq!(figma.provider.token_endpoint, "https://api.figma.com/v1/oauth/refresh");
    assert_eq!(figma.provider.exchange_endpoint.as_deref(), Some("https://api.figma.com/v1/oauth/token"));
    let google = provider::find("google").unwrap().with(&[]).unwrap();
    assert_eq!(google.provider.exchange_endpoint, None);
}

#[test]
fn a_preset_without_parameters_is_used_as_it_is_and_takes_none() {
    for preset in TABLE {
        let filled = preset.with(&[]).unwrap();
        assert_eq!(filled.provider, preset.provider(), "{}", preset.name);
        assert_eq!(filled.provider.quirks, Quirks::for_provider(preset.name));
        let error = preset.with(&[("domain", "example.com")]).unwrap_err();
        assert!(error.to_string().contains("has no parameters"), "{error}");
    }
}

#[test]
fn a_template_is_unusable_before_its_parameters_are_given() {
    for preset in TEMPLATES {
        let unfilled = preset.provider();
        assert!(address::check(&unfilled.token_endpoint).is_err() && unfilled.issuer.is_none(), "{}", preset.name);
        let error = preset.with(&[]).unwrap_err();
        assert_eq!(error, ParameterError::Missing { preset: preset.name, parameter: preset.parameters[0] });
        assert_eq!(error.code(), Code::ConfigurationInvalid);
        let text = error.to_string();
        assert!(text.contains(preset.parameters[0].name) && text.contains(preset.parameters[0].meaning), "{text}");
    }
}

#[test]
fn parameters_are_filled_into_every_address() {
    let okta = template("okta-server").with(&[("server", "default"), ("domain", "acme.okta.com")]).unwrap();
    assert_eq!(okta.provider.token_endpoint, "https://acme.okta.com/oauth2/default/v1/token");
    assert_eq!(okta.provider.issuer.as_deref(), Some("https://acme.okta.com/oauth2/default"));
    assert_eq!(
        okta.provider.device_endpoint.as_deref(),
        Some("https://acme.okta.com/oauth2/default/v1/device/authorize")
    );
    let shop = template("shopify").with(&[("shop", "acme")]).unwrap();
    assert_eq!(shop.upstreams, ["https://acme.myshopify.com"]);
    for preset in TEMPLATES {
        let filled = preset.with(&samples(preset)).unwrap();
        assert!(!format!("{filled:?}").contains(&format!("{{{}}}", preset.parameters[0].name)), "{filled:?}");
    }
}

#[test]
fn a_parameter_is_given_once_and_under_its_own_name() {
    let okta = template("okta");
    let twice = okta.with(&[("domain", "a.okta.com"), ("domain", "b.okta.com")]).unwrap_err();
    assert!(matches!(twice, ParameterError::Repeated { .. }), "{twice}");
    let unknown = okta.with(&[("domain", "a.okta.com"), ("tenant", "a")]).unwrap_err();
    assert!(matches!(unknown, ParameterError::Unknown { .. }) && unknown.to_string().contains("domain"), "{unknown}");
}

#[test]
fn a_value_that_would_change_where_secrets_go_is_refused_and_not_repeated() {
    let attacks = [
        "",
        ".",
        "..",
        "-",
        "evil.example/x",
        "evil.example#",
        "evil.example?",
        "evil.example\\x",
        "user@evil.example",
        "user:secret@evil.example",
        "evil.example%2f",
        "a..b",
        "a/../b",
        "{domain}",
        "é",
        "a b",
        "a\tb",
        "a\nb",
        "evil.example:0",
        "evil.example:65536",
        "evil.example:",
        ":443",
        "evil.example:443:443",
        "[::1]",
    ];
    for attack in attacks {
        for (name, parameter) in [("okta", "domain"), ("databricks", "workspace"), ("shopify", "shop")] {
            let error = template(name).with(&[(parameter, attack)]).unwrap_err();
            assert!(matches!(error, ParameterError::Unsuitable { .. }), "{name} {attack:?}: {error}");
            assert!(!error.to_string().contains("evil"), "{error}");
        }
    }
    let region = template("zoho-region").with(&[("region", "com.evil.example")]).unwrap_err();
    assert!(region.to_string().contains("com.au"), "{region}");
    assert!(template("shopify").with(&[("shop", &"a".repeat(254))]).is_err());
}

proptest! {
    /// Whatever is given for the parameters, it is refused, or it stands where the placeholder stood and nowhere else.
    #[test]
    fn no_value_reaches_beyond_its_place(index in 0..TEMPLATES.len(), value in "[a-z0-9._:/@?#%\\\\{}-]{0,12}") {
        let preset = TEMPLATES[index];
        let mut values = samples(&preset);
        let last = values.len() - 1;
        values[last].1 = &value;
        if let Ok(filled) = preset.with(&values) {
            let url = address::check(&filled.provider.token_endpoint).unwrap();
            let template_slashes = preset.token_endpoint.matches('/').count();
            prop_assert_eq!(url.as_str().matches('/').count(), template_slashes);
            prop_assert_eq!((url.scheme(), url.query(), url.fragment(), url.username()), ("https", None, None, ""));
            let fixed_path = preset.token_endpoint.rsplit('}').next().unwrap();
            prop_assert!(url.as_str().ends_with(fixed_path), "{}", url);
        }
    }
}

#[test]
fn the_pages_of_the_documentation_say_what_the_presets_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers");
    let presets = provider::all();
    let mut pages = vec![("README.md".to_owned(), provider::index(&presets))];
    pages.extend(presets.iter().map(|preset| (format!("{}.md", preset.name), provider::page(preset))));
    for (file, page) in &pages {
        let written = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert_eq!(&written, page, "{file}: run `cargo run -p outlast-oauth --example provider_pages`");
    }
    // One page is written by hand: how to add a preset of one's own.
    let expected: BTreeSet<&str> = pages.iter().map(|(file, _)| file.as_str()).chain(["your-own.md"]).collect();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(expected.contains(name.as_str()), "{name} belongs to no preset");
    }
}
