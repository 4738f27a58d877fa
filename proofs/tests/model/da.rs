//! Data availability once more, from the words of SPEC: a field made from its polynomial and basis,
//! interpolation after Lagrange, recursive trees, one symbol after the other. Shares no code with the
//! crate, nor with the crate that codes.

use sha2::{Digest as _, Sha256};

pub type Hash = [u8; 32];

/// [D-10] The symbols' basis.
const BASIS: [u16; 16] = [
    0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012, 0x6c98, 0x10d8, 0x6a72, 0xb900,
    0xfdb8, 0xfb34, 0xff38, 0x991e,
];

/// [D-10] The field: what a symbol stands for, and which symbol stands for it.
pub struct Field {
    element: Vec<u16>,
    symbol: Vec<u16>,
    /// Powers of x, and of which power an element is; made by multiplying, to save time.
    power: Vec<u16>,
    log: Vec<usize>,
    /// The product of the distances of an original point from all others.
    near: Vec<u16>,
}

impl Field {
    pub fn new() -> Self {
        let element: Vec<u16> = (0..=u16::MAX)
            .map(|symbol| {
                let bits = (0..16).filter(|bit| symbol >> bit & 1 == 1);
                bits.fold(0, |sum, bit| sum ^ BASIS[bit])
            })
            .collect();
        let mut symbol = vec![0; 65_536];
        for (at, element) in (0..=u16::MAX).zip(&element) {
            symbol[usize::from(*element)] = at;
        }
        let (mut power, mut log) = (vec![1u16], vec![0; 65_536]);
        while power.len() < 65_535 {
            let next = product(*power.last().unwrap(), 2);
            log[usize::from(next)] = power.len();
            power.push(next);
        }
        assert_eq!(
            product(*power.last().unwrap(), 2),
            1,
            "x makes the whole group"
        );
        let mut field = Self {
            element,
            symbol,
            power,
            log,
            near: Vec::new(),
        };
        field.near = (0..1024)
            .map(|point| field.distances(point, point))
            .collect();
        field
    }

    pub fn times(&self, left: u16, right: u16) -> u16 {
        let [left, right] = [left, right].map(|symbol| self.element[usize::from(symbol)]);
        if left == 0 || right == 0 {
            return 0;
        }
        let sum = self.log[usize::from(left)] + self.log[usize::from(right)];
        self.symbol[usize::from(self.power[sum % 65_535])]
    }

    /// The product of the distances of all original points from `of`, but for `but`.
    fn distances(&self, of: u16, but: u16) -> u16 {
        let others = (0..1024).filter(|point| *point != but);
        others.fold(1, |sum, point| self.times(sum, of ^ point))
    }

    fn over(&self, symbol: u16) -> u16 {
        let element = self.element[usize::from(symbol)];
        assert_ne!(element, 0, "zero has no inverse");
        let log = self.log[usize::from(element)];
        self.symbol[usize::from(self.power[(65_535 - log) % 65_535])]
    }

    /// [D-11] The row of number `at`, from all original rows.
    pub fn row(&self, originals: &[&[u8]], at: u16) -> Vec<u8> {
        let mut row = vec![0u16; originals[0].len() / 2];
        let far = self.distances(at, at);
        for point in 0..1024 {
            // All others' distances from `at`, over all others' distances from this point.
            let weight = if at < 1024 {
                u16::from(at == point)
            } else {
                let near = self.times(at ^ point, self.near[usize::from(point)]);
                self.times(far, self.over(near))
            };
            let symbols = symbols(originals[usize::from(point)]);
            for (sum, symbol) in row.iter_mut().zip(symbols) {
                *sum ^= self.times(weight, symbol);
            }
        }
        bytes(&row)
    }

