//! `/v1/uploads`: uploads of a declared root that outlive connections. The root is the key, so a
//! client needs to remember nothing, and any client may continue what another began.
//!
//! ```text
//!   POST /v1/uploads {root,size} ─► 201 Upload-Offset: 0      (200 and the blob: nothing to do)
//!   PATCH /v1/uploads/{root}  Upload-Offset: 0 ─► … connection lost …
//!   HEAD /v1/uploads/{root} ─► Upload-Offset: 1835008
//!   PATCH /v1/uploads/{root}  Upload-Offset: 1835008 ─► 201 and the blob
//! ```

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use lode_engine::{
    Error, Root,
    store::{Resumed, Terms, UploadInfo},
};
use lode_world::World;

use crate::{
    blobs::{chunk_len, pour, put_chunk, stored_reply, text, within_limit},
    handle::Call,
    headers::decode_offset,
    path::decode_root,
    problem::{self, Problem},
    query::PatchQuery,
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
    within_limit(call, wish.size)?;
    let terms = Terms {
        expiry: wish.expiry,
    };
    match call.shop.store.resume(root, wish.size, terms).await? {
        Resumed::Stored(stored) => Ok(stored_reply(stored, terms)),
        Resumed::Upload(upload) => {
            let state = state(root, wish.size, upload.offset(), false);
            let mut response = json(StatusCode::CREATED, &state);
            progress(response.headers_mut(), state.offset, state.size);
            text(
                response.headers_mut(),
                header::LOCATION,
                &format!("/v1/uploads/{root}"),
            );
            Ok(response)
        }
    }
}

/// `GET /v1/uploads/{root}`.
pub(crate) async fn get<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let state = find(call, root).await?;
    let mut response = json(StatusCode::OK, &state);
    progress(response.headers_mut(), state.offset, state.size);
    Ok(response)
}

/// `HEAD /v1/uploads/{root}`.
pub(crate) async fn head<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let state = find(call, root).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    progress(response.headers_mut(), state.offset, state.size);
    Ok(response)
}

/// `PATCH /v1/uploads/{root}`: bytes from `Upload-Offset` on, as many as the client likes. The
/// last byte turns the upload into a blob, which expires as the request with that byte says.
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
    let terms = Terms {
        expiry: PatchQuery::decode(call.query())?.expiry,
    };
    let Some(UploadInfo { size, .. }) = call.shop.store.upload(root).await? else {
        return patch_unknown(call, root, offset, terms).await;
    };
    let upload = match call.shop.store.resume(root, size, terms).await? {
        Resumed::Stored(stored) => return Ok(stored_reply(stored, terms)),
        Resumed::Upload(upload) => upload,
    };
    if upload.offset() != offset {
        return Ok(wrong_offset(offset, upload.offset(), size));
    }
    let _permit = call.admit_body(size - offset).await?;
    let mut upload = pour(call, upload, offset, size).await?;
    if upload.offset() == size {
        return Ok(stored_reply(upload.finish().await?, terms));
    }
    upload.flush().await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    progress(response.headers_mut(), upload.durable(), size);
    Ok(response)
}

/// No upload is known. Either it became a blob and its client never heard so; or the blob has one
/// chunk, of which the store keeps nothing until it has all: then all of it comes in this PATCH.
async fn patch_unknown<W: World>(
    call: &mut Call<'_, W>,
    root: Root,
    offset: u64,
    terms: Terms,
) -> Result<Response<Reply<W>>, Problem> {
    if let Some(info) = call.shop.store.stat(root).await? {
        return Ok(stored_reply(
            info.existed(),
            Terms {
                expiry: info.expiry,
            },
        ));
    }
    match call.intake.declared() {
        Some(size) if offset == 0 && (1..=chunk_len()).contains(&size) => Ok(stored_reply(
            put_chunk(call, Some(root), size, terms).await?,
            terms,
        )),
        _ => Err(no_upload(root)),
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

/// The upload, or the blob that it became.
async fn find<W: World>(call: &Call<'_, W>, root: Root) -> Result<UploadState, Problem> {
    if let Some(info) = call.shop.store.upload(root).await? {
        return Ok(state(root, info.size, info.offset, false));
    }
    match call.shop.store.stat(root).await? {
        Some(blob) => Ok(state(root, blob.size, blob.size, true)),
        None => Err(no_upload(root)),
    }
}

fn wrong_offset<W: World>(theirs: u64, ours: u64, size: u64) -> Response<Reply<W>> {
    let detail = format!("the upload is at {ours}, not at {theirs}");
    let mut response = refusal(&Problem::new(problem::WRONG_OFFSET, detail));
    progress(response.headers_mut(), ours, size);
    response
}

fn no_upload(root: Root) -> Problem {
    Problem::new(
        problem::NO_UPLOAD,
        format!("no upload of {root} is under way"),
    )
}

fn state(root: Root, size: u64, offset: u64, stored: bool) -> UploadState {
    UploadState {
        root: root.to_string(),
        size,
        offset,
        stored,
    }
}

/// Headers of every answer about an upload. Never cached: they are true for a moment.
fn progress(headers: &mut HeaderMap, offset: u64, size: u64) {
    headers.insert(OFFSET, offset.into());
    headers.insert(LENGTH, size.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
