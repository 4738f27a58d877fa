//! Where things are printed: data on stdout, everything else on stderr, bars only for people.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::failure::{Exit, Failure, Outcome};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON on stdout, and errors as JSON on stderr.
    pub json: bool,
    /// Only what scripts need.
    pub quiet: bool,
}

impl Output {
    /// One result: as JSON, short for scripts, or long for people. An empty text prints nothing.
    pub fn data(self, json: &Value, short: &str, long: &str) -> Outcome<()> {
        match (self.json, self.quiet) {
            (true, _) => self.line(&json.to_string()),
            (false, true) => self.line(short),
            (false, false) => self.line(long),
        }
    }

    fn line(self, text: &str) -> Outcome<()> {
        if text.is_empty() {
            return Ok(());
        }
        writeln!(io::stdout().lock(), "{text}").map_err(|error| Failure::file("stdout", &error))
    }

    /// Something worth knowing that is no data.
    pub fn note(self, text: &str) {
        if !self.quiet && !self.json {
            eprintln!("{text}");
        }
    }

    /// A failure. Returns the exit code that goes with it.
    pub fn failure(self, failure: &Failure) -> ExitCode {
        match self.json {
            true => eprintln!("{}", failure.to_json()),
            false => eprintln!("{failure}"),
        }
        failure.exit.into()
    }

    /// Whether a person watches stderr.
    pub fn is_watched(self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// The same without bars.
    pub fn unwatched(self) -> Output {
        Output {
            quiet: true,
            ..self
        }
    }

    /// A bar over `bytes`, or over an unknown number of them. Invisible unless somebody watches.
    pub fn bar(self, what: &str, bytes: Option<u64>) -> ProgressBar {
        if !self.is_watched() {
            return ProgressBar::with_draw_target(bytes, ProgressDrawTarget::hidden());
        }
        let form = match bytes {
            Some(_) => {
                "{msg:32!} {bar:24} {bytes:>11} of {total_bytes:>11} {bytes_per_sec:>12} {eta:>4}"
            }
            None => "{msg:32!} {spinner} {bytes:>11} {bytes_per_sec:>12}",
        };
        let style =
            ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr())
            .with_style(style)
            .with_message(what.to_owned())
    }
}

impl Output {
    /// A bar over `parts`, shown as percents. Invisible unless somebody watches.
    pub fn percents(self, parts: u64) -> ProgressBar {
        if !self.is_watched() {
            return ProgressBar::with_draw_target(Some(parts), ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg:40!} {bar:24} {percent:>3} % {eta:>4}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(parts), ProgressDrawTarget::stderr()).with_style(style)
    }

    /// A sign that something goes on, without a measure. Invisible unless somebody watches.
    pub fn spinner(self, what: &'static str) -> ProgressBar {
        if !self.is_watched() {
            return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
            .with_style(style)
            .with_message(what)
    }
}

/// A name from elsewhere as one line of text, whatever a terminal would make of it.
pub fn plain(name: &str) -> String {
    let letter = |letter: char| match letter {
        control if control.is_control() => control.escape_default().to_string(),
        other => other.to_string(),
    };
    name.chars().map(letter).collect()
}

/// The exit code of a batch: the one failure's own, or 1 when several things happened.
pub fn batch_exit(failures: &[Failure], total: usize) -> ExitCode {
    match failures {
        [] => ExitCode::SUCCESS,
        [only] if total == 1 => only.exit.into(),
        _ => Exit::Other.into(),
    }
}
