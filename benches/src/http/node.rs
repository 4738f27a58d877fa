//! The node that is measured: the `lode` command of this source, in a process of its own, with the
//! settings that everybody gets who sets none. Its background scrub runs as well.

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::NAME;
use crate::{
    error::{Error, Result},
    meter::{self, Meter, Sample, Watched},
};

/// Lines of the log that an error shows.
const LOG_LINES: usize = 8;

/// Finds the `lode` command: cargo builds it beside this program and of the same profile. Outside
/// of cargo, the one that is there.
///
/// # Errors
/// When there is none, or it does not build.
pub fn program() -> Result<PathBuf> {
    let this = env::current_exe().map_err(failed("finding this program"))?;
    let beside = this.parent().unwrap_or(Path::new("."));
    // Tests run one folder deeper.
    let profile = match beside.ends_with("deps") {
        true => beside.parent().unwrap_or(beside),
        false => beside,
    };
    let lode = profile.join("lode");
    let (Some(cargo), Some(target)) = (env::var_os("CARGO"), profile.parent()) else {
        return match lode.exists() {
            true => Ok(lode),
            false => Err(Error::Usage(format!(
                "there is no {}: build it, or run the bench by cargo",
                lode.display()
            ))),
        };
    };
    eprintln!("building the node");
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "lode", "--target-dir"]);
    build.arg(target);
    // What cargo says of this package to a test of it: build scripts below look at it, and would build
    // anew for every package that asks.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(failed("cargo build --package lode"))?;
    match status.success() && lode.exists() {
        true => Ok(lode),
        false => Err(Error::Usage(format!(
            "cargo build --package lode: {status}"
        ))),
    }
}

/// A running node. Killed when dropped.
pub struct Node {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Node {
    /// Starts `program` on the store in `dir` and waits until it is ready. Its log and its empty
    /// config go beside the folder.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, dir: &Path) -> Result<Self> {
        let log = dir.with_extension("log");
        let mut child = spawn(program, dir, &log).map_err(Error::io("start", program))?;
        let mut line = String::new();
        let read = child
            .stdout
            .take()
            .map_or(Ok(0), |stdout| BufReader::new(stdout).read_line(&mut line));
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let url = ready["url"].as_str().unwrap_or_default();
        let address = url
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok());
        let mut node = Self {
            child,
            log,
            // Replaced below: a node without an address is not returned, but has to be killed.
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        match (read, address) {
            (Ok(_), Some(address)) => node.address = address,
            _ => return Err(node.silent("it did not start")),
        }
        Ok(node)
    }

    /// Times `work`, of so many operations and bytes: at the node's cost, and at the client's.
    ///
    /// # Errors
    /// What `work` returns; a node that is gone.
    pub fn time(
        &self,
        operations: u64,
        bytes: u64,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Both> {
        let gone = || failed("reading the node's account");
        let watched = Watched::start(self.child.id()).map_err(gone())?;
        let meter = Meter::start();
        work()?;
        let client = meter.stop(operations, bytes);
        let node = watched.stop(client).map_err(gone())?;
        Ok(Both { node, client })
    }

    /// The most memory that it has had at once, in MiB.
    ///
    /// # Errors
    /// When it is gone.
    pub fn peak_mebibytes(&self) -> Result<f64> {
        let bytes = meter::peak_memory(self.child.id())
            .map_err(failed("reading the node's peak of memory"))?;
        Ok(meter::float(bytes) / 1_048_576.0)
    }

    /// Asks it to end, which it must do well.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .map_err(|error| failed("stopping the node")(error.into()))?;
        }
        let ended = self.child.wait().map_err(failed("waiting for the node"))?;
        match ended.success() {
            true => Ok(()),
            false => Err(self.silent(&format!("it ended with {ended}"))),
        }
    }

    /// What happened, and the end of its log.
    fn silent(&self, what: &str) -> Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        Error::subject(NAME)(format!("{what}\n{end}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

/// One piece of work, at the cost of each side.
#[derive(Clone, Copy, Debug)]
pub struct Both {
    /// What the node spent.
    pub node: Sample,
    /// What this process spent.
    pub client: Sample,
}

fn spawn(program: &Path, dir: &Path, log: &Path) -> io::Result<Child> {
    let config = dir.with_extension("toml");
    fs::write(&config, "")?;
    let log = File::options().append(true).create(true).open(log)?;
    let mut command = Command::new(program);
    // Settings of this machine stay out of it.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("LODE_") {
            command.env_remove(name);
        }
    }
    command.arg("node").arg("--dir").arg(dir);
    command.arg("--config").arg(config);
    command.args(["--listen", "127.0.0.1:0", "--json"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
}

/// Says what was tried.
fn failed(what: &str) -> impl FnOnce(io::Error) -> Error {
    let what = what.to_owned();
    move |source| Error::Io { what, source }
}
