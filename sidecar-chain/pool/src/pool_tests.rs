//! What wallets get to hear, and what becomes of transactions, in small worlds.

use super::*;
use crate::made::{GAS, Plain, account, address, rich};

fn plain(sender: u8, nonce: u64, fee: u128) -> Plain {
    Plain {
        sender,
        nonce,
        fee,
        tip: fee,
        ..Plain::default()
    }
}

fn add(pool: &mut Pool, plain: Plain, account: Account) -> Result<Added, String> {
    let added = pool.add(plain.transaction(), account, false);
    added.map_err(|error| error.to_string())
}

fn refusal(pool: &mut Pool, plain: Plain, account: Account) -> String {
    add(pool, plain, account).unwrap_err()
}

fn hashes(transactions: &[Transaction]) -> Vec<B256> {
    transactions.iter().map(Transaction::hash).collect()
}

fn nonces(transactions: &[Transaction]) -> Vec<u64> {
    transactions.iter().map(Transaction::nonce).collect()
}

/// One account, in geth's words.
#[test]
fn tells_an_account_what_is_wrong() {
    let mut pool = Pool::new(Limits {
        tip_min: 2,
        ..Limits::default()
    });
    let one = plain(1, 5, 100);
    add(&mut pool, one, rich(5)).unwrap();
    assert_eq!(refusal(&mut pool, one, rich(5)), "already known");
    let text = "nonce too low: next nonce 5, tx nonce 4";
    assert_eq!(refusal(&mut pool, plain(1, 4, 100), rich(5)), text);
    let text = "replacement transaction underpriced";
    for (fee, tip) in [(109, 109), (110, 109), (200, 100), (100, 90)] {
        let other = Plain {
            tip,
            ..plain(1, 5, fee)
        };
        assert_eq!(refusal(&mut pool, other, rich(5)), text);
    }
    let text = "transaction gas price below minimum: gas tip cap 1, minimum needed 2";
    assert_eq!(
        refusal(
            &mut pool,
            Plain {
                tip: 1,
                ..plain(1, 6, 9)
            },
            rich(5)
        ),
        text
    );
    let replaced = add(&mut pool, plain(1, 5, 110), rich(5)).unwrap();
    assert_eq!(replaced.replaced.unwrap().hash(), one.transaction().hash());
    assert_eq!(
        hashes(&replaced.executable),
        [plain(1, 5, 110).transaction().hash()]
    );
    assert_eq!(
        pool.get(&one.transaction().hash()).map(Transaction::hash),
        None
    );
}

/// What is lacking is told as geth tells it, alone, beside what waits, and in its place.
#[test]
fn tells_what_money_is_lacking() {
    let mut pool = Pool::new(Limits::default());
    let cost = GAS * 10;
    let poor = account(0, 2 * cost);
    let text =
        "insufficient funds for gas * price + value: balance 420000, tx cost 420001, overshot 1";
    let dear = Plain {
        value: 1,
        ..plain(1, 0, 20)
    };
    assert_eq!(refusal(&mut pool, dear, poor), text);
    add(&mut pool, plain(1, 0, 10), poor).unwrap();
    let text = "insufficient funds for gas * price + value: balance 420000, queued cost 210000, \
                tx cost 231000, overshot 21000";
    assert_eq!(refusal(&mut pool, plain(1, 1, 11), poor), text);
    assert_eq!(refusal(&mut pool, plain(1, 7, 11), poor), text);
    add(&mut pool, plain(1, 1, 10), poor).unwrap();
    let text = "insufficient funds for gas * price + value: balance 420000, queued cost 420000, \
                tx bumped 21000, overshot 21000";
    assert_eq!(refusal(&mut pool, plain(1, 1, 11), poor), text);
}

/// What cannot pay the base fee waits or not, as the pool was made.
#[test]
fn waits_for_the_base_fee_or_not() {
    for wait_for_base_fee in [true, false] {
        let mut pool = Pool::new(Limits {
            wait_for_base_fee,
            ..Limits::default()
        });
        pool.set_base_fee(7);
        let added = add(&mut pool, plain(1, 0, 6), rich(0)).map(drop);
        let text = "max fee per gas less than block base fee: address \
                    0x0101010101010101010101010101010101010101, maxFeePerGas: 6, baseFee: 7";
        assert_eq!(
            added,
            if wait_for_base_fee {
                Ok(())
            } else {
                Err(text.to_owned())
            }
        );
        assert_eq!(pool.best(7).iter(&pool).count(), 0);
        assert_eq!(
            pool.best(6).iter(&pool).count(),
            usize::from(wait_for_base_fee)
        );
    }
}

