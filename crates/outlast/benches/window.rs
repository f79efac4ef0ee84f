//! THE UNAVOIDABLE WINDOW (F04) of 500 renewals and more: from the moment the server has handed the last
//! byte of its answer to the kernel until the commit of the token set in it has returned. Beside it, in
//! the same run and folder, the sync of a file that a commit is made of.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use outlast::{Ask, By, GrantId, GrantSettings, Provider, Rejected, Server, Settings, SystemClock, TokenSet};
use outlast::{BoxFuture, Clock, Generation, Grant, StoreError, TokenResponse};
use outlast_core::{Lease, TokenStore};
use outlast_store::{KeySource, SqliteStore};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const RENEWALS: usize = 600;
/// The first ones fill caches and are not counted.
const WARM_UP: usize = 20;
const PAGE_BYTES: usize = 4096;

/// When the last answer left, and how long after that the commit of a new generation returned.
#[derive(Debug, Default)]
struct Watch {
    answered: Option<Instant>,
    generation: u64,
    took: Vec<Duration>,
}

struct WatchedStore(SqliteStore, Arc<Mutex<Watch>>);

impl TokenStore for WatchedStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        self.0.list()
    }
    fn load<'a>(&'a self, id: &'a GrantId) -> BoxFuture<'a, Result<Option<Grant>, StoreError>> {
        self.0.load(id)
    }
    fn lease<'a>(&'a self, id: &'a GrantId, patience: Duration) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.0.lease(id, patience)
    }
    fn commit<'a>(
        &'a self,
        lease: &'a Lease,
        expected: Generation,
        next: &'a Grant,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.0.commit(lease, expected, next).await?;
            let mut watch = self.1.lock().unwrap();
            if let (true, Some(answered)) = (next.generation.0 > watch.generation, watch.answered.take()) {
                watch.took.push(answered.elapsed());
            }
            watch.generation = next.generation.0;
            Ok(())
        })
    }
    fn forget<'a>(&'a self, lease: &'a Lease, expected: Generation) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.forget(lease, expected)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

/// Answers token requests, and notes when the last byte of each answer was handed over.
fn serve(listener: &TcpListener, watch: &Mutex<Watch>) {
    for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
        let _gone = answer(stream, number, watch);
    }
}

fn answer(mut stream: TcpStream, number: usize, watch: &Mutex<Watch>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let pad = "x".repeat(900);
        let body = format!(
            r#"{{"access_token":"a{number}-{pad}","token_type":"Bearer","expires_in":36000,"refresh_token":"r{number}"}}"#
        );
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        // Under the lock: the client may be done before this thread has looked at its watch.
        let mut watch = watch.lock().unwrap();
        stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())?;
        watch.answered = Some(now());
    }
}

fn renewals(folder: &std::path::Path) -> (Vec<Duration>, outlast::Window) {
    let watch = Arc::new(Mutex::new(Watch::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
    std::thread::spawn({
        let watch = Arc::clone(&watch);
        move || serve(&listener, &watch)
    });
    let id = GrantId::parse("crm").unwrap();
    let provider = Provider { token_endpoint: endpoint, ..Provider::default() };
    let settings = GrantSettings {
        client_id: "client".to_owned(),
        ..GrantSettings::new(id.clone(), "refresh_token", Server::from(provider))
    };
    let store = SqliteStore::open(&folder.join("home"), KeySource::File).unwrap();
    let store = Arc::new(WatchedStore(store, Arc::clone(&watch)));
    let keeper = Settings::in_memory().store(store).grant(settings).open().unwrap();
    let handle = keeper.grant(&id).unwrap();
    let first = TokenResponse {
        expires_in: Some(Duration::from_secs(36_000)),
        refresh: Some(outlast::Secret::new("r")),
        ..TokenResponse::bearer("a")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        handle.import(TokenSet::first(first, SystemClock::new().now())).await.unwrap();
        for _ in 0..RENEWALS + WARM_UP {
            let generation = handle.record().await.unwrap().generation;
            let rejected = Some(Rejected { generation, by: By::Person });
            handle.access_token(Ask { rejected, ..Ask::default() }).await.unwrap();
        }
    });
    let took = watch.lock().unwrap().took.split_off(WARM_UP);
    assert_eq!(took.len(), RENEWALS);
    (took, keeper.window().unwrap())
}

/// The sync of a page that is written in place, as often as there are renewals.
fn syncs(folder: &std::path::Path, sync: impl Fn(&std::fs::File) -> std::io::Result<()>) -> Vec<Duration> {
    let mut file =
        std::fs::File::options().read(true).write(true).create_new(true).open(folder.join("anchor")).unwrap();
    file.write_all(&[0; 16 * PAGE_BYTES]).unwrap();
    file.sync_all().unwrap();
    let each = (0..RENEWALS).map(|round| {
        file.seek(std::io::SeekFrom::Start((round % 16 * PAGE_BYTES) as u64)).unwrap();
        file.write_all(&[round as u8; PAGE_BYTES]).unwrap();
        let began = now();
        sync(&file).unwrap();
        began.elapsed()
    });
    let each = each.collect();
    std::fs::remove_file(folder.join("anchor")).unwrap();
    each
}

fn print(what: &str, mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() * permille).div_ceil(1000) - 1].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms of {}", at(500), at(990), at(1000), times.len());
    (at(500), at(990))
}

fn main() {
    // Beside the build, on a disk: a folder in memory would not show what a sync costs.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let before = print("fdatasync of a page", syncs(folder.path(), std::fs::File::sync_data));
    print("fsync of a page", syncs(folder.path(), std::fs::File::sync_all));
    let (took, own) = renewals(folder.path());
    let (p50, p99) = print("window, from the server's last byte", took);
    println!(
        "window as the product measures it: p99 {:.2} ms of the last {}",
        own.p99.as_secs_f64() * 1e3,
        own.renewals
    );
    println!("window / fdatasync: {:.1} at p50, {:.1} at p99; aim: p99 at most 20 ms", p50 / before.0, p99 / before.1);
}
