//! A client: asks the store for one thing after the other and checks each answer.

use std::{cell::RefCell, ops::Range, rc::Rc, time::Duration};

use lode_engine::{
    Error, Root,
    store::{BlobInfo, Store, Terms},
};
use lode_world::{World, sim::SimWorld};

use crate::{
    dice::Dice,
    life::within,
    model::{Model, Span},
    plan::Profile,
    shelf::{Blob, CHUNK},
};

/// What a client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Store,
    Read,
    Prove,
    Delete,
    Stat,
    List,
    Mend,
    Scrub,
    Epoch,
    Upload,
    Abandon,
    WrongRoot,
    Pause,
    Stats,
}

const ACTS: [(u64, Act); 14] = [
    (34, Act::Store),
    (16, Act::Read),
    (4, Act::Prove),
    (16, Act::Delete),
    (6, Act::Stat),
    (3, Act::List),
    (6, Act::Mend),
    (1, Act::Scrub),
    (3, Act::Epoch),
    (3, Act::Upload),
    (2, Act::Abandon),
    (1, Act::WrongRoot),
    (6, Act::Pause),
    (1, Act::Stats),
];

/// One client of one executor.
pub struct Client {
    /// Its number.
    pub number: usize,
    /// The store, as its executor sees it.
    pub store: Store<SimWorld>,
    /// What all clients know.
    pub model: Rc<RefCell<Model>>,
    /// Its chance.
    pub dice: Dice,
}

impl Client {
    /// Does `acts` things, or fewer if something is found or the store closes.
    pub async fn run(&mut self, acts: u64) {
        for _ in 0..acts {
            if self.model.borrow().failure().is_some() {
                return;
            }
            let act = self.dice.weighted(&ACTS);
            if self.dice.percent(6) {
                self.act_cut_short(act).await;
            } else {
                self.act(act).await;
            }
        }
    }

    /// Goes away in the middle of what it asked for, as a lost connection does: the answer is never
    /// heard, and what was asked for may happen or not.
    async fn act_cut_short(&mut self, act: Act) {
        let world = self.store.world().clone();
        let span = Duration::from_micros(self.dice.within(1..=3000));
        if within(&world, span, self.act(act)).await.is_none() {
            self.count("cut short");
            self.note(|| format!("{act:?} is cut short"));
        }
    }

    async fn act(&mut self, act: Act) {
        let blob = self.dice.index(self.model.borrow().blobs.len());
        match act {
            Act::Store => self.store_blob(blob).await,
            Act::Read => {
                let range = self.range(blob);
                self.read(blob, range).await;
            }
            Act::Prove => {
                let chunk = self.dice.below(self.blob(blob).chunks());
                self.prove(blob, chunk).await;
            }
            Act::Delete => self.delete(blob).await,
            Act::Stat => self.stat(blob).await,
            Act::List => self.list_from(blob).await,
            Act::Mend => self.mend().await,
            Act::Scrub => self.scrub().await,
            Act::Epoch => self.epoch().await,
            Act::Upload => self.upload_info(blob).await,
            Act::Abandon => self.abandon(blob).await,
            Act::WrongRoot => self.wrong_root(blob).await,
            Act::Pause => {
                let pause = Duration::from_millis(self.dice.within(1..=2500));
                self.store.world().sleep(pause).await;
            }
            Act::Stats => {
                if let Err(error) = self.store.stats().await {
                    self.error(&error, "stats");
                }
            }
        }
    }

    /// A blob of the plan.
    pub fn blob(&self, blob: usize) -> Blob {
        self.model.borrow().blobs[blob].clone()
    }

    /// Who speaks, for findings.
    pub fn who(&self, what: &str) -> String {
        format!("client {} {what}", self.number)
    }

    /// Notes an answer.
    pub fn note(&self, text: impl FnOnce() -> String) {
        let now = self.store.world().now().as_micros();
        let number = self.number;
        self.model
            .borrow_mut()
            .note(|| format!("{now:>10} us  client {number}: {}", text()));
    }

