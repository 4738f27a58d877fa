//! Signals that end a program, and the end of the program that started it.

use std::sync::{Arc, atomic::AtomicBool};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::failure::{Failure, Outcome};

/// Turns true at the first SIGTERM or SIGINT; the second ends the process at once.
pub fn watch() -> Outcome<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::file("signals", &error))?;
    }
    Ok(stop)
}

/// A part of a network ends with the program that started it, which names itself in `DEVNET_PARENT`.
pub fn follow_parent() {
    let parent = std::env::var("DEVNET_PARENT").ok();
    let Some(parent) = parent.and_then(|parent| Pid::from_raw(parent.parse().ok()?)) else {
        return;
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        eprintln!("warning: this process will not end with its parent: {error}");
    }
    // It may have ended before that was said.
    if getppid() != Some(parent) {
        std::process::exit(130);
    }
}