    /// [D-15] One row's checksums.
    pub fn checksums(&self, row: &[u8], columns: usize, seed: &Hash) -> Vec<u8> {
        let mut stream = blake3::Hasher::new_derive_key("lode/da/1 coefficients");
        let mut drawn = vec![0; 2 * columns * (32 + row.len() / 64)];
        stream.update(seed).finalize_xof().fill(&mut drawn);
        let drawn: Vec<u16> = drawn
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let mut sums = vec![0; columns];
        for (place, symbol) in symbols(row).into_iter().enumerate() {
            let (block, lane) = (place / 32, place % 32);
            for (column, sum) in sums.iter_mut().enumerate() {
                let d = drawn[column * 32 + lane];
                let c = drawn[columns * 32 + block * columns + column];
                *sum ^= self.times(self.times(c, d), symbol);
            }
        }
        let low = sums.iter().map(|sum: &u16| sum.to_le_bytes()[0]);
        low.chain(sums.iter().map(|sum| sum.to_le_bytes()[1]))
            .collect()
    }
}

/// [D-10] The product of two elements, bit by bit.
fn product(left: u16, right: u16) -> u16 {
    let mut product = 0u32;
    for bit in (0..16).rev() {
        product <<= 1;
        if product & 0x1_0000 != 0 {
            product ^= 0x1_002d;
        }
        if right >> bit & 1 == 1 {
            product ^= u32::from(left);
        }
    }
    u16::try_from(product).unwrap()
}

/// [D-10] The symbols of bytes: in each 64 bytes, or in what is left, low bytes first.
fn symbols(bytes: &[u8]) -> Vec<u16> {
    let blocks = bytes.chunks(64);
    blocks
        .flat_map(|block| {
            let (low, high) = block.split_at(block.len() / 2);
            low.iter()
                .zip(high)
                .map(|(low, high)| u16::from_le_bytes([*low, *high]))
        })
        .collect()
}

fn bytes(symbols: &[u16]) -> Vec<u8> {
    let blocks = symbols.chunks(32);
    blocks
        .flat_map(|block| {
            let low = block.iter().map(|symbol| symbol.to_le_bytes()[0]);
            low.chain(block.iter().map(|symbol| symbol.to_le_bytes()[1]))
        })
        .collect()
}

pub fn sha256(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

pub fn leaf(bytes: &[u8]) -> Hash {
    sha256(&[&[0], bytes])
}

/// [D-6] The tree over leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    if let [only] = leaves {
        return *only;
    }
    let (left, right) = leaves.split_at(left_count(leaves.len()));
    sha256(&[&[1], &root(left), &root(right)])
}

fn left_count(count: usize) -> usize {
    let mut left = 1;
    while left * 2 < count {
        left *= 2;
    }
    left
}

/// [D-5], [D-7] The tree over pieces.
pub fn pieces(bytes: &[u8]) -> Hash {
    root(&bytes.chunks(1024).map(leaf).collect::<Vec<_>>())
}

/// [D-7], [D-8] The leaf of a row.
pub fn row_leaf(number: usize, row: &[u8]) -> Hash {
    if number < 1024 {
        pieces(row)
    } else {
        blake3::derive_key("lode/da/1 parity row", row)
    }
}

/// [D-9] All 4096 leaves over rows, or checksums.
pub fn padded(mut leaves: Vec<Hash>) -> Vec<Hash> {
    assert_eq!(leaves.len(), 3072);
    leaves.resize(4096, [0; 32]);
    leaves
}

/// [D-9] The siblings of a leaf, from the bottom.
pub fn path(leaves: &[Hash], place: usize) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    let (mut path, beside) = if place < left.len() {
        (path(left, place), root(right))
    } else {
        (path(right, place - left.len()), root(left))
    };
    path.push(beside);
    path
}

/// [D-18] The hashes of the nodes beside some rows.
pub fn beside(leaves: &[Hash], first: usize, rows: &[usize]) -> Vec<Hash> {
    let end = first + leaves.len();
    if first >= 3072 {
        return Vec::new();
    }
    if !rows.iter().any(|row| (first..end).contains(row)) {
        return vec![root(leaves)];
    }
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    let mut found = beside(left, first, rows);
    found.extend(beside(right, first + left.len(), rows));
    found
}

