//! What a task promises: steps that are done stay done, and nothing is silently done twice.
#![allow(clippy::unwrap_used, missing_docs)]

use outlast::task::{
    ATTEMPTS_MAX, Begun, Block, Change, Effect, Ended, Failure, Journal, JournalError, Recorded, Reporter, Resolution,
    Stand, Step, StepKey, Task, TaskError, TaskId, TaskSettings,
};
use outlast::{
    Advice, Ask, By, Clock, Code, GrantHandle, GrantId, GrantSettings, Keeper, Provider, Rejected, Server, Settings,
    TokenSet,
};
use outlast_core::store::TokenStore;
use outlast_store::{MemoryJournal, MemoryStore};
use outlast_testkit::clock::SimulatedClock;
use outlast_testkit::strict_server::{StrictServer, Trick};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn crm() -> GrantId {
    GrantId::parse("crm").unwrap()
}

fn id(name: &str) -> TaskId {
    TaskId::parse(name).unwrap()
}

fn key(name: &str) -> StepKey {
    StepKey::parse(name).unwrap()
}

/// A machine: any number of processes over one store and one journal.
struct World {
    server: StrictServer,
    clock: Arc<SimulatedClock>,
    store: Arc<dyn TokenStore>,
    journal: MemoryJournal,
}

impl World {
    fn new() -> Self {
        Self {
            server: StrictServer::new(Duration::from_secs(3600), Duration::from_millis(20)),
            clock: Arc::new(SimulatedClock::new()),
            store: Arc::new(MemoryStore::new()),
            journal: MemoryJournal::new(),
        }
    }

    fn process(&self) -> Keeper {
        let provider = Provider { token_endpoint: "https://as.example/token".to_owned(), ..Provider::default() };
        let grant = GrantSettings {
            client_id: "client".to_owned(),
            ..GrantSettings::new(crm(), "refresh_token", Server::from(provider))
        };
        Settings::in_memory()
            .store(Arc::clone(&self.store))
            .journal(Arc::new(self.journal.clone()) as Arc<dyn Journal>)
            .endpoint(Arc::new(self.server.clone()))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .grant(grant)
            .open()
            .unwrap()
    }

    async fn task(&self) -> Task {
        Task::open(&self.process(), &id("harvest")).await.unwrap()
    }

    /// A person signs in, in a process of their own.
    async fn sign_in(&self) -> GrantHandle {
        let handle = self.process().grant(&crm()).unwrap();
        handle.import(TokenSet::first(self.server.issue(), self.clock.now())).await.unwrap();
        handle
    }

    /// The grant is dead, and every process will find out from the store.
    async fn revoke(&self) {
        let handle = self.sign_in().await;
        self.server.play([Trick::Refuse("invalid_grant")]);
        self.clock.suspend(Duration::from_secs(3700));
        let refused = handle.access_token(Ask::default()).await;
        assert!(refused.is_err(), "{refused:?}");
    }

    fn settings(hold: Option<Duration>) -> (TaskSettings, Arc<Mutex<Vec<Change>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&told);
        let reporter = Reporter::new(move |change, _| own.lock().unwrap().push(change.clone()));
        (TaskSettings { hold, reporter: Some(reporter), ..TaskSettings::default() }, told)
    }
}

/// Work that counts how often it ran.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn ran(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

