//! What every executor of a node runs: open the store's part, serve, close.

use std::{io, net::SocketAddr, sync::mpsc::Sender};

use lode_edge::Edge;
use lode_engine::{
    mesh::Mesh,
    store::{Options, Store},
};
use lode_world::{Net, Program};
use lode_zgs::Asks;

use super::feed::Source;
use crate::failure::Failure;

/// What an executor tells the main thread.
pub enum News {
    /// It takes connections here.
    Listening(SocketAddr),
    /// It gives up.
    Failed(Failure),
    /// All executors have returned, or one of them died.
    Ended(io::Result<()>),
}

/// The program of a node.
#[derive(Clone)]
pub struct NodeProgram {
    /// The HTTP face.
    pub edge: Edge,
    /// How the store is opened.
    pub options: Options,
    /// How executors reach each other.
    pub mesh: Mesh,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the thread that settles asks for what is new.
    pub source: Option<Source>,
    /// Where the threads that speak 0G's protocol ask.
    pub asks: Option<Asks>,
    /// To the main thread.
    pub news: Sender<News>,
}

impl Program for NodeProgram {
    async fn run<W: Net>(self, world: W, index: usize) {
        let NodeProgram {
            edge,
            options,
            mesh,
            listen,
            source,
            asks,
            news,
        } = self;
        let tell = |item| {
            // The main thread listens until every executor has ended.
            let _gone = news.send(item).is_err();
        };
        let store = match Store::open(world.clone(), options, mesh, index).await {
            Ok(store) => store,
            Err(error) => {
                tell(News::Failed(Failure::other(
                    format!("the store cannot be opened: {error}"),
                    "correct the cause; nothing was changed",
                )));
                return;
            }
        };
        if let Some(source) = source.filter(|_| index == 0) {
            source.answer(&world, store.clone());
        }
        if let Some(asks) = asks {
            asks.answer(&world, &store);
        }
        let ready = |address| tell(News::Listening(address));
        if let Err(error) = edge.serve(world, store, listen, index, ready).await {
            tell(News::Failed(super::door::cannot_listen(listen, &error)));
        }
    }
}
