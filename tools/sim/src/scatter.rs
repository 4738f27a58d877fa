//! Blobs whose chunks come in any order, each with its proof, from several clients at once.

use bytes::Bytes;
use lode_engine::{
    Error,
    store::{Scattered, Terms},
};
use lode_world::{Queue, World};

use crate::{
    client::{Client, index},
    model::{Span, Tick},
    shelf::{Blob, CHUNK},
};

impl Client {
    /// Sends the chunks of a blob in a random order, some twice, and one time in three not all; one
    /// after the other or all at once.
    pub async fn scatter(&mut self, blob: usize) {
        self.count("scatter");
        let mut terms = self.terms();
        if self.dice.percent(60) {
            terms.expiry = None;
        }
        let order = self.order(blob);
        // Others may send what is missing: then it is as good as a put.
        let put = self.model.borrow_mut().put(blob, terms.expiry);
        self.model.borrow_mut().finishes(put);
        // The last chunk ends the upload, whoever else adds to it meanwhile.
        self.model.borrow_mut().ending(blob);
        let since = self.model.borrow_mut().resume_asked(blob, terms.expiry);
        let span = self.model.borrow_mut().begin();
        let answers = match self.dice.percent(50) {
            true => self.send_at_once(blob, terms, &order).await,
            false => self.send_in_turn(blob, terms, &order).await,
        };
        self.model.borrow_mut().answered(blob);
        let acked = self.judge_chunks(blob, terms, (since, span), &answers);
        self.model.borrow_mut().resume_over(blob);
        self.note(|| format!("scatter of blob {blob}, chunks {order:?}: {acked}"));
        if acked {
            self.model.borrow_mut().put_acked(put);
        }
    }

    fn order(&mut self, blob: usize) -> Vec<u64> {
        let chunks = self.blob(blob).chunks();
        let mut left: Vec<u64> = (0..chunks).collect();
        let again = self.dice.below(chunks);
        left.extend(self.dice.percent(30).then_some(again));
        let mut order = Vec::new();
        while !left.is_empty() {
            let next = self.dice.index(left.len());
            order.push(left.swap_remove(next));
        }
        if self.dice.percent(33) {
            order.truncate(self.dice.index(order.len()) + 1);
        }
        order
    }

    async fn send_in_turn(
        &self,
        blob: usize,
        terms: Terms,
        order: &[u64],
    ) -> Vec<(u64, Result<Scattered, Error>)> {
        let (held, mut answers) = (self.blob(blob), Vec::new());
        for chunk in order {
            let (proof, bytes) = part(&held, *chunk);
            answers.push((*chunk, self.store.scatter(proof, bytes, terms).await));
        }
        answers
    }

    async fn send_at_once(
        &self,
        blob: usize,
        terms: Terms,
        order: &[u64],
    ) -> Vec<(u64, Result<Scattered, Error>)> {
        let held = self.blob(blob);
        let (sender, heard) = async_channel::bounded(order.len());
        for chunk in order.iter().copied() {
            let (proof, bytes) = part(&held, chunk);
            let (store, sender) = (self.store.clone(), sender.clone());
            self.store.world().spawn(Queue::Serve, async move {
                let answer = store.scatter(proof, bytes, terms).await;
                // Whoever asked may have gone.
                let _gone = sender.try_send((chunk, answer)).is_err();
            });
        }
        drop(sender);
        let mut answers = Vec::new();
        while let Ok(answer) = heard.recv().await {
            answers.push(answer);
        }
        answers
    }

    /// Checks the answers; whether the blob is there.
    fn judge_chunks(
        &self,
        blob: usize,
        terms: Terms,
        (since, span): (Tick, Span),
        answers: &[(u64, Result<Scattered, Error>)],
    ) -> bool {
        let who = self.who("scatter");
        let mut model = self.model.borrow_mut();
        let (name, chunks) = (model.name(blob), model.blobs[blob].chunks());
        let mut here = vec![false; index(chunks)];
        let mut stored = false;
        for (chunk, answer) in answers {
            match answer {
                // The blob was complete, and is gone again.
                Ok(answer) if answer.chunks == 0 => model.absent(blob, span, None, &who),
                Ok(answer) => {
                    here[index(*chunk)] = true;
                    if answer.chunks > chunks {
                        model.fail(format!("{who} of {name} is told {answer:?}"));
                    }
                    stored |= answer.stored.is_some();
                    model.mix(7 + u64::from(answer.existed));
                }
                Err(Error::Expired { .. }) if model.may_be_over(terms.expiry) => {}
                Err(error) => model.error(error, &who),
            }
        }
        let prefix = here.iter().take_while(|here| **here).count();
        if !stored && prefix < here.len() {
            let durable = u64::try_from(prefix * CHUNK).expect("64-bit");
            model.flushed(blob, since, durable);
        }
        stored
    }
}

/// A chunk with its proof.
fn part(blob: &Blob, chunk: u64) -> (lode_proofs::ChunkProof, Bytes) {
    let at = index(chunk);
    let end = blob.bytes.len().min((at + 1) * CHUNK);
    (blob.proofs[at].clone(), blob.bytes.slice(at * CHUNK..end))
}
