//! `/v1/blobs/{root}/proof/{chunk}`: evidence that a client can check without us.

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use lode_engine::{Root, store::BlobInfo};
use lode_proofs::{ChunkProof, ProofFile, chunks};
use lode_world::World;

use crate::{
    blobs::find,
    credit::Permit,
    handle::Call,
    headers::accepts_json,
    problem::{self, Problem},
    query::ProofQuery,
    reply::{Reply, json, whole},
};

/// Answers with a proof file, with the chunk's bytes if asked, or the proof in JSON.
pub(crate) async fn get<W: World>(
    call: &Call<'_, W>,
    root: Root,
    chunk: u64,
) -> Result<Response<Reply<W>>, Problem> {
    let query = ProofQuery::decode(call.query())?;
    let by_header = || call.header(header::ACCEPT).is_some_and(accepts_json);
    let as_json = query.json.unwrap_or_else(by_header);
    if as_json && query.data {
        let detail = "data=true goes with format=binary: JSON carries the proof alone";
        return Err(Problem::new(problem::BAD_REQUEST, detail));
    }
    let info = find(call, root).await?;
    if chunk >= chunks(info.size) {
        let detail = format!(
            "the blob has {} chunks, there is no chunk {chunk}",
            chunks(info.size)
        );
        return Err(Problem::new(problem::NO_CHUNK, detail));
    }
    let proof = call.shop.store.prove(root, chunk).await?;
    let proof = proof.ok_or_else(|| Problem::new(problem::NO_BLOB, "the blob was just deleted"))?;
    if as_json {
        return Ok(json(StatusCode::OK, &proof));
    }
    let data = if query.data {
        let (data, permit) = chunk_bytes(call, info, &proof).await?;
        // The file holds the bytes for as long as the client takes to read it.
        permit.guest().clone().hold_until_flushed(permit);
        Some(data)
    } else {
        None
    };
    let file = ProofFile::new(proof, data.as_deref())
        .map_err(|refusal| Problem::new(problem::CORRUPT, refusal.to_string()))?;
    let mut response = whole(StatusCode::OK, Some(file.encode().into()));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

async fn chunk_bytes<W: World>(
    call: &Call<'_, W>,
    info: BlobInfo,
    proof: &ChunkProof,
) -> Result<(Vec<u8>, Permit), Problem> {
    let len = u64::try_from(proof.blob().shape.chunk_len(proof.index())).unwrap_or(u64::MAX);
    let start = proof.index() * u64::try_from(lode_proofs::CHUNK_LEN).unwrap_or(u64::MAX);
    let permit = call.reply_credit(2 * len).await?;
    let reader = call.shop.store.read(info.root, start..start + len).await?;
    let mut reader =
        reader.ok_or_else(|| Problem::new(problem::NO_BLOB, "the blob was just deleted"))?;
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece?.into_bytes());
    }
    Ok((bytes, permit))
}
