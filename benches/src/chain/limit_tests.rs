//! Execution alone: what it executes has the effects that it should have.

use std::num::NonZeroUsize;

use alloy_primitives::{U256, keccak256};
use lode_chain_state::apply::{account, slot};
use serde_json::json;

use super::Machine;
use crate::{
    chain::script::{CHAIN_ID, Job, Kind, Script, Signer},
    scratch::Scratch,
};

/// Proves that set-up and jobs are executed whole: the token's and the ether's balances are those
/// that the jobs leave, and a second run of the same transactions is refused.
#[test]
fn executes_all() {
    let scratch = Scratch::new("limit").unwrap();
    let file = scratch.path().join("genesis.json");
    let giver = Signer::known(0).unwrap().address;
    let genesis = json!({
        "config": {
            "chainId": CHAIN_ID, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
            "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0,
        },
        "gasLimit": "0x1", "difficulty": "0x0", "timestamp": "0x1",
        "alloc": { giver.to_string(): { "balance": "0xffffffffffffffffffffffffffff" } },
    });
    std::fs::write(&file, genesis.to_string()).unwrap();
    let job = |kind, name| Job {
        name,
        kind,
        senders: 3,
        each: 4,
        batch: NonZeroUsize::MIN,
        lanes: NonZeroUsize::MIN,
        waiting: 100,
    };
    let jobs = [job(Kind::Ether, "ether"), job(Kind::Tokens, "tokens")];
    let script = Script::write(&jobs).unwrap();
    let mut machine = Machine::new(&file, &script.setup).unwrap();
    for signed in &script.jobs {
        let limit = machine.run(signed).unwrap();
        assert_eq!((limit.both.operations, limit.recovery.operations), (12, 12));
    }
    let receiver = |name, at| keccak256(&keccak256(format!("receiver {at} of {name}"))[12..]);
    for at in 0..3 {
        let rich = account(&machine.state, &receiver("ether", at)).unwrap();
        assert_eq!(rich.unwrap().balance, U256::from(4));
        let holder = keccak256(format!("receiver {at} of tokens"));
        // `balanceOf` is the contract's first variable: slot keccak(holder ‖ 0).
        let mut place = [0; 64];
        place[12..32].copy_from_slice(&holder[12..]);
        let place = keccak256(keccak256(place));
        let held = slot(&machine.state, &keccak256(giver.create(0)), &place).unwrap();
        assert_eq!(held, U256::from(4));
    }
    assert!(machine.run(&script.jobs[0]).is_err(), "nonces are used up");
}
