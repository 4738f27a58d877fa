//! Everything looked at once: every blob's entry, bytes and proofs, every upload, the list.

use std::{cell::RefCell, rc::Rc, time::Duration};

use lode_engine::{
    Error,
    store::{BlobInfo, Store, Stored, Terms},
};
use lode_world::{World, sim::SimWorld};

use crate::{
    client::{Client, read_all},
    dice::Dice,
    life::within,
    model::Model,
    shelf::{Blob, Shelf},
    upload,
};

/// Virtual time in which a healthy disk has to take a blob or close.
const SOON: Duration = Duration::from_secs(60);

fn inspector(store: &Store<SimWorld>, model: &Rc<RefCell<Model>>, dice: Dice) -> Client {
    Client {
        number: 99,
        store: store.clone(),
        model: Rc::clone(model),
        dice,
    }
}

/// Looks at everything once; returns what the list says.
pub async fn look(
    store: &Store<SimWorld>,
    model: &Rc<RefCell<Model>>,
    dice: &mut Dice,
) -> Vec<BlobInfo> {
    let mut client = inspector(store, model, dice.split());
    let blobs = model.borrow().blobs.len();
    for blob in 0..blobs {
        client.stat(blob).await;
        let size = client.blob(blob).size();
        client.read(blob, 0..size).await;
        let chunk = dice.below(client.blob(blob).chunks());
        client.prove(blob, chunk).await;
        client.upload_info(blob).await;
        if model.borrow().failure().is_some() {
            return Vec::new();
        }
    }
    client.list(None, 1000).await
}

/// After all faults have stopped: a full store can be emptied, and takes a blob soon.
pub async fn lively(
    world: &SimWorld,
    store: &Store<SimWorld>,
    model: &Rc<RefCell<Model>>,
    dice: &mut Dice,
) {
    // A blob that the model does not know: it goes again below.
    let known = |blob: &Blob| model.borrow().blob_of(&blob.root).is_some();
    let edges = Shelf::get().edges.iter();
    let strange: Vec<&Blob> = edges.filter(|blob| !known(blob)).collect();
    let fresh = strange[dice.index(strange.len())].clone();
    if model.borrow().profile == crate::plan::Profile::Full {
        empty(store, model).await;
    }
    let stored = within(world, SOON, put_patiently(world, store, &fresh)).await;
    let stored = match stored {
        None => {
            return fail(
                model,
                "a healthy disk takes no blob within a minute".to_owned(),
            );
        }
        Some(stored) => stored,
    };
    match stored {
        Ok(stored) if stored.root == fresh.root => {}
        other => return fail(model, format!("a healthy disk refuses a blob: {other:?}")),
    }
    match read_all(store, fresh.root, 0..fresh.size()).await {
        Ok(Some(bytes)) if bytes == fresh.bytes => {}
        other => {
            let got = other.map(|bytes| bytes.map(|bytes| bytes.len()));
            fail(model, format!("a blob is not there at once: {got:?}"));
        }
    }
    if let Err(error) = store.delete(fresh.root).await {
        fail(model, format!("a healthy disk refuses a delete: {error}"));
    }
}

/// Puts a blob; where the disk is full, again and again: what was deleted comes back by itself.
async fn put_patiently(
    world: &SimWorld,
    store: &Store<SimWorld>,
    blob: &Blob,
) -> Result<Stored, Error> {
    loop {
        match store.put(blob.bytes.clone(), Terms::default()).await {
            Err(Error::Full { .. }) => world.sleep(Duration::from_secs(1)).await,
            answer => return answer,
        }
    }
}

/// Deletes everything.
async fn empty(store: &Store<SimWorld>, model: &Rc<RefCell<Model>>) {
    let blobs = model.borrow().blobs.len();
    for blob in 0..blobs {
        let root = model.borrow().blobs[blob].root;
        let running = model.borrow_mut().delete(blob);
        let deleted = store.delete(root).await;
        model.borrow_mut().delete_over(running, deleted.is_ok());
        let asked = model.borrow_mut().ending(blob);
        let abandoned = store.abandon(root).await.map(drop);
        model.borrow_mut().answered(blob);
        model.borrow_mut().ended(blob, asked, 0);
        // An upload under a wrong root that a full disk cut short is still there.
        let stranger = store.abandon(upload::wrong(root)).await.map(drop);
        if let Err(error) = deleted.map(drop).and(abandoned).and(stranger) {
            return fail(model, format!("a full store cannot be emptied: {error}"));
        }
    }
}

fn fail(model: &Rc<RefCell<Model>>, what: String) {
    model.borrow_mut().fail(what);
}

/// Reads everything by a scrub, then by clients: a scrub that counts no damage leaves none to be
/// found, and it counts at least one damaged record for every blob that cannot be read.
pub async fn scrubbed(store: &Store<SimWorld>, model: &Rc<RefCell<Model>>) {
    let before = store.stats().await.map(|stats| stats.corrupt);
    let scrub = store.scrub(0).await;
    let after = store.stats().await.map(|stats| stats.corrupt);
    let (Ok(before), Ok(()), Ok(after)) = (before, scrub, after) else {
        return fail(model, "scrub fails on a healthy disk".to_owned());
    };
    let mut broken = 0;
    let blobs = model.borrow().blobs.len();
    for blob in 0..blobs {
        let held = model.borrow().blobs[blob].clone();
        match read_all(store, held.root, 0..held.size()).await {
            Ok(None | Some(_)) | Err(Error::Gone { .. }) => {}
            Err(_) => broken += 1,
        }
    }
    if after - before < broken {
        let found = after - before;
        fail(
            model,
            format!("{broken} blobs cannot be read, and a scrub finds {found} damaged records"),
        );
    }
    if model.borrow().profile.strict() && after > before {
        fail(
            model,
            format!(
                "a scrub finds {} damaged records on a good disk",
                after - before
            ),
        );
    }
}

/// Closes a store on a healthy disk.
pub async fn close_soon(world: &SimWorld, stores: &[Store<SimWorld>], model: &Rc<RefCell<Model>>) {
    match within(world, SOON, crate::life::close(world, stores)).await {
        Some(Ok(())) => {}
        other => fail(
            model,
            format!("a store does not close on a healthy disk: {other:?}"),
        ),
    }
}
