//! All backends against the formula, symbol by symbol.

use super::*;

/// [D-15] Every backend gives what the formula says, for widths of one block and more, whole tiles
/// and rests, for every number of rows from one to two groups and a rest, and for rows of zeros.
#[test]
fn backends_agree_with_the_formula() {
    let field = Field::new();
    for (len, columns) in [
        (64, 10),
        (65_536 * 3, 18),
        (65_536 * 16, 10),
        (65_536 * 35, 32),
    ] {
        let shape = Shape::new(len).expect("a length");
        let constants: Vec<u16> = stream(&[7; 32], columns * (32 + shape.blocks()));
        let mut bytes = noise(shape.width() * 19);
        bytes[..shape.width()].fill(0);
        let rows: Vec<&[u8]> = bytes.chunks(shape.width()).collect();
        let expected: Vec<u8> = rows
            .iter()
            .flat_map(|row| formula(field, row, columns, &constants))
            .collect();
        assert!(expected[..2 * columns].iter().all(|byte| *byte == 0));
        for backend in Backend::available() {
            let checksum = Checksum::on(backend, &Hash32([7; 32]), shape, columns);
            for count in 1..=rows.len() {
                let got = checksum.of_rows(rows[..count].iter().copied());
                assert_eq!(
                    got,
                    expected[..count * 2 * columns],
                    "{backend:?}, {count} rows"
                );
            }
        }
    }
}

/// Constants of zero and one, which have no logarithm or none of interest, multiply rightly.
#[test]
fn tables_of_zero_and_one() {
    let field = Field::new();
    let block: Block = noise(64).try_into().expect("64 bytes");
    for (constant, expected) in [(0, [0; 64]), (1, block)] {
        let mut sums = [[[0; 64]; GROUP]];
        portable::sums(&[&[block]], &[Times::new(field, constant)], &mut sums);
        assert_eq!(sums[0][0], expected);
    }
}

fn formula(field: Field, row: &[u8], columns: usize, constants: &[u16]) -> Vec<u8> {
    let (blocks, _) = row.as_chunks::<64>();
    let sums = (0..columns).map(|column| {
        let mut sum = 0;
        for (at, block) in blocks.iter().enumerate() {
            for lane in 0..32 {
                let c = constants[columns * 32 + at * columns + column];
                let d = constants[column * 32 + lane];
                sum ^= field.times(field.times(c, d), symbol(block, lane));
            }
        }
        sum.to_le_bytes()
    });
    let sums: Vec<[u8; 2]> = sums.collect();
    let half = |which: usize| sums.iter().map(move |sum| sum[which]);
    half(0).chain(half(1)).collect()
}

fn stream(seed: &[u8; 32], symbols: usize) -> Vec<u16> {
    let mut bytes = vec![0; 2 * symbols];
    let mut hasher = blake3::Hasher::new_derive_key("lode/da/1 coefficients");
    hasher.update(seed).finalize_xof().fill(&mut bytes);
    bytes
        .as_chunks()
        .0
        .iter()
        .copied()
        .map(u16::from_le_bytes)
        .collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
