//! The same targets under libFuzzer, which is guided by coverage. `LODE_FUZZ_TARGET` names the one
//! to run; how to build it is in the crate's README.
#![no_main]

use std::sync::LazyLock;

use fuzz::targets::{ALL, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("LODE_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    let found = ALL.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("set LODE_FUZZ_TARGET to one of {names:?}"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
