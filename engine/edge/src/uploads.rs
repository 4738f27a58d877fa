//! `/v1/uploads`: uploads of a declared root that outlive connections. The root is the key, so a
//! client needs to remember nothing, and any client may continue what another began.
//!
//! ```text
//!   POST /v1/uploads {root,size} ─► 201 Upload-Offset: 0      (200 and the blob: nothing to do)
//!   PATCH /v1/uploads/{root}  Upload-Offset: 0 ─► … connection lost …
//!   HEAD /v1/uploads/{root} ─► Upload-Offset: 1835008
//!   PATCH /v1/uploads/{root}  Upload-Offset: 1835008 ─► 201 and the blob
//! ```
//! When an answer about an upload goes out, its writer has let go of it: whoever asks next is never
//! told that it is busy with that request.
//!
//! Uploads continue at whole chunks, so one of at most a chunk would continue where it began: a
//! record of its own, and another to end it, would buy nothing but a second way to send a few
//! bytes. The store keeps nothing of it until all of it is there; it comes in one piece.

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use lode_engine::{
    Error, Root,
    store::{BlobInfo, Resumed, Terms, Upload, UploadInfo},
};
use lode_proofs::CHUNK_LEN;
use lode_world::World;

use crate::{
    blobs::{chunk_len, pour, put_checked, stored_reply, tell_term, text, within_limit},
    handle::Call,
    headers::decode_offset,
    path::decode_root,
    problem::{self, Problem},
    query::{EPOCH_FORM, PatchQuery},
    reply::{Reply, empty, json, refusal},
    schema::{UploadState, UploadWish},
};

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// Bytes of the JSON that begins an upload.
const WISH_LEN_LIMIT: usize = 4096;

/// `POST /v1/uploads`.
pub(crate) async fn begin<W: World>(call: &mut Call<'_, W>) -> Result<Response<Reply<W>>, Problem> {
    let body = call.intake.all(WISH_LEN_LIMIT).await?;
    let wish: UploadWish = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(problem::BAD_REQUEST, format!("the body: {error}")))?;
    let root = decode_root(&wish.root)?;
    if wish.size == 0 {
        return Err(Error::Empty.into());
    }
    if wish.expiry == Some(0) {
        let detail = format!("the body: expiry must be {EPOCH_FORM} as null");
        return Err(Problem::new(problem::BAD_REQUEST, detail));
    }
    within_limit(call, wish.size)?;
    let store = &call.shop.store;
    let terms = Terms {
        expiry: wish.expiry,
    };
    match store.resume(root, wish.size, terms).await? {
        Resumed::Stored(stored) => Ok(stored_reply(stored)),
        Resumed::Upload(upload) => {
            let begun = UploadInfo {
                root,
                size: wish.size,
                offset: upload.offset(),
                expiry: terms.expiry,
            };
            upload.leave().await;
            // One that was there already has its own term; one of at most a chunk is not kept.
            let info = store.upload(root).await?.unwrap_or(begun);
            let mut response = json(StatusCode::CREATED, &UploadState::new(info, false));
            progress(response.headers_mut(), info);
            let mut location = format!("/v1/uploads/{root}");
            if let Some(expiry) = info.expiry.filter(|_| info.size <= chunk_len()) {
                // Nothing else remembers it.
                location.push_str(&format!("?expiry={expiry}"));
            }
            text(response.headers_mut(), header::LOCATION, &location);
            Ok(response)
        }
    }
}

/// `GET /v1/uploads/{root}`.
pub(crate) async fn get<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let (info, stored) = find(call, root).await?;
    let mut response = json(StatusCode::OK, &UploadState::new(info, stored));
    progress(response.headers_mut(), info);
    Ok(response)
}

/// `HEAD /v1/uploads/{root}`.
pub(crate) async fn head<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let (info, _) = find(call, root).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    progress(response.headers_mut(), info);
    Ok(response)
}

