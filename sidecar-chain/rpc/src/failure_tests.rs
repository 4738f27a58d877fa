//! What a contract said is told in geth's words, whatever bytes it said it with.

use alloy_primitives::{Bytes, hex};

use super::{Failure, REVERTED, reverted};

/// Solidity's two forms are read; all else, and what is cut off, is left as bytes.
#[test]
fn reverts_are_read() {
    let cases: [(&[u8], &str); 6] = [
        (
            &hex!(
                "08c379a00000000000000000000000000000000000000000000000000000000000000020000000000000000000000000000000000000000000000000000000000000000a75736572206572726f72"
            ),
            "execution reverted: user error",
        ),
        (
            &hex!("4e487b710000000000000000000000000000000000000000000000000000000000000001"),
            "execution reverted: assert(false)",
        ),
        (
            &hex!("4e487b7100000000000000000000000000000000000000000000000000000000000000ff"),
            "execution reverted: unknown panic code: 0xff",
        ),
        // A length that lies.
        (
            &hex!(
                "08c379a000000000000000000000000000000000000000000000000000000000000000200000000000000000000000000000000000000000000000000000ffffffffffff75736572"
            ),
            "execution reverted",
        ),
        (&hex!("08c379a0ff"), "execution reverted"),
        (&[], "execution reverted"),
    ];
    for (output, message) in cases {
        assert_eq!(reverted(output), message);
        let failure = Failure::reverted(&Bytes::copy_from_slice(output));
        assert_eq!(
            (failure.code(), failure.to_string()),
            (REVERTED, message.to_owned())
        );
    }
}
