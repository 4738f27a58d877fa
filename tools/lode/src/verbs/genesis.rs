//! `lode genesis`: keys and the genesis file of validators at given addresses, for who starts each
//! `lode chain` himself: on other machines, in network namespaces, or one at a time.
//!
//! One party makes all keys, so this is for development networks, as `lode devnet` is.

use std::{fs, process::ExitCode};

use serde_json::json;

use crate::{
    args::GenesisArgs,
    devnet::{self, Deal},
    failure::{Failure, Outcome},
    output::Output,
};

/// Writes the files and says where they are. What exists is never written over: with its keys a
/// network would be gone.
pub fn run(args: &GenesisArgs, output: Output) -> Outcome<ExitCode> {
    let genesis = args.dir.join("genesis.json");
    if genesis.exists() {
        let what = format!("{} exists already", genesis.display());
        return Err(Failure::usage(what, "name another --dir"));
    }
    fs::create_dir_all(&args.dir).map_err(|error| Failure::file(args.dir.display(), &error))?;
    let spare = devnet::deal(
        &args.dir,
        &Deal {
            chain_id: args.chain_id,
            ether: args.balance,
            peers: &args.peers,
            funded: &[],
            blocks_per_epoch: args.blocks_per_epoch,
            spare: args.spare,
            holders: &[],
        },
    )?;
    let keys = (0..args.peers.len() + spare.len())
        .map(|number| devnet::validator(&args.dir, number).join("key.json"))
        .map(|path| path.to_string_lossy().into_owned());
    let keys: Vec<String> = keys.collect();
    let genesis = genesis.to_string_lossy().into_owned();
    let mut long = format!("{genesis}\n{}", keys.join("\n"));
    for key in &spare {
        long += &format!("\nspare {key}");
    }
    let json =
        json!({ "genesis": genesis, "keys": keys, "chain_id": args.chain_id, "spare": spare });
    output.data(&json, &genesis, &long)?;
    Ok(ExitCode::SUCCESS)
}