    /// Judges an error.
    pub fn error(&self, error: &Error, what: &str) {
        let who = self.who(what);
        self.model.borrow_mut().error(error, &who);
    }

    /// Counts an operation.
    pub fn count(&self, what: &'static str) {
        self.model.borrow_mut().tally.one("op", what);
    }

    /// Draws terms: most blobs stay, some for an epoch or more.
    pub fn terms(&mut self) -> Terms {
        let epoch = self.model.borrow().epoch();
        let span = u32::try_from(self.dice.within(0..=5)).expect("small");
        let expiry = self.dice.percent(30).then_some(epoch + span);
        Terms {
            expiry: expiry.filter(|expiry| *expiry > 0),
        }
    }

    fn range(&mut self, blob: usize) -> Range<u64> {
        let size = self.blob(blob).size();
        if self.dice.percent(50) {
            return 0..size;
        }
        let start = self.dice.within(0..=size - 1);
        let len = self.dice.weighted(&[(3, size), (2, 100), (1, 5000)]);
        start..self.dice.within(start + 1..=(start + len).min(size))
    }

    /// Reads a range and compares it.
    pub async fn read(&mut self, blob: usize, range: Range<u64>) {
        self.count("read");
        let (held, span) = (self.blob(blob), self.model.borrow_mut().begin());
        let got = read_all(&self.store, held.root, range.clone()).await;
        let who = self.who("read");
        let mut model = self.model.borrow_mut();
        match got {
            Ok(None) | Err(Error::Gone { .. }) => {
                model.mix(1);
                model.absent(blob, span, None, &who);
            }
            Ok(Some(bytes)) => {
                model.mix(2);
                model.present(blob, span, &who);
                if bytes != held.bytes[index(range.start)..index(range.end)] {
                    let name = model.name(blob);
                    model.fail(format!("{who} of {range:?} gets other bytes of {name}"));
                }
            }
            Err(error) => model.error(&error, &who),
        }
        drop(model);
        self.note(|| format!("read {range:?} of blob {blob}"));
    }

    /// Asks for a proof and checks it.
    pub async fn prove(&mut self, blob: usize, chunk: u64) {
        self.count("prove");
        let (held, span) = (self.blob(blob), self.model.borrow_mut().begin());
        let proof = self.store.prove(held.root, chunk).await;
        let who = self.who("prove");
        let mut model = self.model.borrow_mut();
        match proof {
            Ok(None) => model.absent(blob, span, None, &who),
            Ok(Some(proof)) => {
                model.present(blob, span, &who);
                let start = index(chunk) * CHUNK;
                let data = &held.bytes[start..held.bytes.len().min(start + CHUNK)];
                let proven = proof.verify(data);
                if proof.blob().root != held.root || proven.is_err() {
                    let name = model.name(blob);
                    model.fail(format!("{who}: chunk {chunk} of {name} is not proven"));
                }
            }
            Err(error) => model.error(&error, &who),
        }
    }

    async fn delete(&mut self, blob: usize) {
        self.count("delete");
        let root = self.blob(blob).root;
        let span = self.model.borrow_mut().begin();
        let running = self.model.borrow_mut().delete(blob);
        let deleted = self.store.delete(root).await;
        let who = self.who("delete");
        {
            let mut model = self.model.borrow_mut();
            match &deleted {
                Ok(true) => model.present(blob, span, &who),
                Ok(false) => model.absent(blob, span, Some(running), &who),
                Err(error) => model.error(error, &who),
            }
            model.mix(u64::from(deleted.is_ok()));
            model.delete_over(running, deleted.is_ok());
        }
        self.note(|| format!("delete blob {blob}: {deleted:?}"));
    }

