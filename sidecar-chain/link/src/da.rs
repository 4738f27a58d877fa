//! Data availability on the chain: who holds rows in which epoch, and certificates in blocks.
//!
//! ```text
//!  register ─► DaSigners ─ make_epoch ─► committee of an epoch ─► QuorumSeats ─► lode_proofs::da::Seats
//!                                              │ hash
//!  certificates of it ─ settle ──────────► DaCertificates ─ logs ─► CertificateSettled
//! ```
//! Keys here are points as contracts have them; `lode_proofs` (feature `bls`) makes keys of them.

use alloy_primitives::{Address, B256, Bytes, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent};
use lode_proofs::{
    Hash32,
    da::{
        Committee, Draw, Quorum, Seat, Seats, Shown,
        committee::{KeyPoint, POINT_LEN},
        shape::HOLDERS_MAX,
    },
};

use crate::{
    abi::{Beacon, DaCertificates, DaSigners},
    flow::LogError,
    storage::{Contract, mapped},
};

/// Bytes of a proof of possession, a point of G1 as EIP-2537 has it.
pub const POSSESSION_LEN: usize = 128;
/// Certificates that one call settles, at most: a transaction's gas (EIP-7825) pays for about a hundred,
/// for fewer where many seats are absent.
pub const SETTLE_MAX: usize = 64;

/// A holder, as it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who may add to the stake and take it back.
    pub owner: Address,
    /// What it signs with.
    pub key: KeyPoint,
    /// Ed25519 public key, under which it is found.
    pub peer_key: B256,
    /// Wei.
    pub stake: u128,
    /// Host and port, as the owner wrote it: nobody has checked it.
    pub socket: String,
}

/// A holder with rows in an epoch's quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSeat {
    /// The holder; key and stake as they were drawn by, addresses as they are now.
    pub holder: Holder,
    /// How many rows it has; which follows from [`QuorumSeats::seats`].
    pub rows: u16,
}

/// An epoch's quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSeats {
    /// What binds it, as the contract made it.
    pub committee: Committee,
    /// In the order of seats.
    pub seats: Vec<QuorumSeat>,
}

/// What the chain answered is no quorum.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// It does not decode.
    #[error("the answer is none: {0}")]
    Answer(#[from] alloy_sol_types::Error),
    /// It decodes, and does not add up: the node lies, or is not of this chain.
    #[error("the quorum does not add up: {0}")]
    Wrong(&'static str),
}

/// A certificate that was settled, or that took the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSettled {
    /// Of which container.
    pub container_id: B256,
    /// Of which quorum.
    pub epoch: u64,
    /// Of which quorum of the epoch.
    pub quorum: u32,
    /// Unix seconds, end exclusive.
    pub expiry: u64,
    /// Rows that were signed for.
    pub rows: u16,
    /// The hash of the committee whose seats signed.
    pub committee_hash: B256,
    /// As it was settled.
    pub certificate: Bytes,
    /// Whether there was one of this container before.
    pub extends: bool,
}

/// The call that registers the sender, with the value as its stake. `possession` is the proof of [D-28] as
/// a point.
#[must_use]
pub fn register_call(
    key: &KeyPoint,
    possession: &[u8; POSSESSION_LEN],
    peer_key: B256,
    socket: String,
) -> Bytes {
    let call = DaSigners::registerCall {
        key: Bytes::copy_from_slice(&key.0),
        possession: Bytes::copy_from_slice(possession),
        peerKey: peer_key,
        socket,
    };
    call.abi_encode().into()
}

/// The call that adds its value to the sender's stake.
#[must_use]
pub fn bond_call() -> Bytes {
    DaSigners::bondCall {}.abi_encode().into()
}

/// The call that takes from the sender's stake.
#[must_use]
pub fn unbond_call(amount: u128) -> Bytes {
    DaSigners::unbondCall { amount }.abi_encode().into()
}

/// The call that pays out what has left.
#[must_use]
pub fn withdraw_call() -> Bytes {
    DaSigners::withdrawCall {}.abi_encode().into()
}

/// The call that says where the sender can be reached.
#[must_use]
pub fn update_socket_call(socket: String) -> Bytes {
    DaSigners::updateSocketCall { socket }.abi_encode().into()
}

