//! When this boot of the machine began, by the wall clock: agreed on by all processes of the boot,
//! so that a wall clock that is moved moves no deadline (D11, F16).

use crate::home::{self, Home};
use crate::note::Note;
use outlast_core::{StoreError, Timestamp};
use std::path::Path;

const NOTE: &str = "boot";

/// When the boot called `boot` began, as the first process to ask wrote it down; `began` becomes
/// that, if nobody has or if what is there is not `plausible`. Makes no store.
///
/// # Errors
/// If the note can be neither read nor written; `began` is then as good as anything.
pub fn boot_began(
    folder: &Path,
    boot: &str,
    began: Timestamp,
    plausible: impl Fn(Timestamp) -> bool,
) -> Result<Timestamp, StoreError> {
    let home = Home::new(folder);
    if !home.check()? || !home::check_file(&home.database())? {
        return Ok(began);
    }
    let note = Note::new(&home, NOTE);
    let known = |text: &str| parse(text, boot).filter(|known| plausible(*known));
    if let Some(known) = known(&note.peek()?) {
        return Ok(known);
    }
    let mut agreed = began;
    note.change(|text| match known(text) {
        Some(known) => {
            agreed = known;
            text.to_owned()
        }
        None => format!("{boot} {}\n", began.as_millis()),
    })?;
    Ok(agreed)
}

fn parse(text: &str, boot: &str) -> Option<Timestamp> {
    let (name, began) = text.strip_suffix('\n')?.split_once(' ')?;
    (name == boot).then_some(Timestamp::from_millis(began.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeySource, SqliteStore};

    const YEAR: u64 = 365 * 86_400;
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn asked(folder: &Path, boot: &str, began: Timestamp) -> Timestamp {
        boot_began(folder, boot, began, |began| began.as_secs() > YEAR).unwrap()
    }

    #[test]
    fn f16_whoever_asks_later_in_a_boot_gets_the_first_answer() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        assert_eq!(asked(&home, "one", NOW), NOW, "no store, no note");
        SqliteStore::open(&home, KeySource::File).unwrap();
        assert_eq!(asked(&home, "one", NOW), NOW);
        for moved in [Timestamp::from_secs(NOW.as_secs() + YEAR), Timestamp::from_secs(NOW.as_secs() - YEAR)] {
            assert_eq!(asked(&home, "one", moved), NOW, "somebody set the wall clock");
            assert_eq!(asked(&home, "two", moved), moved, "another boot");
            assert_eq!(asked(&home, "one", NOW), NOW, "and back again");
        }
    }

    #[test]
    fn f19_a_boot_that_began_without_a_clock_is_dated_again_once_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        SqliteStore::open(&home, KeySource::File).unwrap();
        assert_eq!(asked(&home, "one", Timestamp::from_secs(5)), Timestamp::from_secs(5));
        assert_eq!(asked(&home, "one", NOW), NOW);
        assert_eq!(asked(&home, "one", Timestamp::from_secs(7)), NOW);
    }
}
