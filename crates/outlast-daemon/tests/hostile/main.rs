//! Configurations and task plans as nobody would write them on purpose (T9): good ones, cut at every byte and
//! mutated some thousand times. `fuzz/` goes further with the same checks.

#![allow(clippy::unwrap_used, missing_docs)]

#[expect(unreachable_pub, reason = "the fuzz targets take the checks in by path")]
mod check;

use outlast_daemon::config::Config;
use outlast_daemon::task_plan::PlanFile;
use outlast_testkit::mutation::try_all;
use std::path::Path;

const COUNT: usize = 10_000;

const FILES: &[&[u8]] = &[
    br#"
[grant.crm]
issuer = "https://login.example.com"
grant_type = "refresh_token"
client_id = "abc"
client_secret = "CANARY-0f93"
scope = ["read", "write"]
upstream = "https://api.example.com/v1"

[proxy]
listen = "127.0.0.1:7788"
hold = "20s"

[key]
source = "keyring"
"#,
    br#"
[grant.a]
provider = "github"
client_id = "Iv1.1"
client_secret = { env = "A_SECRET" }
[grant.b]
grant_type = "client_credentials"
token_endpoint = "https://login.example.com/token"
private_key = { file = "/data/key.pem" }
key_id = "1"
algorithm = "ES256"
client_id = "b"
dpop = true
[grant.c]
grant_type = "token_exchange"
subject_grant = "a"
token_endpoint = "https://login.example.com/token"
"#,
    br#"
[grant.key]
grant_type = "api_key"
key = { file = "key" }
header = "x-api-key"
header_format = "{token}"
rotate_every = "30d"
overlap = "1h"
new_key = { post = "https://api.example.com/keys", body = "{}", read = "/data/key" }
[grant.gh]
grant_type = "delegate"
command = ["gh", "auth", "token"]
token_life = "8h"
"#,
];

#[test]
fn the_good_ones_are_good() {
    for file in FILES {
        let config = Config::parse(std::str::from_utf8(file).unwrap(), Path::new("/nowhere/outlast.toml")).unwrap();
        for entry in config.entries() {
            assert!(entry.fault.is_none(), "{:?}", entry.fault);
        }
    }
}

#[test]
fn t9_a_configuration_with_endless_words_is_not_repeated_in_full() {
    let word = "n".repeat(100_000);
    for text in [
        format!("{word} = 1"),
        format!("[grant.{word}]"),
        format!("[grant.a]\n{word} = 1"),
        format!("[grant.a]\nissuer = \"{word}\""),
        format!("[grant.a]\nprovider = \"{word}\""),
        format!("[grant.a]\ngrant_type = \"{word}\""),
        format!("[grant.a]\nprovider = \"github\"\nheader = \"{word}\"\nscope = \"{word}\""),
        format!("[proxy]\nlisten = \"{word}\""),
        format!("[proxy]\nhold = \"{word}\""),
        format!("[key]\nsource = \"{word}\""),
        format!("x = \"{word}"),
    ] {
        check::configuration(text.as_bytes());
    }
}

#[test]
fn t9_configurations() {
    try_all(FILES, COUNT, check::configuration);
}

const PLANS: &[&[u8]] = &[
    include_bytes!("../fixtures/whole_plan.toml"),
    b"[task]\nid = \"t\"\n[[step]]\nkey = \"a\"\nfor_each = [1, { id = \"x\" }]\ncommand = [\"echo\", \"{{ item }}\"]\n\
      [[step]]\nkey = \"b\"\nrequest = { url = \"https://example.com/{{ a.0 }}\", body = \"{{ a }}\" }\n\0[{\"id\": \"y\"}]",
    b"[task]\nid = \"t\"\n[[step]]\nkey = \"a\"\ncommand = [\"x\"]\n[[step]]\nkey = \"b\"\nfor_each = \"{{ a }}\"\n\
      command = [\"x\", \"{{ item.n }}\"]\n\0[{\"n\": 1}, {\"n\": 2}]",
];

#[test]
fn the_good_plans_are_good() {
    for input in PLANS {
        let text = input.split(|byte| *byte == 0).next().unwrap();
        PlanFile::parse(std::str::from_utf8(text).unwrap(), Path::new("plan.toml")).unwrap();
    }
}

#[test]
fn t9_plans() {
    try_all(PLANS, COUNT, check::plan);
}
