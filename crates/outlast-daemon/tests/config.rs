//! The configuration: what is read from it, and what each mistake is told.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

use outlast::{ClientAuth, Code, KeySource, Reach, Secret, Server};
use outlast_daemon::config::{Config, ConfigError, NewGrant, SecretSource, parse_duration};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("outlast.toml"))
}

fn complaint(text: &str) -> (Code, String) {
    let error = parse(text).unwrap_err();
    (error.code(), error.to_string())
}

fn nothing(_: &str) -> Option<String> {
    None
}

const PLAIN: &str = "[grant.crm]\nissuer = \"https://login.example.com\"\nclient_id = \"agent\"\n";

/// A file in a folder of its own, with this mode.
fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outlast.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[test]
fn a_file_that_is_too_large_is_refused_and_never_read_in_part() {
    let comment = format!("# {}\n", "x".repeat(1024 * 1024));
    for text in [format!("{comment}{PLAIN}"), format!("{PLAIN}{comment}")] {
        let (_folder, path) = file(&text, 0o600);
        let error = Config::load(&path).unwrap_err();
        assert_eq!(error.code(), Code::ConfigurationInvalid);
        assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
    }
}

#[test]
fn a_full_grant_is_read_as_it_was_meant() {
    let text = r#"
        [grant.crm]
        provider = "salesforce"
        grant_type = "client_credentials"
        client_id = "3MVG9"
        client_secret = { env = "CRM_SECRET" }
        scope = ["api", "refresh_token"]
        resource = "https://api.example.com"
        upstream = "https://api.example.com/base/"

        [proxy]
        listen = "[::1]:0"
        hold = "30m"

        [key]
        source = "passphrase"
        passphrase = { env = "PASS" }
    "#;
    let config = parse(text).unwrap();
    let environment = |name: &str| Some(format!("value of {name}"));
    let [crm] = config.grants(&environment).unwrap().try_into().unwrap();
    assert_eq!(crm.grant_type, "client_credentials");
    assert_eq!(crm.client_id, "3MVG9");
    assert_eq!(crm.client_auth, ClientAuth::Post(Secret::new("value of CRM_SECRET")), "as the provider documents it");
    assert_eq!(crm.scope, ["api", "refresh_token"]);
    assert_eq!(crm.resource.as_deref(), Some("https://api.example.com"));
    assert_eq!(crm.upstream.unwrap().to_string(), "https://api.example.com/base");
    assert_eq!(crm.quirks, "salesforce");
    let Server::Known(provider) = crm.server else { panic!("a preset is known") };
    assert_eq!(provider.token_endpoint, "https://login.salesforce.com/services/oauth2/token");
    assert_eq!(config.proxy().listen.to_string(), "[::1]:0");
    assert_eq!(config.proxy().hold, Duration::from_secs(1800));
    let KeySource::Passphrase(passphrase) = config.key_source(&environment).unwrap() else { panic!("a passphrase") };
    assert_eq!(passphrase, Secret::new("value of PASS"));
}

