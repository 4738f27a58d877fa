//! Order of layers, every flag and field, and what typos and bad values lead to.

use super::*;
use crate::{
    args::{Cli, ConfigVerb, Verb},
    failure::Exit,
};
use clap::{CommandFactory, Parser};

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn read(files: &[ConfigFile], vars: &[(&str, &str)]) -> Outcome<Settings> {
    Settings::read(files, &env(vars), &[])
}

fn shown(settings: &Settings, key: &str) -> (String, String) {
    let shown = settings
        .shown
        .iter()
        .find(|shown| shown.key == key)
        .unwrap();
    (shown.value.clone(), shown.origin.clone())
}

/// A value that differs from the default, for each key.
fn other_value(key: &str) -> &'static str {
    match key {
        "node" => "https://example:1",
        "ca" => "/ca.pem",
        "dir" => "/d",
        "listen" => "127.0.0.2:1",
        "backend" => "posix",
        "verify" => "hash",
        "segment" | "ingest_memory" | "scrub_rate" | "max_blob" => "3MiB",
        "chain" => "http://chain:1",
        "chain_key" => "/key.json",
        "chain_password_file" => "/password",
        "zgs_listen" => "127.0.0.3:1",
        "zgs_grpc_listen" => "127.0.0.3:2",
        "zgs_origins" => "https://one.example, https://two.example",
        "flow_address" => "0x00000000000000000000000000000000000000f1",
        "slice" => "1/4",
        "peers_listen" => "127.0.0.4:1",
        "peers" => "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a@example.org:1",
        "operator_listen" => "127.0.0.5:1",
        "operator_token" => "/token",
        "log" => "debug",
        "log_format" => "json",
        key if key.ends_with("_time") => "3s",
        _ => "3",
    }
}

/// Every flag reaches its setting, and every setting has a flag.
#[test]
fn every_flag_reaches_its_field() {
    for key in KEYS {
        let flag = format!("--{}", key.name.replace('_', "-"));
        let line = ["lode", "config", "show", &flag, other_value(key.name)];
        let cli = Cli::try_parse_from(line).unwrap();
        let Verb::Config(ConfigVerb::Show(flags)) = &cli.verb else {
            panic!("parsed as another verb")
        };
        let given = [cli.common.given(), flags.given()].concat();
        // The chain's settings go together, and what serves 0G's clients needs them.
        let operator = key.name.starts_with("operator_");
        let zgs = ["zgs_", "peers"].iter().any(|of| key.name.starts_with(of)) || operator;
        let mut names = Vec::new();
        if zgs || key.name.starts_with("chain") {
            names.extend(["chain", "chain_key", "chain_password_file"]);
        }
        names.extend(zgs.then_some("zgs_listen"));
        if operator {
            names.extend(["operator_listen", "operator_token"]);
        }
        let rest = names.into_iter().map(|name| (name, other_value(name)));
        let rest = rest.filter(|(name, _)| *name != key.name);
        let rest: Vec<(String, String)> = rest
            .map(|(name, value)| (format!("LODE_{}", name.to_uppercase()), value.to_owned()))
            .collect();
        let settings = Settings::read(&[], &rest, &given).unwrap();
        let want = (other_value(key.name).to_owned(), format!("flag {flag}"));
        assert_eq!(shown(&settings, key.name), want);
        let given = |name: &str| {
            rest.iter()
                .any(|(var, _)| *var == format!("LODE_{}", name.to_uppercase()))
        };
        for other in KEYS
            .iter()
            .filter(|other| other.name != key.name && !given(other.name))
        {
            assert_eq!(
                shown(&settings, other.name).1,
                "default",
                "{flag} set {}",
                other.name
            );
        }
    }
    let command = Cli::command();
    let node = command.find_subcommand("node").unwrap();
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        let flag = node.get_arguments().find(|flag| flag.get_id() == key.name);
        let flag = flag.or_else(|| {
            command
                .get_arguments()
                .find(|flag| flag.get_id() == key.name)
        });
        let help = flag.unwrap().get_help().unwrap().to_string();
        let says = format!("[default: {}]", key.default);
        assert!(
            help.ends_with(&says),
            "the help of --{} must end in {says}",
            key.name
        );
    }
    let known = |id: &str| KEYS.iter().any(|key| key.name == id) || id == "help";
    for flag in node.get_arguments() {
        assert!(known(flag.get_id().as_str()), "{flag} is no setting");
    }
}

