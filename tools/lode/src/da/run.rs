//! `lode da run`: one process, its rows on one disk, its holders' network, and faces for rollups.

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_signer_local::PrivateKeySigner;
use clap::Args;
use lode_chain_link::{keys, node::Rpc};
use lode_da::{Committees, Config, Da, Stored, post::Terms};
use lode_da_rows::{self as rows, Options};
use lode_net::PeerKey;
use lode_proofs::da::{Namespace, Threshold, signing::HolderSecret};
use lode_rollup::{
    Listening, Machine, Meter,
    altda::{self, keccak_map::KeccakMap},
    disperser, nitro, rest,
};
use lode_world::{Backend, preflight};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    availability::Rollups,
    chain::{Chain, Following},
};
use crate::{
    failure::{Failure, Outcome},
    journal,
    output::Output,
    random, service,
    settings::parse_backend,
    units::parse_span,
};

/// The holder's secret, in the node's folder.
const SECRET: &str = "holder.key";
/// How often the node looks for containers that have lost rows.
const REPAIR_EVERY: Duration = Duration::from_secs(60);
/// How often what has expired goes.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Threads that code and check.
const THREADS: usize = 2;

/// Arguments of `lode da run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Folder of rows and keys; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The chain that knows who holds
    #[arg(long, value_name = "URL")]
    pub chain: String,
    /// A key file (Web3 Secret Storage) of the account that settles certificates [default: nobody does]
    #[arg(long, value_name = "FILE", requires = "chain_password_file")]
    pub chain_key: Option<PathBuf>,
    /// A file with the key's password
    #[arg(long, value_name = "FILE", requires = "chain_key")]
    pub chain_password_file: Option<PathBuf>,
    /// Where other holders find this one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5710")]
    pub listen: SocketAddr,
    /// Where REST (/v1/da) and OP-Stack alt-DA (/put, /get) are served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5711")]
    pub api: SocketAddr,
    /// Where 0G's disperser and retriever are served, over gRPC
    #[arg(long, value_name = "ADDR:PORT")]
    pub grpc: Option<SocketAddr>,
    /// Where Arbitrum Nitro's daprovider is served
    #[arg(long, value_name = "ADDR:PORT")]
    pub nitro: Option<SocketAddr>,
    /// A file with the secret (32 bytes as hex) whose bearers may ask Nitro's face [default: everybody may]
    #[arg(long, value_name = "FILE", requires = "nitro")]
    pub nitro_jwt: Option<PathBuf>,
    /// How long what is posted here is kept
    #[arg(long, value_name = "SPAN", default_value = "14d", value_parser = span)]
    pub term: Duration,
    /// Rows that have to be signed for, 2049 to 3072: so many less 1024 may lie with liars
    #[arg(long, value_name = "ROWS", default_value_t = 2049)]
    pub rows: u16,
    /// auto, uring or posix
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = backend)]
    pub backend: Choice,
    /// What to log: error, warn, info, debug, or a filter
    #[arg(long, value_name = "FILTER", default_value = "info", env = "LODE_LOG")]
    pub log: String,
}

/// A world, or none: as preflight finds.
#[derive(Clone, Copy, Debug)]
pub struct Choice(Option<Backend>);

fn span(text: &str) -> Result<Duration, String> {
    parse_span(text).ok_or_else(|| "not a span, as 14d".to_owned())
}

fn backend(text: &str) -> Result<Choice, String> {
    let choice = parse_backend(text).map(Choice);
    choice.ok_or_else(|| "not auto, uring or posix".to_owned())
}

/// The holder's secret of a folder, made if there is none.
pub fn holder_key(dir: &Path) -> Outcome<HolderSecret> {
    let path = dir.join(SECRET);
    let failed = |error: io::Error| Failure::file(path.display(), &error);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let seed = random::bytes::<32>()?;
            fs::create_dir_all(dir).map_err(failed)?;
            let fresh = path.with_extension("new");
            let mut options = fs::File::options();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&fresh).map_err(failed)?;
            file.write_all(&seed).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            fs::rename(&fresh, &path).map_err(failed)?;
            fs::File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(failed)?;
            seed.to_vec()
        }
        Err(error) => return Err(failed(error)),
    };
    let seed: [u8; 32] = bytes.try_into().map_err(|_| {
        let what = format!("{} is not a secret of 32 bytes", path.display());
        Failure::other(what, "bring the file back, or register another key")
    })?;
    Ok(HolderSecret::from_seed(&seed))
}

