//! `/v1/blobs`: bytes in, bytes out, what there is.

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use lode_engine::{
    Error, Root,
    store::{BlobInfo, Resumed, Stored, Terms, Upload},
};
use lode_proofs::{CHUNK_LEN, blob_tree};
use lode_world::World;

use crate::{
    handle::Call,
    headers,
    problem::{self, Problem},
    query::{ListQuery, PutQuery},
    range::{Unsatisfiable, parse_range},
    reply::{Reply, Sending, Source, Stopped, empty, first_cost, json},
    schema::{Blob, Page},
};

/// Bytes never change under a root, so every cache may keep them for ever.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `PUT` and `POST /v1/blobs`.
pub(crate) async fn put<W: World>(call: &mut Call<'_, W>) -> Result<Response<Reply<W>>, Problem> {
    let query = PutQuery::decode(call.query())?;
    let size = declared_size(call, query)?;
    let terms = query.terms;
    let stored = match (query.root, size) {
        (root, Some(size)) if size <= chunk_len() => put_chunk(call, root, size, terms).await?,
        (Some(root), Some(size)) => put_declared(call, root, size, terms).await?,
        (Some(_), None) => {
            let detail = "a declared root needs a size: send Content-Length or ?size=";
            return Err(Problem::new(problem::BAD_REQUEST, detail));
        }
        (None, _) => put_stream(call, size, terms).await?,
    };
    Ok(stored_reply(stored))
}

/// The size that header and query agree on.
fn declared_size<W: World>(call: &Call<'_, W>, query: PutQuery) -> Result<Option<u64>, Problem> {
    let length = call.intake.declared();
    if let (Some(want), Some(got)) = (query.size, length)
        && want != got
    {
        return Err(Error::SizeMismatch { want, got }.into());
    }
    let size = query.size.or(length);
    match size {
        Some(0) => Err(Error::Empty.into()),
        Some(size) => within_limit(call, size).map(|()| Some(size)),
        None => Ok(None),
    }
}

/// Refuses blobs beyond the limit.
pub(crate) fn within_limit<W: World>(call: &Call<'_, W>, size: u64) -> Result<(), Problem> {
    let limit = call.shop.limits.blob_len;
    if size > limit {
        let detail = format!("the blob has at least {size} bytes, the limit is {limit}");
        return Err(Problem::new(problem::LONG_BODY, detail));
    }
    Ok(())
}

/// A blob of one chunk: one record, the store's short way.
async fn put_chunk<W: World>(
    call: &mut Call<'_, W>,
    root: Option<Root>,
    want: u64,
    terms: Terms,
) -> Result<Stored, Problem> {
    let _permit = call.admit_body(want).await?;
    let bytes = call.intake.all(CHUNK_LEN).await?;
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if got != want {
        return Err(Error::SizeMismatch { want, got }.into());
    }
    match root {
        Some(root) => Ok(put_checked(call, root, bytes, terms).await?),
        None => Ok(call.shop.store.put(bytes, terms).await?),
    }
}

/// All bytes of a blob of at most a chunk, under the root that they must have.
pub(crate) async fn put_checked<W: World>(
    call: &Call<'_, W>,
    declared: Root,
    bytes: Bytes,
    terms: Terms,
) -> Result<Stored, Error> {
    let tree = blob_tree(&bytes).map_err(|_| Error::Empty)?;
    let computed = tree.root();
    if computed != declared {
        return Err(Error::RootMismatch { declared, computed });
    }
    call.shop.store.put_as(computed, bytes, terms).await
}