/// Every checked field holds what its text said.
#[test]
fn fields() {
    let vars: Vec<(String, String)> = KEYS
        .iter()
        .map(|key| {
            (
                format!("LODE_{}", key.name.to_uppercase()),
                other_value(key.name).to_owned(),
            )
        })
        .collect();
    let all = Settings::read(&[], &vars, &[]).unwrap();
    assert_eq!(all.node, "https://example:1");
    assert_eq!(all.ca, Some(PathBuf::from("/ca.pem")));
    assert_eq!(all.dir, Some(PathBuf::from("/d")));
    assert_eq!(all.listen, "127.0.0.2:1".parse().unwrap());
    assert_eq!(
        (all.shards, all.reserve_percent, all.max_connections),
        (Some(3), 3, 3)
    );
    assert_eq!(all.backend, Some(Backend::Posix));
    let chain = all.chain.as_ref().unwrap();
    assert_eq!(chain.url, "http://chain:1");
    let account = chain.account.as_ref().unwrap();
    assert_eq!(account.key, PathBuf::from("/key.json"));
    assert_eq!(account.password_file, PathBuf::from("/password"));
    let zgs = all.zgs.as_ref().unwrap();
    assert_eq!(zgs.listen, "127.0.0.3:1".parse().unwrap());
    assert_eq!(zgs.grpc, Some("127.0.0.3:2".parse().unwrap()));
    assert_eq!(zgs.origins, ["https://one.example", "https://two.example"]);
    assert_eq!((zgs.flow[19], zgs.first_block), (0xf1, 3));
    assert_eq!((zgs.slice.id(), zgs.slice.count()), (1, 4));
    let peers = zgs.peers.as_ref().unwrap();
    assert_eq!(peers.listen, "127.0.0.4:1".parse().unwrap());
    assert_eq!(peers.others[0].host, "example.org:1");
    let port = zgs.operator.loopback.as_ref().unwrap();
    assert_eq!(port.address, "127.0.0.5:1".parse().unwrap());
    assert_eq!(port.token_file, PathBuf::from("/token"));
    let sizes = [all.segment, all.ingest_memory, all.scrub_rate, all.max_blob];
    assert_eq!(sizes, [3 << 20; 4]);
    let spans = [
        all.head_time,
        all.idle_time,
        all.progress_time,
        all.drain_time,
    ];
    assert_eq!(spans, [Duration::from_secs(3); 4]);
    assert_eq!((all.log.as_str(), all.log_json), ("debug", true));
    let limits = all.limits(2);
    assert_eq!((limits.connections, limits.blob_len), (2, 3 << 20));
    assert_eq!(limits.head_time, Duration::from_secs(3));
    let options = all.store(PathBuf::from("/d"), 3);
    assert_eq!(
        (options.shards, options.segment_len, options.ingest_credit),
        (3, 3 << 20, 3 << 20)
    );
    assert_eq!(options.verify, Verify::Hash);
}

/// Flags beat the environment, the environment beats files, a later file beats an earlier one.
#[test]
fn order() {
    let dir = tempfile::tempdir().unwrap();
    let (machine, user) = (dir.path().join("a.toml"), dir.path().join("b.toml"));
    std::fs::write(&machine, "shards = 1\nlog = \"warn\"\nsegment = \"1MiB\"\n").unwrap();
    std::fs::write(&user, "shards = 2\nlog = \"error\"\n").unwrap();
    let files = [machine.clone(), user.clone()].map(|path| ConfigFile {
        path,
        required: true,
    });
    let vars = env(&[
        ("LODE_SHARDS", "3"),
        ("LODE_CONFIG", "x"),
        ("OTHER_SHARDS", "9"),
    ]);
    let settings = Settings::read(&files, &vars, &[]).unwrap();
    assert_eq!(settings.shards, Some(3));
    assert_eq!(shown(&settings, "shards").1, "env LODE_SHARDS");
    assert_eq!(settings.log, "error");
    assert!(
        shown(&settings, "log").1.ends_with("b.toml"),
        "{:?}",
        shown(&settings, "log")
    );
    assert!(shown(&settings, "segment").1.ends_with("a.toml"));
    let settings = Settings::read(&files, &vars, &[("shards", "4")]).unwrap();
    assert_eq!(settings.shards, Some(4));
}

/// A typo is an error that names its place and the nearest key.
#[test]
fn typos() {
    let failure = read(&[], &[("LODE_LISTN", "127.0.0.1:1")]).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(
        failure.what.contains("`listn` (env LODE_LISTN)"),
        "{}",
        failure.what
    );
    assert!(failure.next.contains("`listen`"), "{}", failure.next);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lode.toml");
    std::fs::write(&path, "max_conections = 7\n").unwrap();
    let failure = read(
        &[ConfigFile {
            path,
            required: true,
        }],
        &[],
    )
    .unwrap_err();
    assert!(failure.what.contains("lode.toml"), "{}", failure.what);
    assert!(
        failure.next.contains("`max_connections`"),
        "{}",
        failure.next
    );
}

