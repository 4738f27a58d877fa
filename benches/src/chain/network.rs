//! What is measured: validators of ours, each a process of its own on a fresh folder, or anvil.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{
    rpc::{Client, failed, refused},
    script::{BALANCE, CHAIN_ID, Signer},
};
use crate::{
    error::{Error, Result},
    meter::{self, Meter, Sample, Watched, bytes_of},
};

/// Time to be ready.
const READY: Duration = Duration::from_secs(60);
/// Time to end.
const END: Duration = Duration::from_secs(20);
/// Time between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of a log that an error shows.
const LOG_LINES: usize = 8;
/// Ports that are tried: below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 21_000..30_000;
/// Ports that each network has to itself, and how many such runs there are.
const PORTS_EACH: u16 = 100;
const PORT_SLOTS: u32 = 80;
/// Gas of a block of anvil: more than it fills, so that this is no limit.
const ANVIL_GAS: u64 = 1_000_000_000;

/// A running chain. Its processes are killed when it is dropped.
pub struct Network {
    processes: Vec<Process>,
    /// The RPC of each process.
    pub rpc: Vec<SocketAddr>,
}

struct Process {
    child: Child,
    log: PathBuf,
}

/// When anvil makes blocks.
#[derive(Clone, Copy, Debug)]
pub enum Mining {
    /// Every second.
    EachSecond,
    /// With every transaction: what it does where nothing is said.
    AtOnce,
}

/// What all processes of a network spent on some work.
pub struct Spent {
    /// Processor time and bytes, beside the time of the work.
    pub sample: Sample,
    /// Processor time by name of the threads, the most first.
    pub threads: Vec<(String, Duration)>,
}

impl Network {
    /// Makes a network of so many validators in `dir`, and starts it.
    ///
    /// # Errors
    /// When one does not start.
    pub fn validators(lode: &Path, dir: &Path, count: usize) -> Result<Self> {
        let peers = free_ports(count)?;
        let list: Vec<String> = peers.iter().map(SocketAddr::to_string).collect();
        let (balance, chain_id) = (BALANCE.to_string(), CHAIN_ID.to_string());
        let mut make = lode_command(lode, dir)?;
        make.arg("genesis").arg("--dir").arg(dir);
        make.args(["--peers", &list.join(","), "--balance", &balance]);
        make.args(["--chain-id", &chain_id, "--quiet"]);
        let made = make
            .stdout(Stdio::null())
            .status()
            .map_err(Error::io("start", lode))?;
        if !made.success() {
            return Err(refused(&format!("lode genesis ended with {made}")));
        }
        let mut network = Self {
            processes: Vec::new(),
            rpc: Vec::new(),
        };
        for (number, peer) in peers.iter().enumerate() {
            let own = dir.join("validators").join(number.to_string());
            let mut command = lode_command(lode, dir)?;
            command.arg("chain").arg("--dir").arg(&own);
            command.arg("--genesis").arg(dir.join("genesis.json"));
            command.arg("--key").arg(own.join("key.json"));
            command.args(["--listen", &peer.to_string()]);
            command.args(["--rpc", "127.0.0.1:0", "--json"]);
            network.start(command, own.join("log"))?;
        }
        for process in &mut network.processes {
            let rpc = process.ready()?;
            network.rpc.push(rpc);
        }
        Ok(network)
    }

