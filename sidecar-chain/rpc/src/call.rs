//! Calls that leave nothing behind: what a caller wants executed, on which state, with what changed.

use std::fmt;

use alloy_evm::{Evm as _, EvmEnv, EvmFactory as _, eth::EthEvmContext};
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_rpc_types_eth::{
    BlockOverrides, TransactionRequest,
    state::{AccountOverride, StateOverride},
};
use lode_chain_exec::{database::Failed, factory::Factory};
use revm::{
    Database as _, Inspector,
    bytecode::Bytecode,
    context::{
        BlockEnv, TxEnv,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState},
    },
    context_interface::{block::BlobExcessGasAndPrice, either::Either},
    database_interface::bal::EvmDatabaseError,
    state::AccountInfo,
};

use crate::{
    arguments::Arguments,
    failure::Failure,
    ground::{Ground, Overlay},
    selector::Selector,
    service::{Answer, Methods, Service},
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("eth_call", call);
}

fn call(service: &Service, arguments: &mut Arguments<'_>) -> Answer<Bytes> {
    let asked = Asked::read(arguments)?;
    let ground = service.ground(asked.at)?;
    let mut stage = Stage::new(service, &ground, asked.state, asked.block)?;
    let transaction = stage.transaction(asked.request)?;
    output(stage.run(transaction)?.result)
}

/// What a caller wants executed, where, and what he wants to be otherwise there.
pub(crate) struct Asked {
    pub request: TransactionRequest,
    pub at: Selector,
    pub state: Option<StateOverride>,
    pub block: Option<BlockOverrides>,
}

impl Asked {
    /// Of a call's or an estimate's arguments.
    ///
    /// # Errors
    /// When they are others.
    pub fn read(arguments: &mut Arguments<'_>) -> Answer<Asked> {
        let asked = Asked {
            request: arguments.required()?,
            at: arguments.optional()?.unwrap_or_default(),
            state: arguments.optional()?,
            block: arguments.optional()?,
        };
        arguments.end()?;
        Ok(asked)
    }
}

/// What a call returned.
///
/// # Errors
/// When it was reverted or ended otherwise, in geth's words.
pub fn output(result: ExecutionResult) -> Answer<Bytes> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(Failure::reverted(&output)),
        ExecutionResult::Halt { reason, .. } => Err(Failure::server(halted(&reason))),
    }
}

/// A state and surroundings that calls are executed in.
pub struct Stage<'ground> {
    /// The state, with what has changed on top.
    pub state: Overlay<'ground>,
    /// The block around.
    pub env: EvmEnv,
    /// Precompiles that are elsewhere.
    moved: Vec<(Address, Address)>,
    factory: Factory,
    gas_max: u64,
}

impl<'ground> Stage<'ground> {
    /// The state after a block and the surroundings of its transactions, but for what a caller wants
    /// otherwise. Rules that hold only for signed transactions do not hold here.
    ///
    /// # Errors
    /// When what is wanted contradicts itself, or the state cannot be read.
    pub fn new(
        service: &Service,
        ground: &'ground Ground,
        state: Option<StateOverride>,
        block: Option<BlockOverrides>,
    ) -> Answer<Self> {
        let spec = &service.ledger.chain().spec;
        let mut stage = Stage {
            state: ground.overlay(),
            env: ground.env(spec),
            moved: Vec::new(),
            factory: spec.factory(),
            gas_max: service.config.gas_max,
        };
        relax(&mut stage.env);
        if let Some(block) = block {
            override_block(block, &mut stage.state, &mut stage.env.block_env);
        }
        for (address, account) in state.unwrap_or_default() {
            stage.override_account(address, account)?;
        }
        Ok(stage)
    }

    fn override_account(&mut self, address: Address, account: AccountOverride) -> Answer<()> {
        if let Some(to) = account.move_precompile_to {
            self.moved.push((address, to));
        }
        let mut info = self.state.basic(address)?.unwrap_or_default();
        change(&mut info, &account)?;
        self.state.insert_account_info(address, info);
        match (account.state, account.state_diff) {
            (Some(_), Some(_)) => Err(Failure::server(format!(
                "account {address:#x} has both 'state' and 'stateDiff'"
            ))),
            (Some(whole), None) => {
                let slots = whole.into_iter();
                let slots = slots.map(|(slot, value)| (slot.into(), value.into()));
                Ok(self
                    .state
                    .replace_account_storage(address, slots.collect())?)
            }
            (None, changed) => {
                for (slot, value) in changed.unwrap_or_default() {
                    self.state
                        .insert_account_storage(address, slot.into(), value.into())?;
                }
                Ok(())
            }
        }
    }

