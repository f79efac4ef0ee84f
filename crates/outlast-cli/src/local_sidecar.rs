//! The sidecar a child uses: the one that answers on the control socket, else one in this process.

use crate::ask;
use crate::context::Context;
use crate::exit::Fault;
use crate::output;
use outlast::{Grant, GrantId, Keeper, Secret, Standing, Timestamp};
use outlast_daemon::client::ControlClient;
use outlast_daemon::{Options, Sidecar, SidecarError, draw_capability};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a sidecar that is running already.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// For how long a renewal that is under way is waited for at the end: longer than a token request
/// may take, so that no refresh token is spent without its answer being kept.
const RENEWAL_TIME_MAX: Duration = Duration::from_secs(22);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A sidecar to be used, and the key to it.
pub(crate) struct LocalSidecar {
    socket: PathBuf,
    url: String,
    capability: Secret,
    /// The one in this process, if there is one.
    own: Option<(Sidecar, Keeper)>,
}

impl LocalSidecar {
    /// The running sidecar if it knows these grants, else one of our own. How long a request is
    /// held is for whoever runs the sidecar to say.
    pub(crate) async fn for_child(
        context: &Context,
        keeper: &Keeper,
        folder: &Path,
        grants: &[GrantId],
        hold: Duration,
    ) -> Result<Self, Fault> {
        if let Some(running) = running(&context.places.socket, grants).await {
            return Ok(running);
        }
        Self::start(keeper.clone(), folder, hold).await
    }

    /// One in this process, on a port of its own, with its control socket in `folder`.
    pub(crate) async fn start(keeper: Keeper, folder: &Path, hold: Duration) -> Result<Self, Fault> {
        let socket = folder.join("control.sock");
        let options = Options {
            socket: Some(socket.clone()),
            proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hold,
            capability: draw_capability()?,
        };
        let sidecar = Sidecar::start(keeper.clone(), options).await?;
        let (url, capability) = (sidecar.url(), sidecar.capability().clone());
        Ok(Self { socket, url, capability, own: Some((sidecar, keeper)) })
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

    /// Stops the one in this process, and lets a renewal that is under way come to its end.
    pub(crate) async fn stop(self) {
        if let Some((sidecar, keeper)) = self.own {
            sidecar.shutdown().await;
            let_renewals_end(&keeper).await;
        }
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

async fn running(socket: &Path, grants: &[GrantId]) -> Option<LocalSidecar> {
    if !socket.exists() {
        return None;
    }
    match tokio::time::timeout(ANSWER_TIME_MAX, mint(socket, grants)).await {
        Ok(Some((200, answer))) => read(socket, &answer),
        Ok(Some((_, answer))) => {
            let detail = answer["detail"].as_str().unwrap_or("it refuses");
            output::talk(&format!("note: the running sidecar is not used ({detail}); one is started for this program"));
            None
        }
        Ok(None) | Err(_) => None,
    }
}

async fn mint(socket: &Path, grants: &[GrantId]) -> Option<(u16, Value)> {
    let names: Vec<&str> = grants.iter().map(GrantId::as_str).collect();
    let mut client = ControlClient::connect(socket).await.ok()?;
    let (status, body) = client.post("/v1/capabilities", json!({ "grants": names }).to_string()).await.ok()?;
    Some((status, serde_json::from_slice(&body).ok()?))
}

fn read(socket: &Path, answer: &Value) -> Option<LocalSidecar> {
    Some(LocalSidecar {
        socket: socket.to_owned(),
        url: answer["url"].as_str()?.to_owned(),
        capability: Secret::new(answer["capability"].as_str()?),
        own: None,
    })
}

impl From<SidecarError> for Fault {
    fn from(error: SidecarError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