/// A blob of a declared root: an upload from its beginning. What an earlier connection left is
/// not written again; what this one leaves can be resumed.
async fn put_declared<W: World>(
    call: &mut Call<'_, W>,
    root: Root,
    size: u64,
    terms: Terms,
) -> Result<Stored, Problem> {
    match call.shop.store.resume(root, size, terms).await? {
        Resumed::Stored(stored) => Ok(stored),
        Resumed::Upload(mut upload) => match pour(call, &mut upload, 0, size).await {
            Ok(()) if upload.offset() == size => Ok(upload.finish().await?),
            poured => {
                let got = upload.offset();
                upload.leave().await;
                poured?;
                Err(Error::SizeMismatch { want: size, got }.into())
            }
        },
    }
}

/// Writes the body, which begins at `at` of the blob, into an upload. Bytes that the upload has
/// are skipped; more than `size` in all are refused.
pub(crate) async fn pour<W: World>(
    call: &mut Call<'_, W>,
    upload: &mut Upload<W>,
    mut at: u64,
    size: u64,
) -> Result<(), Problem> {
    let _permit = call.admit_body(size - at).await?;
    loop {
        let bytes = match call.intake.next().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            Err(error) => {
                // What came is worth keeping: the client will continue there.
                upload.flush().await?;
                return Err(error.into());
            }
        };
        let end = at + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if end > size {
            return Err(Error::SizeMismatch {
                want: size,
                got: end,
            }
            .into());
        }
        let skip = usize::try_from(upload.offset().saturating_sub(at)).unwrap_or(usize::MAX);
        upload.write(&bytes[skip.min(bytes.len())..]).await?;
        at = end;
    }
}

/// A blob of unknown root: nothing is kept unless all of it comes.
async fn put_stream<W: World>(
    call: &mut Call<'_, W>,
    want: Option<u64>,
    terms: Terms,
) -> Result<Stored, Problem> {
    let _permit = call.admit_body(want.unwrap_or(u64::MAX)).await?;
    let mut upload = call.shop.store.begin(terms).await?;
    let mut got = 0;
    while let Some(bytes) = call.intake.next().await? {
        got += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        within_limit(call, got)?;
        upload.write(&bytes).await?;
    }
    match want {
        Some(want) if want != got => Err(Error::SizeMismatch { want, got }.into()),
        _ => Ok(upload.finish().await?),
    }
}

/// The answer to every request that leaves a blob durable: 201, or 200 if it was there.
pub(crate) fn stored_reply<W: World>(stored: Stored) -> Response<Reply<W>> {
    let status = if stored.existed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let mut response = json(status, &Blob::stored(stored));
    let headers = response.headers_mut();
    tell_term(headers, stored.expiry);
    text(
        headers,
        header::LOCATION,
        &format!("/v1/blobs/{}", stored.root),
    );
    text(headers, header::ETAG, &headers::etag(stored.root));
    response
}

/// `GET /v1/blobs/{root}`, whole or a range.
pub(crate) async fn get<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let info = find(call, root).await?;
    if let Some(reply) = not_modified(call, info) {
        return Ok(reply);
    }
    let part = match wanted_range(call, info) {
        Ok(part) => part,
        Err(Unsatisfiable) => return Ok(unsatisfiable(call, info)),
    };
    let status = if part.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let range = part.clone().unwrap_or(0..info.size);
    let permit = call.reply_credit(first_cost(&range)).await?;
    let (store, credit) = (call.shop.store.clone(), call.shop.replies.clone());
    let mut source = Source::new(store, credit, root, range, permit);
    // The first piece is read before the head is sent: damage found there is still an error.
    let first = source.one_piece().await.map_err(stopped)?;
    let sending = Sending::new(first, source);
    let mut response = Response::new(Reply::Blob(sending));
    *response.status_mut() = status;
    describe(response.headers_mut(), info);
    if let Some(part) = part {
        let value = format!("bytes {}-{}/{}", part.start, part.end - 1, info.size);
        text(response.headers_mut(), header::CONTENT_RANGE, &value);
    }
    Ok(response)
}

fn stopped(stopped: Stopped) -> Problem {
    match stopped {
        Stopped::Store(error) => error.into(),
        Stopped::Deleted => Problem::new(problem::NO_BLOB, stopped.to_string()),
    }
}

