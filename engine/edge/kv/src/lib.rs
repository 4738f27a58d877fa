//! Key-value streams, replayed from the flow.
