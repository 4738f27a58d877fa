//! The command line of the benches: which one, how much, and where its result is kept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use benches::{
    chain, da, disk,
    error::{Error, Result},
    figures::{self, Figure},
    gauge::Gauge,
    http, keccak,
    machine::Machine,
    plot, restart, store,
};
use clap::{Args, Parser, Subcommand, value_parser};
use serde_json::{Value, json};

/// Measures lode, its limits and its peers.
#[derive(Parser)]
#[command(name = "benches")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The sector tree, beside the keccak crates.
    Keccak(Settings),
    /// What the disk itself can do.
    Disk(Settings),
    /// Every store that was compiled in, beside the disk.
    Store(Settings),
    /// How long a start takes, and what the index costs.
    Restart(Settings),
    /// A node over HTTP, beside the store and the disk.
    Http(Settings),
    /// Data availability on one core, beside its hashes and other ways to have it.
    Da(Settings),
    /// The settlement chain through its RPC, beside execution alone and anvil.
    Chain(ChainSettings),
    /// All of the above but the chain; result files get the bench's name.
    All(Settings),
    /// Draws a result file again.
    Plot {
        /// A result file; the plot gets the same name and `.svg`.
        file: PathBuf,
    },
}

#[derive(Args, Clone)]
struct Settings {
    /// Folder on the disk to measure.
    #[arg(long, default_value = "target/benches")]
    dir: PathBuf,
    /// Where to keep the result; a folder for `all`. A plot is put beside it.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Least time of each timed job.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Bytes of each store and of the disk's files, of the blob of `http`, or of the container of
    /// `da`; K, M and G are powers of 1024. Default: 2G, 4G for the blob, and 1M, 32M and 128M, one
    /// container after the other.
    #[arg(long, value_parser = parse_bytes)]
    size: Option<u64>,
    /// Rounds; the median and the best of them are shown.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Records of each store of the restart bench.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000, 10_000_000])]
    records: Vec<u64>,
    /// Only these stores, by name.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Args, Clone)]
struct ChainSettings {
    #[command(flatten)]
    common: Settings,
    /// Validators of each network.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    validators: Vec<usize>,
    /// Accounts that send.
    #[arg(long, default_value_t = 50)]
    senders: u64,
    /// Accounts that send where there are many.
    #[arg(long, default_value_t = 1000)]
    crowd: u64,
    /// Transactions of the longest job.
    #[arg(long, default_value_t = 100_000)]
    transactions: u64,
    /// Transactions that may wait in the mempool.
    #[arg(long, default_value_t = 20_000)]
    waiting: u64,
    /// The lode command; without it, the one beside this program.
    #[arg(long)]
    lode: Option<PathBuf>,
    /// The anvil command; without it, ours alone are measured.
    #[arg(long, env = "ANVIL")]
    anvil: Option<PathBuf>,
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Keccak(settings) => bench(KECCAK, &settings),
        Command::Disk(settings) => bench(DISK, &settings),
        Command::Store(settings) => bench(STORE, &settings),
        Command::Restart(settings) => bench(RESTART, &settings),
        Command::Http(settings) => bench(HTTP, &settings),
        Command::Da(settings) => bench(DA, &settings),
        Command::Chain(settings) => measure("chain", &settings.common, 0, || run_chain(&settings)),
        Command::All(settings) => {
            for one in [KECCAK, DISK, STORE, RESTART, HTTP, DA] {
                let in_dir = |dir: &PathBuf| dir.join(format!("{}.json", one.name));
                let json = settings.json.as_ref().map(in_dir);
                let settings = Settings {
                    json,
                    // A length for stores is none for a container.
                    size: settings.size.filter(|_| one.len > 0),
                    ..settings.clone()
                };
                bench(one, &settings)?;
            }
            Ok(())
        }
        Command::Plot { file } => {
            let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
            let report = serde_json::from_str(&text).map_err(|error| {
                Error::Usage(format!("{} is no result: {error}", file.display()))
            })?;
            draw(&report, &file)
        }
    }
}

