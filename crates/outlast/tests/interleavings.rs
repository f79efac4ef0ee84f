//! The two files that threads meet in, `flight.rs` and `latest.rs`, under a scheduler that tries the
//! orders of their steps (T7). The files are compiled as they are, over `sync` below instead of their own;
//! for each promise there is a careless relative that breaks it, and is found out.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../src/flight.rs"]
mod flight;
#[path = "../src/latest.rs"]
mod latest;

/// In place of `src/sync.rs`: the same words over primitives that yield to the scheduler.
mod sync {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    pub(crate) use shuttle::future::AbortHandle;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    pub(crate) type Guard<T> = Option<Arc<T>>;

    pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

    impl<T> ArcSwapOption<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn load(&self) -> Guard<T> {
            self.load_full()
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().unwrap().clone()
        }

        pub(crate) fn store(&self, next: Option<Arc<T>>) {
            *self.0.lock().unwrap() = next;
        }
    }

    #[derive(Default)]
    struct Bell {
        rung: u64,
        waiting: Vec<Waker>,
    }

    /// As tokio's: whoever asked before it rings is woken, whether it has waited yet or not.
    pub(crate) struct Notify(Arc<Mutex<Bell>>);

    impl Notify {
        pub(crate) fn new() -> Self {
            Self(Arc::new(Mutex::new(Bell::default())))
        }

        pub(crate) fn notify_waiters(&self) {
            let waiting = {
                let mut bell = self.0.lock().unwrap();
                bell.rung += 1;
                std::mem::take(&mut bell.waiting)
            };
            waiting.into_iter().for_each(Waker::wake);
        }

        pub(crate) fn notified(&self) -> Notified {
            let since = self.0.lock().unwrap().rung;
            Notified { bell: Arc::clone(&self.0), since }
        }
    }

    pub(crate) struct Notified {
        bell: Arc<Mutex<Bell>>,
        since: u64,
    }

    impl Future for Notified {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut bell = self.bell.lock().unwrap();
            if bell.rung != self.since {
                return Poll::Ready(());
            }
            bell.waiting.push(context.waker().clone());
            Poll::Pending
        }
    }

    pub(crate) struct JoinHandle<T>(shuttle::future::JoinHandle<T>);

    pub(crate) struct Lost;

    impl Lost {
        pub(crate) fn is_panic(&self) -> bool {
            false
        }
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn abort_handle(&self) -> AbortHandle {
            self.0.abort_handle()
        }
    }

    impl<T> Future for JoinHandle<T> {
        type Output = Result<T, Lost>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            Pin::new(&mut self.0).poll(context).map_err(|_| Lost)
        }
    }

    pub(crate) fn spawn<F>(work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        JoinHandle(shuttle::future::spawn(work))
    }
}

mod token_error {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum TokenError {
        Internal { detail: &'static str },
    }
}

use flight::Flight;
use latest::{Dated, Latest};
use shuttle::future::{block_on, yield_now};
use shuttle::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use sync::Mutex;
use token_error::TokenError;

/// Orders that are drawn at random, and such in which few switches are made where it hurts (PCT).
const RANDOM: usize = 10_000;
const PCT: usize = 5_000;
const PCT_DEPTH: usize = 3;
/// Most orders that a complete search tries; those below are complete before.
const COMPLETE_MAX: usize = 200_000;

fn check(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scenario.clone(), RANDOM);
    shuttle::check_pct(scenario, PCT, PCT_DEPTH);
}

fn is_found_out(scenario: impl Fn() + Send + Sync + Clone + 'static) -> bool {
    catch_unwind(AssertUnwindSafe(|| check(scenario))).is_err()
}

struct Record(u64);

impl Dated for Record {
    fn generation(&self) -> u64 {
        self.0
    }
}

/// Where a record is published.
trait Cell: Default + Send + Sync + 'static {
    fn publish(&self, generation: u64);
    fn shown(&self) -> u64;
}

impl Cell for Latest<Record> {
    fn publish(&self, generation: u64) {
        Latest::publish(self, generation, |_| Arc::new(Record(generation)));
    }

    fn shown(&self) -> u64 {
        self.load_full().map_or(0, |record| record.0)
    }
}

/// Publishes whatever comes last.
#[derive(Default)]
struct Unordered(Mutex<u64>);

impl Cell for Unordered {
    fn publish(&self, generation: u64) {
        *self.0.lock().unwrap() = generation;
    }

    fn shown(&self) -> u64 {
        *self.0.lock().unwrap()
    }
}

/// Compares, and then publishes what was later when it looked.
#[derive(Default)]
struct Unlocked(Mutex<u64>);

impl Cell for Unlocked {
    fn publish(&self, generation: u64) {
        let current = *self.0.lock().unwrap();
        if current <= generation {
            *self.0.lock().unwrap() = generation;
        }
    }

    fn shown(&self) -> u64 {
        *self.0.lock().unwrap()
    }
}

fn publishers<C: Cell>() {
    let cell = Arc::new(C::default());
    let publishing: Vec<_> = [2, 1, 3]
        .into_iter()
        .map(|generation| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.publish(generation))
        })
        .collect();
    let mut last = 0;
    for _ in 0..3 {
        let shown = cell.shown();
        assert!(shown >= last, "{shown} after {last}");
        last = shown;
    }
    for publisher in publishing {
        publisher.join().unwrap();
    }
    assert_eq!(cell.shown(), 3);
}

