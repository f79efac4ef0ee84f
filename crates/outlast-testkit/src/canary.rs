//! A watch for secrets where none belong (T14, F74, S6): in what is printed and logged, on sockets, in files
//! and their names, in `/proc`, in core dumps.
//!
//! The servers of the tests hand out secrets that begin with a marker. Its eight characters are looked for,
//! not whole secrets, so that a log that shows the beginning of a token is found as well, and in every
//! form that a careless writer would give it.

mod pattern;
mod place;

pub use place::Sink;

use pattern::Pattern;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a secret is, for there are places where one kind belongs and another does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An access token or an API key: `outlast token` prints it.
    Access,
    /// The word that opens the proxy.
    Capability,
    /// A client secret, an authorization code or a device code: what a client proves itself with.
    Client,
    /// A refresh token: it leaves for its authorization server and for nobody else.
    Refresh,
    /// What the store is sealed with.
    SealingKey,
}

/// What the servers of the tests begin their secrets with, and the product its capabilities. Of a canary, the
/// first eight characters are looked for; the others begin with a name, so they are looked for as a whole.
const MARKERS: [(Kind, &str); 10] = [
    (Kind::Access, "CANARY-access"),
    (Kind::Access, "CANARY-key"),
    (Kind::Client, "CANARY-client"),
    (Kind::Client, "CANARY-code"),
    (Kind::Client, "CANARY-device"),
    (Kind::Refresh, "CANARY-refresh"),
    (Kind::Capability, "outlast-capability-"),
    (Kind::Access, "sandbox-access-"),
    (Kind::Client, "sandbox-secret"),
    (Kind::Refresh, "sandbox-refresh-"),
];

/// How much of a planted secret is looked for.
const PREFIX_BYTES: usize = 8;
/// How many sightings are told one by one.
const TOLD_MAX: usize = 20;
/// How long ends of streams are waited for.
const HEARING_OUT_MAX: Duration = Duration::from_secs(5);
/// How much of a stream is looked at in one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// A secret in a place where it does not belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where: a file, a process, a socket, a stream.
    pub place: String,
    /// What was seen.
    pub kind: Kind,
    /// How it was written.
    pub form: &'static str,
    /// What stands around it.
    pub around: String,
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} secret, {}: …{}…", self.place, self.kind, self.form, self.around)
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
struct Found {
    sightings: Vec<Sighting>,
    /// Bytes looked at, by the first word of the place.
    looked_at: BTreeMap<String, u64>,
    /// Every secret that was met, wherever: a watch that never met one was under no canary.
    met: BTreeSet<Kind>,
}

/// Looks for secrets in whatever it is shown. Clones share what they found.
#[derive(Clone, Debug)]
pub struct Watch {
    patterns: Arc<Mutex<Arc<Vec<Pattern>>>>,
    found: Arc<Mutex<Found>>,
    listening: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch {
    /// Knows the markers of the servers of the tests.
    pub fn new() -> Self {
        let patterns = MARKERS.iter().flat_map(|(kind, marker)| {
            let length = if marker.starts_with("CANARY") { PREFIX_BYTES } else { marker.len() };
            pattern::of(*kind, marker.as_bytes(), length)
        });
        let patterns: Vec<Pattern> = patterns.collect();
        Self { patterns: Arc::new(Mutex::new(Arc::new(patterns))), found: Arc::default(), listening: Arc::default() }
    }

    /// Looks for this one too: a secret that the product drew.
    ///
    /// # Panics
    /// If it is shorter than what is looked for.
    pub fn plant(&self, kind: Kind, secret: &[u8]) {
        assert!(secret.len() > PREFIX_BYTES, "too short to be told from other text");
        let mut patterns = lock(&self.patterns);
        let more = pattern::of(kind, secret, PREFIX_BYTES);
        *patterns = Arc::new(patterns.iter().cloned().chain(more).collect());
    }

    /// Looks at bytes of a place where only secrets of the kinds `may` belong. A place begins with a word for
    /// what it is: `file`, `log`, `stderr`.
    pub fn look(&self, place: &str, bytes: &[u8], may: &[Kind]) {
        let patterns = Arc::clone(&lock(&self.patterns));
        let seen = pattern::seen(&patterns, bytes);
        let mut found = lock(&self.found);
        let sort = place.split(' ').next().unwrap_or_default().to_owned();
        *found.looked_at.entry(sort).or_default() += bytes.len() as u64;
        for (at, pattern) in seen {
            found.met.insert(pattern.kind);
            if !may.contains(&pattern.kind) {
                let around = pattern::around(bytes, at);
                let (kind, form) = (pattern.kind, pattern.form);
                found.sightings.push(Sighting { place: place.to_owned(), kind, form, around });
            }
        }
    }

    /// Looks at a stream as it comes, to its end, on a thread of its own; nobody waits to write to it.
    pub fn listen(&self, place: &str, stream: impl Read + Send + 'static, may: &'static [Kind]) {
        let (watch, place) = (self.clone(), place.to_owned());
        let thread = std::thread::spawn(move || watch.read_to_the_end(&place, stream, may));
        lock(&self.listening).push(thread);
    }

    fn read_to_the_end(&self, place: &str, mut stream: impl Read, may: &[Kind]) {
        let mut kept = Vec::new();
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            kept.extend_from_slice(&piece[..length]);
            self.look(place, &kept, may);
            // A secret may lie across two pieces.
            let overlap = pattern::LENGTH_MAX.min(kept.len());
            kept.drain(..kept.len() - overlap);
        }
    }

