//! What looks at a trace: `belljar replay`, `report`, `verify`, `events`,
//! `demo`: flags as typed, and their help.

use std::path::PathBuf;

use clap::Args;

use super::{FailOn, Format, RuleArgs};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar replay run.bjt\n  belljar replay --at 12.5 run.bjt\n  belljar replay run.bjt --rules mine.yaml\n  belljar replay run.bjt --follow\n  belljar replay run.bjt --policy strict\n  belljar replay run.bjt --policy strict --screen\n  belljar replay run.bjt --policy mine.toml --format json\n\nKeys: space pauses, arrows jump 5 s, , and . step, [ and ] go to findings, ? shows all.\nFiles of --rules are watched: edit one, and the trace is judged again at once.\n\nWith --policy the differences are printed; with --screen they are marks in the\nrecording: P lists them, ( and ) go from one to the next. Of the table the exit\ncode is 1 if that policy would have denied something that the run allowed."
)]
pub(crate) struct Replay {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Say what this policy would have decided, and where that differs: default,
    /// observe, strict, or a policy file. It stands behind the run's own --allow,
    /// registries and profiles.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "at")]
    pub(crate) policy: Option<String>,
    /// With --policy: show it on the screen, not as a table.
    #[arg(long, requires = "policy", conflicts_with_all = ["all", "format"])]
    pub(crate) screen: bool,
    /// List what both policies agree on, too.
    #[arg(long, requires = "policy")]
    pub(crate) all: bool,
    /// How to print what differs (table or json).
    #[arg(long, value_enum, default_value = "table", requires = "policy")]
    pub(crate) format: Format,
    /// Start at this second, paused.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<f64>,
    /// The trace is still being written: show what comes, as it comes.
    #[arg(long, conflicts_with_all = ["policy", "at"])]
    pub(crate) follow: bool,
    /// Longest pause while it plays, in seconds of the recording.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 2.0,
        conflicts_with = "policy"
    )]
    pub(crate) idle: f64,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
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
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
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
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar events run.bjt
  belljar events run.bjt --filter 'evt.type = connect and proc.name = node'
  belljar events run.bjt --filter 'fs.path.written startswith /home/' --format jsonl

The condition is the language of the rules and of the screen's filter. A ? before
a line: the condition could be neither affirmed nor denied for it. What the
condition cannot hold for is verified, but not decoded.")]
pub(crate) struct Events {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Only events for which this holds, or may hold.
    #[arg(long, value_name = "COND")]
    pub(crate) filter: Option<String>,
    /// Only say how many.
    #[arg(long)]
    pub(crate) count: bool,
    /// How to print them (table or jsonl).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar demo\n  belljar demo --list\n  belljar demo benign\n\nWhere there is no terminal, the report is printed."
)]
pub(crate) struct Demo {
    /// Which recording.
    #[arg(default_value = "thief")]
    pub(crate) name: String,
    /// List the recordings.
    #[arg(long)]
    pub(crate) list: bool,
    /// Start at this second, paused.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<f64>,
}