/// What comes before its turn waits for what is missing, and becomes executable with it.
#[test]
fn closes_gaps() {
    let mut pool = Pool::new(Limits::default());
    for nonce in [3, 1, 2] {
        let added = add(&mut pool, plain(1, nonce, 10), rich(0)).unwrap();
        assert_eq!(nonces(&added.executable), [0; 0]);
        assert_eq!(pool.pending_nonce(&address(1)), Some(0));
    }
    let content = pool.content_of(&address(1));
    assert_eq!(
        (nonces(&content.executable), nonces(&content.queued)),
        (vec![], vec![1, 2, 3])
    );
    let added = add(&mut pool, plain(1, 0, 10), rich(0)).unwrap();
    assert_eq!(nonces(&added.executable), [0, 1, 2, 3]);
    assert_eq!(pool.pending_nonce(&address(1)), Some(4));
    assert_eq!(
        nonces(&pool.content_of(&address(1)).executable),
        [0, 1, 2, 3]
    );
    assert_eq!(pool.pending_nonce(&address(2)), None);
}

/// A block takes some away; what the rest of the balance cannot pay goes or waits.
#[test]
fn follows_blocks() {
    let mut pool = Pool::new(Limits::default());
    for nonce in 0..4 {
        add(&mut pool, plain(1, nonce, 10), rich(0)).unwrap();
    }
    add(&mut pool, plain(1, 4, 40), rich(0)).unwrap();
    let settled = pool.mined([(address(1), account(1, GAS * 25)), (address(9), rich(0))]);
    assert_eq!(nonces(&settled.used), [0]);
    assert_eq!(nonces(&settled.dropped), [4]);
    let content = pool.content_of(&address(1));
    assert_eq!(
        (nonces(&content.executable), nonces(&content.queued)),
        (vec![1, 2], vec![3])
    );
    let settled = pool.mined([(address(1), account(1, GAS * 30))]);
    assert_eq!(nonces(&settled.executable), [3]);
    let settled = pool.mined([(address(1), rich(9))]);
    assert_eq!(nonces(&settled.used), [1, 2, 3]);
    assert_eq!(pool.status(), crate::views::Status::default());
}

/// The last nonce that can be used is used.
#[test]
fn ends_at_the_last_nonce() {
    let mut pool = Pool::new(Limits::default());
    let last = u64::MAX - 1;
    let added = add(&mut pool, plain(1, last, 10), rich(last)).unwrap();
    assert_eq!(nonces(&added.executable), [last]);
    assert_eq!(pool.pending_nonce(&address(1)), Some(u64::MAX));
    assert_eq!(pool.best(0).iter(&pool).count(), 1);
    let settled = pool.mined([(address(1), rich(u64::MAX))]);
    assert_eq!(nonces(&settled.used), [last]);
}

/// An account told of out of turn does not go back.
#[test]
fn never_goes_back() {
    let mut pool = Pool::new(Limits::default());
    for nonce in 0..3 {
        add(&mut pool, plain(1, nonce, 10), rich(0)).unwrap();
    }
    pool.mined([(address(1), rich(2))]);
    let text = "nonce too low: next nonce 2, tx nonce 1";
    assert_eq!(refusal(&mut pool, plain(1, 1, 10), rich(1)), text);
}

