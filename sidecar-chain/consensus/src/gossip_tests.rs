//! Messages of transactions are read whole or not at all.

use super::*;

#[test]
fn reads_what_was_sent() {
    let transactions = vec![
        Bytes::from_static(b"one"),
        Bytes::new(),
        Bytes::from(vec![7; 300]),
    ];
    let message = transactions.encode();
    assert_eq!(read(message.clone()), Some(transactions));
    for end in 0..message.len() {
        assert_eq!(read(message.slice(..end)), None, "cut at {end}");
    }
    let longer = [message.as_ref(), &[0]].concat();
    assert_eq!(read(Bytes::from(longer)), None);
}

/// Neither a transaction nor their number may be larger than the limits.
#[test]
fn limits_hold() {
    let long = vec![Bytes::from(vec![0; TRANSACTION_LEN_MAX + 1])].encode();
    assert_eq!(read(long), None);
    let many = vec![Bytes::new(); MESSAGE_TRANSACTIONS_MAX + 1].encode();
    assert_eq!(read(many), None);
    let most = vec![Bytes::from(vec![0; TRANSACTION_LEN_MAX]); 2].encode();
    assert!(most.len() <= MESSAGE_LEN_MAX);
}
