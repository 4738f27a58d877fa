//! The bytes on disk, drawn in `engine/FORMAT.md`: pure encoders and decoders, no IO.
//!
//! Everything is little endian, zero-padded, checksummed and made of [`page`]s. Decoders take
//! foreign bytes: they return errors, never panic, and allocate no more than they were given.

pub mod checkpoint;
pub mod footer;
pub mod frame;
pub mod manifest;
pub mod page;
pub mod record;
pub mod segment;
pub mod superblock;

/// Version of everything on disk; a reader refuses any other.
pub const VERSION: u16 = 1;

/// Little-endian u16 at `at`; the caller has checked the length.
fn get_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

/// Little-endian u32 at `at`; the caller has checked the length.
fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Little-endian u64 at `at`; the caller has checked the length.
fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// 32 bytes at `at`; the caller has checked the length.
fn get_hash(bytes: &[u8], at: usize) -> [u8; 32] {
    bytes[at..at + 32].try_into().expect("32 bytes")
}

#[cfg(test)]
mod tests;
