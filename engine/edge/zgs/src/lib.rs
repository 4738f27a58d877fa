//! 0G's storage RPC in front of the engine.
