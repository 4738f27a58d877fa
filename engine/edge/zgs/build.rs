//! Makes Rust of `proto/zgs_grpc.proto`. Protox reads it, so that no compiler but Rust's own is
//! needed; and what is built is what the file says, which a copy of the output could not promise.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTO: &str = "proto/zgs_grpc.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let files = protox::compile([PROTO], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("zgs_grpc_descriptor.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Careful")
        .compile_fds(files)?;
    Ok(())
}
