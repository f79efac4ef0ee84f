//! What is known of each authorization server's outage, for all processes: a note each.

use crate::home::Home;
use crate::note::Note;
use aws_lc_rs::digest::{SHA256, digest};
use outlast_core::{Outage, StoreError, Timestamp};
use std::fmt::Write;

/// Bytes of the digest that names a note.
const NAME_BYTES: usize = 12;

/// Puts `change` of what is known of `server` in its place, and says what was there.
pub(crate) fn change(home: &Home, server: &str, change: &dyn Fn(Outage) -> Outage) -> Result<Outage, StoreError> {
    let mut before = Outage::default();
    Note::new(home, &name(server)).change(|text| {
        // What makes no sense was cut by a crash and says nothing.
        before = parse(text).unwrap_or_default();
        let next = change(before);
        if text.is_empty() && next == Outage::default() { String::new() } else { format(next) }
    })?;
    Ok(before)
}

fn name(server: &str) -> String {
    let mut name = "server-".to_owned();
    for byte in &digest(&SHA256, server.as_bytes()).as_ref()[..NAME_BYTES] {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn parse(text: &str) -> Option<Outage> {
    let (failures, next_at) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Outage { failures: failures.parse().ok()?, next_at: Timestamp::from_millis(next_at.parse().ok()?) })
}

fn format(outage: Outage) -> String {
    format!("{} {}\n", outage.failures, outage.next_at.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const SERVER: &str = "https://as.example";

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(&folder.path().join("home"));
        home.create().unwrap();
        (folder, home)
    }

    fn at(failures: u8) -> Outage {
        Outage { failures, next_at: Timestamp::from_secs(u64::from(failures)) }
    }

    #[test]
    fn f30_what_one_process_found_out_the_next_one_knows() {
        let (_folder, home) = home();
        assert_eq!(change(&home, SERVER, &|_| at(4)).unwrap(), Outage::default());
        assert_eq!(change(&home, SERVER, &|known| known).unwrap(), at(4));
        assert_eq!(change(&home, "https://other.example", &|known| known).unwrap(), Outage::default());
        assert_eq!(change(&home, SERVER, &|_| Outage::default()).unwrap(), at(4));
        assert_eq!(change(&home, SERVER, &|known| known).unwrap(), Outage::default());
    }

    #[test]
    fn while_all_is_well_no_file_is_made() {
        let (_folder, home) = home();
        change(&home, SERVER, &|known| known).unwrap();
        assert!(!home.own_lock(&name(SERVER)).exists());
    }

    #[test]
    fn a_file_that_makes_no_sense_says_nothing() {
        let (_folder, home) = home();
        for content in [&b""[..], b"4", b"4 5", b"x y\n", b"\xff\xfe 1\n", b"300 1\n", &[b'9'; 200]] {
            change(&home, SERVER, &|_| at(4)).unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(home.own_lock(&name(SERVER)))
                .unwrap()
                .write_all(content)
                .unwrap();
            assert_eq!(change(&home, SERVER, &|known| known).unwrap(), Outage::default(), "{content:?}");
        }
    }
}
