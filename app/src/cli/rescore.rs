//! `belljar rescore`: flags as typed, and their help.

use std::path::PathBuf;

use clap::Args;

use super::{Format, RuleArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar rescore --rules new-rules/                        all traces of the store
  belljar rescore traces/ --rules falco_rules.yaml --jobs 4
  belljar rescore traces/ --rules new.yaml --against old.yaml --format json
  belljar rescore traces/ --suppress decided.yaml --findings
  belljar rescore traces/ --rules new/ --no-builtin-rules --against old/
  belljar rescore traces/ --format json > scores.json       what all come to today
  belljar rescore traces/ --against scores.json             held against that later

Each trace is read once and judged twice: by the new rules (--rules, --suppress,
--baseline, as everywhere) and by the old ones. The old ones are the built-in
rules, with those of --against; with --no-builtin-rules those of --against alone.
No suppressions and no named baseline belong to them. --against may instead name
one saved result of --format json or jsonl (the file ends so): then its scores
are the old ones, and each trace is judged once. Scores belong to the events of a
trace, wherever it lies; a trace without one is counted, and is no change.
A trace holds no verdict of
its own, but the digest of the rules that judged it live: where it is that of
the old rules, the old verdict is what its run was told, and the summary says of
how many traces that holds.
Folders are searched for *.bjt. The order of the output is that of the paths,
whatever the number of threads. Exit code 1: a verdict changed. 5: a trace is
damaged (its good part is judged) or could not be read; the others are judged.")]
pub(crate) struct Rescore {
    /// Traces, and folders of them; without any, the store (`belljar traces`).
    #[arg(value_name = "TRACE|DIR")]
    pub(crate) traces: Vec<PathBuf>,
    /// The old rules (repeatable), or one saved result; without it the built-in rules.
    #[arg(long, value_name = "FILE|DIR|SCORES.json")]
    pub(crate) against: Vec<PathBuf>,
    /// How many traces are judged at the same time; default: one a processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,
    /// In the table, also traces whose verdict is the same while findings changed.
    #[arg(long)]
    pub(crate) findings: bool,
    /// How to print it. json and jsonl have every trace, with what it came to.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}
