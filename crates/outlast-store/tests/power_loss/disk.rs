//! A disk that remembers what was synced, and what was only written.
//!
//! Files and names are apart, as POSIX has it: syncing a file makes its content durable, and its name only
//! becomes so when its folder is synced. Of what is not durable, a power cut leaves any subset, in whatever
//! order the disk came to it; a write of several sectors may be torn.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use outlast_testkit::faults::Operation;
use std::collections::BTreeMap;

const SECTOR: usize = 512;

/// The content of each file, by name.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Something that may or may not have reached the disk.
#[derive(Clone, Debug)]
enum Change {
    Name { name: String, file: usize },
    Rename { from: String, to: String },
    Truncate { file: usize, length: usize },
    Unlink { name: String },
    Write { file: usize, offset: usize, data: Vec<u8> },
}

impl Change {
    fn file(&self) -> Option<usize> {
        match self {
            Self::Truncate { file, .. } | Self::Write { file, .. } => Some(*file),
            Self::Name { .. } | Self::Rename { .. } | Self::Unlink { .. } => None,
        }
    }

    /// The folder whose names are changed.
    fn folder(&self) -> Option<&str> {
        match self {
            Self::Name { name, .. } | Self::Rename { to: name, .. } | Self::Unlink { name } => {
                Some(name.rsplit_once('/').map_or(".", |(folder, _)| folder))
            }
            Self::Truncate { .. } | Self::Write { .. } => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
}

impl State {
    fn make(&mut self, change: &Change) {
        match change {
            Change::Name { name, file } => drop(self.names.insert(name.clone(), *file)),
            Change::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Change::Truncate { file, length } => self.files[*file].resize(*length, 0),
            Change::Unlink { name } => drop(self.names.remove(name)),
            Change::Write { file, offset, data } => {
                let content = &mut self.files[*file];
                content.resize(content.len().max(offset + data.len()), 0);
                content[*offset..offset + data.len()].copy_from_slice(data);
            }
        }
    }
}

/// What a process sees of the disk, what is durable, and the changes between the two.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    seen: State,
    durable: State,
    unsynced: Vec<Change>,
}

impl Disk {
    /// How many things have not reached the disk for certain.
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The disk with those of them that `reached` says.
    pub fn image(&self, reached: &[bool]) -> Image {
        let mut state = self.durable.clone();
        for (change, _) in self.unsynced.iter().zip(reached).filter(|(_, reached)| **reached) {
            state.make(change);
        }
        state.names.into_iter().map(|(name, file)| (name, state.files[file].clone())).collect()
    }

    /// One more operation of the process.
    pub fn apply(&mut self, operation: &Operation) {
        // Locks are of the kernel, and their files are empty.
        if !operation.changes || operation.path.starts_with("locks") {
            return;
        }
        let path = operation.path.as_str();
        match operation.name.as_str() {
            "create" if self.seen.names.contains_key(path) => {}
            "create" => {
                let file = self.seen.files.len();
                self.seen.files.push(Vec::new());
                self.durable.files.push(Vec::new());
                self.change(Change::Name { name: path.to_owned(), file });
            }
            "write" => self.write(path, operation),
            "truncate" => {
                let (file, length) = (self.seen.names[path], operation.length.try_into().unwrap());
                self.change(Change::Truncate { file, length });
            }
            "rename" => {
                let (from, to) = path.split_once('>').unwrap();
                self.change(Change::Rename { from: from.to_owned(), to: to.to_owned() });
            }
            "unlink" => self.change(Change::Unlink { name: path.to_owned() }),
            "sync" => match self.seen.names.get(path).copied() {
                Some(file) => self.sync(|change| change.file() == Some(file)),
                // A folder: its names.
                None => self.sync(|change| change.folder() == Some(path)),
            },
            "chmod" | "mkdir" => {}
            other => panic!("the disk does not know how to {other}"),
        }
    }

    /// In two parts where it is longer than a sector: the disk may have come to either.
    fn write(&mut self, path: &str, operation: &Operation) {
        let file = self.seen.names[path];
        let offset: usize = operation.offset.try_into().unwrap();
        let middle = (offset + operation.data.len() / 2).next_multiple_of(SECTOR).saturating_sub(offset);
        let (front, back) = operation.data.split_at(middle.min(operation.data.len()));
        for (start, part) in [(offset, front), (offset + front.len(), back)] {
            if !part.is_empty() {
                self.change(Change::Write { file, offset: start, data: part.to_vec() });
            }
        }
    }

    fn change(&mut self, change: Change) {
        self.seen.make(&change);
        self.unsynced.push(change);
    }

    fn sync(&mut self, reaches: impl Fn(&Change) -> bool) {
        let durable = &mut self.durable;
        self.unsynced.retain(|change| {
            let reached = reaches(change);
            if reached {
                durable.make(change);
            }
            !reached
        });
    }
}