/// A value out of its form is an error that names key, value, place and form.
#[test]
fn bad_values() {
    for (key, value) in [
        ("LODE_SHARDS", "1025"),
        ("LODE_SHARDS", "two"),
        ("LODE_LISTEN", "5700"),
        ("LODE_BACKEND", "glommio"),
        ("LODE_SEGMENT", "256mib"),
        ("LODE_RESERVE_PERCENT", "100"),
        ("LODE_HEAD_TIME", "10"),
        ("LODE_LOG_FORMAT", "xml"),
        ("LODE_NODE", "ftp://x"),
        ("LODE_MAX_CONNECTIONS", "0"),
    ] {
        let failure = read(&[], &[(key, value)]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(
            failure.what.contains(value) && failure.what.contains(key),
            "{failure}"
        );
    }
    let missing = ConfigFile {
        path: PathBuf::from("/nowhere.toml"),
        required: true,
    };
    assert_eq!(read(&[missing], &[]).unwrap_err().exit, Exit::Usage);
}

/// A named file stands alone; otherwise the machine's file comes before the user's.
#[test]
fn places() {
    let named = config_files(Some(PathBuf::from("x.toml")), &[]);
    assert_eq!(named.len(), 1);
    assert!(named[0].required);
    let found = config_files(None, &env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "")]));
    let paths: Vec<_> = found
        .iter()
        .map(|file| file.path.to_str().unwrap())
        .collect();
    assert_eq!(paths, ["/etc/lode/lode.toml", "/h/.config/lode/lode.toml"]);
    let found = config_files(None, &env(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]));
    assert_eq!(found[1].path, PathBuf::from("/x/lode/lode.toml"));
}

/// The command line is well-formed.
#[test]
fn command_line() {
    Cli::command().debug_assert();
}

/// A node that only follows needs no account; one that settles, or serves without a chain, is told
/// what is missing.
#[test]
fn a_chain_to_follow() {
    let read = |flags: &[(&'static str, &str)]| Settings::read(&[], &[], flags);
    let url = ("chain", "http://chain:1");
    let follows = read(&[url, ("zgs_listen", "127.0.0.1:0")]).unwrap();
    assert_eq!(follows.chain.unwrap().account, None);
    for (flags, missing) in [
        (vec![url], "chain_key"),
        (vec![url, ("chain_key", "/k")], "chain_password_file"),
        (
            vec![url, ("chain_key", "/k"), ("zgs_listen", "127.0.0.1:0")],
            "chain_password_file",
        ),
        (vec![("zgs_listen", "127.0.0.1:0")], "chain is not"),
        (vec![("peers_listen", "127.0.0.1:0")], "zgs_listen is not"),
        (
            vec![("zgs_grpc_listen", "127.0.0.1:0")],
            "zgs_listen is not",
        ),
        (vec![("operator_listen", "unix:/s")], "zgs_listen is not"),
        (vec![("operator_token", "/t")], "zgs_listen is not"),
    ] {
        let failure = read(&flags).unwrap_err();
        assert!(failure.what.contains(missing), "{failure}");
    }
}

/// The operator comes in by a socket, or by a port of this machine with a word; what is neither, is
/// open to others, or would do nothing is refused.
#[test]
fn doors_of_the_operator() {
    let read = |flags: &[(&'static str, &str)]| {
        let with = [("chain", "http://chain:1"), ("zgs_listen", "127.0.0.1:0")];
        Settings::read(&[], &[], &[&with[..], flags].concat())
    };
    let doors = |flags: &[(&'static str, &str)]| read(flags).unwrap().zgs.unwrap().operator;
    let (listen, token) = ("operator_listen", "operator_token");
    assert_eq!(doors(&[]), lode_zgs::OperatorDoors::default());
    let socket = doors(&[(listen, "unix:/run/lode.sock")]);
    assert_eq!(socket.socket, Some(PathBuf::from("/run/lode.sock")));
    assert_eq!(socket.loopback, None);
    for address in ["127.0.0.1:5679", "[::1]:5679"] {
        let port = doors(&[(listen, address), (token, "/t")]);
        assert_eq!(port.socket, None);
        assert_eq!(port.loopback.unwrap().address, address.parse().unwrap());
    }
    for (flags, says) in [
        (vec![(listen, "0.0.0.0:5679"), (token, "/t")], "0.0.0.0"),
        (vec![(listen, "[::]:5679"), (token, "/t")], "[::]"),
        (vec![(listen, "10.0.0.1:5679"), (token, "/t")], "10.0.0.1"),
        (vec![(listen, "unix:")], "unix:"),
        (vec![(listen, "/run/lode.sock")], "/run/lode.sock"),
        (
            vec![(listen, "127.0.0.1:5679")],
            "operator_token is not set",
        ),
        (vec![(listen, "unix:/s"), (token, "/t")], "would do nothing"),
        (vec![(token, "/t")], "would do nothing"),
    ] {
        let failure = read(&flags).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.what.contains(says), "{failure}");
    }
}