/// The call that makes this epoch's quorum; made already, it changes nothing. It needs the header of the
/// first block of the beacon's slot ([`slot_call`]), in RLP, unless the value was recorded or the
/// call is in that block.
#[must_use]
pub fn make_epoch_call(header: Option<Bytes>) -> Bytes {
    match header {
        Some(header) => DaSigners::makeEpochWithCall { header }.abi_encode(),
        None => DaSigners::makeEpochCall {}.abi_encode(),
    }
    .into()
}

/// The call that asks for the beacon's slot that an epoch's quorum is drawn by.
#[must_use]
pub fn slot_call(epoch: u64) -> Bytes {
    DaSigners::slotOfCall { asked: epoch }.abi_encode().into()
}

/// The slot in the answer.
///
/// # Errors
/// When it does not decode.
pub fn slot(answer: &[u8]) -> Result<u64, alloy_sol_types::Error> {
    DaSigners::slotOfCall::abi_decode_returns_validate(answer)
}

/// The call that asks the beacon how many blocks a slot has.
#[must_use]
pub fn slot_blocks_call() -> Bytes {
    Beacon::blocksPerSlotCall {}.abi_encode().into()
}

/// The number in the answer.
///
/// # Errors
/// When it does not decode.
pub fn slot_blocks(answer: &[u8]) -> Result<u64, alloy_sol_types::Error> {
    Beacon::blocksPerSlotCall::abi_decode_returns_validate(answer)
}

/// The call that asks for the epoch of the block.
#[must_use]
pub fn epoch_call() -> Bytes {
    DaSigners::epochCall {}.abi_encode().into()
}

/// The epoch in the answer.
///
/// # Errors
/// When it does not decode.
pub fn epoch(answer: &[u8]) -> Result<u64, alloy_sol_types::Error> {
    DaSigners::epochCall::abi_decode_returns_validate(answer)
}

/// The call that asks for the hash of a quorum's committee.
#[must_use]
pub fn committee_hash_call(epoch: u64) -> Bytes {
    let call = DaSigners::committeeHashCall {
        asked: epoch.try_into().expect("64 bits fit 256"),
        quorum: Default::default(),
    };
    call.abi_encode().into()
}

/// The hash in the answer; none if the quorum was not made.
///
/// # Errors
/// When it does not decode.
pub fn committee_hash(answer: &[u8]) -> Result<Option<B256>, alloy_sol_types::Error> {
    let hash = DaSigners::committeeHashCall::abi_decode_returns_validate(answer)?;
    Ok((!hash.is_zero()).then_some(hash))
}

/// The slot of DaSigners that keeps the hash of an epoch's committee.
#[must_use]
pub fn committee_slot(epoch: u64) -> B256 {
    let contract = Contract::new(include_str!("../../contracts/artifacts/DaSigners.json"));
    let (made, _) = contract.variable("_made");
    mapped(U256::from(epoch).into(), made).into()
}

/// The call that asks for everything about an epoch's quorum. It fails if that was not made.
#[must_use]
pub fn committee_call(epoch: u64) -> Bytes {
    let call = DaSigners::committeeCall {
        asked: epoch.try_into().expect("64 bits fit 256"),
        quorum: Default::default(),
    };
    call.abi_encode().into()
}

/// The quorum in the answer, which adds up: the seats are those of the committee. That the committee is
/// the chain's, its hash says ([`committee_hash_call`]).
///
/// # Errors
/// [`QuorumError`]
pub fn committee_at(answer: &[u8]) -> Result<QuorumSeats, QuorumError> {
    let answer = DaSigners::committeeCall::abi_decode_returns_validate(answer)?;
    let committee =
        Committee::decode(&answer._0).map_err(|_| QuorumError::Wrong("no committee"))?;
    if answer.seats.len() != usize::from(committee.seats) || answer.seats.len() > HOLDERS_MAX {
        return Err(QuorumError::Wrong("another number of seats"));
    }
    let seats = answer.seats.into_iter().map(|seat| {
        let key: [u8; POINT_LEN] = seat.key[..]
            .try_into()
            .map_err(|_| QuorumError::Wrong("a key is no point"))?;
        let holder = Holder {
            owner: seat.owner,
            key: KeyPoint(key),
            peer_key: seat.peerKey,
            stake: seat.stake,
            socket: seat.socket,
        };
        Ok(QuorumSeat {
            holder,
            rows: seat.rows,
        })
    });
    let seats = seats.collect::<Result<Vec<_>, QuorumError>>()?;
    let quorum = QuorumSeats { committee, seats };
    if quorum.seats()?.seat_root() != committee.seat_root {
        return Err(QuorumError::Wrong("seats that are not the committee's"));
    }
    Ok(quorum)
}

