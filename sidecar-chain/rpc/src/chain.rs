//! What the chain is: its number, its height, its client, its rules.

use std::collections::BTreeMap;

use alloy_hardforks::{EthereumHardfork, EthereumHardforks as _, ForkCondition};
use alloy_primitives::{Address, B256, Bytes, U64, address, keccak256};
use alloy_rlp::encode;
use lode_chain_ledger::View;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    arguments::{Arguments, Data, Quantity},
    failure::Failure,
    service::{Answer, Methods, Service},
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.quick("eth_chainId", chain_id);
    methods.quick("net_version", network);
    methods.quick("net_listening", |_, _| Ok(true));
    methods.quick("net_peerCount", |_, _| Ok(U64::ZERO));
    methods.quick("web3_clientVersion", |service, _| {
        Ok(service.config.client.clone())
    });
    methods.quick("web3_sha3", sha3);
    methods.quick("eth_blockNumber", |service, _| {
        Ok(U64::from(service.view().tip()))
    });
    // Only final blocks are visible, so there is no head to be behind of.
    methods.quick("eth_syncing", |_, _| Ok(false));
    methods.quick("eth_coinbase", |service, _| {
        Ok(service.ledger.options().beneficiary)
    });
    methods.quick("eth_config", config);
    methods.quick("eth_capabilities", capabilities);
    methods.quick("lode_getFinality", finality);
}

