//! Executors whose threads stand still for a while, as on a busy machine: a process that is stopped
//! and let go on at any moment, a few hundred times.
//!
//! ```text
//!   the test ── SIGSTOP, 15 ms, SIGCONT ──► a process with four executors
//!       └────── "?" ──► have all beaten again? ── "beat" ──┘
//! ```
//!
//! With a preemption timer of 10 ms and nothing else to end a sleep (see [`crate::uring`]'s `pace`),
//! an executor of the ring stands still for ever after 2 to 40 stops.

use super::{
    again::{Held, only, program},
    label, on_each_world,
};
use crate::{Backend, Disk, File, Net, Open, Preflight, Program, launch, preflight};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// In the environment of the process that is stopped: its backend.
const MARK: &str = "LODE_WORLD_STOPPED";

/// Likewise: there if completions are not deferred.
const PROMPT: &str = "LODE_WORLD_PROMPT";

/// What the executor that waits for the disk reads.
const READ: &str = "read";

const STOPS: u32 = 150;

/// Longer than any timer that an executor arms for its own scheduling should be, were it short.
const STOP: Duration = Duration::from_millis(15);

/// From one stop to the next at most; about what a few IOs take.
const RUN_MAX: Duration = Duration::from_millis(2);

/// An executor that has not moved for so long will not move any more, on the slowest machine.
const STILL_MAX: Duration = Duration::from_secs(20);

/// Executors start, run for this long and end, so that stops hit every stage of that.
const LIFE: Duration = Duration::from_millis(300);

const EXECUTORS: usize = 4;

type Beats = Arc<[AtomicU64; EXECUTORS]>;

/// One task per executor, so that nothing else ends a sleep that should not be: one waits for the
/// disk, one for the clock, two for each other.
#[derive(Clone)]
struct Beating {
    beats: Beats,
    sends: [async_channel::Sender<()>; 2],
    receives: [async_channel::Receiver<()>; 2],
}

impl Beating {
    fn new(beats: &Beats) -> Self {
        let ((a, b), (c, d)) = (async_channel::bounded(1), async_channel::bounded(1));
        Self {
            beats: Arc::clone(beats),
            sends: [a, c],
            receives: [d, b],
        }
    }
}

impl Program for Beating {
    async fn run<W: Net>(self, world: W, index: usize) {
        let Self {
            beats,
            sends,
            receives,
        } = self;
        let begun = world.now();
        let beat = || {
            beats[index].fetch_add(1, Relaxed);
            world.now() - begun < LIFE
        };
        let (send, receive) = (sends[index % 2].clone(), receives[index % 2].clone());
        // A player who leaves closes the other's channel.
        drop((sends, receives));
        match index {
            0 => {
                let path = Path::new(READ);
                let file = world.disk().open(path, Open::Read).await.unwrap();
                while beat() {
                    file.read(0, 4096).await.unwrap();
                }
            }
            1 => {
                while beat() {
                    world.sleep(Duration::from_micros(300)).await;
                }
            }
            _ => {
                let mut mine = index == 2;
                while mine || receive.recv().await.is_ok() {
                    mine = false;
                    if !beat() || send.send(()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Runs in the process that is stopped: executors for ever, and an answer to each question.
#[test]
fn beats() {
    let Ok(backend) = std::env::var(MARK) else {
        return;
    };
    let backend: Backend = backend.parse().unwrap();
    let mut preflight = preflight(&[".".into()], EXECUTORS, Some(backend)).unwrap();
    preflight.io_memory = 1 << 20;
    preflight.defer_completions = std::env::var_os(PROMPT).is_none();
    std::fs::write(READ, [7; 4096]).unwrap();
    let beats = Beats::default();
    let (ask, asked) = mpsc::channel();
    thread::spawn(move || {
        for question in std::io::stdin().lock().bytes() {
            ask.send(question.unwrap()).unwrap();
        }
        std::process::exit(0);
    });
    let lives = Arc::clone(&beats);
    thread::spawn(move || live(&preflight, &lives));
    for _ in asked {
        let before = beats.each_ref().map(|beat| beat.load(Relaxed));
        while (0..EXECUTORS).any(|index| beats[index].load(Relaxed) == before[index]) {
            thread::sleep(Duration::from_micros(50));
        }
        println!("\nbeat");
    }
}

fn live(preflight: &Preflight, beats: &Beats) {
    loop {
        let lived = launch(preflight, Beating::new(beats)).and_then(crate::Running::join);
        if let Err(error) = lived {
            // The test misses an answer; this says why.
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

/// However an executor's thread is held up, it goes on when it may: a task that is ready runs.
#[test]
fn an_executor_goes_on_after_it_stood_still() {
    on_each_world("stops", 1, |preflight| {
        let mut command = Command::new(program());
        command
            .args(only("stops::beats"))
            .env(MARK, preflight.backend.to_string())
            .current_dir(&preflight.dirs[0])
            .envs((!preflight.defer_completions).then_some((PROMPT, "yes")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Held::start(&mut command);
        let pid = Pid::from_child(&process.0);
        let mut ask = process.0.stdin.take().unwrap();
        let answers = BufReader::new(process.0.stdout.take().unwrap());
        let (told, answered) = mpsc::channel();
        thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                if line == "beat" && told.send(()).is_err() {
                    return;
                }
            }
        });
        let mut longest = Duration::ZERO;
        for stop in 0..STOPS {
            let run = crate::system::random() % u64::try_from(RUN_MAX.as_nanos()).unwrap();
            thread::sleep(Duration::from_nanos(run));
            kill_process(pid, Signal::STOP).unwrap();
            thread::sleep(STOP);
            kill_process(pid, Signal::CONT).unwrap();
            let begun = Instant::now();
            ask.write_all(b"?").unwrap();
            if answered.recv_timeout(STILL_MAX).is_err() {
                panic!(
                    "{}: an executor stands still after {stop} stops",
                    label(preflight)
                );
            }
            longest = longest.max(begun.elapsed());
        }
        println!("{}: longest wait for a beat {longest:?}", label(preflight));
    });
}
