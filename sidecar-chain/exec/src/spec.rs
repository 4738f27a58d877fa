//! Which rules of Ethereum hold when, from a genesis file in geth's form.

use alloy_eips::{eip7840::BlobParams, eip7892::BlobScheduleBlobParams};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};

use crate::factory::Factory;

/// The member of a genesis file's `config` that makes it one of ours. It holds what a verifier trusts:
/// the committee's key and the namespace of its signatures.
pub const OURS: &str = "lode";

/// The rules of a chain.
#[derive(Clone, Debug)]
pub struct Spec {
    config: ChainConfig,
    blobs: BlobScheduleBlobParams,
}

impl Spec {
    /// The rules that a genesis file states.
    pub fn new(config: ChainConfig) -> Self {
        let blobs = config.blob_schedule_blob_params();
        Spec { config, blobs }
    }

    /// Its number (EIP-155).
    pub fn chain_id(&self) -> u64 {
        self.config.chain_id
    }

    /// EVMs as the chain's blocks, calls and tracers need them. A chain is one of ours, with
    /// [`crate::precompiles`] from its first block, if its genesis file's `config` has [`OURS`].
    pub fn factory(&self) -> Factory {
        Factory::new(self.config.extra_fields.contains_key(OURS))
    }

    /// How many blobs fit a block of that time, and what they cost (EIP-7840, EIP-7892).
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        if let Some(scheduled) = self.blobs.active_scheduled_params_at_timestamp(timestamp) {
            Some(*scheduled)
        } else if self.is_osaka_active_at_timestamp(timestamp) {
            Some(self.blobs.osaka)
        } else if self.is_prague_active_at_timestamp(timestamp) {
            Some(self.blobs.prague)
        } else if self.is_cancun_active_at_timestamp(timestamp) {
            Some(self.blobs.cancun)
        } else {
            None
        }
    }

    /// The merge has no block of its own in a genesis file, but for `mergeNetsplitBlock`.
    fn merge(&self) -> ForkCondition {
        let config = &self.config;
        let Some(total_difficulty) = config.terminal_total_difficulty else {
            return ForkCondition::Never;
        };
        let at_genesis = total_difficulty == U256::ZERO || config.terminal_total_difficulty_passed;
        let known = config.merge_netsplit_block;
        ForkCondition::TTD {
            activation_block_number: known.unwrap_or(if at_genesis { 0 } else { u64::MAX }),
            fork_block: known,
            total_difficulty,
        }
    }
}

impl EthereumHardforks for Spec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        let config = &self.config;
        let block = |at: Option<u64>| at.map_or(ForkCondition::Never, ForkCondition::Block);
        let time = |at: Option<u64>| at.map_or(ForkCondition::Never, ForkCondition::Timestamp);
        match fork {
            EthereumHardfork::Frontier => ForkCondition::Block(0),
            EthereumHardfork::Homestead => block(config.homestead_block),
            EthereumHardfork::Dao => {
                block(config.dao_fork_block.filter(|_| config.dao_fork_support))
            }
            EthereumHardfork::Tangerine => block(config.eip150_block),
            EthereumHardfork::SpuriousDragon => block(config.eip158_block),
            EthereumHardfork::Byzantium => block(config.byzantium_block),
            EthereumHardfork::Constantinople => block(config.constantinople_block),
            EthereumHardfork::Petersburg => block(config.petersburg_block),
            EthereumHardfork::Istanbul => block(config.istanbul_block),
            EthereumHardfork::MuirGlacier => block(config.muir_glacier_block),
            EthereumHardfork::Berlin => block(config.berlin_block),
            EthereumHardfork::London => block(config.london_block),
            EthereumHardfork::ArrowGlacier => block(config.arrow_glacier_block),
            EthereumHardfork::GrayGlacier => block(config.gray_glacier_block),
            EthereumHardfork::Paris => self.merge(),
            EthereumHardfork::Shanghai => time(config.shanghai_time),
            EthereumHardfork::Cancun => time(config.cancun_time),
            EthereumHardfork::Prague => time(config.prague_time),
            EthereumHardfork::Osaka => time(config.osaka_time),
            EthereumHardfork::Bpo1 => time(config.bpo1_time),
            EthereumHardfork::Bpo2 => time(config.bpo2_time),
            EthereumHardfork::Bpo3 => time(config.bpo3_time),
            EthereumHardfork::Bpo4 => time(config.bpo4_time),
            EthereumHardfork::Bpo5 => time(config.bpo5_time),
            EthereumHardfork::Amsterdam => time(config.amsterdam_time),
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for Spec {
    /// There is no beacon chain to deposit for.
    fn deposit_contract_address(&self) -> Option<Address> {
        self.config.deposit_contract_address
    }
}
