//! `lode ls` and `lode cat`: what is in a stored folder, and one file of it.

use std::process::ExitCode;

use lode_proofs::Hash32;
use lode_wire::{
    Folder, FolderError,
    cipher::Keys,
    folder::{LEN_LIMIT, Node},
};
use serde_json::{Value, json};

use crate::{
    args::{CatArgs, LsArgs},
    client::parse_root,
    failure::{Exit, Failure, Outcome},
    keys,
    output::{Output, plain},
    tree::join,
    units,
    verbs::{get, origin::Origin, stored::Stored},
};

/// Fetches a folder's blob, verified, and reads it.
pub fn load(origin: &Origin, roots: &[Hash32], keys: Option<&Keys>) -> Outcome<Folder> {
    let stored = Stored::find(origin, roots, keys)?;
    let limit = u64::try_from(LEN_LIMIT).unwrap_or(u64::MAX);
    if stored.plain_len() > limit {
        return Err(no_folder(&stored, FolderError::Magic, keys));
    }
    let mut bytes = Vec::new();
    let mut check = stored.check()?;
    stored.fetch(origin, &mut check, |more| {
        bytes.extend_from_slice(more);
        Ok(())
    })?;
    check.end()?;
    Folder::decode(&bytes).map_err(|error| no_folder(&stored, error, keys))
}

fn no_folder(stored: &Stored, error: FolderError, keys: Option<&Keys>) -> Failure {
    let next = match keys {
        Some(_) => "check the root and the key: a wrong key gives noise",
        None => "check the root; what is encrypted needs --decryption-key or --private-key",
    };
    Failure::other(format!("{}: {error}", stored.first().root), next)
}

/// A path that the folder does not have.
fn no_path(path: &str) -> Failure {
    Failure {
        exit: Exit::NotFound,
        ..Failure::other(
            format!("the folder has no {}", plain(path)),
            "`lode ls ROOT` lists what it has",
        )
    }
}

/// Lists entries, each with its path.
pub fn list(args: &LsArgs, origin: &Origin, output: Output) -> Outcome<ExitCode> {
    let keys = keys::opening(&args.open)?;
    let folder = load(origin, &[parse_root(&args.root)?], keys.as_ref())?;
    let above = args.path.as_deref().unwrap_or_default();
    let above = above
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .fold(String::new(), |path, name| join(&path, name));
    let at = folder.find(&above).ok_or_else(|| no_path(&above))?;
    let mut entries = Vec::new();
    let own = at.entries().is_none().then(|| (above.clone(), at));
    let below = at.walk().map(|(path, node)| (join(&above, &path), node));
    for (path, node) in own.into_iter().chain(below) {
        if output.json {
            entries.push(entry(&path, node));
        } else {
            output.data(&Value::Null, &plain(&path), &line(&path, node))?;
        }
    }
    if output.json {
        output.data(&json!({ "root": args.root, "entries": entries }), "", "")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(path: &str, node: &Node) -> Value {
    match node {
        Node::File { roots, size, .. } => {
            let roots: Vec<String> = roots.iter().map(Hash32::to_string).collect();
            json!({ "path": path, "type": "file", "size": size, "roots": roots })
        }
        Node::Directory { .. } => json!({ "path": path, "type": "directory" }),
        Node::Symbolic { link, .. } => json!({ "path": path, "type": "symbolic", "link": link }),
    }
}

fn line(path: &str, node: &Node) -> String {
    let path = plain(path);
    match node {
        Node::File { size, .. } => format!("{:>12}  {path}", units::size(*size)),
        Node::Directory { .. } => format!("{:>12}  {path}/", ""),
        Node::Symbolic { link, .. } => format!("{:>12}  {path} -> {}", "", plain(link)),
    }
}

/// Writes one file to stdout.
pub fn cat(args: &CatArgs, origin: &Origin, output: Output) -> Outcome<ExitCode> {
    let keys = keys::opening(&args.open)?;
    get::refuse_terminal()?;
    let folder = load(origin, &[parse_root(&args.root)?], keys.as_ref())?;
    let node = folder.find(&args.path).ok_or_else(|| no_path(&args.path))?;
    let Node::File { roots, size, .. } = node else {
        let what = format!("{} is no file", plain(&args.path));
        let next = "`lode ls ROOT` tells what it is; links are not followed";
        return Err(Failure::usage(what, next));
    };
    if *size == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let stored = find(origin, roots, *size, keys.as_ref())?;
    let got = get::get_stdout(origin, &stored, output)?;
    output.note(&format!("{} verified", units::size(got.bytes)));
    Ok(ExitCode::SUCCESS)
}

/// The blobs of a file, if they have as many bytes as the folder says.
pub fn find(origin: &Origin, roots: &[Hash32], size: u64, keys: Option<&Keys>) -> Outcome<Stored> {
    let stored = Stored::find(origin, roots, keys)?;
    if stored.plain_len() == size {
        return Ok(stored);
    }
    let what = format!(
        "the folder says {}, its blobs have {}",
        units::size(size),
        units::size(stored.plain_len())
    );
    let next =
        "what is encrypted needs --decryption-key or --private-key; else the folder is wrong";
    Err(Failure::not_verified(what, next))
}
