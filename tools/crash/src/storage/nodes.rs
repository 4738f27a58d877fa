//! Storage nodes as processes: made, started, killed, wiped, started again on the same folders.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use lode_peers::Peers;
use lode_wire::Slice;
use serde_json::Value;

use super::zgs::Zgs;
use crate::{
    failure::{Failure, Outcome},
    links,
    node::{SEGMENT, command_in, first_line, log_end, spawn_logged},
    setup::Setup,
};

/// Nodes, and slices of the flow: node `i` keeps slice `i` mod [`SLICES`], so that each has two replicas.
pub const COUNT: u8 = 4;
/// See [`COUNT`].
pub const SLICES: u8 = 2;
/// Where each listens for 0G's clients and for the others, where it has addresses of its own.
const PORTS: (u16, u16) = (5_678, 5_701);
/// A node that does not serve after this long does not.
const SERVE_TIME: Duration = Duration::from_secs(120);
/// Time between two looks.
const LOOK_TIME: Duration = Duration::from_millis(10);
/// The file of a node's name among the others.
const NAME_FILE: &str = "peers.key";

/// What clients know of a node.
#[derive(Debug)]
pub struct Face {
    /// Where it serves 0G's clients.
    pub zgs: SocketAddr,
    /// What it keeps.
    pub slice: Slice,
    starts: AtomicU64,
}

impl Face {
    /// How often it was started: two answers with the same number between them are of one process.
    pub fn starts(&self) -> u64 {
        self.starts.load(SeqCst)
    }
}

/// Where a node lives.
struct Place {
    face: SocketAddr,
    peers: SocketAddr,
    /// Its chain, as it reaches it.
    chain: SocketAddr,
    /// The network namespace that it is in; none: this one.
    namespace: Option<String>,
}

/// The nodes. They are killed when this is dropped.
pub struct Nodes {
    dir: PathBuf,
    /// What each is told of the others.
    names: String,
    nodes: Vec<Node>,
    faces: Arc<[Face]>,
    /// Most bytes of memory that any of them has had.
    memory: u64,
}

struct Node {
    place: Place,
    child: Option<Child>,
}

impl Nodes {
    /// Nodes whose chain is at `chain`, each in a network namespace of its own. Nobody runs yet.
    pub fn apart(dir: &Path, chain: SocketAddr) -> Outcome<Nodes> {
        let place = |number| Place {
            face: SocketAddr::from((links::own(number), PORTS.0)),
            peers: SocketAddr::from((links::among(number), PORTS.1)),
            chain,
            namespace: Some(links::namespace(number)),
        };
        Nodes::at(dir, (0..COUNT).map(place).collect())
    }

    /// Nodes whose chain is at `chain`, at addresses of this machine that `free` tells. Nobody runs yet.
    pub fn together(
        dir: &Path,
        chain: SocketAddr,
        free: &mut impl FnMut() -> Outcome<SocketAddr>,
    ) -> Outcome<Nodes> {
        let places = (0..COUNT).map(|_| {
            Ok(Place {
                face: free()?,
                peers: free()?,
                chain,
                namespace: None,
            })
        });
        Nodes::at(dir, places.collect::<Outcome<_>>()?)
    }

    fn at(dir: &Path, places: Vec<Place>) -> Outcome<Nodes> {
        let mut names = Vec::new();
        for (number, place) in places.iter().enumerate() {
            let folder = folder(dir, number);
            let key = Peers::key_in(&folder);
            let key = key.map_err(Failure::machine(folder.display().to_string()))?;
            names.push(format!("{key}@{}", place.peers));
        }
        let faces = (0..COUNT)
            .zip(&places)
            .map(|(number, place)| {
                let slice = Slice::new(u64::from(number % SLICES), u64::from(SLICES));
                Ok(Face {
                    zgs: place.face,
                    slice: slice.map_err(Failure::machine("a slice"))?,
                    starts: AtomicU64::new(0),
                })
            })
            .collect::<Outcome<Vec<Face>>>()?;
        Ok(Nodes {
            dir: dir.to_owned(),
            names: names.join(","),
            nodes: places
                .into_iter()
                .map(|place| Node { place, child: None })
                .collect(),
            faces: faces.into(),
            memory: 0,
        })
    }

    /// What clients know of them, by their numbers.
    pub fn faces(&self) -> Arc<[Face]> {
        Arc::clone(&self.faces)
    }

