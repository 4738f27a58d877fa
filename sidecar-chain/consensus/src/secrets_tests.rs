//! Secrets come back after the folder is opened again, are their owner's only, and old ones go.

use std::os::unix::fs::PermissionsExt as _;

use commonware_cryptography::{Signer as _, ed25519::PrivateKey};
use commonware_math::algebra::Random as _;
use commonware_utils::TestRng;
use futures_lite::future::block_on;

use super::*;
use crate::{deal, simulation::folder::Folder};

#[test]
fn comes_back_and_goes() {
    let folder = Folder::new();
    let mut secrets = Secrets::open(folder.path()).expect("a folder");
    let (_, dealt) = deal(Default::default(), &["127.0.0.1:1".to_owned()]).expect("one member");
    let share = dealt[0].share().expect("a share").expect("a member");
    let seed = Summary::random(TestRng::new(1));
    let dealer = PrivateKey::random(TestRng::new(2)).public_key();
    block_on(async {
        assert_eq!(secrets.get_share(Epoch::new(3)).await, None);
        secrets.put_share(Epoch::new(3), share.clone()).await;
        secrets.put_seed(Epoch::new(4), seed).await;
        let mut again = Secrets::open(folder.path()).expect("a folder");
        assert_eq!(again.get_share(Epoch::new(3)).await, Some(share.clone()));
        assert_eq!(again.get_seed(Epoch::new(4)).await, Some(seed));
        assert_eq!(again.get_dealing(Epoch::new(4), &dealer).await, None);
        again.prune(Epoch::new(4)).await;
        assert_eq!(again.get_share(Epoch::new(3)).await, None);
        assert_eq!(again.get_seed(Epoch::new(4)).await, Some(seed));
    });
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let mode = entry
            .expect("a file")
            .metadata()
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, MODE);
    }
}
