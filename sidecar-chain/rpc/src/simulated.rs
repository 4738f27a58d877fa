//! Blocks that might come, executed one on the other: calls become transactions without signatures,
//! and blocks get headers as if they were there, roots included.

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, Receipt, ReceiptEnvelope, TxEnvelope, TxType,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_eips::eip4895::Withdrawals;
use alloy_evm::{Evm as _, EvmEnv, EvmFactory as _, block::SystemCaller};
use alloy_hardforks::EthereumHardforks as _;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U64, U256};
use alloy_rpc_types_eth::{
    BlockOverrides, TransactionRequest,
    state::{AccountOverride, StateOverride},
};
use alloy_trie::EMPTY_ROOT_HASH;
use lode_chain_exec::{database::touched, spec::Spec};
use lode_chain_ledger::tables::Body;
use lode_chain_state::apply::apply;
use lode_chain_types::Round;
use revm::{
    Database as _, DatabaseCommit as _,
    context::{
        TxEnv,
        result::{ExecutionResult, InvalidTransaction},
    },
    context_interface::{block::BlobExcessGasAndPrice, either::Either},
    database::{State, WrapDatabaseRef, states::bundle_state::BundleRetention},
    state::{Account, AccountStatus, EvmStorageSlot, TransactionId},
};
use revm_inspectors::transfer::{TRANSFER_LOG_EMITTER, TransferInspector};

use crate::{
    blocks,
    call::{change, halted, kind, refused, relax, split},
    failure::{Failure, REVERTED, reverted},
    ground::{Base, Ground, env},
    service::{Answer, Deadline, Service},
    simulate::{Outcome, Planned, Shown, Wrong},
    whole::Whole,
};

/// Execution ended otherwise than by revert.
const VM_ERROR: i32 = -32015;
/// The block's gas does not suffice.
const BLOCK_GAS: i32 = -38015;

/// Blocks on the way.
pub struct Simulation<'ground> {
    service: &'ground Service,
    ground: &'ground Ground,
    state: State<WrapDatabaseRef<Base<'ground>>>,
    parent: Header,
    validation: bool,
    transfers: bool,
    /// Gas that all calls together may still use.
    gas_left: u64,
    moved: Vec<(Address, Address)>,
}

impl<'ground> Simulation<'ground> {
    /// Nothing on the ground yet.
    pub fn new(
        service: &'ground Service,
        ground: &'ground Ground,
        validation: bool,
        transfers: bool,
    ) -> Self {
        let state = State::builder()
            .with_database_ref(ground.base())
            .with_bundle_update()
            .build();
        Simulation {
            service,
            ground,
            state,
            parent: ground.header.clone(),
            validation,
            transfers,
            gas_left: service.config.gas_max,
            moved: Vec::new(),
        }
    }

