//! `lode demo`: real files in, the node killed in the middle of a put, everything back, proven.
//!
//! ```text
//!   start node ─► put files ─► put a big one ──SIGKILL──► start again
//!     ─► get what was acked, compare ─► resume the big one, compare ─► prove chunks, offline
//! ```
//! Every comparison is of bytes, not of what the node says about them. Any difference ends the
//! demo with an exit code other than 0.

mod crash;
mod pick;
mod proofs;
mod server;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use lode_proofs::Hash32;
use serde_json::{Map, Value, json};

use crate::{
    args::DemoArgs,
    client::Client,
    failure::{Failure, Outcome},
    noise::Noise,
    output::Output,
    roots,
    settings::parse_backend,
    source::Source,
    units,
    verbs::upload::Upload,
};
use server::Server;

/// A file, its root, and the fact that the node acknowledged all of it.
pub struct Kept {
    path: PathBuf,
    size: u64,
    root: Hash32,
}

/// Runs the demo and cleans up.
pub fn run(args: &DemoArgs, output: Output) -> Outcome<ExitCode> {
    let size = units::parse_size(&args.size)
        .filter(|size| *size >= 8 << 20)
        .ok_or_else(|| {
            Failure::usage(
                format!("--size is {:?}", args.size),
                "write a size of 8MiB or more, as 256MiB",
            )
        })?;
    if parse_backend(&args.backend).is_none() {
        let what = format!("--backend is {:?}", args.backend);
        return Err(Failure::usage(what, "write auto, uring or posix"));
    }
    let within = args.within.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new()
        .prefix("lode-demo-")
        .tempdir_in(&within);
    let mut folder = folder.map_err(|error| Failure::file(within.display(), &error))?;
    folder.disable_cleanup(args.keep);
    let mut story = Story {
        output,
        facts: Map::new(),
    };
    let told = tell(args, size, folder.path(), &mut story);
    let kept = args.keep.then(|| folder.path().display().to_string());
    if let Err(error) = if args.keep { Ok(()) } else { folder.close() } {
        output.note(&format!("the folder could not be removed: {error}"));
    }
    told?;
    story.end(kept)
}

/// What is told, line by line, and kept as figures.
pub struct Story {
    output: Output,
    facts: Map<String, Value>,
}

impl Story {
    /// One line for people, one fact for programs.
    pub fn line(&mut self, key: &str, fact: Value, words: &str) {
        self.facts.insert(key.to_owned(), fact);
        if !self.output.json && !self.output.quiet {
            println!("{words}");
        }
    }

