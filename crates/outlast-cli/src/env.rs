//! The only file that reads the environment.

use crate::exit::Fault;
use outlast::Code;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where Outlast finds its files.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// The folder of the store.
    pub(crate) home: PathBuf,
    /// The control socket.
    pub(crate) socket: PathBuf,
}

impl Places {
    /// The file that lets local programs use a sidecar started with `outlast serve`.
    pub(crate) fn capability(&self) -> PathBuf {
        self.home.join("capability")
    }
}

/// Where the files are, by the environment: what is said outright, else the XDG base directories.
pub(crate) fn places() -> Result<Places, Fault> {
    resolve(&|name| read(name))
}

/// A variable's text; nothing if it is unset, empty or no text.
pub(crate) fn text(name: &str) -> Option<String> {
    read(name).and_then(|value| value.into_string().ok())
}

/// What to log; nothing is logged without it.
pub(crate) fn log_filter() -> Option<String> {
    text("OUTLAST_LOG")
}

/// Whether whoever runs this asked for output without colour (<https://no-color.org>).
pub(crate) fn no_colour() -> bool {
    read("NO_COLOR").is_some() || text("TERM").as_deref() == Some("dumb")
}

/// The task that whoever runs this is part of.
pub(crate) fn task() -> Option<String> {
    text("OUTLAST_TASK")
}

/// The control socket that whoever runs this was told of.
pub(crate) fn socket() -> Option<PathBuf> {
    read("OUTLAST_SOCKET").map(PathBuf::from)
}

/// The step that whoever runs this is part of.
pub(crate) fn step() -> Option<String> {
    text("OUTLAST_STEP")
}

/// For how long the runner of the task lets a step wait; nothing outside of one.
pub(crate) fn hold() -> Option<Duration> {
    text("OUTLAST_HOLD").and_then(|text| crate::words::parse_duration(&text).ok())
}

/// The command line without the program's name.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// A folder of the machine for files that may be lost.
pub(crate) fn temporary_folder() -> PathBuf {
    std::env::temp_dir()
}

#[expect(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn resolve(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Places, Fault> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    // XDG: a relative path there is invalid and to be ignored.
    let base = |name: &str| path(name).filter(|path| path.is_absolute());
    let under_home = |tail: &str, name: &str| {
        path("HOME").filter(|home| home.is_absolute()).map(|home| home.join(tail)).ok_or_else(|| nowhere(name))
    };
    let config = match (path("OUTLAST_CONFIG"), base("XDG_CONFIG_HOME")) {
        (Some(config), _) => config,
        (None, Some(folder)) => folder.join("outlast/outlast.toml"),
        (None, None) => under_home(".config/outlast/outlast.toml", "OUTLAST_CONFIG")?,
    };
    let home = match (path("OUTLAST_HOME"), base("XDG_STATE_HOME")) {
        (Some(home), _) => home,
        (None, Some(folder)) => folder.join("outlast"),
        (None, None) => under_home(".local/state/outlast", "OUTLAST_HOME")?,
    };
    let socket = match (path("OUTLAST_SOCKET"), base("XDG_RUNTIME_DIR")) {
        (Some(socket), _) => socket,
        (None, Some(folder)) => folder.join("outlast/control.sock"),
        (None, None) => home.join("control.sock"),
    };
    Ok(Places { config, home: absolute(&home), socket: absolute(&socket) })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn nowhere(name: &str) -> Fault {
    Fault::new(Code::ConfigurationInvalid, format!("neither {name} nor HOME is set, so there is no place to look"))
        .mend(format!("set HOME, or {name} to a path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places_of(variables: &[(&str, &str)]) -> Result<Places, Fault> {
        resolve(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn what_is_said_outright_wins_over_the_base_directories() {
        let said = [
            ("HOME", "/h"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("OUTLAST_CONFIG", "/x.toml"),
            ("OUTLAST_HOME", "/x"),
            ("OUTLAST_SOCKET", "/x.sock"),
        ];
        let all = places_of(&said).unwrap();
        assert_eq!((all.config, all.home, all.socket), ("/x.toml".into(), "/x".into(), "/x.sock".into()));
        let xdg = places_of(&said[..4]).unwrap();
        assert_eq!(xdg.config, Path::new("/c/outlast/outlast.toml"));
        assert_eq!(xdg.home, Path::new("/s/outlast"));
        assert_eq!(xdg.socket, Path::new("/r/outlast/control.sock"));
        let home = places_of(&said[..1]).unwrap();
        assert_eq!(home.config, Path::new("/h/.config/outlast/outlast.toml"));
        assert_eq!(home.home, Path::new("/h/.local/state/outlast"));
        assert_eq!(home.socket, Path::new("/h/.local/state/outlast/control.sock"));
    }

    #[test]
    fn a_relative_base_directory_is_ignored() {
        let places = places_of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "here")]).unwrap();
        assert_eq!(places.config, Path::new("/h/.config/outlast/outlast.toml"));
    }

    #[test]
    fn without_any_place_the_failure_names_the_variable() {
        let fault = places_of(&[]).unwrap_err();
        assert_eq!(fault.code, Code::ConfigurationInvalid);
        assert!(fault.text.contains("OUTLAST_CONFIG"));
    }
}
