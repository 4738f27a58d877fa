//! Settings: defaults, then a config file, then the environment, then flags.
//!
//! [`KEYS`] is the one place where defaults stand. Every layer is read as text per key, so that
//! one parser and one error message serve them all. A key that nobody knows is an error.

mod chain;
mod operator;
mod zgs;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use figment2::{
    Figment, Metadata, Profile, Provider, Source,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use lode_edge::Limits;
use lode_engine::store::{Options, Verify};
use lode_world::Backend;

use crate::{
    failure::{Failure, Outcome},
    units::{parse_size, parse_span},
};

pub use chain::{AccountSettings, ChainSettings};
pub use zgs::{PeersSettings, ZgsSettings};

/// One setting.
pub struct Key {
    /// Name in the config file; `LODE_` and capitals in the environment; dashes in the flag.
    pub name: &'static str,
    /// Its default; empty: it has none.
    pub default: &'static str,
    /// What a value looks like.
    pub form: &'static str,
}

const fn key(name: &'static str, default: &'static str, form: &'static str) -> Key {
    Key {
        name,
        default,
        form,
    }
}

/// Every setting and its default.
pub const KEYS: &[Key] = &[
    key(
        "node",
        "http://127.0.0.1:5700",
        "an http:// or https:// URL",
    ),
    key("ca", "", "a file of certificates in PEM"),
    key("dir", "", "a directory"),
    key(
        "listen",
        "127.0.0.1:5700",
        "an address and a port, as 127.0.0.1:5700",
    ),
    key("shards", "0", "a number from 0 (one per core) to 1024"),
    key("backend", "auto", "auto, uring or posix"),
    key("segment", "256MiB", "a size, as 256MiB"),
    key("ingest_memory", "48MiB", "a size, as 48MiB"),
    key(
        "scrub_rate",
        "8MiB",
        "a size per second, as 8MiB; 0 for none",
    ),
    key("verify", "pages", "pages or hash"),
    key("reserve_percent", "5", "a number from 0 to 99"),
    key("max_connections", "4096", "a number from 1"),
    key("max_blob", "2TiB", "a size, as 1TiB"),
    key("head_time", "10s", "a span, as 10s"),
    key("idle_time", "60s", "a span, as 60s"),
    key("progress_time", "30s", "a span, as 30s"),
    key("drain_time", "20s", "a span, as 20s"),
    key("chain", "", "the http:// URL of a chain's RPC"),
    key("chain_key", "", "a key file (Web3 Secret Storage)"),
    key("chain_password_file", "", "a file with the key's password"),
    key("zgs_listen", "", "an address and a port, as 0.0.0.0:5678"),
    key(
        "zgs_grpc_listen",
        "",
        "an address and a port, as 0.0.0.0:50051",
    ),
    key(
        "zgs_origins",
        "",
        "origins of web pages, with commas between them, or *",
    ),
    key(
        "flow_address",
        "",
        "an address of the chain, 0x and 40 hex digits; none: where our genesis has it",
    ),
    key("flow_first_block", "0", "a block number"),
    key(
        "slice",
        "0/1",
        "a number and a power of two above it, as 1/4",
    ),
    key("peers_listen", "", "an address and a port, as 0.0.0.0:5701"),
    key("peers", "", "KEY@HOST:PORT, with commas between them"),
    key(
        "operator_listen",
        "",
        "unix: and a path, or a port of this machine alone, as 127.0.0.1:5679",
    ),
    key("operator_token", "", "a file, made if there is none"),
    key("log", "info", "error, warn, info, debug, or a filter"),
    key("log_format", "human", "human or json"),
];

/// Reads the name of a world; `auto` leaves the choice to preflight.
pub fn parse_backend(text: &str) -> Option<Option<Backend>> {
    match text {
        "auto" => Some(None),
        name => name.parse().ok().map(Some),
    }
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Node to talk to.
    pub node: String,
    /// Authorities for nodes behind TLS; none: the public ones.
    pub ca: Option<PathBuf>,
    /// The node's data directory; it has no default, so that no data lands by surprise.
    pub dir: Option<PathBuf>,
    /// Where the node listens.
    pub listen: SocketAddr,
    /// Executors and shards; none: one per core.
    pub shards: Option<u16>,
    /// Which world; none: as preflight finds.
    pub backend: Option<Backend>,
    /// Bytes of a segment file.
    pub segment: u64,
    /// Bytes per shard on their way to the disk.
    pub ingest_memory: u64,
    /// Bytes per second and shard of the background scrub.
    pub scrub_rate: u64,
    /// How gets of whole chunks are checked.
    pub verify: Verify,
    /// Percent of the filesystem kept free.
    pub reserve_percent: u8,
    /// Open connections.
    pub max_connections: usize,
    /// Bytes of one blob.
    pub max_blob: u64,
    /// Time for a request's head.
    pub head_time: Duration,
    /// Time without a request.
    pub idle_time: Duration,
    /// Time in which a body must move.
    pub progress_time: Duration,
    /// Time to drain at a stop.
    pub drain_time: Duration,
    /// The chain that the node settles on or follows, if it does.
    pub chain: Option<ChainSettings>,
    /// How 0G's storage RPC is served, if it is.
    pub zgs: Option<ZgsSettings>,
    /// What is logged.
    pub log: String,
    /// Logs in JSON.
    pub log_json: bool,
    /// Every key, its text and where it comes from, in the order of [`KEYS`].
    pub shown: Vec<Shown>,
}

/// A setting as `lode config show` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub key: &'static str,
    /// Its value's text.
    pub value: String,
    /// `default`, a file, an environment variable or a flag.
    pub origin: String,
}

