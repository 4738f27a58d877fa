//! `lode get`: what is stored as one blob or several, verified against its roots while it streams, or a
//! range of a blob, verified chunk by chunk. Folders are restored by `restore`.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use indicatif::ProgressBar;
use lode_proofs::Hash32;
use lode_wire::folder::is_folder;
use serde_json::json;

use crate::{
    args::GetArgs,
    client::parse_root,
    failure::{Exit, Failure, Outcome},
    fleet::Nodes,
    keys,
    output::Output,
    units,
    verbs::{origin::Origin, part::Part, range, restore, stored::Stored},
};

/// Fetches, verifies, reports.
pub fn run(args: &GetArgs, nodes: &Nodes, output: Output) -> Outcome<ExitCode> {
    let roots: Vec<Hash32> = args
        .roots
        .iter()
        .map(|text| parse_root(text))
        .collect::<Outcome<_>>()?;
    let keys = keys::opening(&args.open)?;
    let origin = Origin::find(nodes, &args.fleet, output)?;
    let origin = &origin;
    if args.folder {
        let target = args.output.as_deref().unwrap_or(Path::new("."));
        return restore::run(origin, &roots, keys.as_ref(), target, output);
    }
    let target = match &args.output {
        Some(path) if path != Path::new("-") => Some(path.clone()),
        _ => {
            refuse_terminal()?;
            None
        }
    };
    if let Some(text) = &args.range {
        let [root] = roots.as_slice() else {
            let next = "ask for a range of one of them";
            return Err(Failure::usage("a range is of one blob", next));
        };
        let size = origin.size(*root)?;
        let got = range::run(origin, *root, size, text, args.trust_node, target)?;
        return report(&roots, &got, output);
    }
    let stored = Stored::find(origin, &roots, keys.as_ref())?;
    let got = match target {
        Some(path) => {
            let bar = output.bar(&format!("{}", path.display()), Some(stored.plain_len()));
            let got = get_file(origin, &stored, path, &bar);
            bar.finish_and_clear();
            got?
        }
        None => get_stdout(origin, &stored, output)?,
    };
    if got.is_folder {
        let next = "`lode ls` lists it, `lode get --folder -o DIR` restores it";
        output.note(&format!("note: this blob is a folder: {next}"));
    }
    report(&roots, &got, output)
}

/// Bytes go to stdout, unless a person would have them on the screen.
pub fn refuse_terminal() -> Outcome<()> {
    match io::stdout().is_terminal() {
        true => Err(Failure::usage(
            "bytes of a blob do not belong on a terminal",
            "name a file by -o FILE, or pass the bytes on by a pipe",
        )),
        false => Ok(()),
    }
}

/// What was fetched.
pub struct Got {
    /// Bytes that were asked for.
    pub bytes: u64,
    /// Bytes of them that an earlier run had fetched.
    pub resumed_at: u64,
    /// They were checked against the root.
    pub verified: bool,
    /// Where they are; none: they went to stdout.
    pub to: Option<PathBuf>,
    /// They begin as a folder does, where all of them were fetched.
    pub is_folder: bool,
}

fn report(roots: &[Hash32], got: &Got, output: Output) -> Outcome<ExitCode> {
    let verified = if got.verified {
        "verified against"
    } else {
        "NOT verified against"
    };
    let against = match roots {
        [root] => root.to_string(),
        several => units::counted(several.len(), "root"),
    };
    let words = format!("{} {verified} {against}", units::size(got.bytes));
    match &got.to {
        Some(path) => {
            let mut json = json!({
                "bytes": got.bytes, "resumed_at": got.resumed_at,
                "verified": got.verified, "output": path.display().to_string(),
            });
            let texts: Vec<String> = roots.iter().map(Hash32::to_string).collect();
            match texts.as_slice() {
                [root] => json["root"] = json!(root),
                several => json["roots"] = json!(several),
            }
            output.data(&json, "", &format!("{}  {words}", path.display()))?;
        }
        // Stdout carries the bytes.
        None => output.note(&words),
    }
    Ok(ExitCode::SUCCESS)
}

/// To a file: into a part beside it, which a later run continues, then renamed. The part has plain bytes;
/// what an earlier run fetched is encrypted again to be checked.
pub fn get_file(
    origin: &Origin,
    stored: &Stored,
    path: PathBuf,
    bar: &ProgressBar,
) -> Outcome<Got> {
    let bytes = stored.plain_len();
    let mut part = Part::open(&path, stored.first().root, bytes)?;
    match fill(origin, stored, &mut part, bar) {
        Ok(filled) => {
            part.publish(&path)?;
            Ok(Got {
                bytes,
                to: Some(path),
                ..filled
            })
        }
        Err(failure) => {
            if failure.exit == Exit::NotVerified {
                part.discard();
            }
            Err(failure)
        }
    }
}

fn fill(origin: &Origin, stored: &Stored, part: &mut Part, bar: &ProgressBar) -> Outcome<Got> {
    let mut check = stored.check()?;
    let resumed_at = part.reread(|bytes| {
        bar.inc(len(bytes));
        check.plain(bytes)
    })?;
    let mut head = Vec::new();
    stored.fetch(origin, &mut check, |bytes| {
        note_head(&mut head, bytes);
        bar.inc(len(bytes));
        part.write(bytes)
    })?;
    check.end()?;
    Ok(Got {
        bytes: stored.plain_len(),
        resumed_at,
        verified: true,
        to: None,
        is_folder: resumed_at == 0 && is_folder(&head),
    })
}

/// To stdout: bytes go on before the last of them is known to be right, so the exit code decides.
pub fn get_stdout(origin: &Origin, stored: &Stored, output: Output) -> Outcome<Got> {
    let mut check = stored.check()?;
    let mut stdout = io::stdout().lock();
    let mut head = Vec::new();
    let bar = output.bar("stdout", Some(stored.plain_len()));
    let fetched = stored.fetch(origin, &mut check, |bytes| {
        note_head(&mut head, bytes);
        bar.inc(len(bytes));
        stdout
            .write_all(bytes)
            .map_err(|error| Failure::file("stdout", &error))
    });
    bar.finish_and_clear();
    fetched?;
    check.end()?;
    stdout
        .flush()
        .map_err(|error| Failure::file("stdout", &error))?;
    Ok(Got {
        bytes: stored.plain_len(),
        resumed_at: 0,
        verified: true,
        to: None,
        is_folder: is_folder(&head),
    })
}

/// Keeps as many of the first bytes as tell a folder.
fn note_head(head: &mut Vec<u8>, bytes: &[u8]) {
    let missing = lode_wire::folder::MAGIC.len().saturating_sub(head.len());
    head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
