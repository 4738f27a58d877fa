//! Names are numbers as geth writes them, long, and never given twice.

use std::collections::BTreeSet;

use jsonrpsee::{core::traits::IdProvider as _, types::SubscriptionId};

use super::Ids;

#[test]
fn names_are_long_and_differ() {
    let (one, other) = (Ids::default(), Ids::default());
    let mut seen = BTreeSet::new();
    for ids in [&one, &other] {
        for _ in 0..1_000 {
            let SubscriptionId::Str(name) = ids.next_id() else {
                panic!("a name is a text");
            };
            let digits = name.strip_prefix("0x").expect("a number in hexadecimal");
            assert!(!digits.starts_with('0') && digits.len() > 20, "{name}");
            assert!(seen.insert(name.clone().into_owned()), "{name} again");
        }
    }
}
