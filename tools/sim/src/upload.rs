//! Blobs on their way in: at once, in a stream, or as an upload that is interrupted and resumed.

use bytes::Bytes;
use lode_engine::{
    Error, Root,
    store::{Resumed, Stored, Terms, Upload},
};
use lode_world::sim::SimWorld;

use crate::{
    client::{Client, index},
    model::{Running, Span, Tick},
    shelf::CHUNK,
};

/// A root that no blob has.
pub fn wrong(root: Root) -> Root {
    Root::from(root.0.map(|byte| !byte))
}

impl Client {
    /// Stores a blob in one of the ways that fit its size.
    pub async fn store_blob(&mut self, blob: usize) {
        let short = self.blob(blob).bytes.len() <= CHUNK;
        let way = self.dice.below(10);
        match (short, way) {
            (true, 0..=7) => self.put(blob).await,
            (true, 8) | (false, 0..=3) => self.stream(blob).await,
            (false, 4..=6) => self.scatter(blob).await,
            _ => self.resume(blob).await,
        }
    }

    /// Stores a blob of at most a chunk.
    pub async fn put(&mut self, blob: usize) {
        self.count("put");
        let (held, terms) = (self.blob(blob), self.terms());
        let running = self.model.borrow_mut().put(blob, terms.expiry);
        // Roots of small blobs are computed by the store, those of large ones are known already:
        // hashing them again in every run would take most of its time.
        let stored = if held.bytes.len() < 5000 {
            self.store.put(held.bytes.clone(), terms).await
        } else {
            self.store
                .put_as(held.root, held.bytes.clone(), terms)
                .await
        };
        self.stored(blob, running, terms, stored, "put");
    }

    /// Checks the answer to a put.
    fn stored(
        &self,
        blob: usize,
        running: Running,
        terms: Terms,
        stored: Result<Stored, Error>,
        what: &str,
    ) -> bool {
        let who = self.who(what);
        let mut model = self.model.borrow_mut();
        let name = model.name(blob);
        let acked = match &stored {
            Ok(stored) => {
                let held = &model.blobs[blob];
                if (stored.root, stored.size) != (held.root, held.size()) {
                    model.fail(format!("{who} of {name} is told {stored:?}"));
                }
                model.put_acked(running);
                model.mix(3 + u64::from(stored.existed));
                true
            }
            Err(error) => {
                model.put_failed(running);
                if !matches!(error, Error::Expired { .. }) || !model.may_be_over(terms.expiry) {
                    model.error(error, &who);
                }
                false
            }
        };
        drop(model);
        self.note(|| format!("{what} blob {blob} until {:?}: {stored:?}", terms.expiry));
        acked
    }

    async fn stream(&mut self, blob: usize) {
        self.count("stream");
        let (held, terms) = (self.blob(blob), self.terms());
        let mut upload = match self.store.begin(terms).await {
            Ok(upload) => upload,
            Err(error) => return self.error(&error, "begin"),
        };
        let drop_at = self
            .dice
            .percent(10)
            .then(|| self.dice.index(held.bytes.len()));
        let end = drop_at.unwrap_or(held.bytes.len());
        if !self.write(&mut upload, &held.bytes[..end], terms).await || drop_at.is_some() {
            return self.note(|| format!("stream of blob {blob} ends early"));
        }
        let running = self.model.borrow_mut().put(blob, terms.expiry);
        let stored = upload.finish().await;
        self.stored(blob, running, terms, stored, "stream");
    }

    /// Writes bytes in a few pieces; false if the store refused.
    async fn write(
        &mut self,
        upload: &mut Upload<SimWorld>,
        mut bytes: &[u8],
        terms: Terms,
    ) -> bool {
        while !bytes.is_empty() {
            let most = u64::try_from(bytes.len()).expect("64-bit");
            let len = if self.dice.percent(60) {
                bytes.len()
            } else {
                index(self.dice.within(1..=most))
            };
            if let Err(error) = upload.write(&bytes[..len]).await {
                if !self.is_over(&error, terms) {
                    self.error(&error, "write");
                }
                return false;
            }
            bytes = &bytes[len..];
        }
        true
    }

    fn is_over(&self, error: &Error, terms: Terms) -> bool {
        matches!(error, Error::Expired { .. }) && self.model.borrow().may_be_over(terms.expiry)
    }

    /// Begins or goes on with an upload of a declared root; leaves it or finishes it.
    async fn resume(&mut self, blob: usize) {
        self.count("resume");
        let mut terms = self.terms();
        if self.dice.percent(60) {
            terms.expiry = None;
        }
        let span = self.model.borrow_mut().begin();
        let floor = self.model.borrow().floor(blob);
        let since = self.model.borrow_mut().resume_asked(blob, terms.expiry);
        self.go_on(blob, terms, (span, floor), since).await;
        self.model.borrow_mut().resume_over(blob);
    }

