//! A mount namespace of our own, and a network of our own where one is asked for: what is mounted or
//! linked in it is seen by nobody else, and ends with the last of our processes, even after SIGKILL.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use crate::failure::Failure;

/// Set in the environment of the process that is apart already.
const MARK: &str = "LODE_CRASH_APART";

/// Who may mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounter {
    /// The machine's root: images on loop devices.
    Root,
    /// Root of a user namespace: tmpfs only.
    Namespace,
}

/// What shall be apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// Mounts of images, as root.
    Images,
    /// Mounts of what needs no root.
    Memory,
    /// The network too, as root.
    Network,
}

/// Starts this program again in a namespace of its own, or says that it is there already. A user
/// who is not root gets a user namespace too, if that will do.
///
/// # Errors
/// [`Failure::Skipped`] where the machine does not allow it.
pub fn go(what: Apart) -> Result<Mounter, Failure> {
    match std::env::var(MARK).as_deref() {
        Ok("root") => return Ok(Mounter::Root),
        Ok("namespace") => return Ok(Mounter::Namespace),
        _ => {}
    }
    let root = rustix::process::geteuid().is_root();
    let needs = match what {
        Apart::Images => Some("it mounts an ext4 image"),
        Apart::Network => Some("it makes network namespaces"),
        Apart::Memory => None,
    };
    if let Some(needs) = needs.filter(|_| !root) {
        let why = format!("{needs}, and that needs root: run it under sudo");
        return Err(Failure::Skipped(why));
    }
    let mut flags = vec!["--mount", "--propagation", "private"];
    if what == Apart::Network {
        // Without it nothing can be linked, and not even the loopback interface works there.
        let there = Command::new("ip").arg("-V").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            let why = "there is no ip (iproute2) here";
            return Err(Failure::Skipped(why.to_owned()));
        }
        flags.push("--net");
    }
    if !root {
        flags.extend(["--user", "--map-root-user"]);
    }
    let tried = Command::new("unshare")
        .args(&flags)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        let why = "no namespace to be had here (unshare of util-linux failed)";
        return Err(Failure::Skipped(why.to_owned()));
    }
    let program = std::env::current_exe().map_err(Failure::machine("finding this program"))?;
    let error = Command::new("unshare")
        .args(&flags)
        .arg("--")
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(MARK, if root { "root" } else { "namespace" })
        .exec();
    Err(Failure::machine("starting again in a namespace")(error))
}
