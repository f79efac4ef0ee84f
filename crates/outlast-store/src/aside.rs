//! Files touched on a thread that may block: a disk that hangs holds up nobody who needs none of it.

use outlast_core::StoreError;

/// Does `work` on such a thread. It goes on if its caller stops waiting.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError::Unwritable { detail: "the runtime is shutting down".to_owned() }))
}
