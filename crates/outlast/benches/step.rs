//! A task of 100,000 steps: what recording one costs at the beginning and at the end, beside the sync of a
//! preallocated log in the same folder and the same run; how long opening it again takes, and how much
//! memory it needs. `cargo bench -p outlast --bench step -- 20000` for fewer steps.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use outlast::Settings;
use outlast::task::{Begun, Recorded, Step, StepKey, Task, TaskId};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const STEPS: usize = 100_000;
/// The log is written to beside every so many steps.
const BESIDE_EVERY: usize = 20;
/// Steps that are compared at either end.
const ENDS: usize = 1000;
/// What a frame with a small output takes.
const FRAME_BYTES: usize = 128;
const OUTPUT: &[u8] = br#"{"page":17,"rows":200}"#;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

/// A log of zeros that are on the disk already, to which one frame after the other is written and synced.
struct Log(File, u64);

impl Log {
    fn new(folder: &Path, frames: usize) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(folder.join("log")).unwrap();
        let zeros = vec![0; 1 << 20];
        let bytes = (frames * FRAME_BYTES) as u64;
        (0..bytes.div_ceil(1 << 20)).for_each(|mib| file.write_all_at(&zeros, mib << 20).unwrap());
        file.sync_all().unwrap();
        Self(file, 0)
    }

    fn append(&mut self) -> Duration {
        let began = now();
        self.0.write_all_at(&[1; FRAME_BYTES], self.1).unwrap();
        self.0.sync_data().unwrap();
        self.1 += FRAME_BYTES as u64;
        began.elapsed()
    }
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    at(&sorted, 50)
}

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn key(number: usize) -> String {
    format!("page-{number}")
}

async fn run(task: &Task, number: usize) -> Duration {
    let began = now();
    let Begun::Run(run) = task.begin(&Step::once(key(number)).unwrap()).await.unwrap() else { panic!("it is new") };
    run.complete(Recorded { exit: None, bytes: OUTPUT.to_vec() }).await.unwrap();
    began.elapsed()
}

fn main() {
    let steps = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(STEPS);
    let folder = tempfile::tempdir_in(".").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let id = TaskId::parse("bench").unwrap();
        let open = || Settings::new(folder.path().join("home")).open().unwrap();
        let task = Task::open(&open(), &id).await.unwrap();
        let mut log = Log::new(folder.path(), steps / BESIDE_EVERY + 1);
        let (mut took, mut beside) = (Vec::with_capacity(steps), Vec::new());
        for number in 0..steps {
            took.push(run(&task, number).await);
            if number % BESIDE_EVERY == 0 {
                beside.push(log.append());
            }
        }
        drop(task);
        let ends = ENDS.min(steps / 2);
        let (first, last) = (median(&took[..ends]), median(&took[steps - ends..]));
        let (step, sync) = (median(&took), median(&beside));
        let mut sorted = took;
        sorted.sort();
        println!(
            "{steps} steps, two entries each: {step:?} a step at the median, {:?} at the 99th of 100",
            at(&sorted, 99)
        );
        println!(
            "one sync of a preallocated log: {sync:?}; a step's entry is {:.2} of it",
            step.as_secs_f64() / 2.0 / sync.as_secs_f64()
        );
        println!(
            "first {ends}: {first:?}; last {ends}: {last:?}; ratio {:.2}",
            last.as_secs_f64() / first.as_secs_f64()
        );
        let before = resident_kib();
        let mut opened = Vec::new();
        for _ in 0..7 {
            let began = now();
            let task = Task::open(&open(), &id).await.unwrap();
            opened.push(began.elapsed());
            drop(task);
        }
        let task = Task::open(&open(), &id).await.unwrap();
        println!(
            "opened and folded in {:?} (median of 7); {} MiB resident, {} before",
            median(&opened),
            resident_kib() / 1024,
            before / 1024
        );
        let (recorded, began) = (StepKey::parse(&key(steps / 2)).unwrap(), now());
        let Begun::Reuse(_) = task.begin(&Step::once(recorded.as_str()).unwrap()).await.unwrap() else { panic!() };
        println!("the record of one step: {:?}", began.elapsed());
        let bytes = std::fs::metadata(folder.path().join("home/tasks/bench.journal")).unwrap().len();
        println!("{} bytes a step on disk", bytes / steps as u64);
    });
}
