//! The storage nodes of one flow: which there are, which slice of it each keeps, and which of them hold
//! all of it together.
//!
//! ```text
//!  --zgs URL…                 ─┐
//!  --node URL… ─ storage RPC? ─┼─► asked all at once: network, slice ─► members ─► cover
//!              └ /v1/stat ─────┤                       └ silent: left out, and told of
//!  --indexer URL ──────────────┘
//! ```
//! A node may be named by either of its faces, 0G's storage RPC or its own HTTP API. The latter is its
//! direct lane: a whole blob in one stream, without 0G's text around each chunk.

mod cover;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use lode_indexer::client::{Client as Zgs, Settings};
use lode_wire::{NetworkIdentity, ShardedNode, Slice};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    client::Client,
    failure::{Failure, Outcome},
    output::Output,
};

/// Nodes that are asked, at most: as many as an indexer's operator may name.
const NODES_MAX: usize = 256;
/// Time in which a node says who it is. One that takes longer is no help with bytes either.
const ASK_TIME: Duration = Duration::from_secs(5);

/// Which nodes.
#[derive(Args, Clone, Debug, Default)]
pub struct FleetArgs {
    /// Where a node serves 0G's storage RPC, if --node is behind a proxy and does not tell; several in the
    /// order of --node
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub zgs: Vec<String>,
    /// Ask this indexer which nodes there are
    #[arg(long, value_name = "URL", conflicts_with = "zgs")]
    pub indexer: Option<String>,
}

/// Nodes by --node, and whom to trust of them.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// Those that were named.
    pub named: Vec<String>,
    /// The first of them, or the one that is meant if none was named.
    pub usual: String,
    /// Authorities for nodes behind TLS.
    pub ca: Option<PathBuf>,
}

impl Nodes {
    /// A client of the one node that most commands speak to.
    ///
    /// # Errors
    /// Several were named; or as [`Client::new`].
    pub fn one(&self) -> Outcome<Client> {
        match self.named.as_slice() {
            [] | [_] => Client::new(&self.usual, self.ca.as_deref()),
            _ => {
                let next = "name one; `lode submit` and `lode get` take several";
                Err(Failure::usage("several nodes were named", next))
            }
        }
    }
}

/// A node that answers.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its storage RPC.
    pub zgs: Zgs,
    /// What it keeps.
    pub slice: Slice,
    /// Its own API, if that is known.
    pub lane: Option<Client>,
    /// Which network it is of.
    pub network: NetworkIdentity,
    /// Whether somebody named it: who was only heard of comes after those.
    named: bool,
}

/// Nodes that answer.
#[derive(Clone, Debug)]
pub struct Fleet {
    members: Vec<Member>,
    /// Those that were named and do not.
    silent: Vec<String>,
}

/// A node to be asked.
struct Name {
    zgs: String,
    lane: Option<Client>,
    /// By the user, or by the operator of the indexer that the user has named.
    named: bool,
    /// By the user.
    typed: bool,
}

/// What an indexer says; 0G's writes null where it knows nobody.
#[derive(Deserialize)]
struct Listed {
    trusted: Option<Vec<ShardedNode>>,
    discovered: Option<Vec<ShardedNode>>,
}

