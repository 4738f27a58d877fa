//! A chain in memory, as small as one can be: its state is a hash over all that was put into blocks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_consensus::{BlockBody, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, Bytes, keccak256};
use commonware_utils::sync::Mutex;
use lode_chain_types::{Block, Finality, Height, Round};

use crate::{Committee, Execution, Validator};

/// Who is in which committee.
pub(crate) type Members = Arc<dyn Fn(u64) -> Vec<Validator> + Send + Sync>;

/// The chain of one validator. Clones are one.
#[derive(Clone)]
pub(crate) struct Toy(Arc<Mutex<Inner>>);

struct Inner {
    known: HashMap<B256, Block>,
    last: Vec<Block>,
    finalities: BTreeMap<Height, Finality>,
    members: Members,
    /// Put into every block, so that two validators never build the same.
    salt: Bytes,
    /// Builds blocks that break the rule.
    lies: bool,
}

impl Toy {
    pub(crate) fn new(committee: &Committee, members: Members, salt: &[u8]) -> Toy {
        let genesis = build(None, committee.round(), &Bytes::new());
        Toy(Arc::new(Mutex::new(Inner {
            known: HashMap::from([(genesis.hash(), genesis.clone())]),
            last: vec![genesis],
            finalities: BTreeMap::new(),
            members,
            salt: Bytes::copy_from_slice(salt),
            lies: false,
        })))
    }

    /// Begins with the state after a block of another chain: all that it has of the chain is up to
    /// that block.
    pub(crate) fn adopt(&self, chain: &[Block]) {
        let mut inner = self.0.lock();
        inner.last = chain.to_vec();
        inner.known = chain
            .last()
            .map(|block| (block.hash(), block.clone()))
            .into_iter()
            .collect();
    }

    /// From now on builds only blocks that break the rule.
    pub(crate) fn lie(&self) {
        self.0.lock().lies = true;
    }

    /// What a crash leaves: final blocks, and of these as many as were kept.
    pub(crate) fn crash(&self, lost: usize) {
        let mut inner = self.0.lock();
        let kept = inner.last.len().saturating_sub(lost).max(1);
        inner.last.truncate(kept);
        inner.known = inner
            .last
            .iter()
            .map(|block| (block.hash(), block.clone()))
            .collect();
    }

    /// All final blocks.
    pub(crate) fn chain(&self) -> Vec<Block> {
        self.0.lock().last.clone()
    }

    /// What proves them final, as far as it came with them.
    pub(crate) fn finalities(&self) -> BTreeMap<Height, Finality> {
        self.0.lock().finalities.clone()
    }
}

impl Execution for Toy {
    fn genesis(&self) -> Block {
        self.0.lock().last[0].clone()
    }

    fn height(&self) -> Height {
        self.0
            .lock()
            .last
            .last()
            .expect("there is a first")
            .height()
    }

    fn knows(&self, block: B256) -> bool {
        self.0.lock().known.contains_key(&block)
    }

    async fn propose(&self, parent: Block, round: Round) -> Option<Block> {
        let mut inner = self.0.lock();
        assert!(
            inner.known.contains_key(&parent.hash()),
            "built on a stranger"
        );
        let mut block = build(Some(&parent), round, &inner.salt);
        if inner.lies {
            let mut header = block.header().clone();
            header.state_root = B256::repeat_byte(0xbb);
            block = Block::new(header, block.body().clone(), block.round().clone());
        }
        inner.known.insert(block.hash(), block.clone());
        Some(block)
    }

    async fn verify(&self, block: Block) -> bool {
        let mut inner = self.0.lock();
        let parent = inner.known.get(&block.parent_hash());
        let parent = parent.expect("checked on a stranger").clone();
        let valid = is_valid(&parent, &block);
        if valid {
            inner.known.insert(block.hash(), block);
        }
        valid
    }

    async fn finalize(&self, block: Block, finality: Option<Finality>) {
        let mut inner = self.0.lock();
        let at = usize::try_from(block.height()).expect("a short chain");
        if let Some(before) = inner.last.get(at) {
            assert_eq!(before.hash(), block.hash(), "two final blocks at {at}");
            return;
        }
        assert_eq!(at, inner.last.len(), "final blocks come in order");
        assert!(is_valid(&inner.last[at - 1], &block), "final and not valid");
        if let Some(finality) = finality {
            assert_eq!(finality.block, block.hash().0, "another block's proof");
            inner.finalities.insert(block.height(), finality);
        }
        inner.known.insert(block.hash(), block.clone());
        inner.last.push(block);
    }

    async fn committee(&self, epoch: u64, decided: Height) -> Vec<Validator> {
        while self.height() < decided {
            futures_lite::future::yield_now().await;
        }
        let members = self.0.lock().members.clone();
        members(epoch)
    }
}

fn state(parent: B256, salt: &Bytes) -> B256 {
    keccak256([parent.as_slice(), salt].concat())
}

fn is_valid(parent: &Block, block: &Block) -> bool {
    let header = block.header();
    header.parent_hash == parent.hash()
        && header.number == parent.height() + 1
        && header.state_root == state(parent.header().state_root, &header.extra_data)
}

pub(crate) fn build(parent: Option<&Block>, round: Round, salt: &Bytes) -> Block {
    let header = Header {
        parent_hash: parent.map_or(B256::ZERO, Block::hash),
        number: parent.map_or(0, |parent| parent.height() + 1),
        timestamp: parent.map_or(0, |parent| parent.header().timestamp + 1),
        extra_data: salt.clone(),
        state_root: parent.map_or(B256::ZERO, |parent| state(parent.header().state_root, salt)),
        // All that came before the round in a header's list has to be there, or it reads as another.
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(round.commitment()),
        mix_hash: round.random(),
        ..Header::default()
    };
    let body = BlockBody {
        transactions: Vec::new(),
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
    };
    Block::new(header, body, round)
}
