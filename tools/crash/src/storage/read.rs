//! Blobs out of nodes, whole, while nodes die: each chunk from whichever replica has it, compared byte
//! for byte with contents made again from their seeds.

use std::{
    sync::atomic::Ordering::{Relaxed, SeqCst},
    thread,
    time::{Duration, Instant},
};

use lode_wire::Slice;

use super::{
    ledger::{Blob, Shared},
    nodes::Face,
    upload::replicas,
    zgs::Zgs,
};
use crate::{
    client::Trouble,
    failure::{Failure, Outcome},
    noise::Noise,
};

/// A chunk that no replica gives for this long is lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause before all replicas are asked again.
const PAUSE: Duration = Duration::from_millis(30);

/// One client.
pub struct Reader<'a> {
    faces: &'a [Face],
    clients: Vec<Zgs>,
    shared: &'a Shared,
    dice: Noise,
}

impl<'a> Reader<'a> {
    /// A client whose choices come from a seed.
    pub fn new(faces: &'a [Face], shared: &'a Shared, seed: u64) -> Reader<'a> {
        Reader {
            faces,
            clients: faces.iter().map(|face| Zgs::new(face.zgs)).collect(),
            shared,
            dice: Noise::new(seed),
        }
    }

    /// Reads a blob all of which was acknowledged, unless it is over before.
    pub fn read(&mut self, blob: &Blob) -> Outcome<()> {
        let contents = blob.contents();
        let chunks = contents.chunks(lode_proofs::CHUNK_LEN);
        for (index, expected) in (0..).zip(chunks) {
            if self.shared.over.load(Relaxed) {
                return Ok(());
            }
            self.chunk(blob, index, expected)?;
            let len = u64::try_from(expected.len()).unwrap_or(u64::MAX);
            self.shared.reads.fetch_add(1, SeqCst);
            self.shared.read_bytes.fetch_add(len, SeqCst);
        }
        Ok(())
    }

    fn chunk(&mut self, blob: &Blob, index: u64, expected: &[u8]) -> Outcome<()> {
        let slices: Vec<Slice> = self.faces.iter().map(|face| face.slice).collect();
        let mut own = slices
            .into_iter()
            .filter(|slice| slice.keeps(blob.start, index));
        let own = own.next().ok_or_else(|| {
            Failure::Method(format!("nobody keeps chunk {index} of {}", blob.root))
        })?;
        let end = Instant::now() + PATIENCE;
        let mut first = true;
        loop {
            for node in replicas(self.faces, own, &mut self.dice) {
                match self.ask(node, blob, index) {
                    Ok(Some(bytes)) if bytes == expected => {
                        self.shared.elsewhere.fetch_add(u64::from(!first), SeqCst);
                        return Ok(());
                    }
                    Ok(Some(_)) => {
                        return Err(broken(
                            blob,
                            index,
                            &format!("node {node} gives other bytes"),
                        ));
                    }
                    // It has not been brought there yet, or the node is away.
                    Ok(None) | Err(Trouble::Lost(_)) => first = false,
                    Err(trouble) => {
                        return Err(broken(blob, index, &format!("node {node}: {trouble}")));
                    }
                }
            }
            if self.shared.over.load(Relaxed) {
                return Ok(());
            }
            if Instant::now() >= end {
                let seconds = PATIENCE.as_secs();
                let what = format!("no replica gives it, for {seconds} s: it is lost");
                return Err(broken(blob, index, &what));
            }
            thread::sleep(PAUSE);
        }
    }

    /// A chunk with its proof, or without it, from one node.
    fn ask(&mut self, node: usize, blob: &Blob, index: u64) -> Result<Option<Vec<u8>>, Trouble> {
        let zgs = &self.clients[node];
        if self.dice.chance(50) {
            return Ok(zgs.prove(blob, index)?.map(|bytes| bytes.to_vec()));
        }
        let found = zgs.sectors(blob.root, blob.size, index)?;
        let Some(mut bytes) = found.map(|bytes| bytes.to_vec()) else {
            return Ok(None);
        };
        let len = usize::try_from(blob.chunk_len(index)).unwrap_or(usize::MAX);
        match bytes.len() == len.next_multiple_of(lode_proofs::SECTOR_LEN) {
            true => {
                bytes.truncate(len);
                Ok(Some(bytes))
            }
            false => Err(Trouble::Strange(format!("{} bytes", bytes.len()))),
        }
    }
}

fn broken(blob: &Blob, index: u64, what: &str) -> Failure {
    let Blob { root, seq, .. } = blob;
    Failure::Broken(vec![format!("chunk {index} of {root} (seq {seq}): {what}")])
}
