//! `lode rm`: deletes blobs, each for itself.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    args::RmArgs,
    client::{Client, parse_root},
    failure::Outcome,
    output::{Output, batch_exit},
};

/// Deletes all; says what could not be.
pub fn run(args: &RmArgs, client: &Client, output: Output) -> Outcome<ExitCode> {
    let (mut deleted, mut failed, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for text in &args.roots {
        match parse_root(text).and_then(|root| client.delete(root).map(|()| root)) {
            Ok(root) => {
                if !output.json {
                    output.data(&json!(null), "", &format!("{root}  deleted"))?;
                }
                deleted.push(root.to_string());
            }
            Err(failure) => {
                if !output.json {
                    output.failure(&failure);
                }
                failed.push(json!({ "root": text, "error": failure.to_json() }));
                failures.push(failure);
            }
        }
    }
    if output.json {
        output.data(&json!({ "deleted": deleted, "failed": failed }), "", "")?;
    }
    Ok(batch_exit(&failures, args.roots.len()))
}
