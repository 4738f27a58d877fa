//! All that waits, of all accounts, within bounds.
//!
//! The pool knows an account only while something of it waits. Who calls tells it what an account
//! has: with each transaction, and after each block. A block's caller and those who add take turns
//! (one lock), so what they tell is never older than what was told before.
//!
//! Cost: adding takes some map steps, microseconds with 100,000 waiting; a block as much as it takes
//! away.

use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, B256Map},
};

use crate::{
    Best, Error, Transaction,
    queue::{Entry, Queue, Size},
    transaction::Price,
    worst::{Worst, Worth, candidate},
};

/// What the pool takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Transactions of all accounts.
    pub transactions: usize,
    /// Bytes of memory that they take, about (see [`Transaction::footprint`]).
    pub bytes: usize,
    /// Executable transactions of one account; more wait as queued ones.
    pub executable_per_account: usize,
    /// Queued transactions of one account.
    pub queued_per_account: usize,
    /// The least tip, in wei for a unit of gas.
    pub tip_min: u128,
    /// Whether what cannot pay the base fee waits for a lower one, as with geth.
    pub wait_for_base_fee: bool,
}

/// Load tools send thousands from one account, so far more than geth's 16 and 64. Two hundred
/// thousand plain transfers take 180 MB.
impl Default for Limits {
    fn default() -> Self {
        Limits {
            transactions: 200_000,
            bytes: 256 << 20,
            executable_per_account: 4096,
            queued_per_account: 1024,
            tip_min: 0,
            wait_for_base_fee: true,
        }
    }
}

/// What an account has, as of the last block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Nonce of its next transaction.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// What acts for it.
    pub code: Code,
}

/// What acts for an account beside its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// Nothing.
    #[default]
    None,
    /// The code of another account (EIP-7702): it may spend what transactions that wait count on.
    Delegation,
    /// Code of its own, of so many bytes: it sends no transactions (EIP-3607).
    Contract(usize),
}

impl Code {
    /// What an account's code is.
    pub fn of(bytes: &[u8]) -> Code {
        match bytes {
            [] => Code::None,
            [0xef, 0x01, 0x00, ..] if bytes.len() == DELEGATION_LEN => Code::Delegation,
            _ => Code::Contract(bytes.len()),
        }
    }
}

/// Three bytes that nothing else begins with, and an address (EIP-7702).
const DELEGATION_LEN: usize = 23;

/// What came of a transaction that was taken.
#[derive(Debug, Default)]
pub struct Added {
    /// All that became executable: itself, and what waited for it.
    pub executable: Vec<Transaction>,
    /// The one whose place it took.
    pub replaced: Option<Transaction>,
    /// Those that had to make room.
    pub evicted: Vec<Transaction>,
}

/// What a block has changed.
#[derive(Debug, Default)]
pub struct Settled {
    /// Those whose nonce is used up: by the block, or by another in their place.
    pub used: Vec<Transaction>,
    /// Those that their sender cannot pay any more.
    pub dropped: Vec<Transaction>,
    /// Those that became executable.
    pub executable: Vec<Transaction>,
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    limits: Limits,
    base_fee: u64,
    queues: AddressMap<Queue>,
    known: B256Map<Transaction>,
    size: Size,
    arrivals: u64,
    worst: Worst,
}

