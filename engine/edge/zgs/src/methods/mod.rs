//! One function for each row of 0G wire, 3.1, and one of our own for the nodes beside this one.

mod download;
mod file;
mod flow;
mod node;
mod sector;
mod upload;

use std::sync::Arc;

use jsonrpsee::{RpcModule, types::Params};
use lode_flow::Submission;
use lode_proofs::Hash32;
use serde::{Serialize, de::DeserializeOwned};

use crate::{refusal::Refusal, room::Room};

/// What a method answers.
type Answer<T> = Result<T, Refusal>;

/// A submission by its number, or the first one of a root.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(untagged)]
enum SeqOrRoot {
    Seq(u64),
    Root(Hash32),
}

impl SeqOrRoot {
    fn find(self, room: &Room) -> Answer<Option<Submission>> {
        Ok(match self {
            SeqOrRoot::Seq(seq) => room.book.submission(seq)?,
            SeqOrRoot::Root(root) => room.submission_of(root)?,
        })
    }
}

/// Positional parameters, one after the other.
struct Arguments<'text>(jsonrpsee::types::params::ParamsSequence<'text>);

impl<'text> Arguments<'text> {
    fn of(params: &'text Params<'static>) -> Self {
        Arguments(params.sequence())
    }

    /// The next one.
    fn next<T: DeserializeOwned>(&mut self) -> Answer<T> {
        Ok(self.0.next()?)
    }

    /// The next one, if it is there and not null: older clients send fewer.
    fn optional<T: DeserializeOwned>(&mut self) -> Answer<Option<T>> {
        Ok(self.0.optional_next()?)
    }
}

/// Names and functions of all methods.
struct Methods(RpcModule<Room>);

impl Methods {
    fn add<R, F>(&mut self, name: &'static str, method: fn(Arc<Room>, Params<'static>) -> F)
    where
        R: Serialize + Send + Clone + 'static,
        F: Future<Output = Answer<R>> + Send + 'static,
    {
        let added = self
            .0
            .register_async_method(name, move |params, room, _| method(room, params));
        added.expect("names of methods differ");
    }
}

/// All methods.
pub fn module(room: Arc<Room>) -> RpcModule<Room> {
    let mut methods = Methods(RpcModule::from_arc(room));
    node::register(&mut methods);
    file::register(&mut methods);
    upload::register(&mut methods);
    download::register(&mut methods);
    flow::register(&mut methods);
    methods.0
}