fn chain_id(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U64> {
    arguments.end()?;
    Ok(U64::from(service.rules.chain_id))
}

fn network(service: &Service, arguments: &mut Arguments<'_>) -> Answer<String> {
    arguments.end()?;
    Ok(service.rules.chain_id.to_string())
}

fn sha3(_: &Service, arguments: &mut Arguments<'_>) -> Answer<B256> {
    let Data(bytes) = arguments.required()?;
    Ok(keccak256(bytes))
}

/// A header and what proves it final: enough for a light client.
#[derive(Clone, Debug, Serialize)]
pub struct Finalized {
    /// RLP of the header: its keccak is what validators sign.
    header: Bytes,
    /// What proves it final; none for block zero.
    finality: Option<Bytes>,
}

/// What a light client needs of a block; none if there is no such block.
///
/// # Errors
/// When the store fails.
pub(crate) fn finalized(view: &View, height: u64) -> Answer<Option<Finalized>> {
    let Some(header) = view.header(height)? else {
        return Ok(None);
    };
    let finality = view.finality(height)?;
    Ok(Some(Finalized {
        header: encode(header).into(),
        finality: finality.map(|finality| Bytes::copy_from_slice(&finality.encode()[..])),
    }))
}

fn finality(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Option<Finalized>> {
    let Quantity(height) = arguments.required()?;
    arguments.end()?;
    finalized(&service.view(), height)
}

fn capabilities(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Value> {
    arguments.end()?;
    let view = service.view();
    let hash = view.hash(view.tip())?;
    let from = |height: u64| json!({ "disabled": false, "oldestBlock": U64::from(height) });
    let states = view.from();
    Ok(json!({
        "head": { "number": U64::from(view.tip()), "hash": hash },
        "state": from(states),
        "stateproofs": from(states),
        "tx": from(view.base()),
        "logs": from(view.base()),
        "receipts": from(view.base()),
        "blocks": from(view.base()),
    }))
}

/// Forks that change execution, in their order in time (EIP-7910 knows only these).
const TIMED: [EthereumHardfork; 6] = [
    EthereumHardfork::Cancun,
    EthereumHardfork::Prague,
    EthereumHardfork::Osaka,
    EthereumHardfork::Bpo1,
    EthereumHardfork::Bpo2,
    EthereumHardfork::Amsterdam,
];

/// Rules that hold now, that come next, and that come last (EIP-7910).
fn config(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Value> {
    arguments.end()?;
    let view = service.view();
    let header = view.header(view.tip())?;
    let now = header
        .ok_or_else(|| Failure::server("header not found"))?
        .timestamp;
    let spec = &service.ledger.chain().spec;
    let mut times: Vec<u64> = TIMED
        .iter()
        .filter_map(|fork| match spec.ethereum_fork_activation(*fork) {
            ForkCondition::Timestamp(time) => Some(time),
            _ => None,
        })
        .collect();
    times.sort_unstable();
    times.dedup();
    let current = times.iter().rev().find(|time| **time <= now).copied();
    let next = times.iter().find(|time| **time > now).copied();
    let last = times.last().copied().filter(|last| *last > now);
    Ok(json!({
        "current": rules(service, current.unwrap_or(0)),
        "next": next.map(|time| rules(service, time)),
        "last": last.map(|time| rules(service, time)),
    }))
}

fn rules(service: &Service, time: u64) -> Value {
    let chain = service.ledger.chain();
    let spec = &chain.spec;
    let blobs = spec.blob_params(time).map(|blobs| {
        json!({
            "target": blobs.target_blob_count,
            "max": blobs.max_blob_count,
            "baseFeeUpdateFraction": blobs.update_fraction,
        })
    });
    json!({
        "activationTime": time,
        "blobSchedule": blobs,
        "chainId": U64::from(spec.chain_id()),
        "forkId": Bytes::copy_from_slice(&fork_id(service, time)),
        "precompiles": precompiles(service, time),
        "systemContracts": contracts(service, time),
    })
}

/// Every fork there may be, for the checksum of EIP-2124.
const FORKS: [EthereumHardfork; 24] = [
    EthereumHardfork::Homestead,
    EthereumHardfork::Dao,
    EthereumHardfork::Tangerine,
    EthereumHardfork::SpuriousDragon,
    EthereumHardfork::Byzantium,
    EthereumHardfork::Constantinople,
    EthereumHardfork::Petersburg,
    EthereumHardfork::Istanbul,
    EthereumHardfork::MuirGlacier,
    EthereumHardfork::Berlin,
    EthereumHardfork::London,
    EthereumHardfork::ArrowGlacier,
    EthereumHardfork::GrayGlacier,
    EthereumHardfork::Paris,
    EthereumHardfork::Shanghai,
    EthereumHardfork::Cancun,
    EthereumHardfork::Prague,
    EthereumHardfork::Osaka,
    EthereumHardfork::Bpo1,
    EthereumHardfork::Bpo2,
    EthereumHardfork::Bpo3,
    EthereumHardfork::Bpo4,
    EthereumHardfork::Bpo5,
    EthereumHardfork::Amsterdam,
];

/// Checksum of block zero and of the forks up to `time` (EIP-2124, EIP-6122).
fn fork_id(service: &Service, time: u64) -> [u8; 4] {
    let chain = service.ledger.chain();
    let (mut blocks, mut times) = (Vec::new(), Vec::new());
    for fork in FORKS {
        match chain.spec.ethereum_fork_activation(fork) {
            ForkCondition::Block(block) => blocks.push(block),
            ForkCondition::TTD {
                fork_block: Some(block),
                ..
            } => blocks.push(block),
            ForkCondition::Timestamp(at) if at <= time => times.push(at),
            _ => {}
        }
    }
    let genesis = chain.genesis.header().timestamp;
    blocks.retain(|block| *block > 0);
    times.retain(|at| *at > genesis);
    let mut sum = Crc32::default();
    sum.add(chain.genesis.hash().as_slice());
    for mut forks in [blocks, times] {
        forks.sort_unstable();
        forks.dedup();
        forks.iter().for_each(|at| sum.add(&at.to_be_bytes()));
    }
    sum.value().to_be_bytes()
}

/// CRC-32 (ISO-HDLC), as EIP-2124 asks for. A few bytes now and then: bit by bit will do.
struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Crc32(u32::MAX)
    }
}

impl Crc32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let carry = self.0 & 1;
                self.0 >>= 1;
                self.0 ^= carry * Self::POLYNOMIAL;
            }
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

/// Precompiles by their names in EIP-7910.
fn precompiles(service: &Service, time: u64) -> BTreeMap<&'static str, Address> {
    let spec = &service.ledger.chain().spec;
    let mut all: Vec<(&str, u16)> = vec![
        ("ECREC", 0x01),
        ("SHA256", 0x02),
        ("RIPEMD160", 0x03),
        ("ID", 0x04),
        ("MODEXP", 0x05),
        ("BN254_ADD", 0x06),
        ("BN254_MUL", 0x07),
        ("BN254_PAIRING", 0x08),
        ("BLAKE2F", 0x09),
    ];
    if spec.is_cancun_active_at_timestamp(time) {
        all.push(("KZG_POINT_EVALUATION", 0x0a));
    }
    if spec.is_prague_active_at_timestamp(time) {
        all.extend([
            ("BLS12_G1ADD", 0x0b),
            ("BLS12_G1MSM", 0x0c),
            ("BLS12_G2ADD", 0x0d),
            ("BLS12_G2MSM", 0x0e),
            ("BLS12_PAIRING_CHECK", 0x0f),
            ("BLS12_MAP_FP_TO_G1", 0x10),
            ("BLS12_MAP_FP2_TO_G2", 0x11),
        ]);
    }
    if spec.is_osaka_active_at_timestamp(time) {
        all.push(("P256VERIFY", 0x100));
    }
    let address = |number: u16| Address::left_padding_from(&number.to_be_bytes());
    all.into_iter()
        .map(|(name, number)| (name, address(number)))
        .collect()
}

/// Contracts that blocks call by themselves, by their names in EIP-7910.
fn contracts(service: &Service, time: u64) -> BTreeMap<&'static str, Address> {
    use alloy_evm::eth::spec::EthExecutorSpec as _;
    let spec = &service.ledger.chain().spec;
    let mut all = BTreeMap::new();
    if spec.is_cancun_active_at_timestamp(time) {
        all.insert(
            "BEACON_ROOTS_ADDRESS",
            address!("000f3df6d732807ef1319fb7b8bb8522d0beac02"),
        );
    }
    if spec.is_prague_active_at_timestamp(time) {
        all.extend([
            (
                "CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS",
                address!("0000bbddc7ce488642fb579f8b00f3a590007251"),
            ),
            (
                "HISTORY_STORAGE_ADDRESS",
                address!("0000f90827f1c53a10cb7a02335b175320002935"),
            ),
            (
                "WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS",
                address!("00000961ef480eb55e80d19ad83579a64c007002"),
            ),
        ]);
        let deposits = spec.deposit_contract_address();
        all.extend(deposits.map(|address| ("DEPOSIT_CONTRACT_ADDRESS", address)));
    }
    all
}