async fn pass(secs: u64) {
    tokio::time::sleep(Duration::from_secs(secs)).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_done_gives_its_record_back_to_every_later_runner() {
    let (world, counter) = (World::new(), Counter::default());
    for _ in 0..3 {
        let task = world.task().await;
        let brought: Vec<String> = task
            .step("page-1", Effect::Once, &[], |step| {
                let counter = counter.clone();
                async move { Ok(vec![format!("{} {}", step.key(), counter.count())]) }
            })
            .await
            .unwrap();
        assert_eq!(brought, ["page-1 1"]);
    }
    assert_eq!(counter.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn f81_a_second_runner_is_told_who_has_the_task_and_may_wait_for_it() {
    let world = World::new();
    let task = world.task().await;
    let busy = Task::open(&world.process(), &id("harvest")).await.err().unwrap();
    assert_eq!(busy.code(), Code::TaskBusy);
    let keeper = world.process();
    let patient = tokio::spawn(async move {
        let settings = TaskSettings { patience: Duration::from_secs(60), ..TaskSettings::default() };
        Task::open_with(&keeper, &id("harvest"), settings).await
    });
    pass(5).await;
    assert!(!patient.is_finished());
    drop(task);
    patient.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_runner_gave_up_is_ambiguous_until_a_person_decides() {
    let world = World::new();
    let task = world.task().await;
    let Begun::Run(run) = task.begin(&Step::once("charge-1").unwrap()).await.unwrap() else { panic!() };
    drop(run);
    let mut held = Some(task);
    // In this very runner, and in the next.
    for _ in 0..2 {
        let task = match held.take() {
            Some(task) => task,
            None => world.task().await,
        };
        let told = task.begin(&Step::once("charge-1").unwrap()).await.err().unwrap();
        assert_eq!((told.code(), told.code().advice()), (Code::StepAmbiguous, Advice::Decide));
        assert!(told.to_string().contains("outlast task resolve harvest charge-1 --done"), "{told}");
        let idempotent = task.begin(&Step::idempotent("charge-1").unwrap()).await.err().unwrap();
        assert_eq!(idempotent.code(), Code::StepAmbiguous, "it began as something to be done once");
        let other = task.begin(&Step::once("charge-2").unwrap()).await.unwrap();
        let Begun::Run(other) = other else { continue };
        other.complete(Recorded { exit: None, bytes: b"2".to_vec() }).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_refused_while_a_runner_has_the_task_and_holds_afterwards() {
    let world = World::new();
    let tasks = world.process().tasks();
    let task = world.task().await;
    for name in ["a", "b"] {
        let Begun::Run(run) = task.begin(&Step::once(name).unwrap()).await.unwrap() else { panic!() };
        drop(run);
    }
    let harvest = id("harvest");
    let busy = tasks.resolve(&harvest, &key("a"), Resolution::Rerun, "a person").await.err().unwrap();
    assert_eq!(busy.code(), Code::TaskBusy);
    drop(task);
    let (summary, _) = tasks.show(&harvest).await.unwrap();
    assert_eq!(summary.stand, Stand::Idle);
    assert!(matches!(&summary.blocks[..], [Block::Ambiguous { .. }, Block::Ambiguous { .. }]), "{summary:?}");
    let done = Recorded { exit: None, bytes: b"\"by hand\"".to_vec() };
    tasks.resolve(&harvest, &key("a"), Resolution::Done(done.clone()), "a person").await.unwrap();
    tasks.resolve(&harvest, &key("b"), Resolution::Rerun, "a person").await.unwrap();
    assert_eq!(tasks.output(&harvest, &key("a")).await.unwrap(), Some(done));
    let again = tasks.resolve(&harvest, &key("a"), Resolution::Rerun, "a person").await.err().unwrap();
    assert!(matches!(again, TaskError::NothingToResolve { .. }), "{again}");
    let unknown = tasks.resolve(&harvest, &key("z"), Resolution::Rerun, "a person").await.err().unwrap();
    assert!(matches!(unknown, TaskError::StepUnknown { .. }), "{unknown}");
    let unknown = tasks.resolve(&id("other"), &key("a"), Resolution::Rerun, "a person").await.err().unwrap();
    assert_eq!(unknown.code(), Code::TaskUnknown);
    let task = world.task().await;
    let by_hand: String = task.step("a", Effect::Once, &[], |_| async { panic!("it is done") }).await.unwrap();
    let run: String = task.step("b", Effect::Once, &[], |_| async { Ok("ran".to_owned()) }).await.unwrap();
    assert_eq!((by_hand.as_str(), run.as_str()), ("by hand", "ran"));
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_step_whose_runner_gave_up_is_run_again_with_the_same_key() {
    let world = World::new();
    let task = world.task().await;
    let step = Step::idempotent("charge-1").unwrap();
    let Begun::Run(run) = task.begin(&step).await.unwrap() else { panic!() };
    let first = run.idempotency_key();
    drop((run, task));
    let Begun::Run(run) = world.task().await.begin(&step).await.unwrap() else { panic!() };
    assert_eq!((run.idempotency_key(), run.attempt()), (first, 2));
}

#[tokio::test(start_paused = true)]
async fn f79_a_poison_step_is_tried_five_times_with_pauses_and_others_go_on() {
    let (world, counter) = (World::new(), Counter::default());
    let task = world.task().await;
    let began = world.clock.now();
    let poison = async || {
        task.step::<(), _, _>("page-1", Effect::Idempotent, &[], |_| {
            counter.count();
            async { Err(Failure::undone("the page has no table")) }
        })
        .await
        .err()
        .unwrap()
    };
    let told = poison().await;
    assert_eq!((told.code(), counter.ran()), (Code::StepPoisoned, ATTEMPTS_MAX as usize));
    assert!(told.to_string().contains("the page has no table"), "{told}");
    assert_eq!(world.clock.now().since(began).as_secs(), 1 + 2 + 4 + 8, "each pause is longer");
    assert_eq!(poison().await.code(), Code::StepPoisoned);
    assert_eq!(counter.ran(), ATTEMPTS_MAX as usize, "it is not tried again");
    let other: u32 = task.step("page-2", Effect::Once, &[], |_| async { Ok(2) }).await.unwrap();
    assert_eq!(other, 2);
    drop(task);
    let tasks = world.process().tasks();
    let (summary, _) = tasks.show(&id("harvest")).await.unwrap();
    assert!(matches!(&summary.blocks[..], [Block::Poisoned { failures: 5, .. }]), "{summary:?}");
    tasks.resolve(&id("harvest"), &key("page-1"), Resolution::Rerun, "a person").await.unwrap();
    let mended: u32 = world.task().await.step("page-1", Effect::Once, &[], |_| async { Ok(1) }).await.unwrap();
    assert_eq!(mended, 1);
}

#[tokio::test(start_paused = true)]
async fn retries_go_by_advice_and_not_by_text() {
    let (world, counter) = (World::new(), Counter::default());
    let task = world.task().await;
    for (advice, ran) in [(Advice::FixConfig, 1), (Advice::ReportBug, 2)] {
        let told = task
            .step::<(), _, _>("page-1", Effect::Once, &[], |_| {
                counter.count();
                async move { Err(Failure::undone("please retry now").advice(advice)) }
            })
            .await
            .err()
            .unwrap();
        assert_eq!((told.code(), counter.ran()), (Code::StepFailed, ran));
    }
    let began = world.clock.now();
    let tried = Counter::default();
    task.step::<(), _, _>("page-2", Effect::Once, &[], |_| {
        let first = tried.count() == 1;
        let busy = Failure::undone("never again").code(Code::CoolingDown).retry_after(Duration::from_secs(90));
        async move { if first { Err(busy) } else { Ok(()) } }
    })
    .await
    .unwrap();
    assert_eq!(world.clock.now().since(began).as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_which_nobody_knows_what_it_did_leaves_a_step_to_be_done_once_ambiguous() {
    let (world, counter) = (World::new(), Counter::default());
    let task = world.task().await;
    let work = |_| {
        counter.count();
        async { Err(std::io::Error::other("the connection broke"))? }
    };
    let told = task.step::<(), _, _>("charge-1", Effect::Once, &[], work).await.err().unwrap();
    assert_eq!((told.code(), counter.ran()), (Code::StepAmbiguous, 1));
    let told = task.step::<(), _, _>("read-1", Effect::Idempotent, &[], work).await.err().unwrap();
    assert_eq!((told.code(), counter.ran()), (Code::StepPoisoned, 1 + ATTEMPTS_MAX as usize));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_another_input_is_refused() {
    let world = World::new();
    let task = world.task().await;
    let step = |input: &str| Step::once("page-1").unwrap().input(input);
    let run = async |input: &str| task.run::<u32, _, _>(&step(input), |_| async { Ok(1) }).await;
    assert_eq!(run("a").await.unwrap(), 1);
    assert_eq!(run("a").await.unwrap(), 1);
    assert_eq!(run("b").await.err().unwrap().code(), Code::StepInputChanged);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_cancelled_before_its_work_began_is_as_if_nobody_had_asked() {
    let (world, counter) = (World::new(), Counter::default());
    let task = world.task().await;
    let step = Step::once("charge-1").unwrap();
    // Polled once: the entry is on its way.
    let mut begin = Box::pin(task.begin(&step));
    assert!(futures_util::poll!(&mut begin).is_pending());
    drop(begin);
    pass(10).await;
    let ran: usize = task
        .step("charge-1", Effect::Once, &[], |_| {
            let counter = counter.clone();
            async move { Ok(counter.count()) }
        })
        .await
        .unwrap();
    assert_eq!(ran, 1);
}

#[tokio::test(start_paused = true)]
async fn two_who_want_the_same_step_get_one_run() {
    let (world, counter) = (World::new(), Counter::default());
    let task = world.task().await;
    let want = || {
        task.step::<usize, _, _>("page-1", Effect::Once, &[], |_| {
            let counter = counter.clone();
            async move {
                pass(5).await;
                Ok(counter.count())
            }
        })
    };
    let (one, other) = tokio::join!(want(), want());
    assert_eq!((one.unwrap(), other.unwrap(), counter.ran()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn map_runs_all_items_in_bounds_and_one_that_fails_keeps_none_from_it() {
    let world = World::new();
    let task = world.task().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let results = task
        .map(
            0..40_u32,
            4,
            |item| Step::idempotent(format!("page-{item}")),
            |_, item| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    pass(1).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    match item {
                        7 => Err(Failure::undone("gone").advice(Advice::FixConfig)),
                        item => Ok(item * 2),
                    }
                }
            },
        )
        .await;
    assert_eq!(most.load(Ordering::SeqCst), 4);
    for (item, result) in results.iter().enumerate() {
        match result {
            Ok(doubled) => assert_eq!(*doubled as usize, item * 2),
            Err(error) => assert_eq!((item, error.code()), (7, Code::StepFailed)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_there_before_it_is_written_that_a_step_begins() {
    let world = World::new();
    world.revoke().await;
    let (settings, told) = World::settings(Some(Duration::from_secs(5)));
    let task = Task::open_with(&world.process(), &id("harvest"), settings).await.unwrap();
    for _ in 0..3 {
        let parked = task.step::<(), _, _>("page-1", Effect::Once, &[crm()], |_| async { panic!() }).await;
        let parked = parked.err().unwrap();
        assert!(matches!(parked, TaskError::Parked { .. }), "{parked}");
        assert_eq!(parked.code().advice(), Advice::AskUser);
        assert!(parked.to_string().contains("outlast login crm"), "{parked}");
    }
    let told = told.lock().unwrap().clone();
    assert!(matches!(&told[..], [Change::Parked { .. }]), "one notice: {told:?}");
    let (summary, view) = world.process().tasks().show(&id("harvest")).await.unwrap();
    assert!(view.step(&key("page-1")).is_none(), "nothing is in doubt");
    assert_eq!(summary.stand, Stand::Parked, "it was given back");
}

/// R11: five tasks of three processes wait for one grant; one login wakes them all.
#[tokio::test(start_paused = true)]
async fn r11_one_login_wakes_every_parked_task_of_every_process() {
    let world = World::new();
    world.revoke().await;
    let processes = [world.process(), world.process(), world.process()];
    let mut waiting = Vec::new();
    for number in 0..5 {
        let keeper = processes[number % 3].clone();
        let name = id(&format!("task-{number}"));
        waiting.push(tokio::spawn(async move {
            let task = Task::open(&keeper, &name).await?;
            task.step::<u32, _, _>("first", Effect::Once, &[], |_| async { Ok(1) }).await?;
            task.step::<String, _, _>("second", Effect::Once, &[crm()], |step| async move {
                Ok(step.token(&crm()).await?.secret().expose().to_owned())
            })
            .await
        }));
    }
    pass(600).await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    // While they wait, somebody may look after them.
    let tasks = world.process().tasks();
    assert!(tasks.list().await.unwrap().iter().all(|(_, summary)| summary.as_ref().unwrap().stand == Stand::Parked));
    world.sign_in().await;
    let began = world.clock.now();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    let took = world.clock.now().since(began);
    assert!(took <= Duration::from_secs(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn f83_five_hundred_tasks_go_on_at_most_eight_at_a_time() {
    let world = World::new();
    world.revoke().await;
    let keeper = world.process();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let (keeper, now, most) = (keeper.clone(), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let task = Task::open(&keeper, &id(&format!("task-{number}"))).await?;
                task.step::<(), _, _>("only", Effect::Once, &[crm()], |_| {
                    let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                    async move {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    }
                })
                .await
            })
        })
        .collect();
    pass(60).await;
    world.sign_in().await;
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 8, "{}", most.load(Ordering::SeqCst));
}

/// F85: the grant dies while a step runs. The attempt does not count, however often that happens.
#[tokio::test(start_paused = true)]
async fn f85_an_attempt_that_a_revoked_grant_spoilt_does_not_count() {
    let (world, counter) = (Arc::new(World::new()), Counter::default());
    world.sign_in().await;
    let task = world.task().await;
    let (own, count) = (Arc::clone(&world), counter.clone());
    let running = tokio::spawn(async move {
        task.step::<usize, _, _>("page-1", Effect::Idempotent, &[crm()], |_| {
            let (world, count) = (Arc::clone(&own), count.clone());
            async move {
                let number = count.count();
                if number <= ATTEMPTS_MAX as usize + 2 {
                    world.revoke().await;
                    return Err(Failure::undone("401"));
                }
                Ok(number)
            }
        })
        .await
    });
    for _ in 0..200 {
        pass(30).await;
        if running.is_finished() {
            break;
        }
        if world.process().grant(&crm()).unwrap().access_token(Ask::default()).await.is_err() {
            world.sign_in().await;
        }
    }
    assert_eq!(running.await.unwrap().unwrap(), ATTEMPTS_MAX as usize + 3);
}

#[tokio::test(start_paused = true)]
async fn f85_a_step_that_a_revoked_token_spoilt_which_looks_good_waits_for_the_login_and_is_not_begun_before() {
    let (world, counter) = (Arc::new(World::new()), Counter::default());
    world.sign_in().await;
    let (settings, told) = World::settings(None);
    let task = Task::open_with(&world.process(), &id("harvest"), settings).await.unwrap();
    let (own, count) = (Arc::clone(&world), counter.clone());
    let running = tokio::spawn(async move {
        task.step::<usize, _, _>("page-1", Effect::Idempotent, &[crm()], |context| {
            let (world, count) = (Arc::clone(&own), count.clone());
            async move {
                let (number, token) = (count.count(), context.token(&crm()).await?);
                if number > 1 {
                    return Ok(number);
                }
                // The resource refuses the token, and so does the authorization server.
                world.server.play([Trick::Refuse("invalid_grant")]);
                let by = By::Resource { accepted: true };
                let rejected = Some(Rejected { generation: token.generation(), by });
                let handle = world.process().grant(&crm()).unwrap();
                let refused = handle.access_token(Ask { rejected, ..Ask::default() }).await;
                assert_eq!(refused.unwrap_err().code(), Code::NeedsUser);
                assert!(handle.access_token(Ask::default()).await.is_ok(), "it looks good all the same");
                Err(Failure::undone("401").advice(Advice::AskUser))
            }
        })
        .await
    });
    pass(120).await;
    assert_eq!(counter.ran(), 1);
    assert!(told.lock().unwrap().iter().any(|change| matches!(change, Change::Parked { .. })));
    running.abort();
    running.await.unwrap_err();
    // Another runner knows as much from the journal.
    let task = world.task().await;
    let begun = tokio::spawn(async move {
        let step = Step::idempotent("page-1").unwrap().grants(&[crm()]);
        matches!(task.begin(&step).await.unwrap(), Begun::Run(_))
    });
    pass(120).await;
    assert!(!begun.is_finished());
    world.sign_in().await;
    assert!(begun.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_ill_authorization_server_is_waited_out_and_nobody_is_asked() {
    let world = World::new();
    world.sign_in().await;
    world.clock.suspend(Duration::from_secs(3700));
    world.server.play([Trick::Status(503), Trick::Status(503)]);
    let (settings, told) = World::settings(None);
    let task = Task::open_with(&world.process(), &id("harvest"), settings).await.unwrap();
    task.step::<(), _, _>("page-1", Effect::Once, &[crm()], |_| async { Ok(()) }).await.unwrap();
    assert!(!told.lock().unwrap().iter().any(|change| matches!(change, Change::Parked { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_task_is_told_as_closed_until_it_is_opened_again_and_pruned_in_time() {
    let world = World::new();
    let task = world.task().await;
    let other = task.clone();
    task.step::<u32, _, _>("page-1", Effect::Once, &[], |_| async { Ok(1) }).await.unwrap();
    task.close().await.unwrap();
    let closed = other.begin(&Step::once("page-2").unwrap()).await.err().unwrap();
    assert_eq!(closed.code(), Code::TaskClosed);
    drop(other);
    let tasks = world.process().tasks();
    assert_eq!(tasks.show(&id("harvest")).await.unwrap().0.stand, Stand::Closed);
    assert!(tasks.prune(Duration::from_secs(3600)).await.unwrap().is_empty());
    pass(3601).await;
    assert_eq!(tasks.prune(Duration::from_secs(3600)).await.unwrap(), [id("harvest")]);
    assert!(tasks.names().await.unwrap().is_empty());
    let gone = tasks.delete(&id("harvest")).await.err().unwrap();
    assert!(matches!(gone, TaskError::Journal(JournalError::Unknown { .. })), "{gone}");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_failed_tells_when_it_may_be_begun_again() {
    let world = World::new();
    let task = world.task().await;
    let step = Step::once("page-1").unwrap();
    let Begun::Run(run) = task.begin(&step).await.unwrap() else { panic!() };
    let ended = run.fail(Failure::undone("not yet")).await.unwrap();
    assert!(matches!(ended, Ended::Again { pause: None }), "{ended:?}");
    let told = task.begin_within(&step, Some(Duration::ZERO)).await.err().unwrap();
    assert_eq!(told.code().advice(), Advice::Wait);
    assert_eq!(told.retry_at(), Some(world.clock.now().plus(Duration::from_secs(1))));
    assert!(matches!(task.begin(&step).await.unwrap(), Begun::Run(_)));
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A clock that is set between steps, in a pause, while a task is parked, and before its journal is looked at.
#[tokio::test(start_paused = true)]
async fn f18_a_clock_that_is_set_a_year_either_way_keeps_no_step_waiting_and_undoes_none() {
    for forward in [true, false] {
        let world = World::new();
        let set = || if forward { world.clock.suspend(YEAR) } else { world.clock.set_back(YEAR) };
        let counter = Counter::default();
        let count = || {
            let counter = counter.clone();
            async move { Ok(counter.count()) }
        };
        let task = world.task().await;
        assert_eq!(task.step("one", Effect::Once, &[], |_| count()).await.unwrap(), 1);
        set();
        assert_eq!(task.step("two", Effect::Once, &[], |_| count()).await.unwrap(), 2);
        // A step that failed is tried again after a second, whatever the clock says by then.
        let step = Step::once("three").unwrap();
        let Begun::Run(run) = task.begin(&step).await.unwrap() else { panic!() };
        run.fail(Failure::undone("not yet")).await.unwrap();
        set();
        let again = task.begin_within(&step, Some(Duration::from_secs(60))).await;
        let Ok(Begun::Run(run)) = again else { panic!("forward {forward}: {:?}", again.err()) };
        run.complete(Recorded { exit: None, bytes: b"3".to_vec() }).await.unwrap();
        drop((task, step));
        set();
        let task = world.task().await;
        for (number, name) in [(1, "one"), (2, "two"), (3, "three")] {
            assert_eq!(task.step(name, Effect::Once, &[], |_| count()).await.unwrap(), number);
        }
        assert_eq!(counter.ran(), 2, "what is done is not done again");
        let (summary, _) = world.process().tasks().show(&id("harvest")).await.unwrap();
        assert_eq!((summary.stand, summary.progress.done), (Stand::Running, 3));
        assert!(summary.progress.worked < Duration::from_secs(60), "{summary:?}");
        // A task that goes on is none to be pruned, however old it looks.
        assert!(world.process().tasks().prune(Duration::from_secs(3600)).await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn f18_a_parked_task_goes_on_after_the_login_whatever_was_done_to_the_clock() {
    for forward in [true, false] {
        let world = World::new();
        world.revoke().await;
        let keeper = world.process();
        let parked = tokio::spawn(async move {
            let task = Task::open(&keeper, &id("harvest")).await?;
            task.step::<u32, _, _>("first", Effect::Once, &[crm()], |_| async { Ok(1) }).await
        });
        pass(600).await;
        if forward {
            world.clock.suspend(YEAR)
        } else {
            world.clock.set_back(YEAR)
        };
        pass(60).await;
        assert!(!parked.is_finished(), "forward {forward}");
        world.sign_in().await;
        pass(30).await;
        assert!(parked.is_finished(), "forward {forward}: it is not woken");
        assert_eq!(parked.await.unwrap().unwrap(), 1);
    }
}

#[test]
fn names_and_keys_that_lead_elsewhere_are_refused() {
    for bad in ["../x", "a/b", "a\u{1b}[2J", ""] {
        assert!(TaskId::parse(bad).is_err());
        let refused = Step::once(bad).err().unwrap();
        assert_eq!(refused.code(), Code::RequestInvalid);
    }
}
