//! What is sent: made and signed before anything is timed, and the same for every subject, since each
//! begins with a fresh chain of one number and the development accounts that everybody has.
//!
//! ```text
//!  account 0 ─► deploys the token, gives every sender ether and tokens      the set-up
//!  senders   ─► each its transactions, nonces from 0                        one job each
//! ```
//! A lane is one connection. A sender's transactions all go through one lane, in turn with those of
//! the lane's other senders, so that they arrive in order of their nonces.

use std::{num::NonZeroUsize, thread};

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEnvelope,
    crypto::secp256k1::{recover_signer, sign_message},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};

use super::rpc;
use crate::{
    error::{Error, Result},
    meter::bytes_of,
};

/// The chain's number, of every subject.
pub const CHAIN_ID: u64 = 31_337;
/// Ether of each development account.
pub const BALANCE: u64 = 1_000_000_000;
/// Keys of the first two accounts that the words `test … junk` give: who sets up, and who probes.
pub const KEYS: [&str; 2] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
];

/// Wei of a unit of gas, at most. From 1 gwei on the base fee rises by an eighth with every full
/// block, so this lasts for 78 of them in a row; and no transaction costs an ether, which nodes may
/// take for a mistake.
const FEE_MAX: u128 = 10_000_000_000_000;
/// Wei of a unit of gas for the proposer.
const TIP: u128 = 1_000_000_000;
/// The same of a probe, which goes first.
const TIP_FIRST: u128 = 20_000_000_000;
/// Gas of a transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas of a transfer of tokens, at most: two new slots are 44,000 of it.
const TOKEN_GAS: u64 = 70_000;
/// Gas of the deployment, at most.
const DEPLOY_GAS: u64 = 1_500_000;
/// Wei of an ether.
const WEI: u64 = 1_000_000_000_000_000_000;

/// The token: see `benches/contracts/Token.sol`.
const TOKEN: &str = include_str!("../../contracts/Token.bin");
/// Selector of `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// What senders send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One wei each.
    Ether,
    /// One unit of the token each.
    Tokens,
}

/// What is to be sent, and how.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Name among the figures.
    pub name: &'static str,
    /// What.
    pub kind: Kind,
    /// By how many accounts.
    pub senders: u64,
    /// How many transactions of each.
    pub each: u64,
    /// Transactions of a request.
    pub batch: NonZeroUsize,
    /// Connections.
    pub lanes: NonZeroUsize,
    /// Transactions that may wait in the mempool.
    pub waiting: u64,
}

/// One request, as it goes through the socket.
#[derive(Clone, Debug)]
pub struct Request {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Hashes of its transactions.
    pub hashes: Vec<B256>,
}

/// A job, ready to be sent.
pub struct Signed {
    /// The job.
    pub job: Job,
    /// Requests of each lane.
    pub lanes: Vec<Vec<Request>>,
    /// The transactions of all lanes with their senders, in an order in which a block may hold them.
    pub transactions: Vec<(TxEnvelope, Address)>,
}

/// All that is sent to one subject.
pub struct Script {
    /// Transactions of account 0, in order.
    pub setup: Vec<TxEnvelope>,
    /// The jobs.
    pub jobs: Vec<Signed>,
}

/// An account, and the nonce of its next transaction.
pub struct Signer {
    key: B256,
    /// Its address.
    pub address: Address,
    /// Of its next transaction.
    pub nonce: u64,
}

impl Signer {
    /// The account of a key.
    ///
    /// # Errors
    /// When it is no key.
    pub fn new(key: B256) -> Result<Self> {
        let hash = keccak256(key);
        let address = sign_message(key, hash)
            .ok()
            .and_then(|signature| recover_signer(&signature, hash).ok())
            .ok_or_else(|| Error::Usage(format!("{key} is no key")))?;
        Ok(Self {
            key,
            address,
            nonce: 0,
        })
    }

