//! The API's description, generated from the types that the handlers use.
//!
//! The shards' routes have no axum handlers, so each route is described by a function of its own
//! here; a test holds the description against the tables of what is served.

use utoipa::OpenApi;

use crate::{
    problem::ProblemBody as Problem,
    schema::{
        AnchorState, AnchorStep, Blob, Check, EpochState, Page, ProofJson, Ready, Scrubbed,
        UploadState, UploadWish,
    },
};

/// The description as JSON.
pub fn json() -> String {
    Api::openapi().to_json().unwrap_or_default()
}

/// The whole description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lode",
        description = "A store for immutable blobs, named by the root of their sector tree. \
            Every error is an application/problem+json with a stable code. Requests that say \
            so are answered only to the node's own machine, and not through a proxy on it: \
            a proxy that hides what it is must not pass them on.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        list_blobs, post_blob, put_blob, get_blob, head_blob, delete_blob, get_proof,
        get_anchor, begin_upload, get_upload, head_upload, patch_upload, delete_upload,
        healthz, readyz, metrics, openapi, stat, scrub, get_epoch, put_epoch
    ),
    components(schemas(
        AnchorState, AnchorStep, Blob, Check, EpochState, Page, Problem, ProofJson, Ready, Scrubbed,
        UploadState, UploadWish
    )),
    tags(
        (name = "blobs", description = "Bytes in and out, served by the shards"),
        (name = "uploads", description = "Uploads that survive lost connections and restarts"),
        (name = "node", description = "Health, figures, operation")
    )
)]
struct Api;