/// Where a new transaction would stand.
struct Place {
    executable: bool,
    /// Bytes of the one that has its place.
    replaces: Option<usize>,
    /// The lowest fees up to it.
    floor: Price,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        Pool {
            limits,
            base_fee: 0,
            queues: AddressMap::default(),
            known: B256Map::default(),
            size: Size::default(),
            arrivals: 0,
            worst: Worst::default(),
        }
    }

    /// Takes a transaction. `account` is what its sender has; one that is `local` has no least tip
    /// and is never taken away for lack of room.
    ///
    /// # Errors
    /// When it cannot or need not wait here.
    pub fn add(
        &mut self,
        transaction: Transaction,
        account: Account,
        local: bool,
    ) -> Result<Added, Error> {
        self.check(&transaction, local)?;
        let sender = transaction.sender();
        let mut executable = self.settle(sender, account).executable;
        let account = self.account(sender, account);
        let place = self.place(&transaction, account)?;
        let evicted = self.make_room(&transaction, &place, local)?;
        let mut added = self.put(transaction, account, local);
        executable.append(&mut added.executable);
        added.executable = executable;
        added.evicted.splice(0..0, evicted);
        Ok(added)
    }

    /// Takes what accounts have after a block: all that sent a transaction in it, and all whose
    /// balance it changed. Those of which nothing waits are passed over.
    pub fn mined(&mut self, accounts: impl IntoIterator<Item = (Address, Account)>) -> Settled {
        let mut all = Settled::default();
        for (address, account) in accounts {
            let mut settled = self.settle(address, account);
            all.used.append(&mut settled.used);
            all.dropped.append(&mut settled.dropped);
            all.executable.append(&mut settled.executable);
        }
        all
    }

    /// Takes one away that a block cannot take. What is behind it waits for another.
    pub fn discard(&mut self, hash: &B256) -> Option<Transaction> {
        let transaction = self.known.remove(hash)?;
        let sender = transaction.sender();
        let account = self.account(sender, Account::default());
        let queued_max = self.limits.queued_per_account;
        let trimmed = self.change(sender, account, |queue| {
            queue.remove(transaction.nonce());
            trim(queue, queued_max)
        });
        self.forget(trimmed);
        Some(transaction)
    }

    /// The base fee of the next block, in wei for a unit of gas.
    pub fn set_base_fee(&mut self, base_fee: u64) {
        if base_fee != self.base_fee {
            self.base_fee = base_fee;
            self.worst.forget();
        }
    }

    /// The base fee of the next block.
    pub fn base_fee(&self) -> u64 {
        self.base_fee
    }

    /// What a block with that base fee would take, the best first.
    pub fn best(&self, base_fee: u64) -> Best {
        Best::new(self, base_fee)
    }

    pub(crate) fn queues(&self) -> impl ExactSizeIterator<Item = (&Address, &Queue)> {
        self.queues.iter()
    }

    pub(crate) fn queue(&self, sender: &Address) -> Option<&Queue> {
        self.queues.get(sender)
    }

    pub(crate) fn executable(&self, sender: &Address, nonce: u64) -> Option<&Entry> {
        let queue = self.queues.get(sender)?;
        queue.get(nonce).filter(|_| queue.is_executable(nonce))
    }

    pub(crate) fn known(&self) -> &B256Map<Transaction> {
        &self.known
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// What does not hang on the sender's account.
    fn check(&self, transaction: &Transaction, local: bool) -> Result<(), Error> {
        if self.known.contains_key(&transaction.hash()) {
            return Err(Error::Known);
        }
        let price = transaction.price();
        if !local && price.tip_max < self.limits.tip_min {
            return Err(Error::TipTooLow {
                tip: price.tip_max,
                tip_min: self.limits.tip_min,
            });
        }
        if !self.limits.wait_for_base_fee && price.tip(self.base_fee).is_none() {
            return Err(Error::BelowBaseFee {
                sender: transaction.sender(),
                fee_max: price.fee_max,
                base_fee: self.base_fee,
            });
        }
        Ok(())
    }

    /// What the account has: what is known of it while something waits, which is as new as what was
    /// told last.
    fn account(&self, sender: Address, told: Account) -> Account {
        self.queues.get(&sender).map_or(told, Queue::state)
    }

    /// What hangs on the account, and where the transaction would stand.
    fn place(&self, transaction: &Transaction, account: Account) -> Result<Place, Error> {
        if let Code::Contract(len) = account.code {
            let sender = transaction.sender();
            return Err(Error::SenderIsContract { sender, len });
        }
        let nonce = transaction.nonce();
        if nonce < account.nonce {
            let next = account.nonce;
            return Err(Error::NonceTooLow { next, nonce });
        }
        let (balance, cost) = (account.balance, transaction.cost());
        if cost > balance {
            return Err(Error::Funds { balance, cost });
        }
        let queue = self.queues.get(&transaction.sender());
        if let Some(queue) = queue {
            check_funds(queue, transaction)?;
        }
        check_delegated(account, queue, nonce)?;
        let Some(queue) = queue else {
            if nonce > account.nonce && self.limits.queued_per_account == 0 {
                return Err(Error::AccountLimit { pooled: 0 });
            }
            return Ok(Place {
                executable: nonce == account.nonce,
                replaces: None,
                floor: transaction.price(),
            });
        };
        let before = queue.get(nonce);
        match before {
            Some(before) if !transaction.price().beats(before.transaction.price()) => {
                return Err(Error::ReplacementUnderpriced);
            }
            None => self.check_count(queue, nonce)?,
            Some(_) => {}
        }
        Ok(Place {
            executable: queue.would_execute(nonce),
            replaces: before.map(|before| before.transaction.footprint()),
            floor: queue.floor(nonce, transaction.price()),
        })
    }

    /// An account with as many queued as it may have takes one more only before its last, which goes.
    fn check_count(&self, queue: &Queue, nonce: u64) -> Result<(), Error> {
        let size = queue.size();
        let last = queue.last().map(|last| last.transaction.nonce());
        let full = size.queued >= self.limits.queued_per_account;
        if full && !queue.would_execute(nonce) && last.is_none_or(|last| last < nonce) {
            let pooled = size.executable + size.queued;
            return Err(Error::AccountLimit { pooled });
        }
        Ok(())
    }

    /// Takes away what is worth less until the transaction has room; nothing if it gets none.
    fn make_room(
        &mut self,
        transaction: &Transaction,
        place: &Place,
        local: bool,
    ) -> Result<Vec<Transaction>, Error> {
        let mut gone = Vec::new();
        while !self.has_room(transaction, place) {
            match self.victim(transaction, place, local) {
                Ok(sender) => {
                    let account = self.account(sender, Account::default());
                    let last = self.change(sender, account, Queue::pop_last);
                    let last = last.expect("a victim has a last one");
                    gone.push((account, last));
                }
                Err(error) => {
                    for (account, last) in gone.into_iter().rev() {
                        let sender = last.transaction.sender();
                        self.change(sender, account, |queue| queue.put(last));
                    }
                    return Err(error);
                }
            }
        }
        Ok(self.forget(gone.into_iter().map(|(_, last)| last).collect()))
    }

    fn has_room(&self, transaction: &Transaction, place: &Place) -> bool {
        let more = usize::from(place.replaces.is_none());
        let count = self.size.executable + self.size.queued + more;
        let bytes = self.size.bytes + transaction.footprint();
        count <= self.limits.transactions
            && bytes.saturating_sub(place.replaces.unwrap_or(0)) <= self.limits.bytes
    }

    /// The account whose last transaction goes first, if it is worth less than this one.
    fn victim(
        &mut self,
        transaction: &Transaction,
        place: &Place,
        local: bool,
    ) -> Result<Address, Error> {
        let (queues, base_fee) = (&self.queues, self.base_fee);
        let all = || {
            queues
                .iter()
                .filter_map(|(sender, queue)| candidate(*sender, queue, base_fee))
        };
        let worst = self.worst.first(all).ok_or(Error::Full)?;
        let worth = Worth::new(place.executable, place.floor, base_fee);
        if !local && worth <= worst.worth {
            let future =
                !worth.executable && worst.worth.executable && worth.rank > worst.worth.rank;
            return Err(if future {
                Error::FutureReplacesPending
            } else {
                Error::Underpriced
            });
        }
        // What goes before this one, or is replaced by it, cannot make room for it.
        let own = self.queues.get(&worst.sender).and_then(Queue::last);
        let before = own.is_none_or(|last| last.transaction.nonce() <= transaction.nonce());
        if worst.sender == transaction.sender() && before {
            return Err(Error::Full);
        }
        Ok(worst.sender)
    }

    fn put(&mut self, transaction: Transaction, account: Account, local: bool) -> Added {
        let (sender, nonce) = (transaction.sender(), transaction.nonce());
        let queued_max = self.limits.queued_per_account;
        self.known.insert(transaction.hash(), transaction.clone());
        self.arrivals += 1;
        let entry = Entry {
            floor: transaction.price(),
            arrival: self.arrivals,
            transaction,
            local,
        };
        let (executable, replaced, trimmed) = self.change(sender, account, |queue| {
            let next = queue.next_nonce();
            let replaced = queue.put(entry);
            let trimmed = trim(queue, queued_max);
            let mut executable = newly(queue, next);
            let itself = queue.get(nonce).filter(|_| nonce < next);
            executable.extend(itself.map(|entry| entry.transaction.clone()));
            (executable, replaced, trimmed)
        });
        Added {
            executable,
            replaced: self.forget(replaced.into_iter().collect()).pop(),
            evicted: self.forget(trimmed),
        }
    }

    fn settle(&mut self, sender: Address, told: Account) -> Settled {
        let Some(queue) = self.queues.get(&sender) else {
            return Settled::default();
        };
        let account = Account {
            nonce: told.nonce.max(queue.state().nonce),
            ..told
        };
        if account == queue.state() {
            return Settled::default();
        }
        let queued_max = self.limits.queued_per_account;
        let (used, dropped, executable) = self.change(sender, account, |queue| {
            let next = queue.next_nonce();
            let (used, mut dropped) = queue.settle(account);
            dropped.append(&mut trim(queue, queued_max));
            (used, dropped, newly(queue, next))
        });
        Settled {
            used: self.forget(used),
            dropped: self.forget(dropped),
            executable,
        }
    }

    /// Changes what an account has waiting, and keeps the sums and the order of the worst.
    fn change<R>(
        &mut self,
        sender: Address,
        account: Account,
        change: impl FnOnce(&mut Queue) -> R,
    ) -> R {
        let executable_max = self.limits.executable_per_account;
        let queue = self
            .queues
            .entry(sender)
            .or_insert_with(|| Queue::new(account, executable_max));
        let before = queue.size();
        self.worst
            .before(|| candidate(sender, queue, self.base_fee));
        let result = change(queue);
        self.worst.after(|| candidate(sender, queue, self.base_fee));
        let after = queue.size();
        self.size = Size {
            executable: self.size.executable + after.executable - before.executable,
            queued: self.size.queued + after.queued - before.queued,
            bytes: self.size.bytes + after.bytes - before.bytes,
        };
        if queue.last().is_none() {
            self.queues.remove(&sender);
        }
        result
    }

    fn forget(&mut self, gone: Vec<Entry>) -> Vec<Transaction> {
        let transactions = gone.into_iter().map(|entry| entry.transaction);
        transactions
            .inspect(|gone| drop(self.known.remove(&gone.hash())))
            .collect()
    }
}

