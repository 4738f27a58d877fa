//! Paths of the API: text in, a checked route out. No IO, no allocation beyond the answer.

use lode_engine::Root;

/// Longest path that is looked at, in bytes; the longest real one has 104.
pub const PATH_LEN_LIMIT: usize = 1024;

/// Which door a request knocks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v1/blobs`: all blobs.
    Blobs,
    /// `/v1/blobs/{root}`: one blob.
    Blob(Root),
    /// `/v1/blobs/{root}/proof/{chunk}`: evidence for one chunk.
    Proof(Root, u64),
    /// `/v1/blobs/{root}/anchor`: how far a blob's settlement is.
    Anchor(Root),
    /// `/v1/uploads`: where an upload begins.
    Uploads,
    /// `/v1/uploads/{root}`: one unfinished upload.
    Upload(Root),
    /// Anything else: not served by the shards.
    Other,
}

/// Why a path is not a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Longer than [`PATH_LEN_LIMIT`].
    #[error("the path has {0} bytes, more than {PATH_LEN_LIMIT}")]
    TooLong(usize),
    /// Not 64 hexadecimal digits.
    #[error("a root is 64 hexadecimal digits, with or without 0x in front")]
    BadRoot,
    /// Not a decimal number below 2^64.
    #[error("a chunk index is a decimal number from 0, without sign or leading zeroes")]
    BadChunk,
    /// Below `/v1/blobs` or `/v1/uploads`, but nothing that exists.
    #[error("there is nothing at this path; /openapi.json lists what there is")]
    Unknown,
}

/// Reads the path of a request (without query). Percent-encoding is not undone: no valid path
/// below `/v1/blobs` and `/v1/uploads` needs it.
pub fn decode_path(path: &str) -> Result<Route, PathError> {
    if path.len() > PATH_LEN_LIMIT {
        return Err(PathError::TooLong(path.len()));
    }
    let Some(rest) = path.strip_prefix("/v1/") else {
        return Ok(Route::Other);
    };
    let mut parts = rest.split('/');
    let kind = parts.next();
    let (name, below, last, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (kind, name, below, last, more) {
        (Some("blobs"), None, ..) => Ok(Route::Blobs),
        (Some("uploads"), None, ..) => Ok(Route::Uploads),
        (Some("blobs"), Some(root), None, ..) => Ok(Route::Blob(decode_root(root)?)),
        (Some("uploads"), Some(root), None, ..) => Ok(Route::Upload(decode_root(root)?)),
        (Some("blobs"), Some(root), Some("proof"), Some(chunk), None) => {
            Ok(Route::Proof(decode_root(root)?, decode_chunk(chunk)?))
        }
        (Some("blobs"), Some(root), Some("anchor"), None, None) => {
            Ok(Route::Anchor(decode_root(root)?))
        }
        (Some("blobs" | "uploads"), ..) => Err(PathError::Unknown),
        _ => Ok(Route::Other),
    }
}

/// Reads a root: 64 hexadecimal digits of either case, `0x` optional.
pub fn decode_root(text: &str) -> Result<Root, PathError> {
    text.parse().map_err(|_| PathError::BadRoot)
}

/// Reads a chunk index in its one canonical spelling.
fn decode_chunk(text: &str) -> Result<u64, PathError> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(PathError::BadChunk);
    }
    text.parse().map_err(|_| PathError::BadChunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "0x71bfab3b00112233445566778899aabbccddeeff00112233445566778899aabb";

    /// Every route is reached by its path, with and without 0x.
    #[test]
    fn routes() {
        let root: Root = ROOT.parse().unwrap();
        let bare = &ROOT[2..];
        for (path, want) in [
            ("/v1/blobs".to_owned(), Route::Blobs),
            (format!("/v1/blobs/{ROOT}"), Route::Blob(root)),
            (format!("/v1/blobs/{bare}"), Route::Blob(root)),
            (format!("/v1/blobs/{ROOT}/proof/0"), Route::Proof(root, 0)),
            (
                format!("/v1/blobs/{ROOT}/proof/18446744073709551615"),
                Route::Proof(root, u64::MAX),
            ),
            (format!("/v1/blobs/{ROOT}/anchor"), Route::Anchor(root)),
            ("/v1/uploads".to_owned(), Route::Uploads),
            (format!("/v1/uploads/{ROOT}"), Route::Upload(root)),
            ("/healthz".to_owned(), Route::Other),
            ("/".to_owned(), Route::Other),
            ("*".to_owned(), Route::Other),
            ("/v1/stat".to_owned(), Route::Other),
        ] {
            assert_eq!(decode_path(&path), Ok(want), "{path}");
        }
    }

    /// Near misses are refused with their own reason.
    #[test]
    fn near_misses() {
        for (path, want) in [
            ("/v1/blobs/".to_owned(), PathError::BadRoot),
            (format!("/v1/blobs/{}", &ROOT[..65]), PathError::BadRoot),
            (format!("/v1/blobs/{ROOT}00"), PathError::BadRoot),
            (format!("/v1/blobs/{ROOT}/"), PathError::Unknown),
            (format!("/v1/blobs/{ROOT}/proof"), PathError::Unknown),
            (format!("/v1/blobs/{ROOT}/proof/"), PathError::BadChunk),
            (format!("/v1/blobs/{ROOT}/proof/-1"), PathError::BadChunk),
            (format!("/v1/blobs/{ROOT}/proof/+1"), PathError::BadChunk),
            (format!("/v1/blobs/{ROOT}/proof/01"), PathError::BadChunk),
            (
                format!("/v1/blobs/{ROOT}/proof/18446744073709551616"),
                PathError::BadChunk,
            ),
            (format!("/v1/blobs/{ROOT}/proof/0/"), PathError::Unknown),
            (format!("/v1/uploads/{ROOT}/x"), PathError::Unknown),
            (format!("/v1/blobs/{ROOT}/anchor/"), PathError::Unknown),
            ("/v1/blobs/0x12/anchor".to_owned(), PathError::BadRoot),
            (
                format!("/v1/{}", "x".repeat(2000)),
                PathError::TooLong(2004),
            ),
        ] {
            assert_eq!(decode_path(&path), Err(want), "{path}");
        }
    }

    proptest! {
        /// Any text gets an answer, and a route that is found is found again by its own spelling.
        #[test]
        fn any_text(path in "(/v1/(blobs|uploads)?)?[ -~]{0,120}") {
            if let Ok(Route::Proof(root, chunk)) = decode_path(&path) {
                let again = format!("/v1/blobs/{root}/proof/{chunk}");
                prop_assert_eq!(decode_path(&again), Ok(Route::Proof(root, chunk)));
            }
        }

        /// Every root and chunk survives the way through text.
        #[test]
        fn round_trip(bytes in any::<[u8; 32]>(), chunk in any::<u64>()) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let root: Root = hex.parse().unwrap();
            prop_assert_eq!(root.to_string(), format!("0x{hex}"));
            prop_assert_eq!(
                decode_path(&format!("/v1/blobs/0x{hex}/proof/{chunk}")),
                Ok(Route::Proof(root, chunk))
            );
        }
    }
}