    /// Starts anvil.
    ///
    /// # Errors
    /// When it does not start.
    pub fn anvil(program: &Path, dir: &Path, mining: Mining) -> Result<Self> {
        let address = free_ports(1)?[0];
        let mut command = Command::new(program);
        command.args(["--silent", "--port", &address.port().to_string()]);
        command.args(["--chain-id", &CHAIN_ID.to_string()]);
        command.args(["--balance", &BALANCE.to_string()]);
        command.args(["--gas-limit", &ANVIL_GAS.to_string()]);
        if let Mining::EachSecond = mining {
            command.args(["--block-time", "1"]);
        }
        let mut network = Self {
            processes: Vec::new(),
            rpc: vec![address],
        };
        network.start(command, dir.join("log"))?;
        let end = Instant::now() + READY;
        while TcpStream::connect(address).is_err() {
            if Instant::now() >= end {
                return Err(refused("anvil does not listen"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(network)
    }

    fn start(&mut self, mut command: Command, log: PathBuf) -> Result<()> {
        let opened = File::options().append(true).create(true).open(&log);
        let opened = opened.map_err(Error::io("open", &log))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let started = command.stderr(opened).spawn();
        let child = started.map_err(failed("start a chain"))?;
        self.processes.push(Process { child, log });
        Ok(())
    }

    /// The RPC of the first.
    pub fn first(&self) -> SocketAddr {
        self.rpc[0]
    }

    /// Sends the set-up and waits until all of it is in blocks that every process has. A chain that
    /// stops on the way is told to make a block, if it can be.
    ///
    /// # Errors
    /// When the chain refuses, or stops.
    pub fn set_up(&self, requests: &[Vec<u8>], count: u64) -> Result<()> {
        let giver = Signer::known(0)?.address;
        let mut client = Client::connect(self.first())?;
        for request in requests {
            client.send(request)?;
        }
        let params = json!([giver, "latest"]);
        let mut end = Instant::now() + READY;
        for address in &self.rpc {
            let mut client = Client::connect(*address)?;
            let mut seen = 0;
            loop {
                let mined = client.number("eth_getTransactionCount", &params)?;
                if mined >= count {
                    break;
                }
                if mined > seen {
                    (seen, end) = (mined, Instant::now() + READY);
                }
                if Instant::now() >= end {
                    return Err(refused(&format!("{mined} of {count} set up, and no more")));
                }
                thread::sleep(10 * LOOK_EVERY);
                // Only anvil knows this, and only it leaves transactions lying.
                let _refused = client.call("evm_mine", &json!([])).is_err();
            }
        }
        Ok(())
    }

    /// Times `work` at the cost of all processes.
    ///
    /// # Errors
    /// What `work` returns; a process that is gone.
    pub fn time<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Spent)> {
        let gone = || failed("reading a process's account");
        let pids: Vec<u32> = self.processes.iter().map(|one| one.child.id()).collect();
        let watched: std::io::Result<Vec<Watched>> =
            pids.iter().map(|pid| Watched::start(*pid)).collect();
        let watched = watched.map_err(gone())?;
        let before = threads(&pids).map_err(gone())?;
        let meter = Meter::start();
        let done = work()?;
        let own = meter.stop(0, 0);
        let mut sample = Sample {
            seconds: own.seconds,
            ..Sample::default()
        };
        for one in watched {
            let one = one.stop(Sample::default()).map_err(gone())?;
            sample = sample.plus(one);
        }
        let after = threads(&pids).map_err(gone())?;
        let each = after.into_iter().map(|(name, time)| {
            let before = before.get(&name).copied().unwrap_or_default();
            (name, time.saturating_sub(before))
        });
        let mut threads: Vec<(String, Duration)> = each.collect();
        threads.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        Ok((done, Spent { sample, threads }))
    }

    /// The sum of the most memory that each process has had, in MiB.
    ///
    /// # Errors
    /// When one is gone.
    pub fn peak_mebibytes(&self) -> Result<f64> {
        let each = self.processes.iter();
        let each = each.map(|process| meter::peak_memory(process.child.id()));
        let sum: std::io::Result<u64> = each.sum();
        let sum = sum.map_err(failed("reading a peak of memory"))?;
        Ok(meter::float(sum) / 1_048_576.0)
    }

    /// Asks all to end, which they must do well if `well`.
    ///
    /// # Errors
    /// When one does not.
    pub fn stop(mut self, well: bool) -> Result<()> {
        for process in &self.processes {
            let pid = i32::try_from(process.child.id())
                .ok()
                .and_then(Pid::from_raw);
            if let Some(pid) = pid {
                let asked = kill_process(pid, Signal::TERM);
                asked.map_err(|error| failed("stop a chain")(error.into()))?;
            }
        }
        let end = Instant::now() + END;
        for process in &mut self.processes {
            let ended = loop {
                let ended = process.child.try_wait();
                match ended.map_err(failed("wait for a chain"))? {
                    Some(ended) => break ended,
                    None if Instant::now() >= end => {
                        return Err(process.silent("it does not end"));
                    }
                    None => thread::sleep(LOOK_EVERY),
                }
            };
            if well && !ended.success() {
                return Err(process.silent(&format!("it ended with {ended}")));
            }
        }
        Ok(())
    }
}

/// Processor time of all threads, by their names without numbers.
fn threads(pids: &[u32]) -> std::io::Result<BTreeMap<String, Duration>> {
    let mut sum: BTreeMap<String, Duration> = BTreeMap::new();
    for pid in pids {
        for (name, time) in meter::threads_of(*pid)? {
            *sum.entry(name).or_default() += time;
        }
    }
    Ok(sum)
}

impl Process {
    /// Waits for the line that says where the RPC is.
    fn ready(&mut self) -> Result<SocketAddr> {
        let mut line = String::new();
        let stdout = self.child.stdout.take();
        let read = stdout.map_or(Ok(0), |out| BufReader::new(out).read_line(&mut line));
        read.map_err(failed("read a ready line"))?;
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let rpc = ready["rpc"].as_str().unwrap_or_default();
        let address = rpc.strip_prefix("http://").and_then(|rpc| rpc.parse().ok());
        address.ok_or_else(|| self.silent("it did not start"))
    }

    /// What happened, and the end of its log.
    fn silent(&self, what: &str) -> Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        refused(&format!("{what}\n{end}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Already gone after `stop`.
            let _gone = process.child.kill().is_err();
            let _gone = process.child.wait().is_err();
        }
    }
}

/// The command without this machine's settings. What it starts ends with this program.
fn lode_command(lode: &Path, dir: &Path) -> Result<Command> {
    fs::create_dir_all(dir).map_err(Error::io("make", dir))?;
    let config = dir.join("settings.toml");
    fs::write(&config, "").map_err(Error::io("write", &config))?;
    let mut command = Command::new(lode);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("LODE_") {
            command.env_remove(name);
        }
    }
    command.env("DEVNET_PARENT", std::process::id().to_string());
    command.arg("--config").arg(config);
    Ok(command)
}

/// So many free ports.
fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
    // Other networks of this machine begin elsewhere: those that start at once have near ids.
    let slot = u16::try_from(std::process::id() % PORT_SLOTS).unwrap_or(0);
    let from = PORTS.start + slot * PORTS_EACH;
    let free: Vec<SocketAddr> = (from..PORTS.end)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .filter(|address| TcpListener::bind(address).is_ok())
        .take(count)
        .collect();
    match bytes_of(free.len()) == bytes_of(count) {
        true => Ok(free),
        false => Err(refused("no port is free")),
    }
}