    /// A development account.
    ///
    /// # Errors
    /// For a number that has no key, or a key that is none.
    pub fn known(number: usize) -> Result<Self> {
        let key = KEYS.get(number).and_then(|key| hex::decode(key).ok());
        let key = key.ok_or_else(|| rpc::refused(&format!("no key of account {number}")))?;
        Self::new(B256::left_padding_from(&key))
    }

    /// One wei to itself, before all others that wait.
    ///
    /// # Errors
    /// As for every signature.
    pub fn probe(&mut self) -> Result<TxEnvelope> {
        let to = TxKind::Call(self.address);
        self.sign(to, U256::from(1), Bytes::new(), TRANSFER_GAS, TIP_FIRST)
    }

    fn pay(&mut self, to: Address, wei: U256) -> Result<TxEnvelope> {
        self.sign(TxKind::Call(to), wei, Bytes::new(), TRANSFER_GAS, TIP)
    }

    fn pay_tokens(&mut self, token: Address, to: Address, units: u64) -> Result<TxEnvelope> {
        let units = B256::from(U256::from(units));
        let input = [&TRANSFER[..], &to.into_word()[..], &units[..]].concat();
        let to = TxKind::Call(token);
        self.sign(to, U256::ZERO, input.into(), TOKEN_GAS, TIP)
    }

    fn sign(
        &mut self,
        to: TxKind,
        value: U256,
        input: Bytes,
        gas_limit: u64,
        tip: u128,
    ) -> Result<TxEnvelope> {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: FEE_MAX,
            max_priority_fee_per_gas: tip,
            to,
            value,
            input,
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = sign_message(self.key, transaction.signature_hash())
            .map_err(|error| Error::Usage(format!("no signature: {error}")))?;
        Ok(transaction.into_signed(signature).into())
    }
}

impl Script {
    /// Signs everything, on all cores.
    ///
    /// # Errors
    /// When the senders of a job need more than account 0 has.
    pub fn write(jobs: &[Job]) -> Result<Self> {
        let mut giver = Signer::known(0)?;
        let token = giver.address.create(0);
        let mut setup = vec![deploy(&mut giver)?];
        let mut signed = Vec::new();
        let mut given = U256::ZERO;
        for (number, job) in jobs.iter().enumerate() {
            let senders = senders(number, job.senders)?;
            let gas = match job.kind {
                Kind::Ether => TRANSFER_GAS,
                Kind::Tokens => TOKEN_GAS,
            };
            let wei =
                U256::from(job.each) * U256::from(gas) * U256::from(FEE_MAX) + U256::from(WEI);
            given += wei * U256::from(job.senders);
            for sender in &senders {
                setup.push(giver.pay(sender.address, wei)?);
                if job.kind == Kind::Tokens {
                    setup.push(giver.pay_tokens(token, sender.address, job.each)?);
                }
            }
            signed.push(sign_all(*job, senders, token)?);
        }
        if given >= U256::from(BALANCE) * U256::from(WEI) {
            let what =
                "these jobs cost more than the first account has: ask for fewer transactions";
            return Err(Error::Usage(what.to_owned()));
        }
        Ok(Self {
            setup,
            jobs: signed,
        })
    }
}

fn deploy(giver: &mut Signer) -> Result<TxEnvelope> {
    let code = hex::decode(TOKEN.trim())
        .map_err(|error| Error::Usage(format!("Token.bin is not hexadecimal: {error}")))?;
    let supply = B256::from(U256::from(u64::MAX));
    let input = [&code[..], &supply[..]].concat();
    giver.sign(TxKind::Create, U256::ZERO, input.into(), DEPLOY_GAS, TIP)
}

/// The senders of job `number`: accounts that nobody else has.
fn senders(number: usize, count: u64) -> Result<Vec<Signer>> {
    let sender = |at: u64| Signer::new(keccak256(format!("sender {at} of job {number}")));
    (0..count).map(sender).collect()
}

