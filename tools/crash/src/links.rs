//! Network namespaces for the parts of a network, and links that are moved between two switches.
//!
//! ```text
//!   m0   m1   m2   m3        10.77.0.1 to 10.77.0.4: among themselves
//!   └────┴──┬─┴────┘
//!        switch a   switch b     a split moves links from a to b
//!
//!   m0 … m3 ── this program    10.78.N.2 and 10.78.N.1: requests, which no split touches
//!   m0 … m3 ── the chain       10.79.N.2, by way of 10.79.N.1 to 10.79.255.1, where it is asked for
//! ```
//! All of it is in a network namespace of this program, below a mount of its own: nothing is left
//! when it ends, however it ends.

use std::{
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use crate::failure::{Failure, Outcome};

/// The switch that links are in, and the one that a split moves some to.
pub const TOGETHER: &str = "switch-a";
/// See [`TOGETHER`].
pub const AWAY: &str = "switch-b";
/// Where the chain is reached by those that have a link to it.
pub const CHAIN: Ipv4Addr = Ipv4Addr::new(10, 79, 255, 1);

/// Where a member listens for the others.
pub fn among(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number + 1)
}

/// Where a member listens for this program.
pub fn own(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, number, 2)
}

/// The namespace of a member.
pub fn namespace(number: u8) -> String {
    format!("m{number}")
}

/// Makes switches, and for so many members a namespace and its links to the others and to us.
pub fn link(count: u8) -> Outcome<()> {
    // Names of namespaces are files: on a mount of our own they are seen and left nowhere else.
    run_command("mount", "-t tmpfs none /run")?;
    std::fs::create_dir("/run/netns").map_err(Failure::machine("/run/netns"))?;
    ip("link set lo up")?;
    for switch in [TOGETHER, AWAY] {
        ip(&format!("link add {switch} type bridge"))?;
        ip(&format!("link set {switch} up"))?;
    }
    for number in 0..count {
        let (name, host) = (namespace(number), number + 1);
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add p{number} type veth peer name peers netns {name}"
        ))?;
        ip(&format!("link set p{number} master {TOGETHER} up"))?;
        ip(&format!(
            "-n {name} address add 10.77.0.{host}/24 dev peers"
        ))?;
        beside(number, ('r', "rpc"), 78)?;
        for link in ["lo", "peers"] {
            ip(&format!("-n {name} link set {link} up"))?;
        }
    }
    Ok(())
}

/// Gives so many members each a link of its own to the chain.
pub fn link_chain(count: u8) -> Outcome<()> {
    ip(&format!("address add {CHAIN}/32 dev lo"))?;
    for number in 0..count {
        beside(number, ('c', "chain"), 79)?;
        let name = namespace(number);
        ip(&format!("-n {name} route add {CHAIN} via 10.79.{number}.1"))?;
    }
    Ok(())
}

/// A link between us and a member.
fn beside(number: u8, (ours, its): (char, &str), net: u8) -> Outcome<()> {
    let name = namespace(number);
    ip(&format!(
        "link add {ours}{number} type veth peer name {its} netns {name}"
    ))?;
    ip(&format!(
        "address add 10.{net}.{number}.1/24 dev {ours}{number}"
    ))?;
    ip(&format!("link set {ours}{number} up"))?;
    ip(&format!(
        "-n {name} address add 10.{net}.{number}.2/24 dev {its}"
    ))?;
    ip(&format!("-n {name} link set {its} up"))
}

/// Puts a member's link to the others into a switch.
pub fn plug(number: u64, switch: &str) -> Outcome<()> {
    ip(&format!("link set p{number} master {switch}"))
}

/// Gives a member its link to the chain, or takes it.
pub fn reach_chain(number: usize, reaches: bool) -> Outcome<()> {
    let state = if reaches { "up" } else { "down" };
    ip(&format!("link set c{number} {state}"))
}

/// Bytes that each of so many members has got from the others since there are links.
pub fn received(count: u8) -> Outcome<Vec<u64>> {
    let table = std::fs::read_to_string("/proc/self/net/dev");
    let table = table.map_err(Failure::machine("/proc/self/net/dev"))?;
    let of = |number| sent_by(&table, &format!("p{number}"));
    (0..count)
        .map(|number| {
            of(number).ok_or_else(|| Failure::Machine {
                what: "/proc/self/net/dev".to_owned(),
                why: format!("has no link p{number}"),
            })
        })
        .collect()
}

/// Bytes sent by an interface: the ninth number of its line. What our end sends, its end gets.
fn sent_by(table: &str, interface: &str) -> Option<u64> {
    let lines = table.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(name, _)| name.trim() == interface);
    let (_, numbers) = found.next()?;
    numbers.split_whitespace().nth(8)?.parse().ok()
}

fn ip(arguments: &str) -> Outcome<()> {
    run_command("ip", arguments)
}

fn run_command(program: &str, arguments: &str) -> Outcome<()> {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output();
    let what = format!("{program} {arguments}");
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::Skipped(format!("there is no {program} here")))
        }
        Err(error) => Err(Failure::machine(what)(error)),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::Machine { what, why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counter that is read is the one of sent bytes, of that interface alone.
    #[test]
    fn reads_counters() {
        let table = "Inter-|   Receive    |  Transmit\n face |bytes packets\n\
                     \x20   p1: 1 2 3 4 5 6 7 8 900 10 11 12 13 14 15 16\n\
                     \x20  p11: 1 2 3 4 5 6 7 8 901 10 11 12 13 14 15 16\n";
        assert_eq!(sent_by(table, "p1"), Some(900));
        assert_eq!(sent_by(table, "p11"), Some(901));
        assert_eq!(sent_by(table, "p"), None);
    }
}
