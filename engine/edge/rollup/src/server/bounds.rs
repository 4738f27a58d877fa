//! How much strangers may ask for. Each face has defaults of its own.

use core::time::Duration;

/// Bounds of one face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a request's body.
    pub body_len_max: u64,
    /// Bytes of memory for requests and answers, all together. What does not fit waits
    /// [`wait_max`](Self::wait_max).
    pub room: u32,
    /// Bytes of memory for each byte of a body: how often it is there while it is read and decoded.
    pub body_room: u64,
    /// How long a request waits for room, then it is told to come again. Default: 5 s.
    pub wait_max: Duration,
    /// Time for a request's body, at most; a short one has less ([`PACE_MIN`]). Default: 5 min.
    pub body_time_max: Duration,
    /// Time from a request's head until its answer begins.
    pub answer_begins_max: Duration,
    /// Time until an answer is fetched, at most; a short one has less. Default: 5 min.
    pub answer_time_max: Duration,
    /// Time for a request's head. Default: 30 s.
    pub head_time_max: Duration,
    /// How long a connection may be idle. Default: 120 s, as Go's servers.
    pub idle_max: Duration,
    /// Connections at once; further ones are told to come again. Default: 1024.
    pub connections_max: usize,
    /// How long requests under way may take when the server stops, then they are cut. Default: 10 s.
    pub stop_max: Duration,
}

/// Bytes a second that a client must send or fetch, on the whole: slower ones would keep others out of
/// the room that they take.
pub const PACE_MIN: u64 = 64 << 10;

/// Time that every client has before that counts.
pub const GRACE: Duration = Duration::from_secs(5);

impl Bounds {
    /// Those of bodies of so many bytes, of which each is there so often.
    #[must_use]
    pub fn of(body_len_max: u64, body_room: u64) -> Bounds {
        Bounds {
            body_len_max,
            room: 512 << 20,
            body_room,
            wait_max: Duration::from_secs(5),
            body_time_max: Duration::from_secs(300),
            answer_begins_max: Duration::from_secs(60),
            answer_time_max: Duration::from_secs(300),
            head_time_max: Duration::from_secs(30),
            idle_max: Duration::from_secs(120),
            connections_max: 1024,
            stop_max: Duration::from_secs(10),
        }
    }
}

/// Time that so many bytes may take, at most `most`.
pub(crate) fn time_for(len: u64, most: Duration) -> Duration {
    (GRACE + Duration::from_secs(len / PACE_MIN)).min(most)
}
