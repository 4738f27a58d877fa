//! Paths and queries of requests: any text gets an answer, and a route that is found is found
//! again by its own spelling.

use lode_edge::{
    path::{Route, decode_path},
    query::{FormatQuery, ListQuery, PatchQuery, ProofQuery, PutQuery},
};

use super::Target;

/// Reads the target of a request: path, `?`, query.
pub const TARGET: Target = Target {
    name: "http_path",
    run,
    seeds,
    repair: None,
    cost: 1,
};

/// See the file's head.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if let Ok(route) = decode_path(path) {
        let again = match route {
            Route::Blobs => "/v1/blobs".to_owned(),
            Route::Blob(root) => format!("/v1/blobs/{root}"),
            Route::Proof(root, chunk) => format!("/v1/blobs/{root}/proof/{chunk}"),
            Route::Anchor(root) => format!("/v1/blobs/{root}/anchor"),
            Route::Uploads => "/v1/uploads".to_owned(),
            Route::Upload(root) => format!("/v1/uploads/{root}"),
            Route::Other => path.to_owned(),
        };
        assert_eq!(decode_path(&again), Ok(route));
    }
    drop((PutQuery::decode(query), PatchQuery::decode(query)));
    drop((ListQuery::decode(query), ProofQuery::decode(query)));
    drop(FormatQuery::decode(query));
}

fn seeds() -> Vec<Vec<u8>> {
    let root = "0x71bfab3b00112233445566778899aabbccddeeff00112233445566778899aabb";
    let targets = [
        "/v1/blobs?after=&limit=10".to_owned(),
        format!("/v1/blobs/{root}?root={root}&size=1000&expiry=7"),
        format!("/v1/blobs/{root}/proof/12?format=json&data=true"),
        format!("/v1/uploads/{root}?expiry=7"),
        "/healthz".to_owned(),
    ];
    targets.map(String::into_bytes).to_vec()
}
