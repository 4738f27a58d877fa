//! Bytes that another client made, every split of a stream, and what can be refused.

use super::*;
use crate::fragments::FragmentLen;
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/cipher.json")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn array<const LEN: usize>(value: &Value) -> [u8; LEN] {
    hex(value).try_into().unwrap()
}

/// What the vectors encrypt.
fn plain(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from((at * 7 + 3) % 251).unwrap())
        .collect()
}

/// The keystream is the other client's, from byte 0, within a block, far on, and over the counter's wrap.
#[test]
fn keystream() {
    let vectors = vectors();
    let all = vectors["keystream"].as_array().unwrap();
    assert_eq!(all.len(), 5);
    for vector in all {
        let header = Header::Symmetric {
            nonce: array(&vector["nonce"]),
        };
        let cipher = Cipher::new(Key::new(array(&vector["key"])), &header);
        let want = hex(&vector["bytes"]);
        let mut bytes = vec![0; want.len()];
        cipher.apply(vector["at"].as_u64().unwrap(), &mut bytes);
        assert_eq!(bytes, want);
    }
}

/// Stored bytes of both versions are the other client's to the byte, whole and in fragments, and the
/// recipient finds the key in the header.
#[test]
fn stored_bytes() {
    let vectors = vectors();
    for version in ["v1", "v2"] {
        for vector in vectors[version].as_array().unwrap() {
            let header = Header::decode(&hex(&vector["stored"])).unwrap();
            assert_eq!(header.encode(), hex(&vector["header"]));
            assert_eq!(header.size(), header.encode().len());
            let key = Key::new(array(&vector["key"]));
            let keys = match header {
                Header::Symmetric { .. } => Keys {
                    symmetric: Some(key.clone()),
                    private: None,
                },
                Header::Ecies { .. } => Keys {
                    symmetric: None,
                    private: Some(PrivateKey::new(&array(&vector["recipient"])).unwrap()),
                },
            };
            assert_eq!(keys.open(&header), Ok(key.clone()));
            let cipher = Cipher::new(key, &header);
            let mut stored = plain(usize::try_from(vector["len"].as_u64().unwrap()).unwrap());
            cipher.apply(0, &mut stored);
            stored.splice(0..0, header.encode());
            assert_eq!(stored, hex(&vector["stored"]));
            let root = lode_proofs::blob_tree(&stored).unwrap().root();
            assert_eq!(vector["root"], root.to_string());
            let len = FragmentLen::at_least(vector["fragment"].as_u64().unwrap()).unwrap();
            let fragments = vector["fragments"].as_array().unwrap();
            let cuts = len.split(u64::try_from(stored.len()).unwrap());
            assert_eq!(fragments.len(), cuts.size_hint().0);
            for (cut, fragment) in cuts.zip(fragments) {
                let cut = usize::try_from(cut.start).unwrap()..usize::try_from(cut.end).unwrap();
                assert_eq!(stored[cut], hex(fragment));
            }
        }
    }
}

/// The sender's half of version 2: given the ephemeral key, the header and the key are the vectors'; and
/// every form of a public key is the same key.
#[test]
fn sender() {
    let vectors = vectors();
    let chosen = |vector: &&Value| vector.get("ephemeral").is_some();
    let all: Vec<_> = vectors["v2"]
        .as_array()
        .unwrap()
        .iter()
        .filter(chosen)
        .collect();
    assert_eq!(all.len(), 2);
    for vector in all {
        let recipient = PublicKey::decode(&hex(&vector["recipient_public"])).unwrap();
        let long = hex(&vector["recipient_public_long"]);
        assert_eq!(PublicKey::decode(&long), Ok(recipient));
        assert_eq!(PublicKey::decode(&long[1..]), Ok(recipient));
        let ephemeral = PrivateKey::new(&array(&vector["ephemeral"])).unwrap();
        let bytes = hex(&vector["header"]);
        let nonce = bytes[1 + PUBLIC_LEN..].try_into().unwrap();
        let (header, key) = Header::to(&recipient, &ephemeral, nonce);
        assert_eq!(header.encode(), bytes);
        assert_eq!(key, Key::new(array(&vector["key"])));
    }
}

