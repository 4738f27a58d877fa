//! The node of the demo: this same program, as a child that can be killed.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    client::Client,
    failure::{Failure, Outcome},
};

/// A running node. Killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    url: String,
    /// Which world it runs on.
    pub backend: String,
    /// How many shards.
    pub shards: u64,
}

impl Server {
    /// Starts a node on a free port and waits until it is ready.
    pub fn start(dir: &Path, backend: &str) -> Outcome<Server> {
        let failed = |error: std::io::Error| Failure::file("starting a node", &error);
        let program = std::env::current_exe().map_err(failed)?;
        let log = dir.with_extension("log");
        let journal = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&log)
            .map_err(failed)?;
        let mut command = Command::new(program);
        // The demo shows the defaults: settings of this machine stay out of it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LODE_") {
                command.env_remove(name);
            }
        }
        let empty = dir.with_extension("toml");
        std::fs::write(&empty, "").map_err(failed)?;
        command.arg("node").arg("--dir").arg(dir);
        command.args(["--listen", "127.0.0.1:0", "--json", "--backend", backend]);
        command.arg("--config").arg(empty);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(journal);
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take();
        let mut server = Server {
            child,
            log,
            url: String::new(),
            backend: String::new(),
            shards: 0,
        };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(failed)?;
        }
        let ready: Value = serde_json::from_str(&line).map_err(|_| server.silent())?;
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        (server.url, server.backend) = (text("url"), text("backend"));
        server.shards = ready["shards"].as_u64().unwrap_or(0);
        Ok(server)
    }

    /// Why it did not start: the end of its log.
    fn silent(&self) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        let last: Vec<&str> = lines.into_iter().rev().collect();
        let what = format!("the node did not start:\n  {}", last.join("\n  "));
        Failure::other(what, "run `lode node --dir DIR` alone to see more")
    }

    /// A client of it.
    pub fn client(&self) -> Outcome<Client> {
        Client::new(&self.url, None)
    }

    /// SIGKILL: the process has no chance to do anything about it.
    pub fn kill(mut self) -> Outcome<()> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed
            .map(|_| ())
            .map_err(|error| Failure::file("killing the node", &error))
    }

    /// SIGTERM, and it must end well.
    pub fn stop(mut self) -> Outcome<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let sent = kill_process(pid, Signal::TERM);
            sent.map_err(|error| Failure::file("stopping the node", &error.into()))?;
        }
        let ended = self
            .child
            .wait()
            .map_err(|error| Failure::file("the node", &error))?;
        if ended.success() {
            return Ok(());
        }
        Err(Failure::other(
            format!("the node ended with {ended}"),
            "look at its log by --keep",
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `kill` and `stop`.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}