    fn spec(&self) -> &'ground Spec {
        &self.service.ledger.chain().spec
    }

    /// Executes the next block.
    ///
    /// # Errors
    /// When a call cannot be executed, in geth's words and with its numbers.
    pub fn block(&mut self, planned: Planned, full: bool, deadline: Deadline) -> Answer<Shown> {
        let overrides = planned.wanted.block_overrides.unwrap_or_default();
        let header = self.header(planned.number, planned.time, &overrides);
        self.override_state(planned.wanted.state_overrides.unwrap_or_default())?;
        let env = self.env(&header, &overrides);
        self.begin(&header, &env)?;
        let mut made = Made::default();
        for request in planned.wanted.calls {
            deadline.check()?;
            self.call(request, &header, &env, &mut made)?;
        }
        self.finish(header, &env, made, full)
    }

    /// The header before execution.
    fn header(&self, number: u64, time: u64, wanted: &BlockOverrides) -> Header {
        let spec = self.spec();
        let parent = &self.parent;
        let london = spec.is_london_active_at_block(number);
        let shanghai = spec.is_shanghai_active_at_timestamp(time);
        let cancun = spec.is_cancun_active_at_timestamp(time);
        let merged = spec.is_paris_active_at_block(number);
        let fee = || {
            let next = self.service.ledger.chain().base_fee_params();
            let next = parent.next_block_base_fee(next).unwrap_or(0);
            if self.validation { next } else { 0 }
        };
        let blobs = spec.blob_params(time);
        let excess = blobs.and_then(|blobs| parent.next_block_excess_blob_gas(blobs));
        Header {
            parent_hash: parent.hash_slow(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: wanted.coinbase.unwrap_or(parent.beneficiary),
            difficulty: if merged {
                U256::ZERO
            } else {
                wanted.difficulty.unwrap_or(parent.difficulty)
            },
            number,
            gas_limit: wanted.gas_limit.unwrap_or(parent.gas_limit),
            timestamp: time,
            mix_hash: wanted.random.unwrap_or_default(),
            base_fee_per_gas: london
                .then(|| wanted.base_fee.map_or_else(fee, |fee| fee.saturating_to())),
            withdrawals_root: shanghai.then_some(EMPTY_ROOT_HASH),
            blob_gas_used: cancun.then_some(0),
            excess_blob_gas: cancun.then(|| excess.unwrap_or(0)),
            parent_beacon_block_root: cancun.then(|| wanted.beacon_root.unwrap_or_default()),
            ..Header::default()
        }
    }

    fn env(&self, header: &Header, wanted: &BlockOverrides) -> EvmEnv {
        let mut env = env(header, self.spec());
        relax(&mut env);
        env.cfg_env.disable_nonce_check = !self.validation;
        if let Some(price) = wanted.blob_base_fee {
            env.block_env.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice {
                excess_blob_gas: header.excess_blob_gas.unwrap_or(0),
                blob_gasprice: price.saturating_to(),
            });
        }
        env
    }

    /// What every block does before its transactions.
    fn begin(&mut self, header: &Header, env: &EvmEnv) -> Answer<()> {
        let spec = self.spec();
        let hashes = &mut self.state.block_hashes;
        hashes.insert(self.parent.number, header.parent_hash);
        let mut evm = spec.factory().create_evm(&mut self.state, env.clone());
        SystemCaller::new(spec)
            .apply_pre_execution_changes(header, &mut evm)
            .map_err(|error| Failure::server(error.to_string()))
    }

    fn override_state(&mut self, wanted: StateOverride) -> Answer<()> {
        let mut moves = Vec::new();
        for (address, account) in &wanted {
            moves.extend(account.move_precompile_to.map(|to| (*address, to)));
        }
        moves.sort_unstable();
        self.check_moves(&moves)?;
        self.moved.extend(moves);
        for (address, account) in wanted {
            self.override_account(address, account)?;
        }
        Ok(())
    }

    /// Only precompiles can be moved.
    fn check_moves(&mut self, moves: &[(Address, Address)]) -> Answer<()> {
        let spec = self.spec();
        let env = env(&self.parent, spec);
        let evm = spec.factory().create_evm(&mut self.state, env);
        for (from, _) in moves {
            if evm.precompiles().get(from).is_none() {
                return Err(Failure::server(format!(
                    "account {from} is not a precompile"
                )));
            }
        }
        Ok(())
    }

    fn override_account(&mut self, address: Address, wanted: AccountOverride) -> Answer<()> {
        let mut info = self.state.basic(address)?.unwrap_or_default();
        change(&mut info, &wanted)?;
        let mut account = Account::from(info);
        account.status = AccountStatus::Touched;
        let slots = match (wanted.state, wanted.state_diff) {
            (Some(_), Some(_)) => {
                return Err(Failure::server(format!(
                    "account {address:#x} has both 'state' and 'stateDiff'"
                )));
            }
            (Some(whole), None) => {
                // Gone and made again: nothing of the old storage is left.
                let mut gone = Account::default();
                gone.status = AccountStatus::SelfDestructed | AccountStatus::Touched;
                self.state.commit([(address, gone)].into_iter().collect());
                account.mark_created();
                whole
            }
            (None, changed) => changed.unwrap_or_default(),
        };
        if account.info.is_empty() && !slots.is_empty() {
            account.mark_created();
        }
        for (slot, value) in slots {
            let (slot, value) = (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0));
            let before = self.state.storage(address, slot)?;
            let mut changed = EvmStorageSlot::new(before, TransactionId::ZERO);
            changed.present_value = value;
            account.storage.insert(slot, changed);
        }
        self.state
            .commit([(address, account)].into_iter().collect());
        Ok(())
    }

    /// Executes a call as the block's next transaction.
    fn call(
        &mut self,
        request: TransactionRequest,
        header: &Header,
        env: &EvmEnv,
        made: &mut Made,
    ) -> Answer<()> {
        let Transaction {
            env: transaction,
            envelope,
        } = self.transaction(request, header, made.gas_used)?;
        let mut env = env.clone();
        if !self.validation && transaction.gas_price == 0 {
            env.block_env.basefee = 0;
        }
        let inspector = TransferInspector::new(false).with_logs(self.transfers);
        let factory = self.spec().factory();
        let mut evm = factory.create_evm_with_inspector(&mut self.state, env.clone(), inspector);
        evm.precompiles_mut()
            .move_precompiles(self.moved.iter().copied())
            .map_err(|error| Failure::server(error.to_string()))?;
        let done = split(evm.transact(transaction.clone()))?.map_err(|why| {
            let text = refused(&why, &transaction, &env.block_env);
            let gas = transaction.gas_limit;
            Failure::coded(code(&why), format!("err: {text} (supplied gas {gas})"))
        })?;
        drop(evm);
        self.state.commit(done.state);
        let used = done.result.tx_gas_used();
        self.gas_left = self.gas_left.saturating_sub(used);
        made.add(envelope, transaction.caller, done.result);
        Ok(())
    }

    /// A call with all that it leaves open, as geth fills it in here.
    fn transaction(
        &mut self,
        mut request: TransactionRequest,
        header: &Header,
        gas_used: u64,
    ) -> Answer<Transaction> {
        let caller = *request.from.get_or_insert_default();
        let nonce = match request.nonce {
            Some(nonce) => nonce,
            None => self.state.basic(caller)?.map_or(0, |info| info.nonce),
        };
        request.nonce = Some(nonce);
        let room = header.gas_limit - gas_used;
        let gas = request.gas.unwrap_or(room);
        if gas > room {
            let (all, most) = (gas_used.saturating_add(gas), header.gas_limit);
            return Err(Failure::coded(
                BLOCK_GAS,
                format!("block gas limit reached: {all} >= {most}"),
            ));
        }
        let gas = gas.min(self.gas_left);
        request.gas = Some(gas);
        request.chain_id = Some(self.service.rules.chain_id);
        request.to.get_or_insert(TxKind::Create);
        request.value.get_or_insert(U256::ZERO);
        request.normalize_input();
        if request.gas_price.is_none() && header.base_fee_per_gas.is_some() {
            request.max_fee_per_gas.get_or_insert(0);
            request.max_priority_fee_per_gas.get_or_insert(0);
        } else {
            request.gas_price.get_or_insert(0);
        }
        let env = TxEnv {
            tx_type: kind(&request),
            caller,
            gas_limit: gas,
            gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or(0),
            gas_priority_fee: request.max_priority_fee_per_gas,
            kind: request.to.unwrap_or(TxKind::Create),
            value: request.value.unwrap_or_default(),
            data: request.input.input().cloned().unwrap_or_default(),
            nonce,
            chain_id: request.chain_id,
            access_list: request.access_list.clone().unwrap_or_default(),
            blob_hashes: request.blob_versioned_hashes.clone().unwrap_or_default(),
            max_fee_per_blob_gas: request.max_fee_per_blob_gas.unwrap_or(0),
            authorization_list: request
                .authorization_list
                .iter()
                .flatten()
                .cloned()
                .map(Either::Left)
                .collect(),
        };
        let typed = request
            .build_consensus_tx()
            .map_err(|error| Failure::server(error.error))?;
        let envelope = typed.into_envelope(Signature::new(U256::ZERO, U256::ZERO, false));
        Ok(Transaction { env, envelope })
    }

    /// The header after execution, and all as JSON-RPC shows it.
    fn finish(
        &mut self,
        mut header: Header,
        env: &EvmEnv,
        made: Made,
        full: bool,
    ) -> Answer<Shown> {
        let spec = self.spec();
        if spec.is_prague_active_at_timestamp(header.timestamp) {
            let mut evm = spec.factory().create_evm(&mut self.state, env.clone());
            let requests = SystemCaller::new(spec)
                .apply_post_execution_changes(&mut evm)
                .map_err(|error| Failure::server(error.to_string()))?;
            header.requests_hash = Some(requests.requests_hash());
        }
        self.state.merge_transitions(BundleRetention::PlainState);
        let block = touched(self.state.bundle_state.clone());
        (header.state_root, _) = apply(&self.ground.state, &block)?;
        header.transactions_root = calculate_transaction_root(&made.transactions);
        header.receipts_root = calculate_receipt_root(&made.receipts);
        let blooms = made.receipts.iter().map(|receipt| *receipt.logs_bloom());
        header.logs_bloom = blooms.fold(Bloom::ZERO, |all, bloom| all | bloom);
        header.gas_used = made.gas_used;
        if let Some(used) = &mut header.blob_gas_used {
            use alloy_consensus::Transaction as _;
            let all = made.transactions.iter();
            *used = all.filter_map(|one| one.blob_gas_used()).sum();
        }
        self.parent = header.clone();
        let withdrawals = header.withdrawals_root.map(|_| Withdrawals::default());
        let body = Body {
            body: alloy_consensus::BlockBody {
                transactions: made.transactions,
                ommers: Vec::new(),
                withdrawals,
            },
            senders: made.senders,
            round: Round::default(),
        };
        let whole = Whole::new(header.hash_slow(), header, body, made.receipts);
        let mut calls = made.calls;
        place_logs(&mut calls, &whole);
        Ok(Shown {
            block: blocks::block(&whole, full),
            calls,
        })
    }
}

