//! `belljar rules` and `belljar baseline`, and which rules any command judges
//! by: flags as typed, and their help.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// Which rules judge.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RuleArgs {
    /// Also judge by these rules: belljar's, Falco's or Sigma's files, or folders
    /// of them (repeatable; Falco files override each other in this order).
    #[arg(long = "rules", value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    /// Judge by those alone.
    #[arg(long, requires = "files")]
    pub(crate) no_builtin_rules: bool,
    /// What was decided about rules and findings: a file of suppressions and
    /// severities, each with a reason and a last day. The report shows them.
    #[arg(long, value_name = "FILE")]
    pub(crate) suppress: Option<PathBuf>,
    /// What the run is held against: a built-in baseline by name, a file, or
    /// none. Without it what ran decides.
    #[arg(long, value_name = "NAME|FILE|none")]
    pub(crate) baseline: Option<String>,
}

/// What runs ordinarily do.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar baseline list
  belljar baseline show npm-install
  belljar baseline learn tool-1.2.1.bjt tool-1.2.2.bjt -o tool.yaml
  belljar report tool-1.2.3.bjt --baseline tool.yaml")]
pub(crate) struct Baseline {
    #[command(subcommand)]
    pub(crate) action: BaselineAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineAction {
    /// List the built-in baselines.
    List,
    /// Print the file that a built-in baseline stands in, to start one from.
    Show {
        /// Its name.
        name: String,
    },
    /// Write a baseline of what these traces did.
    Learn {
        /// The traces: runs that are known to be good.
        #[arg(required = true, value_name = "TRACE")]
        traces: Vec<PathBuf>,
        /// Where to write it; it must not exist yet.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar rules list
  belljar rules check falco_rules.yaml sigma/
  belljar rules explain L4-HONEY-001
  belljar rules explain falco:fileless-execution-via-memfd-create --rules falco_rules.yaml
  belljar rules test run.bjt --rules sigma/ --no-builtin-rules

`check` says of each rule whether it can be evaluated, else exactly which field,
call or feature is missing; its exit code is 1 if a text does not hold together.")]
pub(crate) struct Rules {
    #[command(subcommand)]
    pub(crate) action: RulesAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesAction {
    /// List the rules that judge.
    List {
        #[command(flatten)]
        rules: RuleArgs,
        /// How to print it (table or json).
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Say of each rule in these files whether it can be evaluated, and why not.
    Check {
        /// Files and folders.
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
        /// Only what cannot be evaluated, and the sum.
        #[arg(long)]
        quiet: bool,
        /// How to print it (table or json).
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Say what a rule looks for, why, and what to do.
    Explain {
        /// Its id.
        id: String,
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Say which rules hold for which events of a trace.
    Test {
        /// The traces.
        #[arg(required = true, value_name = "TRACE")]
        traces: Vec<PathBuf>,
        #[command(flatten)]
        rules: RuleArgs,
    },
}
