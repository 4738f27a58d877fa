//! Validators as processes: made, started, killed, started again on the same folders.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use serde_json::Value;

use super::rpc::Rpc;
use crate::{
    failure::{Failure, Outcome},
    node::{command_in, first_line, guard, log_end, spawn_logged},
    setup::Setup,
};

/// Ports that are tried: below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 22_000..30_000;
/// Ports that each network has to itself, and how many such runs there are.
const PORTS_EACH: u16 = 100;
const PORT_SLOTS: u32 = 70;

/// Where a validator lives.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it listens for the others.
    pub listen: SocketAddr,
    /// Where its RPC is.
    pub rpc: SocketAddr,
    /// The network namespace that it is in; none: this one.
    pub namespace: Option<String>,
}

/// A network of validators. They are killed when it is dropped.
pub struct Network {
    dir: PathBuf,
    validators: Vec<Validator>,
    spare: Vec<B256>,
}

/// How a network is made, where it is not as usual.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Blocks after which members may change.
    pub blocks_per_epoch: u64,
    /// As many of the last validators are in no committee at first.
    pub spare: usize,
}

impl Default for Made {
    fn default() -> Self {
        Made {
            blocks_per_epoch: 1 << 16,
            spare: 0,
        }
    }
}

struct Validator {
    place: Place,
    /// Further words of its command line.
    args: Vec<String>,
    child: Option<Child>,
}

/// Addresses on this machine on which nobody listens, each told once.
pub fn free_addresses() -> impl FnMut() -> Outcome<SocketAddr> {
    // Other networks of this machine begin elsewhere: those that start at once have near ids.
    let slot = u16::try_from(std::process::id() % PORT_SLOTS).unwrap_or(0);
    let from = PORTS.start + slot * PORTS_EACH;
    let mut free = (from..PORTS.end)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .filter(|address| TcpListener::bind(address).is_ok());
    move || {
        free.next().ok_or_else(|| Failure::Machine {
            what: "a free port".to_owned(),
            why: "there is none".to_owned(),
        })
    }
}

/// So many places on this machine.
pub fn places(count: usize) -> Outcome<Vec<Place>> {
    places_at(count, &mut free_addresses())
}

/// The same, where others shall have addresses that this `next` tells later: a validator is ready before
/// it listens on all of its own.
pub fn places_at(
    count: usize,
    next: &mut impl FnMut() -> Outcome<SocketAddr>,
) -> Outcome<Vec<Place>> {
    (0..count)
        .map(|_| {
            Ok(Place {
                listen: next()?,
                rpc: next()?,
                namespace: None,
            })
        })
        .collect()
}

impl Network {
    /// Makes keys and a genesis file in `dir` for validators at these places. Nobody runs yet.
    pub fn new(setup: &Setup, dir: &Path, places: Vec<Place>) -> Outcome<Network> {
        Network::make(setup, dir, places, &Made::default())
    }