    async fn go_on(&mut self, blob: usize, terms: Terms, (span, floor): (Span, u64), since: Tick) {
        let held = self.blob(blob);
        let mut upload = match self.store.resume(held.root, held.size(), terms).await {
            Ok(Resumed::Upload(upload)) => upload,
            Ok(Resumed::Stored(stored)) => {
                // There already: as good as a put that was asked for when this was.
                let put = self.model.borrow_mut().put(blob, terms.expiry);
                self.model.borrow_mut().put_since(put, span);
                self.stored(blob, put, terms, Ok(stored), "resume");
                return;
            }
            Err(error) => {
                if !self.is_over(&error, terms) {
                    self.error(&error, "resume");
                }
                return;
            }
        };
        let from = upload.offset();
        let who = self.who("resume");
        self.note(|| format!("resume blob {blob} until {:?} at {from}", terms.expiry));
        self.model
            .borrow_mut()
            .uploaded(blob, (span.began, floor), Some(from), &who);
        if from > held.size() {
            let name = self.model.borrow().name(blob);
            return self
                .model
                .borrow_mut()
                .fail(format!("{who} of {name} goes on at {from}"));
        }
        let rest = &held.bytes[index(from)..];
        let stop = self
            .dice
            .percent(50)
            .then(|| self.dice.index(rest.len().max(1)));
        let end = stop.unwrap_or(rest.len());
        if !self.write(&mut upload, &rest[..end], terms).await {
            return;
        }
        if stop.is_some() {
            return self.leave(blob, upload, since).await;
        }
        let asked = self.model.borrow_mut().ending(blob);
        let put = self.model.borrow_mut().put(blob, terms.expiry);
        self.model.borrow_mut().finishes(put);
        let stored = upload.finish().await;
        self.model.borrow_mut().answered(blob);
        // Where the blob was there already, an upload that cannot be forgotten on a failing disk is
        // no reason to refuse: it may stay.
        let stays = self.profile().io_fails() && stored.as_ref().is_ok_and(|stored| stored.existed);
        if self.stored(blob, put, terms, stored, "finish") && !stays {
            self.model.borrow_mut().ended(blob, asked, 1);
        }
    }

    /// Leaves an upload, perhaps after it was told what is durable.
    async fn leave(&mut self, blob: usize, mut upload: Box<Upload<SimWorld>>, since: Tick) {
        if self.dice.percent(70) {
            match upload.flush().await {
                Ok(()) => {
                    let durable = upload.durable();
                    self.model.borrow_mut().flushed(blob, since, durable);
                    self.note(|| format!("leaves blob {blob} with {durable} bytes durable"));
                }
                Err(error) => self.error(&error, "flush"),
            }
        }
    }

    /// Asks how far an upload has come.
    pub async fn upload_info(&mut self, blob: usize) {
        self.count("upload info");
        let (held, span) = (self.blob(blob), self.model.borrow_mut().begin());
        let floor = self.model.borrow().floor(blob);
        let info = self.store.upload(held.root).await;
        let who = self.who("upload info");
        let mut model = self.model.borrow_mut();
        match info {
            Ok(info) => {
                let offset = info.map(|info| info.offset);
                if info.is_some_and(|info| info.size != held.size() || info.offset > info.size) {
                    let name = model.name(blob);
                    model.fail(format!("{who} says {info:?} of {name}"));
                }
                model.uploaded(blob, (span.began, floor), offset, &who);
            }
            Err(error) => model.error(&error, &who),
        }
    }

    /// Ends an upload.
    pub async fn abandon(&mut self, blob: usize) {
        self.count("abandon");
        let root = self.blob(blob).root;
        let asked = self.model.borrow_mut().ending(blob);
        let abandoned = self.store.abandon(root).await;
        self.model.borrow_mut().answered(blob);
        match abandoned {
            Ok(_) => self.model.borrow_mut().ended(blob, asked, 0),
            Err(error) => self.error(&error, "abandon"),
        }
        self.note(|| format!("abandon blob {blob}"));
    }

    /// Declares a root and sends other bytes: nothing may be stored under it.
    pub async fn wrong_root(&mut self, blob: usize) {
        self.count("wrong root");
        let mut bytes = self.blob(blob).bytes.to_vec();
        let at = self.dice.index(bytes.len());
        bytes[at] ^= 1;
        // Nobody else knows this root, so the model has no say in it.
        let root = wrong(self.blob(blob).root);
        let size = u64::try_from(bytes.len()).expect("64-bit");
        let answer = self.send_all(root, size, Bytes::from(bytes)).await;
        match answer {
            Err(Error::RootMismatch { declared, .. }) if declared == root => {}
            Err(error) => self.error(&error, "wrong root"),
            Ok(()) => {
                let who = self.who("wrong root");
                self.model
                    .borrow_mut()
                    .fail(format!("{who} is stored under {root}"));
            }
        }
    }

    async fn send_all(&self, root: Root, size: u64, bytes: Bytes) -> Result<(), Error> {
        let Resumed::Upload(mut upload) = self.store.resume(root, size, Terms::default()).await?
        else {
            return Ok(());
        };
        upload.write(&bytes[index(upload.offset())..]).await?;
        upload.finish().await.map(drop)
    }
}
