//! The format both ways, its limits, and bytes that are none.

use proptest::prelude::*;

use super::*;
use crate::stream::{Draft, KEY_LEN_MAX};

/// Gives its bytes in pieces of a few, so that everything straddles.
struct Drops(Bytes, usize);

impl Source for Drops {
    type Error = core::convert::Infallible;

    fn len(&self) -> u64 {
        self.0.len().try_into().unwrap()
    }

    fn piece(&mut self, at: u64) -> Result<Bytes, Self::Error> {
        let at = usize::try_from(at).unwrap();
        Ok(self.0.slice(at..(at + self.1).min(self.0.len())))
    }
}

type Parts = (u64, Vec<Read>, Writes, Vec<Control>);

fn all<S: Source>(source: S) -> Result<Parts, Stop<S::Error>> {
    let mut decoder = Decoder::new(source);
    let version = decoder.version()?;
    Ok((
        version,
        decoder.reads()?,
        decoder.writes()?,
        decoder.controls()?,
    ))
}

/// What lies in the bytes, as a draft again.
fn back(parts: Parts, bytes: &Bytes) -> Draft {
    let (version, reads, writes, controls) = parts;
    let value = |write: &Write| {
        let at = usize::try_from(writes.values_at + write.at).unwrap();
        bytes.slice(at..at + usize::try_from(write.len).unwrap())
    };
    let writes = writes.list.iter();
    Draft {
        version,
        reads,
        writes: writes
            .map(|write| (write.stream, write.key.clone(), value(write)))
            .collect(),
        controls,
    }
}

fn stream() -> impl Strategy<Value = StreamId> {
    (0..4_u8).prop_map(|byte| StreamId(Hash32([byte; 32])))
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 1..40).prop_map(Bytes::from)
}

fn control() -> impl Strategy<Value = Control> {
    let op = prop::sample::select(Op::ALL.to_vec());
    (op, stream(), key(), any::<[u8; 20]>()).prop_map(|(op, stream, key, account)| Control {
        op,
        stream,
        key: if op.has_key() { key } else { Bytes::new() },
        account: op.has_account().then_some(Account(account)),
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let read = (stream(), key()).prop_map(|(stream, key)| Read { stream, key });
    let value = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    (
        any::<u64>(),
        prop::collection::vec(read, 0..5),
        prop::collection::vec((stream(), key(), value), 0..5),
        prop::collection::vec(control(), 0..5),
    )
        .prop_map(|(version, reads, writes, controls)| Draft {
            version,
            reads,
            writes,
            controls,
        })
}

proptest! {
    /// What is written is read again, whole and in drops.
    #[test]
    fn encode_then_decode(draft in draft(), drop in 1..70_usize) {
        let bytes = Bytes::from(draft.encode().unwrap());
        prop_assert_eq!(back(all(Memory(bytes.clone())).unwrap(), &bytes), draft.clone());
        prop_assert_eq!(back(all(Drops(bytes.clone(), drop)).unwrap(), &bytes), draft);
    }

    /// Cut anywhere, it is refused: never half a transaction.
    #[test]
    fn cut_is_refused(draft in draft(), at in any::<prop::sample::Index>()) {
        let bytes = Bytes::from(draft.encode().unwrap());
        let cut = bytes.slice(..at.index(bytes.len()));
        prop_assert_eq!(all(Memory(cut)), Err(Stop::Malformed(Malformed::Data)));
    }

    /// Any bytes give an answer, the same in drops.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), drop in 1..9_usize) {
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(all(Memory(bytes.clone())), all(Drops(bytes, drop)));
    }

    /// The same with small counts, which reach further.
    #[test]
    fn nearly_right(draft in draft(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = draft.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(all(Memory(bytes.clone())), all(Drops(bytes, 7)));
    }
}

/// The bytes of one transaction, drawn in the module's head, letter by letter.
#[test]
fn vector() {
    let stream = StreamId(Hash32([1; 32]));
    let draft = Draft {
        version: 7,
        reads: vec![Read {
            stream,
            key: Bytes::from_static(b"r"),
        }],
        writes: vec![(
            stream,
            Bytes::from_static(b"wk"),
            Bytes::from_static(b"val"),
        )],
        controls: vec![Control {
            op: Op::GrantSpecialWrite,
            stream,
            key: Bytes::from_static(b"s"),
            account: Some(Account([9; 20])),
        }],
    };
    let name = "01".repeat(32);
    let want = [
        "0000000000000007",
        &format!("00000001{name}00000172"),
        &format!("00000001{name}000002776b000000000000000376616c"),
        &format!("0000000130{name}00000173{}", "09".repeat(20)),
    ];
    assert_eq!(
        crate::hex::encode(&draft.encode().unwrap())[2..],
        want.concat()
    );
}

/// Counts are believed up to the limit, and not one above it.
#[test]
fn lists_have_a_limit() {
    let mut bytes = 0_u64.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(LIST_MAX + 1).to_be_bytes());
    let refused = all(Memory(bytes.into()));
    assert_eq!(refused, Err(Stop::Malformed(Malformed::ListTooLong)));
    let mut bytes = 0_u64.to_be_bytes().to_vec();
    bytes.extend_from_slice(&LIST_MAX.to_be_bytes());
    let refused = all(Memory(bytes.into()));
    assert_eq!(refused, Err(Stop::Malformed(Malformed::Data)));
}

/// Lengths of values whose sum is no number, or lies behind the end, are refused.
#[test]
fn values_lie_inside() {
    for lens in [[u64::MAX, 2], [1, u64::MAX - 1], [1 << 40, 0]] {
        let mut bytes = [0; 12].to_vec();
        bytes.extend_from_slice(&2_u32.to_be_bytes());
        for len in lens {
            bytes.extend_from_slice(&[0; 32]);
            bytes.extend_from_slice(&[0, 0, 1, b'k']);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        bytes.extend_from_slice(&[0; 400]);
        let refused = all(Memory(bytes.into()));
        assert_eq!(refused, Err(Stop::Malformed(Malformed::Data)), "{lens:?}");
    }
}

/// Keys as long as they may be are read, but not more of them than fit.
#[test]
fn keys_have_a_limit() {
    let key = Bytes::from(vec![5; KEY_LEN_MAX]);
    let read = Read {
        stream: StreamId(Hash32([0; 32])),
        key,
    };
    let mut draft = Draft {
        reads: vec![read.clone(); 2],
        ..Draft::default()
    };
    let bytes = Bytes::from(draft.encode().unwrap());
    assert_eq!(back(all(Memory(bytes.clone())).unwrap(), &bytes), draft);
    draft.reads = vec![read; 9];
    assert!(draft.encode().is_err());
    let mut many = 0_u64.to_be_bytes().to_vec();
    many.extend_from_slice(&9_u32.to_be_bytes());
    many.extend_from_slice(&bytes[12..12 + 35 + KEY_LEN_MAX].repeat(9));
    let refused = all(Memory(many.into()));
    assert_eq!(refused, Err(Stop::Malformed(Malformed::KeysTooLong)));
}
