//! One accept loop per executor, all on one port; connections live and die on their executor.
//!
//! ```text
//!   SO_REUSEPORT ─► executor 0: accept ─► connection ─► shards' routes ─► store
//!                ─► executor 1: accept ─► connection ─┐
//!                                                     └─► other routes ─► desk (tokio)
//! ```

use core::{
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};
use std::{cell::RefCell, io, rc::Rc, sync::Arc};

use async_channel::{Receiver, Sender, bounded};
use futures_lite::{AsyncWriteExt, future::or};
use hyper::{server::conn::http1, service::service_fn};
use lode_engine::store::Store;
use lode_world::{Net, Queue};

use crate::{
    credit::Credit,
    desk::Desk,
    forward::{self, Letter, Question},
    handle::{Shop, handle},
    limits::Limits,
    linger::linger,
    meter::{Door, Meter},
    problem::{BAD_REQUEST, CROWDED, LONG_HEAD, LONG_PATH, Problem},
    watch::{Place, Verdict, Watch},
    wire::{READ_LEN, Scratch, Wire},
};

/// How often the sweep looks at every connection.
const SWEEP_TIME: Duration = Duration::from_millis(250);

/// Pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The HTTP face of a store. One value for all executors; cloning is cheap.
#[derive(Clone)]
pub struct Edge {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    meters: Arc<[Arc<Meter>]>,
    letters: Sender<Letter>,
    questions: Receiver<Question>,
    /// Executor 0 tells the others where it listens: port 0 is asked for once.
    address: (Sender<SocketAddr>, Receiver<SocketAddr>),
    stopping: Arc<AtomicBool>,
    /// Never sent on: closing it is the signal.
    stop: (Sender<()>, Receiver<()>),
    /// Executors that still serve, and executors whose store is still open.
    serving: AtomicUsize,
    open: AtomicUsize,
}

