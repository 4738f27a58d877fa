//! Logs, by address and topics, of a block or of a range of blocks.
//!
//! ```text
//!  addresses ─► index of addresses ─┐
//!  topics[0] ─► index of topics ────┼─► heights ─► blooms ─► receipts ─► logs
//!  neither ───► every height ───────┘
//! ```
//! Promises: a range is answered whole or refused. A refusal's `data` tells the limits, and up to
//! which block the same query can be asked; that block is never before the range's first, so a client
//! that follows it always gets on.

use std::{collections::BTreeSet, fmt};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, BloomInput, U64};
use alloy_rpc_types_eth::Log as RpcLog;
use lode_chain_ledger::View;
use lode_chain_types::Height;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::{Value, json};

use crate::{
    arguments::{Account, Hash},
    failure::Failure,
    selector::Selector,
    service::{Answer, Deadline, Methods, Service},
    whole::Whole,
};

/// Addresses, or topics at one place, that a query may name (as in geth).
const CHOICES_MAX: usize = 1_000;
/// Topics that a log can have.
const TOPICS_MAX: usize = 4;

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("eth_getLogs", |service, arguments| {
        let query: Query = arguments.required()?;
        arguments.end()?;
        find(service, &service.view(), &query)
    });
}

/// What logs are looked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// In which blocks.
    pub span: Span,
    /// Of which logs.
    pub wanted: Wanted,
}

/// In which blocks.
#[derive(Clone, Copy, Debug)]
pub enum Span {
    /// From one to another, both included.
    Range(Selector, Selector),
    /// In one.
    Block(B256),
}

impl Default for Span {
    fn default() -> Self {
        Span::Range(Selector::Latest, Selector::Latest)
    }
}

/// Which logs.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of these addresses; none: of all.
    addresses: Vec<Address>,
    /// With one of these topics at each place; none: with any, even none.
    topics: Vec<Vec<B256>>,
}

impl Wanted {
    /// Whether a log is one of them.
    pub fn takes(&self, address: &Address, topics: &[B256]) -> bool {
        let by_address = self.addresses.is_empty() || self.addresses.contains(address);
        by_address
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }

    /// Whether a block or a receipt with this bloom may have one of them.
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let by_address =
            self.addresses.is_empty() || self.addresses.iter().any(|one| has(one.as_slice()));
        by_address
            && self
                .topics
                .iter()
                .all(|wanted| wanted.is_empty() || wanted.iter().any(|topic| has(topic.as_slice())))
    }

    /// Those of a block, in order.
    pub fn of(&self, whole: &Whole) -> Vec<RpcLog> {
        let mut found = Vec::new();
        if !self.may_be_in(&whole.header.logs_bloom) {
            return found;
        }
        for (at, receipt) in whole.receipts.iter().enumerate() {
            if self.may_be_in(receipt.logs_bloom()) {
                let logs = whole.logs(at);
                found.extend(logs.filter(|log| self.takes(&log.address(), log.topics())));
            }
        }
        found
    }

    /// Blocks of a range that may have one of them, by the index; none if it cannot tell.
    fn heights(
        &self,
        view: &View,
        from: Height,
        to: Height,
        deadline: Deadline,
    ) -> Answer<Option<BTreeSet<Height>>> {
        let addresses: Vec<&[u8]> = self.addresses.iter().map(|one| one.as_slice()).collect();
        let firsts = self.topics.first().into_iter().flatten();
        let topics: Vec<&[u8]> = firsts.map(|topic| topic.as_slice()).collect();
        let listed = |all: &[&[u8]]| -> Answer<BTreeSet<Height>> {
            let mut heights = BTreeSet::new();
            for one in all {
                deadline.check()?;
                for height in view.logged(one, from, to) {
                    heights.insert(height?);
                }
            }
            Ok(heights)
        };
        Ok(match (addresses.is_empty(), topics.is_empty()) {
            (true, true) => None,
            (false, true) => Some(listed(&addresses)?),
            (true, false) => Some(listed(&topics)?),
            (false, false) => {
                let (one, other) = (listed(&addresses)?, listed(&topics)?);
                Some(one.intersection(&other).copied().collect())
            }
        })
    }
}

/// The logs that are looked for.
///
/// # Errors
/// When the range is none, or is too much.
pub fn find(service: &Service, view: &View, query: &Query) -> Answer<Vec<RpcLog>> {
    match query.span {
        Span::Block(hash) => {
            let height = view
                .height_of(&hash)?
                .ok_or_else(|| Failure::server("unknown block"))?;
            let whole = service.recent.block(view, height)?;
            Ok(whole.map_or_else(Vec::new, |whole| query.wanted.of(&whole)))
        }
        Span::Range(from, to) => {
            let bound = |at: Selector| match at {
                Selector::Number(number) => Ok(number),
                at => at.known(view),
            };
            let (from, to) = (bound(from)?, bound(to)?);
            if from > to {
                return Err(Failure::argument("invalid block range params"));
            }
            if to > view.tip() {
                return Err(Failure::argument(
                    "block range extends beyond current head block",
                ));
            }
            if view.is_pruned(from.max(1)) && to > 0 {
                return Err(Failure::pruned());
            }
            between(service, view, &query.wanted, from, to)
        }
    }
}