    /// What was seen where it does not belong, once each place and kind.
    pub fn sightings(&self) -> Vec<Sighting> {
        let mut told = BTreeSet::new();
        let found = lock(&self.found);
        found.sightings.iter().filter(|it| told.insert((it.place.clone(), it.kind, it.form))).cloned().collect()
    }

    /// How many bytes of each sort of place were looked at.
    pub fn looked_at(&self) -> BTreeMap<String, u64> {
        lock(&self.found).looked_at.clone()
    }

    /// Whether a secret of this kind was met anywhere at all.
    pub fn met(&self, kind: Kind) -> bool {
        lock(&self.found).met.contains(&kind)
    }

    /// Waits for the ends of the streams that are listened to; not for long, for somebody who should have ended
    /// may hold one open.
    #[allow(clippy::disallowed_methods, reason = "real threads that hear real processes")]
    pub fn hear_out(&self) {
        let began = Instant::now();
        let threads = std::mem::take(&mut *lock(&self.listening));
        while threads.iter().any(|thread| !thread.is_finished()) && began.elapsed() < HEARING_OUT_MAX {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Fails if anything was seen where it does not belong.
    ///
    /// # Panics
    /// Then.
    #[track_caller]
    pub fn assert_clean(&self) {
        let sightings = self.sightings();
        let told: Vec<String> = sightings.iter().take(TOLD_MAX).map(ToString::to_string).collect();
        assert!(sightings.is_empty(), "{} sightings of secrets:\n{}", sightings.len(), told.join("\n"));
    }
}

/// What a thread that failed had locked is whole: it is only added to.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::{Command, Stdio};

    fn seen(bytes: &[u8]) -> Vec<(Kind, &'static str)> {
        let watch = Watch::new();
        watch.look("test", bytes, &[]);
        watch.sightings().into_iter().map(|sighting| (sighting.kind, sighting.form)).collect()
    }

    #[test]
    fn a_leak_is_found_in_every_form_that_a_careless_writer_gives_it() {
        let secret = "CANARY-refresh-7d2e";
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let escaped: String = secret.chars().map(|character| format!("\\u{:04x}", character as u32)).collect();
        let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let forms: [(&str, Vec<u8>); 9] = [
            ("as it is", secret.into()),
            ("in hexadecimal", hex.clone().into()),
            ("in hexadecimal", hex.to_uppercase().into()),
            ("percent-encoded", percent.clone().into()),
            ("percent-encoded", percent.to_lowercase().into()),
            ("with JSON's escapes", escaped.into()),
            ("as a list of numbers", format!("{:?}", secret.as_bytes()).into()),
            ("as a list of numbers", format!("{:#?}", secret.as_bytes()).into()),
            ("as UTF-16", wide),
        ];
        for (form, bytes) in forms {
            let text = [b"before ", bytes.as_slice(), b" after"].concat();
            assert_eq!(seen(&text), [(Kind::Refresh, form)], "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn base64_is_found_wherever_in_it_the_secret_begins() {
        use base64::Engine;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        for before in ["", "a", "ab", "client:", "?\u{fe}>"] {
            let whole = format!("{before}CANARY-client-1f3c");
            for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                assert_eq!(seen(text.as_bytes()), [(Kind::Client, "in base64")], "{before}");
            }
        }
    }

    #[test]
    fn the_first_eight_characters_are_enough_and_others_are_nothing() {
        assert_eq!(seen(b"token CANARY-r... was refused"), [(Kind::Refresh, "as it is")]);
        assert_eq!(seen(b"a canary, the sandbox, CANARY"), []);
    }

    #[test]
    fn what_the_product_drew_is_found_once_it_is_planted() {
        let watch = Watch::new();
        watch.plant(Kind::SealingKey, &[0, 255, 7, 9, 1, 2, 3, 4, 5, 6]);
        watch.look("memory", &[1, 0, 255, 7, 9, 1, 2, 3, 4, 9], &[]);
        assert_eq!(watch.sightings()[0].kind, Kind::SealingKey);
    }

    #[test]
    fn where_a_secret_belongs_it_is_no_finding_and_it_was_met() {
        let watch = Watch::new();
        watch.look("stdout of token", b"CANARY-access-1\n", &[Kind::Access]);
        watch.assert_clean();
        assert!(watch.met(Kind::Access) && !watch.met(Kind::Refresh));
        assert_eq!(watch.looked_at()["stdout"], 16);
    }

    #[test]
    fn a_stream_is_heard_across_its_pieces() {
        struct Halves(Vec<&'static [u8]>);
        impl Read for Halves {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let Some(next) = self.0.pop() else { return Ok(0) };
                into[..next.len()].copy_from_slice(next);
                Ok(next.len())
            }
        }
        let watch = Watch::new();
        watch.listen("stderr", Halves(vec![b"RY-refresh-1", b"it is CANA"]), &[]);
        watch.hear_out();
        assert_eq!(watch.sightings().len(), 1);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "files to look at")]
    fn files_their_names_and_the_targets_of_links_are_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("deep")).expect("a folder in it");
        fs::write(path("deep/store.db"), b"\0\0CANARY-refresh-1").expect("a file");
        fs::write(path("CANARY-client-1"), b"").expect("a file with a name");
        fs::write(path("outlast.toml"), b"client_secret = \"CANARY-client-1\"").expect("a configuration");
        std::os::unix::fs::symlink("/nowhere/CANARY-access", path("link")).expect("a link");
        let watch = Watch::new();
        watch.look_into(folder.path(), &|file| if file.ends_with("outlast.toml") { &[Kind::Client] } else { &[] });
        let mut places: Vec<_> = watch.sightings().into_iter().map(|it| (it.kind, it.place)).collect();
        places.sort();
        let kinds: Vec<_> = places.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::Access, Kind::Client, Kind::Refresh], "{places:?}");
    }

    #[test]
    fn arguments_and_environment_of_a_process_and_its_children_are_looked_at() {
        let script = "sleep 60; true CANARY-access-1";
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("LEAKED", "CANARY-refresh-1").stdout(Stdio::null());
        let mut child = command.spawn().expect("a shell");
        let watch = Watch::new();
        let wanted = ["process agent, cmdline", "process agent, environ", "process child of agent, environ"];
        let places = || watch.sightings().into_iter().map(|it| it.place).collect::<BTreeSet<_>>();
        while !wanted.iter().all(|wanted| places().contains(*wanted)) {
            watch.look_at_process("agent", child.id(), &[]);
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }

    #[test]
    fn a_sink_keeps_what_it_is_sent() {
        use std::io::Write;
        let sink = Sink::start();
        let watch = Watch::new();
        sink.look(&watch, "sink");
        watch.assert_clean();
        let mut stream = std::net::TcpStream::connect(sink.address()).expect("it listens");
        stream.write_all(b"CONNECT as.example:443 HTTP/1.1\r\nX: CANARY-refresh-1\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and ends");
        assert!(sink.heard() && answer.starts_with("HTTP/1.1 502"));
        sink.look(&watch, "sink");
        assert_eq!(watch.sightings().len(), 1);
    }
}
