//! What must hold for any configuration. Used by the test beside it and by a fuzz target.

use outlast_daemon::config::{Config, HOLD_MAX};
use std::path::Path;

/// A plain secret, as it stands in the good configurations.
const SECRET_LINE: &str = "client_secret = \"CANARY";
/// More than any of our own words; what is repeated of the file is shortened.
const TEXT_BYTES_MAX: usize = 4096;

/// A configuration: what is read keeps its limits, and what is wrong is said in short, without the secrets
/// beside it and with nothing in it that a terminal obeys. Nothing is fetched: that would run commands.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let told = match Config::parse(text, Path::new("/nowhere/outlast.toml")) {
        Ok(config) => {
            assert!(config.proxy().listen.ip().is_loopback() && config.proxy().hold <= HOLD_MAX);
            let ids = config.entries().iter().map(|entry| entry.id.as_str());
            assert!(ids.clone().all(|id| !id.is_empty() && id.len() <= 64 && id.is_ascii()));
            ids.map(|id| config.resolve_one(&format!("{id}?"), &|_| None).map(drop).expect_err("unknown")).collect()
        }
        Err(error) => vec![error],
    };
    for error in told {
        let shown = error.to_string();
        assert!(shown.len() <= TEXT_BYTES_MAX, "{} bytes", shown.len());
        assert!(!shown.chars().any(|character| character.is_control() && character != '\n'), "{shown:?}");
        let beside = text.matches("CANARY").count() == text.matches(SECRET_LINE).count();
        assert!(!(beside && format!("{shown} {error:?}").contains("CANARY")), "{shown}");
    }
}
