//! Our own REST: HTTP's statuses, and [`Problem`] for failures.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use lode_proofs::Hash32;
use lode_wire::{NetworkIdentity, Slice};
use serde::{Deserialize, Serialize};

use super::{
    Gateway,
    content::{self, Opened},
    meters,
    problem::{self, Problem},
};
use crate::{
    failure::Failure,
    folder_view::{View, view},
};

type Answer = Result<Response, Problem>;
type Named = Result<Path<String>, PathRejection>;

/// What may be said of a download.
#[derive(Debug, Deserialize)]
pub struct Options {
    /// The name under which the client keeps it.
    name: Option<String>,
}

/// A blob, and who holds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    root: Hash32,
    size: u64,
    seq: u64,
    start_sector: u64,
    chunks: u64,
    finalized: bool,
    pruned: bool,
    /// Every slice of the flow has a holder.
    covered: bool,
    holders: Vec<Holder>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    url: String,
    slice: Slice,
    trusted: bool,
}

/// A node that is known.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    url: String,
    trusted: bool,
    answers: bool,
    since: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Last {
    slice: Slice,
    latency_ms: i64,
    block: u64,
    next_seq: u64,
    network: NetworkIdentity,
}

/// `GET /v1/files/{cid}[?name=]`
pub async fn file(
    State(gateway): State<Arc<Gateway>>,
    cid: Named,
    options: Result<Query<Options>, QueryRejection>,
    request: Parts,
) -> Answer {
    let Query(options) = options.map_err(bad_request)?;
    let mut opened = Opened::blob(&gateway, named(cid)?.parse()?).await?;
    opened.name = options.name.filter(|name| !name.is_empty());
    send(&gateway, opened, &request).await
}

/// `GET /v1/files/{cid}/info`
pub async fn info(State(gateway): State<Arc<Gateway>>, cid: Named) -> Answer {
    let survey = gateway.locator.survey(named(cid)?.parse()?).await?;
    let overall = survey.overall();
    let holder = |node: &crate::directory::Live| Holder {
        url: node.client.url().to_owned(),
        slice: node.report.slice,
        trusted: node.trusted,
    };
    let info = Info {
        root: survey.blob.root,
        size: survey.tx.size,
        seq: survey.tx.seq,
        start_sector: survey.tx.start_entry_index,
        chunks: survey.blob.shape.chunks(),
        finalized: overall.finalized,
        pruned: overall.pruned,
        covered: survey.is_covered(),
        holders: survey.holders.iter().map(holder).collect(),
    };
    Ok(Json(info).into_response())
}

/// `GET /v1/folders/{cid}/`
pub async fn folder(State(gateway): State<Arc<Gateway>>, cid: Named, request: Parts) -> Answer {
    place(&gateway, &named(cid)?, "", &request).await
}

/// `GET /v1/folders/{cid}/{path…}`
pub async fn in_folder(
    State(gateway): State<Arc<Gateway>>,
    place_of: Result<Path<(String, String)>, PathRejection>,
    request: Parts,
) -> Answer {
    let Path((cid, path)) = place_of.map_err(bad_request)?;
    place(&gateway, &cid, &path, &request).await
}

async fn place(gateway: &Gateway, cid: &str, path: &str, request: &Parts) -> Answer {
    let folder = content::folder(gateway, cid.parse()?).await?;
    match view(&folder, path)? {
        View::Directory(entries) => Ok(Json(entries).into_response()),
        View::Link(link) => Ok(Json(link).into_response()),
        View::File { name, roots } => {
            drop(folder);
            let opened = Opened::file(gateway, name, &roots).await?;
            send(gateway, opened, request).await
        }
    }
}

async fn send(gateway: &Gateway, opened: Opened, request: &Parts) -> Answer {
    let size = opened.size();
    let response = opened.send(gateway, request).await?;
    if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(response);
    }
    let detail = format!("the blob has {size} bytes");
    let mut problem = Problem::new(problem::OUT_OF_RANGE, detail).into_response();
    if let Some(place) = response.headers().get(header::CONTENT_RANGE) {
        let place = place.clone();
        problem.headers_mut().insert(header::CONTENT_RANGE, place);
    }
    Ok(problem)
}

/// `GET /v1/nodes`
pub async fn nodes(State(gateway): State<Arc<Gateway>>) -> Response {
    let known = gateway.directory.known().into_iter();
    let known = known.map(|(node, report, answers)| Known {
        url: node.url().to_owned(),
        trusted: node.is_trusted(),
        answers,
        since: node.since(),
        last: report.map(|report| Last {
            slice: report.slice,
            latency_ms: report.latency,
            block: report.status.log_sync_height,
            next_seq: report.status.next_tx_seq,
            network: report.status.network_identity,
        }),
    });
    Json(known.collect::<Vec<_>>()).into_response()
}

/// `GET /healthz`: the service runs; how many nodes answer is said, and is no reason to restart it.
pub async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    let (trusted, discovered) = (gateway.directory.trusted(), gateway.directory.discovered());
    let body = serde_json::json!({
        "status": "ok",
        "nodes": {"trusted": trusted.len(), "discovered": discovered.len()},
    });
    Json(body).into_response()
}

/// `GET /metrics`
pub async fn metrics(State(gateway): State<Arc<Gateway>>) -> Answer {
    let known = gateway.directory.known();
    let count = |trusted, alive| {
        let those = known
            .iter()
            .filter(|(node, _, answers)| (node.is_trusted(), *answers) == (trusted, alive));
        let count = i64::try_from(those.count()).unwrap_or(i64::MAX);
        (trusted, alive, count)
    };
    let nodes = [
        count(true, true),
        count(true, false),
        count(false, true),
        count(false, false),
    ];
    let page = gateway.meters.page(nodes);
    let page = page.map_err(|error| Problem::new(problem::INTERNAL, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, meters::CONTENT_TYPE)], page).into_response())
}

/// A path that is none.
pub async fn unknown() -> Problem {
    Problem::new(problem::UNKNOWN_PATH, "there is nothing at this path")
}

/// A path that is asked in another way.
pub async fn bad_method() -> Problem {
    Problem::new(problem::BAD_METHOD, "this path is asked in another way")
}

fn named(cid: Named) -> Result<String, Problem> {
    let Path(cid) = cid.map_err(bad_request)?;
    Ok(cid)
}

fn bad_request(error: impl ToString) -> Problem {
    Failure::Invalid(error.to_string()).into()
}
