//! One function for each row of 0G wire, 3.1, and one of our own for the nodes beside this one.

mod download;
mod file;
mod flow;
mod node;
mod sector;
mod upload;

use core::fmt;
use std::sync::Arc;

use jsonrpsee::{RpcModule, types::Params};
use lode_flow::Submission;
use lode_proofs::Hash32;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, IntoDeserializer as _},
};

use crate::{refusal::Refusal, room::Room};

/// What a method answers.
pub(crate) type Answer<T> = Result<T, Refusal>;

/// A submission by its number, or the first one of a root.
#[derive(Clone, Copy, Debug)]
enum SeqOrRoot {
    Seq(u64),
    Root(Hash32),
}

/// Reads a number or a text, nothing else, and keeps nothing of what it is not: serde's own untagged
/// enums build a tree of whatever comes before they look at it, many times its bytes.
impl<'de> Deserialize<'de> for SeqOrRoot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = SeqOrRoot;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("the number of a submission, or a root")
            }

            fn visit_u64<E: de::Error>(self, seq: u64) -> Result<SeqOrRoot, E> {
                Ok(SeqOrRoot::Seq(seq))
            }

            fn visit_str<E: de::Error>(self, root: &str) -> Result<SeqOrRoot, E> {
                let root = Hash32::deserialize(root.into_deserializer())?;
                Ok(SeqOrRoot::Root(root))
            }
        }
        deserializer.deserialize_any(Either)
    }
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
pub(crate) struct Arguments<'text>(jsonrpsee::types::params::ParamsSequence<'text>);

impl<'text> Arguments<'text> {
    pub(crate) fn of(params: &'text Params<'static>) -> Self {
        Arguments(params.sequence())
    }

    /// The next one.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Answer<T> {
        Ok(self.0.next()?)
    }

    /// The next one, if it is there and not null: older clients send fewer.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self) -> Answer<Option<T>> {
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
            .register_async_method(name, move |params, room, _| async move {
                let answer = method(Arc::clone(&room), params).await;
                answer.inspect_err(|refusal| room.meter.refused(refusal.reason()))
            });
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
