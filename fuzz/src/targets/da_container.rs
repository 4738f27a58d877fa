//! Heads and tables of containers: what decodes has one encoding, and lies within its container.

use lode_proofs::{
    Hash32,
    da::{
        ContainerBuilder, Head, Namespace, Shape, Table,
        namespace::NamespaceTree,
        table::{TABLE_LEN_MAX, table_len},
    },
};

use super::Target;

/// Reads the bytes as a head and as a table.
pub const TARGET: Target = Target {
    name: "da_container",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(head) = Head::decode(data) {
        assert_eq!(head.encode(), data, "one encoding each");
    }
    let Ok(table) = Table::decode(data) else {
        return;
    };
    assert_eq!(table.encode(), data, "one encoding each");
    assert!(data.len() <= TABLE_LEN_MAX, "so long at most");
    let mut end = u64::try_from(table_len(table.entries().len())).expect("short");
    for entry in table.entries() {
        assert!(entry.offset >= end && entry.len > 0, "nothing overlaps");
        end = entry.range().end;
    }
    assert!(end <= table.shape().len(), "all is within the container");
    let _ = NamespaceTree::new(&table).root();
}

fn seeds() -> Vec<Vec<u8>> {
    let mut builder = ContainerBuilder::new();
    for (namespace, blob) in [(3, &[1; 70][..]), (1, &[2; 64]), (3, &[3; 1])] {
        let taken = builder.add(Namespace([namespace; 29]), blob);
        taken.expect("there is room");
    }
    let container = builder.close().expect("it has blobs");
    let head = Head {
        row_root: Hash32([1; 32]),
        check_root: Hash32([2; 32]),
        namespace_root: Hash32([3; 32]),
        shape: Shape::new(65_600).expect("a length"),
        columns: 10,
    };
    vec![container.table().encode(), head.encode().to_vec()]
}
