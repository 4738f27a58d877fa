//! A unix socket that nobody but its owner can ever reach.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::Path,
};

use tokio::net::{UnixListener, UnixStream};

/// Its owner may read and write.
const MODE: u32 = 0o600;

/// Behind the path of a socket, the folder that it is made in.
const NURSERY: &str = ".new";
/// In that folder, the socket.
const YOUNG: &str = "s";

/// Listens at a path. A socket there that nobody listens at any more is replaced.
///
/// It is made in a folder of its owner's alone and moved to its place when its mode is set: between
/// bind and chmod others could have come in.
///
/// # Errors
/// When somebody listens there, something else is there, or the folder cannot be written.
pub async fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let message = format!("{} is there and is no socket", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            let message = format!("somebody listens at {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut nursery = OsString::from(path);
    nursery.push(NURSERY);
    let nursery = Path::new(&nursery);
    // One that a start that failed has left.
    clear(nursery)?;
    DirBuilder::new().mode(0o700).create(nursery)?;
    let born = born_in(nursery, path);
    clear(nursery)?;
    born
}

/// Removes the folder with the socket in it. Anything else in it is somebody's, and stays.
fn clear(nursery: &Path) -> io::Result<()> {
    let young = nursery.join(YOUNG);
    if fs::symlink_metadata(&young).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&young)?;
    }
    match fs::remove_dir(nursery) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!("{} is in the way: {error}", nursery.display());
            Err(io::Error::new(error.kind(), message))
        }
        _ => Ok(()),
    }
}

fn born_in(nursery: &Path, path: &Path) -> io::Result<UnixListener> {
    let young = nursery.join(YOUNG);
    let listener = UnixListener::bind(&young)?;
    fs::set_permissions(&young, Permissions::from_mode(MODE))?;
    fs::rename(&young, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The owner alone may use it; a dead one is replaced, a live one and a file are not.
    #[tokio::test]
    async fn one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.sock");
        let listener = bind(&path).await.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert!(UnixStream::connect(&path).await.is_ok());
        let refused = bind(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(UnixStream::connect(&path).await.is_err());
        assert!(bind(&path).await.is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        let refused = bind(&file).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"kept");
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 2, "the folder that it was made in is gone");
    }

    /// A folder of somebody's that has the name of the one that it is made in stays as it is; what a
    /// start that was killed has left there goes.
    #[tokio::test]
    async fn strange_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (path, folder) = (dir.path().join("socket"), dir.path().join("socket.new"));
        let own = folder.join("own");
        fs::create_dir(&folder).unwrap();
        fs::write(&own, "kept").unwrap();
        assert!(bind(&path).await.is_err());
        assert_eq!(fs::read(&own).unwrap(), b"kept");
        fs::rename(&own, folder.join(YOUNG)).unwrap();
        assert!(bind(&path).await.is_err());
        assert_eq!(fs::read(folder.join(YOUNG)).unwrap(), b"kept");
        fs::remove_file(folder.join(YOUNG)).unwrap();
        drop(UnixListener::bind(folder.join(YOUNG)).unwrap());
        assert!(bind(&path).await.is_ok());
        assert!(!folder.exists());
    }
}