/// One bench.
#[derive(Clone, Copy)]
struct Bench {
    name: &'static str,
    /// Bytes that it works on where none are asked for.
    len: u64,
    /// Does it and prints what it finds.
    run: fn(&Settings, u64, Duration) -> Result<Value>,
}

const KECCAK: Bench = Bench {
    name: "keccak",
    len: 0,
    run: run_keccak,
};
const DISK: Bench = Bench {
    name: "disk",
    len: 2 << 30,
    run: run_disk,
};
const STORE: Bench = Bench {
    name: "store",
    len: 2 << 30,
    run: run_store,
};
const RESTART: Bench = Bench {
    name: "restart",
    len: 0,
    run: run_restart,
};
const HTTP: Bench = Bench {
    name: "http",
    len: 4 << 30,
    run: run_http,
};

const DA: Bench = Bench {
    name: "da",
    len: 0,
    run: run_da,
};

/// Puts the tree's figures into the form of the others; prints them itself.
fn run_keccak(settings: &Settings, _: u64, _: Duration) -> Result<Value> {
    let found = keccak::run(settings.seconds);
    let none = Vec::new();
    let rows = |name: &str| found[name].as_array().unwrap_or(&none).clone();
    let figure = |what: &str, subject: String, row: &Value, ratio: &str| {
        json!({"what": what, "subject": subject, "unit": "MB/s",
            "median": row["median"], "best": row["best"], "of_limit": row[ratio]})
    };
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let tree = rows("tree_one_core").into_iter().map(|row| {
        figure(
            "sector tree on one core, beside the best crate",
            text(&row["subject"]),
            &row,
            "of_best_crate",
        )
    });
    let cores = rows("tree_by_cores").into_iter().map(|row| {
        figure(
            "sector tree by cores, beside one core",
            format!("{} cores", row["cores"]),
            &row,
            "of_one_core",
        )
    });
    let figures: Vec<Value> = tree.chain(cores).collect();
    Ok(json!({"figures": figures, "found": found}))
}

fn run_disk(settings: &Settings, len: u64, span: Duration) -> Result<Value> {
    shown(&disk::run(&settings.dir, len, span, settings.rounds)?)
}

fn run_restart(settings: &Settings, _: u64, _: Duration) -> Result<Value> {
    restart::run(&settings.dir, &settings.records)
}

fn run_http(settings: &Settings, len: u64, span: Duration) -> Result<Value> {
    let rounds = settings.rounds;
    let found = http::run(&settings.dir, http::Settings { len, span, rounds })?;
    http::print(&found);
    Ok(with_gauges(
        json!({"figures": found.figures}),
        &found.gauges,
    ))
}

fn run_da(settings: &Settings, len: u64, span: Duration) -> Result<Value> {
    let found = da::run(&da::Settings {
        lens: if len == 0 {
            da::LENS.to_vec()
        } else {
            vec![len]
        },
        // There are many jobs, each of which is done as often as it takes.
        span: span / 8,
        rounds: settings.rounds,
    })?;
    da::print(&found);
    Ok(with_gauges(
        json!({"figures": found.figures}),
        &found.gauges,
    ))
}

/// Figures, with everything else in the form of figures behind them.
fn with_gauges(mut report: Value, gauges: &[Gauge]) -> Value {
    if let Some(figures) = report["figures"].as_array_mut() {
        figures.extend(gauges.iter().map(Gauge::figure));
    }
    report
}

fn run_chain(settings: &ChainSettings) -> Result<Value> {
    let found = chain::run(
        &settings.common.dir,
        &chain::Settings {
            validators: settings.validators.clone(),
            senders: settings.senders,
            crowd: settings.crowd,
            transactions: settings.transactions,
            waiting: settings.waiting,
            rounds: settings.common.rounds,
            lode: settings.lode.clone(),
            anvil: settings.anvil.clone(),
        },
    )?;
    chain::print(&found);
    let report = json!({
        "figures": found.figures,
        "threads": found.threads,
        "load": {
            "senders": settings.senders, "crowd": settings.crowd,
            "transactions": settings.transactions, "waiting": settings.waiting,
        },
    });
    Ok(with_gauges(report, &found.gauges))
}

