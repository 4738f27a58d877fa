//! Settings that a contract would refuse make no genesis.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lode_proofs::da::committee::KeyPoint;

use super::*;

fn settings() -> Settings {
    let validator = |tag| Validator {
        owner: Address::repeat_byte(tag),
        key: B256::repeat_byte(tag),
        stake: 100,
        endpoint: "host:1".to_owned(),
    };
    Settings {
        admin: Address::repeat_byte(1),
        publisher: Address::repeat_byte(1),
        price_per_sector: 0,
        flow_epoch_blocks: 1,
        beacon_slot_blocks: 1,
        committee_epoch_blocks: 1,
        unbond_epochs: 3,
        seats: 1,
        stake_min: 100,
        validators: vec![validator(1), validator(2)],
    }
}

/// The least settings are taken; the stakes are the registry's balance, and every account has code.
#[test]
fn the_least_settings_are_taken() {
    let accounts = accounts(&settings()).unwrap();
    assert_eq!(accounts.len(), 9);
    assert_eq!(accounts[&COMMITTEE].balance, U256::from(200));
    for account in accounts.values() {
        assert_eq!(account.nonce, Some(1));
        assert!(account.code.as_ref().is_some_and(|code| !code.is_empty()));
    }
}

/// The same for data availability: what DaSigners would have refused makes no genesis.
#[test]
fn each_bound_of_data_availability_holds() {
    let with = |broken: &dyn Fn(&mut DaSettings)| {
        let mut da = settings().da();
        let holder = |tag| Holder {
            owner: Address::repeat_byte(tag),
            key: KeyPoint([tag; 256]),
            peer_key: B256::repeat_byte(tag),
            stake: 100,
            socket: "host:1".to_owned(),
        };
        da.holders = vec![holder(1), holder(2)];
        broken(&mut da);
        accounts_with(&settings(), &da)
    };
    let accounts = with(&|_| ()).unwrap();
    assert_eq!(accounts[&DA_SIGNERS].balance, U256::from(200));
    let breaks: [fn(&mut DaSettings); 10] = [
        |da| da.epoch_blocks = 0,
        |da| da.unbond_epochs = 2,
        |da| da.stake_min = 0,
        |da| da.stake_min = 101,
        |da| da.holders[0].socket.clear(),
        |da| da.holders[0].socket = "x".repeat(129),
        |da| da.holders[0].peer_key = B256::ZERO,
        |da| da.holders[0].owner = da.holders[1].owner,
        |da| da.holders[0].key = da.holders[1].key,
        |da| da.holders[0].stake = STAKES_END - 100,
    ];
    for (at, broken) in breaks.iter().enumerate() {
        assert!(with(broken).is_err(), "break {at}");
    }
    let many = with(&|da| da.holders = vec![da.holders[0].clone(); 341]);
    assert!(many.is_err());
}

/// Each setting out of its range, alone, is refused.
#[test]
fn each_bound_holds() {
    let breaks: [fn(&mut Settings); 14] = [
        |settings| settings.flow_epoch_blocks = 0,
        |settings| settings.flow_epoch_blocks = 8192,
        |settings| settings.beacon_slot_blocks = 0,
        |settings| settings.beacon_slot_blocks = 4097,
        |settings| settings.committee_epoch_blocks = 0,
        |settings| settings.unbond_epochs = 2,
        |settings| settings.unbond_epochs = 1 << 32,
        |settings| settings.seats = 129,
        |settings| settings.stake_min = 101,
        |settings| settings.validators[0].endpoint.clear(),
        |settings| settings.validators[0].endpoint = "x".repeat(129),
        |settings| settings.validators[0].key = B256::ZERO,
        |settings| settings.validators[0].key = settings.validators[1].key,
        |settings| settings.validators[0].owner = settings.validators[1].owner,
    ];
    for (at, broken) in breaks.iter().enumerate() {
        let mut settings = settings();
        broken(&mut settings);
        assert!(accounts(&settings).is_err(), "break {at}");
    }
}