    /// A caller's request as revm takes it; what it leaves open is filled in as geth does.
    ///
    /// # Errors
    /// When it contradicts itself.
    pub fn transaction(&mut self, request: TransactionRequest) -> Answer<TxEnv> {
        let chain_id = self.env.cfg_env.chain_id;
        if let Some(have) = request.chain_id
            && have != chain_id
        {
            return Err(Failure::server(format!(
                "chainId does not match node's (have={have}, want={chain_id})"
            )));
        }
        let fees = Fees::of(&request)?;
        let caller = request.from.unwrap_or_default();
        let nonce = match request.nonce {
            Some(nonce) => nonce,
            None => self.state.basic(caller)?.map_or(0, |info| info.nonce),
        };
        let tx_type = kind(&request);
        let data = request.input.try_into_unique_input().map_err(|_| {
            Failure::server(
                "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
            )
        })?;
        // Without a price nobody pays, and the base fee is no obstacle (as in geth).
        if fees.max == 0 {
            self.env.block_env.basefee = 0;
        }
        let gas = request.gas.unwrap_or(u64::MAX).min(self.gas_max);
        Ok(TxEnv {
            tx_type,
            caller,
            gas_limit: gas,
            gas_price: fees.max,
            gas_priority_fee: fees.tip,
            kind: request.to.unwrap_or(TxKind::Create),
            value: request.value.unwrap_or_default(),
            data: data.unwrap_or_default(),
            nonce,
            chain_id: Some(chain_id),
            access_list: request.access_list.unwrap_or_default(),
            blob_hashes: request.blob_versioned_hashes.unwrap_or_default(),
            max_fee_per_blob_gas: request.max_fee_per_blob_gas.unwrap_or_default(),
            authorization_list: request
                .authorization_list
                .unwrap_or_default()
                .into_iter()
                .map(Either::Left)
                .collect(),
        })
    }

    /// Executes, and leaves the state as it was.
    ///
    /// # Errors
    /// When it cannot be executed, in geth's words.
    pub fn run(&mut self, transaction: TxEnv) -> Answer<ResultAndState> {
        self.attempt(transaction.clone())?
            .map_err(|why| invalid(&why, &transaction, &self.env.block_env))
    }

    /// The same; what is wrong with the transaction is left to the caller.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn attempt(
        &mut self,
        transaction: TxEnv,
    ) -> Answer<Result<ResultAndState, InvalidTransaction>> {
        let mut evm = self.factory.create_evm(&mut self.state, self.env.clone());
        evm.precompiles_mut()
            .move_precompiles(self.moved.iter().copied())
            .map_err(|error| Failure::server(error.to_string()))?;
        split(evm.transact(transaction))
    }

    /// The same, with somebody who looks on.
    ///
    /// # Errors
    /// When it cannot be executed, in geth's words.
    pub fn inspect<'state, I>(
        &'state mut self,
        transaction: TxEnv,
        inspector: I,
    ) -> Answer<ResultAndState>
    where
        I: Inspector<EthEvmContext<&'state mut Overlay<'ground>>>,
    {
        let Stage {
            state,
            env,
            moved,
            factory,
            ..
        } = self;
        let mut evm = factory.create_evm_with_inspector(state, env.clone(), inspector);
        evm.precompiles_mut()
            .move_precompiles(moved.iter().copied())
            .map_err(|error| Failure::server(error.to_string()))?;
        split(evm.transact(transaction.clone()))?
            .map_err(|why| invalid(&why, &transaction, &env.block_env))
    }
}

/// Rules for signed transactions do not hold for calls.
pub fn relax(env: &mut EvmEnv) {
    let rules = &mut env.cfg_env;
    rules.disable_nonce_check = true;
    rules.disable_eip3607 = true;
    rules.disable_block_gas_limit = true;
    rules.tx_gas_limit_cap = Some(u64::MAX);
}

/// Changes an account, but for its storage, as a caller wants.
///
/// # Errors
/// When its code looks like a delegation and is none.
pub fn change(info: &mut AccountInfo, wanted: &AccountOverride) -> Answer<()> {
    info.nonce = wanted.nonce.unwrap_or(info.nonce);
    info.balance = wanted.balance.unwrap_or(info.balance);
    if let Some(code) = &wanted.code {
        let read = Bytecode::new_raw_checked(code.clone());
        info.code_hash = keccak256(code);
        info.code = Some(read.map_err(|error| Failure::server(error.to_string()))?);
    }
    Ok(())
}

/// Changes a block's surroundings as a caller wants.
pub fn override_block(wanted: BlockOverrides, state: &mut Overlay<'_>, block: &mut BlockEnv) {
    if let Some(number) = wanted.number {
        block.number = number;
    }
    if let Some(difficulty) = wanted.difficulty {
        block.difficulty = difficulty;
    }
    if let Some(time) = wanted.time {
        block.timestamp = U256::from(time);
    }
    if let Some(gas_limit) = wanted.gas_limit {
        block.gas_limit = gas_limit;
    }
    if let Some(beneficiary) = wanted.coinbase {
        block.beneficiary = beneficiary;
    }
    if let Some(random) = wanted.random {
        block.prevrandao = Some(random);
    }
    if let Some(base_fee) = wanted.base_fee {
        block.basefee = base_fee.saturating_to();
    }
    if let Some(price) = wanted.blob_base_fee {
        let before = block.blob_excess_gas_and_price;
        block.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice {
            excess_blob_gas: before.map_or(0, |before| before.excess_blob_gas),
            blob_gasprice: price.saturating_to(),
        });
    }
    for (number, hash) in wanted.block_hash.unwrap_or_default() {
        let hashes = &mut state.cache.block_hashes;
        hashes.insert(U256::from(number), hash);
    }
}

