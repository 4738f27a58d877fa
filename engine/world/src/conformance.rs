//! What every world must do, as checks that run on any of them.
//!
//! [`all`] covers files, names, tasks and time; [`threads`] and [`net`] add what only a real world
//! has. A check compares contents and error kinds, never durations: a slow machine conforms too.

mod files;
mod net;
mod tasks;

pub use net::net;
pub use tasks::threads;

use crate::World;
use std::{io, path::Path};

/// A world that does not do what [`crate`] promises.
#[derive(Debug, thiserror::Error)]
#[error("{check}: {breach}")]
pub struct Nonconforming {
    check: &'static str,
    breach: Breach,
}

/// How a check failed.
#[derive(Debug, thiserror::Error)]
enum Breach {
    #[error("an operation failed that must succeed: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Broken(String),
}

type Verdict = Result<(), Breach>;

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(Breach::Broken(otherwise()))
    }
}

fn ensure_error<T>(result: io::Result<T>, kind: io::ErrorKind, act: &str) -> Verdict {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Breach::Broken(format!(
            "{act}: expected {kind:?}, got {error:?}"
        ))),
        Ok(_) => Err(Breach::Broken(format!(
            "{act}: expected {kind:?}, got success"
        ))),
    }
}

fn named(check: &'static str) -> impl FnOnce(Breach) -> Nonconforming {
    move |breach| Nonconforming { check, breach }
}

/// Checks files, names, tasks and time. `dir` must exist and be empty; about 20 MiB are written.
///
/// # Errors
/// Names the check that failed and what was seen.
pub async fn all<W: World>(world: &W, dir: &Path) -> Result<(), Nonconforming> {
    files::roundtrip(world, dir)
        .await
        .map_err(named("roundtrip"))?;
    files::shared(world, dir).await.map_err(named("shared"))?;
    files::exact_reads(world, dir)
        .await
        .map_err(named("exact reads"))?;
    files::ways_to_open(world, dir)
        .await
        .map_err(named("ways to open"))?;
    files::names(world, dir).await.map_err(named("names"))?;
    files::rename_replaces(world, dir)
        .await
        .map_err(named("rename replaces"))?;
    files::remove_while_open(world, dir)
        .await
        .map_err(named("remove while open"))?;
    files::lengths(world, dir).await.map_err(named("lengths"))?;
    files::big_io(world, dir).await.map_err(named("big IO"))?;
    files::many_in_flight(world, dir)
        .await
        .map_err(named("many in flight"))?;
    files::dropped_io(world, dir)
        .await
        .map_err(named("dropped IO"))?;
    files::space(world, dir).await.map_err(named("space"))?;
    tasks::queues(world).await.map_err(named("queues"))?;
    tasks::timers(world).await.map_err(named("timers"))?;
    tasks::breathing(world, dir)
        .await
        .map_err(named("breathing"))?;
    tasks::chance(world).await.map_err(named("chance"))
}

#[cfg(test)]
mod tests;
