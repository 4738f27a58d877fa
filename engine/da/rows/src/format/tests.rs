//! Vectors and properties of the bytes on disk.