/// Signs a job, each core for its share of the senders.
fn sign_all(job: Job, senders: Vec<Signer>, token: Address) -> Result<Signed> {
    let receivers: Vec<Address> = (0..job.senders)
        .map(|at| Address::from_word(keccak256(format!("receiver {at} of {}", job.name))))
        .collect();
    let mut work: Vec<(u64, Signer)> = (0..).zip(senders).collect();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = work.len().div_ceil(cores).max(1);
    let signed: Result<Vec<Vec<Own>>> = thread::scope(|scope| {
        let threads: Vec<_> = work
            .chunks_mut(share)
            .map(|part| {
                let receivers = &receivers;
                scope.spawn(move || sign_part(job, part, receivers, token))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    });
    let by_sender: Vec<Own> = signed?.into_iter().flatten().collect();
    let count = job.lanes.get();
    let lanes: Vec<Vec<(TxEnvelope, Address)>> = (0..count)
        .map(|lane| in_turn(by_sender.iter().skip(lane).step_by(count)))
        .collect();
    Ok(Signed {
        job,
        lanes: lanes.iter().map(|lane| requests(job, lane)).collect(),
        transactions: lanes.into_iter().flatten().collect(),
    })
}

/// One sender's transactions, in order.
type Own = Vec<(TxEnvelope, Address)>;

fn sign_part(
    job: Job,
    part: &mut [(u64, Signer)],
    receivers: &[Address],
    token: Address,
) -> Result<Vec<Own>> {
    let all = part.iter_mut();
    all.map(|(number, signer)| sign_own(job, *number, signer, receivers, token))
        .collect()
}

/// A sender's transactions: to every receiver in turn, and each sender begins with another.
fn sign_own(
    job: Job,
    number: u64,
    signer: &mut Signer,
    receivers: &[Address],
    token: Address,
) -> Result<Own> {
    let turn = receivers.iter().cycle();
    let from = usize::try_from(number).expect("fewer than there are in memory");
    let count = usize::try_from(job.each).expect("as many as memory holds");
    let turn = turn.skip(from).take(count);
    turn.map(|to| {
        let envelope = match job.kind {
            Kind::Ether => signer.pay(*to, U256::from(1)),
            Kind::Tokens => signer.pay_tokens(token, *to, 1),
        };
        Ok((envelope?, signer.address))
    })
    .collect()
}

/// The first transaction of each sender, then the second of each, and so on.
fn in_turn<'own>(senders: impl Iterator<Item = &'own Own>) -> Own {
    let senders: Vec<&Own> = senders.collect();
    let longest = senders.iter().map(|own| own.len()).max().unwrap_or(0);
    (0..longest)
        .flat_map(|at| senders.iter().filter_map(move |own| own.get(at)))
        .cloned()
        .collect()
}

fn requests(job: Job, transactions: &[(TxEnvelope, Address)]) -> Vec<Request> {
    let batches = transactions.chunks(job.batch.get());
    batches
        .map(|batch| {
            let single = job.batch.get() == 1;
            let envelopes = batch.iter().map(|(envelope, _)| envelope);
            Request {
                bytes: send_request(envelopes, single),
                hashes: batch.iter().map(|(envelope, _)| *envelope.hash()).collect(),
            }
        })
        .collect()
}

/// The request that sends these: one call, or a batch of them.
pub fn send_request<'one>(
    envelopes: impl Iterator<Item = &'one TxEnvelope>,
    single: bool,
) -> Vec<u8> {
    let calls: Vec<String> = (0_u64..)
        .zip(envelopes)
        .map(|(id, envelope)| {
            let raw = hex::encode_prefixed(envelope.encoded_2718());
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_sendRawTransaction","params":["{raw}"]}}"#
            )
        })
        .collect();
    let calls = calls.join(",");
    let body = match single {
        true => calls,
        false => format!("[{calls}]"),
    };
    rpc::request(&body)
}

impl Signed {
    /// How many transactions.
    pub fn count(&self) -> u64 {
        bytes_of(self.transactions.len())
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
