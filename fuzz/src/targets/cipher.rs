//! Headers of encrypted bytes: any bytes are one or are refused, a header is the only encoding of itself,
//! and keys open it or say what is missing.

use lode_wire::cipher::{Cipher, Header, Key, Keys, PrivateKey, PublicKey};

use super::Target;

/// Reads a header, its key, and what follows.
pub const TARGET: Target = Target {
    name: "cipher",
    run,
    seeds,
    repair: None,
    cost: 20,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    if let Ok(key) = PublicKey::decode(data) {
        assert_eq!(PublicKey::decode(&key.encode()), Ok(key));
    }
    let Ok(header) = Header::decode(data) else {
        return;
    };
    let (head, stored) = data.split_at(header.size());
    assert_eq!(header.encode(), head);
    let keys = Keys {
        symmetric: Some(Key::new([3; 32])),
        private: Some(PrivateKey::new(&[5; 32]).expect("below the order")),
    };
    if let Ok(key) = keys.open(&header) {
        let cipher = Cipher::new(key, &header);
        let mut bytes = stored.to_vec();
        cipher.apply(u64::from(head[1]), &mut bytes);
        cipher.apply(u64::from(head[1]), &mut bytes);
        assert_eq!(bytes, stored, "twice is not at all");
    }
    assert!(Keys::default().open(&header).is_err());
}

fn seeds() -> Vec<Vec<u8>> {
    let ephemeral = PrivateKey::new(&[9; 32]).expect("below the order");
    let (v2, _) = Header::to(&ephemeral.public(), &ephemeral, [7; 16]);
    let v1 = Header::Symmetric { nonce: [255; 16] };
    let stored = |header: &Header| [&header.encode()[..], b"stored bytes"].concat();
    let public = ephemeral.public().encode().to_vec();
    vec![stored(&v1), stored(&v2), public]
}
