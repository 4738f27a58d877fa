//! `fuzz list` and `fuzz run TARGET…`: the built-in mutational fuzzer on the command line. Exits
//! with 1 on a finding, after writing its input to `fuzz/artifacts`.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{Parser, Subcommand, value_parser};
use fuzz::{
    run::{self, Finding, Plan, Tally},
    targets::{ALL, Target},
};

/// Fuzzes the decoders of foreign bytes.
#[derive(Parser)]
#[command(name = "fuzz")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the names of the targets.
    List,
    /// Runs targets on mutations of their own seeds.
    Run {
        /// Names of targets, or `all`.
        #[arg(required = true)]
        targets: Vec<String>,
        /// Executions of each target; of one that costs more, as many fewer.
        #[arg(long, default_value_t = 1_000_000)]
        runs: u64,
        /// Seed: the same seed and jobs give the same inputs.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Threads.
        #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(1..=1024))]
        jobs: u64,
        /// Longest input in bytes.
        #[arg(long, default_value_t = 65_536)]
        max_len: usize,
        /// Where inputs that fail are written.
        #[arg(long, default_value = "fuzz/artifacts")]
        artifacts: PathBuf,
    },
    /// Runs a target on the bytes of a file.
    Replay {
        /// Name of the target.
        target: String,
        /// The input.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

/// True when there was no finding.
fn dispatch(command: Command) -> Result<bool, String> {
    match command {
        Command::List => {
            for target in ALL {
                println!("{}", target.name);
            }
            Ok(true)
        }
        Command::Run {
            targets,
            runs,
            seed,
            jobs,
            max_len,
            artifacts,
        } => {
            let plan = Plan {
                runs,
                seed,
                jobs,
                len_max: max_len,
                artifacts,
            };
            let mut clean = true;
            for target in named(&targets)? {
                let start = Instant::now();
                let end = run::run(target, &plan);
                clean &= tell(target, &end, start, &plan.artifacts);
            }
            Ok(clean)
        }
        Command::Replay { target, file } => {
            let input =
                std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let artifacts = PathBuf::from("fuzz/artifacts");
            let mut clean = true;
            for target in named(&[target])? {
                let start = Instant::now();
                let end = run::replay(target, &input, &artifacts);
                clean &= tell(target, &end, start, &artifacts);
            }
            Ok(clean)
        }
    }
}

fn named(names: &[String]) -> Result<Vec<&'static Target>, String> {
    if names.iter().any(|name| name == "all") {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        let found = ALL.iter().find(|target| target.name == name);
        found.ok_or_else(|| format!("no target `{name}`; `fuzz list` names them"))
    };
    names.iter().map(find).collect()
}

fn tell(
    target: &Target,
    end: &Result<Tally, Finding>,
    start: Instant,
    artifacts: &std::path::Path,
) -> bool {
    match end {
        Ok(tally) => {
            let micros = start.elapsed().as_micros().max(1);
            println!(
                "{}: {} executions in {:.1} s, {}/s, at most {} KiB and {:.1} ms each, no finding",
                target.name,
                tally.executions,
                start.elapsed().as_secs_f64(),
                u128::from(tally.executions) * 1_000_000 / micros,
                tally.bytes_max.div_ceil(1024),
                tally.time_max.as_secs_f64() * 1000.0,
            );
            true
        }
        Err(finding) => {
            println!("{}", run::report(target.name, finding, artifacts));
            false
        }
    }
}
