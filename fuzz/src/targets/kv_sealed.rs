//! Encrypted transactions of key-value streams: any stored bytes are opened or refused, and chunk by
//! chunk, in whatever pieces, come to the same.

use bytes::Bytes;
use lode_kv::{
    sealed::Opening,
    stream::{Decoder, Memory},
};
use lode_wire::cipher::{Cipher, Header, Key, Keys, PrivateKey};

use super::Target;

/// Opens a transaction, and reads what it finds.
pub const TARGET: Target = Target {
    name: "kv_sealed",
    run,
    seeds,
    repair: None,
    cost: 20,
};

fn keys() -> Keys {
    Keys {
        symmetric: Some(Key::new([3; 32])),
        private: Some(PrivateKey::new(&[5; 32]).expect("below the order")),
    }
}

/// See the file's head.
pub fn run(data: &[u8]) {
    let stored = Bytes::copy_from_slice(data);
    let Ok(opening) = Opening::by(&keys(), &stored) else {
        return;
    };
    let read = opening.chunk(0, stored.clone());
    assert_eq!(read.len(), stored.len());
    let head = usize::try_from(opening.header_len()).expect("a header is short");
    assert_eq!(read[..head], stored[..head], "a header stays");
    let cut = usize::from(data[head - 1]).min(stored.len());
    assert_eq!(opening.chunk(0, stored.slice(..cut)), read[..cut]);
    assert_eq!(
        opening.chunk(0, read.clone()),
        stored,
        "twice is not at all"
    );
    // Noise, most of the time: what it may cost is what counts.
    let mut decoder = Decoder::new(Memory(read.slice(head..)));
    let lists = decoder.version().and_then(|_| decoder.reads());
    let lists = lists.and_then(|_| decoder.writes());
    let _ = lists.and_then(|_| decoder.controls());
}

fn seeds() -> Vec<Vec<u8>> {
    let ephemeral = PrivateKey::new(&[9; 32]).expect("below the order");
    let to = keys().private.expect("given above").public();
    let v1 = (Header::Symmetric { nonce: [255; 16] }, Key::new([3; 32]));
    let stored = |(header, key): &(Header, Key)| {
        // No reads, no writes, no controls.
        let mut plain = vec![0; 8 + 3 * 4];
        Cipher::new(key.clone(), header).apply(0, &mut plain);
        [header.encode(), plain].concat()
    };
    let v2 = Header::to(&to, &ephemeral, [7; 16]);
    vec![stored(&v1), stored(&v2)]
}
