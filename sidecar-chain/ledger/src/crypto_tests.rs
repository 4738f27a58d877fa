//! What blst says of KZG proofs is what the library that Ethereum's clients take says.

use alloy_primitives::hex;
use revm::precompile::{Crypto as _, kzg_point_evaluation::verify_kzg_proof};

use super::Arithmetic;

/// Commitment, place, value, proof: a case of the consensus specification (mainnet, correct proof 4_4).
const COMMITMENT: [u8; 48] = hex!(
    "8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7"
);
const Z: [u8; 32] = hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000");
const Y: [u8; 32] = hex!("1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e9");
const PROOF: [u8; 48] = hex!(
    "a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c"
);
/// The point at infinity, and the curve's order.
const INFINITY: [u8; 48] = {
    let mut bytes = [0; 48];
    bytes[0] = 0xc0;
    bytes
};
const ORDER: [u8; 32] = hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");

/// A true proof and many nearly true ones: points at infinity, off the curve and out of the group,
/// numbers that are not reduced, and one bit changed anywhere.
#[test]
fn both_ways_agree() {
    let one = {
        let mut bytes = [0; 32];
        bytes[31] = 1;
        bytes
    };
    let mut cases = vec![
        (COMMITMENT, Z, Y, PROOF, true),
        (INFINITY, Z, [0; 32], INFINITY, true),
        (INFINITY, Z, one, INFINITY, false),
        (INFINITY, [0; 32], [0; 32], INFINITY, true),
        (COMMITMENT, ORDER, Y, PROOF, false),
        (COMMITMENT, Z, ORDER, PROOF, false),
        (INFINITY, ORDER, [0; 32], INFINITY, false),
        (INFINITY, Z, ORDER, INFINITY, false),
        (COMMITMENT, Z, Y, INFINITY, false),
        (INFINITY, Z, Y, PROOF, false),
        (PROOF, Z, Y, COMMITMENT, false),
        ([0; 48], Z, Y, PROOF, false),
        ([0xff; 48], Z, Y, PROOF, false),
    ];
    let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
    for bit in (0..384).step_by(7) {
        let (mut commitment, mut proof) = (COMMITMENT, PROOF);
        flip(&mut commitment, bit);
        flip(&mut proof, bit);
        cases.push((commitment, Z, Y, PROOF, false));
        cases.push((COMMITMENT, Z, Y, proof, false));
    }
    for bit in (0..256).step_by(5) {
        let (mut z, mut y) = (Z, Y);
        flip(&mut z, bit);
        flip(&mut y, bit);
        cases.push((COMMITMENT, z, Y, PROOF, false));
        cases.push((COMMITMENT, Z, y, PROOF, false));
    }
    for (commitment, z, y, proof, holds) in cases {
        let found = Arithmetic.verify_kzg_proof(&z, &y, &commitment, &proof);
        let other = verify_kzg_proof(&commitment, &z, &y, &proof);
        let case = hex::encode([&commitment[..], &z, &y, &proof].concat());
        assert_eq!((found.is_ok(), other), (holds, holds), "{case}");
    }
}