/// The name on the network of a folder's node, made if there is none.
pub fn peer_key(dir: &Path) -> Outcome<PeerKey> {
    let name = lode_net::identity::name(dir);
    name.map_err(|error| Failure::file(dir.display(), &error))
}

/// Serves until it is told to stop.
pub fn run(args: &RunArgs, output: Output) -> Outcome<ExitCode> {
    journal::start_with(&args.log, false)?;
    let dir = folder(&args.dir)?;
    let threshold = Threshold::new(args.rows);
    let threshold =
        threshold.ok_or_else(|| Failure::usage("--rows is not 2049 to 3072", "leave it out"))?;
    let node = Rpc::http(&args.chain).map_err(|error| {
        let what = format!("chain is {}: {error}", args.chain);
        Failure::usage(what, "correct --chain")
    })?;
    let committees = Committees::default();
    let (chain, following) = Chain::open(node, account(args)?, &dir, committees.clone())?;
    let terms = Terms {
        term: args.term.as_secs(),
        threshold,
    };
    let (handle, executors) = rows(&dir, args.backend.0)?;
    let runtime = service::runtime()?;
    let serving = Serving {
        args,
        dir: &dir,
        terms,
        committees,
        chain,
    };
    let served = runtime.block_on(serving.serve(handle, following, output));
    drop(runtime);
    let joined = executors.join();
    joined.map_err(|error| Failure::file(dir.display(), &error))?;
    served.map(|()| ExitCode::SUCCESS)
}

/// What a node is made of.
struct Serving<'args> {
    args: &'args RunArgs,
    dir: &'args Path,
    terms: Terms,
    committees: Committees,
    chain: Chain,
}

impl Serving<'_> {
    async fn serve(
        self,
        handle: rows::Handle,
        mut following: Following,
        output: Output,
    ) -> Outcome<()> {
        let stored = Stored::open(handle, &self.dir.join("index")).await;
        let stored = stored.map_err(|error| {
            let next = "the folder `index` may go: it is made again from the rows";
            Failure::other(error.to_string(), next)
        })?;
        let stopped = service::told_to_stop();
        tokio::pin!(stopped);
        let chain_id = tokio::select! {
            chain_id = following.chain_id() => chain_id?,
            stopped = &mut stopped => return stopped,
        };
        let da = Da::start(
            self.config(chain_id)?,
            stored.clone(),
            self.committees.clone(),
        );
        let da = da.map_err(|error| Failure::other(error.to_string(), "check --listen"))?;
        let rollups = Rollups::new(da.service(), stored.clone(), self.chain.clone());
        let faces = faces(self.args, self.dir, &rollups).await?;
        announce(self.args, &faces, output)?;
        let ended = tokio::select! {
            stopped = &mut stopped => stopped,
            ended = following.run(&da, &rollups) => ended,
            () = expire(&stored) => Ok(()),
        };
        for face in faces {
            face.stop().await;
        }
        let stopped = da.stop().await.map_err(|error| {
            let next = "start it again; report this with the log";
            Failure::other(error.to_string(), next)
        });
        stored.stop().await;
        ended.and(stopped)
    }

    fn config(&self, chain_id: u64) -> Outcome<Config> {
        let signer = lode_net::identity::open(self.dir);
        Ok(Config {
            signer: signer.map_err(|error| Failure::file(self.dir.display(), &error))?,
            secret: holder_key(self.dir)?,
            listen: self.args.listen,
            chain_id,
            peers: Vec::new(),
            terms: self.terms,
            repair: Some(REPAIR_EVERY),
            threads: THREADS,
        })
    }
}

