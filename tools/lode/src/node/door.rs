//! One node per directory, one node per port: the two clashes, said in words.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
};

use crate::failure::{Failure, Outcome};

/// Takes the directory for this process. The lock is the kernel's: it ends with the process,
/// however that ends. The pid in the file is only for people.
pub fn lock(dir: &Path) -> Outcome<File> {
    let path = dir.join("LOCK");
    let failed = |error: io::Error| Failure::file(path.display(), &error);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // An unreadable pid only makes the message shorter.
            let _unread = file.read_to_string(&mut pid).is_err();
            let what = format!(
                "{} belongs to the node with pid {}",
                dir.display(),
                pid.trim()
            );
            return Err(Failure::other(
                what,
                "stop that node, or choose another --dir",
            ));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    sign(&mut file);
    Ok(file)
}

/// Writes the pid over the last one, always as many bytes, so that no new block is needed. On a
/// disk without a free byte it may fail all the same, and the node starts without: readers of a
/// full disk are served.
fn sign(file: &mut File) {
    let line = format!("{:<PID_WIDTH$}\n", std::process::id());
    let signed = file.rewind().and_then(|()| file.write_all(line.as_bytes()));
    if let Err(error) = signed {
        tracing::warn!(%error, "the pid is not in the LOCK file; the lock itself holds");
    }
}

/// Digits of the greatest pid, 2^32 - 1.
const PID_WIDTH: usize = 10;

/// Executors share their port, and so would two nodes of one user, each getting some of the
/// connections. So the port is tried without sharing first.
pub fn check_port(listen: SocketAddr) -> Outcome<()> {
    match TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(error) => Err(cannot_listen(listen, &error)),
    }
}

/// Why there is no listening here, and what to do.
pub fn cannot_listen(listen: SocketAddr, error: &io::Error) -> Failure {
    let next = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has this port: stop it, or choose a port by --listen ADDR:PORT (0: any)"
        }
        io::ErrorKind::PermissionDenied => "choose a port above 1023",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        _ => "choose another address by --listen ADDR:PORT",
    };
    Failure::other(format!("cannot listen on {listen}: {error}"), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second node in one directory hears who has it; after the first it may come in.
    #[test]
    fn one_node_per_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let failure = lock(dir.path()).unwrap_err();
        assert!(
            failure.what.contains(&std::process::id().to_string()),
            "{failure}"
        );
        drop(first);
        assert!(lock(dir.path()).is_ok());
    }

    /// A disk without a free byte does not keep a node from its data: the pid is only for people.
    #[test]
    fn no_byte_for_the_pid() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("LOCK")).unwrap();
        assert!(lock(dir.path()).is_ok());
    }

    /// A port that is taken is named, with a way out.
    #[test]
    fn one_node_per_port() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let failure = check_port(taken.local_addr().unwrap()).unwrap_err();
        assert!(failure.next.contains("--listen"), "{failure}");
        assert!(check_port("127.0.0.1:0".parse().unwrap()).is_ok());
    }
}
