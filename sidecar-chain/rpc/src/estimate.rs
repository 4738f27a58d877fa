//! How much gas a call needs, found as geth finds it: by halving, with a first guess from what it
//! used when it had plenty; and which slots it touches.

use alloy_eips::eip2930::{AccessList, AccessListResult};
use alloy_primitives::{TxKind, U64, U256};
use alloy_rpc_types_eth::{TransactionRequest, state::StateOverride};
use revm::{
    Database as _,
    context::{
        TxEnv,
        result::{ExecutionResult, HaltReason, InvalidTransaction},
    },
};
use revm_inspectors::access_list::AccessListInspector;

use crate::{
    arguments::Arguments,
    call::{Asked, Stage, halted, invalid},
    failure::{Failure, reverted},
    selector::Selector,
    service::{Answer, Deadline, Methods, Service},
};

pub(crate) fn register(methods: &mut Methods<'_>) {
    methods.heavy("eth_estimateGas", estimate);
    methods.heavy("eth_createAccessList", access_list);
}

/// What a plain transfer needs.
const TRANSFER: u64 = 21_000;
/// What a called contract gets beside what it is given, if it is sent money.
const STIPEND: u64 = 2_300;
/// Gas that one transaction may ask for from Osaka on (EIP-7825).
const TRANSACTION_MAX: u64 = lode_chain_pool::rules::GAS_MAX;
/// Halving ends when the answer is known to this part of itself (geth's 0.015).
const PRECISION_PER_MILLE: u64 = 15;
/// Times that slots may lead to further slots.
const ROUNDS_MAX: usize = 16;

fn estimate(service: &Service, arguments: &mut Arguments<'_>) -> Answer<U64> {
    let asked = Asked::read(arguments)?;
    let ground = service.ground(asked.at)?;
    let mut stage = Stage::new(service, &ground, asked.state, asked.block)?;
    gas(service, &mut stage, asked.request).map(U64::from)
}

/// The gas that a request needs.
///
/// # Errors
/// When it fails with all gas there is.
pub(crate) fn gas(
    service: &Service,
    stage: &mut Stage<'_>,
    request: TransactionRequest,
) -> Answer<u64> {
    let mut most = match request.gas {
        Some(gas) if gas >= TRANSFER => gas,
        _ => stage.env.block_env.gas_limit,
    };
    let osaka = stage.env.cfg_env.spec >= revm::primitives::hardfork::SpecId::OSAKA;
    if osaka {
        most = most.min(TRANSACTION_MAX);
    }
    let transaction = stage.transaction(request)?;
    most = most.min(affordable(stage, &transaction)?);
    most = most.min(service.config.gas_max);
    let mut search = Search {
        stage,
        transaction,
        deadline: service.deadline(),
    };
    if search.is_transfer()? && search.tried(TRANSFER)?.is_ok() {
        return Ok(TRANSFER);
    }
    search.find(most)
}

/// The gas that a sender can pay for; all there is if it costs nothing.
fn affordable(stage: &mut Stage<'_>, transaction: &TxEnv) -> Answer<u64> {
    if transaction.gas_price == 0 {
        return Ok(u64::MAX);
    }
    let held = stage.state.basic(transaction.caller)?;
    let balance = held.map_or(U256::ZERO, |held| held.balance);
    let left = balance
        .checked_sub(transaction.value)
        .filter(|left| !left.is_zero() || transaction.value.is_zero())
        .ok_or_else(|| Failure::server("insufficient funds for transfer"))?;
    Ok((left / U256::from(transaction.gas_price)).saturating_to())
}

struct Search<'stage, 'ground> {
    stage: &'stage mut Stage<'ground>,
    transaction: TxEnv,
    deadline: Deadline,
}

/// A try that went well.
struct Used {
    /// Gas that it took in the end.
    gas: u64,
    /// Gas that it had in use at most, as refunds come last.
    gas_before_refund: u64,
}

/// A try that did not.
enum Failed {
    /// More gas may help.
    Gas,
    /// Nothing helps.
    Otherwise(Failure),
}

