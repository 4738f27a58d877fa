//! Whatever is done to the pool, it does what a list that is searched from end to end would do.

use std::{cmp::Reverse, collections::BTreeMap};

use alloy_primitives::{Address, B256, U256};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    Account, Added, Code, Error, Limits, Pool, Settled, Transaction,
    made::{Plain, account, address},
    transaction::Price,
};

#[derive(Clone, Debug)]
struct Waiting {
    transaction: Transaction,
    arrival: u64,
    local: bool,
}

/// A list of what waits, and what accounts were told to have.
#[derive(Clone)]
struct Model {
    limits: Limits,
    base_fee: u64,
    waiting: Vec<Waiting>,
    states: BTreeMap<Address, Account>,
    arrivals: u64,
}

/// What happened, in hashes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executable: Vec<B256>,
    replaced: Option<B256>,
    evicted: Vec<B256>,
    used: Vec<B256>,
}

impl Model {
    fn of(&self, sender: Address) -> Vec<&Waiting> {
        let mut own: Vec<&Waiting> = self
            .waiting
            .iter()
            .filter(|one| one.transaction.sender() == sender)
            .collect();
        own.sort_by_key(|one| one.transaction.nonce());
        own
    }

    fn executable(&self, sender: Address) -> Vec<&Waiting> {
        let Some(state) = self.states.get(&sender) else {
            return Vec::new();
        };
        let mut cost = U256::ZERO;
        let mut executable = Vec::new();
        for (next, one) in (state.nonce..).zip(self.of(sender)) {
            cost += one.transaction.cost();
            let full = executable.len() == self.limits.executable_per_account;
            if one.transaction.nonce() != next || cost > state.balance || full {
                break;
            }
            executable.push(one);
        }
        executable
    }

    fn next(&self, sender: Address) -> u64 {
        let count = self.executable(sender).len();
        self.states[&sender].nonce + u64::try_from(count).unwrap()
    }

    fn cost(&self, sender: Address) -> U256 {
        self.executable(sender)
            .iter()
            .map(|one| one.transaction.cost())
            .sum()
    }

    fn rank(&self, sender: Address, nonce: u64, price: Price) -> i128 {
        let before = self.of(sender);
        let before = before.iter().filter(|one| one.transaction.nonce() < nonce);
        let mut prices: Vec<Price> = before.map(|one| one.transaction.price()).collect();
        prices.push(price);
        let ranks = prices.iter().map(|price| {
            let left = i128::try_from(price.fee_max).unwrap() - i128::from(self.base_fee);
            left.min(i128::try_from(price.tip_max).unwrap())
        });
        ranks.min().unwrap()
    }

    fn take(&mut self, hash: B256) {
        self.waiting.retain(|one| one.transaction.hash() != hash);
        let senders: Vec<Address> = self
            .waiting
            .iter()
            .map(|one| one.transaction.sender())
            .collect();
        self.states.retain(|sender, _| senders.contains(sender));
    }

    fn trim(&mut self, sender: Address) -> Vec<B256> {
        let mut gone = Vec::new();
        while self.of(sender).len() - self.executable(sender).len() > self.limits.queued_per_account
        {
            let last = self.of(sender).last().unwrap().transaction.hash();
            self.take(last);
            gone.push(last);
        }
        gone
    }

