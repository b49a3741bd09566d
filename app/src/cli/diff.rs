//! `belljar diff`: flags as typed, and their help.

use std::path::PathBuf;

use clap::Args;

use super::{Format, RuleArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar diff tool-1.2.2.bjt tool-1.2.3.bjt
  belljar diff tool-1.2.2.bjt tool-1.2.3.bjt --fold '1\\.2\\.[23]'
  belljar diff a.bjt b.bjt --format json | jq '.sections[].new'
  belljar diff a.bjt b.bjt --all
  belljar diff tool-1.2.2.bjt tool-1.2.3.bjt --screen
  belljar diff --folds

What is held against each other: verdict, phases and how they ended, lifecycle
scripts, findings, programs with their arguments, destinations, names, and paths
with the kinds of access. + is only in B, - only in A, ~ in both, but not alike;
#N is an event of the trace in which the thing stands.
Folded, so that two runs of the same thing are the same: ids, times, random
names, digests in paths, the payload's home, the project's folder, canaries.
How often something happened, and in which order, makes no difference.
Exit code 0: the same. 1: they differ. 5: a trace is damaged (its good part is
compared).")]
pub(crate) struct Diff {
    /// The first run: what is known, version 1.2.2.
    #[arg(value_name = "A", required_unless_present = "folds")]
    pub(crate) a: Option<PathBuf>,
    /// The second run: what is new, version 1.2.3.
    #[arg(value_name = "B", required_unless_present = "folds")]
    pub(crate) b: Option<PathBuf>,
    /// Also fold what this regular expression matches (repeatable).
    #[arg(long, value_name = "REGEX")]
    pub(crate) fold: Vec<String>,
    /// List every row; without it the table has 40 of each sort.
    #[arg(long)]
    pub(crate) all: bool,
    /// List what is folded, and do nothing else.
    #[arg(long, conflicts_with_all = ["a", "b"])]
    pub(crate) folds: bool,
    /// Look at both side by side on the screen, with the events behind each row.
    #[arg(long, conflicts_with_all = ["folds", "all", "format"])]
    pub(crate) screen: bool,
    /// How to print it (table or json).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}
