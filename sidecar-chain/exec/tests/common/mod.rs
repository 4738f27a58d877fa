//! Files of archives that others made.

use std::{
    fs::File,
    io::{self, Read as _},
};

/// Calls `each` with the name and the contents of every file of an archive; false if the archive is
/// not there.
///
/// # Errors
/// When the archive cannot be read.
pub fn unpack(archive: &str, mut each: impl FnMut(&str, &[u8])) -> io::Result<bool> {
    let path = format!(
        "{}/../../../shared/fixtures/{archive}.tar.xz",
        env!("CARGO_MANIFEST_DIR")
    );
    let Ok(packed) = File::open(&path) else {
        println!("skipped: {path} is not here");
        return Ok(false);
    };
    let mut packed = tar::Archive::new(liblzma::read::XzDecoder::new(packed));
    let mut bytes = Vec::new();
    for entry in packed.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        bytes.clear();
        entry.read_to_end(&mut bytes)?;
        if !bytes.is_empty() {
            each(&path, &bytes);
        }
    }
    Ok(true)
}
