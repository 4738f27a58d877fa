//! What all jobs of one length work on: blobs, the container that they make, and all its rows.

use lode_proofs::da::{
    Coded, Container, ContainerBuilder, Namespace, Quorum,
    shape::{CONTAINER_LEN_MAX, ORIGINAL_ROWS, columns},
    table::table_len,
};

use crate::{
    error::{Error, Result},
    meter::bytes_of,
    values::Random,
};

/// Holders of the quorum: as many as 0G's.
const HOLDERS: usize = 100;
/// Bytes of a blob, less what makes room for the table: containers of 128 MiB have 512 of them.
const BLOB_LEN: usize = 256 * 1024;
/// Shorter containers have no room for a table beside a blob that is worth coding.
const LEN_MIN: u64 = 64 * 1024;

/// The quorum that containers are coded for.
pub const QUORUM: Quorum = Quorum {
    chain_id: 1,
    epoch: 2,
    quorum: 3,
};

/// See the file's head.
pub struct Made {
    /// Bytes that all blobs are taken from, one after the other.
    bytes: Vec<u8>,
    blob_len: usize,
    /// The blobs, closed.
    pub container: Container,
    /// The container, coded.
    pub coded: Coded,
    /// Checksums of each row.
    pub columns: usize,
}

impl Made {
    /// Blobs that do not compress, for a container of at most `len` bytes, and of nearly as many.
    pub fn new(len: u64) -> Result<Self> {
        if !(LEN_MIN..=CONTAINER_LEN_MAX).contains(&len) {
            return Err(Error::Usage(format!(
                "a container of {len} bytes: from {LEN_MIN} to {CONTAINER_LEN_MAX} can be measured"
            )));
        }
        let len = usize::try_from(len).expect("at most 128 MiB");
        let blobs = len.div_ceil(BLOB_LEN);
        let blob_len = (len - table_len(blobs)) / blobs / 64 * 64;
        let mut random = Random::new(bytes_of(len));
        let words = blobs * blob_len / 8;
        let bytes: Vec<u8> = (0..words)
            .flat_map(|_| random.word().to_le_bytes())
            .collect();
        let container = gather(&bytes, blob_len)?;
        let columns = columns(HOLDERS).expect("100 holders can be");
        Ok(Self {
            coded: Coded::new(container.clone(), &QUORUM, columns),
            bytes,
            blob_len,
            container,
            columns,
        })
    }

    /// Bytes of the container.
    pub fn len(&self) -> u64 {
        self.container.shape().len()
    }

    /// Makes the container of the blobs again.
    pub fn gather(&self) -> Result<Container> {
        gather(&self.bytes, self.blob_len)
    }

    /// The 1024 rows that are furthest from the originals, with their numbers.
    pub fn worst_rows(&self) -> Vec<(u16, &[u8])> {
        self.rows_from(2 * ORIGINAL_ROWS)
    }

    /// The original rows, with their numbers.
    pub fn original_rows(&self) -> Vec<(u16, &[u8])> {
        self.rows_from(0)
    }

    fn rows_from(&self, first: usize) -> Vec<(u16, &[u8])> {
        let number = |row| u16::try_from(row).expect("below 3072");
        let rows = first..first + ORIGINAL_ROWS;
        rows.map(|row| (number(row), self.coded.row(number(row))))
            .collect()
    }
}

fn gather(bytes: &[u8], blob_len: usize) -> Result<Container> {
    let mut builder = ContainerBuilder::new();
    for blob in bytes.chunks(blob_len) {
        builder
            .add(Namespace([1; 29]), blob)
            .map_err(Error::subject("container"))?;
    }
    builder.close().map_err(Error::subject("container"))
}
