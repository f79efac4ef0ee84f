//! What is known of each authorization server's outage, for all processes: a note each.

use crate::aside::aside;
use crate::home::Home;
use crate::note::Note;
use aws_lc_rs::digest::{SHA256, digest};
use outlast_core::{Outage, StoreError, Timestamp};
use std::fmt::Write;

/// Bytes of the digest that names a note.
const NAME_BYTES: usize = 12;

/// Puts `change` of what is known of `server` in its place, and says what was there.
pub(crate) async fn change(
    home: &Home,
    server: &str,
    change: &(dyn Fn(Outage) -> Outage + Send + Sync),
) -> Result<Outage, StoreError> {
    let mut said = exchange(home, server, None).await?;
    loop {
        // What makes no sense was cut by a crash and says nothing.
        let before = parse(&said).unwrap_or_default();
        let next = change(before);
        let text = if said.is_empty() && next == Outage::default() { String::new() } else { format(next) };
        if text == said {
            return Ok(before);
        }
        let found = exchange(home, server, Some((said.clone(), text))).await?;
        if found == said {
            return Ok(before);
        }
        // Another process was quicker.
        said = found;
    }
}

/// What the note says; the second of `instead` takes its place if it says the first.
async fn exchange(home: &Home, server: &str, instead: Option<(String, String)>) -> Result<String, StoreError> {
    let note = Note::new(home, &name(server));
    aside(move || {
        let mut found = String::new();
        note.change(|text| {
            text.clone_into(&mut found);
            match &instead {
                Some((expected, next)) if expected == text => next.clone(),
                Some(_) | None => text.to_owned(),
            }
        })?;
        Ok(found)
    })
    .await
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

    #[tokio::test]
    async fn f30_what_one_process_found_out_the_next_one_knows() {
        let (_folder, home) = home();
        assert_eq!(change(&home, SERVER, &|_| at(4)).await.unwrap(), Outage::default());
        assert_eq!(change(&home, SERVER, &|known| known).await.unwrap(), at(4));
        assert_eq!(change(&home, "https://other.example", &|known| known).await.unwrap(), Outage::default());
        assert_eq!(change(&home, SERVER, &|_| Outage::default()).await.unwrap(), at(4));
        assert_eq!(change(&home, SERVER, &|known| known).await.unwrap(), Outage::default());
    }

    #[tokio::test]
    async fn while_all_is_well_no_file_is_made() {
        let (_folder, home) = home();
        change(&home, SERVER, &|known| known).await.unwrap();
        assert!(!home.own_lock(&name(SERVER)).exists());
    }

    #[tokio::test]
    async fn a_file_that_makes_no_sense_says_nothing() {
        let (_folder, home) = home();
        for content in [&b""[..], b"4", b"4 5", b"x y\n", b"\xff\xfe 1\n", b"300 1\n", &[b'9'; 200]] {
            change(&home, SERVER, &|_| at(4)).await.unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(home.own_lock(&name(SERVER)))
                .unwrap()
                .write_all(content)
                .unwrap();
            assert_eq!(change(&home, SERVER, &|known| known).await.unwrap(), Outage::default(), "{content:?}");
        }
    }
}
