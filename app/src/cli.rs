//! The command line: flags as typed, and their help.
//!
//! Owns: names, help texts, value parsers. Must not: decide anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
  belljar run --headless -o t.bjt .       no screen: a summary and a trace
  belljar replay t.bjt                    the same screen, from the trace
  belljar report t.bjt --format json      the same verdict, for scripts
  belljar verify t.bjt                    recompute every digest
  belljar redact t.bjt -o p.bjt --preset home   a copy without names
  belljar cut t.bjt --around 1 -o f.bjt   the part around a finding

Exit codes:
  0 below --fail-on   1 at or above it   2 usage   3 could not enforce or record
  4 determinism mismatch   5 trace damaged   130 interrupted")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Never use colour (NO_COLOR does the same).
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an install, or any command, in a disposable microVM and watch it.
    Run(Run),
    /// Replay a trace on the screen.
    Replay(Replay),
    /// Judge a trace and print the report.
    Report(Report),
    /// Recompute every digest of a trace and judge it again, several times over.
    Verify(Verify),
    /// Write a copy of a trace without paths, names, addresses or other words.
    Redact(Redact),
    /// Write the part of a trace around a finding as a trace of its own.
    Cut(Cut),
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

/// Which machine to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MachineArg {
    /// The best that really works here.
    Auto,
    /// QEMU.
    Qemu,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar run ./left-padded
  belljar run --headless . -- npm install express
  belljar run --allow api.example:443 --timeout 5m . -- node server.js

The folder is copied into the guest; nothing in it is changed. Files that look
like credentials, and files that git ignores, stay out (the report names them).
The guest has no network card: each connection is judged by the policy and then
made by belljar. The package manager's own registries are allowed.")]
pub(crate) struct Run {
    /// The project folder.
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
    /// The command; default: `npm install` where there is a package.json.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) argv: Vec<std::ffi::OsString>,
    /// No screen, no questions: print the report at the end.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Where to write the trace.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Allow a destination: HOST, HOST:PORT, *.DOMAIN or IP:PORT (repeatable).
    #[arg(long, value_name = "DEST")]
    pub(crate) allow: Vec<String>,
    /// Do not allow the package manager's own registries.
    #[arg(long)]
    pub(crate) no_registries: bool,
    /// How to print the report (headless).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    /// From which verdict on the exit code is 1.
    #[arg(long, value_enum, default_value = "warning")]
    pub(crate) fail_on: FailOn,
    /// Consent to software emulation, which is no security boundary.
    #[arg(long, env = "BELLJAR_ALLOW_DEGRADED", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) allow_degraded: bool,
    /// Which machine to use.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) machine: MachineArg,
    /// End the run after this time (30s, 10m, 2h).
    #[arg(long, value_parser = duration, default_value = "30m")]
    pub(crate) timeout: std::time::Duration,
    /// Virtual processors.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub(crate) cpus: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(512..=65536))]
    pub(crate) memory: u32,
    /// Space for changed files in MiB (it is memory).
    #[arg(long, default_value_t = 1400, value_parser = clap::value_parser!(u32).range(64..=65536))]
    pub(crate) disk: u32,
    /// Most processes and threads.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(16..=100_000))]
    pub(crate) pids: u32,
    /// Do not trace calls: measures what tracing costs. Never SAFE.
    #[arg(long, hide = true)]
    pub(crate) no_trace: bool,
    /// Words for the guest kernel's command line: tests ask for faults with it.
    #[arg(long, hide = true, default_value = "")]
    pub(crate) guest_cmdline: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar replay run.bjt\n  belljar replay --at 12.5 run.bjt\n\nKeys: space pauses, arrows jump 5 s, , and . step, [ and ] go to findings, ? shows all."
)]
pub(crate) struct Replay {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Start at this second, paused.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<f64>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar report run.bjt\n  belljar report run.bjt --format json\n  belljar report run.bjt --format jsonl | jq .type"
)]
pub(crate) struct Report {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    /// From which verdict on the exit code is 1.
    #[arg(long, value_enum, default_value = "warning")]
    pub(crate) fail_on: FailOn,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar verify run.bjt\n  belljar verify --threads 8 traces/*.bjt"
)]
pub(crate) struct Verify {
    /// The traces.
    #[arg(required = true)]
    pub(crate) traces: Vec<PathBuf>,
    /// How many threads judge at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
}

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

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  belljar doctor\n  belljar doctor --format json")]
pub(crate) struct Doctor {
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