impl Settings {
    /// Reads all layers. `env` are the process's variables, `flags` what was given, by key.
    pub fn read(
        files: &[ConfigFile],
        env: &[(String, String)],
        flags: &[(&'static str, &str)],
    ) -> Outcome<Settings> {
        let defaults = KEYS
            .iter()
            .map(|key| (key.name.to_owned(), key.default.to_owned()));
        let mut layers = Figment::from(Layer {
            origin: "default",
            pairs: defaults.collect(),
        });
        for file in files {
            if file.required && !file.path.exists() {
                let what = format!("there is no config file {}", file.path.display());
                return Err(Failure::usage(what, "check --config or LODE_CONFIG"));
            }
            layers = layers.merge(Toml::file(&file.path).search(false));
        }
        let flags = flags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let layers = layers
            .merge(Layer {
                origin: "env",
                pairs: from_env(env),
            })
            .merge(Layer {
                origin: "flag",
                pairs: flags.collect(),
            });
        Settings::check(&Texts::of(&layers)?)
    }

    fn check(texts: &Texts) -> Outcome<Settings> {
        let path = |name| Some(texts.text(name)).filter(|path| !path.is_empty());
        Ok(Settings {
            node: texts.parse("node", |text| {
                let known = ["http://", "https://"]
                    .iter()
                    .any(|way| text.starts_with(way));
                known.then(|| text.trim_end_matches('/').to_owned())
            })?,
            ca: path("ca").map(PathBuf::from),
            dir: path("dir").map(PathBuf::from),
            listen: texts.parse("listen", |text| text.parse().ok())?,
            shards: texts.parse("shards", |text| match text.parse::<u16>() {
                Ok(0) => Some(None),
                Ok(shards) if shards <= 1024 => Some(Some(shards)),
                _ => None,
            })?,
            backend: texts.parse("backend", parse_backend)?,
            segment: texts.parse("segment", parse_size)?,
            ingest_memory: texts.parse("ingest_memory", parse_size)?,
            scrub_rate: texts.parse("scrub_rate", parse_size)?,
            verify: texts.parse("verify", |text| match text {
                "pages" => Some(Verify::Pages),
                "hash" => Some(Verify::Hash),
                _ => None,
            })?,
            reserve_percent: texts.parse("reserve_percent", |text| {
                text.parse().ok().filter(|percent| *percent < 100)
            })?,
            max_connections: texts.parse("max_connections", |text| {
                text.parse().ok().filter(|count| *count > 0)
            })?,
            max_blob: texts.parse("max_blob", parse_size)?,
            head_time: texts.parse("head_time", parse_span)?,
            idle_time: texts.parse("idle_time", parse_span)?,
            progress_time: texts.parse("progress_time", parse_span)?,
            drain_time: texts.parse("drain_time", parse_span)?,
            chain: chain::settings(texts)?,
            zgs: zgs::settings(texts)?,
            log: texts.text("log").to_owned(),
            log_json: texts.parse("log_format", |text| match text {
                "human" => Some(false),
                "json" => Some(true),
                _ => None,
            })?,
            shown: texts.0.clone(),
        })
    }

    /// How the store is opened, on `executors` executors.
    pub fn store(&self, dir: PathBuf, executors: u16) -> Options {
        Options {
            dir,
            shards: executors,
            segment_len: self.segment,
            ingest_credit: self.ingest_memory,
            scrub_rate: self.scrub_rate,
            reserve_percent: self.reserve_percent,
            verify: self.verify,
        }
    }

    /// What one executor's edge allows; the process's connections are split evenly.
    pub fn limits(&self, executors: u16) -> Limits {
        Limits {
            connections: self.max_connections.div_ceil(usize::from(executors)),
            head_time: self.head_time,
            idle_time: self.idle_time,
            progress_time: self.progress_time,
            drain_time: self.drain_time,
            blob_len: self.max_blob,
            ..Limits::default()
        }
    }
}

/// A config file that may be read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where.
    pub path: PathBuf,
    /// It must exist: somebody named it.
    pub required: bool,
}

/// The files that count: the one that was named, or the machine's and then the user's.
pub fn config_files(named: Option<PathBuf>, env: &[(String, String)]) -> Vec<ConfigFile> {
    if let Some(path) = named {
        return vec![ConfigFile {
            path,
            required: true,
        }];
    }
    let var = |name: &str| {
        env.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let home = match (var("XDG_CONFIG_HOME"), var("HOME")) {
        (Some(dir), _) if !dir.is_empty() => Some(PathBuf::from(dir)),
        (_, Some(home)) => Some(PathBuf::from(home).join(".config")),
        _ => None,
    };
    let machine = Some(PathBuf::from("/etc"));
    let dirs = [machine, home].into_iter().flatten();
    dirs.map(|dir| ConfigFile {
        path: dir.join("lode/lode.toml"),
        required: false,
    })
    .collect()
}

/// Variables `LODE_<KEY>`, by key. LODE_CONFIG is no setting: it says where settings are.
fn from_env(env: &[(String, String)]) -> Vec<(String, String)> {
    let ours = env
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("LODE_")?, value)));
    ours.filter(|(name, _)| *name != "CONFIG")
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect()
}

