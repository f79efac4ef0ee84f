//! Opens an address in the person's browser: a fixed program with arguments, and never a shell
//! (CVE-2025-6514).

use crate::env;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use url::Url;

/// What opens addresses on a desktop.
const DESKTOP: &str = "xdg-open";
/// What stands for the address in `$BROWSER`.
const ADDRESS: &str = "%s";

/// The programs that may open an address, the one to try first at the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Browser {
    programs: Vec<Vec<String>>,
    /// Variables that hold secrets of ours and are none of a browser's business.
    hidden: BTreeSet<String>,
}

impl Browser {
    /// `$BROWSER`, a list with colons between, else what the desktop opens; nothing where there is
    /// neither.
    pub(crate) fn find(hidden: BTreeSet<String>) -> Option<Self> {
        let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::text(name).is_some());
        let programs = programs(env::text("BROWSER").as_deref(), desktop);
        (!programs.is_empty()).then_some(Self { programs, hidden })
    }

    /// Opens `address`, if it is one that a browser should be given. Whether a program could be
    /// started; what it then does is its own affair.
    pub(crate) fn open(&self, address: &str) -> bool {
        let Some(address) = openable(address) else { return false };
        self.programs.iter().any(|words| {
            let words = with_address(words, &address);
            let Some((program, arguments)) = words.split_first() else { return false };
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            for name in &self.hidden {
                command.env_remove(name);
            }
            command.spawn().is_ok()
        })
    }
}

/// http or https and nothing else (N53), as the address library writes it: it then begins with its
/// scheme, and with no hyphen.
fn openable(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

fn programs(browser: Option<&str>, desktop: bool) -> Vec<Vec<String>> {
    match browser {
        Some(list) => {
            // Quoted as for a shell, and no shell is asked; one whose quotes do not end names nothing.
            list.split(':').filter_map(shlex::split).filter(|words| !words.is_empty()).collect()
        }
        None if desktop => vec![vec![DESKTOP.to_owned()]],
        None => Vec::new(),
    }
}

fn with_address(words: &[String], address: &str) -> Vec<String> {
    let named = words.iter().any(|word| word.contains(ADDRESS));
    let filled = words.iter().map(|word| word.replace(ADDRESS, address));
    filled.chain((!named).then(|| address.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n53_only_http_and_https_are_opened_and_never_as_an_option() {
        for address in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "-x",
            "--help",
            "data:text/html,x",
            "",
            "https:",
            "vscode://x",
            "$(reboot)",
        ] {
            assert_eq!(openable(address), None, "{address}");
        }
        let nasty = "https://as.example/authorize?a=$(id)&b=`id`&c=;calc";
        let opened = openable(nasty).unwrap();
        assert!(opened.starts_with("https://as.example/"), "{opened}");
        let words = with_address(&["firefox".to_owned()], &opened);
        assert_eq!(words, ["firefox".to_owned(), opened], "one argument, whatever is in it");
    }

    #[test]
    fn browsers_are_named_as_other_programs_take_them() {
        let words = |list: &str| programs(Some(list), true);
        assert_eq!(words("firefox -P work:w3m %s"), [vec!["firefox", "-P", "work"], vec!["w3m", "%s"]]);
        assert_eq!(words(r#""/opt/a b/web" --name='x y' c\ d"#), [vec!["/opt/a b/web", "--name=x y", "c d"]]);
        assert_eq!(words("'firefox:w3m"), [["w3m"]], "the first names nothing");
        assert_eq!(words("$(id) `id`;reboot"), [["$(id)", "`id`;reboot"]], "words, and nothing is run");
        assert_eq!(with_address(&words("w3m -o x=%s")[0], "https://a/"), ["w3m", "-o", "x=https://a/"]);
        assert_eq!(programs(None, true), [[DESKTOP]]);
        assert!(programs(None, false).is_empty() && words("").is_empty() && words(":").is_empty());
    }
}
