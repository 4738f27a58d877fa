//! The description of the face, for whoever has one of a whole node to put it into. A test holds it against
//! what is served.

use utoipa::{OpenApi, openapi};

use super::json;

/// The description.
#[must_use]
pub fn document() -> openapi::OpenApi {
    Api::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lode: data availability",
        description = "Blobs in and out of data availability, with all that proves them. Every error \
            is an application/problem+json with a stable code.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(take, status, bytes, info, proof, certificate, sample, namespace),
    components(schemas(json::Request, json::Blob)),
    tags((name = "da", description = "Data availability"))
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
    /// Takes a blob in.
    #[path(post, path = "/v1/da/blobs", tag = "da",
        params(
            ("namespace" = Option<String>, Query, description = "Whose it is: 58 hex digits, zeros if not given"),
            ("wait" = Option<String>, Query, description = "certified, settled or final: answer when it is"),
            ("seconds" = Option<u64>, Query, description = "How long at most, 60 if not given, and at most 60")),
        request_body(content = Vec<u8>, content_type = "application/octet-stream"),
        responses(
            (status = 201, description = "The milestone is reached", body = json::Request),
            (status = 202, description = "Taken in", body = json::Request),
            (status = 400, description = "Empty, or a bad query"),
            (status = 413, description = "Longer than a container"),
            (status = 429, description = "Too much is queued: come again"),
            (status = 503, description = "Nothing is taken in: post elsewhere")))]
    take;
    /// How far a request is.
    #[path(get, path = "/v1/da/requests/{id}", tag = "da",
        params(
            ("id" = String, Path, description = "As the answer to the post names it"),
            ("wait" = Option<String>, Query, description = "certified, settled or final: answer when it is"),
            ("seconds" = Option<u64>, Query, description = "How long at most")),
        responses(
            (status = 200, body = json::Request),
            (status = 404, description = "No such request, or one of long ago")))]
    status;
    /// The bytes of a blob.
    #[path(get, path = "/v1/da/blobs/{handle}", tag = "da",
        params(
            ("handle" = String, Path, description = "ID-OFFSET-LENGTH or ROOT@EPOCH.QUORUM"),
            ("Range" = Option<String>, Header, description = "One range of bytes")),
        responses(
            (status = 200, description = "The bytes", content_type = "application/octet-stream", body = Vec<u8>),
            (status = 206, description = "Those of the range", content_type = "application/octet-stream", body = Vec<u8>),
            (status = 404, description = "Nobody has it, or not any more"),
            (status = 416, description = "It has no such range"),
            (status = 418, description = "The container has no such blob, nor will have"),
            (status = 500, description = "It cannot be reached now")))]
    bytes;
    /// Where a blob is, and what proves it.
    #[path(get, path = "/v1/da/blobs/{handle}/info", tag = "da",
        params(("handle" = String, Path, description = "ID-OFFSET-LENGTH or ROOT@EPOCH.QUORUM")),
        responses(
            (status = 200, body = json::Blob),
            (status = 404, description = "Nobody has it, or not any more")))]
    info;
    /// A range of a blob under its root.
    #[path(get, path = "/v1/da/blobs/{handle}/proof", tag = "da",
        params(
            ("handle" = String, Path, description = "ID-OFFSET-LENGTH or ROOT@EPOCH.QUORUM"),
            ("start" = u64, Query, description = "The first byte"),
            ("end" = u64, Query, description = "The one behind the last")),
        responses(
            (status = 200, description = "The proof", content_type = "application/octet-stream", body = Vec<u8>),
            (status = 416, description = "The blob has no such range")))]
    proof;
    /// A container's certificate.
    #[path(get, path = "/v1/da/containers/{id}/certificate", tag = "da",
        params(("id" = String, Path, description = "The container")),
        responses(
            (status = 200, description = "The certificate", content_type = "application/octet-stream", body = Vec<u8>),
            (status = 404, description = "Nobody has it, or not any more")))]
    certificate;
    /// A row, its checksums, and their paths.
    #[path(get, path = "/v1/da/containers/{id}/rows/{row}", tag = "da",
        params(
            ("id" = String, Path, description = "The container"),
            ("row" = u16, Path, description = "0 to 3071")),
        responses(
            (status = 200, description = "The sample", content_type = "application/octet-stream", body = Vec<u8>),
            (status = 404, description = "Nobody has it, or not any more"),
            (status = 418, description = "No container has such a row")))]
    sample;
    /// All blobs of a namespace in a container, and that these are all.
    #[path(get, path = "/v1/da/containers/{id}/namespaces/{namespace}", tag = "da",
        params(
            ("id" = String, Path, description = "The container"),
            ("namespace" = String, Path, description = "58 hex digits")),
        responses(
            (status = 200, description = "The proof", content_type = "application/octet-stream", body = Vec<u8>),
            (status = 404, description = "Nobody has it, or not any more")))]
    namespace;
}
