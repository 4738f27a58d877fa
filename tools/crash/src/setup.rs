//! Where a proof happens: its folder, the binaries, the seed, and whether it was interrupted.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use signal_hook::consts::{SIGINT, SIGTERM};
use tempfile::TempDir;

use crate::{
    args::Common,
    failure::{Failure, Outcome},
};

/// How often a wait looks for an interrupt.
const LOOK_TIME: Duration = Duration::from_millis(20);

/// Everything that the steps of a proof share. The folder goes away when this is dropped.
pub struct Setup {
    folder: TempDir,
    /// The node's program.
    pub lode: PathBuf,
    /// This program, whose hidden verb starts nodes.
    pub crash: PathBuf,
    /// The node's `--backend`.
    pub backend: String,
    /// Refuse io_uring to nodes.
    pub without_ring: bool,
    /// Where all chance comes from.
    pub seed: u64,
    /// No progress on stderr.
    pub quiet: bool,
    stopped: Arc<AtomicBool>,
}

impl Setup {
    /// Makes the folder and finds the binaries. `crash` is the program with the hidden verb.
    pub fn new(common: &Common, crash: PathBuf) -> Outcome<Setup> {
        let parent = common.dir.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&parent).map_err(Failure::machine(parent.display().to_string()))?;
        let folder = tempfile::Builder::new()
            .prefix("lode-crash-")
            .tempdir_in(&parent)
            .map_err(Failure::machine(format!(
                "a folder in {}",
                parent.display()
            )))?;
        let lode = match &common.lode {
            Some(lode) => lode.clone(),
            None => build_lode(&crash)?,
        };
        let stopped = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second signal ends the process at once; namespaces and death signals clean up.
            signal_hook::flag::register_conditional_shutdown(signal, 130, stopped.clone())
                .and_then(|_| signal_hook::flag::register(signal, stopped.clone()))
                .map_err(Failure::machine("listening for signals"))?;
        }
        Ok(Setup {
            folder,
            lode,
            crash,
            backend: common.backend.clone(),
            without_ring: false,
            seed: common.seed.unwrap_or_else(clock_seed),
            quiet: common.json,
            stopped,
        })
    }

    /// The folder of this run.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Says how far it is, on stderr.
    pub fn tell(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// An error once Ctrl-C was pressed.
    pub fn go_on(&self) -> Outcome<()> {
        match self.stopped.load(Relaxed) {
            true => Err(Failure::Interrupted),
            false => Ok(()),
        }
    }

    /// Sleeps, but not through an interrupt.
    pub fn sleep(&self, span: Duration) -> Outcome<()> {
        let end = Instant::now() + span;
        loop {
            self.go_on()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK_TIME));
        }
    }

    /// Ends the run: the folder is kept if there is something to look at.
    pub fn end<T>(self, outcome: Outcome<T>) -> Outcome<T> {
        match outcome {
            Err(failure @ (Failure::Broken(_) | Failure::Node(_) | Failure::Method(_))) => {
                Err(Failure::Kept {
                    source: Box::new(failure),
                    dir: self.folder.keep(),
                })
            }
            other => other,
        }
    }
}

fn clock_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = now.map_or(0, |span| span.as_nanos());
    u64::try_from(nanos % 1_000_000_007).unwrap_or(0)
}

/// The node that is tested is the one of this source: cargo builds it beside this program. Outside
/// of cargo, the one that is there.
fn build_lode(crash: &Path) -> Outcome<PathBuf> {
    let profile_dir = crash.parent().unwrap_or(Path::new("."));
    let lode = profile_dir.join("lode");
    let profile = profile_dir.file_name().and_then(|name| name.to_str());
    let (Some(cargo), Some(target)) = (std::env::var_os("CARGO"), profile_dir.parent()) else {
        return match lode.exists() {
            true => Ok(lode),
            false => Err(Failure::Machine {
                what: lode.display().to_string(),
                why: "not there; build it, or name one by --lode FILE".to_owned(),
            }),
        };
    };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "lode", "--target-dir"]);
    command.arg(target);
    if profile == Some("release") {
        command.arg("--release");
    }
    // What cargo says of this package to a test of it: build scripts below look at it, and would build
    // anew for every package that asks.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let status = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(Failure::machine("cargo build"))?;
    match status.success() && lode.exists() {
        true => Ok(lode),
        false => Err(Failure::Machine {
            what: "cargo build --package lode".to_owned(),
            why: status.to_string(),
        }),
    }
}
