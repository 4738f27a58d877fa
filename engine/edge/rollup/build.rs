//! Makes Rust of `proto/`. Protox reads it, so that no compiler but Rust's own is needed; and what is
//! built is what the files say, which a copy of the output could not promise.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 2] = ["proto/disperser.proto", "proto/retriever.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for proto in PROTOS {
        println!("cargo::rerun-if-changed={proto}");
    }
    let files = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("da_descriptor.bin"), files.encode_to_vec())?;
    // Blobs stay where tonic has read them.
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
