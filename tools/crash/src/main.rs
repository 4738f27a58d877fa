//! The `crash` command: one proof per verb, see the library's map.

use std::process::ExitCode;

use clap::Parser;
use crash::{
    apart::{self, Apart, Mounter},
    args::{Cli, Verb},
    chain,
    failure::{Failure, Outcome},
    full, guarded,
    kill::{self, Report},
    power,
    setup::Setup,
    storage,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(report) => {
            match cli.common.json {
                true => println!("{}", report.json),
                false => println!("{}", report.text),
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            match (&failure, cli.common.json) {
                (Failure::Skipped(why), true) => {
                    println!("{}", serde_json::json!({ "skipped": why }));
                }
                _ => eprintln!("crash: {failure}"),
            }
            failure.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Outcome<Report> {
    let mut no_splits = None;
    // Filesystems are mounted apart from the machine's; this may start the program again.
    let mounter = match &cli.verb {
        Verb::Guarded {
            without_ring,
            command,
        } => return Err(guarded::become_command(command, *without_ring)),
        Verb::Power { .. } => apart::go(Apart::Images)?,
        Verb::Full { .. } => apart::go(Apart::Memory)?,
        Verb::ChainPartition { .. } => apart::go(Apart::Network)?,
        Verb::Storage { .. } => match apart::go(Apart::Network) {
            // All of it but the splits can do without.
            Err(Failure::Skipped(why)) => {
                no_splits = Some(why);
                Mounter::Root
            }
            other => other?,
        },
        Verb::Kill { .. }
        | Verb::Seccomp { .. }
        | Verb::Chain { .. }
        | Verb::ChainEpochs { .. }
        | Verb::ChainSync { .. } => Mounter::Root,
    };
    let crash = std::env::current_exe().map_err(Failure::machine("finding this program"))?;
    let mut setup = Setup::new(&cli.common, crash)?;
    let outcome = match &cli.verb {
        Verb::Chain { cycles, validators } => chain::kill::run(&setup, *cycles, validators),
        Verb::ChainEpochs { blocks } => chain::epochs::run(&setup, *blocks),
        Verb::ChainSync { blocks, before } => chain::sync::run(&setup, *blocks, *before),
        Verb::ChainPartition { rounds } => chain::partition::run(&setup, *rounds),
        Verb::Storage {
            rounds,
            blobs,
            largest,
        } => {
            let plan = storage::run::Plan {
                rounds: *rounds,
                blobs: usize::try_from(*blobs).unwrap_or(usize::MAX),
                largest: *largest << 20,
                no_splits,
            };
            storage::run::run(&setup, &plan)
        }
        Verb::Kill { cycles } => kill::run(&setup, *cycles),
        Verb::Seccomp { cycles } => kill::run_without_ring(&mut setup, *cycles),
        Verb::Power { rounds } => power::run(&setup, *rounds),
        Verb::Full { size } => full::run(&setup, *size << 20, mounter),
        Verb::Guarded { .. } => Err(Failure::Method("not a proof".to_owned())),
    };
    setup.end(outcome)
}