impl Search<'_, '_> {
    fn is_transfer(&mut self) -> Answer<bool> {
        let TxKind::Call(to) = self.transaction.kind else {
            return Ok(false);
        };
        let plain = self.transaction.data.is_empty()
            && self.transaction.authorization_list.is_empty()
            && self.transaction.access_list.0.is_empty();
        let held = self.stage.state.basic(to)?;
        Ok(plain && held.is_none_or(|held| held.is_empty_code_hash()))
    }

    fn find(mut self, most: u64) -> Answer<u64> {
        let (mut low, mut high) = (TRANSFER - 1, most);
        let used = match self.tried(high)? {
            Ok(used) => used,
            Err(Failed::Otherwise(failure)) => return Err(failure),
            Err(Failed::Gas) => {
                return Err(Failure::server(format!(
                    "gas required exceeds allowance ({high})"
                )));
            }
        };
        low = low.max(used.gas.saturating_sub(1));
        // A call passes on 63 of 64 parts of its gas (EIP-150).
        let guess = (used.gas_before_refund + STIPEND) * 64 / 63;
        if guess < high {
            self.halve(guess, &mut low, &mut high)?;
        }
        while low + 1 < high {
            // Near enough: each further step costs an execution.
            if (high - low) * 1000 < high * PRECISION_PER_MILLE {
                break;
            }
            let middle = low.midpoint(high).min(low.saturating_mul(2));
            self.halve(middle, &mut low, &mut high)?;
        }
        Ok(high)
    }

    fn halve(&mut self, at: u64, low: &mut u64, high: &mut u64) -> Answer<()> {
        self.deadline.check()?;
        let end = if self.tried(at)?.is_ok() { high } else { low };
        *end = at;
        Ok(())
    }

    fn tried(&mut self, gas: u64) -> Answer<Result<Used, Failed>> {
        let mut transaction = self.transaction.clone();
        transaction.gas_limit = gas;
        let done = match self.stage.attempt(transaction.clone())? {
            Ok(done) => done,
            Err(
                InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
            ) => return Ok(Err(Failed::Gas)),
            Err(why) => {
                let failure = invalid(&why, &transaction, &self.stage.env.block_env);
                return Ok(Err(Failed::Otherwise(failure)));
            }
        };
        Ok(match done.result {
            ExecutionResult::Success { gas, .. } => Ok(Used {
                gas: gas.tx_gas_used(),
                gas_before_refund: gas.total_gas_spent().max(gas.floor_gas()),
            }),
            ExecutionResult::Revert { output, .. } => {
                Err(Failed::Otherwise(Failure::reverted(&output)))
            }
            ExecutionResult::Halt { reason, .. } => Err(match reason {
                HaltReason::OutOfGas(_) => Failed::Gas,
                reason => Failed::Otherwise(Failure::server(halted(&reason))),
            }),
        })
    }
}

fn access_list(service: &Service, arguments: &mut Arguments<'_>) -> Answer<AccessListResult> {
    let request: TransactionRequest = arguments.required()?;
    let at = arguments.optional::<Selector>()?.unwrap_or_default();
    let state: Option<StateOverride> = arguments.optional()?;
    arguments.end()?;
    let ground = service.ground(at)?;
    let mut stage = Stage::new(service, &ground, state, None)?;
    let given = request.access_list.clone().unwrap_or_default();
    let mut transaction = stage.transaction(request)?;
    transaction.tx_type = transaction.tx_type.max(1);
    let deadline = service.deadline();
    let mut list = given.clone();
    for _ in 0..ROUNDS_MAX {
        deadline.check()?;
        transaction.access_list = list.clone();
        let mut inspector = AccessListInspector::new(given.clone());
        let done = stage.inspect(transaction.clone(), &mut inspector)?;
        let touched = inspector.into_access_list();
        // Listed slots cost less, so a call may go further than before.
        if touched == list || list == AccessList::default() && touched.0.is_empty() {
            return Ok(AccessListResult {
                access_list: touched,
                gas_used: U256::from(done.result.tx_gas_used()),
                error: error(&done.result),
            });
        }
        list = touched;
    }
    Err(Failure::server("the access list does not settle"))
}

fn error(result: &ExecutionResult) -> Option<String> {
    match result {
        ExecutionResult::Success { .. } => None,
        ExecutionResult::Revert { output, .. } => Some(reverted(output)),
        ExecutionResult::Halt { reason, .. } => Some(halted(reason)),
    }
}
