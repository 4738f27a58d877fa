//! `lode chain --checkpoint-sync`: a folder that begins with the newest block of other nodes, fetched
//! over their JSON-RPC and checked before any of it is used.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use alloy_genesis::Genesis;
use indicatif::ProgressBar;
use lode_chain::{
    Members,
    sync::{self, Config, Error, Progress, Source, Synced, Trouble},
};
use serde_json::{Value, json};
use ureq::Agent;

use crate::{
    args::ChainArgs,
    failure::{Failure, Outcome},
    output::Output,
    trust,
};

/// Time for a whole answer: a megabyte over a slow line.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Time for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Bytes of an answer: twice a block as text, which is longer than any page.
const ANSWER_LEN_MAX: u64 = 20 << 20;
/// Time between two lines that say how far it is, where no bar does.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Begins the folder, unless it has begun.
pub fn run(
    args: &ChainArgs,
    ca: Option<&Path>,
    genesis: &Genesis,
    members: Members,
    output: Output,
) -> Outcome<()> {
    let sources = sources(&args.checkpoint_sync, ca)?;
    let sources: Vec<&dyn Source> = sources
        .iter()
        .map(|source| -> &dyn Source { source })
        .collect();
    let config = Config {
        genesis: genesis.clone(),
        dir: args.dir.clone(),
        members,
        blocks_kept: args.keep_blocks,
    };
    let bar = output.percents(FULL);
    let began = Instant::now();
    let mut told = Instant::now();
    let synced = sync::run(&config, &sources, |progress| {
        show(&bar, progress);
        if bar.is_hidden() && told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(progress);
        }
    });
    bar.finish_and_clear();
    match synced.map_err(|error| failed(&error))? {
        Synced::At {
            block,
            hash,
            progress,
        } => {
            let seconds = began.elapsed().as_secs_f64();
            let mib = progress.bytes >> 20;
            tracing::info!(block, %hash, nodes = progress.nodes, bytes = progress.bytes, "synced");
            output.note(&format!(
                "begins with block {block} {hash}: {} nodes, {mib} MiB, in {seconds:.1} s",
                progress.nodes
            ));
        }
        Synced::Begun { tip, newest } => begun(args, tip, newest, output),
    }
    Ok(())
}

/// The bar is as long as the space of keys, in parts of a million.
const FULL: u64 = 1_000_000;

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.parts);
    bar.set_message(format!(
        "state of block {} {} MiB",
        progress.block,
        progress.bytes >> 20
    ));
}

fn tell(progress: &Progress) {
    tracing::info!(
        block = progress.block,
        percent = progress.parts / (FULL / 100),
        nodes = progress.nodes,
        bytes = progress.bytes,
        "fetching the state"
    );
}

/// The folder has a chain. If it is so far behind that others may not have what it lacks, the operator
/// hears what to do.
fn begun(args: &ChainArgs, tip: u64, newest: Option<u64>, output: Output) {
    let behind = newest.map_or(0, |newest| newest.saturating_sub(tip));
    if behind <= args.keep_blocks {
        output.note(&format!(
            "there is a chain up to block {tip} already: --checkpoint-sync is not needed"
        ));
        return;
    }
    let dir = args.dir.display();
    tracing::warn!(
        tip,
        behind,
        "others may not have the blocks any more that this node lacks. If it does not catch up: stop \
         it, remove {dir}/ledger and {dir}/consensus/files (not {dir}/consensus/secrets), and start it \
         again with --checkpoint-sync"
    );
}

fn failed(error: &Error) -> Failure {
    let next = match error {
        Error::Genesis(_) | Error::File(_) | Error::Trust(_) => {
            "name the genesis file of the chain that these nodes run"
        }
        Error::Ledger(_) | Error::Committees(_) => {
            "look at the folder and its disk; then start again"
        }
        _ if error.is_gone() => {
            "name a node that keeps states for longer: `lode chain` without --states keeps all"
        }
        _ => {
            "name other nodes by --checkpoint-sync; what was fetched is kept and not fetched again"
        }
    };
    Failure::other(format!("checkpoint sync: {error}"), next)
}

fn sources(urls: &[String], ca: Option<&Path>) -> Outcome<Vec<Http>> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIME))
        .timeout_global(Some(ANSWER_TIME))
        .tls_config(trust::tls(ca)?)
        .build();
    let agent = Agent::from(config);
    urls.iter()
        .map(|url| {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                let what = format!("`{url}` is no URL of a node's JSON-RPC");
                return Err(Failure::usage(what, "--checkpoint-sync http://HOST:8545"));
            }
            Ok(Http {
                agent: agent.clone(),
                url: url.clone(),
            })
        })
        .collect()
}

/// A node's JSON-RPC over HTTP.
struct Http {
    agent: Agent,
    url: String,
}

impl Source for Http {
    fn name(&self) -> &str {
        &self.url
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Trouble> {
        let silent = |why: String| Trouble::Silent(why);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self.agent.post(&self.url).send_json(call);
        let mut answer = sent.map_err(|error| silent(error.to_string()))?;
        let body = answer.body_mut().with_config().limit(ANSWER_LEN_MAX);
        let bytes = body
            .read_to_vec()
            .map_err(|error| silent(error.to_string()))?;
        read(&bytes)
    }
}

/// The result in an answer.
fn read(bytes: &[u8]) -> Result<Value, Trouble> {
    let answer: Value =
        serde_json::from_slice(bytes).map_err(|error| Trouble::Silent(error.to_string()))?;
    let Value::Object(mut answer) = answer else {
        return Err(Trouble::Silent("the answer is no JSON-RPC".to_owned()));
    };
    if let Some(error) = answer.get("error") {
        return Err(Trouble::Refused {
            code: error["code"].as_i64().unwrap_or(0),
            message: error["message"].as_str().unwrap_or("no reason").to_owned(),
        });
    }
    answer
        .remove("result")
        .ok_or_else(|| Trouble::Silent("the answer is no JSON-RPC".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result is a result, a refusal keeps its number and words, and all else is no answer.
    #[test]
    fn answers_are_read() {
        assert_eq!(read(br#"{"id":1,"result":null}"#), Ok(Value::Null));
        assert_eq!(read(br#"{"id":1,"result":"0x1"}"#), Ok(json!("0x1")));
        let refused = Trouble::Refused {
            code: -32001,
            message: "gone".to_owned(),
        };
        assert_eq!(
            read(br#"{"error":{"code":-32001,"message":"gone"}}"#),
            Err(refused)
        );
        for bad in ["", "[]", "{}", "no", "{\"result\":"] {
            assert!(
                matches!(read(bad.as_bytes()), Err(Trouble::Silent(_))),
                "{bad}"
            );
        }
    }

    /// What is no URL is refused before anything is asked.
    #[test]
    fn urls_are_checked() {
        let urls = |url: &str| sources(&[url.to_owned()], None).map(|all| all.len());
        assert_eq!(urls("http://127.0.0.1:1").ok(), Some(1));
        let failure = urls("127.0.0.1:8545").unwrap_err();
        assert!(failure.what.contains("127.0.0.1:8545"), "{failure}");
    }
}
