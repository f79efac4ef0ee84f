//! The sidecar a child uses: one in this process, for as long as the child lives.

use crate::exit::Fault;
use crate::output;
use outlast::task::Task;
use outlast::{GrantId, Keeper, Secret};
use outlast_daemon::{Options, Recording, Sidecar, SidecarError, TaskReach, draw_capability};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a process may take to end once it is told to (F77).
const END_TIME_MAX: Duration = Duration::from_secs(25);
/// For how much of that requests under way may still cause renewals: one takes at most 20 s, and its
/// answer has to be on disk before the process ends.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(4);

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
    /// One in this process, on a port of its own, with its control socket where [`socket_in`] says.
    pub(crate) async fn start(keeper: Keeper, folder: &Path, hold: Duration, tasks: TaskReach) -> Result<Self, Fault> {
        let socket = socket_in(folder);
        let options = Options {
            // The child is handed the socket.
            logins: false,
            tasks,
            socket: Some(socket.clone()),
            proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hold,
            capability: draw_capability()?,
        };
        let sidecar = Sidecar::start(keeper.clone(), options).await?;
        let (url, capability) = (sidecar.url(), sidecar.capability().clone());
        Ok(Self { socket, url, capability, sidecar, keeper })
    }

    /// Records what is asked of it from now on as steps of `task`; the word that opens it is another one.
    pub(crate) async fn record(&mut self, task: Task, repeatable: Vec<GrantId>) -> Result<Recording, Fault> {
        let (capability, recording) = self.sidecar.record(None, task, repeatable).await?;
        self.capability = capability;
        Ok(recording)
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

    /// Stops it, and lets what is under way come to its end.
    pub(crate) async fn stop(self) {
        end(self.sidecar, &self.keeper).await;
    }
}

/// Where the control socket is in the folder of a run.
pub(crate) fn socket_in(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Lets requests and renewals that are under way come to their end, in time.
pub(crate) async fn end(sidecar: Sidecar, keeper: &Keeper) {
    let closing = async {
        tokio::time::sleep(BEGIN_TIME_MAX).await;
        keeper.close();
        std::future::pending().await
    };
    let ended = async {
        tokio::select! {
            () = sidecar.shutdown() => {}
            () = closing => {}
        }
        let_renewals_end(keeper).await;
    };
    if tokio::time::timeout(END_TIME_MAX, ended).await.is_err() {
        tracing::warn!("not everything that was under way ended in time");
    }
    tell_unpersisted(keeper);
}

/// Begins nothing more, and waits until nothing is under way: the process must not end between a
/// refresh token that is spent and the answer that replaces it.
pub(crate) async fn let_renewals_end(keeper: &Keeper) {
    keeper.close();
    if tokio::time::timeout(END_TIME_MAX, keeper.settled()).await.is_err() {
        tracing::warn!("a renewal did not end in time");
    }
    tell_unpersisted(keeper);
}

/// Says which token sets end with this process, for the disk refused them to the last (F20).
fn tell_unpersisted(keeper: &Keeper) {
    for handle in keeper.grants().filter_map(|id| keeper.grant(id).ok()).filter(|handle| !handle.is_persisted()) {
        output::talk(&format!(
            "WARNING: the renewed token set of grant {} is NOT on disk, for the disk refuses it, and this process \
             ends now: once the access token has ended, its owner may have to sign in again; run outlast doctor",
            handle.id()
        ));
    }
}

impl From<SidecarError> for Fault {
    fn from(error: SidecarError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