    /// Looks a blob up.
    pub async fn stat(&mut self, blob: usize) {
        self.count("stat");
        let root = self.blob(blob).root;
        let span = self.model.borrow_mut().begin();
        let info = self.store.stat(root).await;
        let who = self.who("stat");
        let mut model = self.model.borrow_mut();
        match info {
            Ok(None) => model.absent(blob, span, None, &who),
            Ok(Some(info)) => model.info(blob, span, &info, &who),
            Err(error) => model.error(&error, &who),
        }
    }

    async fn list_from(&mut self, blob: usize) {
        let after = self.dice.percent(50).then(|| self.blob(blob).root);
        let limit = self.dice.index(12) + 1;
        self.list(after, limit).await;
    }

    /// Lists blobs and checks that none is missing, none is invented and all are in order.
    pub async fn list(&mut self, after: Option<Root>, limit: usize) -> Vec<BlobInfo> {
        self.count("list");
        let span = self.model.borrow_mut().begin();
        let list = self.store.list(after, limit).await;
        let who = self.who("list");
        let mut model = self.model.borrow_mut();
        let list = match list {
            Ok(list) => list,
            Err(error) => {
                model.error(&error, &who);
                return Vec::new();
            }
        };
        check_list(&mut model, span, &list, (after, limit), &who);
        list
    }

    /// Frees what can be freed.
    pub async fn mend(&mut self) {
        self.count("mend");
        if let Err(error) = self.store.mend().await {
            self.error(&error, "mend");
        }
        self.note(|| "mend".to_owned());
    }

    async fn scrub(&mut self) {
        self.count("scrub");
        if let Err(error) = self.store.scrub(0).await {
            self.error(&error, "scrub");
        }
    }

    async fn epoch(&mut self) {
        self.count("set epoch");
        let step = u32::try_from(self.dice.within(1..=2)).expect("small");
        let epoch = self.model.borrow_mut().epoch_ask(step);
        match self.store.set_epoch(epoch).await {
            Ok(now) if now >= epoch => self.model.borrow_mut().epoch_ack(now),
            Ok(now) => {
                let why = format!("{} to {epoch} leaves it at {now}", self.who("set epoch"));
                self.model.borrow_mut().fail(why);
            }
            Err(error) => self.error(&error, "set epoch"),
        }
        self.note(|| format!("set epoch {epoch}"));
    }

    /// How strictly errors are judged.
    pub fn profile(&self) -> Profile {
        self.model.borrow().profile
    }
}

fn check_list(
    model: &mut Model,
    span: Span,
    list: &[BlobInfo],
    (after, limit): (Option<Root>, usize),
    who: &str,
) {
    for info in list {
        match model.blob_of(&info.root) {
            Some(blob) => model.info(blob, span, info, who),
            None => model.fail(format!("{who} invents {}", info.root)),
        }
    }
    let rising = list.windows(2).all(|pair| pair[0].root < pair[1].root);
    let beyond = list
        .first()
        .is_none_or(|first| after.is_none_or(|after| first.root > after));
    if !rising || !beyond || list.len() > limit {
        model.fail(format!("{who} is out of order or out of its limits"));
    }
    let last = list
        .last()
        .filter(|_| list.len() == limit)
        .map(|last| last.root);
    for blob in 0..model.blobs.len() {
        let root = model.blobs[blob].root;
        let inside = after.is_none_or(|after| root > after) && last.is_none_or(|last| root < last);
        if inside && list.iter().all(|info| info.root != root) {
            model.absent(blob, span, None, who);
        }
    }
    model.mix(u64::try_from(list.len()).expect("64-bit"));
}

/// All bytes of a range; none if the blob is not there.
pub async fn read_all(
    store: &Store<SimWorld>,
    root: Root,
    range: Range<u64>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(mut reader) = store.read(root, range).await? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece?.into_bytes());
    }
    Ok(Some(bytes))
}

/// An offset in memory.
pub fn index(at: u64) -> usize {
    usize::try_from(at).expect("64-bit")
}
