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

/// Writes a preset of one's own beside the configuration.
fn own(bed: &Bed, name: &str, text: &str) {
    let folder = bed.config_path().with_file_name("providers");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

/// A preset with every key, for the sandbox of `bed`, whose token endpoint is a parameter.
fn whole(bed: &Bed) -> String {
    let origin = bed.sandbox.token_endpoint().replace("/token", "");
    format!(
        r#"
display_name = "The sandbox"
issuer = "https://id.example.com"
authorization_endpoint = "{origin}/authorize"
authorization_parameters = {{ audience = "api" }}
exchange_endpoint = "{origin}/{{place}}"
token_endpoint = "{origin}/{{place}}"
device_endpoint = "{origin}/device"
revocation_endpoint = "{origin}/revoke"
introspection_endpoint = "{origin}/introspect"
usual_grant_type = "refresh_token"
client_auth = "client_secret_post"
scope_separator = ","
pkce = "required"
rotates = "yes"
grace = "30s"
idle_life = "60d"
upstreams = ["{api}"]
quirks = ["Answers at once."]
documentation = "https://id.example.com/docs"
documents = {{ lifetimes = "https://id.example.com/lives" }}

[parameters.place]
meaning = "the last part of the address"
one_of = ["token", "tokens"]
"#,
        api = bed.sandbox.api().to_string().trim_end_matches('/')
    )
}

#[test]
fn parameters_are_written_by_add_and_the_provider_says_which_there_are() {
    let bed = Bed::new();
    bed.configure("");
    let add = |more: &[&str]| bed.run(&[&["add", "crm", "--client-id", "agent"], more].concat());
    let told = add(&["--provider", "okta"]);
    told.assert_failed(78, "configuration-invalid");
    assert!(told.stderr.contains("--parameter KEY=VALUE"), "{told:?}");
    for (parameter, why) in [("domian=x.okta.com", "did you mean `domain`?"), ("domain=x y", "host name")] {
        let told = add(&["--provider", "okta", "--parameter", parameter]);
        told.assert_failed(78, "configuration-invalid");
        assert!(told.stderr.contains(why), "{told:?}");
    }
    let twice = add(&["--provider", "okta", "--parameter", "domain=a.okta.com", "--parameter", "domain=b.okta.com"]);
    twice.assert_failed(78, "configuration-invalid");
    for useless in [["--parameter", "domain"].as_slice(), &["--parameter", "=x"], &["--parameter", "domain=x.okta.com"]]
    {
        assert_eq!(add(useless).code, 2, "{useless:?}");
    }
    assert_eq!(std::fs::read_to_string(bed.config_path()).unwrap(), "", "nothing was written so far");
    let told = add(&["--provider", "okta-server", "--parameter", "domain=x.okta.com", "--parameter", "server=default"]);
    assert_eq!(told.code, 0, "{told:?}");
    let written = std::fs::read_to_string(bed.config_path()).unwrap();
    assert!(written.contains("parameters = { domain = \"x.okta.com\", server = \"default\" }\n"), "{written}");
    assert_eq!(bed.run(&["status", "crm"]).code, 0);

    own(&bed, "mine", &whole(&bed));
    let told = bed.run(&["add", "own", "--provider", "mine", "--parameter", "place=token", "--client-id", "agent"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(bed.run(&["status", "own"]).code, 0);
}

#[test]
fn a_preset_of_ones_own_serves_from_the_configuration_to_a_renewed_token() {
    let bed = Bed::with_life(std::time::Duration::from_secs(1));
    own(&bed, "mine", &whole(&bed));
    bed.configure(
        "[grant.crm]\nprovider = \"mine\"\nparameters = { place = \"token\" }\nclient_id = \"sandbox\"\n\
         client_secret = { env = \"CRM_SECRET\" }\n",
    );
    let issued = bed.import("crm");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let told = bed.run(&["token", "crm"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(!told.stdout.trim().is_empty() && !issued.token_response().to_string().contains(told.stdout.trim()));
    let status = bed.run(&["status", "crm", "--json"]).json();
    assert_eq!(status["grant_ends_estimated"], true, "its idle life is known: {status}");
    assert!(status["upstream"].as_str().unwrap().starts_with("http://127.0.0.1"), "{status}");
}

#[test]
fn a_preset_of_ones_own_is_added_by_name_and_serves_a_first_token() {
    let bed = Bed::new();
    let endpoint = bed.sandbox.token_endpoint();
    own(&bed, "mine", &format!("token_endpoint = \"{endpoint}\"\nusual_grant_type = \"client_credentials\"\n"));
    let added =
        bed.run(&["add", "ci", "--provider", "mine", "--client-id", "sandbox", "--client-secret-env", "CRM_SECRET"]);
    assert_eq!(added.code, 0, "{added:?}");
    let told = bed.run(&["token", "ci"]);
    assert!(told.code == 0 && !told.stdout.trim().is_empty(), "{told:?}");
}

#[test]
fn presets_of_ones_own_are_listed_among_the_others_and_marked() {
    let bed = Bed::new();
    own(&bed, "mine", &whole(&bed));
    let told = bed.run(&["providers"]);
    let line = told.stdout.lines().find(|line| line.trim_start().starts_with("mine ")).unwrap();
    assert!(told.code == 0 && line.trim_end().ends_with("own") && line.contains("The sandbox"), "{told:?}");
    assert_eq!(told.stdout.lines().filter(|line| line.trim_end().ends_with(" own")).count(), 2, "and the head");
    let one = bed.run(&["providers", "mine", "--json"]).json();
    let all = bed.run(&["providers", "--json"]).json();
    assert!(all.as_array().unwrap().contains(&one));
    assert_eq!(
        (&one["own"], &one["pkce"], &one["client_auth"]),
        (&true.into(), &"required".into(), &"client_secret_post".into())
    );
    assert_eq!(one["parameters"][0]["one_of"][0], "token");
    assert!(one["file"].as_str().unwrap().ends_with("providers/mine.toml"), "{one}");
    let full = bed.run(&["providers", "mine"]).stdout;
    assert!(full.contains("your own, from ") && full.contains("Answers at once."), "{full}");
    assert_eq!(bed.run(&["providers", "github", "--json"]).json()["own"], false);
    let nearest = bed.run(&["providers", "mien"]);
    assert!(nearest.stderr.contains("did you mean `mine`?"), "{nearest:?}");
}

#[test]
fn a_preset_of_ones_own_goes_before_a_built_in_one_of_its_name_and_says_so() {
    let bed = Bed::new();
    own(&bed, "github", "token_endpoint = \"https://git.example.com/token\"\nusual_grant_type = \"refresh_token\"\n");
    let told = bed.run(&["providers", "github"]);
    assert!(told.stdout.contains("in the place of the built-in one") && told.stdout.contains("git.example.com"));
    let all = bed.run(&["providers", "--json"]).json();
    let named: Vec<_> = all.as_array().unwrap().iter().filter(|one| one["name"] == "github").collect();
    assert!(named.len() == 1 && named[0]["own"] == true, "{named:?}");
}

#[test]
fn a_mistake_in_a_preset_of_ones_own_is_told_with_its_place_and_how_to_mend_it() {
    let bed = Bed::new();
    let endpoint = "token_endpoint = \"https://id.example.com/token\"\n";
    let tenant = "[parameters.tenant]\nmeaning = \"the tenant\"\n";
    for (text, place, wanted) in [
        ("tokn_endpoint = \"x\"\n".to_owned(), ":1:1:", "did you mean `token_endpoint`?"),
        (String::new(), ":1:1:", "no `token_endpoint`"),
        ("token_endpoint = \"http://id.example.com/token\"\n".to_owned(), ":1:18:", "use https"),
        (format!("{endpoint}issuer = \"https://x.example/{{tenant}}\"\n"), ":2:10:", "[parameters.tenant]"),
        (format!("{endpoint}{tenant}"), ":2:2:", "remove the parameter"),
        (format!("{endpoint}pkce = \"requird\"\n"), ":2:8:", "did you mean `required`?"),
        (format!("{endpoint}client_auth = \"none\"\n"), ":2:15:", "client_secret_basic"),
        (format!("{endpoint}upstreams = [\"https://x.example/v1\"]\n"), ":2:13:", "without a path"),
        (format!("{endpoint}usual_grant_type = \"authorization_code\"\n"), ":2:20:", "authorization_endpoint"),
        (format!("{endpoint}idle_life = \"9d\"\nabsolute_life = \"1d\"\n"), ":2:13:", "make it shorter"),
        (format!("{endpoint}{tenant}frm = \"host\"\n"), ":4:1:", "did you mean `form`?"),
        (format!("{endpoint}authorization_parameters = {{ state = \"x\" }}\n"), ":2:28:", "remove it"),
        ("token_endpoint = \n".to_owned(), ":1:18:", "not TOML"),
    ] {
        own(&bed, "mine", &text);
        bed.configure(&format!("[grant.a]\nprovider = \"mine\"\nclient_id = \"x\"\n{}", bed.grant("crm")));
        for arguments in [&["providers", "mine"][..], &["token", "a"], &["add", "b", "--provider", "mine"]] {
            let told = bed.run(arguments);
            assert!(matches!(told.code, 78), "{arguments:?} {told:?}");
            let at = format!("providers/mine.toml{place}");
            assert!(told.stderr.contains(&at) && told.stderr.contains(wanted), "{arguments:?} {told:?}");
        }
        let listed = bed.run(&["providers"]);
        assert!(listed.code == 0 && listed.stderr.contains("not listed: ") && listed.stdout.contains("github"));
    }
    // The other grants of the same configuration go on.
    bed.import("crm");
    assert_eq!(bed.run(&["token", "crm"]).code, 0);
    let doctor = bed.run(&["doctor", "--offline"]);
    assert!(doctor.stdout.contains("providers/mine.toml"), "{doctor:?}");
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_no_preset() {
    let bed = Bed::new();
    std::fs::write(bed.config_path().with_file_name("evil.toml"), "token_endpoint = \"https://evil.example/\"\n")
        .unwrap();
    for name in ["../evil", "./evil", "providers/../../evil", "/etc/evil", ""] {
        bed.configure(&format!("[grant.a]\nprovider = \"{name}\"\nclient_id = \"x\"\n"));
        let told = bed.run(&["token", "a"]);
        assert!(told.code == 78 && !told.stderr.contains("evil.example"), "{told:?}");
    }
}

#[test]
fn the_example_of_the_documentation_is_a_preset_and_a_grant_that_uses_it() {
    let page = include_str!("../../../docs/providers/your-own.md");
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    let [preset, grant] = blocks[..] else { panic!("{blocks:?}") };
    let bed = Bed::new();
    own(&bed, "acme", preset);
    bed.configure(&grant.replace("ACME_SECRET", "CRM_SECRET"));
    let told = bed.run(&["providers", "acme", "--json"]).json();
    let keys: Vec<&str> = preset.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert!(keys.len() > 12 && told["rotates"] == "yes" && told["grace_seconds"] == 30, "{told}");
    let tokens = br#"{"access_token":"CANARY-a","refresh_token":"CANARY-r","token_type":"Bearer","expires_in":3600}"#;
    assert_eq!(bed.run_with_input(&["import", "acme"], tokens).code, 0);
    assert_eq!(bed.run(&["token", "acme"]).stdout.trim(), "CANARY-a");
    assert_eq!(bed.run(&["status", "acme", "--json"]).json()["upstream"], "https://api.example.com/");
}