impl Edge {
    /// An edge for `executors` executors, and the part of it that runs on tokio.
    pub fn new(limits: Limits, executors: usize) -> (Edge, Desk) {
        let (letters, letters_out) = forward::letters();
        let (questions_in, questions) = forward::questions();
        let meters: Arc<[Arc<Meter>]> = (0..executors).map(|_| Arc::default()).collect();
        let stopping = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            letters: letters_out,
            questions: questions_in,
            meters: meters.clone(),
            stopping: stopping.clone(),
            settlement: None,
            storage_rpc: None,
            more: None,
        };
        let shared = Shared {
            limits,
            meters,
            letters,
            questions,
            address: bounded(executors.max(1)),
            stopping,
            stop: bounded(1),
            serving: AtomicUsize::new(executors),
            open: AtomicUsize::new(executors),
        };
        (
            Edge {
                shared: Arc::new(shared),
            },
            desk,
        )
    }

    /// Asks all executors to stop taking requests, finish those in flight, close the store, and
    /// return from [`Edge::serve`]. May be called from any thread, more than once.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Relaxed);
        self.shared.stop.0.close();
    }

    /// Serves on executor `index` until [`Edge::stop`]; then drains, closes the store and returns.
    /// Calls `ready` with the real address once it listens.
    ///
    /// # Errors
    /// Cannot listen. The store is closed then too.
    pub async fn serve<W: Net>(
        &self,
        world: W,
        store: Store<W>,
        listen: SocketAddr,
        index: usize,
        ready: impl FnOnce(SocketAddr),
    ) -> io::Result<()> {
        let served = match self.listen(&world, listen, index).await {
            Ok((listener, address)) => {
                ready(address);
                self.accept_until_stop(&world, &store, &listener, index)
                    .await;
                Ok(())
            }
            Err(error) => {
                self.stop();
                Err(error)
            }
        };
        // No executor closes its shards while another still serves requests from them.
        let deadline = world.now() + self.shared.limits.drain_time;
        self.meet(&world, &self.shared.serving, deadline).await;
        if let Err(error) = store.close().await {
            tracing::error!(%error, "the store did not close cleanly; the next start replays its log");
        }
        self.meet(&world, &self.shared.open, deadline).await;
        self.shared.letters.close();
        served
    }

    async fn listen<W: Net>(
        &self,
        world: &W,
        listen: SocketAddr,
        index: usize,
    ) -> io::Result<(W::Listener, SocketAddr)> {
        if index != 0 {
            let gone = || io::Error::other("the first executor could not listen");
            let address = or(async { self.shared.address.1.recv().await.ok() }, async {
                self.stopped().await;
                None
            });
            let address = address.await.ok_or_else(gone)?;
            return Ok((world.listen(address)?, address));
        }
        let listener = world.listen(listen)?;
        let address = W::local_addr(&listener)?;
        for _ in 1..self.shared.meters.len() {
            // There is room for one each.
            let _full = self.shared.address.0.try_send(address).is_err();
        }
        Ok((listener, address))
    }

    /// Completes when [`Edge::stop`] was called.
    async fn stopped(&self) {
        let _closed = self.shared.stop.1.recv().await;
    }

    /// Waits until every executor has come here, or the deadline.
    async fn meet<W: Net>(&self, world: &W, left: &AtomicUsize, deadline: Duration) {
        left.fetch_sub(1, Relaxed);
        while left.load(Relaxed) > 0 && world.now() < deadline {
            world.sleep(Duration::from_millis(2)).await;
        }
    }

    async fn accept_until_stop<W: Net>(
        &self,
        world: &W,
        store: &Store<W>,
        listener: &W::Listener,
        index: usize,
    ) {
        let floor = Floor::new(world, store, &self.shared, index);
        floor.start_sweep();
        if index == 0 {
            let questions = self.shared.questions.clone();
            let answers = forward::answer(world.clone(), store.clone(), questions);
            world.spawn(Queue::Serve, answers);
        }
        let accept = async {
            loop {
                match world.accept(listener).await {
                    Ok((stream, peer)) => floor.welcome(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted; raise the limit of open files if this repeats");
                        world.sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        or(accept, self.stopped()).await;
        floor.drain().await;
    }
}

/// One executor's connections and what they share.
struct Floor<W: Net> {
    shop: Rc<Shop<W>>,
    watch: Rc<Watch>,
    scratch: Scratch,
    /// Streams that are being told that there is no room.
    refusing: Rc<core::cell::Cell<usize>>,
}

/// Refusals under way at once; beyond it a connection is closed without a word.
const REFUSALS: usize = 64;

impl<W: Net> Floor<W> {
    fn new(world: &W, store: &Store<W>, shared: &Shared, index: usize) -> Self {
        let limits = shared.limits;
        let shop = Shop {
            world: world.clone(),
            store: store.clone(),
            limits,
            meter: shared.meters[index].clone(),
            replies: Credit::new(limits.reply_credit),
            intakes: Credit::new(limits.intake_credit),
            letters: shared.letters.clone(),
        };
        Floor {
            shop: Rc::new(shop),
            watch: Watch::new(limits),
            scratch: Rc::new(RefCell::new(vec![0; READ_LEN])),
            refusing: Rc::default(),
        }
    }

    /// Looks at all connections now and then, for as long as the executor lives.
    fn start_sweep(&self) {
        let (shop, watch) = (self.shop.clone(), self.watch.clone());
        let world = shop.world.clone();
        self.shop.world.spawn(Queue::Serve, async move {
            loop {
                world.sleep(SWEEP_TIME).await;
                let short = shop.replies.is_short() || shop.intakes.is_short();
                watch.sweep(world.now(), short, &shop.meter);
                let connections = u64::try_from(watch.count()).unwrap_or(u64::MAX);
                shop.meter
                    .gauges(connections, shop.replies.held(), shop.intakes.held());
            }
        });
    }

    /// Starts a connection, or refuses it.
    fn welcome(&self, stream: W::Stream, peer: SocketAddr) {
        let world = &self.shop.world;
        self.shop.meter.accepted();
        match self.watch.admit(world.now(), &self.shop.meter) {
            Some(place) => {
                let (shop, scratch) = (self.shop.clone(), self.scratch.clone());
                world.spawn(Queue::Serve, converse(shop, scratch, place, stream, peer));
            }
            None if self.refusing.get() < REFUSALS => {
                let (refusing, sleep) = (self.refusing.clone(), world.sleep(SWEEP_TIME));
                refusing.set(refusing.get() + 1);
                world.spawn(Queue::Serve, async move {
                    or(refuse(stream), sleep).await;
                    refusing.set(refusing.get() - 1);
                });
            }
            None => {}
        }
    }

    /// Lets every request in flight end, up to the deadline.
    async fn drain(&self) {
        let world = &self.shop.world;
        let deadline = world.now() + self.shop.limits.drain_time;
        self.watch.ask_to_leave();
        while self.watch.count() > 0 && world.now() < deadline {
            world.sleep(Duration::from_millis(5)).await;
        }
        if self.watch.count() > 0 {
            tracing::warn!(
                connections = self.watch.count(),
                "requests cut off at the deadline"
            );
            self.watch.end_all();
        }
    }
}

/// Tells a client that there is no room.
async fn refuse<S: futures_lite::AsyncWrite + Unpin>(mut stream: S) {
    let problem = Problem::new(CROWDED, "this node serves as many connections as it may");
    // The client may be gone; there is nobody else to tell.
    let _gone = stream.write_all(&problem.last_words()).await.is_err();
    let _gone = stream.close().await.is_err();
}

/// Serves one connection to its end.
async fn converse<W: Net>(
    shop: Rc<Shop<W>>,
    scratch: Scratch,
    place: Place,
    stream: W::Stream,
    peer: SocketAddr,
) {
    let (world, guest) = (shop.world.clone(), place.guest.clone());
    let wire = Wire {
        world: world.clone(),
        stream,
        guest: guest.clone(),
        scratch,
        ended: false,
        kept_back: None,
    };
    let service =
        service_fn(|request| Box::pin(handle(shop.clone(), guest.clone(), peer, request)));
    let mut connection = http1::Builder::new()
        .max_buf_size(READ_LEN)
        .max_header_size(shop.limits.head_len)
        .serve_connection(wire, service);
    let mut asked = false;
    let ended = poll_fn(|context| {
        guest.listen(context.waker());
        if guest.verdict() == Verdict::End {
            return Poll::Ready(None);
        }
        if guest.should_leave() && !asked {
            asked = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(context).map(Some)
    });
    let Some(outcome) = ended.await else { return };
    let wire = connection.into_parts().io;
    // An error is the client's: it left, or spoke no HTTP.
    let problem = wire.kept_back.map(|status| {
        let why = outcome.map_or_else(|error| error.to_string(), |()| "no request".to_owned());
        unreadable(status, &why, &shop.limits)
    });
    let last = problem.map(|problem| {
        let span = world.now().saturating_sub(guest.since());
        let words = problem.last_words();
        let sent = u64::try_from(words.len()).unwrap_or(u64::MAX);
        shop.meter
            .request(Door::Other, problem.code.status, span, sent);
        words
    });
    linger(&world, wire, last.as_deref().unwrap_or_default()).await;
}

/// What hyper could not read as a request, in our words.
fn unreadable(status: u16, why: &str, limits: &Limits) -> Problem {
    match status {
        431 => Problem::new(
            LONG_HEAD,
            format!(
                "the request line and headers have more than {} bytes, or there are too many",
                limits.head_len
            ),
        ),
        414 => Problem::new(LONG_PATH, "the request target has more than 65534 bytes"),
        _ => Problem::new(
            BAD_REQUEST,
            format!("this is no request of HTTP/1.1: {why}"),
        ),
    }
}
