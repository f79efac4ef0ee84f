//! One world: a machine with a disk and several processes, servers of several personalities, agents,
//! a person, and the weather.

use crate::agent::Agent;
use crate::defect::Defect;
use crate::disk::{Disk, Health, ProcessStore};
use crate::journal::{Journals, ProcessJournal};
use crate::judge::Judge;
use crate::ledger::Ledger;
use crate::log::Log;
use crate::network::{ProcessEndpoint, Skies, Way};
use crate::personality::{Bound, Personality, TABLE};
use crate::process::Process;
use crate::random::Random;
use crate::runner::Runner;
use crate::server::Server;
use outlast::{ClientAuth, GrantId, GrantSettings, Keeper, Provider, Secret, Settings};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// By how much clocks are set.
pub(crate) const YEAR_MILLIS: i64 = 365 * 86_400 * 1000;

/// One server of a world: how it behaves, and of each of its grants whether it is minted without a person.
pub(crate) struct ServerPlan {
    pub(crate) personality: &'static Personality,
    pub(crate) minted: Vec<bool>,
}

/// One grant of a world.
#[derive(Debug)]
pub(crate) struct GrantPlan {
    pub(crate) id: GrantId,
    pub(crate) server: Arc<Server>,
    /// Whether it is minted without a person.
    pub(crate) minted: bool,
    /// When its resource last refused everything for a while.
    pub(crate) stormed_at: AtomicU64,
    /// When the access tokens that it held were last revoked under it.
    pub(crate) access_revoked_at: AtomicU64,
}

impl GrantPlan {
    /// Whether its tokens are bound to a key.
    pub(crate) fn is_bound(&self) -> bool {
        self.server.personality.bound != Bound::No
    }

    /// What the configuration says of it.
    pub(crate) fn settings(&self) -> GrantSettings {
        let provider = Provider {
            token_endpoint: self.server.token_endpoint(),
            issuer: Some(self.server.issuer()),
            revocation_endpoint: self.server.revocation_endpoint(),
            ..Provider::default()
        };
        let (grant_type, client_auth) = if self.minted {
            ("client_credentials", ClientAuth::Basic(Secret::new("of the client")))
        } else {
            ("refresh_token", ClientAuth::None)
        };
        let personality = self.server.personality;
        GrantSettings {
            client_id: "client".to_owned(),
            client_auth,
            scope: ["read", "write"]
                .into_iter()
                .take(if personality.narrow && self.minted { 1 } else { 2 })
                .map(str::to_owned)
                .collect(),
            resource: personality.needs_resource.then(|| "https://api.example/v1".to_owned()),
            dpop: self.is_bound(),
            ..GrantSettings::new(self.id.clone(), grant_type, provider.into())
        }
    }
}

/// A world.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) log: Arc<Log>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) journals: Arc<Journals>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) ways: Arc<Vec<Way>>,
    pub(crate) plans: Arc<Vec<GrantPlan>>,
    pub(crate) slots: usize,
    pub(crate) logins: AtomicU64,
    pub(crate) logouts: AtomicU64,
    /// How far the machine's wall clock is off, in milliseconds.
    pub(crate) wall_offset: AtomicI64,
    /// What the processes of this boot agreed on: how far it was off when the first of them started.
    pub(crate) agreed_offset: Mutex<Option<i64>>,
    running: Mutex<BTreeMap<usize, (Arc<Process>, Keeper)>>,
    /// The last command that somebody ran besides them.
    pub(crate) command: Mutex<Option<Arc<Process>>>,
}

impl World {
    /// The world of a seed.
    pub(crate) fn new(seed: u64, keep_lines: bool, defect: Option<Defect>) -> Arc<Self> {
        let random = Random::of(seed, "world");
        let servers = 1 + random.index(3);
        let servers = (0..servers).map(|number| {
            // The first one goes through the table as seeds do: each personality gets its share.
            let row = if number == 0 { usize::try_from(seed).unwrap_or(0) } else { random.index(TABLE.len()) };
            let minted = (0..=random.index(2)).map(|_| random.chance(120)).collect();
            ServerPlan { personality: &TABLE[row % TABLE.len()], minted }
        });
        let servers: Vec<_> = servers.collect();
        Self::planned(seed, keep_lines, defect, &servers, 1 + random.index(4))
    }

