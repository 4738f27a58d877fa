//! The RPC over a ledger in a folder that is thrown away, as clients meet it. One program: each would
//! take a minute to build.
//!
//! | what | module |
//! |---|---|
//! | requests and answers as other nodes have them written down | `compat` |
//! | what comes over the wire, within bounds | `http`, `bytes` |
//! | words of refusals | `words` |
//! | calls and estimates | `calls` |
//! | whose transactions are taken | `senders` |
//! | traces | `traces` |
//! | what is told without being asked | `subscriptions` |
//! | helpers of development networks | `dev` |
//! | how fast transactions are taken | `speed` |

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

mod service {
    mod bytes;
    mod calls;
    mod compat;
    mod dev;
    mod http;
    mod senders;
    mod speed;
    mod subscriptions;
    mod traces;
    mod words;
}
