//! API keys that stand in the configuration.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at the first surprise")]

mod support;

use support::Bed;

#[test]
fn a_configured_key_is_served_and_a_changed_one_takes_effect_at_once() {
    let bed = Bed::new();
    bed.configure("[grant.weather]\ngrant_type = \"api_key\"\nkey = { file = \"weather.key\" }\n");
    let path = bed.config_path().with_file_name("weather.key");
    for key in ["CANARY-key-1", "CANARY-key-2"] {
        std::fs::write(&path, format!("{key}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for _ in 0..2 {
            let said = bed.run(&["token", "weather"]);
            assert_eq!((said.code, said.stdout.trim()), (0, key), "{said:?}");
        }
        let status = bed.run(&["status", "weather", "--json"]);
        assert!(status.code == 0 && !status.stdout.contains("CANARY"), "{status:?}");
    }
    assert_eq!(bed.generation("weather"), 2, "a key that did not change is not written again");
}

#[test]
fn a_grant_without_its_key_is_a_mistake_in_the_configuration() {
    let bed = Bed::new();
    bed.configure("[grant.weather]\ngrant_type = \"api_key\"\n");
    let said = bed.run(&["token", "weather"]);
    assert!(said.code == 78 && said.stderr.contains("no `key`"), "{said:?}");
}
