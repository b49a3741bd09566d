//! What writes new traces: `belljar redact` and `belljar cut`: flags as typed,
//! and their help.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::duration;

/// Patterns for what is often redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// The names of the package registries that the run was allowed.
    Registries,
    /// The names of home folders: /home/NAME.
    Home,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar redact run.bjt -o public.bjt --preset home --preset registries
  belljar redact run.bjt -o public.bjt --path '/home/*/project/**' --name '*.corp.example'
  belljar redact run.bjt --dry-run --address 10.0.0.0/8 --output 'token=[a-z0-9]+'

What a pattern matches anywhere is replaced wherever its bytes stand in the
trace, each secret by a placeholder of its own. The new trace lists the
patterns; its digests are new. Look at it before you give it away: what no
pattern matches stays.")]
pub(crate) struct Redact {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Where to write the new one; it must not exist yet.
    #[arg(
        short = 'o',
        long = "to",
        value_name = "FILE",
        required_unless_present = "dry_run"
    )]
    pub(crate) to: Option<PathBuf>,
    /// Paths: `*` stays within a folder, `**` does not (repeatable).
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Vec<String>,
    /// Host names, or globs of them (repeatable).
    #[arg(long, value_name = "PATTERN")]
    pub(crate) name: Vec<String>,
    /// Addresses and networks (repeatable).
    #[arg(long, value_name = "NET")]
    pub(crate) address: Vec<String>,
    /// Regular expressions, for output and every other text (repeatable).
    #[arg(long, value_name = "REGEX")]
    pub(crate) output: Vec<String>,
    /// Patterns for what is often redacted (repeatable).
    #[arg(long, value_enum)]
    pub(crate) preset: Vec<Preset>,
    /// Write nothing; list what would be replaced, how often, and by what.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar cut run.bjt --around 1 -o finding.bjt
  belljar cut run.bjt --around 3 --before 30s --after 2s -o finding.bjt

The new trace has what the run began with, every process, the finding's own
events, and all events in the window. It says that events are missing, so it is
never SAFE.")]
pub(crate) struct Cut {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// The finding's number, as `belljar report` shows it.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) around: u64,
    /// How much before it.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) before: std::time::Duration,
    /// How much after it.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) after: std::time::Duration,
    /// Where to write the new trace; it must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}
