//! What the operating system and SQLite say, in the words of [`StoreError`].

use outlast_core::StoreError;
use rusqlite::ErrorCode;
use std::fmt::Display;
use std::path::Path;

/// Something could not be written, made or locked.
pub(crate) fn unwritable(doing: &str, path: &Path, cause: impl Display) -> StoreError {
    StoreError::Unwritable { detail: format!("{doing} {}: {cause}", path.display()) }
}

/// SQLite refused; `doing` says what was tried.
pub(crate) fn refused(doing: &str, cause: &rusqlite::Error) -> StoreError {
    let detail = format!("{doing}: {cause}");
    if is_busy(cause) {
        return StoreError::Locked { holder: None };
    }
    match cause.sqlite_error_code() {
        Some(code) if is_about_writing(code) => StoreError::Unwritable { detail },
        _ => StoreError::Corrupt { detail },
    }
}

/// Whether SQLite waited for another connection and gave up.
pub(crate) fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether there was no room for what was to be written.
pub(crate) fn is_full(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Whether a connection that may not write met a journal that must be rolled back first: a writer
/// died in the middle of a commit.
pub(crate) fn needs_rollback(cause: &rusqlite::Error) -> bool {
    matches!(cause, rusqlite::Error::SqliteFailure(error, _)
        if error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

/// Everything that is not about writing is about what was found, so that an unfamiliar failure is
/// never taken for an empty store.
fn is_about_writing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CannotOpen
            | ErrorCode::DiskFull
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
    )
}
