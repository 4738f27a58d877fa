//! The flow as the chain orders it: every submission, its place and the tree over them.
