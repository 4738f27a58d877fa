//! One test of this binary, in a process of its own.

use std::{
    path::PathBuf,
    process::{Child, Command},
};

/// This binary; with what [`only`] says it runs one test and nothing else.
pub(super) fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// Arguments that run the test `name` of a sibling module alone, and let it print.
pub(super) fn only(name: &str) -> [String; 3] {
    let full = format!("launch::tests::{name}");
    ["--exact".into(), full, "--nocapture".into()]
}

/// A process that ends with this value, however the test ends.
pub(super) struct Held(pub(super) Child);

impl Held {
    pub(super) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Killed is also what is stopped; gone already is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