/// Tells logs where they are, now that the block has a hash.
fn place_logs(calls: &mut [Outcome], whole: &Whole) {
    let mut log_index = 0;
    let transactions = whole.transactions().iter();
    for (index, (call, transaction)) in (0_u64..).zip(calls.iter_mut().zip(transactions)) {
        for log in &mut call.logs {
            log.block_hash = Some(whole.hash);
            log.block_number = Some(whole.header.number);
            log.block_timestamp = Some(whole.header.timestamp);
            log.transaction_hash = Some(*transaction.hash());
            log.transaction_index = Some(index);
            log.log_index = Some(log_index);
            log_index += 1;
        }
    }
}

struct Transaction {
    env: TxEnv,
    envelope: TxEnvelope,
}

/// A block's transactions so far.
#[derive(Default)]
struct Made {
    transactions: Vec<TxEnvelope>,
    senders: Vec<Address>,
    receipts: Vec<ReceiptEnvelope>,
    calls: Vec<Outcome>,
    gas_used: u64,
}

impl Made {
    fn add(&mut self, transaction: TxEnvelope, sender: Address, result: ExecutionResult) {
        let gas = *result.gas();
        self.gas_used += gas.tx_gas_used();
        let status = result.is_success();
        let error = wrong(&result);
        let logs: Vec<Log> = if status {
            result.logs().to_vec()
        } else {
            Vec::new()
        };
        // Transfers are told as logs, but are none: receipts do not have them.
        let real = logs
            .iter()
            .filter(|log| log.address != TRANSFER_LOG_EMITTER);
        let receipt = Receipt {
            status: status.into(),
            cumulative_gas_used: self.gas_used,
            logs: real.cloned().collect(),
        };
        self.receipts.push(envelope(transaction.tx_type(), receipt));
        self.calls.push(Outcome {
            // What a contract said when it reverted is told with the error alone (as in geth).
            return_data: match &result {
                ExecutionResult::Success { output, .. } => output.data().clone(),
                _ => Bytes::new(),
            },
            logs: logs.into_iter().map(shown).collect(),
            gas_used: U64::from(gas.tx_gas_used()),
            max_used_gas: U64::from(gas.total_gas_spent().max(gas.floor_gas())),
            status: U64::from(u64::from(status)),
            error,
        });
        self.transactions.push(transaction);
        self.senders.push(sender);
    }
}

