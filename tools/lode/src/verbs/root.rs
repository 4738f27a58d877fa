//! `lode root`: roots of files, without any node.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use lode_proofs::BlobTree;
use serde_json::json;

use crate::{
    args::RootArgs,
    failure::{Failure, Outcome},
    output::{Output, batch_exit},
    roots::{self, StreamRoot},
    units,
};

/// Prints one line per file.
pub fn run(args: &RootArgs, output: Output) -> Outcome<ExitCode> {
    let (mut files, mut failures) = (Vec::new(), Vec::new());
    for path in &args.files {
        let name = path.display().to_string();
        match root_of(path, output) {
            Ok(tree) => {
                let (root, size) = (tree.root().to_string(), tree.shape().size());
                let entry = json!({
                    "path": name, "root": root, "size": size, "chunks": tree.shape().chunks(),
                    "identity": tree.identity().to_string(),
                });
                if !output.json {
                    let long = format!("{root}  {:>12}  {name}", units::size(size));
                    output.data(&entry, &root, &long)?;
                }
                files.push(entry);
            }
            Err(mut failure) => {
                failure.what = format!("{name}: {}", failure.what);
                output.failure(&failure);
                failures.push(failure);
            }
        }
    }
    if output.json {
        output.data(&json!({ "files": files }), "", "")?;
    }
    Ok(batch_exit(&failures, args.files.len()))
}

fn root_of(path: &Path, output: Output) -> Outcome<BlobTree> {
    let unreadable = |error: io::Error| Failure::file("cannot be read", &error);
    let empty = || Failure::other("is empty: a blob has at least one byte", "leave it out");
    if path == Path::new("-") {
        return root_of_stream(io::stdin().lock())
            .map_err(unreadable)?
            .ok_or_else(empty);
    }
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(Failure::other("is a directory", "name the files in it"));
    }
    if !about.is_file() {
        return root_of_stream(file).map_err(unreadable)?.ok_or_else(empty);
    }
    let size = about.len();
    if size == 0 {
        return Err(empty());
    }
    let bar = output.bar(&path.display().to_string(), Some(size));
    let tree = roots::of_file(&file, size, &|bytes| bar.inc(bytes)).map_err(unreadable);
    bar.finish_and_clear();
    tree
}

fn root_of_stream(mut stream: impl Read) -> io::Result<Option<BlobTree>> {
    let mut hasher = StreamRoot::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
