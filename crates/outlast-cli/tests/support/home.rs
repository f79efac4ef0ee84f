//! A home for the real binary, under a watch for secrets (T14, S6).

use outlast_testkit::canary::{Kind, Sink, Watch};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// A folder that holds all there is of a user. Whoever is started through it logs all that can be logged,
/// and its end fails the test if a secret was seen where none belongs.
pub struct Home {
    folder: tempfile::TempDir,
    pub watch: Watch,
    /// What the environment of every process names as its proxy.
    proxy: Sink,
    /// Whether its end is sure that there were canaries: that some were seen where they belong.
    sure: bool,
}

impl Home {
    pub fn new() -> Self {
        Self::sure(true)
    }

    /// For tests of which not every one comes by a secret.
    pub fn for_any_test() -> Self {
        Self::sure(false)
    }

    fn sure(sure: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(folder.path().join("tmp")).unwrap();
        Self { folder, watch: Watch::new(), proxy: Sink::start(), sure }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join(".local/state/outlast")
    }

    /// Lets a process log all that it can, and tells it of that proxy.
    pub fn expose<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs([("OUTLAST_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")]);
        self.tell_of_a_proxy(command)
    }

    /// Tells a process of a proxy that it must not use.
    pub fn tell_of_a_proxy<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.proxy.as_proxy())
    }

    /// What a command had said that ends. On standard output is what was asked for, or the beginning of it if
    /// the command was killed.
    pub fn ended(&self, child: Child) -> Output {
        let output = child.wait_with_output().unwrap();
        self.watch.look("stdout of a command", &output.stdout, &[Kind::Access]);
        self.watch.look("stderr of a command", &output.stderr, &[]);
        output
    }

    fn look_around(&self) {
        self.watch.hear_out();
        // Not every test comes so far as to make a store.
        if let Ok(key) = std::fs::read(self.state().join("key-beside-data")) {
            self.watch.plant(Kind::SealingKey, &key);
        }
        if self.sure {
            self.watch.look_into(self.path(), &belongs);
        } else {
            // The test may have made files with secrets in them elsewhere.
            self.watch.look_into(&self.path().join(".local"), &belongs);
            self.watch.look_into(&self.path().join("tmp"), &belongs);
        }
        self.watch.assert_clean();
        assert!(!self.proxy.heard(), "something was sent through a proxy that only the environment names");
        // In answers, or in the environment that a process was given.
        let met = self.watch.met(Kind::Access) || self.watch.met(Kind::Client);
        assert!(met || !self.sure, "nothing was under canaries: {:?}", self.watch.looked_at());
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A test that fails already is left alone.
        if !std::thread::panicking() {
            self.look_around();
        }
    }
}

/// A folder of a test that has no [`Home`], under the same watch: its end fails the test if a secret lies in it
/// where none belongs. Declared before what removes the folder.
pub struct Watched {
    pub watch: Watch,
    folder: PathBuf,
}

impl Watched {
    pub fn over(folder: &Path) -> Self {
        Self { watch: Watch::new(), folder: folder.to_owned() }
    }

    /// What a command had said that ended.
    pub fn look(&self, output: &Output) {
        self.watch.look("stdout of a command", &output.stdout, &[Kind::Access]);
        self.watch.look("stderr of a command", &output.stderr, &[]);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A test that fails already is left alone.
        if !std::thread::panicking() {
            self.watch.look_into(&self.folder, &belongs);
            self.watch.assert_clean();
        }
    }
}

/// Which secrets belong into a file of a home.
fn belongs(file: &Path) -> &'static [Kind] {
    let within = |folder: &str| file.parent().is_some_and(|parent| parent.ends_with(folder));
    match file.file_name().and_then(|name| name.to_str()) {
        Some("capability") => &[Kind::Capability],
        // Whoever configures may write a client secret in it.
        Some("outlast.toml") => &[Kind::Client],
        Some(name) if name.starts_with("key-beside-data") || name.starts_with(".key-") => &[Kind::SealingKey],
        // Of a `run` that goes on.
        _ if within("tokens") => &[Kind::Access],
        _ => &[],
    }
}
