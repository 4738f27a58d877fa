//! How long a blob is paid for, as clients say it and as the log writes it.

/// What a client asks of the store besides keeping the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// First epoch in which the blob may be gone, from 1; none (or 0, which the log writes for
    /// none) keeps it until it is deleted.
    pub expiry: Option<u32>,
}

impl Terms {
    pub(crate) fn epoch(self) -> u32 {
        self.expiry.unwrap_or(0)
    }
}

/// The expiry that the log writes as `epoch`.
pub(crate) fn expiry(epoch: u32) -> Option<u32> {
    Some(epoch).filter(|epoch| *epoch != 0)
}

/// The longer of two terms, as the log writes them.
pub(crate) fn longest(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, _) | (_, 0) => 0,
        _ => one.max(other),
    }
}

/// Whether the expiry that the log writes as `expiry` has come by `epoch`.
pub(crate) fn expired(expiry: u32, epoch: u32) -> bool {
    expiry != 0 && expiry <= epoch
}
