//! The three stories: the same task and the same kind of server, told with three kinds of client.

use super::agent::{OnRefusal, OwnTokens, Tally, WORKERS, Worker, http};
use super::progress::Watched;
use super::table::Run;
use crate::exit::Fault;
use crate::local_sidecar::LocalSidecar;
use crate::private_folder::PrivateFolder;
use outlast::{ClientAuth, Clock, Code, GrantId, GrantSettings, Secret, Server, SystemClock, TokenSet, read_token_set};
use outlast_daemon::TaskReach;
use outlast_sandbox::{Fault as Trouble, Lasting, Sandbox, Settings};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Name of the story with Outlast.
pub(crate) const OUTLAST: &str = "outlast";
/// Name of the grant in that story.
const GRANT: &str = "demo";
/// When the token endpoint of that story goes down, and for how long: longer than a token lives.
const OUTAGE_AFTER: Duration = Duration::from_secs(5);
const OUTAGE: Duration = Duration::from_secs(4);
/// When its access tokens are revoked early, counted from the end of the outage's start.
const REVOCATION_AFTER: Duration = Duration::from_secs(8);
/// For how long the sidecar holds a request that has no token yet.
const HOLD: Duration = Duration::from_secs(20);

/// One story, ready to be told.
pub(crate) struct Story {
    name: &'static str,
    sandbox: Arc<Sandbox>,
    tally: Arc<Tally>,
    workers: Vec<Worker>,
    /// What has to live as long as the workers do; the sidecar before the folder it lives in.
    sidecar: Option<(LocalSidecar, PrivateFolder)>,
}

impl Story {
    /// The token is read once, at the start.
    pub(crate) async fn fixed_token() -> Result<Self, Fault> {
        let sandbox = sandbox().await?;
        let key = sandbox.issue().access;
        let base = sandbox.api().to_owned();
        Ok(Self::new("fixed-token", sandbox, |tally| worker(&base, &key, OnRefusal::Repeat, tally), None))
    }

    /// Each worker reads the token set at its start and refreshes by itself from then on.
    pub(crate) async fn refresh_per_worker() -> Result<Self, Fault> {
        let sandbox = sandbox().await?;
        let (issued, settings) = (sandbox.issue(), Settings::default());
        let own = || OwnTokens {
            endpoint: sandbox.token_endpoint(),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone().unwrap_or_default(),
            refresh_token: issued.refresh.clone(),
        };
        let workers: Vec<OwnTokens> = (0..WORKERS).map(|_| own()).collect();
        let mut workers = workers.into_iter();
        let (base, key) = (sandbox.api().to_owned(), issued.access.clone());
        let make = |tally| {
            let on_refusal = workers.next().map_or(OnRefusal::Repeat, OnRefusal::Refresh);
            worker(&base, &key, on_refusal, tally)
        };
        Ok(Self::new("refresh-per-worker", sandbox, make, None))
    }

    /// The workers of the first story, given the sidecar's address and key instead of the API's.
    pub(crate) async fn outlast() -> Result<Self, Fault> {
        let sandbox = sandbox().await?;
        let folder = PrivateFolder::create("demo")?;
        let grant = GrantId::parse(GRANT).map_err(|why| Fault::new(Code::Internal, why))?;
        let keeper = outlast::Settings::new(folder.path().join("state")).grant(settings(&sandbox, &grant)?).open()?;
        let response = read_token_set(&sandbox.issue().token_response().to_string());
        let response = response.ok_or_else(|| Fault::new(Code::Internal, "the sandbox issued no token set"))?;
        keeper.grant(&grant)?.import(TokenSet::first(response, SystemClock::new().now())).await?;
        let sidecar = LocalSidecar::start(keeper, folder.path(), HOLD, TaskReach::Nothing).await?;
        let (base, key) = (format!("{}/{GRANT}", sidecar.url()), sidecar.capability().expose().to_owned());
        let make = |tally| worker(&base, &key, OnRefusal::Repeat, tally);
        Ok(Self::new(OUTLAST, sandbox, make, Some((sidecar, folder))))
    }

