//! Containers and their tables.

use super::*;
use crate::da::{
    shape::NoContainer,
    table::{BLOBS_MAX, ENTRY_LEN, TABLE_HEAD_LEN, TABLE_LEN_MAX},
};
use crate::hash32::Hash32;

fn name(byte: u8) -> Namespace {
    Namespace([byte; 29])
}

/// [D-4], [D-5] Blobs lie in the order of their namespaces, then of their coming, each on a multiple
/// of 64, and come back whole.
#[test]
fn blobs_come_back() {
    let blobs: [(u8, &[u8]); 4] = [(2, &[1; 70]), (1, &[2; 64]), (2, &[3; 1]), (0, &[4; 65])];
    let mut builder = ContainerBuilder::new();
    for (namespace, blob) in blobs {
        builder.add(name(namespace), blob).expect("there is room");
    }
    let len = builder.len();
    let container = builder.close().expect("it has blobs");
    assert_eq!(container.shape().len(), len);
    let order = [3, 1, 0, 2];
    let mut next = table_len(4);
    for (place, from) in order.into_iter().enumerate() {
        let entry = container.table().entries()[place];
        let (namespace, blob) = blobs[from];
        assert_eq!(entry.namespace, name(namespace));
        assert_eq!(entry.offset, u64::try_from(next).expect("small"));
        assert_eq!(entry.root, blob_root(blob));
        assert_eq!(container.blob(place), Some(blob));
        next = (next + blob.len()).next_multiple_of(64);
    }
    assert_eq!(u64::try_from(next), Ok(len));
    assert_eq!(container.blob(4), None);
    let again = Container::from_rows(container.shape(), container.rows().to_vec());
    assert_eq!(again, Ok(container));
}

/// [D-3] A table has one form: any byte changed gives another table or none, and none is longer or
/// shorter.
#[test]
fn tables_have_one_form() {
    let entries = [(1, 70), (1, 64), (2, 1)].map(|(namespace, len)| Entry {
        namespace: name(namespace),
        offset: 0,
        len,
        root: Hash32([7; 32]),
    });
    let table = Table::of(entries.to_vec()).expect("it fits");
    let bytes = table.encode();
    assert_eq!(bytes.len(), table_len(3));
    assert_eq!(Table::decode(&bytes), Ok(table));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut other = bytes.clone();
            other[at] ^= 1 << bit;
            if let Ok(table) = Table::decode(&other) {
                assert_eq!(table.encode(), other, "byte {at}");
            }
        }
    }
    assert!(Table::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(Table::decode(&[&bytes[..], &[0]].concat()).is_err());
}

/// [D-3], [D-4] Each rule has its refusal.
#[test]
fn refusals_have_names() {
    let entry = |namespace, offset, len| Entry {
        namespace: name(namespace),
        offset,
        len,
        root: Hash32([0; 32]),
    };
    let encode = |entries: &[Entry]| {
        let mut bytes = b"LODEDAC\x01\0\0\0".to_vec();
        bytes.push(u8::try_from(entries.len()).expect("few"));
        bytes.resize(TABLE_HEAD_LEN, 0);
        for entry in entries {
            bytes.extend_from_slice(&entry.encode());
        }
        bytes.resize(table_len(entries.len()), 0);
        bytes
    };
    let refused = |entries: &[Entry]| Table::decode(&encode(entries)).expect_err("it is wrong");
    assert!(Table::decode(&encode(&[entry(1, 128, 9), entry(1, 192, 9)])).is_err());
    assert!(Table::decode(&encode(&[entry(1, 192, 9), entry(1, 256, 9)])).is_ok());
    let wrong = refused(&[entry(2, 192, 9), entry(1, 256, 9)]);
    assert_eq!(wrong, TableError::Order { place: 1 });
    let wrong = refused(&[entry(1, 192, 9), entry(1, 320, 9)]);
    assert_eq!(
        wrong,
        TableError::Offset {
            place: 1,
            got: 320,
            want: 256
        }
    );
    assert_eq!(refused(&[entry(1, 128, 0)]), TableError::Empty { place: 0 });
    let wrong = refused(&[entry(1, 128, u64::MAX)]);
    assert_eq!(wrong, TableError::Shape(NoContainer { len: u64::MAX }));
    assert_eq!(refused(&[]), TableError::Count { count: 0 });
    let mut bytes = encode(&[entry(1, 128, 9)]);
    bytes[15] = 1;
    assert_eq!(Table::decode(&bytes), Err(TableError::Fill));
    bytes[15] = 0;
    bytes[TABLE_HEAD_LEN + ENTRY_LEN] = 1;
    assert_eq!(Table::decode(&bytes), Err(TableError::Fill));
    bytes[7] = 2;
    assert_eq!(Table::decode(&bytes), Err(TableError::Magic));
}

/// A builder takes what fits, and what it takes can be closed.
#[test]
fn builders_are_bounded() {
    let mut builder = ContainerBuilder::new();
    assert_eq!(builder.add(name(1), &[]), Err(Full::Empty));
    assert_eq!(
        ContainerBuilder::new().close(),
        Err(TableError::Count { count: 0 })
    );
    for _ in 0..BLOBS_MAX {
        builder.add(name(1), &[1]).expect("there is room");
    }
    assert_eq!(builder.add(name(1), &[1]), Err(Full::Blobs));
    let container = builder.close().expect("it is full");
    assert_eq!(container.table().encode().len(), TABLE_LEN_MAX);
    // The longest blob that fits, and one byte more.
    let room = usize::try_from(CONTAINER_LEN_MAX).expect("small") - table_len(1);
    let bytes = vec![0; room + 1];
    let mut builder = ContainerBuilder::new();
    let len = CONTAINER_LEN_MAX + 64;
    assert_eq!(builder.add(name(1), &bytes), Err(Full::Bytes { len }));
    builder.add(name(1), &bytes[..room]).expect("it fits");
    assert_eq!(builder.len(), CONTAINER_LEN_MAX);
}

/// [D-2] Ranges and the rows that they lie in, at the edges.
#[test]
fn ranges_have_rows() {
    let shape = Shape::new(65_600).expect("a length");
    assert_eq!(rows_of(shape, &(0..1)), Some(0..=0));
    assert_eq!(rows_of(shape, &(127..129)), Some(0..=1));
    assert_eq!(rows_of(shape, &(0..65_600)), Some(0..=512));
    assert_eq!(rows_of(shape, &(5..5)), None);
    assert_eq!(rows_of(shape, &(0..65_601)), None);
}