impl QuorumSeats {
    /// Keys and rows, of which everything else follows.
    ///
    /// # Errors
    /// [`QuorumError::Wrong`] if they are not 3072 rows together.
    pub fn seats(&self) -> Result<Seats, QuorumError> {
        let seats = self.seats.iter().map(|seat| Seat {
            key: seat.holder.key,
            rows: seat.rows,
        });
        let Committee { quorum, draw, .. } = self.committee;
        Seats::new(quorum, draw, seats.collect())
            .map_err(|_| QuorumError::Wrong("not 3072 rows together"))
    }

    /// Whose.
    #[must_use]
    pub const fn quorum(&self) -> &Quorum {
        &self.committee.quorum
    }

    /// What the rows were drawn by.
    #[must_use]
    pub const fn draw(&self) -> Draw {
        self.committee.draw
    }
}

/// The call that settles certificates of one committee, all or none.
///
/// # Panics
/// If they are more than [`SETTLE_MAX`], or one is of another committee: it would fail the others.
#[must_use]
pub fn settle_call(committee: &Committee, shown: &[Shown]) -> Bytes {
    assert!(shown.len() <= SETTLE_MAX, "no more than fit a transaction");
    let shown = shown.iter().map(|shown| {
        assert_eq!(shown.committee, *committee, "all of one committee");
        DaCertificates::Shown {
            certificate: shown.certificate.encode().into(),
            absent: shown.absent().into(),
        }
    });
    let call = DaCertificates::settleCall {
        committee: Bytes::copy_from_slice(&committee.encode()),
        shown: shown.collect(),
    };
    call.abi_encode().into()
}

/// The call that asks what was settled of a container.
#[must_use]
pub fn record_call(container_id: Hash32) -> Bytes {
    let call = DaCertificates::recordOfCall {
        containerId: container_id.0.into(),
    };
    call.abi_encode().into()
}

/// What a container's record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Of which epoch's quorum.
    pub epoch: u64,
    /// Which of its quorums.
    pub quorum: u32,
    /// Unix seconds, end exclusive.
    pub expiry: u64,
    /// Rows that were signed for.
    pub rows: u16,
    /// Number of the block that settled it.
    pub block: u64,
}

/// The record in the answer; none if nothing was settled.
///
/// # Errors
/// When it does not decode.
pub fn record(answer: &[u8]) -> Result<Option<CertificateRecord>, alloy_sol_types::Error> {
    let record = DaCertificates::recordOfCall::abi_decode_returns_validate(answer)?;
    let found = CertificateRecord {
        epoch: record.epoch,
        quorum: record.quorum,
        expiry: record.expiry,
        rows: record.rows,
        block: record.blockNumber,
    };
    Ok((record.rows != 0).then_some(found))
}

/// What a log of DaCertificates says.
///
/// # Errors
/// [`LogError`] when it is none.
pub fn certificate_settled(log: &LogData) -> Result<CertificateSettled, LogError> {
    if log.topics().first() == Some(&DaCertificates::Extended::SIGNATURE_HASH) {
        let log = DaCertificates::Extended::decode_log_data_validate(log)?;
        return Ok(CertificateSettled {
            container_id: log.containerId,
            epoch: log.epoch,
            quorum: log.quorum,
            expiry: log.expiry,
            rows: log.rows,
            committee_hash: log.committeeHash,
            certificate: log.certificate,
            extends: true,
        });
    }
    let log = DaCertificates::Settled::decode_log_data_validate(log)?;
    Ok(CertificateSettled {
        container_id: log.containerId,
        epoch: log.epoch,
        quorum: log.quorum,
        expiry: log.expiry,
        rows: log.rows,
        committee_hash: log.committeeHash,
        certificate: log.certificate,
        extends: false,
    })
}
