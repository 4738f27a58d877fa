//! How executors reach each other: one bounded mailbox each.

/// The mailboxes of all executors; made before they start, cloned to each of them.
#[derive(Clone)]
pub struct Mesh {
    executors: usize,
}

impl Mesh {
    /// Mailboxes for `executors` executors.
    pub fn new(executors: usize) -> Self {
        Mesh { executors }
    }

    /// How many executors there are.
    pub fn executors(&self) -> usize {
        self.executors
    }
}