    fn end(mut self, kept: Option<String>) -> Outcome<ExitCode> {
        let words = match &kept {
            Some(folder) => format!("Nothing acknowledged was lost. The folder is {folder}"),
            None => "Nothing acknowledged was lost. The folder is gone again.".to_owned(),
        };
        self.line("ok", json!(true), &words);
        self.facts.insert("folder".to_owned(), json!(kept));
        if self.output.json {
            self.output.data(&Value::Object(self.facts), "", "")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(args: &DemoArgs, size: u64, folder: &Path, story: &mut Story) -> Outcome<()> {
    let data = folder.join("node");
    let files = pick::files(&args.files)?;
    let server = Server::start(&data, &args.backend)?;
    story.line(
        "backend",
        json!(server.backend),
        &format!(
            "started a node: {} shards, {} backend",
            server.shards, server.backend
        ),
    );
    let client = server.client()?;
    let kept = put_files(&client, &files, story)?;
    let cut = crash::interrupt(&client, server, folder, size, args.seed, story)?;

    let began = Instant::now();
    let server = Server::start(&data, &args.backend)?;
    let restart = began.elapsed();
    story.line(
        "restart_ms",
        json!(millis(restart)),
        &format!("started it again: ready after {}", units::span(restart)),
    );
    let client = server.client()?;
    get_files(&client, &kept, folder, story)?;
    let whole = crash::resume(&client, &cut, story)?;
    get_files_as("resumed_file", &client, &[whole], folder, story)?;
    let big = Kept {
        path: cut.path.clone(),
        size: cut.size,
        root: cut.root,
    };
    proofs::check(&client, kept.iter().chain([&big]), args.seed, story)?;
    server.stop()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Puts every file; each is acknowledged before the next begins.
fn put_files(client: &Client, files: &[PathBuf], story: &mut Story) -> Outcome<Vec<Kept>> {
    let began = Instant::now();
    let (mut kept, mut total, mut listed) = (Vec::new(), 0, Vec::new());
    for path in files {
        let failed = |error: io::Error| Failure::file(path.display(), &error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let root = roots::of_file(&file, size, &|_| ()).map_err(failed)?.root();
        Upload::new(client, Source::whole(&file, size), root).run(false, &|_| ())?;
        total += size;
        listed.push(
            json!({ "path": path.display().to_string(), "size": size, "root": root.to_string() }),
        );
        kept.push(Kept {
            path: path.clone(),
            size,
            root,
        });
    }
    let span = began.elapsed();
    story.line(
        "put",
        json!({ "files": listed, "bytes": total, "ms": millis(span) }),
        &format!(
            "put {} files, {}, durable in {} ({} MB/s with their roots)",
            files.len(),
            units::size(total),
            units::span(span),
            units::rate(total, span)
        ),
    );
    for file in &kept {
        story.output.note(&format!(
            "  {}  {:>12}  {}",
            file.root,
            units::size(file.size),
            file.path.display()
        ));
    }
    Ok(kept)
}

/// Gets files back and compares every byte with the original.
fn get_files(client: &Client, kept: &[Kept], folder: &Path, story: &mut Story) -> Outcome<()> {
    get_files_as("got_back", client, kept, folder, story)
}

fn get_files_as(
    key: &str,
    client: &Client,
    kept: &[Kept],
    folder: &Path,
    story: &mut Story,
) -> Outcome<()> {
    let began = Instant::now();
    let mut total = 0;
    for (at, file) in kept.iter().enumerate() {
        let back = folder.join(format!("back-{at}"));
        fetch(client, file, &back)?;
        if !same(&file.path, &back)? {
            let what = format!("{} came back with other bytes", file.path.display());
            return Err(Failure::not_verified(
                what,
                "report this: an acknowledged byte was lost",
            ));
        }
        fs::remove_file(&back).map_err(|error| Failure::file(back.display(), &error))?;
        total += file.size;
    }
    let span = began.elapsed();
    story.line(
        key,
        json!({ "files": kept.len(), "bytes": total, "equal": true, "ms": millis(span) }),
        &format!(
            "got {} back: {}, every byte equal ({} MB/s with the comparison)",
            if kept.len() == 1 {
                "it".to_owned()
            } else {
                format!("{} files", kept.len())
            },
            units::size(total),
            units::rate(total, span)
        ),
    );
    Ok(())
}

fn fetch(client: &Client, file: &Kept, back: &Path) -> Outcome<()> {
    let failed = |error: io::Error| Failure::file(back.display(), &error);
    let mut target = File::create(back).map_err(failed)?;
    let mut body = client
        .get(file.root, None)?
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader();
    let copied = io::copy(&mut body, &mut target);
    copied.map_err(|error| Failure::unreachable(client.node(), error))?;
    Ok(())
}

/// Compares two files byte by byte, in pieces.
fn same(one: &Path, other: &Path) -> Outcome<bool> {
    let open = |path: &Path| {
        File::open(path)
            .map(io::BufReader::new)
            .map_err(|error| Failure::file(path.display(), &error))
    };
    let (mut one_bytes, mut other_bytes) = (open(one)?, open(other)?);
    loop {
        use io::BufRead;
        let unread = |error| Failure::file("comparing", &error);
        let left = one_bytes.fill_buf().map_err(unread)?;
        let right = other_bytes.fill_buf().map_err(unread)?;
        let common = left.len().min(right.len());
        if left[..common] != right[..common] || (common == 0 && left.len() != right.len()) {
            return Ok(false);
        }
        if common == 0 {
            return Ok(true);
        }
        one_bytes.consume(common);
        other_bytes.consume(common);
    }
}

/// Writes `size` bytes of noise.
fn write_noise(path: &Path, seed: u64, size: u64) -> io::Result<()> {
    let mut file = io::BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut noise, mut left) = (Noise::new(seed), size);
    let mut piece = vec![0; 1 << 16];
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        noise.fill(&mut piece[..len]);
        file.write_all(&piece[..len])?;
        left -= u64::try_from(len).unwrap_or(left);
    }
    file.flush()
}