fn folder(dir: &Path) -> Outcome<PathBuf> {
    let failed = |error: io::Error| Failure::file(dir.display(), &error);
    fs::create_dir_all(dir).map_err(failed)?;
    dir.canonicalize().map_err(failed)
}

fn account(args: &RunArgs) -> Outcome<Option<PrivateKeySigner>> {
    let (Some(key), Some(password)) = (&args.chain_key, &args.chain_password_file) else {
        return Ok(None);
    };
    let password = fs::read(password).map_err(|error| Failure::file(password.display(), &error))?;
    let signer = keys::open(key, &password).map_err(|error| {
        let what = format!("{} cannot be opened: {error}", key.display());
        Failure::usage(what, "check --chain-key and --chain-password-file")
    })?;
    Ok(Some(signer))
}

/// The store of rows, on one executor of its own.
fn rows(dir: &Path, backend: Option<Backend>) -> Outcome<(rows::Handle, lode_world::Running)> {
    let found = preflight(&[dir.to_owned()], 1, backend);
    let found = found.map_err(|error| Failure::file(dir.display(), &error))?;
    for warning in &found.warnings {
        tracing::warn!(cure = warning.cure, "{}", warning.what);
    }
    let options = Options::new(dir.join("rows"), now().as_secs());
    let opened = rows::launch(&found, options);
    let (handle, running, _) =
        opened.map_err(|error| Failure::other(error.to_string(), "see the message"))?;
    Ok((handle, running))
}

pub(super) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Opens what was asked for; the first is REST and alt-DA.
async fn faces(args: &RunArgs, dir: &Path, rollups: &Rollups) -> Outcome<Vec<Listening>> {
    let meter = Meter::default();
    let machine = Machine::new(now, random::bytes::<32>()?);
    let namespace = Namespace([0; 29]);
    let keccaks = KeccakMap::open(&dir.join("keccaks"), now().as_secs());
    let keccaks = keccaks
        .map_err(|error| Failure::other(error.to_string(), "stop what else uses the folder"))?;
    let rest = rest::face(rollups.clone(), rest::bounds(), &meter);
    let terms = altda::terms(namespace);
    let altda = altda::face(
        rollups.clone(),
        terms,
        keccaks.into(),
        altda::bounds(),
        &meter,
    );
    let mut faces = vec![(args.api, rest.beside(altda))];
    if let Some(address) = args.grpc {
        let face = disperser::face(rollups.clone(), namespace, disperser::bounds(), &meter).await;
        let face = face.map_err(|error| Failure::other(error.to_string(), "report this"))?;
        faces.push((address, face));
    }
    if let Some(address) = args.nitro {
        let mut config = nitro::Config::new(namespace);
        if let Some(file) = &args.nitro_jwt {
            let text =
                fs::read_to_string(file).map_err(|error| Failure::file(file.display(), &error))?;
            let secret = nitro::jwt::Secret::parse(text.trim());
            config.secret = Some(secret.map_err(|error| {
                Failure::usage(format!("{}: {error}", file.display()), "check --nitro-jwt")
            })?);
        }
        let face = nitro::face(rollups.clone(), config, nitro::bounds(), &machine, &meter);
        faces.push((address, face));
    }
    let open = |(address, face): (SocketAddr, lode_rollup::Face)| {
        face.open(address)
            .map_err(|error| crate::node::cannot_listen(address, &error))
    };
    faces.into_iter().map(open).collect()
}

fn announce(args: &RunArgs, faces: &[Listening], output: Output) -> Outcome<()> {
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let url = format!(
        "http://{}",
        faces.first().map_or(unknown, Listening::address)
    );
    let json = json!({ "url": url, "pid": std::process::id() });
    let long = format!("lode da ready at {url}  dir {}", args.dir.display());
    service::announce(&json, &url, &long, output)
}

/// Lets go of what has expired, for ever.
async fn expire(stored: &Stored) {
    let mut every = interval(EXPIRE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match stored.expire(now().as_secs()).await {
            Ok(0) => {}
            Ok(bytes) => tracing::info!(bytes, "rows have expired"),
            Err(error) => tracing::error!(%error, "what has expired is still there"),
        }
    }
}