/// `PATCH /v1/uploads/{root}`: bytes from `Upload-Offset` on, as many as the client likes. The
/// last byte turns the upload into a blob. It lasts as long as the upload was begun for, or longer
/// if the request with that byte says so.
pub(crate) async fn patch<W: World>(
    call: &mut Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let offset = call
        .header("upload-offset")
        .and_then(decode_offset)
        .ok_or_else(|| {
            let detail = "PATCH needs an Upload-Offset header with the offset of its first byte";
            Problem::new(problem::BAD_REQUEST, detail)
        })?;
    let terms = PatchQuery::decode(call.query())?.terms;
    let Some(info) = call.shop.store.upload(root).await? else {
        return patch_unknown(call, root, offset, terms.unwrap_or_default()).await;
    };
    let UploadInfo { size, expiry, .. } = info;
    let terms = terms.unwrap_or(Terms { expiry });
    let mut upload = match call.shop.store.resume(root, size, terms).await? {
        Resumed::Stored(stored) => return Ok(stored_reply(stored)),
        Resumed::Upload(upload) => upload,
    };
    let ours = upload.offset();
    if ours != offset {
        upload.leave().await;
        let info = UploadInfo {
            offset: ours,
            ..info
        };
        return Ok(wrong_offset(offset, info));
    }
    match fill(call, &mut upload, size).await {
        Ok(()) if upload.offset() == size => Ok(stored_reply(upload.finish().await?)),
        filled => {
            let info = UploadInfo {
                offset: upload.durable(),
                ..info
            };
            upload.leave().await;
            filled?;
            let mut response = empty(StatusCode::NO_CONTENT);
            progress(response.headers_mut(), info);
            Ok(response)
        }
    }
}

/// Takes the body in. What does not complete the blob is durable after this, in whole chunks.
async fn fill<W: World>(
    call: &mut Call<'_, W>,
    upload: &mut Upload<W>,
    size: u64,
) -> Result<(), Problem> {
    pour(call, upload, upload.offset(), size).await?;
    if upload.offset() < size {
        upload.flush().await?;
    }
    Ok(())
}

/// No upload is known. Either it became a blob and its client never heard so; or the blob has at
/// most one chunk, of which the store keeps nothing until it has all: then all of it comes here.
async fn patch_unknown<W: World>(
    call: &mut Call<'_, W>,
    root: Root,
    offset: u64,
    terms: Terms,
) -> Result<Response<Reply<W>>, Problem> {
    if let Some(info) = call.shop.store.stat(root).await? {
        return Ok(stored_reply(info.existed()));
    }
    // Longer uploads only ever continue at whole chunks.
    if !offset.is_multiple_of(chunk_len()) {
        let detail = format!("no upload of {root} is under way that could go on at {offset}");
        return Err(Problem::new(problem::ONE_PIECE, detail));
    }
    let whole = |size: u64| (1..=chunk_len()).contains(&size);
    if offset != 0 || !call.intake.declared().is_none_or(whole) {
        return Err(no_upload(root));
    }
    let _permit = call.admit_body(chunk_len()).await?;
    let bytes = match call.intake.all(CHUNK_LEN).await {
        Err(problem) if problem.code == problem::LONG_BODY => return Err(no_upload(root)),
        all => all?,
    };
    let size = bytes.len();
    match put_checked(call, root, bytes, terms).await {
        Ok(stored) => Ok(stored_reply(stored)),
        Err(Error::RootMismatch { computed, .. }) => {
            let detail = format!(
                "no upload of {root} is under way, and these {size} bytes are not all of it: \
                 they have root {computed}; nothing was stored"
            );
            Err(Problem::new(problem::ONE_PIECE, detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /v1/uploads/{root}`.
pub(crate) async fn delete<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    match call.shop.store.abandon(root).await? {
        true => Ok(empty(StatusCode::NO_CONTENT)),
        false => Err(no_upload(root)),
    }
}

/// The upload, or the blob that it became; whether it is the blob.
async fn find<W: World>(call: &Call<'_, W>, root: Root) -> Result<(UploadInfo, bool), Problem> {
    if let Some(info) = call.shop.store.upload(root).await? {
        return Ok((info, false));
    }
    let blob = call.shop.store.stat(root).await?;
    let BlobInfo { root, size, expiry } = blob.ok_or_else(|| no_upload(root))?;
    let whole = UploadInfo {
        root,
        size,
        offset: size,
        expiry,
    };
    Ok((whole, true))
}

fn wrong_offset<W: World>(theirs: u64, info: UploadInfo) -> Response<Reply<W>> {
    let detail = format!("the upload is at {}, not at {theirs}", info.offset);
    let mut response = refusal(&Problem::new(problem::WRONG_OFFSET, detail));
    progress(response.headers_mut(), info);
    response
}

fn no_upload(root: Root) -> Problem {
    Problem::new(
        problem::NO_UPLOAD,
        format!("no upload of {root} is under way"),
    )
}

/// Headers of every answer about an upload. Never cached: they are true for a moment.
fn progress(headers: &mut HeaderMap, info: UploadInfo) {
    headers.insert(OFFSET, info.offset.into());
    headers.insert(LENGTH, info.size.into());
    tell_term(headers, info.expiry);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