impl Fleet {
    /// Finds out. A node that was named may be a storage RPC, or an API that tells of one.
    ///
    /// # Errors
    /// A name is none, or nobody answers.
    pub async fn find(nodes: &Nodes, args: &FleetArgs, output: Output) -> Outcome<Fleet> {
        let ca = nodes.ca.as_deref();
        let usual = std::slice::from_ref(&nodes.usual);
        let mut names = match (nodes.named.as_slice(), args.zgs.as_slice(), &args.indexer) {
            (named, _, Some(indexer)) => {
                let mut names = told(named, ca).await?;
                names.extend(listed(indexer).await?);
                names
            }
            ([], [], None) => told(usual, ca).await?,
            (named, [], None) => told(named, ca).await?,
            (named, zgs, None) => paired(named, zgs, ca)?,
        };
        // A node that is named twice holds its chunks once.
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.zgs.trim_end_matches('/').to_owned()));
        let mut asking = JoinSet::new();
        for (order, name) in names.into_iter().take(NODES_MAX).enumerate() {
            let zgs = match rpc(&name.zgs) {
                Ok(zgs) => zgs,
                Err(failure) if name.typed => return Err(failure),
                // Of what others say, one part that is wrong spoils no other.
                Err(failure) => {
                    output.note(&format!("note: {} is left out: {}", name.zgs, failure.what));
                    continue;
                }
            };
            asking.spawn(async move { (order, name.zgs.clone(), ask(zgs, name).await) });
        }
        let mut told = asking.join_all().await;
        told.sort_by_key(|(order, ..)| *order);
        let mut fleet = Fleet {
            members: Vec::new(),
            silent: Vec::new(),
        };
        let mut last = None;
        for (_, url, member) in told {
            match member {
                Ok(member) => fleet.members.push(member),
                Err(why) => {
                    output.note(&format!("note: {url} is left out: {why}"));
                    fleet.silent.push(url.clone());
                    last = Some(Failure::unreachable(&url, why));
                }
            }
        }
        match (fleet.members.is_empty(), last) {
            (true, Some(failure)) => Err(failure),
            (true, None) => Err(Failure::late(
                "the indexer knows no node that answers",
                "see whether its nodes run, or name them by --node",
            )),
            (false, _) => Ok(fleet),
        }
    }

    /// All members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Members that were named: what the chain holds, only they are asked.
    pub fn named(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.named)
    }

    /// Leaves out who was only heard of and is of another network than `is_ours`; a node that was named
    /// and is of another one is an error: who named it meant something else.
    pub fn of_network(
        mut self,
        is_ours: impl Fn(&NetworkIdentity) -> bool,
    ) -> Result<Fleet, (String, NetworkIdentity)> {
        let foreign = |member: &&Member| member.named && !is_ours(&member.network);
        if let Some(member) = self.members.iter().find(foreign) {
            return Err((member.zgs.url().to_owned(), member.network.clone()));
        }
        self.members.retain(|member| is_ours(&member.network));
        Ok(self)
    }

    /// Numbers of members that hold every chunk `replicas` times, those in `gone` apart. Nodes that were
    /// only heard of have a part in it where the others do not suffice.
    ///
    /// # Errors
    /// Which slice too few keep, and what to do.
    pub fn cover(&self, replicas: u64, gone: &BTreeSet<usize>) -> Outcome<BTreeSet<usize>> {
        let slices: Vec<Slice> = self.members.iter().map(|member| member.slice).collect();
        let mut unnamed = gone.clone();
        let heard_of = self.members.iter().enumerate();
        unnamed.extend(
            heard_of
                .filter(|(_, member)| !member.named)
                .map(|(at, _)| at),
        );
        cover::choose(&slices, &unnamed, replicas)
            .or_else(|_| cover::choose(&slices, gone, replicas))
            .map_err(|gap| self.lacks(&gap, replicas, gone))
    }

    /// The slice that no member of these keeps, if one is missing.
    pub fn gap_among(slices: &[Slice]) -> Option<String> {
        cover::gap(slices, 1).map(|gap| gap.to_string())
    }

    fn lacks(&self, gap: &cover::Gap, replicas: u64, gone: &BTreeSet<usize>) -> Failure {
        let mut what = match replicas {
            1 => gap.to_string(),
            _ => format!("{gap}, and {replicas} are to keep it"),
        };
        let lost = gone.iter().map(|at| self.members[*at].zgs.url());
        let silent: Vec<&str> = self.silent.iter().map(String::as_str).chain(lost).collect();
        let slice = gap.slice;
        let own = format!(
            "start one that does (lode node --slice {}/{})",
            slice.id(),
            slice.count()
        );
        if silent.is_empty() {
            let fewer = if replicas > 1 {
                ", or fewer --replicas"
            } else {
                ""
            };
            return Failure::usage(what, format!("name a node that keeps it, {own}{fewer}"));
        }
        what.push_str(&format!("; silent: {}", silent.join(", ")));
        let next = format!("see to those, or {own}; the same command sends only what lacks");
        Failure::late(what, next)
    }
}

impl Member {
    /// Its URL.
    pub fn url(&self) -> &str {
        self.zgs.url()
    }
}

/// A storage RPC by its URL.
pub fn rpc(url: &str) -> Outcome<Zgs> {
    Zgs::new(url, Settings::default())
        .map_err(|error| Failure::usage(error.to_string(), "correct --zgs, --node or --indexer"))
}

/// Who it is. A text says why it does not count.
async fn ask(zgs: Zgs, name: Name) -> Result<Member, String> {
    let quick = zgs.within(ASK_TIME);
    let status = quick.status().await.map_err(|error| error.to_string())?;
    let slice = quick.slice().await.map_err(|error| error.to_string())?;
    Ok(Member {
        zgs,
        slice,
        lane: name.lane,
        network: status.network_identity,
        named: name.named,
    })
}