#[test]
fn what_is_left_out_has_its_usual_value() {
    let config = parse(PLAIN).unwrap();
    let crm = config.resolve_one("crm", &nothing).unwrap();
    assert_eq!(crm.server, Server::Issuer("https://login.example.com".to_owned()));
    assert_eq!((crm.grant_type.as_str(), crm.client_auth), ("authorization_code", ClientAuth::None));
    assert_eq!(config.proxy().listen.to_string(), "127.0.0.1:7788");
    assert_eq!(config.proxy().hold, Duration::from_secs(20));
    assert!(matches!(config.key_source(&nothing).unwrap(), KeySource::File));

    let endpoint =
        "[grant.x]\ntoken_endpoint = \"http://127.0.0.1:9/token\"\nclient_secret = { env = \"S\" }\nscope = \"a b\"";
    let x = parse(endpoint).unwrap().resolve_one("x", &|_| Some("s".to_owned())).unwrap();
    assert_eq!((x.grant_type.as_str(), x.scope), ("refresh_token", vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(x.client_auth, ClientAuth::Basic(Secret::new("s")));
    assert!(parse("").unwrap().entries().is_empty());
}

#[test]
fn n40_how_far_a_server_may_lead_is_read_and_one_that_was_found_leads_to_the_open_internet_alone() {
    let server = |more: &str| parse(&format!("{PLAIN}{more}\n")).unwrap().entries()[0].server.clone();
    let issuer = || "https://login.example.com".to_owned();
    let found = |reach| Server::Found { issuer: issuer(), reach };
    for (more, wanted) in [
        ("", Server::Issuer(issuer())),
        ("mcp = false", Server::Issuer(issuer())),
        ("mcp = true", found(Reach::Public)),
        ("reach = \"public\"", found(Reach::Public)),
        ("mcp = true\nreach = \"private\"", found(Reach::Private)),
        ("mcp = true\nreach = \"loopback\"", found(Reach::Loopback)),
        ("mcp = true\nreach = \"anywhere\"", Server::Issuer(issuer())),
    ] {
        assert_eq!(server(more), wanted, "{more}");
    }
    let (code, text) = complaint(&format!("{PLAIN}reach = \"privat\""));
    assert_eq!(code, Code::ConfigurationInvalid);
    assert!(text.contains("unknown reach `privat`; did you mean `private`?"), "{text}");
    let (_, text) = complaint("[grant.x]\ntoken_endpoint = \"https://a.example/token\"\nreach = \"public\"");
    assert!(text.contains("[grant.x] has `reach`, and no `issuer` that it is about; remove the line"), "{text}");
}

#[test]
fn unknown_keys_are_told_the_nearest_known_one_and_their_place() {
    let table = [
        (
            "[grant.crm]\n  provder = \"x\"",
            "outlast.toml:2:3: unknown key `provder` in [grant.crm]; did you mean `provider`?",
        ),
        (
            "[grants.crm]\nissuer = \"x\"",
            "outlast.toml:1:2: unknown key `grants` in the configuration; did you mean `grant`?",
        ),
        ("[proxy]\nlistn = \"x\"", "outlast.toml:2:1: unknown key `listn` in [proxy]; did you mean `listen`?"),
        ("[key]\nsorce = \"x\"", "outlast.toml:2:1: unknown key `sorce` in [key]; did you mean `source`?"),
        (
            "[grant.crm]\nissuer = \"https://a.example\"\nclient_secret = { envv = \"X\" }",
            "outlast.toml:3:19: unknown key in `client_secret` of [grant.crm]; did you mean `env`?",
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(complaint(text), (Code::ConfigurationInvalid, wanted.to_owned()));
    }
    let (_, told) = complaint("[grant.crm]\nissuer = \"https://a.example\"\nwhatever = 1");
    let wanted = "outlast.toml:3:1: unknown key `whatever` in [grant.crm]; known keys are ";
    let keys = told.strip_prefix(wanted).unwrap_or_else(|| panic!("{told}"));
    assert!(keys.contains("client_id") && keys.split(", ").is_sorted(), "{keys}");
}

#[test]
fn unknown_values_are_told_the_nearest_known_one() {
    let with = |line: &str| format!("{PLAIN}{line}\n");
    for (text, wanted) in [
        ("[grant.x]\nprovider = \"sales-force\"".to_owned(), "did you mean `salesforce`?"),
        (with("grant_type = \"client_credential\""), "did you mean `client_credentials`?"),
        (
            with("client_secret = { env = \"X\" }\nclient_auth = \"client_secret_basc\""),
            "did you mean `client_secret_basic`?",
        ),
        (format!("{PLAIN}[key]\nsource = \"keyrng\""), "did you mean `keyring`?"),
    ] {
        assert!(complaint(&text).1.contains(wanted), "{}", complaint(&text).1);
    }
}

#[test]
fn mistakes_are_told_with_their_mend() {
    let with = |line: &str| format!("{PLAIN}{line}\n");
    let invalid = Code::ConfigurationInvalid;
    let insecure = Code::InsecureAddress;
    let table = [
        (with("token_endpoint = \"https://a.example/token\""), invalid, "keep one of"),
        ("[grant.x]\nclient_id = \"a\"".to_owned(), invalid, "set one of provider, issuer, token_endpoint"),
        ("[grant.x]\nissuer = \"http://login.example.com\"".to_owned(), insecure, "https"),
        ("[grant.x]\ntoken_endpoint = \"http://10.0.0.1/token\"".to_owned(), insecure, "https"),
        ("[grant.x]\nissuer = \"login.example.com\"".to_owned(), invalid, "https://host"),
        ("[grant.x]\nissuer = \"https://u:p@login.example.com\"".to_owned(), insecure, "user name"),
        ("[grant.\"a/b\"]\nissuer = \"https://a.example\"".to_owned(), invalid, "letters, digits"),
        ("grant = 1".to_owned(), invalid, "give a table"),
        ("[grant]\ncrm = 1".to_owned(), invalid, "[grant.NAME]"),
        (with("upstream = \"http://api.example.com\""), insecure, "https"),
        (with("upstream = \"https://u@api.example.com\""), insecure, "user name"),
        (with("upstream = \"https://api.example.com?x=1\""), invalid, "query"),
        (with("upstream = \"https://api.example.com#x\""), invalid, "fragment"),
        (with("upstream = \"https://api.example.com/a/../b\""), invalid, "plain"),
        (with("upstream = \"https://api.example.com/%2e\""), invalid, "plain"),
        (with("upstream = \"ftp://api.example.com\""), insecure, "https"),
        (with("resource = \"/v1\""), invalid, "absolute"),
        (with("resource = \"https://a.example/#x\""), invalid, "fragment"),
        (with("scope = 7"), invalid, "list of strings"),
        (with("scope = [\"a b\"]"), invalid, "string of its own"),
        (with("client_id = \"x\""), invalid, "not TOML"),
        (with("client_auth = \"client_secret_post\""), invalid, "there is no client_secret"),
        (with("client_secret = { env = \"X\" }\nclient_auth = \"none\""), invalid, "remove one"),
        (with("client_secret = { env = \"X\", file = \"y\" }"), invalid, "exactly one"),
        (with("client_secret = { command = [] }"), invalid, "program"),
        (with("client_secret = { keyring = \"x\" }"), invalid, "service/user"),
        (with("client_secret = 7"), invalid, "source such as"),
        (with("grant_type = \"client_credentials\""), invalid, "client_secret"),
        (format!("{PLAIN}[proxy]\nlisten = \"0.0.0.0:7788\""), insecure, "loopback"),
        (format!("{PLAIN}[proxy]\nlisten = \"localhost\""), invalid, "an address and a port"),
        (format!("{PLAIN}[proxy]\nhold = \"soon\""), invalid, "length of time"),
        (format!("{PLAIN}[proxy]\nhold = -1"), invalid, "length of time"),
        (format!("{PLAIN}[proxy]\nhold = \"25h\""), invalid, "at most"),
        (format!("{PLAIN}[key]\nsource = \"passphrase\""), invalid, "set passphrase"),
        (format!("{PLAIN}[key]\nsource = \"file\"\npassphrase = {{ env = \"X\" }}"), invalid, "remove the passphrase"),
    ];
    for (text, code, wanted) in table {
        let (found, told) = complaint(&text);
        assert_eq!(found, code, "{told}");
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn no_error_repeats_a_secret() {
    for text in [
        "[grant.x]\nclient_secret = \"CANARY\"\nprovider = 7",
        "[grant.x]\nclient_secret = \"CANARY",
        "[grant.x]\nclient_secret = CANARY",
        // Put where the source belongs.
        "[grant.x]\nissuer = \"https://a.example\"\nclient_secret = { CANARY = \"x\" }",
        "[grant.x]\nissuer = \"https://a.example\"\nclient_secret = { \"CANARY-env\" = \"x\", env = \"X\" }",
        "[grant.x]\nissuer = \"https://a.example\"\nclient_secret = { CANARY = 1, CANARY = 2 }",
        "[grant.x]\nissuer = \"https://a.example\"\nclient_secret = { file.CANARY = 1 }",
        "[grant.x]\nissuer = \"https://a.example\"\n[grant.x.client_secret]\nCANARY = \"x\"",
        "[grant.x]\nissuer = \"https://CANARY:CANARY@a.example\"",
        "[grant.x]\nissuer = \"https://a.example\"\nclient_secret = { command = [\"false\", \"CANARY\"], env = \"X\" }",
    ] {
        let error = parse(text).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("CANARY"), "{told}");
    }
    let config = parse("[grant.x]\nissuer = \"https://a.example\"\nclient_secret = \"CANARY\"").unwrap();
    assert!(!format!("{config:?}").contains("CANARY"));
}

#[test]
fn a_secret_in_plain_text_is_only_taken_from_a_file_nobody_else_can_open() {
    let text = format!("{PLAIN}client_secret = \"s3cret\"\n");
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let (_folder, path) = file(&text, mode);
        let error = Config::load(&path).unwrap_err();
        assert_eq!((error.code(), error.place), (Code::ConfigurationInvalid, Some((4, 17))), "{mode:o}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let (_folder, path) = file(&text, 0o600);
    assert!(Config::load(&path).unwrap().resolve_one("crm", &nothing).is_ok());
    // Without a secret in it, the file may be shared.
    let (_folder, path) = file(PLAIN, 0o644);
    assert!(Config::load(&path).is_ok());
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_mend() {
    let error = Config::load(Path::new("/nonexistent/outlast.toml")).unwrap_err();
    assert_eq!(error.code(), Code::ConfigurationInvalid);
    assert!(error.to_string().contains("outlast add"), "{error}");
}

#[test]
fn a_broken_secret_of_one_grant_is_nobody_elses_trouble() {
    let text =
        format!("{PLAIN}[grant.broken]\nissuer = \"https://b.example\"\nclient_secret = {{ env = \"UNSET\" }}\n");
    let config = parse(&text).unwrap();
    assert!(config.resolve_one("crm", &nothing).is_ok());
    let error = config.resolve_one("broken", &nothing).unwrap_err();
    assert!(error.to_string().contains("set UNSET"), "{error}");
    assert!(config.grants(&nothing).is_err());
    let each = config.resolve_each(&nothing);
    assert_eq!(each.iter().filter(|grant| grant.is_ok()).count(), 1);
}

#[test]
fn an_unknown_grant_is_told_the_nearest() {
    let error = parse(PLAIN).unwrap().resolve_one("cmr", &nothing).unwrap_err();
    assert_eq!(error.code(), Code::GrantUnknown);
    assert!(error.to_string().contains("did you mean `crm`?"), "{error}");
}

fn secret_of(source: &str, folder: &Path) -> Result<ClientAuth, ConfigError> {
    let text = format!("{PLAIN}client_secret = {source}\n");
    let config = Config::parse(&text, &folder.join("outlast.toml"))?;
    Ok(config.resolve_one("crm", &|name| (name == "HOME").then(|| folder.display().to_string()))?.client_auth)
}

#[test]
fn secrets_are_read_from_files_that_only_their_owner_can_open() {
    let (folder, _) = file("", 0o600);
    let path = folder.path().join("secret");
    std::fs::write(&path, "from file\n").unwrap();
    for mode in [0o640, 0o604] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let told = secret_of("{ file = \"secret\" }", folder.path()).unwrap_err().to_string();
        assert!(told.contains("chmod 600") && !told.contains("from file"), "{told}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let wanted = ClientAuth::Basic(Secret::new("from file"));
    assert_eq!(secret_of("{ file = \"secret\" }", folder.path()).unwrap(), wanted);
    assert_eq!(secret_of("{ file = \"~/secret\" }", folder.path()).unwrap(), wanted);
    std::fs::write(&path, "\n").unwrap();
    assert!(secret_of("{ file = \"secret\" }", folder.path()).unwrap_err().to_string().contains("empty"));
    std::fs::write(&path, "x".repeat(64 * 1024 + 1)).unwrap();
    assert!(secret_of("{ file = \"secret\" }", folder.path()).unwrap_err().to_string().contains("longer"));
    assert!(secret_of("{ file = \"missing\" }", folder.path()).is_err());
    assert!(secret_of("{ file = \"/\" }", folder.path()).is_err());
}

#[test]
fn secrets_are_read_from_commands_and_no_shell_sees_them() {
    let (folder, _) = file("", 0o600);
    let printed = secret_of(r#"{ command = ["printf", "%s\n", "$HOME;x"] }"#, folder.path()).unwrap();
    assert_eq!(printed, ClientAuth::Basic(Secret::new("$HOME;x")));
    for (source, wanted) in [
        (r#"{ command = ["false"] }"#, "failed"),
        (r#"{ command = ["true"] }"#, "empty"),
        (r#"{ command = ["no-such-program-here", "CANARY"] }"#, "cannot be started"),
        (r#"{ command = ["sh", "-c", "printf CANARY; exit 3"] }"#, "failed"),
        (r#"{ command = ["head", "-c", "70000", "/dev/zero"] }"#, "longer"),
    ] {
        let told = secret_of(source, folder.path()).unwrap_err().to_string();
        assert!(told.contains(wanted) && !told.contains("CANARY"), "{told}");
    }
}

#[test]
fn lengths_of_time_are_read_with_their_unit() {
    let secs = Duration::from_secs;
    for (text, wanted) in [
        ("30s", Some(secs(30))),
        ("5m", Some(secs(300))),
        ("2h", Some(secs(7200))),
        ("1d", Some(secs(86_400))),
        ("500ms", Some(Duration::from_millis(500))),
        ("7", Some(secs(7))),
        (" 20 s ", Some(secs(20))),
        ("", None),
        ("s", None),
        ("-5s", None),
        ("1.5h", None),
        ("5 weeks", None),
        ("99999999999999999999s", None),
        ("18446744073709551615h", None),
    ] {
        assert_eq!(parse_duration(text), wanted, "{text:?}");
    }
}

#[test]
fn an_added_grant_leaves_the_rest_of_the_file_as_it_was() {
    let existing = "# mine\n[proxy]\nhold = '20s'   # why\n\n\n[grant.old]\nissuer = \"https://a.example\"";
    let grant = NewGrant {
        token_endpoint: Some("https://b.example/token".to_owned()),
        client_id: Some("a\"b\\c".to_owned()),
        client_secret: Some(SecretSource::Command(vec!["pass".to_owned(), "show it".to_owned()])),
        scope: vec!["x".to_owned(), "y".to_owned()],
        upstream: Some("https://api.example.com".to_owned()),
        ..NewGrant::default()
    };
    let path = Path::new("outlast.toml");
    let text = Config::add_grant_text(existing, "new.one", &grant, path).unwrap();
    assert!(text.starts_with(existing));
    let config = parse(&text).unwrap();
    let added = config.entries().iter().find(|entry| entry.id.as_str() == "new.one").unwrap();
    assert_eq!(added.client_id, "a\"b\\c");
    assert_eq!(added.scope, ["x", "y"]);
    assert_eq!(added.client.secret, grant.client_secret);
    assert!(Config::add_grant_text(&text, "new.one", &grant, path).is_err(), "a second one of that name");
    assert!(Config::add_grant_text("", "a b", &grant, path).is_err(), "no name for a grant");
    let plain = NewGrant { client_secret: Some(SecretSource::Plain(Secret::new("CANARY"))), ..grant };
    let error = Config::add_grant_text("", "x", &plain, path).unwrap_err();
    assert!(!error.to_string().contains("CANARY"));
}

#[test]
fn parameters_fill_in_the_addresses_of_a_provider() {
    let text = "[grant.sso]\nprovider = \"okta\"\nparameters = { domain = \"example.okta.com\" }\n";
    let sso = parse(text).unwrap().resolve_one("sso", &nothing).unwrap();
    let Server::Known(provider) = sso.server else { panic!("a preset is known") };
    assert_eq!(provider.token_endpoint, "https://example.okta.com/oauth2/v1/token");
    assert_eq!(provider.issuer.as_deref(), Some("https://example.okta.com"));
    assert_eq!(sso.quirks, "okta");
    assert_eq!(sso.upstream.unwrap().to_string(), "https://example.okta.com/");
}

#[test]
fn what_is_wrong_with_parameters_is_told_with_its_place_and_what_is_needed() {
    let okta = |line: &str| format!("[grant.x]\nprovider = \"okta\"\n{line}\n");
    let needs = "provider `okta` needs the parameter `domain`; set parameters = { domain = \"…\" } \
                 (outlast add: --parameter KEY=VALUE), where it is the \
                 org's domain, such as example.okta.com";
    let table = [
        (okta(""), format!("outlast.toml:2:12: {needs}")),
        (okta("parameters = {}"), format!("outlast.toml:3:14: {needs}")),
        (
            okta("parameters = { domian = \"a.example\" }"),
            "outlast.toml:3:16: provider `okta` has no parameter `domian`; did you mean `domain`?".to_owned(),
        ),
        (
            okta("parameters = { domain = \"a.example\", colour = \"x\" }"),
            "outlast.toml:3:38: provider `okta` has no parameter `colour`; set parameters = { domain = \"…\" } \
             (outlast add: --parameter KEY=VALUE)".to_owned(),
        ),
        (
            okta("parameters = { domain = \"a.example/evil?\" }"),
            "outlast.toml:3:25: the parameter `domain` of provider `okta` does not fit; give the org's domain, such as \
             example.okta.com (a host name such as login.example.com)"
                .to_owned(),
        ),
        (
            okta("parameters = { domain = 7 }"),
            "outlast.toml:3:25: `domain` in `parameters` has the wrong type; give a string".to_owned(),
        ),
        (
            okta("parameters = \"a.example\""),
            "outlast.toml:3:14: `parameters` in [grant.x] has the wrong type; give a table".to_owned(),
        ),
        (
            "[grant.x]\nprovider = \"github\"\nparameters = { domain = \"a.example\" }".to_owned(),
            "outlast.toml:3:14: provider `github` has no parameters; remove `parameters`".to_owned(),
        ),
        (
            format!("{PLAIN}parameters = {{ domain = \"a.example\" }}"),
            "outlast.toml:4:14: [grant.crm] has `parameters` and names no provider; remove `parameters`, or name the \
             server by `provider`"
                .to_owned(),
        ),
        (
            "[grant.x]\nprovider = \"okta-servr\"".to_owned(),
            "outlast.toml:2:12: unknown provider `okta-servr`; did you mean `okta-server`?".to_owned(),
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(complaint(&text), (Code::ConfigurationInvalid, wanted));
    }
}

#[test]
fn the_one_documented_upstream_of_a_provider_is_taken_unless_another_is_named() {
    let upstream = |text: &str| {
        let settings = parse(text).unwrap().resolve_one("x", &nothing).unwrap();
        settings.upstream.map(|upstream| upstream.to_string())
    };
    let github = "[grant.x]\nprovider = \"github\"\n";
    assert_eq!(upstream(github).as_deref(), Some("https://api.github.com/"));
    let other = format!("{github}upstream = \"https://uploads.github.com\"");
    assert_eq!(upstream(&other).as_deref(), Some("https://uploads.github.com/"));
    for preset in outlast::provider::TABLE.iter().filter(|preset| preset.upstreams.len() != 1) {
        let text = format!("[grant.x]\nprovider = \"{}\"\n", preset.name);
        assert_eq!(upstream(&text), None, "{} documents {:?}", preset.name, preset.upstreams);
    }
    assert!(outlast::provider::TABLE.iter().any(|preset| preset.upstreams.len() > 1), "so the above says something");
}

#[test]
fn the_table_that_is_shown_for_a_provider_is_read_once_it_is_filled_in() {
    use outlast::provider::{self, Form};
    for preset in provider::all() {
        let mut text = provider::snippet(&preset)
            .replace("env = \"…\"", "env = \"SECRET\"")
            .replace("upstream = \"…\"", "upstream = \"https://api.example.com\"");
        for parameter in preset.parameters {
            let value = match parameter.form {
                Form::Host => "login.example.com",
                Form::Name => "example",
                Form::OneOf(values) => values[0],
            };
            text = text.replace(&format!("{} = \"…\"", parameter.name), &format!("{} = \"{value}\"", parameter.name));
        }
        let read = parse(&text).and_then(|config| config.resolve_one(preset.name, &|_| Some("s".to_owned())));
        let settings = read.unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(settings.upstream.is_some(), "{text}");
        let Server::Known(provider) = settings.server else { panic!("a preset is known") };
        assert!(!provider.token_endpoint.contains(['{', '…']), "{}", provider.token_endpoint);
    }
}

#[test]
fn d4_a_grace_of_nothing_can_be_said_of_a_grant_and_comes_before_the_documents() {
    let of = |text: &str| parse(text).unwrap().entries()[0].grace;
    assert_eq!(of(PLAIN), None);
    assert_eq!(of(&format!("{PLAIN}grace = \"0s\"\n")), Some(Duration::ZERO));
    let xero = "[grant.crm]\nprovider = \"xero\"\nclient_id = \"a\"\n";
    assert_eq!(of(xero), Some(Duration::from_secs(30 * 60)));
    assert_eq!(of(&format!("{xero}grace = 0\n")), Some(Duration::ZERO));
    let minted = format!("{PLAIN}grant_type = \"client_credentials\"\nclient_secret = {{ env = \"S\" }}\ngrace = 0\n");
    assert!(complaint(&minted).1.contains("no refresh token of this grant is replaced"), "{}", complaint(&minted).1);
}

#[test]
fn f47_keep_alive_in_the_configuration_comes_before_the_documents() {
    let table = "[grant.crm]\nprovider = \"microsoft\"\nclient_id = \"a\"\n";
    let within = |more: &str| parse(&format!("{table}{more}")).unwrap().entries()[0].renew_within;
    let documented = within("").expect("microsoft documents an idle life");
    assert_eq!(within("keep_alive = \"3d\"\n"), Some(Duration::from_secs(3 * 86_400)));
    assert_eq!(within("keep_alive = \"off\"\n"), None);
    assert!(documented > Duration::from_secs(3 * 86_400));
    for (more, wanted) in [("keep_alive = \"now\"\n", "length of time"), ("keep_alive = 0\n", "is nothing")] {
        assert!(complaint(&format!("{table}{more}")).1.contains(wanted), "{more}");
    }
    let minted = format!("{table}grant_type = \"client_credentials\"\nclient_secret = {{ env = \"S\" }}\n");
    assert!(complaint(&format!("{minted}keep_alive = \"1d\"\n")).1.contains("does not end by being idle"));
    assert_eq!(parse(&minted).unwrap().entries()[0].renew_within, None, "nothing to keep alive");
}

#[test]
fn a_header_of_its_own_and_a_life_are_read_for_every_grant_type() {
    let text = format!("{PLAIN}header = \"X-Api-Key\"\nheader_format = \"key {{token}}\"\ntoken_life = \"90m\"\n");
    let [crm] = parse(&text).unwrap().grants(&nothing).unwrap().try_into().unwrap();
    assert_eq!(crm.presentation, outlast::Presentation::new(Some("x-api-key"), Some("key {token}")).unwrap());
    assert_eq!(crm.token_life, Some(Duration::from_secs(90 * 60)));
    for (more, wanted) in [
        ("header = \"a b\"\n", "outlast.toml:4:10: `header` in [grant.crm]"),
        ("header = \"Host\"\n", "frames the request"),
        ("header_format = \"no place\"\n", "outlast.toml:4:17: `header_format` in [grant.crm]"),
        ("token_life = 0\n", "`token_life` in [grant.crm] is nothing"),
    ] {
        let told = complaint(&format!("{PLAIN}{more}")).1;
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn n51_a_document_is_an_https_address_and_the_only_thing_that_says_who_the_client_is() {
    let with =
        |line: &str| format!("[grant.notes]\nissuer = \"https://login.example.com\"\nclient_document = \"{line}\n");
    let entry = parse(&with("https://client.example.com/outlast.json\"")).unwrap();
    let document = entry.entries()[0].without_secrets().login.client_document;
    assert_eq!(document.as_deref(), Some("https://client.example.com/outlast.json"));
    for (line, said) in [
        ("http://127.0.0.1/c.json\"", "is not https"),
        ("https://client.example.com/\"", "has no path"),
        ("https://user:CANARY@client.example.com/c\"", "has a user name or password in it"),
        ("https://c.example/c\"\nclient_id = \"agent\"", "client_document and client_id"),
        ("https://c.example/c\"\nclient_secret = { env = \"S\" }", "client_document and client_secret"),
        ("https://c.example/c\"\ngrant_type = \"client_credentials\"", "nobody signs in"),
    ] {
        let (code, told) = complaint(&with(line));
        assert!(code == Code::ConfigurationInvalid && told.contains(said), "{line}: {told}");
        assert!(!told.contains("CANARY"), "{told}");
    }
}
