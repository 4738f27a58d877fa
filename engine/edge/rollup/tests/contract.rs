//! Certificates and proofs of the Nitro face before the contract itself, `DaProofValidator.sol` as it is
//! committed, in another implementation of Ethereum's machine: what the server says is right the contract
//! says too, and every chunk of a batch is read as it was stored.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use lode_rollup::{
    Availability as _,
    memory::{self, Config},
};
use revm::{
    Context, ExecuteEvm as _, MainBuilder as _, MainnetEvm,
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    primitives::{Address, Bytes, TxKind, U256, hardfork::SpecId},
    state::AccountInfo,
};
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};
use world::{World, blob, call};

const VERIFIER: Address = Address::repeat_byte(0x77);
const VALIDATOR: Address = Address::repeat_byte(0x78);
/// More than either call needs.
const GAS: u64 = 16_000_000;

/// A chain with the two contracts, on which a quorum is known.
struct Chain(MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, CacheDB<EmptyDB>>>);

impl Chain {
    fn new(epoch: u64, committee_hash: [u8; 32]) -> Chain {
        let mut database = CacheDB::new(EmptyDB::new());
        let verifier =
            include_str!("../../../../sidecar-chain/contracts/artifacts/DaVerifier.json");
        let validator =
            include_str!("../../../../sidecar-chain/contracts/artifacts/DaProofValidator.json");
        for (address, artefact) in [(VERIFIER, verifier), (VALIDATOR, validator)] {
            let artefact: Value = serde_json::from_str(artefact).unwrap();
            let code = artefact["deployedBytecode"]["object"].as_str().unwrap();
            let code = Bytecode::new_raw(code.parse().unwrap());
            let account = AccountInfo {
                code_hash: code.hash_slow(),
                code: Some(code),
                ..AccountInfo::default()
            };
            database.insert_account_info(address, account);
        }
        // As `initialize` leaves it: the validator's first slot.
        let known = U256::from_be_slice(VERIFIER.as_slice());
        database
            .insert_account_storage(VALIDATOR, U256::ZERO, known)
            .unwrap();
        // As `learn` leaves it: the mapping in the verifier's third slot.
        let key = [[0; 24].as_slice(), &epoch.to_be_bytes(), &[0; 31], &[2]].concat();
        let slot = U256::from_be_slice(&Keccak256::digest(key));
        let hash = U256::from_be_slice(&committee_hash);
        database
            .insert_account_storage(VERIFIER, slot, hash)
            .unwrap();
        let mut context = Context::<BlockEnv, TxEnv, CfgEnv, _>::new(database, SpecId::OSAKA);
        context.cfg.disable_nonce_check = true;
        Chain(context.build_mainnet())
    }

    /// What the validator returns to this data; none if it reverts.
    fn ask(&mut self, data: Vec<u8>) -> Option<Vec<u8>> {
        let asked = TxEnv {
            kind: TxKind::Call(VALIDATOR),
            data: Bytes::from(data),
            gas_limit: GAS,
            ..TxEnv::default()
        };
        let result = self.0.transact(asked).unwrap().result;
        let success = result.is_success();
        let output = result.into_output().unwrap_or_default();
        success.then(|| output.to_vec())
    }

    /// `validateCertificate(bytes)`
    fn is_right(&mut self, certificate: &[u8], custom: &[u8]) -> bool {
        let said = self.ask(
            [
                &selector("validateCertificate(bytes)")[..],
                &word(32),
                &abi(&proof(certificate, custom)),
            ]
            .concat(),
        );
        let said = said.expect("it never reverts");
        assert_eq!(said[..31], [0; 31]);
        said[31] == 1
    }

    /// `validateReadPreimage(bytes32,uint256,bytes)`
    fn read(&mut self, certificate: &[u8], offset: u64, custom: &[u8]) -> Option<Vec<u8>> {
        let said = self.ask(
            [
                &selector("validateReadPreimage(bytes32,uint256,bytes)")[..],
                &Keccak256::digest(certificate),
                &word(offset),
                &word(96),
                &abi(&proof(certificate, custom)),
            ]
            .concat(),
        )?;
        assert_eq!(said[..32], word(32));
        let len = usize::from(said[63]);
        assert_eq!(said[32..63], [0; 31]);
        Some(said[64..64 + len].to_vec())
    }
}

fn selector(signature: &str) -> [u8; 4] {
    Keccak256::digest(signature)[..4].try_into().unwrap()
}

fn word(number: u64) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

/// Bytes as ABI has them: length, and filled up to words.
fn abi(bytes: &[u8]) -> Vec<u8> {
    let mut out = word(u64::try_from(bytes.len()).unwrap()).to_vec();
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(32), 0);
    out
}

/// As Nitro's prover puts it together.
fn proof(certificate: &[u8], custom: &[u8]) -> Vec<u8> {
    let len = u64::try_from(certificate.len()).unwrap();
    [&len.to_be_bytes(), certificate, custom].concat()
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// The field of an answer that is hex; empty if it is left out.
fn bytes(answer: &Value, field: &str) -> Vec<u8> {
    let text = answer
        .get(field)
        .map_or("0x", |text| text.as_str().unwrap());
    (2..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

async fn world(absent: u16) -> (World, Chain) {
    let world = World::with(memory::Config {
        absent,
        holders: 7,
        close_after: std::time::Duration::from_millis(5),
        ..Config::default()
    });
    let quorum = Config::default().quorum;
    let members = world.memory.members(quorum).await.unwrap().unwrap();
    let chain = Chain::new(quorum.epoch, members.committee().hash().0);
    (world, chain)
}

/// With all holders, and with two of seven absent: the contract agrees with the server about a
/// certificate and about what is made of it by a changed byte, and reads every chunk.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_agrees() {
    for absent in [0, 2] {
        let (world, mut chain) = world(absent).await;
        let server = world.nitro();
        let address = server.address();
        let batch = blob(8, 3_500);
        let stored = call(address, "daprovider_store", json!([hex(&batch), "0x0"])).await;
        let certificate = bytes(&stored.unwrap(), "serialized-da-cert");
        let method = "daprovider_generateCertificateValidityProof";
        let validity = call(address, method, json!([hex(&certificate)]))
            .await
            .unwrap();
        let validity = bytes(&validity, "proof");
        assert_eq!(validity, [1, 1]);
        assert!(chain.is_right(&certificate, &validity));
        for at in (0..certificate.len()).step_by(53) {
            let mut forged = certificate.clone();
            forged[at] ^= 4;
            let validity = call(address, method, json!([hex(&forged)])).await.unwrap();
            let claimed = bytes(&validity, "proof")[0] == 1;
            assert!(!claimed, "byte {at}");
            assert_eq!(chain.is_right(&forged, &[1, 1]), claimed, "byte {at}");
        }
        let method = "daprovider_generateReadPreimageProof";
        let mut read = Vec::new();
        for offset in (0..3_600).step_by(32) {
            let params = json!([format!("{offset:#x}"), hex(&certificate)]);
            let custom = bytes(&call(address, method, params).await.unwrap(), "proof");
            let chunk = chain.read(&certificate, offset, &custom);
            read.extend(chunk.expect("it is shown"));
            // Another chunk's proof shows nothing of this one.
            let other = chain.read(&certificate, (offset + 2_000) % 3_500, &custom);
            assert!(other.is_none(), "{offset}");
        }
        assert!(read == batch);
    }
}