/// A blob of a container: namespace and bytes.
pub type Blob = (u8, Vec<u8>);

/// [D-2], [D-3], [D-4] Table and all original bytes; `blobs` are in the order of their namespaces.
pub fn container(blobs: &[Blob]) -> (Vec<u8>, Vec<u8>) {
    let mut table = b"LODEDAC\x01".to_vec();
    table.extend(u32::try_from(blobs.len()).unwrap().to_be_bytes());
    table.extend([0; 4]);
    let up = |len: usize| len.div_ceil(64) * 64;
    let mut next = up(16 + 77 * blobs.len());
    let mut bytes = vec![0; next];
    for (namespace, blob) in blobs {
        table.extend([*namespace; 29]);
        table.extend(u64::try_from(next).unwrap().to_be_bytes());
        table.extend(u64::try_from(blob.len()).unwrap().to_be_bytes());
        table.extend(pieces(blob));
        bytes.extend(blob);
        next = up(bytes.len());
        bytes.resize(next, 0);
    }
    table.resize(up(table.len()), 0);
    bytes[..table.len()].copy_from_slice(&table);
    (table, bytes)
}

/// [D-2] The width of rows.
pub fn width(len: usize) -> usize {
    64 * len.div_ceil(65_536)
}

/// [D-17] The namespace root of a table.
pub fn namespace_root(table: &[u8]) -> Hash {
    let count: [u8; 4] = table[8..12].try_into().unwrap();
    let entries = table[16..].chunks(77);
    let leaves: Vec<Hash> = entries
        .take(usize::try_from(u32::from_be_bytes(count)).unwrap())
        .map(leaf)
        .collect();
    sha256(&[b"lode/da/1 namespaces", &count, &root(&leaves)])
}

/// What a head says besides its check root.
pub struct Facts {
    pub row_root: Hash,
    pub namespace_root: Hash,
    pub len: usize,
    pub columns: usize,
    pub quorum: (u64, u64, u32),
}

impl Facts {
    fn numbers(&self) -> (Vec<u8>, [u8; 2]) {
        let mut shape = u64::try_from(self.len).unwrap().to_be_bytes().to_vec();
        shape.extend(u32::try_from(width(self.len)).unwrap().to_be_bytes());
        (shape, u16::try_from(self.columns).unwrap().to_be_bytes())
    }

    fn quorum(&self) -> Vec<u8> {
        let (chain, epoch, quorum) = self.quorum;
        [
            &chain.to_be_bytes()[..],
            &epoch.to_be_bytes(),
            &quorum.to_be_bytes(),
        ]
        .concat()
    }

    /// [D-13]
    pub fn seed(&self) -> Hash {
        let (shape, columns) = self.numbers();
        sha256(&[
            b"lode/da/1 rlc",
            &self.row_root,
            &self.namespace_root,
            &shape,
            &1024u16.to_be_bytes(),
            &3072u16.to_be_bytes(),
            &columns,
            &self.quorum(),
        ])
    }

    /// [D-19]
    pub fn head(&self, check_root: &Hash) -> Vec<u8> {
        let (shape, columns) = self.numbers();
        [
            &self.row_root[..],
            check_root,
            &self.namespace_root,
            &shape,
            &columns,
        ]
        .concat()
    }

    /// [D-20]
    pub fn id(&self, check_root: &Hash) -> Hash {
        sha256(&[b"lode/da/1 container", &self.head(check_root)])
    }

    /// [D-25], [D-26]
    pub fn message(&self, check_root: &Hash, expiry: u64) -> Hash {
        let head = self.head(check_root);
        let (id, quorum) = (self.id(check_root), self.quorum());
        let expiry = expiry.to_be_bytes();
        sha256(&[b"lode/da/1 cert", &[1], &quorum, &id, &head[..108], &expiry])
    }
}
