//! Blobs and folders for both kinds of REST: found, checked, and sent.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use lode_proofs::{CHUNK_LEN, Hash32, keccak::keccak256};
use lode_wire::folder::{Folder, is_folder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::task::spawn_blocking;

use super::Gateway;
use crate::{
    download::Content,
    failure::Failure,
    fetch::Source,
    locate::{Cid, Survey},
    range::{self, Wanted},
};

/// What somebody wants to have.
#[derive(Debug)]
pub struct Opened {
    parts: Vec<Survey>,
    /// For the client's disk.
    pub name: Option<String>,
    /// Named by what it holds, so that it never changes.
    pub fixed: bool,
}

/// Fragments of one file that are looked for: at 0G's default of 4 GiB, a file of 1 TiB.
const PARTS_MAX: usize = 256;
/// Bytes of a chunk.
const CHUNK: u64 = 262_144;
const _: () = assert!(CHUNK_LEN == 262_144, "offsets below are counted in these");
/// Roots never lose their bytes: a year, which RFC 9111 has as the longest.
const FIXED: &str = "public, max-age=31536000, immutable";
/// A submission's number may stand for something else after the chain was put right.
const ASK_AGAIN: &str = "no-cache";

impl Opened {
    /// A blob.
    pub async fn blob(gateway: &Gateway, cid: Cid) -> Result<Opened, Failure> {
        Ok(Opened {
            parts: vec![gateway.locator.survey(cid).await?],
            name: None,
            fixed: matches!(cid, Cid::Root(_)),
        })
    }

    /// The blobs of a file in a folder, one after the other.
    pub async fn file(
        gateway: &Gateway,
        name: String,
        roots: &[Hash32],
    ) -> Result<Opened, Failure> {
        if roots.len() > PARTS_MAX {
            let (size, max) = (count(roots.len()), count(PARTS_MAX));
            return Err(Failure::TooLong { size, max });
        }
        let mut parts = Vec::with_capacity(roots.len());
        for root in roots {
            parts.push(gateway.locator.survey(Cid::Root(*root)).await?);
        }
        Ok(Opened {
            parts,
            name: Some(name),
            fixed: true,
        })
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        let sizes = self.parts.iter().map(|part| part.tx.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// The root, or for several blobs the hash of their roots, in quotes.
    pub fn etag(&self) -> String {
        match &*self.parts {
            [part] => format!("\"{}\"", part.blob.root),
            parts => {
                let roots = parts
                    .iter()
                    .flat_map(|part| <[u8; 32]>::from(part.blob.root));
                let roots: Vec<u8> = roots.collect();
                format!("\"{}\"", Hash32::from(keccak256(&roots)))
            }
        }
    }

    /// Whether the chunks of these bytes can be had.
    fn check(&self, range: &core::ops::Range<u64>) -> Result<(), Failure> {
        let mut before = 0_u64;
        for part in &self.parts {
            let size = part.tx.size;
            let first = range.start.saturating_sub(before).min(size);
            let end = range.end.saturating_sub(before).min(size);
            if first < end {
                part.check(first / CHUNK, end.div_ceil(CHUNK))?;
            }
            before = before.saturating_add(size);
        }
        Ok(())
    }

    /// The answer to a request for it.
    pub async fn send(self, gateway: &Gateway, request: &Parts) -> Result<Response, Failure> {
        let (size, etag) = (self.size(), self.etag());
        let mut headers = self.headers(&etag);
        let wanted = range::wanted(&request.method, &request.headers, size, &etag);
        let (status, range) = match wanted {
            Wanted::Whole => (StatusCode::OK, 0..size),
            Wanted::Part(range) => {
                let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                headers.insert(header::CONTENT_RANGE, text(&place));
                (StatusCode::PARTIAL_CONTENT, range)
            }
            Wanted::Unchanged => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
            Wanted::Unsatisfiable => {
                headers.remove(header::CONTENT_DISPOSITION);
                headers.insert(header::CONTENT_RANGE, text(&format!("bytes */{size}")));
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
            }
        };
        self.check(&range)?;
        let len = range.end - range.start;
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        if request.method == Method::HEAD {
            return Ok((status, headers, Body::empty()).into_response());
        }
        let turn = Arc::clone(&gateway.downloads).try_acquire_owned();
        let turn = turn.map_err(|_| {
            gateway.meters.refused("downloads");
            Failure::Crowded("downloads")
        })?;
        let stream = self
            .content(gateway)
            .send(range, gateway.pace(), turn)
            .await?;
        Ok((status, headers, Body::from_stream(stream)).into_response())
    }

    fn headers(&self, etag: &str) -> HeaderMap {
        let nosniff = HeaderName::from_static("x-content-type-options");
        let cache = if self.fixed { FIXED } else { ASK_AGAIN };
        let mut headers = HeaderMap::new();
        // A blob may be a page with a script: no browser is to run it in our name.
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        headers.insert(nosniff, HeaderValue::from_static("nosniff"));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::ETAG, text(etag));
        if let Some(name) = &self.name {
            headers.insert(header::CONTENT_DISPOSITION, text(&disposition(name)));
        }
        headers
    }

    fn content(self, gateway: &Gateway) -> Content {
        let chunk_max = gateway.config.chunk_max;
        let source = |part| Source::new(part, chunk_max, Arc::clone(&gateway.meters));
        Content::new(self.parts.into_iter().map(source).collect())
    }
}

/// Reads a folder as a whole: a few at once, since that takes memory by its length.
pub async fn folder(gateway: &Gateway, cid: Cid) -> Result<Folder, Failure> {
    let opened = Opened::blob(gateway, cid).await?;
    let (size, max) = (opened.size(), gateway.config.folder_len_max);
    if size > max {
        return Err(Failure::TooLong { size, max });
    }
    opened.check(&(0..size))?;
    let _turn = gateway.folders.acquire().await;
    let bytes = opened.content(gateway).read(&gateway.pace()).await?;
    if !is_folder(&bytes) {
        return Err(Failure::NotFolder("it does not begin as one".to_owned()));
    }
    // Megabytes of JSON would keep others from this thread.
    let decoding = spawn_blocking(move || Folder::decode(&bytes)).await;
    let decoded = decoding.map_err(|error| Failure::NotFolder(error.to_string()))?;
    decoded.map_err(|error| Failure::NotFolder(error.to_string()))
}

/// RFC 6266: the name twice, for clients that know only ASCII and for all others.
fn disposition(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().take(NAME_LEN_MAX).collect();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._- ".contains(letter);
    let ascii: String = name
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .collect();
    let coded = utf8_percent_encode(&name, NOT_IN_NAMES);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{coded}")
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("made of visible ASCII alone")
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

/// RFC 8187, 3.2.1: `attr-char`, less a few that nobody misses.
const NOT_IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');
/// Letters of a name, as filesystems take them.
const NAME_LEN_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Quotes, slashes and line ends of a name end up in no header.
    #[test]
    fn names() {
        let header = disposition("../a\"b\r\nSet-Cookie: c=ü.txt");
        let want = "attachment; filename=\"a_b__Set-Cookie_ c__.txt\"; \
                    filename*=UTF-8''a%22b%0D%0ASet%2DCookie%3A%20c%3D%C3%BC.txt"
            .replace("%2D", "-");
        assert_eq!(header, want);
    }

    proptest! {
        /// Whatever the name, there is a header.
        #[test]
        fn any_name(name: String) {
            prop_assert!(HeaderValue::from_str(&disposition(&name)).is_ok());
        }
    }
}
