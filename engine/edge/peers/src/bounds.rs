//! Every bound, and why it is what it is. A node with all of them reached holds
//! [`IN_FLIGHT_MAX`] chunks that it asked for, one chunk for each peer that it serves, and what waits in
//! the transport: a burst of [`CHUNKS_BURST`] chunks from each peer, and [`MAILBOX_LEN`] to each.

use std::time::Duration;

use lode_proofs::CHUNK_LEN;

/// Nodes that one node speaks to. A network of more than that is many groups of replicas, of which a
/// node needs those whose slices overlap its own.
pub const PEERS_MAX: usize = 64;

/// Chunks that one request asks for: 4 MiB, which take longer than the way there and back.
pub const WANT_MAX: usize = 16;
/// Chunks asked of one peer and not answered: two requests, so that it sends one while the next is on
/// its way.
pub const PEER_IN_FLIGHT_MAX: usize = 2 * WANT_MAX;
/// Chunks asked for or on their way into the store, of all peers together: 32 MiB.
pub const IN_FLIGHT_MAX: usize = 128;
/// Blobs that are filled at the same time. Many: where blobs are small each is a request, and takes the
/// time there and back.
pub const GAPS_MAX: usize = 64;
/// Missing chunks of a blob that are looked up at a time: 64 MiB of blob, and 2 KiB of memory.
pub const WINDOW_MAX: usize = 256;

/// Requests of one peer that wait to be served: twice what a peer of this program has out if each is for
/// one chunk, since it may have given up as many. What is above is dropped without a word.
pub const WANTS_WAITING_MAX: usize = 2 * PEER_IN_FLIGHT_MAX;
/// Reads from the store at a time, for all peers.
pub const READS_MAX: usize = 8;
/// Bytes that a peer is charged for a chunk that is not here: a look costs about as much as a page.
pub const LACK_COST: u64 = 4096;
/// Bytes that a peer may get at once before it is held to its rate.
pub const SERVE_BURST: u64 = 4 << 20;
const _: () = assert!(SERVE_BURST >= 16 * 262_144 && CHUNK_LEN == 262_144 && WANT_MAX == 16);

/// Fresh blobs that are remembered; beyond it the oldest are left to the sweep.
pub const FRESH_MAX: usize = 1024;
/// Blobs that are remembered because nobody could help; beyond it they are left to the sweep.
pub const LATER_MAX: usize = 1024;
/// Hints that wait to be read. One that does not fit is found by counting submissions.
pub const HINTS_MAX: usize = 1024;

/// Submissions that the operator wants fetched and that were not looked at yet; one more is refused.
pub const ASKED_MAX: usize = 64;
/// Orders of the operator's that wait to be read: each wish, and as many stops.
pub const ORDERS_MAX: usize = 2 * ASKED_MAX;
/// Submissions that the operator has stopped; beyond it the first of them may be fetched again.
pub const STOPPED_MAX: usize = 1024;
/// Fetches that have ended and are still told of, for an operator who looks now and then.
pub const ENDED_MAX: usize = 1024;

/// Least time between two looks at a fresh blob that is hinted at with each of its chunks.
pub const HINT_PAUSE: Duration = Duration::from_millis(100);
/// How long a fresh blob is left to the client that submitted it. A client sends its first chunks when
/// it has seen that the node knows the submission, which takes it about a second, and then ten chunks in
/// one call; while any of them came since the last look, the client is at it and the blob is left to it.
pub const FRESH_WAIT: Duration = Duration::from_secs(3);
/// Looks at a fresh blob while a client is at it, after which it is fetched all the same: a minute. A
/// client that is slower than other replicas wants to be helped.
pub const FRESH_LOOKS_MAX: u32 = 20;

/// First wait after nobody could help, doubled each time.
pub const LATER_MIN: Duration = Duration::from_secs(2);
/// Last wait after nobody could help. A peer that comes ends all of these waits.
pub const LATER_MAX_WAIT: Duration = Duration::from_secs(60);
/// Least time between two sweeps of the flow; a sweep that took long is followed by a pause four times
/// as long, so that it never takes more than a fifth of a disk's time.
pub const SWEEP_PAUSE: Duration = Duration::from_secs(30);
/// Blobs that are looked at in one go of the sweep.
pub const SWEEP_STEP: u32 = 64;
/// Pause after each go.
pub const SWEEP_BREATH: Duration = Duration::from_millis(10);
/// Time after which a sweep begins at the first submission again, for what was lost since.
pub const AUDIT_EVERY: Duration = Duration::from_secs(3600);
/// Time between two counts of the submissions.
pub const POLL_EVERY: Duration = Duration::from_millis(500);

/// Time between two looks at whether a Hello is due and whether requests are late.
pub const TICK_EVERY: Duration = Duration::from_millis(500);
/// Time after which a Hello is said again though nothing changed.
pub const HELLO_EVERY: Duration = Duration::from_secs(2);
/// Silence after which a peer is not here any more: five Hellos.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Silence after which a request is given up: 4 MiB in this time is 280 KB/s.
pub const REQUEST_QUIET_MAX: Duration = Duration::from_secs(15);
/// Time after which a request is given up though chunks drip in.
pub const REQUEST_WHOLE_MAX: Duration = Duration::from_secs(60);
/// First rest of a peer that did not answer, doubled each time.
pub const REST_MIN: Duration = Duration::from_secs(2);
/// Last rest of a peer that does not answer.
pub const REST_MAX: Duration = Duration::from_secs(60);
/// How long a liar is not spoken to. Longer than it takes an operator to see it in the log.
pub const BLOCK: Duration = Duration::from_secs(24 * 3600);

/// Messages of the transport that wait for each of its parts, and for each peer.
pub const MAILBOX_LEN: usize = 64;
/// Words a second from each peer: a request and perhaps its refusal for each blob, where blobs are small.
pub const WORDS_A_SECOND: u32 = 2048;
/// Words at once from each peer: 200 bytes each.
pub const WORDS_BURST: u32 = 256;
/// Wait before a peer to which no more words may go is asked again.
pub const FULL_WAIT: Duration = Duration::from_millis(100);
/// Chunks a second from each peer: 256 MiB.
pub const CHUNKS_A_SECOND: u32 = 1024;
/// Chunks at once from each peer: all that are asked of it, so that none is dropped for want of room.
pub const CHUNKS_BURST: u32 = 32;
const _: () = assert!(PEER_IN_FLIGHT_MAX == 32 && IN_FLIGHT_MAX >= PEER_IN_FLIGHT_MAX);