/// A full pool: who has to go, and what the others hear.
#[test]
fn makes_room_for_the_better() {
    let mut pool = Pool::new(Limits {
        transactions: 4,
        ..Limits::default()
    });
    add(&mut pool, plain(1, 0, 50), rich(0)).unwrap();
    add(&mut pool, plain(1, 1, 20), rich(0)).unwrap();
    add(&mut pool, plain(2, 0, 30), rich(0)).unwrap();
    add(&mut pool, plain(3, 5, 99), rich(0)).unwrap();
    // The queued one goes before all that can be executed.
    let added = add(&mut pool, plain(2, 1, 1), rich(0)).unwrap();
    assert_eq!(
        hashes(&added.evicted),
        [plain(3, 5, 99).transaction().hash()]
    );
    // The last of the first account is worth 20, the last of the second 1, whatever is before.
    let added = add(&mut pool, plain(4, 0, 21), rich(0)).unwrap();
    assert_eq!(
        hashes(&added.evicted),
        [plain(2, 1, 1).transaction().hash()]
    );
    assert_eq!(
        refusal(&mut pool, plain(5, 0, 20), rich(0)),
        "transaction underpriced"
    );
    assert_eq!(
        refusal(&mut pool, plain(1, 2, 90), rich(0)),
        "transaction underpriced"
    );
    let text = "future transaction tries to replace pending";
    assert_eq!(refusal(&mut pool, plain(5, 1, 90), rich(0)), text);
    // One that is dear behind a cheap one is worth what the cheap one is.
    let added = add(&mut pool, plain(4, 1, 90), rich(0)).unwrap();
    assert_eq!(
        hashes(&added.evicted),
        [plain(1, 1, 20).transaction().hash()]
    );
    let added = add(&mut pool, plain(5, 0, 22), rich(0)).unwrap();
    assert_eq!(
        hashes(&added.evicted),
        [plain(4, 1, 90).transaction().hash()]
    );
}

/// What is local stays, and when all is local there is no room.
#[test]
fn keeps_what_is_local() {
    let mut pool = Pool::new(Limits {
        transactions: 2,
        tip_min: 5,
        ..Limits::default()
    });
    add(&mut pool, plain(1, 0, 90), rich(0)).unwrap();
    for sender in [2, 3] {
        pool.add(plain(sender, 0, 1).transaction(), rich(0), true)
            .unwrap();
    }
    assert_eq!(
        refusal(&mut pool, plain(4, 0, 99), rich(0)),
        "txpool is full"
    );
    assert_eq!(pool.best(0).iter(&pool).count(), 2);
}

/// An account keeps as many as it may, the earliest ones.
#[test]
fn bounds_an_account() {
    let mut pool = Pool::new(Limits {
        executable_per_account: 2,
        queued_per_account: 2,
        ..Limits::default()
    });
    for nonce in [0, 1, 2, 9] {
        add(&mut pool, plain(1, nonce, 10), rich(0)).unwrap();
    }
    assert_eq!(pool.pending_nonce(&address(1)), Some(2));
    let text = "account limit exceeded: pooled 4 txs";
    assert_eq!(refusal(&mut pool, plain(1, 10, 10), rich(0)), text);
    let added = add(&mut pool, plain(1, 3, 10), rich(0)).unwrap();
    assert_eq!(nonces(&added.evicted), [9]);
    let settled = pool.mined([(address(1), rich(2))]);
    assert_eq!(nonces(&settled.executable), [2, 3]);
}

/// Contracts send nothing, and who has delegated sends one after the other, in geth's words.
#[test]
fn asks_what_acts_for_an_account() {
    let mut pool = Pool::new(Limits::default());
    let of = |code: &[u8], nonce| Account {
        code: Code::of(code),
        ..rich(nonce)
    };
    let contract = of(&[0xef, 0x01, 0x00, 0x60], 0);
    let text =
        "sender not an eoa: address 0x0101010101010101010101010101010101010101, len(code): 4";
    assert_eq!(refusal(&mut pool, plain(1, 0, 10), contract), text);
    let delegation = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat();
    let delegated = |nonce| of(&delegation, nonce);
    let gap = "gapped-nonce tx from delegated accounts";
    assert_eq!(refusal(&mut pool, plain(2, 1, 10), delegated(0)), gap);
    add(&mut pool, plain(2, 0, 10), delegated(0)).unwrap();
    let limit = "in-flight transaction limit reached for delegated accounts";
    for nonce in [1, 2] {
        assert_eq!(refusal(&mut pool, plain(2, nonce, 10), delegated(0)), limit);
    }
    let replaced = add(&mut pool, plain(2, 0, 11), delegated(0)).unwrap();
    assert_eq!(replaced.replaced.unwrap().price().fee_max, 10);
    // A block takes it, and the next one may come; without the delegation any number.
    assert_eq!(nonces(&pool.mined([(address(2), delegated(1))]).used), [0]);
    add(&mut pool, plain(2, 1, 10), delegated(1)).unwrap();
    add(&mut pool, plain(2, 2, 10), rich(1)).unwrap();
    assert_eq!(pool.pending_nonce(&address(2)), Some(3));
    // What waits already when it delegates stays.
    assert_eq!(refusal(&mut pool, plain(2, 3, 10), delegated(1)), limit);
    assert_eq!(pool.pending_nonce(&address(2)), Some(3));
}

