//! The three stories: the same task and the same kind of server, told with three kinds of client.

use super::agent::{CALLS_PER_STEP, Journal, Orders, OwnTokens, STEPS};
use super::life::Life;
use super::progress::{Events, Watched};
use super::report::Tally;
use super::table::Run;
use super::trouble;
use crate::exit::Fault;
use crate::local_sidecar::LocalSidecar;
use crate::private_folder::PrivateFolder;
use outlast::task::{Task, TaskId};
use outlast::{
    ClientAuth, Clock, Code, GrantId, GrantSettings, Keeper, Secret, Server, SystemClock, TokenSet, read_token_set,
};
use outlast_daemon::TaskReach;
use outlast_sandbox::{Sandbox, Settings};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// Name of the story with Outlast.
pub(crate) const OUTLAST: &str = "outlast";
/// Name of the grant in that story.
const GRANT: &str = "demo";
/// Name of the task in it.
const TASK: &str = "demo";
/// After how many steps the agent is killed and started again, and when at the latest where it keeps no
/// record: it never comes so far.
const STOP_AT_STEPS: usize = 18;
const STOP_AFTER: Duration = Duration::from_secs(10);
/// How much later it is killed: the workers end their steps together, and are to be in the midst of the next.
const STOP_LATER: Duration = Duration::from_millis(900);
/// How often it is looked whether it has come so far.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the sandbox wants a device to wait between two polls.
const DEVICE_INTERVAL: Duration = Duration::from_secs(1);
/// For how long the sidecar holds a request that has no token yet.
const HOLD: Duration = Duration::from_secs(20);

/// One story, ready to be told.
pub(crate) struct Story {
    sandbox: Arc<Sandbox>,
    tally: Arc<Tally>,
    design: Design,
}

/// How the agent of a story holds its credentials, and what has to outlive it for that.
enum Design {
    /// The token is read once, at the start.
    FixedToken,
    /// The workers of the first, given the sidecar's address and key instead of the API's, and a task.
    Outlast(Box<Outlast>),
    /// Each worker reads the token set at its start and refreshes by itself from then on.
    RefreshPerWorker,
}

struct Outlast {
    keeper: Keeper,
    grant: GrantId,
    // Before the folder it lives in.
    sidecar: LocalSidecar,
    folder: PrivateFolder,
}

impl Design {
    fn name(&self) -> &'static str {
        match self {
            Self::FixedToken => "fixed-token",
            Self::Outlast(_) => OUTLAST,
            Self::RefreshPerWorker => "refresh-per-worker",
        }
    }
}

impl Story {
    /// With a token that is read once.
    pub(crate) async fn fixed_token() -> Result<Self, Fault> {
        Ok(Self::new(sandbox().await?, Design::FixedToken))
    }

    /// With workers that refresh by themselves.
    pub(crate) async fn refresh_per_worker() -> Result<Self, Fault> {
        Ok(Self::new(sandbox().await?, Design::RefreshPerWorker))
    }

    /// With Outlast.
    pub(crate) async fn outlast() -> Result<Self, Fault> {
        let sandbox = sandbox().await?;
        let folder = PrivateFolder::create("demo")?;
        let grant = GrantId::parse(GRANT).map_err(|why| Fault::new(Code::Internal, why))?;
        let keeper = outlast::Settings::new(folder.path().join("state")).grant(settings(&sandbox, &grant)?).open()?;
        let response = read_token_set(&sandbox.issue().token_response().to_string());
        let response = response.ok_or_else(|| Fault::new(Code::Internal, "the sandbox issued no token set"))?;
        keeper.grant(&grant)?.import(TokenSet::first(response, SystemClock::new().now())).await?;
        let id = TaskId::parse(TASK).map_err(|why| Fault::new(Code::Internal, why))?;
        let task = Task::open(&keeper, &id).await?;
        let sidecar = LocalSidecar::start(keeper.clone(), folder.path(), HOLD, TaskReach::Only(task)).await?;
        Ok(Self::new(sandbox, Design::Outlast(Box::new(Outlast { keeper, grant, sidecar, folder }))))
    }

    fn new(sandbox: Sandbox, design: Design) -> Self {
        Self { sandbox: Arc::new(sandbox), tally: Arc::default(), design }
    }

    /// What of it can be watched while it is told.
    pub(crate) fn watched(&self) -> Watched {
        Watched { name: self.design.name(), tally: Arc::clone(&self.tally) }
    }