/// Those that an indexer knows.
async fn listed(indexer: &str) -> Outcome<Vec<Name>> {
    const NONE: [u8; 0] = [];
    let zgs = rpc(indexer)?.within(ASK_TIME);
    let listed = zgs.call::<Listed>("indexer_getShardedNodes", NONE).await;
    let listed = listed.map_err(|error| Failure::unreachable(indexer, error))?;
    let name = |named: bool| {
        move |node: ShardedNode| Name {
            zgs: node.url,
            lane: None,
            named,
            typed: false,
        }
    };
    let trusted = listed.trusted.unwrap_or_default().into_iter();
    let discovered = listed.discovered.unwrap_or_default().into_iter();
    Ok(trusted
        .map(name(true))
        .chain(discovered.map(name(false)))
        .collect())
}

/// Storage RPCs that were named, and beside the first of them the API that was named first, and so on.
fn paired(nodes: &[String], zgs: &[String], ca: Option<&Path>) -> Outcome<Vec<Name>> {
    if nodes.len() > zgs.len() {
        let what = format!("{} by --node, {} by --zgs", nodes.len(), zgs.len());
        return Err(Failure::usage(
            what,
            "name the storage RPC of each node, in the same order, or none of them",
        ));
    }
    let lanes = nodes.iter().map(Some).chain(std::iter::repeat(None));
    zgs.iter()
        .zip(lanes)
        .map(|(zgs, lane)| {
            Ok(Name {
                zgs: zgs.clone(),
                lane: lane.map(|lane| Client::new(lane, ca)).transpose()?,
                named: true,
                typed: true,
            })
        })
        .collect()
}

/// Nodes by either face, all asked at once.
async fn told(nodes: &[String], ca: Option<&Path>) -> Outcome<Vec<Name>> {
    let mut asking = Vec::new();
    for url in nodes.iter().take(NODES_MAX) {
        let (url, lane) = (url.clone(), Client::new(url, ca)?);
        asking.push(tokio::task::spawn_blocking(move || by_face(url, lane)));
    }
    let mut names = Vec::new();
    for asked in asking {
        let name = asked
            .await
            .map_err(|error| Failure::file("threads", &error.into()));
        names.push(name??);
    }
    Ok(names)
}

/// A node of which it is not known which face was named. One that does not answer as an API is asked as a
/// storage RPC, with the others.
fn by_face(url: String, lane: Client) -> Outcome<Name> {
    let Ok(port) = lane.storage_rpc(ASK_TIME) else {
        return Ok(Name {
            zgs: url,
            lane: None,
            named: true,
            typed: true,
        });
    };
    let port = port.ok_or_else(|| {
        let what = format!("{url} does not serve 0G's storage RPC");
        let next = "start it with --zgs-listen and --chain, or name that by --zgs";
        Failure::usage(what, next)
    })?;
    let zgs = at_port(&url, port).ok_or_else(|| {
        let what =
            format!("{url} is behind TLS, and who ends that for its storage RPC is not known");
        Failure::usage(what, "name its storage RPC by --zgs")
    })?;
    Ok(Name {
        zgs,
        lane: Some(lane),
        named: true,
        typed: true,
    })
}

/// The host of a URL at another port. None behind TLS: a proxy stands before one face and says nothing of
/// the other, and whoever has asked for TLS is not to speak without.
fn at_port(url: &str, port: u16) -> Option<String> {
    let url: ureq::http::Uri = url.parse().ok()?;
    if url.scheme_str() != Some("http") {
        return None;
    }
    Some(format!("http://{}:{port}", url.host()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other face of a node is at the same host, whatever stands around that.
    #[test]
    fn other_face() {
        for (url, want) in [
            ("http://127.0.0.1:5700", "http://127.0.0.1:5678"),
            ("http://node.example", "http://node.example:5678"),
            ("http://[::1]:5700/", "http://[::1]:5678"),
        ] {
            assert_eq!(at_port(url, 5678).as_deref(), Some(want));
        }
        assert_eq!(at_port("/nowhere", 5678), None);
        assert_eq!(at_port("https://node.example", 5678), None);
    }

    /// Faces that were named one by one belong together in their order; an API without its storage RPC is
    /// refused before anything is sent.
    #[test]
    fn pairs() {
        let text = |text: &str| text.to_owned();
        let nodes = [text("http://a")];
        let zgs = [text("http://x"), text("http://y")];
        let names = paired(&nodes, &zgs, None).unwrap();
        let lanes: Vec<Option<&str>> = names
            .iter()
            .map(|name| name.lane.as_ref().map(Client::node))
            .collect();
        assert_eq!(lanes, [Some("http://a"), None]);
        let three = [text("http://a"), text("http://b"), text("http://c")];
        assert!(paired(&three, &zgs, None).is_err());
    }
}