    /// A world with these servers and so many processes.
    pub(crate) fn planned(
        seed: u64,
        keep_lines: bool,
        defect: Option<Defect>,
        servers: &[ServerPlan],
        slots: usize,
    ) -> Arc<Self> {
        let log = Arc::new(Log::new(keep_lines));
        let mut plans = Vec::new();
        let mut ways = Vec::new();
        for (number, planned) in servers.iter().enumerate() {
            let server = Arc::new(Server::new(number, planned.personality, &log));
            for minted in &planned.minted {
                let id = GrantId::parse(&format!("grant-{}", plans.len())).expect("the name is plain");
                log.note(format_args!("{id}: {}, minted: {minted}", planned.personality.name));
                let (server, stormed_at, access_revoked_at) =
                    (Arc::clone(&server), AtomicU64::new(0), AtomicU64::new(0));
                plans.push(GrantPlan { id, server, minted: *minted, stormed_at, access_revoked_at });
            }
            ways.push(server);
        }
        let plans = Arc::new(plans);
        let judge = Arc::new(Judge::new(&log, plans.len()));
        let ledger = Arc::new(Ledger::new(&log));
        let disk = Arc::new(Disk::new(&log, &judge, &plans, seed, defect));
        Arc::new(Self {
            seed,
            journals: Arc::new(Journals::new(&log, &disk, &ledger, seed, defect)),
            ledger,
            disk,
            ways: Arc::new(ways.iter().map(|server| Way::new(&log, &judge, server, seed)).collect()),
            judge,
            plans,
            slots,
            logins: AtomicU64::new(0),
            logouts: AtomicU64::new(0),
            wall_offset: AtomicI64::new(0),
            agreed_offset: Mutex::default(),
            running: Mutex::default(),
            command: Mutex::default(),
            log,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, (Arc<Process>, Keeper)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processes that are up.
    pub(crate) fn running(&self) -> Vec<(Arc<Process>, Keeper)> {
        self.lock().values().cloned().collect()
    }

    /// A process on this machine. Its clock is the one that the first process of this boot found, as
    /// `SystemClock::of` has it.
    pub(crate) fn process(&self, slot: usize, incarnation: u64) -> Arc<Process> {
        let mut agreed = self.agreed_offset.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = *agreed.get_or_insert(self.wall_offset.load(Ordering::Relaxed));
        Process::start(&self.log, slot, incarnation, offset)
    }

    /// Somebody sets the wall clock. A clock that nobody had set before is given up for it.
    pub(crate) fn set_clock(&self, wall_offset: i64) {
        self.wall_offset.store(wall_offset, Ordering::Relaxed);
        let mut agreed = self.agreed_offset.lock().unwrap_or_else(PoisonError::into_inner);
        if agreed.is_some_and(|agreed| agreed < -YEAR_MILLIS) {
            *agreed = Some(wall_offset);
            self.running().iter().for_each(|(process, _)| process.set_clock(wall_offset));
            self.judge.disturbed();
        }
    }

    /// The power goes: nothing runs on, and whoever starts next finds the clock as it is set by then.
    pub(crate) fn power_off(&self) {
        self.running().iter().for_each(|(process, _)| process.kill());
        let agreed = self.agreed_offset.lock().unwrap_or_else(PoisonError::into_inner).take();
        if agreed.is_some_and(|agreed| agreed != self.wall_offset.load(Ordering::Relaxed)) {
            self.judge.disturbed();
        }
    }

    /// The disk as a process sees it.
    pub(crate) fn store(&self, process: &Arc<Process>) -> ProcessStore {
        ProcessStore { disk: Arc::clone(&self.disk), process: Arc::clone(process), read: Arc::default() }
    }

    pub(crate) fn open(&self, process: &Arc<Process>) -> Keeper {
        let endpoint = ProcessEndpoint {
            ways: Arc::clone(&self.ways),
            plans: Arc::clone(&self.plans),
            disk: Arc::clone(&self.disk),
            process: Arc::clone(process),
        };
        Settings::in_memory()
            .store(Arc::new(self.store(process)))
            .journal(Arc::new(ProcessJournal { journals: Arc::clone(&self.journals), process: Arc::clone(process) }))
            .endpoint(Arc::new(endpoint))
            .clock(Arc::clone(process) as Arc<dyn outlast::Clock>)
            .grants(self.plans.iter().map(GrantPlan::settings))
            .open()
            .expect("the configuration of a world is right")
    }

    /// Starts the process of a slot, and starts it again whenever it dies.
    pub(crate) async fn keep_running(self: Arc<Self>, slot: usize) {
        let random = Random::of(self.seed, &format!("slot {slot}"));
        let agents = 1 + random.index(3);
        for incarnation in 0.. {
            let process = self.process(slot, incarnation);
            let keeper = self.open(&process);
            let refresher = keeper.refresh_in_background();
            let mut working: Vec<_> = (0..agents)
                .map(|number| {
                    let (world, process, keeper) = (Arc::clone(&self), Arc::clone(&process), keeper.clone());
                    tokio::spawn(Agent { world, process, keeper, number }.work())
                })
                .collect();
            working.push(tokio::spawn(Runner::new(&self, &process, &keeper).work()));
            self.lock().insert(slot, (Arc::clone(&process), keeper));
            process.dead().await;
            self.lock().remove(&slot);
            self.disk.release_all(&process);
            self.journals.release_all(&process);
            drop(refresher);
            working.iter().for_each(tokio::task::JoinHandle::abort);
            tokio::time::sleep(random.between(Duration::from_millis(50), Duration::from_secs(20))).await;
        }
    }

    /// Ends every fault that lasts.
    pub(crate) fn calm_down(&self) {
        for way in self.ways.iter() {
            way.set_skies(Skies { spotless: true, ..Skies::default() });
            way.server.storm(0);
        }
        self.disk.set_health(Health::Good);
        let command = self.command.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for process in self.running().into_iter().map(|(process, _)| process).chain(command) {
            process.doom(None);
            process.resume();
        }
    }
}
