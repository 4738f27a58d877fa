//! Why a transaction is refused. Where geth knows the case, the text is that of its RPC and its pool,
//! word for word: wallets and SDKs know errors by their wording, for lack of codes. What follows
//! `rlp: ` is our decoder's own.

use alloy_primitives::{Address, U256};

/// Why a transaction is refused. RPC sends the text with code -32000.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No RLP of a transaction.
    #[error("rlp: {0}")]
    Rlp(alloy_rlp::Error),
    /// No bytes behind the type.
    #[error("typed transaction too short")]
    Short,
    /// A type that nobody knows.
    #[error("transaction type not supported")]
    UnknownType,
    /// A type that this chain does not take: blobs.
    #[error("transaction type not supported: tx type {0} not supported by this pool")]
    Type(u8),
    /// More bytes than a transaction may have.
    #[error("oversized data: transaction size {len}, limit {len_max}")]
    Oversized {
        /// Its bytes.
        len: usize,
        /// Bytes it may have.
        len_max: usize,
    },
    /// Code that makes a contract, longer than it may be (EIP-3860).
    #[error("max initcode size exceeded: code size {len}, limit {len_max}")]
    Initcode {
        /// Its bytes.
        len: usize,
        /// Bytes it may have.
        len_max: usize,
    },
    /// More gas than a transaction may ask for (EIP-7825).
    #[error("transaction gas limit too high (cap: {gas_max}, tx: {gas})")]
    GasTooHigh {
        /// What it asks for.
        gas: u64,
        /// What it may ask for.
        gas_max: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    BlockGas,
    /// It would pay a larger tip than it would pay in all.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFee,
    /// Signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// The chain it is signed for.
        have: u64,
        /// This chain.
        want: u64,
    },
    /// Signed for no chain in particular (before EIP-155).
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// A signature out of range, or the other of two that both hold (EIP-2).
    #[error("invalid sender: invalid transaction v, r, s values")]
    Signature,
    /// A signature by no key.
    #[error("invalid sender: recovery failed")]
    Recovery,
    /// The last nonce there is (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// Less gas than it costs before it runs.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {gas_min}")]
    IntrinsicGas {
        /// What it asks for.
        gas: u64,
        /// What it needs.
        gas_min: u64,
    },
    /// Less gas than its data costs at least (EIP-7623).
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {gas_min}")]
    FloorGas {
        /// What it asks for.
        gas: u64,
        /// What it needs.
        gas_min: u64,
    },
    /// It sets code and says for whom in no place (EIP-7702).
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorization,
    /// It is in the pool.
    #[error("already known")]
    Known,
    /// A tip below what this pool takes.
    #[error("transaction gas price below minimum: gas tip cap {tip}, minimum needed {tip_min}")]
    TipTooLow {
        /// What it pays at most, in wei for a unit of gas.
        tip: u128,
        /// What it has to pay.
        tip_min: u128,
    },
    /// It cannot pay the base fee, and this pool does not wait for a lower one.
    #[error(
        "max fee per gas less than block base fee: address {sender}, maxFeePerGas: {fee_max}, baseFee: {base_fee}"
    )]
    BelowBaseFee {
        /// Who sent it.
        sender: Address,
        /// What it pays at most, in wei for a unit of gas.
        fee_max: u128,
        /// What the block takes.
        base_fee: u64,
    },
    /// Its sender is a contract (EIP-3607).
    #[error("sender not an eoa: address {sender}, len(code): {len}")]
    SenderIsContract {
        /// Who sent it.
        sender: Address,
        /// Bytes of his code.
        len: usize,
    },
    /// Its sender has delegated (EIP-7702), and has one waiting already.
    #[error("in-flight transaction limit reached for delegated accounts")]
    LimitOfDelegated,
    /// Its sender has delegated (EIP-7702), and this one would have to wait for another.
    #[error("gapped-nonce tx from delegated accounts")]
    GapOfDelegated,
    /// Its nonce is used up.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// It may cost more than its sender has.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        .cost.saturating_sub(*.balance)
    )]
    Funds {
        /// What the sender has, in wei.
        balance: U256,
        /// What it may cost.
        cost: U256,
    },
    /// It may cost more than its sender has beside what waits already.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, overshot {}",
        .queued.saturating_add(*.cost).saturating_sub(*.balance)
    )]
    QueuedFunds {
        /// What the sender has, in wei.
        balance: U256,
        /// What may be spent by what waits.
        queued: U256,
        /// What it may cost.
        cost: U256,
    },
    /// It may cost more than its sender has when it takes the place of what waits.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx bumped {bump}, overshot {}",
        .queued.saturating_add(*.bump).saturating_sub(*.balance)
    )]
    BumpedFunds {
        /// What the sender has, in wei.
        balance: U256,
        /// What may be spent by what waits.
        queued: U256,
        /// How much more it may cost than the one it replaces.
        bump: U256,
    },
    /// Another with this nonce waits, and this one pays not a tenth more.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The account has as many waiting as it may.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimit {
        /// How many it has.
        pooled: usize,
    },
    /// The pool is full of others that pay as much.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool is full of others that can be executed, and this one cannot.
    #[error("future transaction tries to replace pending")]
    FutureReplacesPending,
    /// The pool is full, and nothing in it can make room.
    #[error("txpool is full")]
    Full,
}