/// Declares one described route per entry; the functions exist only for their attributes.
macro_rules! described {
    ($($(#[doc = $doc:literal])+ #[path($($attribute:tt)+)] $name:ident;)+) => {
        $(
            $(#[doc = $doc])+
            #[expect(dead_code, reason = "carries the description of a route served elsewhere")]
            #[utoipa::path($($attribute)+)]
            fn $name() {}
        )+
    };
}

described! {
    /// One page of all blobs, in root order.
    #[path(get, path = "/v1/blobs", tag = "blobs",
        params(
            ("after" = Option<String>, Query, description = "Only roots after this one"),
            ("limit" = Option<u32>, Query, description = "Blobs on the page, 1 to 1000, 100 if not given")),
        responses((status = 200, body = Page), (status = 400, body = Problem)))]
    list_blobs;
    /// Stores the body as a blob; answers when every byte is durable.
    #[path(post, path = "/v1/blobs", tag = "blobs",
        params(
            ("root" = Option<String>, Query, description = "The root that the bytes must have"),
            ("size" = Option<u64>, Query, description = "The size that the body must have"),
            ("expiry" = Option<String>, Query, description = "First epoch in which the blob may be gone, from 1, or none")),
        request_body(content = Vec<u8>, content_type = "application/octet-stream"),
        responses(
            (status = 201, description = "Stored", body = Blob),
            (status = 200, description = "Was there already", body = Blob),
            (status = 400, body = Problem), (status = 408, body = Problem),
            (status = 413, body = Problem), (status = 422, body = Problem),
            (status = 503, body = Problem), (status = 507, body = Problem)))]
    post_blob;
    /// The same as POST.
    #[path(put, path = "/v1/blobs", tag = "blobs",
        params(
            ("root" = Option<String>, Query, description = "The root that the bytes must have"),
            ("size" = Option<u64>, Query, description = "The size that the body must have"),
            ("expiry" = Option<String>, Query, description = "First epoch in which the blob may be gone, from 1, or none")),
        request_body(content = Vec<u8>, content_type = "application/octet-stream"),
        responses(
            (status = 201, description = "Stored", body = Blob),
            (status = 200, description = "Was there already", body = Blob),
            (status = 400, body = Problem), (status = 408, body = Problem),
            (status = 413, body = Problem), (status = 422, body = Problem),
            (status = 503, body = Problem), (status = 507, body = Problem)))]
    put_blob;
    /// Bytes of a blob: all, or one range. Several ranges in one request are answered with all bytes.
    #[path(get, path = "/v1/blobs/{root}", tag = "blobs",
        params(
            ("root" = String, Path, description = "64 hexadecimal digits, 0x optional"),
            ("Range" = Option<String>, Header, description = "bytes=A-B, bytes=A- or bytes=-N"),
            ("If-Range" = Option<String>, Header, description = "Send the range only if this is the ETag"),
            ("If-None-Match" = Option<String>, Header, description = "Send nothing if this is the ETag")),
        responses(
            (status = 200, description = "All bytes", body = Vec<u8>, content_type = "application/octet-stream"),
            (status = 206, description = "The range", body = Vec<u8>, content_type = "application/octet-stream"),
            (status = 304, description = "The client has it"),
            (status = 404, body = Problem), (status = 416, body = Problem),
            (status = 500, description = "Damaged; never served", body = Problem),
            (status = 503, body = Problem)))]
    get_blob;
    /// Size, ETag and expiry (Lode-Expiry, if it has one) of a blob.
    #[path(head, path = "/v1/blobs/{root}", tag = "blobs",
        params(("root" = String, Path, description = "64 hexadecimal digits, 0x optional")),
        responses((status = 200, description = "In the headers"), (status = 404, description = "No such blob")))]
    head_blob;
    /// Deletes a blob durably.
    #[path(delete, path = "/v1/blobs/{root}", tag = "blobs",
        params(("root" = String, Path, description = "64 hexadecimal digits, 0x optional")),
        responses((status = 204, description = "Deleted"), (status = 404, body = Problem)))]
    delete_blob;
    /// Evidence that a chunk is part of a blob, to be checked without the node.
    #[path(get, path = "/v1/blobs/{root}/proof/{chunk}", tag = "blobs",
        params(
            ("root" = String, Path, description = "64 hexadecimal digits, 0x optional"),
            ("chunk" = u64, Path, description = "Which chunk of 262144 bytes, from 0"),
            ("format" = Option<String>, Query, description = "binary or json; else as Accept says"),
            ("data" = Option<bool>, Query, description = "Carry the chunk's bytes too (binary only)")),
        responses(
            (status = 200, description = "The proof", content(
                (ProofJson = "application/json"), (Vec<u8> = "application/octet-stream"))),
            (status = 400, body = Problem), (status = 404, body = Problem)))]
    get_proof;
    /// How far the settlement of a blob is: pending, sent, anchored, final. Or the evidence that it is
    /// settled, to be checked with nothing but the chain's genesis file: `lode verify` tells how.
    #[path(get, path = "/v1/blobs/{root}/anchor", tag = "blobs",
        params(
            ("root" = String, Path, description = "64 hexadecimal digits, 0x optional"),
            ("format" = Option<String>, Query, description = "json, or binary for the evidence; json if not given")),
        responses(
            (status = 200, description = "How far it is, or the evidence", content(
                (AnchorState = "application/json"), (Vec<u8> = "application/octet-stream"))),
            (status = 400, body = Problem),
            (status = 404, description = "No such blob, or a node without a chain (LODE0023)", body = Problem),
            (status = 503, description = "Not final yet (LODE0035), or no answer", body = Problem)))]
    get_anchor;
    /// Begins, or finds, the upload of a declared root. Of a blob of at most one chunk (262144 bytes)
    /// nothing is kept until all of it is there: it is sent in one PATCH, and is not resumed.
    #[path(post, path = "/v1/uploads", tag = "uploads", request_body = UploadWish,
        responses(
            (status = 201, description = "Send bytes from Upload-Offset on; Lode-Expiry is the upload's own", body = UploadState),
            (status = 200, description = "Nothing to do: the blob is stored", body = Blob),
            (status = 400, body = Problem), (status = 409, body = Problem),
            (status = 413, body = Problem), (status = 507, body = Problem)))]
    begin_upload;
    /// How far an upload is, and until when it is kept.
    #[path(get, path = "/v1/uploads/{root}", tag = "uploads",
        params(("root" = String, Path, description = "64 hexadecimal digits, 0x optional")),
        responses((status = 200, body = UploadState), (status = 404, body = Problem)))]
    get_upload;
    /// How far an upload is, and until when it is kept, in headers only.
    #[path(head, path = "/v1/uploads/{root}", tag = "uploads",
        params(("root" = String, Path, description = "64 hexadecimal digits, 0x optional")),
        responses((status = 204, description = "In Upload-Offset, Upload-Length and Lode-Expiry"),
            (status = 404, description = "No such upload")))]
    head_upload;
    /// Sends bytes from Upload-Offset on; the last byte turns the upload into a blob. A blob of at
    /// most one chunk (262144 bytes) is sent in one piece, from offset 0.
    #[path(patch, path = "/v1/uploads/{root}", tag = "uploads",
        params(
            ("root" = String, Path, description = "64 hexadecimal digits, 0x optional"),
            ("Upload-Offset" = u64, Header, description = "Where the body's first byte belongs"),
            ("expiry" = Option<String>, Query, description = "First epoch in which the blob may be gone, from 1, or none: the last piece decides, and never for less than the upload was begun with; as it was begun, if not given")),
        request_body(content = Vec<u8>, content_type = "application/octet-stream"),
        responses(
            (status = 204, description = "Durable up to Upload-Offset"),
            (status = 201, description = "Complete and durable", body = Blob),
            (status = 200, description = "Was complete already", body = Blob),
            (status = 404, body = Problem), (status = 408, body = Problem),
            (status = 409, description = "Another offset, in Upload-Offset, or another client", body = Problem),
            (status = 422, description = "Other bytes than declared, or not all of a blob of at most one chunk (LODE0021)", body = Problem),
            (status = 507, body = Problem)))]
    patch_upload;
    /// Forgets an upload.
    #[path(delete, path = "/v1/uploads/{root}", tag = "uploads",
        params(("root" = String, Path, description = "64 hexadecimal digits, 0x optional")),
        responses((status = 204, description = "Forgotten"), (status = 404, body = Problem)))]
    delete_upload;
    /// The process runs.
    #[path(get, path = "/healthz", tag = "node", responses((status = 200, body = String)))]
    healthz;
    /// The node can serve: named checks.
    #[path(get, path = "/readyz", tag = "node",
        responses((status = 200, body = Ready), (status = 503, body = Ready)))]
    readyz;
    /// Figures for Prometheus.
    #[path(get, path = "/metrics", tag = "node", responses((status = 200, body = String)))]
    metrics;
    /// This description.
    #[path(get, path = "/openapi.json", tag = "node", responses((status = 200, body = String)))]
    openapi;
    /// The store's figures as one JSON object, and among them `storage_rpc_port`, where the node
    /// serves 0G's storage RPC.
    #[path(get, path = "/v1/stat", tag = "node",
        responses((status = 200, body = std::collections::BTreeMap<String, u64>),
            (status = 503, body = Problem)))]
    stat;
    /// Reads and checks everything once; answers when done. Only from the node's own machine.
    #[path(post, path = "/v1/scrub", tag = "node",
        params(("rate" = Option<u64>, Query, description = "Bytes per second and shard; 0: no limit")),
        responses((status = 200, body = Scrubbed), (status = 403, body = Problem),
            (status = 503, body = Problem)))]
    scrub;
    /// Which epoch the store is at.
    #[path(get, path = "/v1/epoch", tag = "node",
        responses((status = 200, body = EpochState), (status = 503, body = Problem)))]
    get_epoch;
    /// Tells the store which epoch it is; answers when what has expired by it is gone, which cannot
    /// be taken back. The same epoch again changes nothing. Only from the node's own machine.
    #[path(put, path = "/v1/epoch", tag = "node", request_body = EpochState,
        responses(
            (status = 200, body = EpochState), (status = 400, body = Problem),
            (status = 403, body = Problem),
            (status = 409, description = "The store is at a later epoch already", body = Problem),
            (status = 500, body = Problem), (status = 503, body = Problem)))]
    put_epoch;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DESK_ROUTES, SHARD_ROUTES};

    /// The description has every served route and method, and nothing that is not served.
    #[test]
    fn complete() {
        let api: serde_json::Value = serde_json::from_str(&json()).unwrap();
        let mut described = Vec::new();
        for (path, methods) in api["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.push(format!("{} {path}", method.to_uppercase()));
            }
        }
        let mut served = Vec::new();
        for (path, methods) in SHARD_ROUTES.iter().chain(DESK_ROUTES) {
            served.extend(methods.iter().map(|method| format!("{method} {path}")));
        }
        described.sort();
        served.sort();
        assert_eq!(described, served);
    }
}
