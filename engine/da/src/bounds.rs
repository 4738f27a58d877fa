//! Every bound, and why it is what it is.
//!
//! A node with all of them reached holds [`INTAKE_LEN_MAX`] of slivers that come in, [`CODED_LEN_MAX`] of
//! containers that go out, and what waits in the transport: [`MAILBOX_LEN`] messages for each channel.

use std::time::Duration;

use lode_proofs::da::{
    shape::COLUMNS_MAX, shape::ORIGINAL_ROWS, shape::WIDTH_MAX, table::TABLE_LEN_MAX,
};

/// Bytes of a sliver that one message brings: large enough that the transport's work for a message does
/// not count.
pub const PART_LEN: usize = 256 << 10;
/// Bytes of rows that one answer brings: at least one of the widest.
pub const ANSWER_LEN_MAX: usize = 512 << 10;
const _: () = assert!(ANSWER_LEN_MAX >= WIDTH_MAX);
/// Bytes of any message: an answer with the hashes beside its rows, or all that describes a container.
pub const MESSAGE_LEN_MAX: usize = 640 << 10;
const DESCRIPTION_LEN_MAX: usize = TABLE_LEN_MAX + ORIGINAL_ROWS * 2 * COLUMNS_MAX + 1024;
const _: () = assert!(DESCRIPTION_LEN_MAX <= MESSAGE_LEN_MAX);
/// Bytes of a sliver that comes with its offer: what is smaller is not worth a way there and back.
pub const INLINE_LEN_MAX: usize = PART_LEN;

/// Parts that one message asks for.
pub const PULL_MAX: usize = 16;
/// Parts of one sliver that are asked for and have not come: 8 MiB, which take longer than the way there
/// and back.
pub const PULL_WINDOW: usize = 2 * PULL_MAX;
/// Slivers that come in at a time. More wait with their makers, who offer again.
pub const INTAKES_MAX: usize = 64;
/// Bytes of them. One is let in whatever its size when there is no other.
pub const INTAKE_LEN_MAX: usize = 512 << 20;
/// Silence after which parts are asked for again.
pub const PULL_QUIET: Duration = Duration::from_secs(2);
/// How often in a row, before the sliver is given up: its maker offers it again if it cares.
pub const PULL_TRIES: u32 = 5;

/// Containers on their way out, coded: bytes of all their rows.
pub const CODED_LEN_MAX: usize = 768 << 20;
/// Time after which a holder that has not answered is offered its sliver again.
pub const OFFER_AGAIN: Duration = Duration::from_secs(2);
/// Time for holders of enough rows to sign.
pub const DISPERSE_TIME: Duration = Duration::from_secs(60);
/// Time after the certificate for the other holders to take their rows.
pub const LINGER: Duration = Duration::from_secs(10);
/// Least time that a certificate waits for more signatures than it needs; a quarter of the time that the
/// needed ones took, if that is more.
pub const GRACE_MIN: Duration = Duration::from_millis(5);
/// Longest such wait.
pub const GRACE_MAX: Duration = Duration::from_secs(1);

/// Time between two looks at what is late.
pub const TICK_EVERY: Duration = Duration::from_millis(50);
/// Silence after which an answer is not waited for any more: 512 KiB in this time is 100 KB/s.
pub const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Requests of this node that have no answer yet, over all holders.
pub const ASKED_MAX: usize = 4096;
/// Requests to one holder at a time, of one reader: it reads the next while one is on its way.
pub const ASK_AHEAD: usize = 4;

/// Requests of one peer that wait to be served. What is above is dropped, and asked for again.
pub const WAITING_MAX: usize = 256;
/// Reads from the store at a time, for all peers.
pub const READS_MAX: usize = 16;
/// Containers that one message asks about.
pub const HAS_MAX: usize = 64;

/// Orders to the desk that wait.
pub const ORDERS_MAX: usize = 256;
/// Messages of the transport that wait for each of its parts, and for each peer: all parts that two makers
/// may be asked for at once.
pub const MAILBOX_LEN: usize = 2 * PULL_WINDOW;
/// Messages a second from each peer, and at once. What is larger than a word is asked for, so that nobody
/// sends more of it than this node wants.
pub const MESSAGES_A_SECOND: u32 = 8192;
/// As above.
pub const MESSAGES_BURST: u32 = 512;
/// How long a liar is not spoken to. Long enough to be seen in the log.
pub const BLOCK: Duration = Duration::from_secs(3600);
/// Nodes that one node speaks to: a quorum has no more holders.
pub const PEERS_MAX: usize = 340;

/// How far ahead a container may expire: a year. A row that nobody pays for longer is another matter.
pub const TERM_MAX: u64 = 366 * 24 * 3600;