fn shown(log: Log) -> alloy_rpc_types_eth::Log {
    alloy_rpc_types_eth::Log {
        inner: log,
        block_hash: None,
        block_number: None,
        block_timestamp: None,
        transaction_hash: Some(B256::ZERO),
        transaction_index: None,
        log_index: None,
        removed: false,
    }
}

fn wrong(result: &ExecutionResult) -> Option<Wrong> {
    match result {
        ExecutionResult::Success { .. } => None,
        ExecutionResult::Revert { output, .. } => Some(Wrong {
            message: reverted(output),
            code: REVERTED,
            data: Some(output.clone()),
        }),
        ExecutionResult::Halt { reason, .. } => Some(Wrong {
            message: halted(reason),
            code: VM_ERROR,
            data: None,
        }),
    }
}

fn envelope(kind: TxType, receipt: Receipt) -> ReceiptEnvelope {
    let receipt = receipt.with_bloom();
    match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// Geth's number for what is wrong with a call.
fn code(why: &InvalidTransaction) -> i32 {
    match why {
        InvalidTransaction::NonceTooLow { .. } => -38010,
        InvalidTransaction::NonceTooHigh { .. } => -38011,
        InvalidTransaction::GasPriceLessThanBasefee
        | InvalidTransaction::PriorityFeeGreaterThanMaxFee => -38012,
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
        | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => -38013,
        InvalidTransaction::LackOfFundForMaxFee { .. } => -38014,
        InvalidTransaction::RejectCallerWithCode => -38024,
        InvalidTransaction::CreateInitCodeSizeLimit => -38025,
        _ => crate::failure::SERVER,
    }
}