/// What a call pays for a unit of gas.
#[derive(Clone, Copy, Debug)]
pub struct Fees {
    /// At most, in wei.
    pub max: u128,
    /// To the proposer at most, in wei; none for a plain price.
    pub tip: Option<u128>,
}

impl Fees {
    /// What a request says.
    ///
    /// # Errors
    /// When it says two things.
    pub fn of(request: &TransactionRequest) -> Answer<Fees> {
        let (max, tip) = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
        if request.gas_price.is_some() && (max.is_some() || tip.is_some()) {
            return Err(Failure::server(
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
            ));
        }
        if let (Some(max), Some(tip)) = (max, tip)
            && max < tip
        {
            return Err(Failure::server(format!(
                "maxFeePerGas ({max:#x}) < maxPriorityFeePerGas ({tip:#x})"
            )));
        }
        if max.is_some() || tip.is_some() {
            return Ok(Fees {
                max: max.unwrap_or(0),
                tip: Some(tip.unwrap_or(0)),
            });
        }
        Ok(Fees {
            max: request.gas_price.unwrap_or(0),
            tip: None,
        })
    }
}

/// The oldest type of transaction that holds all that a request names.
pub fn kind(request: &TransactionRequest) -> u8 {
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.authorization_list.is_some() {
        4
    } else if request.blob_versioned_hashes.is_some() {
        3
    } else if dynamic {
        2
    } else {
        u8::from(request.access_list.is_some())
    }
}

/// A transaction's fault apart from the node's.
///
/// # Errors
/// The node's.
pub fn split<R, E: Into<Failure> + fmt::Display>(
    result: Result<R, EVMError<E>>,
) -> Answer<Result<R, InvalidTransaction>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(EVMError::Transaction(why)) => Ok(Err(why)),
        Err(EVMError::Database(failed)) => Err(failed.into()),
        Err(error) => Err(Failure::server(error.to_string())),
    }
}

impl From<EvmDatabaseError<Failed>> for Failure {
    fn from(failed: EvmDatabaseError<Failed>) -> Self {
        match failed {
            EvmDatabaseError::Database(failed) => failed.into(),
            EvmDatabaseError::Bal(error) => Failure::server(error.to_string()),
        }
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        failed.0.into()
    }
}

/// Why a call cannot be executed, as geth says it of calls.
pub fn invalid(why: &InvalidTransaction, transaction: &TxEnv, block: &BlockEnv) -> Failure {
    let gas = transaction.gas_limit;
    let text = refused(why, transaction, block);
    Failure::server(format!("err: {text} (supplied gas {gas})"))
}

/// Why a transaction cannot be executed, in geth's words.
pub fn refused(why: &InvalidTransaction, transaction: &TxEnv, block: &BlockEnv) -> String {
    let caller = transaction.caller;
    match why {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => format!(
            "insufficient funds for gas * price + value: address {caller} have {balance} want {fee}"
        ),
        InvalidTransaction::CallGasCostMoreThanGasLimit {
            initial_gas,
            gas_limit,
        } => format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}"),
        InvalidTransaction::GasFloorMoreThanGasLimit {
            gas_floor,
            gas_limit,
        } => {
            format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}")
        }
        InvalidTransaction::GasPriceLessThanBasefee => format!(
            "max fee per gas less than block base fee: address {caller}, maxFeePerGas: {}, baseFee: {}",
            transaction.gas_price, block.basefee
        ),
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => format!(
            "max priority fee per gas higher than max fee per gas: address {caller}, maxPriorityFeePerGas: {}, maxFeePerGas: {}",
            transaction.gas_priority_fee.unwrap_or(0),
            transaction.gas_price
        ),
        InvalidTransaction::NonceTooLow { tx, state } => {
            format!("nonce too low: address {caller}, tx: {tx} state: {state}")
        }
        InvalidTransaction::NonceTooHigh { tx, state } => {
            format!("nonce too high: address {caller}, tx: {tx} state: {state}")
        }
        InvalidTransaction::NonceOverflowInTransaction => format!(
            "nonce has max value: address {caller}, nonce: {}",
            transaction.nonce
        ),
        InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        InvalidTransaction::RejectCallerWithCode => {
            format!("sender not an eoa: address {caller}")
        }
        other => other.to_string(),
    }
}

/// Why execution ended, in geth's words.
pub fn halted(reason: &HaltReason) -> String {
    let words = match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024 (1024)",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        other => return other.to_string(),
    };
    words.to_owned()
}
