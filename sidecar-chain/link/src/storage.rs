//! Storage of a contract as Solidity lays it out, written without running a constructor. Which
//! variable lies where comes from the artefact, so that a moved variable moves here too.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde_json::Value;

/// Slot of OpenZeppelin's `Initializable` (ERC-7201); its lowest 64 bits count initialisations.
const INITIALIZABLE: U256 = U256::from_be_bytes(alloy_primitives::hex!(
    "f0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00"
));

/// A contract that is about to be placed.
pub(crate) struct Contract {
    artefact: Value,
    slots: BTreeMap<U256, U256>,
}

impl Contract {
    /// Nothing stored yet but that nobody can initialise it any more.
    ///
    /// # Panics
    /// If the artefact, which is part of this crate, is not JSON.
    pub(crate) fn new(artefact: &str) -> Self {
        let artefact = serde_json::from_str(artefact).expect("artefacts are JSON");
        let slots = BTreeMap::from([(INITIALIZABLE, U256::ONE)]);
        Contract { artefact, slots }
    }

    /// Its code, as it runs.
    pub(crate) fn code(&self) -> Bytes {
        let code = &self.artefact["deployedBytecode"]["object"];
        let code = code.as_str().and_then(|code| code.parse().ok());
        code.expect("artefacts have code")
    }

    /// All that is stored.
    pub(crate) fn storage(self) -> BTreeMap<B256, B256> {
        let slots = self.slots.into_iter();
        slots
            .map(|(slot, value)| (slot.into(), value.into()))
            .collect()
    }

    /// The slot of a variable, and how many bits of the slot lie below it.
    pub(crate) fn variable(&self, label: &str) -> (U256, usize) {
        let variables = self.artefact["storage"].as_array();
        let found = variables
            .and_then(|all| all.iter().find(|variable| variable["label"] == label))
            .and_then(|found| Some((found["slot"].as_u64()?, found["offset"].as_u64()?)));
        let (slot, offset) = found.expect("artefacts list every variable");
        let bits = usize::try_from(8 * offset).expect("an offset is below 32 bytes");
        (U256::from(slot), bits)
    }

    /// Sets a variable of at most one slot, and leaves its neighbours.
    pub(crate) fn set(&mut self, label: &str, value: U256) {
        let (slot, bits) = self.variable(label);
        self.put(slot, bits, value);
    }

    /// Sets what lies `bits` above the start of a slot and was zero.
    pub(crate) fn put(&mut self, slot: U256, bits: usize, value: U256) {
        let stored = self.slots.entry(slot).or_default();
        *stored |= value << bits;
        if stored.is_zero() {
            self.slots.remove(&slot);
        }
    }

    /// Grants a role as `AccessControlEnumerable` does.
    pub(crate) fn grant(&mut self, role: B256, account: Address) {
        let (roles, _) = self.variable("_roles");
        let (members, _) = self.variable("_roleMembers");
        let has = mapped(word(account), mapped(role, roles));
        self.put(has, 0, U256::ONE);
        let list = mapped(role, members);
        let place = self.push(list, U256::from_be_bytes(word(account).0));
        let places = list + U256::ONE;
        self.put(mapped(word(account), places), 0, place);
    }

    /// Appends to a list of whole slots; returns the new length.
    pub(crate) fn push(&mut self, list: U256, value: U256) -> U256 {
        let length = self.slots.get(&list).copied().unwrap_or_default();
        self.put(hashed(list) + length, 0, value);
        self.slots.insert(list, length + U256::ONE);
        length + U256::ONE
    }

    /// Sets an item of a list of numbers of `bits` each, which lie side by side in slots.
    pub(crate) fn small(&mut self, list: U256, place: usize, bits: usize, value: U256) {
        let a_slot = 256 / bits;
        let slot = hashed(list) + U256::from(place / a_slot);
        self.put(slot, place % a_slot * bits, value);
    }

    /// Sets a string, which was empty.
    pub(crate) fn text(&mut self, slot: U256, text: &str) {
        self.bytes(slot, text.as_bytes());
    }

    /// Sets bytes, of which there were none.
    pub(crate) fn bytes(&mut self, slot: U256, content: &[u8]) {
        let length = U256::from(content.len());
        if content.len() < 32 {
            let mut bytes = [0; 32];
            bytes[..content.len()].copy_from_slice(content);
            self.put(slot, 0, U256::from_be_bytes(bytes) | (length << 1));
            return;
        }
        self.put(slot, 0, (length << 1) | U256::ONE);
        let mut at = hashed(slot);
        for piece in content.chunks(32) {
            let mut bytes = [0; 32];
            bytes[..piece.len()].copy_from_slice(piece);
            self.put(at, 0, U256::from_be_bytes(bytes));
            at += U256::ONE;
        }
    }
}

/// Where a mapping keeps the value of a key.
pub(crate) fn mapped(key: B256, mapping: U256) -> U256 {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(key.as_slice());
    bytes[32..].copy_from_slice(&mapping.to_be_bytes::<32>());
    U256::from_be_bytes(keccak256(bytes).0)
}

/// An address as a key.
pub(crate) fn word(account: Address) -> B256 {
    account.into_word()
}

/// Where the contents of a list or a long string begin.
fn hashed(slot: U256) -> U256 {
    U256::from_be_bytes(keccak256(slot.to_be_bytes::<32>()).0)
}
