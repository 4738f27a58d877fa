//! Transactions on key-value streams: any bytes give lists or a refusal, whole or in pieces of any
//! size; what was read and is written again is read as the same.

use core::convert::Infallible;

use bytes::Bytes;
use lode_kv::{
    Account,
    stream::{
        Control, Decoder, Draft, Malformed, Memory, Op, Read, Source, Stop, StreamId, Write, tags,
    },
};
use lode_proofs::Hash32;

use super::Target;

/// Decodes a transaction.
pub const TARGET: Target = Target {
    name: "kv_stream",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// Gives its bytes in pieces.
struct Pieces {
    bytes: Bytes,
    len: usize,
}

impl Source for Pieces {
    type Error = Infallible;

    fn len(&self) -> u64 {
        u64::try_from(self.bytes.len()).expect("usize fits in u64")
    }

    fn piece(&mut self, at: u64) -> Result<Bytes, Infallible> {
        let at = usize::try_from(at).expect("a place in memory");
        let end = self.bytes.len().min(at + self.len);
        Ok(self.bytes.slice(at..end))
    }
}

type Parts = (u64, Vec<Read>, (Vec<Write>, u64, u64), Vec<Control>);

fn all<S: Source<Error = Infallible>>(source: S) -> Result<Parts, Malformed> {
    let whole = || {
        let mut decoder = Decoder::new(source);
        let (version, reads) = (decoder.version()?, decoder.reads()?);
        let writes = decoder.writes()?;
        let writes = (writes.list, writes.values_at, writes.values_len);
        Ok((version, reads, writes, decoder.controls()?))
    };
    whole().map_err(|stop: Stop<Infallible>| match stop {
        Stop::Malformed(why) => why,
        Stop::Source(never) => match never {},
    })
}

/// See the file's head.
pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let len = usize::from(data.first().copied().unwrap_or(1)).max(1);
    let parts = all(Memory(bytes.clone()));
    let pieces = Pieces {
        bytes: bytes.clone(),
        len,
    };
    assert_eq!(parts, all(pieces), "in pieces of {len}");
    let names = tags::streams(data);
    if !names.is_empty() {
        assert_eq!(tags::of(names), data);
    }
    let Ok((version, reads, (writes, values_at, values_len), controls)) = parts else {
        return;
    };
    let value = |write: &Write| {
        assert!(write.at + write.len <= values_len);
        let at = usize::try_from(values_at + write.at).expect("a place in memory");
        bytes.slice(at..at + usize::try_from(write.len).expect("a length in memory"))
    };
    let writes = writes.iter();
    let draft = Draft {
        version,
        reads,
        writes: writes
            .map(|write| (write.stream, write.key.clone(), value(write)))
            .collect(),
        controls,
    };
    let again = draft
        .encode()
        .expect("what was read is no longer than allowed");
    assert!(
        data.starts_with(&again),
        "written otherwise than it was read"
    );
}

fn seeds() -> Vec<Vec<u8>> {
    let stream = StreamId(Hash32([1; 32]));
    let key = Bytes::from_static(b"key");
    let write = (stream, key.clone(), Bytes::from_static(b"value"));
    let controls = Op::ALL.map(|op| Control {
        op,
        stream,
        key: if op.has_key() {
            key.clone()
        } else {
            Bytes::new()
        },
        account: op.has_account().then_some(Account([2; 20])),
    });
    let full = Draft {
        version: 7,
        reads: vec![Read { stream, key }; 2],
        writes: vec![write; 2],
        controls: controls.to_vec(),
    };
    let empty = Draft::default();
    let encoded = [&full, &empty].map(|draft| draft.encode().expect("a short draft"));
    let [full_bytes, empty_bytes] = encoded;
    vec![full_bytes, empty_bytes, full.tags()]
}