    /// Their numbers.
    pub fn numbers(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    /// Starts these at once and waits until each serves 0G's clients; how long each took, in ms.
    pub fn start(&mut self, setup: &Setup, numbers: &[usize]) -> Outcome<Vec<u64>> {
        let began = Instant::now();
        for number in numbers {
            self.spawn(setup, *number)?;
        }
        for number in numbers {
            let log = self.log(*number);
            let Some(child) = &mut self.nodes[*number].child else {
                continue;
            };
            let line = first_line(child)?;
            if serde_json::from_str::<Value>(&line).is_err() {
                let end = log_end(&log);
                let what = format!("storage node {number} did not start:\n{end}");
                return Err(Failure::Node(what));
            }
        }
        let mut took = Vec::new();
        for number in numbers {
            self.serves(setup, *number)?;
            took.push(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        Ok(took)
    }

    /// Waits until a node answers 0G's clients.
    fn serves(&mut self, setup: &Setup, number: usize) -> Outcome<()> {
        let (zgs, end) = (
            Zgs::new(self.faces[number].zgs),
            Instant::now() + SERVE_TIME,
        );
        while zgs.status().is_err() {
            self.expect_running()?;
            if Instant::now() >= end {
                let end = log_end(&self.log(number));
                let seconds = SERVE_TIME.as_secs();
                return Err(Failure::Node(format!(
                    "storage node {number} serves nobody after {seconds} s:\n{end}"
                )));
            }
            setup.sleep(LOOK_TIME)?;
        }
        Ok(())
    }

    /// Starts a node and kills it after `span`, most often in the middle of its recovery.
    pub fn start_and_kill(&mut self, setup: &Setup, number: usize, span: Duration) -> Outcome<()> {
        self.spawn(setup, number)?;
        std::thread::sleep(span);
        self.kill(&[number])
    }

    /// SIGKILL to these, one right after the other; returns when they are gone.
    pub fn kill(&mut self, numbers: &[usize]) -> Outcome<()> {
        self.expect_running()?;
        self.look_at_memory();
        let mut killed = Vec::new();
        for number in numbers {
            if let Some(mut child) = self.nodes[*number].child.take() {
                child
                    .kill()
                    .map_err(Failure::machine("killing a storage node"))?;
                killed.push(child);
            }
        }
        for mut child in killed {
            child
                .wait()
                .map_err(Failure::machine("waiting for a storage node"))?;
        }
        Ok(())
    }

    /// Takes from a node that does not run all that it has, but for its name among the others.
    pub fn wipe(&mut self, number: usize) -> Outcome<()> {
        assert!(self.nodes[number].child.is_none(), "it would be told");
        let folder = folder(&self.dir, number);
        let failed = || Failure::machine(format!("wiping {}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if entry.file_name() == NAME_FILE {
                continue;
            }
            let gone = match entry.file_type().map_err(failed())?.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
            gone.map_err(failed())?;
        }
        Ok(())
    }

    /// Nobody has ended by itself: nothing but this program kills nodes, or a bug.
    pub fn expect_running(&mut self) -> Outcome<()> {
        for number in 0..self.nodes.len() {
            let child = self.nodes[number].child.as_mut();
            let ended = child.map_or(Ok(None), Child::try_wait);
            if let Ok(Some(status)) = ended {
                let end = log_end(&self.log(number));
                let what = format!("storage node {number} ended by itself, {status}:\n{end}");
                return Err(Failure::Node(what));
            }
        }
        Ok(())
    }

    /// Most bytes of memory that any of them has had so far.
    pub fn memory(&mut self) -> u64 {
        self.look_at_memory();
        self.memory
    }

    fn look_at_memory(&mut self) {
        for child in self.nodes.iter().filter_map(|node| node.child.as_ref()) {
            // One that ended just now is told of elsewhere.
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
            let peak = status.ok().and_then(|status| peak_of(&status));
            self.memory = self.memory.max(peak.unwrap_or(0));
        }
    }

    fn spawn(&mut self, setup: &Setup, number: usize) -> Outcome<()> {
        let Place {
            face,
            peers,
            chain,
            namespace,
        } = &self.nodes[number].place;
        let slice = format!("{}/{SLICES}", number % usize::from(SLICES));
        let mut command = command_in(setup, namespace.as_deref())?;
        command
            .arg("node")
            .arg("--dir")
            .arg(folder(&self.dir, number));
        command.args(["--listen", "127.0.0.1:0", "--json"]);
        command.args(["--backend", &setup.backend, "--segment", SEGMENT]);
        command.args(["--shards", "1", "--chain", &format!("http://{chain}")]);
        command.args(["--zgs-listen", &face.to_string(), "--slice", &slice]);
        command.args(["--peers-listen", &peers.to_string()]);
        command.args(["--peers", &self.names]);
        self.faces[number].starts.fetch_add(1, SeqCst);
        self.nodes[number].child = Some(spawn_logged(command, &self.log(number))?);
        Ok(())
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.join(format!("node-{number}.log"))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            // Already gone after `kill`.
            let _gone = child.kill().is_err();
            let _gone = child.wait().is_err();
        }
    }
}

fn folder(dir: &Path, number: usize) -> PathBuf {
    dir.join("nodes").join(number.to_string())
}

/// The most memory that a process has had, in bytes, by its status (proc(5): `VmHWM`, in KiB).
fn peak_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figure is read as the system writes it.
    #[test]
    fn reads_memory() {
        let own = fs::read_to_string("/proc/self/status").unwrap();
        assert!(peak_of(&own).unwrap() > 1 << 20);
        assert_eq!(
            peak_of("VmPeak:\t 9 kB\nVmHWM:\t    1024 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(peak_of("VmPeak:\t 9 kB\n"), None);
    }
}