/// What the account may spend must suffice for all executable ones and this one.
fn check_funds(queue: &Queue, transaction: &Transaction) -> Result<(), Error> {
    let balance = queue.state().balance;
    let (queued, cost) = (queue.cost(), transaction.cost());
    let nonce = transaction.nonce();
    let before = queue.get(nonce).filter(|_| queue.is_executable(nonce));
    if let Some(before) = before {
        let bump = cost.saturating_sub(before.transaction.cost());
        if queued.saturating_add(bump) > balance {
            return Err(Error::BumpedFunds {
                balance,
                queued,
                bump,
            });
        }
    } else if queued.saturating_add(cost) > balance {
        return Err(Error::QueuedFunds {
            balance,
            queued,
            cost,
        });
    }
    Ok(())
}

/// An account that foreign code acts for has one transaction that can be executed, and may replace it:
/// that code may take the money that further ones would be paid with.
fn check_delegated(account: Account, queue: Option<&Queue>, nonce: u64) -> Result<(), Error> {
    if account.code != Code::Delegation {
        return Ok(());
    }
    match queue.filter(|queue| queue.size().executable > 0) {
        None if nonce == account.nonce => Ok(()),
        None => Err(Error::GapOfDelegated),
        Some(queue) if queue.is_executable(nonce) => Ok(()),
        Some(_) => Err(Error::LimitOfDelegated),
    }
}

/// Those that became executable since that nonce was the next.
fn newly(queue: &Queue, next: u64) -> Vec<Transaction> {
    let new = queue
        .from(next)
        .take_while(|entry| queue.is_executable(entry.transaction.nonce()));
    new.map(|entry| entry.transaction.clone()).collect()
}

/// Takes away the last ones while more are queued than may be.
fn trim(queue: &mut Queue, queued_max: usize) -> Vec<Entry> {
    let mut gone = Vec::new();
    while queue.size().queued > queued_max {
        gone.extend(queue.pop_last());
    }
    gone
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
