//! Becomes another command, after taking away what it shall not have. `exec` keeps the pid, so
//! the parent kills the command itself and not a wrapper.

use std::{collections::BTreeMap, ffi::OsString, os::unix::process::CommandExt, process::Command};

use rustix::process::{Signal, set_parent_process_death_signal};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::failure::{Failure, Outcome};

/// The calls of io_uring: setup, enter, register. One number on every architecture, as for all
/// calls since Linux 5.1 (include/uapi/asm-generic/unistd.h).
const RING_CALLS: [i64; 3] = [425, 426, 427];

/// What refused calls return (`errno` 1), as under Docker's default profile.
const EPERM: u32 = 1;

/// Turns this process into `command`. Returns only if that fails.
pub fn become_command(command: &[OsString], without_ring: bool) -> Failure {
    match restrict(without_ring) {
        Err(failure) => failure,
        Ok(()) => {
            let error = Command::new(&command[0]).args(&command[1..]).exec();
            Failure::machine("starting the command")(error)
        }
    }
}

fn restrict(without_ring: bool) -> Outcome<()> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Failure::machine("asking to die with the parent"))?;
    if without_ring {
        // Sets no_new_privs first, so that it needs no privilege.
        seccompiler::apply_filter(&ring_filter()?)
            .map_err(Failure::machine("installing the seccomp filter"))?;
    }
    Ok(())
}

fn ring_filter() -> Outcome<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(Failure::machine("seccomp on this architecture"))?;
    let rules: BTreeMap<i64, _> = RING_CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        arch,
    );
    filter
        .and_then(BpfProgram::try_from)
        .map_err(Failure::machine("building the seccomp filter"))
}