    /// Lets the agent work, kills it, lets another do the rest, and reports what they and the server counted.
    pub(crate) async fn tell(self, at_most: Duration, events: &Events) -> Result<Run, Fault> {
        let clock = SystemClock::new();
        let begun = clock.now();
        // Whoever is not done by then is killed where he is; his step counts as not done.
        let mut killed_by_signal = None;
        if let Ok(failed) = tokio::time::timeout(at_most, self.work_twice(events, &mut killed_by_signal)).await {
            failed?;
        }
        let seconds = clock.now().since(begun).as_secs_f64();
        let (name, counters, calls) =
            (self.design.name(), self.sandbox.counters(), self.tally.calls.load(Ordering::Relaxed));
        if let Design::Outlast(outlast) = self.design {
            outlast.sidecar.stop().await;
            drop(outlast.folder);
        }
        let steps_done = self.tally.done();
        Ok(Run {
            name,
            killed_by_signal,
            steps_done,
            steps_run_twice: self.tally.run_twice(),
            work_paid_twice: counters.work_repeated,
            logins: counters.device_logins,
            unauthorized_seen: self.tally.unauthorized.load(Ordering::Relaxed),
            token_requests: counters.token_requests,
            reuse_alarms: counters.reuse_alarms,
            grant_alive: counters.grant_alive,
            calls,
            calls_wasted: calls.saturating_sub((steps_done * CALLS_PER_STEP) as u64),
            seconds,
        })
    }

    /// Says in `killed` which signal ended the first agent, if one did.
    async fn work_twice(&self, events: &Events, killed: &mut Option<i32>) -> Result<(), Fault> {
        // All that is under way ends with this: dropped, a set of tasks aborts them.
        let mut trouble = JoinSet::new();
        if let Design::Outlast(_) = self.design {
            trouble.spawn(trouble::outage_and_revoked_tokens(Arc::clone(&self.sandbox), events.clone()));
        }
        let mut first = self.start().await?;
        tokio::select! {
            () = self.time_to_stop() => {}
            () = first.ended() => {}
        }
        *killed = first.kill().await;
        let how = if killed.is_some() { "is killed" } else { "has given up" };
        let done = self.tally.done();
        events.tell(self.design.name(), &format!("the agent {how} at {done} of {STEPS} steps, and is started again"));
        self.tally.failed.store(0, Ordering::Relaxed);
        let mut second = self.start().await?;
        if let Design::Outlast(outlast) = &self.design {
            let handle = outlast.keeper.grant(&outlast.grant)?;
            trouble.spawn(trouble::revoked_grant_and_login(Arc::clone(&self.sandbox), handle, events.clone()));
        }
        second.ended().await;
        Ok(())
    }

    async fn time_to_stop(&self) {
        let far_enough = async {
            while self.tally.done() < STOP_AT_STEPS {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(STOP_LATER).await;
        };
        match self.design {
            Design::Outlast(_) => far_enough.await,
            Design::FixedToken | Design::RefreshPerWorker => {
                let _ = tokio::time::timeout(STOP_AFTER, far_enough).await;
            }
        }
    }

    /// Starts the agent, which knows nothing but what it is told here.
    async fn start(&self) -> Result<Life, Fault> {
        let api = self.sandbox.api().to_owned();
        let orders = match &self.design {
            Design::FixedToken => Orders { base: api, key: self.sandbox.issue().access, own: None, journal: None },
            Design::Outlast(outlast) => Orders {
                base: format!("{}/{GRANT}", outlast.sidecar.url()),
                key: outlast.sidecar.capability().expose().to_owned(),
                own: None,
                journal: Some(Journal {
                    socket: outlast.sidecar.socket().to_owned(),
                    task: TASK.to_owned(),
                    grant: GRANT.to_owned(),
                }),
            },
            Design::RefreshPerWorker => {
                let issued = self.sandbox.issue();
                let own = own_tokens(&self.sandbox, &issued.refresh);
                Orders { base: api, key: issued.access, own: Some(own), journal: None }
            }
        };
        Life::begin(&orders, Arc::clone(&self.tally)).await
    }
}

fn own_tokens(sandbox: &Sandbox, refresh_token: &str) -> OwnTokens {
    let known = Settings::default();
    OwnTokens {
        endpoint: sandbox.token_endpoint(),
        client_id: known.client_id,
        client_secret: known.client_secret.unwrap_or_default(),
        refresh_token: refresh_token.to_owned(),
    }
}

async fn sandbox() -> Result<Sandbox, Fault> {
    let started = Sandbox::start(Settings { device_interval: DEVICE_INTERVAL, ..Settings::default() }).await;
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
