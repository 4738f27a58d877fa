//! TCP, against clients of the standard library on threads of their own.

use super::{Breach, Nonconforming, Verdict, ensure, named};
use crate::{Net, Queue, units::on_disk};
use futures_lite::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    thread::{self, JoinHandle},
    time::Duration,
};

const MIB: usize = 1 << 20;
/// Enough that no socket buffer holds it all.
const LONG: usize = 16 * MIB;

/// Checks sockets: echo, large vectored writes to a slow reader, many connections, shared ports,
/// peers that leave.
///
/// # Errors
/// Names the check that failed and what was seen.
pub async fn net<W: Net>(world: &W) -> Result<(), Nonconforming> {
    echo(world).await.map_err(named("echo"))?;
    vectored(world).await.map_err(named("vectored writes"))?;
    crowd(world).await.map_err(named("many connections"))?;
    shared_port(world).await.map_err(named("shared port"))?;
    leavers(world).await.map_err(named("peers that leave"))
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn pattern(len: usize) -> Vec<u8> {
    let words = (0..len / 8).map(|word| on_disk(word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

fn client<T: Send + 'static>(
    addr: SocketAddr,
    act: impl FnOnce(TcpStream) -> io::Result<T> + Send + 'static,
) -> JoinHandle<io::Result<T>> {
    thread::spawn(move || act(TcpStream::connect(addr)?))
}

fn finish<T>(client: JoinHandle<io::Result<T>>) -> Result<T, Breach> {
    Ok(client
        .join()
        .map_err(|_| Breach::Broken("a client panicked".into()))??)
}

/// Bytes come back unchanged, and the end of one side reaches the other.
async fn echo<W: Net>(world: &W) -> Verdict {
    let listener = world.listen(local())?;
    let addr = W::local_addr(&listener)?;
    ensure(addr.port() != 0, || "the real port is not told".into())?;
    let client = client(addr, |mut stream| {
        let sent = pattern(MIB);
        let mut reader = stream.try_clone()?;
        let read = thread::spawn(move || {
            let mut back = Vec::new();
            reader.read_to_end(&mut back).map(|_| back)
        });
        stream.write_all(&sent)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let back = read
            .join()
            .map_err(|_| io::Error::other("the reader panicked"))??;
        Ok((stream.local_addr()?, sent == back))
    });
    let (mut stream, peer) = world.accept(&listener).await?;
    let mut buf = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut buf).await?;
        if count == 0 {
            break;
        }
        stream.write_all(&buf[..count]).await?;
    }
    stream.flush().await?;
    stream.close().await?;
    drop(stream);
    let (client_addr, same) = finish(client)?;
    ensure(peer == client_addr, || {
        format!("{client_addr} was seen as {peer}")
    })?;
    ensure(same, || "the echo differs".into())
}

/// A head and a body of 16 MiB leave by vectored writes while the reader dawdles.
async fn vectored<W: Net>(world: &W) -> Verdict {
    let listener = world.listen(local())?;
    let client = client(W::local_addr(&listener)?, |mut stream| {
        let mut all = Vec::new();
        let mut piece = vec![0; 200_000];
        loop {
            let count = stream.read(&mut piece)?;
            if count == 0 {
                return Ok(all);
            }
            all.extend_from_slice(&piece[..count]);
            if all.len() < LONG / 4 {
                thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let (mut stream, _) = world.accept(&listener).await?;
    let (head, body, tail) = (
        b"head of the reply\r\n".to_vec(),
        pattern(LONG),
        b"tail".to_vec(),
    );
    let sent = [head.clone(), body.clone(), tail.clone()].concat();
    let mut at = 0;
    while at < sent.len() {
        let parts: [&[u8]; 3] = [&head, &body, &tail];
        let mut skip = at;
        let slices: Vec<IoSlice<'_>> = parts
            .iter()
            .filter_map(|part| {
                let skipped = skip.min(part.len());
                skip -= skipped;
                (skipped < part.len()).then(|| IoSlice::new(&part[skipped..]))
            })
            .collect();
        let count =
            poll_fn(|context| Pin::new(&mut stream).poll_write_vectored(context, &slices)).await?;
        // A stand-in for vectored writes sends the first slice alone.
        let least = if at == 0 { head.len() } else { 0 };
        ensure(count > least, || {
            format!("a vectored write at {at} moved {count} bytes")
        })?;
        at += count;
    }
    stream.close().await?;
    drop(stream);
    let received = finish(client)?;
    ensure(received == sent, || {
        format!(
            "{} of {} bytes arrived, or others",
            received.len(),
            sent.len()
        )
    })
}

/// Fifty clients at once, each served by a task of its own.
async fn crowd<W: Net>(world: &W) -> Verdict {
    let listener = world.listen(local())?;
    let addr = W::local_addr(&listener)?;
    let clients: Vec<_> = (0..50u8)
        .map(|number| {
            client(addr, move |mut stream| {
                let mut answer = [0; 4096];
                for round in 0..20u8 {
                    stream.write_all(&[number ^ round; 4096])?;
                    stream.read_exact(&mut answer)?;
                    if answer != [number ^ round ^ 0xff; 4096] {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
        })
        .collect();
    for _ in 0..clients.len() {
        let (mut stream, _) = world.accept(&listener).await?;
        world.spawn(Queue::Serve, async move {
            let mut buf = [0; 4096];
            while stream.read_exact(&mut buf).await.is_ok() {
                for byte in &mut buf {
                    *byte ^= 0xff;
                }
                if stream.write_all(&buf).await.is_err() {
                    return;
                }
            }
        });
    }
    // Waiting for the clients on this thread would stop the tasks that serve them.
    let (done, finished) = async_channel::bounded(1);
    thread::spawn(move || {
        let all: Result<Vec<bool>, Breach> = clients.into_iter().map(finish).collect();
        // Nobody listening means that the check has failed elsewhere.
        let _ = done.send_blocking(all);
    });
    let all = finished
        .recv()
        .await
        .map_err(|_| Breach::Broken("the clients are gone".into()))??;
    ensure(all.iter().all(|same| *same), || {
        "a client got another's bytes".into()
    })
}

/// Two listeners share one port, as the executors of a node do.
async fn shared_port<W: Net>(world: &W) -> Verdict {
    let first = world.listen(local())?;
    let addr = W::local_addr(&first)?;
    let second = world.listen(addr)?;
    ensure(W::local_addr(&second)? == addr, || {
        "the second listens elsewhere".into()
    })
}

/// A peer that leaves in the middle is an end or an error, not a hang.
async fn leavers<W: Net>(world: &W) -> Verdict {
    let listener = world.listen(local())?;
    let leaver = client(W::local_addr(&listener)?, |mut stream| {
        stream.write_all(b"half")
    });
    let (mut stream, _) = world.accept(&listener).await?;
    let mut buf = [0; 8];
    ensure(stream.read_exact(&mut buf).await.is_err(), || {
        "bytes from nowhere".into()
    })?;
    let body = vec![0; MIB];
    let mut failed = false;
    for _ in 0..64 {
        let slices = [IoSlice::new(&body)];
        failed |= poll_fn(|context| Pin::new(&mut stream).poll_write_vectored(context, &slices))
            .await
            .is_err();
        if failed {
            break;
        }
        // The reset may still be under way.
        world.sleep(Duration::from_millis(1)).await;
    }
    ensure(failed, || "64 MiB went to a peer that had left".into())?;
    finish(leaver)
}
