//! `lode diff`: what happened to a directory since it was put as a folder. Only files of one path and size
//! are read, and hashed as the stored ones were: in the same fragments, under the same header.

use std::{fs::File, io, path::Path, process::ExitCode};

use lode_wire::folder::{Change, Difference, Node, compare};
use serde_json::{Value, json};

use crate::{
    args::DiffArgs,
    client::parse_root,
    failure::{Exit, Failure, Outcome},
    keys,
    output::{Output, plain},
    tree,
    verbs::{folder, origin::Origin, stored::Stored},
};

/// Prints one line for each difference. Exit code 1 if there is any.
pub fn run(args: &DiffArgs, origin: &Origin, output: Output) -> Outcome<ExitCode> {
    let keys = keys::opening(&args.open)?;
    let stored = folder::load(origin, &[parse_root(&args.root)?], keys.as_ref())?;
    let here = tree::walk(&args.dir);
    if let Some((path, mut failure)) = here.bad.into_iter().next() {
        let own = args.dir.join(path);
        failure.what = format!("{}: {}", plain(&own.display().to_string()), failure.what);
        return Err(failure);
    }
    let changes = compare(stored.entries(), &here.entries, |path, old, _| {
        let Node::File { roots, .. } = old else {
            return Ok(false);
        };
        let blobs = Stored::find(origin, roots, keys.as_ref())?;
        is_copy(&blobs, &args.dir.join(path))
    })?;
    for change in &changes {
        if !output.json {
            let path = plain(&change.path);
            output.data(&Value::Null, &path, &line(&path, change))?;
        }
    }
    if output.json {
        let entries: Vec<Value> = changes.iter().map(entry).collect();
        let all = json!({ "same": changes.is_empty(), "changes": entries });
        output.data(&all, "", "")?;
    }
    match changes.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(Exit::Other.into()),
    }
}

fn is_copy(stored: &Stored, path: &Path) -> Outcome<bool> {
    let unreadable = |error: io::Error| Failure::file(path.display(), &error);
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    stored.is_copy(&file, size).map_err(unreadable)
}

fn line(path: &str, change: &Change) -> String {
    let mark = match change.what {
        Difference::Added => '+',
        Difference::Removed => '-',
        Difference::Modified => '*',
    };
    let end = if change.is_directory { "/" } else { "" };
    format!("{mark} {path}{end}")
}

fn entry(change: &Change) -> Value {
    let what = match change.what {
        Difference::Added => "added",
        Difference::Removed => "removed",
        Difference::Modified => "modified",
    };
    json!({ "path": change.path, "what": what, "directory": change.is_directory })
}
