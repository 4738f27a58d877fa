//! How long a start takes, and what the index costs: a store is filled with small blobs, closed,
//! and opened again, first by its checkpoints and then, with those taken away, by the footers of
//! its segments. A start that read records would take as long as filling.

use std::{fs, path::Path, time::Instant};

use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    lode::Lode,
    scratch::Scratch,
    values::Values,
};

/// Bytes of each blob: enough to be distinct, few enough that the index is what counts.
const LEN: usize = 32;

/// Fills and opens a store of each size in `dir`; prints and returns what was seen.
///
/// # Errors
/// When the store refuses, or does not have every blob after a start.
pub fn run(dir: &Path, sizes: &[u64]) -> Result<Value> {
    println!(
        "{:>10} {:>14} {:>16} {:>14} {:>12}",
        "records", "by checkpoint", "by footers alone", "filling", "index B/blob"
    );
    let rows: Vec<Row> = sizes
        .iter()
        .map(|count| one(dir, *count).inspect(Row::print))
        .collect::<Result<_>>()?;
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    Ok(json!({ "restarts": rows }))
}

struct Row {
    records: u64,
    fill_seconds: f64,
    checkpoint_seconds: f64,
    footers_seconds: f64,
    index_bytes: u64,
}

fn one(dir: &Path, records: u64) -> Result<Row> {
    let scratch = Scratch::within(dir, "restart").map_err(Error::io("make a folder in", dir))?;
    let begin = Instant::now();
    let lode = Lode::open(scratch.path())?;
    lode.fill_small(&Values::new(records), records, LEN)?;
    drop(lode);
    let fill_seconds = begin.elapsed().as_secs_f64();
    let (checkpoint_seconds, index_bytes) = open(scratch.path(), records)?;
    forget_checkpoints(scratch.path())?;
    let (footers_seconds, _) = open(scratch.path(), records)?;
    Ok(Row {
        records,
        fill_seconds,
        checkpoint_seconds,
        footers_seconds,
        index_bytes,
    })
}

/// Opens the store; how long that took, and what its index takes.
fn open(dir: &Path, records: u64) -> Result<(f64, u64)> {
    let begin = Instant::now();
    let lode = Lode::open(dir)?;
    let seconds = begin.elapsed().as_secs_f64();
    let stats = lode.stats()?;
    if stats.blobs != records {
        let why = format!("{} blobs after a start, {records} were put", stats.blobs);
        return Err(Error::subject(crate::lode::NAME)(why));
    }
    Ok((seconds, stats.index_bytes))
}

/// Removes the checkpoints of a closed store.
fn forget_checkpoints(dir: &Path) -> Result<()> {
    let list = |dir: &Path| {
        fs::read_dir(dir)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(Error::io("list", dir))
    };
    for shard in list(dir)? {
        if !shard.path().is_dir() {
            continue;
        }
        for file in list(&shard.path())? {
            if file
                .file_name()
                .to_string_lossy()
                .starts_with("checkpoint-")
            {
                fs::remove_file(file.path()).map_err(Error::io("remove", &file.path()))?;
            }
        }
    }
    Ok(())
}

impl Row {
    /// Bytes of index per blob.
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "shown with one digit"
    )]
    fn each(&self) -> f64 {
        self.index_bytes as f64 / self.records as f64
    }

    fn print(&self) {
        println!(
            "{:>10} {:>12.2} s {:>14.2} s {:>12.1} s {:>12.1}",
            self.records,
            self.checkpoint_seconds,
            self.footers_seconds,
            self.fill_seconds,
            self.each()
        );
    }

    fn json(&self) -> Value {
        json!({
            "records": self.records,
            "checkpoint_seconds": self.checkpoint_seconds,
            "footers_seconds": self.footers_seconds,
            "fill_seconds": self.fill_seconds,
            "index_bytes": self.index_bytes,
            "index_bytes_per_blob": self.each(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::scratch::Scratch;

    /// Proves that every blob is there after both kinds of start.
    #[test]
    fn runs_tiny() {
        let scratch = Scratch::new("restart").unwrap();
        let found = run(scratch.path(), &[300]).unwrap();
        assert_eq!(found["restarts"][0]["records"], 300);
        assert!(found["restarts"][0]["index_bytes"].as_u64().unwrap() > 300 * 48);
    }
}