/// Logs of blocks that are there.
///
/// # Errors
/// When there are too many, or it takes too long.
pub fn between(
    service: &Service,
    view: &View,
    wanted: &Wanted,
    from: Height,
    to: Height,
) -> Answer<Vec<RpcLog>> {
    let span_max = service.config.log_blocks_max;
    if to - from >= span_max {
        let last = from + span_max - 1;
        return Err(too_much(service, "block range is too wide", from, last));
    }
    let mut search = Search {
        service,
        view,
        wanted,
        from,
        found: Vec::new(),
        deadline: service.deadline(),
    };
    match wanted.heights(view, from, to, search.deadline)? {
        Some(heights) => heights
            .into_iter()
            .try_for_each(|height| search.block(height))?,
        None => (from..=to).try_for_each(|height| search.block(height))?,
    }
    Ok(search.found)
}

struct Search<'search> {
    service: &'search Service,
    view: &'search View,
    wanted: &'search Wanted,
    from: Height,
    found: Vec<RpcLog>,
    deadline: Deadline,
}

impl Search<'_> {
    fn block(&mut self, height: Height) -> Answer<()> {
        let first = height == self.from;
        if !first && self.deadline.over() {
            return Err(self.stop("query takes too long", height - 1));
        }
        let header = self.view.header(height)?;
        let may = |header: Header| self.wanted.may_be_in(&header.logs_bloom);
        if !header.is_some_and(may) {
            return Ok(());
        }
        // Not through the blocks that were read lately: a long search would drive them out.
        let Some(whole) = Whole::read(self.view, height)? else {
            return Ok(());
        };
        let logs = self.wanted.of(&whole);
        // A block's logs are answered however many they are: there is no smaller question.
        if !self.found.is_empty() && self.found.len() + logs.len() > self.service.config.logs_max {
            return Err(self.stop("query finds too many logs", height - 1));
        }
        self.found.extend(logs);
        Ok(())
    }

    fn stop(&self, what: &str, last: Height) -> Failure {
        too_much(self.service, what, self.from, last)
    }
}

/// `last` is a block up to which the same query can be answered.
fn too_much(service: &Service, what: &str, from: Height, last: Height) -> Failure {
    let data: Value = json!({
        "blocksMax": service.config.log_blocks_max,
        "logsMax": service.config.logs_max,
        "fromBlock": U64::from(from),
        "toBlock": U64::from(last.max(from)),
    });
    Failure::limit(format!("{what}: ask up to block {}", last.max(from)), data)
}

/// One value, or a list of them, or null; in the list there may be null as well.
struct Choices<T>(Vec<Option<T>>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Choices<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Either<T> {
            type Value = Choices<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Choices(Vec::new()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let one = T::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(Choices(vec![Some(one)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    if all.len() == CHOICES_MAX {
                        return Err(de::Error::custom("exceed max addresses or topics"));
                    }
                    all.push(one);
                }
                Ok(Choices(all))
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    block_hash: Option<Hash>,
    from_block: Option<Selector>,
    to_block: Option<Selector>,
    address: Option<Choices<Account>>,
    topics: Option<Vec<Option<Choices<Hash>>>>,
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        let span = match (raw.block_hash, raw.from_block, raw.to_block) {
            (Some(Hash(hash)), None, None) => Span::Block(hash),
            (None, from, to) => Span::Range(from.unwrap_or_default(), to.unwrap_or_default()),
            _ => {
                return Err(de::Error::custom(
                    "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
                ));
            }
        };
        let topics = raw.topics.unwrap_or_default();
        if topics.len() > TOPICS_MAX {
            return Err(de::Error::custom("exceed max topics"));
        }
        let topics = topics.into_iter().map(|choices| {
            let choices = choices.map_or_else(Vec::new, |choices| choices.0);
            // A null among the choices stands for any topic.
            let all: Option<Vec<B256>> =
                choices.into_iter().map(|choice| Some(choice?.0)).collect();
            all.unwrap_or_default()
        });
        let addresses = raw.address.map_or_else(Vec::new, |address| address.0);
        let addresses = addresses.into_iter().enumerate().map(|(index, one)| {
            let missing = || de::Error::custom(format!("non-string address at index {index}"));
            one.map(|one| one.0).ok_or_else(missing)
        });
        let wanted = Wanted {
            addresses: addresses.collect::<Result<_, _>>()?,
            topics: topics.collect(),
        };
        Ok(Query { span, wanted })
    }
}
