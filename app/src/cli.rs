//! The command line: flags as typed, and their help.
//!
//! Owns: names, help texts, value parsers; the options of each command stand in a
//! file of their own below. Must not: decide anything.

mod copy;
mod corpus;
mod diff;
mod export;
mod image;
mod look;
mod policy;
mod rescore;
mod rules;
mod run;
mod traces;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use {
    copy::*, corpus::*, diff::*, export::*, image::*, look::*, policy::*, rescore::*, rules::*,
    run::*, traces::*,
};

/// A terminal observatory for code nobody trusts yet.
#[derive(Debug, Parser)]
#[command(
    name = "belljar",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "\
Examples:
  belljar run ./some-project              install it in a microVM and watch
  belljar run . -- npm test               run any command instead
  belljar run https://git.example/a.git   clone and install a repository
  belljar npm left-pad@1.3.0              what would this package do?
  belljar pip requests                    the same for a Python package
  belljar run --headless -o t.bjt .       no screen: a summary and a trace
  belljar replay t.bjt                    the same screen, from the trace
  belljar report t.bjt --format json      the same verdict, for scripts
  belljar verify t.bjt                    recompute every digest
  belljar diff 1.2.2.bjt 1.2.3.bjt        what does the new version do?
  belljar rescore --rules new/ traces/    which verdicts would change?
  belljar redact t.bjt -o p.bjt --preset home   a copy without names
  belljar cut t.bjt --around 1 -o f.bjt   the part around a finding
  belljar demo                            look at a bundled recording
  belljar policy explain exec /tmp/x      which line would decide, and why
  belljar rules check falco_rules.yaml    can these rules be evaluated?

Exit codes:
  0 below --fail-on   1 at or above it   2 usage   3 could not enforce or record
  4 determinism mismatch   5 trace damaged   130 interrupted")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Never use colour (NO_COLOR does the same).
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// How the screen looks: dark, light, high-contrast, colour-blind, mono, or a
    /// file: a theme of belljar's, a base16 scheme, a Catppuccin palette (FILE#mocha).
    #[arg(long, global = true, env = "BELLJAR_THEME", value_name = "NAME|FILE")]
    pub(crate) theme: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an install, or any command, in a disposable microVM and watch it.
    Run(Run),
    /// What would this npm package do if I installed it?
    Npm(Npm),
    /// What would this Python package do if I installed it?
    Pip(Pip),
    /// Replay a trace on the screen.
    Replay(Replay),
    /// Judge a trace and print the report.
    Report(Report),
    /// List a trace's events, all or those for which a condition holds.
    Events(Events),
    /// Recompute every digest of a trace and judge it again, several times over.
    Verify(Verify),
    /// Judge recorded traces by other rules, and say which verdicts change and why.
    Rescore(Rescore),
    /// Say what a second run of the same thing did that the first did not.
    Diff(Diff),
    /// Hold rules against a corpus of traces and what is expected of each.
    Test(CorpusTest),
    /// Write a copy of a trace without paths, names, addresses or other words.
    Redact(Redact),
    /// Write the part of a trace around a finding as a trace of its own.
    Cut(Cut),
    /// Make a picture, a film or a page of a trace, as the screen shows it.
    Export(Export),
    /// Replay a bundled recording of a credential thief; needs no machine.
    Demo(Demo),
    /// Show, check, explain, test and learn policies.
    Policy(Policy),
    /// List, remove and tidy up the traces that runs have left.
    Traces(Traces),
    /// List, print and learn what runs ordinarily do.
    Baseline(Baseline),
    /// List, check and explain rules, and try them on traces.
    Rules(Rules),
    /// Build, import, list and remove guest images.
    Image(Image),
    /// Say which parts are there, which are missing, and how to get them.
    Doctor(Doctor),
}

/// What reports look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One report, for scripts.
    Json,
    /// One event a line, then the report.
    Jsonl,
}

/// From which verdict on the exit code is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// WARNING or MALICIOUS.
    Warning,
    /// MALICIOUS only.
    Malicious,
    /// Never.
    Never,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  belljar doctor\n  belljar doctor --format json")]
pub(crate) struct Doctor {
    /// The program to use for cloud-hypervisor; without this it is looked for in PATH.
    #[arg(long, value_name = "FILE", env = "BELLJAR_CLOUD_HYPERVISOR")]
    pub(crate) cloud_hypervisor: Option<std::path::PathBuf>,
    /// How to print it (table or json).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
}

/// `90`, `90s`, `10m`, `2h`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3600),
        _ => (Some(text), 1),
    };
    number
        .and_then(|n| n.parse::<u64>().ok())
        .and_then(|n| n.checked_mul(unit))
        .filter(|seconds| (1..=7 * 24 * 3600).contains(seconds))
        .map(std::time::Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is no time between 1s and 7 days; write 30s, 10m or 2h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_flags_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("90"), Ok(std::time::Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(std::time::Duration::from_secs(600)));
        for wrong in ["", "m", "0", "-1s", "1d", "99999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
