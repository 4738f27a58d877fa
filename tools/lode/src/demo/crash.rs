//! The crash: a put that is truly in the middle when the node dies, and its end after that.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use lode_proofs::Hash32;
use serde_json::json;

use super::{Kept, Story, millis, server::Server, write_noise};
use crate::{
    client::Client,
    failure::{Exit, Failure, Outcome},
    roots,
    source::Source,
    units,
    verbs::upload::Upload,
};

/// The put counts as in the middle from this share of it on, in percent.
const MIDDLE: u64 = 25;

/// How often the node is asked how far it is.
const ASK_TIME: Duration = Duration::from_millis(1);

/// A put that was cut.
pub struct Cut {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Its root.
    pub root: Hash32,
    /// Bytes that the node had acknowledged when it was killed.
    pub acked: u64,
}

/// Puts a file of noise and kills the node when some, but not all, of it is acknowledged.
pub fn interrupt(
    client: &Client,
    server: Server,
    folder: &Path,
    size: u64,
    seed: u64,
    story: &mut Story,
) -> Outcome<Cut> {
    let path = folder.join("big");
    let failed = |error: std::io::Error| Failure::file("big", &error);
    write_noise(&path, seed, size).map_err(failed)?;
    let file = File::open(&path).map_err(failed)?;
    let root = roots::of_file(&file, size, &|_| ()).map_err(failed)?.root();
    let acked = AtomicU64::new(0);
    let (ended, killed) = thread::scope(|scope| {
        let putting = scope.spawn(|| {
            let mut upload = Upload::new(client, Source::whole(&file, size), root);
            upload.tries = 1;
            upload.run(false, &|_| ())
        });
        wait_for_middle(client, root, size, &acked, || putting.is_finished());
        let killed = server.kill();
        (putting.join(), killed)
    });
    killed?;
    let acked = acked.into_inner();
    match ended {
        Ok(Err(failure)) if failure.exit == Exit::Unavailable && acked > 0 => {}
        Ok(Err(failure)) => return Err(failure),
        Ok(Ok(_)) | Err(_) => {
            let what = "the put was over before the node could be killed in the middle of it";
            return Err(Failure::other(what, "give it more bytes: --size 1GiB"));
        }
    }
    let percent = acked * 100 / size;
    story.line(
        "killed",
        json!({ "size": size, "acked": acked }),
        &format!(
            "killed it (SIGKILL) in the middle of a put of {}: {} acknowledged ({percent} %)",
            units::size(size),
            units::size(acked),
        ),
    );
    Ok(Cut {
        path,
        size,
        root,
        acked,
    })
}

/// Asks until enough is acknowledged, or the put is over.
fn wait_for_middle(
    client: &Client,
    root: Hash32,
    size: u64,
    acked: &AtomicU64,
    is_over: impl Fn() -> bool,
) {
    while !is_over() {
        if let Ok(state) = client.upload(root)
            && !state.stored
        {
            acked.fetch_max(state.offset, Relaxed);
            if state.offset >= size / 100 * MIDDLE {
                return;
            }
        }
        thread::sleep(ASK_TIME);
    }
}

/// Resumes the put. Everything acknowledged before the kill must still be there.
pub fn resume(client: &Client, cut: &Cut, story: &mut Story) -> Outcome<Kept> {
    let found = client.upload(cut.root)?.offset;
    if found < cut.acked {
        let what = format!("the node acknowledged {} bytes and has {found}", cut.acked);
        return Err(Failure::not_verified(
            what,
            "report this: acknowledged bytes were lost",
        ));
    }
    let began = Instant::now();
    let file = File::open(&cut.path).map_err(|error| Failure::file("big", &error))?;
    let uploaded =
        Upload::new(client, Source::whole(&file, cut.size), cut.root).run(false, &|_| ())?;
    let span = began.elapsed();
    if uploaded.from != found || uploaded.sent != cut.size - found {
        let what = format!(
            "resumed at {} and sent {} bytes, where {found} were there already",
            uploaded.from, uploaded.sent
        );
        return Err(Failure::not_verified(
            what,
            "report this: the upload did not resume",
        ));
    }
    story.line(
        "resumed",
        json!({ "at": found, "sent": uploaded.sent, "ms": millis(span) }),
        &format!(
            "resumed that put at the first missing chunk: {} were kept, {} sent ({} MB/s)",
            units::size(found),
            units::size(uploaded.sent),
            units::rate(uploaded.sent, span)
        ),
    );
    Ok(Kept {
        path: cut.path.clone(),
        size: cut.size,
        root: cut.root,
    })
}