    fn new(
        name: &'static str,
        sandbox: Sandbox,
        mut worker: impl FnMut(Arc<Tally>) -> Worker,
        sidecar: Option<(LocalSidecar, PrivateFolder)>,
    ) -> Self {
        let tally = Arc::new(Tally::default());
        let workers = (0..WORKERS).map(|_| worker(Arc::clone(&tally))).collect();
        Self { name, sandbox: Arc::new(sandbox), tally, workers, sidecar }
    }

    /// What of it can be watched while it is told.
    pub(crate) fn watched(&self) -> Watched {
        Watched { name: self.name, tally: Arc::clone(&self.tally) }
    }

    /// Lets the workers work, and reports what they and the server counted.
    pub(crate) async fn tell(self, at_most: Duration) -> Run {
        let clock = SystemClock::new();
        let begun = clock.now();
        let trouble = self.sidecar.is_some().then(|| tokio::spawn(make_trouble(Arc::clone(&self.sandbox))));
        let mut working = tokio::task::JoinSet::new();
        for worker in self.workers {
            working.spawn(worker.work());
        }
        // Whoever is not done by then is stopped where he is; his step counts as not done.
        let _ = tokio::time::timeout(at_most, async { while working.join_next().await.is_some() {} }).await;
        working.shutdown().await;
        if let Some(trouble) = trouble {
            trouble.abort();
        }
        let seconds = clock.now().since(begun).as_secs_f64();
        if let Some((sidecar, folder)) = self.sidecar {
            sidecar.stop().await;
            drop(folder);
        }
        let (counters, tally) = (self.sandbox.counters(), &self.tally);
        let calls = tally.calls.load(Ordering::Relaxed);
        Run {
            name: self.name,
            steps_done: tally.done.load(Ordering::Relaxed),
            unauthorized_seen: tally.unauthorized.load(Ordering::Relaxed),
            token_requests: counters.token_requests,
            reuse_alarms: counters.reuse_alarms,
            grant_alive: counters.grant_alive,
            calls,
            calls_wasted: calls.saturating_sub(tally.useful_calls.load(Ordering::Relaxed)),
            seconds,
        }
    }
}

/// What only the story with Outlast has to cope with.
async fn make_trouble(sandbox: Arc<Sandbox>) {
    tokio::time::sleep(OUTAGE_AFTER).await;
    sandbox.fault(Trouble::Unavailable, Lasting::For(OUTAGE));
    tokio::time::sleep(REVOCATION_AFTER).await;
    sandbox.kill_access_tokens();
}

async fn sandbox() -> Result<Sandbox, Fault> {
    let started = Sandbox::start(Settings::default()).await;
    started.map_err(|cause| {
        Fault::new(Code::RequestInvalid, format!("the demo's server cannot listen on loopback: {cause}"))
            .mend("allow programs to listen on 127.0.0.1")
    })
}

fn settings(sandbox: &Sandbox, grant: &GrantId) -> Result<GrantSettings, Fault> {
    let known = Settings::default();
    let upstream = sandbox.api().parse().map_err(|_| Fault::new(Code::Internal, "the sandbox has no address"))?;
    Ok(GrantSettings {
        client_id: known.client_id,
        client_auth: known.client_secret.map_or(ClientAuth::None, |secret| ClientAuth::Basic(Secret::new(secret))),
        upstream: Some(upstream),
        ..GrantSettings::new(grant.clone(), "refresh_token", Server::Issuer(sandbox.issuer().to_owned()))
    })
}

fn worker(base: &str, key: &str, on_refusal: OnRefusal, tally: Arc<Tally>) -> Worker {
    Worker { http: http(), base: base.to_owned(), key: key.to_owned(), on_refusal, tally }
}