fn shown(figures: &[Figure]) -> Result<Value> {
    figures::print(figures);
    Ok(json!({"figures": figures}))
}

fn run_store(settings: &Settings, len: u64, span: Duration) -> Result<Value> {
    let mut candidates = store::candidates();
    let known: Vec<&str> = candidates.iter().map(|candidate| candidate.name).collect();
    if let Some(unknown) = settings
        .only
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(Error::Usage(format!(
            "no store `{unknown}` was compiled in, only {known:?}"
        )));
    }
    let asked =
        |name: &str| settings.only.is_empty() || settings.only.iter().any(|only| only == name);
    candidates.retain(|candidate| asked(candidate.name));
    let rounds = store::Settings {
        len,
        span,
        rounds: settings.rounds,
    };
    shown(&store::run(&settings.dir, &candidates, rounds)?)
}

fn bench(bench: Bench, settings: &Settings) -> Result<()> {
    let span = Duration::try_from_secs_f64(settings.seconds)
        .map_err(|error| Error::Usage(format!("--seconds {}: {error}", settings.seconds)))?;
    let len = settings.size.unwrap_or(bench.len);
    measure(bench.name, settings, len, || {
        (bench.run)(settings, len, span)
    })
}

/// Does it, and keeps what it finds with where and when.
fn measure(
    name: &str,
    settings: &Settings,
    len: u64,
    run: impl FnOnce() -> Result<Value>,
) -> Result<()> {
    fs::create_dir_all(&settings.dir).map_err(Error::io("make", &settings.dir))?;
    let machine = Machine::look(&settings.dir);
    let mut report = run()?;
    report["bench"] = json!(name);
    report["machine"] = json!(machine);
    report["settings"] =
        json!({"bytes": len, "seconds": settings.seconds, "rounds": settings.rounds});
    let Some(file) = &settings.json else {
        return Ok(());
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    }
    let text = format!("{report:#}\n");
    fs::write(file, text).map_err(Error::io("write", file))?;
    draw(&report, file)
}

fn draw(report: &Value, file: &Path) -> Result<()> {
    let Some(drawn) = plot::svg(report) else {
        return Ok(());
    };
    let file = file.with_extension("svg");
    fs::write(&file, drawn).map_err(Error::io("write", &file))
}

/// `64`, `64K`, `16M`, `2G`.
fn parse_bytes(text: &str) -> std::result::Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a number, or one with K, M or G".to_owned())?;
    number
        .checked_mul(1 << shift)
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use benches::scratch::Scratch;
    use clap::CommandFactory;

    use super::{Arguments, DISK, Settings, bench, parse_bytes};

    /// Proves that the command line is consistent and that sizes mean what they say.
    #[test]
    fn reads_the_command_line() {
        Arguments::command().debug_assert();
        assert_eq!(parse_bytes("7"), Ok(7));
        assert_eq!(parse_bytes("2G"), Ok(2 << 30));
        for wrong in ["", "G", "-1", "1T", "0", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    /// Proves that a result file carries figures and machine, and that its plot is beside it.
    #[test]
    fn keeps_results_with_a_plot() {
        let scratch = Scratch::new("results").unwrap();
        let json = scratch.path().join("deep/disk.json");
        let settings = Settings {
            records: Vec::new(),
            dir: scratch.path().to_owned(),
            json: Some(json.clone()),
            seconds: 0.002,
            size: Some(1),
            rounds: 1,
            only: vec![],
        };
        bench(DISK, &settings).unwrap();
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!(report["figures"].as_array().unwrap().len(), 12);
        assert!(report["machine"]["kernel"].is_string());
        let plot = std::fs::read_to_string(json.with_extension("svg")).unwrap();
        assert!(plot.starts_with("<svg") && plot.contains("durable append"));
    }
}