/// The range that `Range` and `If-Range` together ask for.
fn wanted_range<W: World>(
    call: &Call<'_, W>,
    info: BlobInfo,
) -> Result<Option<core::ops::Range<u64>>, Unsatisfiable> {
    let Some(range) = call.header(header::RANGE) else {
        return Ok(None);
    };
    let tag = headers::etag(info.root);
    match call.header(header::IF_RANGE) {
        Some(condition) if !headers::if_range(condition, &tag) => Ok(None),
        _ => parse_range(range, info.size),
    }
}

fn unsatisfiable<W: World>(call: &Call<'_, W>, info: BlobInfo) -> Response<Reply<W>> {
    let asked = call.header(header::RANGE).unwrap_or_default();
    let detail = format!("{asked:?} is outside the blob's {} bytes", info.size);
    let mut response = crate::reply::refusal(&Problem::new(problem::OUT_OF_RANGE, detail));
    let value = format!("bytes */{}", info.size);
    text(response.headers_mut(), header::CONTENT_RANGE, &value);
    response
}

/// `HEAD /v1/blobs/{root}`.
pub(crate) async fn head<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    let info = find(call, root).await?;
    if let Some(reply) = not_modified(call, info) {
        return Ok(reply);
    }
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), info);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, info.size.into());
    Ok(response)
}

/// `DELETE /v1/blobs/{root}`.
pub(crate) async fn delete<W: World>(
    call: &Call<'_, W>,
    root: Root,
) -> Result<Response<Reply<W>>, Problem> {
    match call.shop.store.delete(root).await? {
        true => Ok(empty(StatusCode::NO_CONTENT)),
        false => Err(no_blob(root)),
    }
}

/// `GET /v1/blobs`: one page of all blobs, in root order.
pub(crate) async fn list<W: World>(call: &Call<'_, W>) -> Result<Response<Reply<W>>, Problem> {
    let query = ListQuery::decode(call.query())?;
    let found = call.shop.store.list(query.after, query.limit).await?;
    let next = (found.len() == query.limit).then(|| found.last()).flatten();
    let page = Page {
        next: next.map(|info| info.root.to_string()),
        blobs: found.iter().copied().map(Blob::found).collect(),
    };
    Ok(json(StatusCode::OK, &page))
}

/// The blob, or 404.
pub(crate) async fn find<W: World>(call: &Call<'_, W>, root: Root) -> Result<BlobInfo, Problem> {
    call.shop
        .store
        .stat(root)
        .await?
        .ok_or_else(|| no_blob(root))
}

fn no_blob(root: Root) -> Problem {
    Problem::new(problem::NO_BLOB, format!("this node has no blob {root}"))
}

fn not_modified<W: World>(call: &Call<'_, W>, info: BlobInfo) -> Option<Response<Reply<W>>> {
    let condition = call.header(header::IF_NONE_MATCH)?;
    let matches = headers::none_match(condition, &headers::etag(info.root));
    matches.then(|| {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        describe(response.headers_mut(), info);
        response
    })
}

/// Headers of every answer about a blob's bytes.
fn describe(headers: &mut HeaderMap, info: BlobInfo) {
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, CACHE);
    // Foreign bytes must not be run as a page of ours by a browser that guesses.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    text(headers, header::ETAG, &headers::etag(info.root));
    tell_term(headers, info.expiry);
}

/// Until when what the answer is about stays.
pub(crate) fn tell_term(headers: &mut HeaderMap, expiry: Option<u32>) {
    if let Some(expiry) = expiry {
        headers.insert(headers::EXPIRY, expiry.into());
    }
}

/// Sets a header to text of ours, which is always valid.
pub(crate) fn text(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Bytes of a chunk: blobs up to here are one record.
pub(crate) fn chunk_len() -> u64 {
    u64::try_from(CHUNK_LEN).unwrap_or(u64::MAX)
}
