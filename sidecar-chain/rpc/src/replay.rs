//! Transactions of a block, executed again as they were, with somebody who looks on.

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_evm::{
    Evm as _, EvmEnv, EvmFactory as _, FromRecoveredTx as _, block::SystemCaller,
    eth::EthEvmContext,
};
use lode_chain_exec::factory::Factory;
use revm::{
    DatabaseCommit as _, Inspector,
    context::{ContextTr, TxEnv, result::ResultAndState},
    context_interface::ContextError,
    interpreter::Interpreter,
};

use crate::{
    call::{refused, split},
    failure::Failure,
    ground::{Ground, Overlay, env},
    service::{Answer, Service},
    whole::Whole,
};

/// A block on its way: the state after some of its transactions.
pub struct Replay<'ground> {
    /// The state.
    pub state: Overlay<'ground>,
    /// The block around.
    pub env: EvmEnv,
    factory: Factory,
}

impl<'ground> Replay<'ground> {
    /// A block before its first transaction, on the ground below it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn new(service: &Service, below: &'ground Ground, whole: &Whole) -> Answer<Self> {
        let spec = &service.ledger.chain().spec;
        let mut replay = Replay {
            state: below.overlay(),
            env: env(&whole.header, spec),
            factory: spec.factory(),
        };
        let mut evm = replay
            .factory
            .create_evm(&mut replay.state, replay.env.clone());
        SystemCaller::new(spec)
            .apply_pre_execution_changes(&whole.header, &mut evm)
            .map_err(|error| Failure::server(error.to_string()))?;
        drop(evm);
        Ok(replay)
    }

    /// Executes the next transaction.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn pass(&mut self, transaction: Recovered<&TxEnvelope>) -> Answer<()> {
        let done = self.inspect(transaction, revm::inspector::NoOpInspector)?.1;
        self.state.commit(done.state);
        Ok(())
    }

    /// Executes the next transaction with somebody who looks on, and leaves the state before it.
    ///
    /// # Errors
    /// When the state cannot be read, or who looks on ends it.
    pub fn inspect<'state, I>(
        &'state mut self,
        transaction: Recovered<&TxEnvelope>,
        inspector: I,
    ) -> Answer<(TxEnv, ResultAndState)>
    where
        I: Inspector<EthEvmContext<&'state mut Overlay<'ground>>>,
    {
        let (envelope, sender) = transaction.into_parts();
        let transaction = TxEnv::from_recovered_tx(envelope, sender);
        let env = self.env.clone();
        let mut evm = self
            .factory
            .create_evm_with_inspector(&mut self.state, env, inspector);
        let done = split(evm.transact(transaction.clone()))?;
        let done =
            done.map_err(|why| Failure::server(refused(&why, &transaction, &self.env.block_env)))?;
        Ok((transaction, done))
    }
}

/// Ends executions whose trace would take too much memory.
#[derive(Debug)]
pub struct Bound {
    len_left: usize,
    stack: bool,
}

/// What a step takes in a trace beside its stack, about.
const STEP_LEN: usize = 256;
const WORD_LEN: usize = 32;

impl Bound {
    /// For traces of steps; `stack` tells whether each holds the whole stack.
    pub fn new(len_max: usize, stack: bool) -> Bound {
        Bound {
            len_left: len_max,
            stack,
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX> for Bound {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        let words = if self.stack {
            interpreter.stack.len()
        } else {
            0
        };
        let len = STEP_LEN + WORD_LEN * words;
        match self.len_left.checked_sub(len) {
            Some(left) => self.len_left = left,
            None if context.error().is_ok() => {
                *context.error() = Err(ContextError::Custom("trace is too long".to_owned()));
                interpreter.halt_fatal();
            }
            None => {}
        }
    }
}
