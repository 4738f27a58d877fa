//! One life of the store: executors open it, clients use it, it closes or just ends.

use std::{cell::RefCell, future::Future, path::PathBuf, rc::Rc, time::Duration};

use lode_engine::{
    Error,
    mesh::Mesh,
    store::{Options, Store},
};
use lode_world::{Queue, World, sim::SimWorld};

use crate::{client::Client, dice::Dice, model::Model, plan::Plan};

/// Virtual time after which a life that has not ended hangs: a thousand times what the slowest
/// disk of any profile needs.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// The data directory.
pub const DIR: &str = "data";

/// What one life does.
#[derive(Clone, Debug)]
pub struct Life {
    /// Executors of this life.
    pub executors: usize,
    /// Clients.
    pub clients: usize,
    /// Things that each client does.
    pub acts: u64,
    /// Whether it looks at everything after the start.
    pub looks: bool,
    /// Whether it closes the store at its end.
    pub closes: bool,
    /// Clients' chance.
    pub dice: Dice,
}

impl Plan {
    /// How the store is opened.
    pub fn options(&self) -> Options {
        Options {
            dir: PathBuf::from(DIR),
            shards: self.shards,
            segment_len: self.segment_len,
            ingest_credit: self.ingest_credit,
            scrub_rate: self.scrub_rate,
            reserve_percent: 5,
            verify: self.verify,
        }
    }
}

/// Opens a store on all executors, as tasks of one world.
pub async fn open(
    world: &SimWorld,
    options: &Options,
    executors: usize,
) -> Result<Vec<Store<SimWorld>>, Error> {
    let mesh = Mesh::new(executors);
    let opening = (0..executors).map(|index| {
        let (world, options, mesh) = (world.clone(), options.clone(), mesh.clone());
        async move { Store::open(world, options, mesh, index).await }
    });
    let mut stores = Vec::new();
    for opened in all(world, opening.collect()).await {
        stores.push(opened?);
    }
    Ok(stores)
}

/// Closes a store on all executors.
pub async fn close(world: &SimWorld, stores: &[Store<SimWorld>]) -> Result<(), Error> {
    let closing = stores.iter().cloned();
    let closing = closing.map(|store| async move { store.close().await });
    all(world, closing.collect()).await.into_iter().collect()
}

/// Runs futures beside each other; their outputs in order.
pub async fn all<T: 'static>(
    world: &SimWorld,
    futures: Vec<impl Future<Output = T> + 'static>,
) -> Vec<T> {
    let count = futures.len();
    let (done, waiting) = async_channel::unbounded();
    for (number, future) in futures.into_iter().enumerate() {
        let done = done.clone();
        world.spawn(Queue::Serve, async move {
            let output = future.await;
            // The receiver is gone only when the run is.
            drop(done.send((number, output)).await);
        });
    }
    let mut outputs: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for _ in 0..count {
        let (number, output) = waiting.recv().await.expect("this function keeps a sender");
        outputs[number] = Some(output);
    }
    outputs.into_iter().flatten().collect()
}

/// The output of `work`, or none when it hangs.
pub async fn patiently<T>(world: &SimWorld, work: impl Future<Output = T>) -> Option<T> {
    within(world, PATIENCE, work).await
}

/// The output of `work`, or none if it takes longer than `span` of virtual time.
pub async fn within<T>(
    world: &SimWorld,
    span: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut late = std::pin::pin!(world.sleep(span));
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(output) = work.as_mut().poll(context) {
            return std::task::Poll::Ready(Some(output));
        }
        late.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Lives one life on an open store.
pub async fn live(
    world: &SimWorld,
    stores: &[Store<SimWorld>],
    life: &Life,
    model: &Rc<RefCell<Model>>,
) {
    let mut dice = life.dice.clone();
    let clients = (0..life.clients).map(|number| {
        let mut client = Client {
            number,
            store: dice.pick(stores).clone(),
            model: Rc::clone(model),
            dice: dice.split(),
        };
        let acts = life.acts;
        async move { client.run(acts).await }
    });
    let clients = clients.collect();
    if life.closes && dice.percent(30) {
        let (world, stores, model) = (world.clone(), stores.to_vec(), Rc::clone(model));
        let pause = Duration::from_micros(dice.within(1..=50_000));
        world.clone().spawn(Queue::Serve, async move {
            world.sleep(pause).await;
            close_all(&world, &stores, &model).await;
        });
    }
    all(world, clients).await;
    if life.closes && model.borrow().failure().is_none() {
        close_all(world, stores, model).await;
    }
}

/// Closes a store in order; an error must have a reason.
pub async fn close_all(world: &SimWorld, stores: &[Store<SimWorld>], model: &Rc<RefCell<Model>>) {
    model.borrow_mut().close_asked();
    model.borrow_mut().tally.one("op", "close");
    if let Err(error) = close(world, stores).await {
        model.borrow_mut().error(&error, "close");
    }
    model.borrow_mut().note(|| "closed".to_owned());
}
