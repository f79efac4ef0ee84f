//! The sidecar a child uses: one in this process, for as long as the child lives.

use crate::ask;
use crate::exit::Fault;
use outlast::{Grant, Keeper, Secret, Standing, Timestamp};
use outlast_daemon::{Options, Sidecar, SidecarError, draw_capability};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For how long a renewal that is under way is waited for at the end: longer than a token request
/// may take, so that no refresh token is spent without its answer being kept.
const RENEWAL_TIME_MAX: Duration = Duration::from_secs(22);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A sidecar to be used, and the key to it. One that runs already is not borrowed: the child would
/// outlive it, and its word would open nothing after a restart. Both share the grants all the same,
/// through leases.
pub(crate) struct LocalSidecar {
    socket: PathBuf,
    url: String,
    capability: Secret,
    sidecar: Sidecar,
    keeper: Keeper,
}

impl LocalSidecar {
    /// One in this process, on a port of its own, with its control socket in `folder`.
    pub(crate) async fn start(keeper: Keeper, folder: &Path, hold: Duration) -> Result<Self, Fault> {
        let socket = folder.join("control.sock");
        let options = Options {
            // The child is handed the socket.
            logins: false,
            socket: Some(socket.clone()),
            proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hold,
            capability: draw_capability()?,
        };
        let sidecar = Sidecar::start(keeper.clone(), options).await?;
        let (url, capability) = (sidecar.url(), sidecar.capability().clone());
        Ok(Self { socket, url, capability, sidecar, keeper })
    }

    /// The proxy's address, without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the control socket is.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The word that opens the proxy.
    pub(crate) fn capability(&self) -> &Secret {
        &self.capability
    }

    /// Stops it, and lets a renewal that is under way come to its end.
    pub(crate) async fn stop(self) {
        self.sidecar.shutdown().await;
        let_renewals_end(&self.keeper).await;
    }
}

/// Waits until no renewal of this keeper is under way, or the time for one has passed: the process
/// must not end between a refresh token that is spent and the answer that replaces it.
pub(crate) async fn let_renewals_end(keeper: &Keeper) {
    for handle in keeper.grants().filter_map(|id| keeper.grant(id).ok()) {
        // A record that cannot be read is nothing to wait for.
        while handle.record().await.is_ok_and(|record| is_under_way(&record, ask::now())) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether an attempt was begun and has left nothing behind yet. One whose answer was lost has: the
/// next is made on a schedule, by whoever comes then.
fn is_under_way(record: &Grant, now: Timestamp) -> bool {
    let Standing::Renewing { since, .. } = record.standing else { return false };
    let settled = record.trouble.as_ref().is_some_and(|trouble| trouble.at >= since);
    !settled && now.since(since) <= RENEWAL_TIME_MAX
}

impl From<SidecarError> for Fault {
    fn from(error: SidecarError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