/// Headers that are none, keys of the wrong kind and points off the curve are refused, each as what it is.
#[test]
fn refusals() {
    assert_eq!(
        Header::decode(&[]),
        Err(CipherError::Short { got: 0, want: 1 })
    );
    for (version, len) in [(1, HEADER_V1_LEN), (2, HEADER_V2_LEN)] {
        let short = vec![version; len - 1];
        let want = CipherError::Short {
            got: len - 1,
            want: len,
        };
        assert_eq!(Header::decode(&short), Err(want));
    }
    for version in [0, 3, 255] {
        assert_eq!(
            Header::decode(&[version; 60]),
            Err(CipherError::Version(version))
        );
    }
    let v1 = Header::decode(&[1; 17]).unwrap();
    let v2 = Header::decode(&[2; 50]).unwrap();
    let off_curve = Header::decode(&[[2, 5].as_slice(), &[0; 48]].concat()).unwrap();
    let key = Key::new([7; 32]);
    let private = PrivateKey::new(&[7; 32]).unwrap();
    let only_key = Keys {
        symmetric: Some(key),
        private: None,
    };
    let only_private = Keys {
        symmetric: None,
        private: Some(private),
    };
    assert_eq!(only_private.open(&v1), Err(CipherError::NeedsKey));
    assert_eq!(only_key.open(&v2), Err(CipherError::NeedsPrivateKey));
    assert_eq!(only_private.open(&off_curve), Err(CipherError::PublicKey));
    for bad in [[0; 32], [255; 32]] {
        assert_eq!(PrivateKey::new(&bad), Err(CipherError::PrivateKey));
    }
    for bad in [&[][..], &[0], &[2; 32], &[5; 33], &[4; 65], &[0; 64]] {
        assert_eq!(
            PublicKey::decode(bad),
            Err(CipherError::PublicKey),
            "{bad:?}"
        );
    }
}

/// A wrong key is no error and gives other bytes: there is no tag.
#[test]
fn wrong_key() {
    let header = Header::Symmetric { nonce: [9; 16] };
    let mut bytes = plain(64);
    Cipher::new(Key::new([1; 32]), &header).apply(0, &mut bytes);
    Cipher::new(Key::new([2; 32]), &header).apply(0, &mut bytes);
    assert_ne!(bytes, plain(64));
}

/// Keys do not show in what is printed for developers.
#[test]
fn hidden() {
    let keys = Keys {
        symmetric: Some(Key::new([0xab; 32])),
        private: Some(PrivateKey::new(&[0xab; 32]).unwrap()),
    };
    let text = format!("{keys:?}").to_lowercase();
    assert!(
        !text.contains("ab, ab") && !text.contains("abab") && !text.contains("171"),
        "{text}"
    );
}

proptest! {
    /// However a stream is cut, each piece is encrypted as in the whole, and twice is not at all.
    #[test]
    fn any_cut(
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 16]>(),
        start in any::<u32>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..600),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
    ) {
        let cipher = Cipher::new(Key::new(key), &Header::Symmetric { nonce });
        let start = u64::from(start);
        let mut whole = bytes.clone();
        cipher.apply(start, &mut whole);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let (mut pieces, mut from) = (bytes.clone(), 0);
        for end in ends {
            let at = start + u64::try_from(from).unwrap();
            cipher.apply(at, &mut pieces[from..end]);
            from = end;
        }
        prop_assert_eq!(&pieces, &whole);
        cipher.apply(start, &mut whole);
        prop_assert_eq!(whole, bytes);
    }

    /// Headers come back as they were, whatever follows them.
    #[test]
    fn headers(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert_eq!(header.encode(), &bytes[..header.size()]);
        }
    }

    /// Both ends of an exchange find one key.
    #[test]
    fn exchange(a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), nonce in any::<[u8; 16]>()) {
        if let (Ok(recipient), Ok(ephemeral)) = (PrivateKey::new(&a), PrivateKey::new(&b)) {
            let (header, key) = Header::to(&recipient.public(), &ephemeral, nonce);
            let keys = Keys { symmetric: None, private: Some(recipient) };
            prop_assert_eq!(keys.open(&header), Ok(key));
        }
    }
}
