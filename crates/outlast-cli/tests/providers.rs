//! Which providers are known, and what is told of each.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use outlast::provider;
use support::Bed;

#[test]
fn every_preset_is_listed_on_a_line_of_its_own() {
    let told = Bed::new().run(&["providers"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    let names: Vec<&str> = told.stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let wanted: Vec<&str> = provider::all().iter().map(|preset| preset.name).collect();
    assert_eq!(names, wanted);
    let okta = told.stdout.lines().find(|line| line.trim_start().starts_with("okta ")).unwrap();
    for word in ["Okta, org server", "authorization_code", "supported", "yes", "domain"] {
        assert!(okta.contains(word), "{word}: {okta}");
    }
}

#[test]
fn one_provider_is_told_in_full() {
    let told = Bed::new().run(&["providers", "okta"]);
    assert_eq!(told.code, 0, "{told:?}");
    let snippet = "[grant.okta]\nprovider = \"okta\"\nparameters = { domain = \"…\" }\nclient_id = \"…\"\n";
    assert!(told.stdout.starts_with(&format!("Okta, org server\n\n{snippet}\n")), "{}", told.stdout);
    let preset = provider::find_template("okta").unwrap();
    let facts = [
        preset.token_endpoint,
        preset.issuer.unwrap(),
        preset.authorization_endpoint.unwrap(),
        preset.device_endpoint.unwrap(),
        preset.revocation_endpoint.unwrap(),
        preset.introspection_endpoint.unwrap(),
        preset.parameters[0].meaning,
        preset.documentation,
        preset.documents[0].1,
        preset.quirks[0],
    ];
    for fact in facts {
        assert!(told.stdout.contains(fact), "{fact}: {}", told.stdout);
    }
}

#[test]
fn json_is_an_array_of_all_or_the_object_that_was_named() {
    let bed = Bed::new();
    let all = bed.run(&["providers", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), provider::all().len());
    for (told, preset) in all.as_array().unwrap().iter().zip(provider::all()) {
        assert_eq!(told["name"], preset.name);
        assert_eq!(told["token_endpoint"], preset.token_endpoint);
        assert_eq!(told["rotates"], preset.rotates.as_str());
        assert_eq!(told["idle_life_seconds"].as_u64(), preset.idle_life.map(|life| life.as_secs()));
        assert_eq!(told["configuration"], provider::snippet(&preset));
    }
    let one = bed.run(&["providers", "okta", "--json"]).json();
    assert_eq!(one["parameters"][0]["name"], "domain");
    assert!(all.as_array().unwrap().contains(&one));
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let bed = Bed::new();
    let told = bed.run(&["providers", "gogle"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("did you mean `google`?"), "{told:?}");
    let told = bed.run(&["providers", "zzzzzzzz\u{1b}[2J"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("issuer or token_endpoint") && !told.stderr.contains('\u{1b}'), "{told:?}");
    let told = bed.run(&["providers", "gogle", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&told.stderr).unwrap();
    assert_eq!((told.code, object["code"].as_str()), (78, Some("configuration-invalid")));
}

#[test]
fn the_list_needs_no_configuration() {
    let bed = Bed::new();
    bed.configure("this is no TOML");
    assert_eq!(bed.run(&["providers", "github"]).code, 0);
}

#[test]
fn status_tells_an_end_that_is_only_reckoned_as_such() {
    let bed = Bed::new();
    bed.configure("[grant.g]\nprovider = \"google\"\nclient_id = \"agent\"\n");
    let tokens = br#"{"access_token":"CANARY-a","refresh_token":"CANARY-r","token_type":"Bearer","expires_in":3600}"#;
    let told = bed.run_with_input(&["import", "g"], tokens);
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(bed.run(&["status", "g", "--json"]).json()["grant_ends_estimated"], true);
    assert!(bed.run(&["status"]).stdout.contains("unless renewed"));
}
