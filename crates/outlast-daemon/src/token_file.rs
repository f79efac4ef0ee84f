//! A file per grant that holds its access token and nothing else, replaced in place at every
//! renewal, for programs that read their key from a file.

use outlast::{AccessToken, Ask, Generation, GrantHandle, GrantId, Keeper, TokenError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longest time between two looks at a grant, whoever renews it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after a write that failed.
const WRITE_AGAIN: Duration = Duration::from_secs(2);
/// Bits of a folder's mode that let others in.
const OTHERS: u32 = 0o077;

/// Token files that are kept up to date until dropped; then they are removed.
#[derive(Debug)]
pub struct TokenFiles {
    files: Vec<(GrantId, PathBuf)>,
    followers: Vec<JoinHandle<()>>,
}

impl TokenFiles {
    /// Writes the access token of each grant to a file named after it in `folder`, which is created
    /// with mode 0700 if it is not there, and follows its renewals. A grant that has no token yet
    /// gets its file as soon as it has one. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the folder is not ours alone, a grant is not known, or a token cannot be written.
    pub async fn start(keeper: &Keeper, folder: &Path, grants: &[GrantId]) -> io::Result<Self> {
        prepare(folder)?;
        let mut files = Self { files: Vec::new(), followers: Vec::new() };
        for id in grants {
            let handle = keeper.grant(id).map_err(io::Error::other)?;
            let path = folder.join(id.as_str());
            files.files.push((id.clone(), path.clone()));
            let written = match handle.access_token(Ask::default()).await {
                Ok(token) => {
                    replace(&path, &token)?;
                    Some(token.generation())
                }
                Err(error) => {
                    note(&handle, &error);
                    None
                }
            };
            files.followers.push(tokio::spawn(follow(handle, path, written)));
        }
        Ok(files)
    }

    /// Where the token of `grant` is.
    pub fn path(&self, grant: &GrantId) -> Option<&Path> {
        self.files.iter().find(|(id, _)| id == grant).map(|(_, path)| path.as_path())
    }
}

impl Drop for TokenFiles {
    fn drop(&mut self) {
        for follower in &self.followers {
            follower.abort();
        }
        for (_, path) in &self.files {
            // It may never have been written.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn follow(handle: GrantHandle, path: PathBuf, mut written: Option<Generation>) {
    loop {
        handle.changed(LOOK_EVERY).await;
        // A parked grant keeps its last token: whoever reads it is refused and waits.
        let Ok(token) = handle.access_token(Ask::default()).await else { continue };
        if Some(token.generation()) == written {
            continue;
        }
        match replace(&path, &token) {
            Ok(()) => written = Some(token.generation()),
            Err(error) => {
                tracing::error!(grant = %handle.id(), %error, "the token file could not be replaced");
                tokio::time::sleep(WRITE_AGAIN).await;
            }
        }
    }
}

fn note(handle: &GrantHandle, error: &TokenError) {
    tracing::warn!(grant = %handle.id(), code = %error.code(), "no token to write to its file yet");
}

fn prepare(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = std::fs::symlink_metadata(folder)?;
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if !about.is_dir() || !ours || about.permissions().mode() & OTHERS != 0 {
        let shown = folder.display();
        let detail = format!("{shown} is not a folder that only its owner can enter; run: chmod 700 {shown}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, detail));
    }
    Ok(())
}

/// Readers see the old file or the new one, never a part.
fn replace(path: &Path, token: &AccessToken) -> io::Result<()> {
    let fresh = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    // Left behind by a crash, perhaps; made anew so that its mode is ours.
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(token.secret().expose().as_bytes())?;
    file.write_all(b"\n")?;
    drop(file);
    #[allow(clippy::disallowed_methods, reason = "the one place that replaces a token file")]
    std::fs::rename(&fresh, path)
}
