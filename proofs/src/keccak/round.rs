//! One text of Keccak-f[1600] for every backend.
//!
//! The macros name the five operations `xor5`, `xor`, `rotl`, `chi` and
//! `iota`; a backend brings them into scope for its own lane type (one `u64`,
//! or a vector of the same lane of 4 or 8 messages) and expands the macros in
//! one function. They are macros, not generic functions, because an
//! intrinsic is only inlined into a function that enables its CPU feature,
//! and Rust refuses `inline(always)` there.
//!
//! Lane (x, y) is `state[x + 5 * y]`. Source of steps, offsets and constants:
//! FIPS 202, sections 3.2.1 to 3.2.5.

/// Round constants (FIPS 202, 3.2.5).
pub(super) const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The five words that theta adds to the five columns of `$a`.
macro_rules! theta_words {
    ($a:ident) => {{
        let c0 = xor5($a[0], $a[5], $a[10], $a[15], $a[20]);
        let c1 = xor5($a[1], $a[6], $a[11], $a[16], $a[21]);
        let c2 = xor5($a[2], $a[7], $a[12], $a[17], $a[22]);
        let c3 = xor5($a[3], $a[8], $a[13], $a[18], $a[23]);
        let c4 = xor5($a[4], $a[9], $a[14], $a[19], $a[24]);
        (
            xor(c4, rotl::<1>(c1)),
            xor(c0, rotl::<1>(c2)),
            xor(c1, rotl::<1>(c3)),
            xor(c2, rotl::<1>(c4)),
            xor(c3, rotl::<1>(c0)),
        )
    }};
}

/// Chi over one row of five lanes.
macro_rules! chi_row {
    ($b0:expr, $b1:expr, $b2:expr, $b3:expr, $b4:expr) => {{
        let (b0, b1, b2, b3, b4) = ($b0, $b1, $b2, $b3, $b4);
        (
            chi(b0, b1, b2),
            chi(b1, b2, b3),
            chi(b2, b3, b4),
            chi(b3, b4, b0),
            chi(b4, b0, b1),
        )
    }};
}

/// One whole round: theta, rho, pi, chi, iota. Rho and pi cost no moves: each
/// row of the result reads the lanes that pi would have put there.
macro_rules! round {
    ($a:ident, $round:expr) => {{
        let (d0, d1, d2, d3, d4) = theta_words!($a);
        let (e0, e1, e2, e3, e4) = chi_row!(
            xor($a[0], d0),
            rotl::<44>(xor($a[6], d1)),
            rotl::<43>(xor($a[12], d2)),
            rotl::<21>(xor($a[18], d3)),
            rotl::<14>(xor($a[24], d4))
        );
        let e0 = iota(e0, $round);
        let (e5, e6, e7, e8, e9) = chi_row!(
            rotl::<28>(xor($a[3], d3)),
            rotl::<20>(xor($a[9], d4)),
            rotl::<3>(xor($a[10], d0)),
            rotl::<45>(xor($a[16], d1)),
            rotl::<61>(xor($a[22], d2))
        );
        let (e10, e11, e12, e13, e14) = chi_row!(
            rotl::<1>(xor($a[1], d1)),
            rotl::<6>(xor($a[7], d2)),
            rotl::<25>(xor($a[13], d3)),
            rotl::<8>(xor($a[19], d4)),
            rotl::<18>(xor($a[20], d0))
        );
        let (e15, e16, e17, e18, e19) = chi_row!(
            rotl::<27>(xor($a[4], d4)),
            rotl::<36>(xor($a[5], d0)),
            rotl::<10>(xor($a[11], d1)),
            rotl::<15>(xor($a[17], d2)),
            rotl::<56>(xor($a[23], d3))
        );
        let (e20, e21, e22, e23, e24) = chi_row!(
            rotl::<62>(xor($a[2], d2)),
            rotl::<55>(xor($a[8], d3)),
            rotl::<39>(xor($a[14], d4)),
            rotl::<41>(xor($a[15], d0)),
            rotl::<2>(xor($a[21], d1))
        );
        $a = [
            e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18,
            e19, e20, e21, e22, e23, e24,
        ];
    }};
}

/// Rounds `$from..$to` (an even number of them), two to a step: the longest
/// step that stays in a CPU's decoded-instruction cache.
#[cfg(target_arch = "x86_64")]
macro_rules! rounds {
    ($a:ident, $from:expr, $to:expr) => {{
        let mut round = $from;
        while round < $to {
            round!($a, round);
            round!($a, round + 1);
            round += 2;
        }
    }};
}

/// All 24 rounds.
#[cfg(target_arch = "x86_64")]
macro_rules! permute {
    ($a:ident) => {{
        rounds!($a, 0, 24);
    }};
}

/// All 24 rounds, of whose result only the four lanes of a 32-byte digest are
/// computed: the last round is cut to one row.
#[cfg(target_arch = "x86_64")]
macro_rules! permute_to_digest {
    ($a:ident) => {{
        rounds!($a, 0, 22);
        round!($a, 22);
        let (d0, d1, d2, d3, d4) = theta_words!($a);
        let b0 = xor($a[0], d0);
        let b1 = rotl::<44>(xor($a[6], d1));
        let b2 = rotl::<43>(xor($a[12], d2));
        let b3 = rotl::<21>(xor($a[18], d3));
        let b4 = rotl::<14>(xor($a[24], d4));
        [
            iota(chi(b0, b1, b2), 23),
            chi(b1, b2, b3),
            chi(b2, b3, b4),
            chi(b3, b4, b0),
        ]
    }};
}

pub(super) use {chi_row, round, theta_words};
#[cfg(target_arch = "x86_64")]
pub(super) use {permute, permute_to_digest, rounds};
