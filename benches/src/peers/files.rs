//! Plain files and a SQLite index: what one writes without a storage engine. Each value is a file
//! of its own, synced with its folder; then one transaction of the index, in WAL mode with
//! `synchronous = FULL`, makes the group visible.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, params};
use rustix::fs::{Advice, fadvise};

use super::{Key, Peer};
use crate::error::{Error, Result};

/// Connections that readers take turns with; a connection serves one thread at a time.
const READERS: usize = 8;

/// A folder of 256 folders of files, and their index.
pub struct Files {
    dir: PathBuf,
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
}

impl Files {
    fn path_of(&self, key: &Key) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(&name[..2]).join(name)
    }

    /// The index under the first reader that is free, or under the one that `key` names.
    fn reader(&self, key: &Key) -> MutexGuard<'_, Connection> {
        let free = self
            .readers
            .iter()
            .find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| lock(&self.readers[usize::from(key[0]) % READERS]))
    }
}

impl Peer for Files {
    const NAME: &'static str = "files + SQLite";

    fn open(dir: &Path) -> Result<Self> {
        for folder in 0..=255_u8 {
            let folder = dir.join(format!("{folder:02x}"));
            fs::create_dir(&folder).map_err(Error::io("make", &folder))?;
        }
        let connect = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(dir.join("index.sqlite"))?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS value (key BLOB PRIMARY KEY, len INTEGER) WITHOUT ROWID;",
            )?;
            Ok(connection)
        };
        let connect = || {
            connect()
                .map(Mutex::new)
                .map_err(Error::subject(Self::NAME))
        };
        let writer = connect()?;
        let readers = (0..READERS).map(|_| connect()).collect::<Result<_>>()?;
        Ok(Self {
            dir: dir.to_owned(),
            writer,
            readers,
        })
    }

    fn put(&self, pairs: &[(Key, &[u8])]) -> Result<()> {
        let mut folders = BTreeSet::new();
        for (key, value) in pairs {
            let path = self.path_of(key);
            let mut file = File::create(&path).map_err(Error::io("create", &path))?;
            file.write_all(value).map_err(Error::io("write", &path))?;
            file.sync_all().map_err(Error::io("sync", &path))?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        for folder in folders {
            let open = File::open(&folder).and_then(|folder| folder.sync_all());
            open.map_err(Error::io("sync", &folder))?;
        }
        let record = || -> rusqlite::Result<()> {
            let mut writer = lock(&self.writer);
            let transaction = writer.transaction()?;
            for (key, value) in pairs {
                let len = i64::try_from(value.len()).unwrap_or(i64::MAX);
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO value VALUES (?1, ?2)")?
                    .execute(params![key, len])?;
            }
            transaction.commit()
        };
        record().map_err(Error::subject(Self::NAME))
    }

    fn read(&self, key: &Key, offset: usize, out: &mut [u8]) -> Result<()> {
        let known = {
            let reader = self.reader(key);
            let find = reader.prepare_cached("SELECT len FROM value WHERE key = ?1");
            find.and_then(|mut find| find.query_row([key], |row| row.get::<_, i64>(0)).optional())
        };
        let known = known.map_err(Error::subject(Self::NAME))?;
        known
            .ok_or("no such value")
            .map_err(Error::subject(Self::NAME))?;
        let path = self.path_of(key);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        // Without this the kernel reads ahead, which a single page does not need.
        fadvise(&file, 0, None, Advice::Random)
            .map_err(|error| Error::io("advise", &path)(error.into()))?;
        file.read_exact_at(out, u64::try_from(offset).expect("an offset in a chunk"))
            .map_err(Error::io("read", &path))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