    fn settle(&mut self, sender: Address, told: Account) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(known) = self.states.get(&sender).copied() else {
            return outcome;
        };
        let next = self.next(sender);
        let state = Account {
            nonce: told.nonce.max(known.nonce),
            ..told
        };
        self.states.insert(sender, state);
        let own: Vec<Transaction> = self
            .of(sender)
            .iter()
            .map(|one| one.transaction.clone())
            .collect();
        for one in own {
            if one.nonce() < state.nonce {
                outcome.used.push(one.hash());
                self.take(one.hash());
            } else if one.cost() > state.balance {
                outcome.evicted.push(one.hash());
                self.take(one.hash());
            }
        }
        outcome.evicted.extend(self.trim(sender));
        outcome.executable = self.newly(sender, next, None);
        outcome
    }

    fn newly(&self, sender: Address, next: u64, itself: Option<B256>) -> Vec<B256> {
        let executable = self.executable(sender);
        let executable = executable.iter().map(|one| &one.transaction);
        let newly = executable.filter(|one| one.nonce() >= next || Some(one.hash()) == itself);
        newly.map(Transaction::hash).collect()
    }

    fn add(&mut self, new: Transaction, told: Account, local: bool) -> Result<Outcome, Error> {
        let sender = new.sender();
        if self
            .waiting
            .iter()
            .any(|one| one.transaction.hash() == new.hash())
        {
            return Err(Error::Known);
        }
        let settled = self.settle(sender, told);
        let fresh = !self.states.contains_key(&sender);
        let state = *self.states.entry(sender).or_insert(told);
        let mut next = self.clone();
        let result = next.add_settled(new, local, state);
        match result {
            Ok(mut outcome) => {
                *self = next;
                outcome.executable.extend(settled.executable);
                Ok(outcome)
            }
            Err(error) => {
                if fresh {
                    self.states.remove(&sender);
                }
                Err(error)
            }
        }
    }

    /// Whether it would be executable, and what has its nonce.
    fn place(&self, new: &Transaction, state: Account) -> Result<(bool, Option<Waiting>), Error> {
        let (nonce, cost, price) = (new.nonce(), new.cost(), new.price());
        let sender = new.sender();
        let balance = state.balance;
        if let Code::Contract(len) = state.code {
            return Err(Error::SenderIsContract { sender, len });
        }
        if nonce < state.nonce {
            return Err(Error::NonceTooLow {
                next: state.nonce,
                nonce,
            });
        }
        if cost > balance {
            return Err(Error::Funds { balance, cost });
        }
        let queued = self.cost(sender);
        let before = self
            .of(sender)
            .into_iter()
            .find(|one| one.transaction.nonce() == nonce)
            .cloned();
        let executable = nonce < self.next(sender)
            || (nonce == self.next(sender)
                && self.executable(sender).len() < self.limits.executable_per_account);
        match &before {
            Some(before) if nonce < self.next(sender) => {
                let bump = cost.saturating_sub(before.transaction.cost());
                if queued + bump > balance {
                    return Err(Error::BumpedFunds {
                        balance,
                        queued,
                        bump,
                    });
                }
            }
            _ if queued + cost > balance => {
                return Err(Error::QueuedFunds {
                    balance,
                    queued,
                    cost,
                });
            }
            _ => {}
        }
        if state.code == Code::Delegation {
            self.place_of_delegated(sender, nonce, state.nonce)?;
        }
        if let Some(before) = &before {
            let old = before.transaction.price();
            let more = |new: u128, old: u128| new > old && new * 100 >= old * 110 - old * 110 % 100;
            if !more(price.fee_max, old.fee_max) || !more(price.tip_max, old.tip_max) {
                return Err(Error::ReplacementUnderpriced);
            }
        } else {
            let own = self.of(sender);
            let waits = own.len() - self.executable(sender).len();
            let behind = own
                .last()
                .is_none_or(|last| last.transaction.nonce() < nonce);
            if !executable && waits >= self.limits.queued_per_account && behind {
                return Err(Error::AccountLimit { pooled: own.len() });
            }
        }
        Ok((executable, before))
    }

    /// Only its next transaction may wait, or one that replaces it.
    fn place_of_delegated(&self, sender: Address, nonce: u64, next: u64) -> Result<(), Error> {
        let ready = self.executable(sender);
        if ready.is_empty() && nonce != next {
            return Err(Error::GapOfDelegated);
        }
        let replaces = ready.iter().any(|one| one.transaction.nonce() == nonce);
        match !ready.is_empty() && !replaces {
            true => Err(Error::LimitOfDelegated),
            false => Ok(()),
        }
    }

    fn add_settled(
        &mut self,
        new: Transaction,
        local: bool,
        state: Account,
    ) -> Result<Outcome, Error> {
        let sender = new.sender();
        let (executable, before) = self.place(&new, state)?;
        let mut outcome = Outcome::default();
        let replaced = before.as_ref().map(|before| before.transaction.clone());
        self.make_room(&new, replaced.as_ref(), executable, local, &mut outcome)?;
        self.states.insert(sender, state);
        let next = self.next(sender);
        if let Some(replaced) = replaced {
            outcome.replaced = Some(replaced.hash());
            self.take(replaced.hash());
            self.states.insert(sender, state);
        }
        self.arrivals += 1;
        let hash = new.hash();
        let (transaction, arrival) = (new, self.arrivals);
        self.waiting.push(Waiting {
            transaction,
            arrival,
            local,
        });
        outcome.evicted.extend(self.trim(sender));
        outcome.executable = self.newly(sender, next, Some(hash));
        Ok(outcome)
    }

    fn make_room(
        &mut self,
        new: &Transaction,
        replaced: Option<&Transaction>,
        executable: bool,
        local: bool,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        loop {
            let count = self.waiting.len() + usize::from(replaced.is_none());
            let bytes = self.bytes() + new.footprint() - replaced.map_or(0, Transaction::footprint);
            if count <= self.limits.transactions && bytes <= self.limits.bytes {
                return Ok(());
            }
            let (worth, victim) = self.worst().ok_or(Error::Full)?;
            let own = (
                executable,
                self.rank(new.sender(), new.nonce(), new.price()),
            );
            if !local && own <= worth {
                let future = !own.0 && worth.0 && own.1 > worth.1;
                return Err(if future {
                    Error::FutureReplacesPending
                } else {
                    Error::Underpriced
                });
            }
            if victim.sender() == new.sender() && victim.nonce() <= new.nonce() {
                return Err(Error::Full);
            }
            self.take(victim.hash());
            outcome.evicted.push(victim.hash());
        }
    }

    fn worst(&self) -> Option<((bool, i128), Transaction)> {
        let lasts = self.states.keys().filter_map(|sender| {
            let own = self.of(*sender);
            let last = own.last().filter(|last| !last.local)?;
            let nonce = last.transaction.nonce();
            let executable = nonce < self.next(*sender);
            let rank = self.rank(*sender, nonce, last.transaction.price());
            Some((
                (executable, rank),
                Reverse(last.arrival),
                last.transaction.clone(),
            ))
        });
        let worst = lasts.min_by_key(|(worth, arrival, _)| (*worth, *arrival));
        worst.map(|(worth, _, transaction)| (worth, transaction))
    }

    fn bytes(&self) -> usize {
        self.waiting
            .iter()
            .map(|one| one.transaction.footprint())
            .sum()
    }

    /// Of all senders' first ones the best, again and again.
    fn best(&self, base_fee: u64) -> Vec<B256> {
        let mut left: Vec<Vec<&Waiting>> = self
            .states
            .keys()
            .map(|sender| self.executable(*sender))
            .collect();
        let mut best = Vec::new();
        loop {
            let heads = left.iter().enumerate().filter_map(|(index, own)| {
                let head = own.first()?;
                let room = head
                    .transaction
                    .price()
                    .fee_max
                    .checked_sub(u128::from(base_fee))?;
                let tip = room.min(head.transaction.price().tip_max);
                Some((tip, Reverse(head.arrival), index))
            });
            let Some((.., index)) = heads.max() else {
                return best;
            };
            best.push(left[index].remove(0).transaction.hash());
        }
    }
}

