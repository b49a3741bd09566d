//! `belljar test`: flags as typed, and their help.

use std::path::PathBuf;

use clap::Args;

use super::{Format, RuleArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar test --corpus traces/ --expect traces/expect.yaml
  belljar test --corpus traces/ --expect expect.yaml --rules mine/ --junit out.xml

This is for people who maintain rules: whole recorded runs, and what the rules
are to find in each. `belljar rules test TRACE` is something else: it lists which
rules fire on a trace, and expects nothing. The expectations, in YAML:
  expect:
    - trace: npm/*.bjt             # path or glob, from the corpus folder
      verdict: SAFE                # or a list: [SAFE, WARNING]
      others: {at_most: 0}         # findings of rules that are not named below
      rules:
        - {rule: L3-SUS-004, exactly: 1}
        - {rule: L4-NET-006, at_least: 1}
        - {rule: L4-HONEY-001, at_most: 0}
All entries whose path or glob fits a trace hold for it. Suppressed findings do
not count. An entry that fits no trace is a miss; a trace that no entry fits is a
warning, with --strict a miss.
Exit code 0: all as expected. 1: a miss. 2: the file or the rules are wrong.
5: a trace is damaged or could not be read.")]
pub(crate) struct CorpusTest {
    /// The folder of the traces.
    #[arg(long, value_name = "DIR")]
    pub(crate) corpus: PathBuf,
    /// What is expected.
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: PathBuf,
    /// Also write the outcome here, as JUnit's XML (replaces a file of that name).
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// A trace that no expectation fits is a miss.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How many traces are judged at the same time; default: one a processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,
    /// How to print it (table or json).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}
