//! 0G's REST (0G wire, 3.5). What it says of failures is in [`super::envelope`].

use std::sync::Arc;

use axum::{
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
    response::Response,
};
use lode_wire::{FileInfo, Status};
use tokio::task::JoinSet;

use super::{
    Gateway,
    content::{self, Opened},
    envelope::{Refused, success},
};
use crate::{
    failure::Failure,
    folder_view::{View, view},
    locate::Cid,
};

/// Blobs that one request may ask about (0G wire, 3.5).
const INFOS_MAX: usize = 100;

type Answer = Result<Response, Refused>;
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// `GET /file?root=|txSeq=[&name=]`
pub async fn file(State(gateway): State<Arc<Gateway>>, query: Pairs, request: Parts) -> Answer {
    let pairs = pairs(query)?;
    let value = |name| {
        pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let cid = match (value("txSeq"), value("root")) {
        (Some(seq), _) => seq_of(seq)?,
        (None, Some(root)) if !root.trim().is_empty() => root_of(root)?,
        _ => {
            let why = "Either 'root' or 'txSeq' must be provided".to_owned();
            return Err(Failure::Invalid(why).into());
        }
    };
    let mut opened = Opened::blob(&gateway, cid).await?;
    let name = value("name").filter(|name| !name.is_empty()).cloned();
    opened.name = name.or_else(|| Some(opened.etag().replace('"', "")));
    send(&gateway, opened, &request).await
}

/// `GET /file/{cid}/`: the folder itself.
pub async fn folder(
    State(gateway): State<Arc<Gateway>>,
    cid: Result<Path<String>, PathRejection>,
    request: Parts,
) -> Answer {
    let cid = cid.map(|Path(cid)| cid);
    let cid = cid.map_err(|error| Failure::Invalid(error.to_string()))?;
    place(&gateway, &cid, "", &request).await
}

/// `GET /file/{cid}/{path…}`
pub async fn in_folder(
    State(gateway): State<Arc<Gateway>>,
    place_of: Result<Path<(String, String)>, PathRejection>,
    request: Parts,
) -> Answer {
    let Path((cid, path)) = place_of.map_err(|error| Failure::Invalid(error.to_string()))?;
    place(&gateway, &cid, &path, &request).await
}

async fn place(gateway: &Gateway, cid: &str, path: &str, request: &Parts) -> Answer {
    let folder = content::folder(gateway, cid.parse()?).await?;
    match view(&folder, path)? {
        View::Directory(entries) => Ok(success(entries)),
        View::Link(link) => Ok(success(link)),
        View::File { name, roots } => {
            drop(folder);
            let opened = Opened::file(gateway, name, &roots).await?;
            send(gateway, opened, request).await
        }
    }
}

/// Ranges have their HTTP statuses here too: who asks for one understands them.
async fn send(gateway: &Gateway, opened: Opened, request: &Parts) -> Answer {
    Ok(opened.send(gateway, request).await?)
}

/// `GET /file/info/{cid}`
pub async fn info(
    State(gateway): State<Arc<Gateway>>,
    cid: Result<Path<String>, PathRejection>,
) -> Answer {
    let Path(cid) = cid.map_err(|error| Failure::Invalid(error.to_string()))?;
    let survey = gateway.locator.survey(cid.parse()?).await?;
    Ok(success(survey.overall()))
}

/// `GET /files/info?cid=…&cid=…`: null for those that nobody knows.
pub async fn infos(State(gateway): State<Arc<Gateway>>, query: Pairs) -> Answer {
    let pairs = pairs(query)?;
    let named = pairs.iter().filter(|(key, _)| key == "cid");
    let cids: Result<Vec<Cid>, Failure> = named.map(|(_, cid)| cid.parse()).collect();
    let cids = cids?;
    if cids.is_empty() {
        return Err(Failure::Invalid("No cid specified".to_owned()).into());
    }
    if cids.len() > INFOS_MAX {
        let why = format!("Too many cid specified, exceeded {INFOS_MAX}");
        return Err(Failure::Invalid(why).into());
    }
    let mut asking = JoinSet::new();
    for (order, cid) in cids.into_iter().enumerate() {
        let locator = gateway.locator.clone();
        asking.spawn(async move { (order, locator.survey(cid).await) });
    }
    let mut infos: Vec<(usize, Option<FileInfo>)> = Vec::new();
    for (order, survey) in asking.join_all().await {
        match survey {
            Ok(survey) => infos.push((order, Some(survey.overall()))),
            Err(Failure::Unknown) => infos.push((order, None)),
            Err(failure) => return Err(failure.into()),
        }
    }
    infos.sort_by_key(|(order, _)| *order);
    let infos: Vec<Option<FileInfo>> = infos.into_iter().map(|(_, info)| info).collect();
    Ok(success(infos))
}

/// `GET /node/status`: the trusted nodes that answer, as slow as the slowest of them.
pub async fn status(State(gateway): State<Arc<Gateway>>) -> Answer {
    let statuses = gateway.directory.trusted().into_iter();
    let sum = statuses.map(|node| node.report.status).reduce(|sum, one| {
        let slower = if one.log_sync_height < sum.log_sync_height {
            &one
        } else {
            &sum
        };
        Status {
            log_sync_height: slower.log_sync_height,
            log_sync_block: slower.log_sync_block,
            connected_peers: sum.connected_peers.max(one.connected_peers),
            next_tx_seq: sum.next_tx_seq.min(one.next_tx_seq),
            network_identity: sum.network_identity,
        }
    });
    Ok(success(sum.ok_or(Failure::Silent)?))
}

fn pairs(query: Pairs) -> Result<Vec<(String, String)>, Failure> {
    let Query(pairs) = query.map_err(|error| Failure::Invalid(error.to_string()))?;
    Ok(pairs)
}

fn seq_of(text: &str) -> Result<Cid, Failure> {
    let seq = text
        .trim()
        .parse()
        .map_err(|_| Failure::Invalid("'txSeq' is not the number of a submission".to_owned()))?;
    Ok(Cid::Seq(seq))
}

fn root_of(text: &str) -> Result<Cid, Failure> {
    let root = text.trim().parse();
    let root = root.map_err(|error| Failure::Invalid(format!("'root' is not a root: {error}")))?;
    Ok(Cid::Root(root))
}