    /// The same, not as usual.
    pub fn make(setup: &Setup, dir: &Path, places: Vec<Place>, made: &Made) -> Outcome<Network> {
        let peers: Vec<String> = places[..places.len() - made.spare]
            .iter()
            .map(|place| place.listen.to_string())
            .collect();
        let mut command = Command::new(&setup.crash);
        guard(setup, &mut command)?;
        command.arg("genesis").arg("--dir").arg(dir);
        command.args(["--peers", &peers.join(","), "--json"]);
        command.args(["--blocks-per-epoch", &made.blocks_per_epoch.to_string()]);
        command.args(["--spare", &made.spare.to_string()]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::machine("lode genesis"))?;
        let says: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let spare = says.and_then(|says| serde_json::from_value(says["spare"].clone()).ok());
        let Some(spare) = spare.filter(|_| output.status.success()) else {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::Node(format!(
                "lode genesis ended with {}: {why}",
                output.status
            )));
        };
        let validators = places.into_iter().map(|place| Validator {
            place,
            args: Vec::new(),
            child: None,
        });
        Ok(Network {
            dir: dir.to_owned(),
            validators: validators.collect(),
            spare,
        })
    }

    /// Public keys of those who are in no committee at first.
    pub fn spare(&self) -> &[B256] {
        &self.spare
    }

    /// Starts a validator with further words on its command line from now on.
    pub fn set_args(&mut self, number: usize, args: &[&str]) {
        self.validators[number].args = args.iter().map(|&arg| arg.to_owned()).collect();
    }

    /// The folder of a validator.
    pub fn folder(&self, number: usize) -> PathBuf {
        self.dir.join("validators").join(number.to_string())
    }

    /// Where a validator listens for the others.
    pub fn listens(&self, number: usize) -> SocketAddr {
        self.validators[number].place.listen
    }

    /// Where all RPCs are, by the validators' numbers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let all = self.validators.iter();
        all.map(|validator| validator.place.rpc).collect()
    }

    /// The RPC of a validator.
    pub fn rpc(&self, number: usize) -> Rpc {
        Rpc::new(self.validators[number].place.rpc)
    }

    /// How many there are, running or not.
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// Starts these validators at once and waits until each is ready; the longest time, in ms.
    pub fn start(&mut self, setup: &Setup, numbers: &[usize]) -> Outcome<u64> {
        let began = Instant::now();
        for number in numbers {
            let child = self.spawn(setup, *number)?;
            self.validators[*number].child = Some(child);
        }
        for number in numbers {
            let log = self.log(*number);
            let Some(child) = &mut self.validators[*number].child else {
                continue;
            };
            let line = first_line(child)?;
            if serde_json::from_str::<Value>(&line).is_err() {
                let end = log_end(&log);
                let what = format!("validator {number} did not start:\n{end}");
                return Err(Failure::Node(what));
            }
        }
        Ok(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Starts a validator and kills it after `span`, most often in the middle of its recovery.
    pub fn start_and_kill(&mut self, setup: &Setup, number: usize, span: Duration) -> Outcome<()> {
        let child = self.spawn(setup, number)?;
        self.validators[number].child = Some(child);
        std::thread::sleep(span);
        self.kill(&[number])
    }

    /// SIGKILL to these, one right after the other; returns when they are gone.
    pub fn kill(&mut self, numbers: &[usize]) -> Outcome<()> {
        self.expect_running()?;
        let mut killed = Vec::new();
        for number in numbers {
            if let Some(mut child) = self.validators[*number].child.take() {
                child
                    .kill()
                    .map_err(Failure::machine("killing a validator"))?;
                killed.push(child);
            }
        }
        for mut child in killed {
            child
                .wait()
                .map_err(Failure::machine("waiting for a validator"))?;
        }
        Ok(())
    }

    /// Nobody has ended by itself: nothing but this program kills validators, or a bug.
    pub fn expect_running(&mut self) -> Outcome<()> {
        for number in 0..self.validators.len() {
            let child = self.validators[number].child.as_mut();
            let ended = child.map_or(Ok(None), Child::try_wait);
            if let Ok(Some(status)) = ended {
                let end = log_end(&self.log(number));
                let what = format!("validator {number} ended by itself, {status}:\n{end}");
                return Err(Failure::Node(what));
            }
        }
        Ok(())
    }

    fn spawn(&self, setup: &Setup, number: usize) -> Outcome<Child> {
        let place = &self.validators[number].place;
        let own = self.folder(number);
        let mut command = command_in(setup, place.namespace.as_deref())?;
        command.arg("chain").arg("--dir").arg(&own);
        command.arg("--genesis").arg(self.dir.join("genesis.json"));
        command.arg("--key").arg(own.join("key.json"));
        command.args(["--listen", &place.listen.to_string()]);
        command.args(["--rpc", &place.rpc.to_string(), "--json"]);
        command.args(&self.validators[number].args);
        spawn_logged(command, &self.log(number))
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.join(format!("validator-{number}.log"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for validator in &mut self.validators {
            if let Some(child) = &mut validator.child {
                // Already gone after `kill`.
                let _gone = child.kill().is_err();
                let _gone = child.wait().is_err();
            }
        }
    }
}
