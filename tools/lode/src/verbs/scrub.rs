//! `lode scrub`: the node reads and checks everything it holds.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    args::ScrubArgs,
    client::Client,
    failure::{Failure, Outcome},
    output::Output,
    units,
};

/// Waits for the whole pass; damage that was found makes the exit code 4.
pub fn run(args: &ScrubArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let rate = units::parse_size(&args.rate).ok_or_else(|| {
        Failure::usage(
            format!("--rate is {:?}", args.rate),
            "write a size, as 50MiB",
        )
    })?;
    let scrubbed = client.scrub(rate)?;
    let json = json!({ "bytes": scrubbed.bytes, "corrupt": scrubbed.corrupt });
    let read = units::size(scrubbed.bytes);
    if scrubbed.corrupt > 0 {
        output.data(&json, "", "")?;
        let what = format!("{} damaged records in {read}", scrubbed.corrupt);
        return Err(Failure::not_verified(
            what,
            "the node's log names them; restore these blobs from other copies",
        ));
    }
    output.data(&json, "", &format!("{read} read and checked, no damage"))?;
    Ok(ExitCode::SUCCESS)
}
