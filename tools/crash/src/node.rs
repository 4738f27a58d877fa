//! A node as another process: started, killed, or seen to refuse.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    client::Client,
    failure::{Failure, Outcome},
    setup::Setup,
};

/// A node that is not ready after this long is a failure.
const READY_TIME: Duration = Duration::from_secs(120);

/// Lines of the log that a failure shows.
const LOG_LINES: usize = 12;

/// Small segments, so that a short run closes, merges and frees many of them.
pub const SEGMENT: &str = "8MiB";

/// A running node. Killed when dropped.
pub struct Node {
    child: Child,
    url: String,
    /// The world it runs on, by its ready line.
    pub backend: String,
    /// From start to ready line.
    pub ready: Duration,
}

impl Node {
    /// Starts a node on a free port and waits until it is ready.
    pub fn start(setup: &Setup, dir: &Path) -> Outcome<Node> {
        let began = Instant::now();
        let mut node = Node {
            child: spawn(setup, dir, &setup.backend)?,
            url: String::new(),
            backend: String::new(),
            ready: Duration::ZERO,
        };
        let line = first_line(&mut node.child)?;
        let ready: Value = serde_json::from_str(&line)
            .map_err(|_| Failure::Node(format!("did not start:\n{}", log_end(&log_path(setup)))))?;
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        (node.url, node.backend) = (text("url"), text("backend"));
        node.ready = began.elapsed();
        Ok(node)
    }

    /// Starts a node and kills it after `span`, most often in the middle of its recovery.
    pub fn start_and_kill(setup: &Setup, dir: &Path, span: Duration) -> Outcome<()> {
        let node = Node {
            child: spawn(setup, dir, &setup.backend)?,
            url: String::new(),
            backend: String::new(),
            ready: Duration::ZERO,
        };
        std::thread::sleep(span);
        node.kill()
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(mut self) -> Outcome<()> {
        // A node that is dead already ended by itself: nothing killed it but a bug.
        let ended = self.child.try_wait();
        if let Ok(Some(status)) = ended {
            return Err(Failure::Node(format!("ended by itself: {status}")));
        }
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(Failure::machine("killing a node"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone after `kill`.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

/// The first line on stdout; empty if the process ended without one.
pub fn first_line(child: &mut Child) -> Outcome<String> {
    let stdout = child.stdout.take();
    let stdout = stdout.ok_or_else(|| Failure::Node("has no stdout".to_owned()))?;
    let (sender, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = BufReader::new(stdout).read_line(&mut text);
        sender.send(read.map(|_| text)).is_ok()
    });
    match line.recv_timeout(READY_TIME) {
        Ok(read) => read.map_err(Failure::machine("reading the ready line")),
        Err(_) => Err(Failure::Node(format!(
            "was not ready after {} s",
            READY_TIME.as_secs()
        ))),
    }
}

/// Runs a node that must refuse to start on this backend; what it says.
pub fn refusal(setup: &Setup, dir: &Path, backend: &str) -> Outcome<String> {
    let mut child = spawn(setup, dir, backend)?;
    let end = Instant::now() + READY_TIME;
    loop {
        let ended = child.try_wait().map_err(Failure::machine("a node"))?;
        match ended {
            Some(status) if !status.success() => return Ok(log_end(&log_path(setup))),
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let _gone = child.kill().is_err();
                let _gone = child.wait().is_err();
                let what = format!("the node runs on {backend}, which the filter refuses");
                return Err(Failure::Method(what));
            }
        }
    }
}

/// Where nodes of this run log.
pub fn log_path(setup: &Setup) -> PathBuf {
    setup.dir().join("node.log")
}

fn spawn(setup: &Setup, dir: &Path, backend: &str) -> Outcome<Child> {
    let mut command = command_in(setup, None)?;
    command.arg("node").arg("--dir").arg(dir);
    command.args(["--listen", "127.0.0.1:0", "--json", "--backend", backend]);
    command.args(["--segment", SEGMENT, "--shards", "2"]);
    spawn_logged(command, &log_path(setup))
}

/// A command that becomes `lode`, as [`guard`] has it, where a namespace is named in that network.
pub fn command_in(setup: &Setup, namespace: Option<&str>) -> Outcome<Command> {
    let mut command = match namespace {
        None => Command::new(&setup.crash),
        // It becomes the command, so that the pid is that of the part.
        Some(namespace) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace]).arg(&setup.crash);
            command
        }
    };
    guard(setup, &mut command)?;
    Ok(command)
}

/// Starts a command whose errors go to the end of a file, and whose output is read here.
pub fn spawn_logged(mut command: Command, log: &Path) -> Outcome<Child> {
    let file = File::options().append(true).create(true).open(log);
    let file = file.map_err(Failure::machine(log.display().to_string()))?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file);
    command
        .spawn()
        .map_err(Failure::machine("starting a process"))
}

/// Completes a command that begins with this program: it becomes `lode`, without the settings of
/// this machine, and dies with its parent.
pub fn guard(setup: &Setup, command: &mut Command) -> Outcome<()> {
    let config = setup.dir().join("empty.toml");
    std::fs::write(&config, "").map_err(Failure::machine(config.display().to_string()))?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LODE_") {
            command.env_remove(name);
        }
    }
    command.arg("guarded");
    if setup.without_ring {
        command.arg("--without-ring");
    }
    command.arg("--").arg(&setup.lode);
    command.arg("--config").arg(config);
    Ok(())
}

/// The last lines of a log.
pub fn log_end(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
