//! Places where secrets are looked for: folders, processes, and servers that are nobody's.

use super::{Kind, Watch, lock};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a sink waits for the rest of what it is sent.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// Most that is read of one mapping of a process's memory in one piece.
const MEMORY_BYTES_MAX: u64 = 16 * 1024 * 1024;

impl Watch {
    /// Looks at every file below a folder, at its name, and at where links lead. `may` says which secrets
    /// belong into a file.
    ///
    /// # Panics
    /// If a file cannot be read.
    pub fn look_into(&self, folder: &Path, may: &dyn Fn(&Path) -> &'static [Kind]) {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            // Others may be at work in there: what is gone is no place any more.
            let Some(entries) = unless_gone(fs::read_dir(&folder), &folder) else { continue };
            for path in entries.map(|entry| entry.expect("a folder can be read to its end").path()) {
                self.look("file name", path.as_os_str().as_encoded_bytes(), &[]);
                let Some(about) = unless_gone(fs::symlink_metadata(&path), &path) else { continue };
                if about.is_dir() {
                    folders.push(path);
                } else if about.is_symlink() {
                    let target = unless_gone(fs::read_link(&path), &path).unwrap_or_default();
                    self.look("file link", target.as_os_str().as_encoded_bytes(), &[]);
                } else if about.is_file() {
                    let content = unless_gone(fs::read(&path), &path).unwrap_or_default();
                    self.look(&format!("file {}", path.display()), &content, may(&path));
                }
            }
        }
    }

    /// Looks at arguments and environment of a process and of all that it started. What `may` names belongs
    /// into the environment of the process itself, for it was given that; nothing belongs anywhere else,
    /// but a child has its capability.
    pub fn look_at_process(&self, name: &str, process: u32, may: &[Kind]) {
        self.look_at_proc(name, process, may);
        for child in descendants(process) {
            self.look_at_proc(&format!("child of {name}"), child, &[Kind::Capability]);
        }
    }

    fn look_at_proc(&self, name: &str, process: u32, may: &[Kind]) {
        for (file, may) in [("cmdline", &[][..]), ("comm", &[]), ("environ", may)] {
            // It may be gone.
            let bytes = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
            self.look(&format!("process {name}, {file}"), &bytes, may);
        }
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        for target in descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()) {
            self.look(&format!("process {name}, fd"), target.as_os_str().as_encoded_bytes(), &[]);
        }
    }

    /// How often each secret is in the memory of a process that can be written to. Reports, and finds
    /// nothing wrong.
    ///
    /// # Panics
    /// If the memory may not be read: that takes root, for the process keeps others out.
    pub fn count_in_memory(&self, process: u32) -> Vec<(Kind, usize)> {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("the maps of a process");
        let mut memory = fs::File::open(format!("/proc/{process}/mem")).expect("the memory of a process");
        let patterns = lock(&self.patterns).clone();
        let mut counts =
            [Kind::Access, Kind::Capability, Kind::Client, Kind::Refresh, Kind::SealingKey].map(|kind| (kind, 0));
        for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let range = range.and_then(|(from, to)| Some((hexadecimal(from)?, hexadecimal(to)?)));
            let (from, to) = range.expect("a mapping begins with its addresses");
            for start in (from..to).step_by(usize::try_from(MEMORY_BYTES_MAX).expect("it fits")) {
                let mut bytes = Vec::new();
                if memory.seek(SeekFrom::Start(start)).is_err() {
                    continue;
                }
                // Special mappings cannot be read.
                let _part = (&mut memory).take(MEMORY_BYTES_MAX.min(to - start)).read_to_end(&mut bytes);
                for (_, pattern) in super::pattern::seen(&patterns, &bytes) {
                    counts.iter_mut().filter(|(kind, _)| *kind == pattern.kind).for_each(|(_, count)| *count += 1);
                }
            }
        }
        counts.into()
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn unless_gone<T>(result: io::Result<T>, path: &Path) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Every process that a process started, and what those started.
fn descendants(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![process];
    while let Some(process) = open.pop() {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let children: Vec<PathBuf> = tasks.map(|task| task.path().join("children")).collect();
        for children in children.iter().filter_map(|path| fs::read_to_string(path).ok()) {
            open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        found.push(process);
    }
    found.retain(|found| *found != process);
    found
}

/// A server that nobody should speak to: it keeps every byte, and answers with a refusal.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Sink {
    /// One on a free port; it ends with this process.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let own = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = Arc::clone(&own);
                // That somebody came counts, whatever is said.
                lock(&heard).extend_from_slice(b"[connection] ");
                std::thread::spawn(move || swallow(stream, &heard));
            }
        });
        Self { address, heard }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base address of the sink as a server.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables that make ordinary programs send everything through this as their proxy.
    pub fn as_proxy(&self) -> Vec<(&'static str, String)> {
        let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let mut variables: Vec<_> = names.map(|name| (name, self.origin())).into();
        variables.extend([("no_proxy", String::new()), ("NO_PROXY", String::new())]);
        variables
    }

    /// Whether anybody came.
    pub fn heard(&self) -> bool {
        !lock(&self.heard).is_empty()
    }

    /// Shows the watch what it was sent.
    pub fn look(&self, watch: &Watch, name: &str) {
        let heard = lock(&self.heard).clone();
        watch.look(&format!("socket of {name}"), &heard, &[]);
    }
}

fn swallow(mut stream: TcpStream, heard: &Mutex<Vec<u8>>) {
    // Without it, a client that says nothing would only hold a thread.
    let _unset = stream.set_read_timeout(Some(SILENCE_MAX));
    let mut piece = [0; 4096];
    let mut answered = false;
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        lock(heard).extend_from_slice(&piece[..length]);
        if !answered {
            let answer = "HTTP/1.1 502 Nobody\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // Whoever came may have gone.
            let _unheard = stream.write_all(answer.as_bytes());
            answered = true;
        }
    }
}