#[test]
fn s3_what_is_published_never_goes_back() {
    check(publishers::<Latest<Record>>);
    assert!(is_found_out(publishers::<Unordered>), "publishing without a comparison");
    assert!(is_found_out(publishers::<Unlocked>), "comparing outside of the lock");
}

#[test]
fn s3_two_publishers_in_every_order() {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let scenario = move || {
        count.fetch_add(1, Ordering::SeqCst);
        let cell = Arc::new(Latest::<Record>::default());
        let other = Arc::clone(&cell);
        let publisher = thread::spawn(move || Cell::publish(&*other, 2));
        Cell::publish(&*cell, 1);
        publisher.join().unwrap();
        assert_eq!(cell.shown(), 2);
    };
    shuttle::check_dfs(scenario, Some(COMPLETE_MAX));
    let tried = tried.load(Ordering::SeqCst);
    assert!(tried < COMPLETE_MAX, "{tried} orders were not all of them");
}

/// One waits for another record while one is published; a bell that nobody hears ends in a deadlock,
/// which the scheduler tells.
fn waiting(listen: impl AsyncFn(&Latest<Record>, &Arc<Record>) + Send + Sync + Clone + 'static) {
    let cell = Arc::new(Latest::<Record>::default());
    let known = cell.publish(1, |_| Arc::new(Record(1)));
    let publisher = {
        let cell = Arc::clone(&cell);
        thread::spawn(move || Cell::publish(&*cell, 2))
    };
    block_on(async { listen(&cell, &known).await });
    assert_eq!(cell.shown(), 2);
    publisher.join().unwrap();
}

#[test]
fn whoever_waits_for_another_record_hears_of_it() {
    check(|| waiting(async |cell, known| cell.other_than(known).await));
    let looks_first = async |cell: &Latest<Record>, known: &Arc<Record>| {
        if cell.load_full().is_some_and(|current| Arc::ptr_eq(&current, known)) {
            cell.changed().await;
        }
    };
    assert!(is_found_out(move || waiting(looks_first)), "looking, and listening afterwards");
}

/// What goes on in renewals: how many were begun, how many ended, and that none was beside another.
#[derive(Default)]
struct Sky {
    aloft: AtomicUsize,
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Sky {
    async fn cross(self: Arc<Self>) -> Result<(), TokenError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.aloft.fetch_add(1, Ordering::SeqCst), 0, "two renewals of one grant at once");
        yield_now().await;
        yield_now().await;
        self.aloft.fetch_sub(1, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Where callers meet for a renewal.
trait Airport: Default + Send + Sync + 'static {
    fn join_or_launch(&self, sky: Arc<Sky>) -> impl Future<Output = Result<(), TokenError>> + Send;
}

impl Airport for Flight {
    async fn join_or_launch(&self, sky: Arc<Sky>) -> Result<(), TokenError> {
        Flight::join_or_launch(self, move || sky.cross()).await
    }
}

/// Looks whether one is aloft, and launches one afterwards.
#[derive(Default)]
struct LooksFirst(Mutex<Option<sync::AbortHandle>>);

impl Airport for LooksFirst {
    async fn join_or_launch(&self, sky: Arc<Sky>) -> Result<(), TokenError> {
        if self.0.lock().unwrap().as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let launched = shuttle::future::spawn(sky.cross());
        *self.0.lock().unwrap() = Some(launched.abort_handle());
        launched.await.unwrap()
    }
}

fn callers<A: Airport>() {
    let (airport, sky) = (Arc::new(A::default()), Arc::new(Sky::default()));
    let calling: Vec<_> = (0..3)
        .map(|_| {
            let (airport, sky) = (Arc::clone(&airport), Arc::clone(&sky));
            thread::spawn(move || {
                assert_eq!(block_on(airport.join_or_launch(Arc::clone(&sky))), Ok(()));
                assert!(sky.ended.load(Ordering::SeqCst) > 0, "an answer before any renewal ended");
            })
        })
        .collect();
    for caller in calling {
        caller.join().unwrap();
    }
    assert_eq!(sky.begun.load(Ordering::SeqCst), sky.ended.load(Ordering::SeqCst));
}

#[test]
fn s4_one_renewal_of_a_grant_at_once_and_an_answer_for_every_caller() {
    check(callers::<Flight>);
    assert!(is_found_out(callers::<LooksFirst>), "looking, and launching afterwards");
}

/// Runs in the caller's own future.
#[derive(Default)]
struct OnFoot;

impl Airport for OnFoot {
    async fn join_or_launch(&self, sky: Arc<Sky>) -> Result<(), TokenError> {
        sky.cross().await
    }
}

/// One caller goes away at any moment.
fn a_caller_that_leaves<A: Airport>() {
    let (airport, sky) = (Arc::new(A::default()), Arc::new(Sky::default()));
    let leaving = {
        let (airport, sky) = (Arc::clone(&airport), Arc::clone(&sky));
        shuttle::future::spawn(async move { airport.join_or_launch(sky).await })
    };
    thread::yield_now();
    leaving.abort();
    block_on(async {
        let _ = leaving.await;
        // Whatever is aloft lands; nobody is left to launch another.
        for _ in 0..20 {
            yield_now().await;
        }
    });
    block_on(airport.join_or_launch(Arc::clone(&sky))).unwrap();
    assert_eq!(sky.begun.load(Ordering::SeqCst), sky.ended.load(Ordering::SeqCst), "a renewal was cancelled");
}

#[test]
fn f06_a_caller_that_goes_away_cancels_nothing() {
    check(a_caller_that_leaves::<Flight>);
    assert!(is_found_out(a_caller_that_leaves::<OnFoot>), "renewing in the caller's future");
}
