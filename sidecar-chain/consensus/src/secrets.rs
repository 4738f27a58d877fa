//! Secrets of a validator on its disk: shares of keys, what it dealt, and what was dealt to it. One
//! file each, readable by its owner only, replaced as a whole.
//!
//! A secret that cannot be kept stops the validator: it would deal differently after a restart, or
//! vote with a share that is then lost.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use commonware_codec::{DecodeExt, Encode};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    PublicKey,
    bls12381::{dkg::feldman_desmedt::DealerPrivMsg, primitives::group::Share},
    transcript::Summary,
};
use commonware_glue::dkg::SecretStore;

/// Only the owner reads and writes.
const MODE: u32 = 0o600;

/// A folder of secrets.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// The secrets in a folder, which is made if there is none.
    pub(crate) fn open(folder: &Path) -> io::Result<Secrets> {
        fs::create_dir_all(folder)?;
        Ok(Secrets {
            folder: folder.to_owned(),
        })
    }

    fn put(&self, name: &str, secret: &impl Encode) {
        let kept = self.replace(name, &secret.encode());
        kept.expect("a secret that cannot be kept stops the validator");
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(MODE)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    fn get<S: DecodeExt<()>>(&self, name: &str) -> Option<S> {
        let bytes = match fs::read(self.folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => panic!("a secret that cannot be read stops the validator: {error}"),
        };
        Some(S::decode(bytes).expect("files are replaced as a whole"))
    }

    /// Removes what is of an epoch below `min`.
    fn remove_below(&self, min: u64) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let epoch = name
                .to_str()
                .and_then(|name| name.split('-').nth(1)?.parse::<u64>().ok());
            if epoch.is_some_and(|epoch| epoch < min) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn dealing_name<P: PublicKey>(epoch: Epoch, dealer: &P) -> String {
    format!("dealing-{}-{}", epoch.get(), hex::encode(dealer.encode()))
}

impl SecretStore for Secrets {
    async fn put_share(&mut self, epoch: Epoch, share: Share) {
        self.put(&format!("share-{}", epoch.get()), &share);
    }

    async fn get_share(&mut self, epoch: Epoch) -> Option<Share> {
        self.get(&format!("share-{}", epoch.get()))
    }

    async fn put_seed(&mut self, epoch: Epoch, seed: Summary) {
        self.put(&format!("seed-{}", epoch.get()), &seed);
    }

    async fn get_seed(&mut self, epoch: Epoch) -> Option<Summary> {
        self.get(&format!("seed-{}", epoch.get()))
    }

    async fn put_dealing<P: PublicKey>(&mut self, epoch: Epoch, dealer: P, dealing: DealerPrivMsg) {
        self.put(&dealing_name(epoch, &dealer), &dealing);
    }

    async fn get_dealing<P: PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: &P,
    ) -> Option<DealerPrivMsg> {
        self.get(&dealing_name(epoch, dealer))
    }

    async fn prune(&mut self, min: Epoch) {
        if let Err(error) = self.remove_below(min.get()) {
            tracing::warn!(%error, epoch = min.get(), "old secrets could not be removed");
        }
    }
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
