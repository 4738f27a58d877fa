//! A part of the network: this same program again, as a process of its own, so that each can be
//! killed and looked at alone.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child as Process, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// How long a part may take to end by itself.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// Lines of its log that are shown when a part fails.
const LOG_LINES: usize = 8;

/// A running part. Killed when dropped.
pub struct Child {
    name: String,
    process: Process,
    log: PathBuf,
}

/// A part that is not ready yet.
pub struct Starting {
    child: Child,
    says: Option<ChildStdout>,
}

/// Starts a part. It ends with the thread that started it.
pub fn start(name: &str, folder: &Path, args: &[&str]) -> Outcome<Starting> {
    let failed = |error: std::io::Error| Failure::file(format!("starting {name}"), &error);
    fs::create_dir_all(folder).map_err(failed)?;
    let log = folder.join("log");
    let journal = fs::File::options()
        .append(true)
        .create(true)
        .open(&log)
        .map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    // Settings of this machine stay out of it, but for what is logged.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("LODE_") && name != "LODE_LOG" {
            command.env_remove(name);
        }
    }
    let empty = folder.join("settings.toml");
    fs::write(&empty, "").map_err(failed)?;
    command.args(args).arg("--json").arg("--config").arg(empty);
    command.env("DEVNET_PARENT", std::process::id().to_string());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(journal);
    let mut child = Child {
        name: name.to_owned(),
        process: command.spawn().map_err(failed)?,
        log,
    };
    let says = child.process.stdout.take();
    Ok(Starting { child, says })
}

impl Starting {
    /// Waits until it says that it is ready: one line of JSON.
    pub fn ready(self) -> Outcome<Child> {
        let Starting { child, says } = self;
        let mut line = String::new();
        if let Some(says) = says {
            let read = BufReader::new(says).read_line(&mut line);
            read.map_err(|error| Failure::file(&child.name, &error))?;
        }
        match serde_json::from_str::<Value>(&line) {
            Ok(_) => Ok(child),
            Err(_) => Err(child.silent()),
        }
    }
}

impl Child {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Whether somebody has killed it: that is wanted, to see what the others do.
    pub fn was_killed(&mut self) -> bool {
        let kill = Some(rustix::process::Signal::KILL.as_raw());
        self.ended().is_some_and(|ended| ended.signal() == kill)
    }

    /// Why it failed: the end of its log.
    pub fn silent(&self) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(LOG_LINES).collect();
        let last: Vec<&str> = lines.into_iter().rev().collect();
        let what = format!("{} has ended:\n  {}", self.name, last.join("\n  "));
        Failure::other(what, format!("see {}", self.log.display()))
    }

    /// Asks it to end.
    pub fn ask_to_stop(&self) {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        // Gone already: that is what was wanted.
        let _gone = pid.map(|pid| kill_process(pid, Signal::TERM));
    }

    /// Waits until it ends; after a while it is killed.
    pub fn join(mut self) {
        let until = Instant::now() + STOP_WAIT;
        while self.ended().is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Already gone after `join`.
        let _gone = self.process.kill().is_err();
        let _gone = self.process.wait().is_err();
    }
}