/// A block leaves a sender out, and takes what came meanwhile.
#[test]
fn walks_while_the_pool_changes() {
    let mut pool = Pool::new(Limits::default());
    for (sender, fee) in [(1, 50), (2, 40), (3, 30)] {
        for nonce in 0..3 {
            add(&mut pool, plain(sender, nonce, fee), rich(0)).unwrap();
        }
    }
    let mut best = pool.best(0);
    let step = |pool: &Pool, best: &mut Best| {
        best.next(pool)
            .map(|one| (one.sender(), one.nonce(), one.price().fee_max))
    };
    assert_eq!(step(&pool, &mut best), Some((address(1), 0, 50)));
    best.skip(address(1));
    // The first of the second is replaced by a dearer one, the first of the third goes.
    add(&mut pool, plain(2, 0, 60), rich(0)).unwrap();
    pool.discard(&plain(3, 0, 30).transaction().hash()).unwrap();
    add(&mut pool, plain(2, 3, 45), rich(0)).unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| step(&pool, &mut best)).collect();
    let second = |nonce, fee| (address(2), nonce, fee);
    assert_eq!(
        taken,
        [second(0, 60), second(1, 40), second(2, 40), second(3, 45)]
    );
}

/// What explorers show of one.
#[test]
fn is_shown_in_one_line() {
    let one = Plain {
        value: 5,
        ..plain(1, 0, 7)
    }
    .transaction();
    let text = "0xEeEEeEeEeEeEeEeEeEeEeEeEeEeEeEeEeEeEeEeE: 5 wei + 21000 gas × 7 wei";
    assert_eq!(one.inspect().to_lowercase(), text.to_lowercase());
}

/// Not a test: prints what adding and walking cost with 100,000 waiting.
#[test]
#[ignore = "prints times"]
fn measures() {
    const COUNT: u32 = 100_000;
    for senders in [100_u32, 10_000, COUNT] {
        let mut pool = Pool::new(Limits::default());
        let sender = |index: u32| {
            let mut bytes = [7; 20];
            bytes[..4].copy_from_slice(&(index % senders).to_le_bytes());
            Address::from(bytes)
        };
        let made: Vec<(Transaction, Account)> = (0..COUNT)
            .map(|index| {
                let fee = 1_000 + u128::from(index.wrapping_mul(2_654_435_761) % 1_000);
                let nonce = u64::from(index / senders);
                let envelope = Plain {
                    value: u64::from(index),
                    ..plain(0, nonce, fee)
                }
                .envelope();
                let checked = crate::made::RULES.check(envelope).unwrap();
                (checked.by(sender(index)), rich(0))
            })
            .collect();
        let per = |start: std::time::Instant, count: u32| start.elapsed() / count;
        let start = std::time::Instant::now();
        for (transaction, account) in made {
            pool.add(transaction, account, false).unwrap();
        }
        let adding = per(start, COUNT);
        let start = std::time::Instant::now();
        let mut best = pool.best(7);
        let heap = start.elapsed();
        let start = std::time::Instant::now();
        let taken: Vec<Transaction> = best.iter(&pool).take(10_000).collect();
        let step = per(start, 10_000);
        let mut after: AddressMap<Account> = AddressMap::default();
        for one in &taken {
            after.insert(one.sender(), rich(one.nonce() + 1));
        }
        let start = std::time::Instant::now();
        let used = pool.mined(after).used.len();
        let mined = per(start, 10_000);
        println!(
            "{senders} senders, {COUNT} waiting: add {adding:?}, walk made in {heap:?}, \
             step {step:?}, {used} mined at {mined:?} each, {} bytes each",
            pool.status().bytes / pool.iter().count()
        );
    }
}
