//! The lock of a grant: released by the kernel when its holder lets go or dies.

use crate::aside::aside;
use crate::failure::unwritable;
use crate::home::{self, Home, bears_the_name};
use crate::seal::random;
use outlast_core::{GrantId, StoreError};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// First and longest wait between two looks at a lock.
const LOOK_FIRST: Duration = Duration::from_millis(1);
const LOOK_LAST: Duration = Duration::from_millis(10);

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct Held(Arc<File>);

impl Held {
    /// What tells whether the locked file still bears the grant's name: after a cleaner of old files has
    /// removed it, the lock keeps nobody away any more (F13). Knows no process ids: those are given anew.
    pub(crate) fn watch(&self, home: &Home, grant: &GrantId) -> impl Fn() -> bool + Send + Sync + 'static {
        let (file, path) = (Arc::clone(&self.0), home.lease(grant));
        // Where it cannot be looked at, nothing is certain, and nothing is sent.
        move || bears_the_name(&file, &path).unwrap_or(false)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not left to closing alone: a child that was forked and has not called exec yet shares the
        // file, and would keep the lock. If this fails, closing still releases it.
        drop(self.0.unlock());
    }
}

/// Waits at most `patience` for the lock of a grant; looks once even without any.
pub(crate) async fn acquire(home: &Home, grant: &GrantId, patience: Duration) -> Result<Held, StoreError> {
    let path = home.lease(grant);
    let looking = async {
        let mut pause = LOOK_FIRST;
        loop {
            let (own, name) = (home.clone(), path.clone());
            if let Some(held) = aside(move || try_acquire(&own, &name)).await? {
                return Ok(held);
            }
            tokio::time::sleep(jittered(pause)?).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    };
    tokio::time::timeout(patience, looking).await.unwrap_or_else(|_| Err(StoreError::Busy { grant: grant.clone() }))
}

/// The pause, longer by up to half of it: waiters that began together do not look together.
pub(crate) fn jittered(pause: Duration) -> Result<Duration, StoreError> {
    let [byte] = random::<1>()?;
    Ok(pause + pause * u32::from(byte) / 512)
}

/// The lock, unless somebody has it. The file is never removed by us, but a cleaner of old files
/// may have: only the lock of the file that bears the name now excludes others.
pub(crate) fn try_acquire(home: &Home, path: &Path) -> Result<Option<Held>, StoreError> {
    loop {
        let file = home::open_lock_file(home, path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(unwritable("locking", path, cause)),
            Ok(()) => {}
        }
        let held = Held(Arc::new(file));
        if bears_the_name(&held.0, path)? {
            return Ok(Some(held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f13_a_locked_file_that_lost_its_name_is_not_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(&folder.path().join("home"));
        home.create().unwrap();
        let path = home.own_lock("test");
        let Held(file) = &try_acquire(&home, &path).unwrap().unwrap();
        assert!(bears_the_name(file, &path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!bears_the_name(file, &path).unwrap(), "removed");
        let _successor = try_acquire(&home, &path).unwrap().unwrap();
        assert!(!bears_the_name(file, &path).unwrap(), "replaced");
    }

    #[tokio::test(start_paused = true)]
    async fn d3_no_lease_ends_while_its_holder_lives_however_long_its_request_takes() {
        const PATIENCE: Duration = Duration::from_secs(1);
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(&folder.path().join("home"));
        home.create().unwrap();
        let grant = GrantId::parse("crm").unwrap();
        let held = acquire(&home, &grant, PATIENCE).await.unwrap();
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let other = acquire(&home, &grant, PATIENCE).await;
            assert!(matches!(other, Err(StoreError::Busy { .. })), "{other:?}");
        }
        assert!(held.watch(&home, &grant)(), "and the holder may send what it is about to send");
        drop(held);
        acquire(&home, &grant, PATIENCE).await.unwrap();
    }
}
