//! The end of a connection: the last answer must arrive.
//!
//! Closing a socket with unread bytes makes the kernel reset the connection, and a reset can
//! destroy an answer that the client has not read yet, such as a refusal in the middle of a long
//! upload. So we close our side, read what still comes for a while, and only then let go.

use core::{future::poll_fn, pin::Pin, time::Duration};

use futures_lite::{AsyncRead, AsyncWrite, AsyncWriteExt, future::or};
use hyper::rt::Write;
use lode_world::World;

use crate::{
    watch::Verdict,
    wire::{READ_LEN, Wire},
};

/// How long and how much we listen to a client that we have answered.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_LEN: usize = 8 * 1024 * 1024;

/// Says `last`, closes our side, then reads the client's until it ends, says too much, or takes
/// too long.
pub(crate) async fn linger<W, S>(world: &W, mut wire: Wire<W, S>, last: &[u8])
where
    W: World,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let guest = wire.guest.clone();
    let work = async {
        // The client may be gone already; then there is nothing to wait for.
        if wire.stream.write_all(last).await.is_err() {
            return;
        }
        let closed = poll_fn(|context| Pin::new(&mut wire).poll_shutdown(context)).await;
        let mut left = LINGER_LEN;
        while closed.is_ok() && !wire.ended && left > 0 && guest.verdict() != Verdict::End {
            let read = poll_fn(|context| wire.poll_bytes(context, READ_LEN, |_| ())).await;
            match read {
                Ok(bytes) => left = left.saturating_sub(bytes),
                Err(_) => return,
            }
        }
    };
    or(work, world.sleep(LINGER_TIME)).await;
}
