//! The `lode` command.
//!
//! In reading order: `args` and `settings` say what is asked, `verbs` do it through `client`
//! (or offline; `trust` says whom it believes), `node` is the other end, `chain` settles beside it,
//! `indexer` and `kv` serve 0G's clients over several nodes, `da` is data availability, `demo` and
//! `devnet` show them together, `failure` and `output` tell how it went. `tree`, `source`, `seal` and
//! `keys` are what is put: directories, bytes, and how these are encrypted. `fleet` is several nodes that
//! keep slices of one flow, `crown` what proves the chunks that each of them gets. `settled` is the way from
//! a chunk up to the chain, `roots` computes roots on all cores.

mod args;
mod chain;
mod client;
mod crown;
mod da;
mod demo;
mod devnet;
mod failure;
mod fleet;
mod indexer;
mod journal;
mod keys;
mod kv;
mod node;
mod noise;
mod output;
mod random;
mod roots;
mod seal;
mod service;
mod settings;
mod settled;
mod signals;
mod source;
mod tree;
mod trust;
mod units;
mod verbs;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    args::{Cli, ConfigVerb, Verb},
    failure::Outcome,
    fleet::Nodes,
    output::Output,
    settings::{Settings, config_files},
    verbs::origin::Origin,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    signals::follow_parent();
    let output = Output {
        json: cli.common.json,
        quiet: cli.common.quiet,
    };
    run(&cli, output).unwrap_or_else(|failure| output.failure(&failure))
}

fn run(cli: &Cli, output: Output) -> Outcome<ExitCode> {
    let nodes = || -> Outcome<Nodes> {
        let settings = settings(cli)?;
        Ok(Nodes {
            named: cli.common.nodes(),
            usual: settings.node,
            ca: settings.ca,
        })
    };
    let client = || nodes()?.one();
    match &cli.verb {
        Verb::Node(_) => node::run(&settings(cli)?, output),
        Verb::Chain(args) => chain::run(
            args,
            cli.common.ca.as_deref().map(std::path::Path::new),
            output,
        ),
        Verb::Indexer(args) => indexer::run(args, output),
        Verb::Kv(args) => kv::run(args, settings(cli)?.ca.as_deref(), output),
        Verb::Da(verb) => da::run(verb, output),
        Verb::Devnet(args) => devnet::run(args, output),
        Verb::Genesis(args) => verbs::genesis::run(args, output),
        Verb::Put(args) => verbs::put::run(args, &client()?, output),
        Verb::Get(args) => verbs::get::run(args, &nodes()?, output),
        Verb::Ls(args) => verbs::folder::list(args, &Origin::Node(client()?), output),
        Verb::Cat(args) => verbs::folder::cat(args, &Origin::Node(client()?), output),
        Verb::Diff(args) => verbs::diff::run(args, &Origin::Node(client()?), output),
        Verb::Submit(args) => verbs::submit::run(args, &nodes()?, output),
        Verb::Stat(args) => verbs::stat::run(args, &client()?, output),
        Verb::Rm(args) => verbs::rm::run(args, &client()?, output),
        Verb::Root(args) => verbs::root::run(args, output),
        Verb::Prove(args) => verbs::prove::run(args, &client()?, output),
        Verb::Verify(args) => verbs::verify::run(args, output),
        Verb::Scrub(args) => verbs::scrub::run(args, &client()?, output),
        Verb::Epoch(args) => verbs::epoch::run(args, &client()?, output),
        Verb::Demo(args) => demo::run(args, output),
        Verb::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "lode", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Verb::Config(ConfigVerb::Show(_)) => {
            verbs::show::run(&settings(cli)?, output).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// All layers of settings, read once per run.
fn settings(cli: &Cli) -> Outcome<Settings> {
    let mut flags = cli.common.given();
    if let Verb::Node(node) | Verb::Config(ConfigVerb::Show(node)) = &cli.verb {
        flags.extend(node.given());
    }
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    let env: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let files = config_files(cli.common.config.clone(), &env);
    Settings::read(&files, &env, &flags)
}