/// A layer of texts.
struct Layer {
    origin: &'static str,
    pairs: Vec<(String, String)>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin)
    }

    fn data(&self) -> figment2::error::Result<Map<Profile, Dict>> {
        let pairs = self.pairs.iter();
        let dict = pairs.map(|(key, value)| (key.clone(), Value::from(value.clone())));
        Ok(Map::from([(Profile::Default, dict.collect())]))
    }
}

/// Every key's text and origin, before it is checked.
struct Texts(Vec<Shown>);

impl Texts {
    fn of(layers: &Figment) -> Outcome<Texts> {
        let unreadable = |error: figment2::Error| {
            Failure::usage(format!("settings: {error}"), "correct the config file")
        };
        let all: Dict = layers.extract().map_err(unreadable)?;
        for name in all.keys() {
            if !KEYS.iter().any(|key| key.name == name) {
                return Err(unknown(name, &origin(layers, name)));
            }
        }
        let shown = KEYS.iter().map(|key| {
            let value = layers.find_value(key.name).map_err(unreadable)?;
            let origin = origin(layers, key.name);
            let value = plain_text(value).ok_or_else(|| bad(key, "a list or table", &origin))?;
            Ok(Shown {
                key: key.name,
                value,
                origin,
            })
        });
        shown.collect::<Outcome<_>>().map(Texts)
    }

    fn find(&self, name: &str) -> &Shown {
        let found = self.0.iter().find(|shown| shown.key == name);
        found.expect("every key that is read is in KEYS, a test reads them all")
    }

    fn text(&self, name: &str) -> &str {
        &self.find(name).value
    }

    fn parse<T>(&self, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Outcome<T> {
        let shown = self.find(name);
        read(&shown.value).ok_or_else(|| {
            let key = KEYS.iter().find(|key| key.name == name);
            bad(
                key.expect("found above"),
                &format!("{:?}", shown.value),
                &shown.origin,
            )
        })
    }
}

fn plain_text(value: Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, number) => number.to_u128().map(|number| number.to_string()),
        _ => None,
    }
}

/// Where a key's value comes from, as a person would say it.
fn origin(layers: &Figment, name: &str) -> String {
    let Some(metadata) = layers.find_metadata(name) else {
        return "default".to_owned();
    };
    match (&metadata.source, &*metadata.name) {
        (Some(Source::File(path)), _) => path.display().to_string(),
        (_, "env") => format!("env LODE_{}", name.to_uppercase()),
        (_, "flag") => format!("flag --{}", name.replace('_', "-")),
        (_, other) => other.to_owned(),
    }
}

fn bad(key: &Key, got: &str, origin: &str) -> Failure {
    Failure::usage(
        format!("{} is {got} ({origin})", key.name),
        format!("it must be {}", key.form),
    )
}

fn unknown(name: &str, origin: &str) -> Failure {
    let near = KEYS
        .iter()
        .map(|key| (strsim::jaro_winkler(name, key.name), key.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    let next = match near {
        Some((_, near)) => format!("did you mean `{near}`? `lode config show` lists all settings"),
        None => "`lode config show` lists all settings".to_owned(),
    };
    Failure::usage(format!("unknown setting `{name}` ({origin})"), next)
}

#[cfg(test)]
mod tests;