/// What can be done to a pool.
#[derive(Clone, Debug)]
enum Step {
    Add(Plain, u64, bool),
    Mined(u8, u64, u64),
    BaseFee(u64),
    Discard(usize),
    Code(u8, Code),
}

const UNIT: u64 = 21_000;

fn plain() -> impl Strategy<Value = Plain> {
    let fee = select(vec![1_u128, 2, 10, 11, 12, 100, 109, 110]);
    let tip = select(vec![0_u128, 1, 2, 10, 11, 100, 110]);
    (
        0_u8..4,
        0_u64..9,
        fee,
        tip,
        0_u64..3,
        select(vec![0_usize, 0, 400]),
    )
        .prop_map(|(sender, nonce, fee, tip, value, data_len)| Plain {
            sender,
            nonce,
            fee,
            tip: tip.min(fee),
            value,
            data_len,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let balance = || {
        select(vec![
            u64::MAX,
            u64::MAX,
            u64::MAX,
            UNIT * 12,
            UNIT * 120,
            UNIT * 250,
            UNIT,
        ])
    };
    let add = (plain(), balance(), prop::bool::weighted(0.05));
    let mined = (0_u8..4, 0_u64..6, balance());
    let code = select(vec![
        Code::None,
        Code::None,
        Code::Delegation,
        Code::Contract(5),
    ]);
    prop_oneof![
        20 => add.prop_map(|(plain, balance, local)| Step::Add(plain, balance, local)),
        3 => mined.prop_map(|(sender, more, balance)| Step::Mined(sender, more, balance)),
        1 => (0_u64..13).prop_map(Step::BaseFee),
        1 => (0_usize..10).prop_map(Step::Discard),
        1 => (0_u8..4, code).prop_map(|(sender, code)| Step::Code(sender, code)),
    ]
}

fn sorted(transactions: &[Transaction]) -> Vec<B256> {
    let mut hashes: Vec<B256> = transactions.iter().map(Transaction::hash).collect();
    hashes.sort();
    hashes
}

fn same_added(real: Result<Added, Error>, model: Result<Outcome, Error>) {
    let outcome = real.map(|added| Outcome {
        executable: sorted(&added.executable),
        replaced: added.replaced.as_ref().map(Transaction::hash),
        evicted: sorted(&added.evicted),
        used: Vec::new(),
    });
    let model = model.map(|mut model| {
        model.executable.sort();
        model.executable.dedup();
        model.evicted.sort();
        model
    });
    assert_eq!(outcome, model);
}

fn same_settled(real: &Settled, mut model: Outcome) {
    model.executable.sort();
    model.evicted.sort();
    model.used.sort();
    assert_eq!(sorted(&real.executable), model.executable);
    assert_eq!(sorted(&real.dropped), model.evicted);
    assert_eq!(sorted(&real.used), model.used);
}

fn same_content(pool: &Pool, model: &Model) {
    let status = pool.status();
    assert!(status.executable + status.queued <= model.limits.transactions);
    assert!(status.bytes <= model.limits.bytes);
    assert_eq!(status.bytes, model.bytes());
    assert_eq!(pool.iter().count(), model.waiting.len());
    assert_eq!(status.executable + status.queued, model.waiting.len());
    let content = pool.content();
    assert_eq!(
        content.keys().collect::<Vec<_>>(),
        model.states.keys().collect::<Vec<_>>()
    );
    for (sender, content) in content {
        let all: Vec<B256> = model
            .of(sender)
            .iter()
            .map(|one| one.transaction.hash())
            .collect();
        let (executable, queued) = all.split_at(model.executable(sender).len());
        let hashes = |all: &[Transaction]| all.iter().map(Transaction::hash).collect::<Vec<_>>();
        assert_eq!(hashes(&content.executable), executable);
        assert_eq!(hashes(&content.queued), queued);
        assert!(executable.len() <= model.limits.executable_per_account);
        assert!(queued.len() <= model.limits.queued_per_account);
        assert_eq!(pool.pending_nonce(&sender), Some(model.next(sender)));
        for hash in all {
            assert_eq!(pool.get(&hash).map(Transaction::hash), Some(hash));
        }
    }
    for base_fee in [0, 10, 101] {
        let best: Vec<B256> = pool
            .best(base_fee)
            .iter(pool)
            .map(|one| one.hash())
            .collect();
        assert_eq!(best, model.best(base_fee));
    }
}

fn run(limits: Limits, steps: Vec<Step>) {
    let mut pool = Pool::new(limits);
    let mut model = Model {
        limits,
        base_fee: 0,
        waiting: Vec::new(),
        states: BTreeMap::new(),
        arrivals: 0,
    };
    let mut nonces = [0_u64; 4];
    let mut codes = [Code::None; 4];
    for step in steps {
        match step {
            Step::Add(plain, balance, local) => {
                let of = usize::from(plain.sender);
                let told = Account {
                    code: codes[of],
                    ..account(nonces[of], balance)
                };
                let real = pool.add(plain.transaction(), told, local);
                same_added(real, model.add(plain.transaction(), told, local));
            }
            Step::Mined(sender, more, balance) => {
                let nonce = &mut nonces[usize::from(sender)];
                *nonce += more;
                let told = Account {
                    code: codes[usize::from(sender)],
                    ..account(*nonce, balance)
                };
                let real = pool.mined([(address(sender), told)]);
                same_settled(&real, model.settle(address(sender), told));
            }
            // It is told of with the next transaction, or the next block.
            Step::Code(sender, code) => codes[usize::from(sender)] = code,
            Step::BaseFee(base_fee) => {
                pool.set_base_fee(base_fee);
                model.base_fee = base_fee;
            }
            Step::Discard(index) => {
                let Some(one) = model.waiting.get(index).cloned() else {
                    continue;
                };
                let (hash, sender) = (one.transaction.hash(), one.transaction.sender());
                assert_eq!(pool.discard(&hash).map(|gone| gone.hash()), Some(hash));
                model.take(hash);
                model.trim(sender);
            }
        }
        same_content(&pool, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Few places, so that something has to go all the time.
    #[test]
    fn does_what_a_list_would_when_full(
        transactions in 1_usize..14,
        executable in 1_usize..5,
        queued in 0_usize..4,
        steps in vec(step(), 1..120),
    ) {
        let limits = Limits {
            transactions,
            executable_per_account: executable,
            queued_per_account: queued,
            ..Limits::default()
        };
        run(limits, steps);
    }

    /// Few bytes: one has to make room for the other, or several for one.
    #[test]
    fn does_what_a_list_would_when_bytes_are_few(bytes in 1_000_usize..9_000, steps in vec(step(), 1..120)) {
        run(Limits { bytes, ..Limits::default() }, steps);
    }
}
