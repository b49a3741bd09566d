//! `belljar policy`: flags as typed, and their help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Format;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar policy show default
  belljar policy check mine.toml team.yaml .belljar.toml
  belljar policy explain connect files.example:443
  belljar policy test mine.toml
  belljar policy learn run.bjt -o learned.toml

A policy is an ordered list of lines; the first that matches decides. A run asks
in this order: --allow, --lure, your own lines (`policy show user`), registries,
profiles, then the preset or the file of --policy. A .belljar.toml in the
project's folder can only tighten all of it.")]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say of each line who enforces it, or why it is refused.
    Check(Check),
    /// Print a preset, a profile or your own lines, with their comments.
    Show(Show),
    /// Say which line decides in a case, why, and who enforces it.
    Explain(Box<Explain>),
    /// Run the cases that are written beside a policy.
    Test(Test),
    /// Make the least policy that would have allowed what traces did.
    Learn(Learn),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar policy check mine.toml
  belljar policy check default strict team.yaml
  belljar policy check .belljar.toml

kernel: the guest's kernel by itself. hold: the call waits for the host's answer.
host: decided when the flow or the lookup reaches the host. Lines that can never
decide, because an earlier one covers them, are warned of. Exit code 2 if a line
is wrong or could not be enforced.")]
pub(crate) struct Check {
    /// Policy files (TOML or YAML), presets, profiles, or `user`.
    #[arg(required = true, value_name = "FILE|NAME")]
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar policy show strict > mine.toml
  belljar policy show node
  belljar policy show user
  belljar policy show")]
pub(crate) struct Show {
    /// A preset, a profile, `user` or a file; without one all names are listed.
    #[arg(value_name = "NAME|FILE")]
    pub(crate) name: Option<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    /// It is so.
    Yes,
    /// It is not.
    No,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar policy explain connect files.example:443
  belljar policy explain exec /tmp/.x/tool --dropped yes --policy strict
  belljar policy explain read '~/.ssh/id_rsa'
  belljar policy explain rename '~/.npmrc' --other /tmp/x --project .
  belljar policy explain connect a.example:443 --program /usr/bin/curl --format json

What is not said of a case is not known, and counts against the guest; the lines
that hang on it are marked `maybe` and say what they want to know. Registries of
the package managers are allowed besides: they are known when there is an image.")]
pub(crate) struct Explain {
    /// read, write, exec, connect, unlink, rename, link or chmod.
    #[arg(value_name = "OP")]
    pub(crate) op: String,
    /// A path in the guest, or NAME:PORT or IP:PORT. `~/` is the payload's home.
    #[arg(value_name = "OBJECT")]
    pub(crate) object: String,
    /// A preset, or a policy file.
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    pub(crate) policy: String,
    /// A runtime's profile (repeatable), or none.
    #[arg(long, value_name = "NAME|none")]
    pub(crate) profile: Vec<String>,
    /// The project: its profile, and the .belljar.toml in it.
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// What the run would allow: HOST, HOST:PORT, *.DOMAIN or IP:PORT (repeatable).
    #[arg(long, value_name = "DEST")]
    pub(crate) allow: Vec<String>,
    /// Leave out your own lines.
    #[arg(long)]
    pub(crate) no_user_policy: bool,
    /// The second path of a rename or link, or the interpreter of a script.
    #[arg(long, value_name = "PATH")]
    pub(crate) other: Option<String>,
    /// The program that does it.
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<String>,
    /// Its arguments.
    #[arg(long, value_name = "WORDS")]
    pub(crate) args: Option<String>,
    /// A program above it, the nearest first (repeatable).
    #[arg(long, value_name = "PATH")]
    pub(crate) parent: Vec<String>,
    /// The phase: install, run …
    #[arg(long, value_name = "NAME")]
    pub(crate) phase: Option<String>,
    /// The user that does it.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) uid: Option<u32>,
    /// The file came into being during the run.
    #[arg(long, value_enum, value_name = "yes|no")]
    pub(crate) dropped: Option<YesNo>,
    /// The path is a decoy of this kind, beside those that every run has.
    #[arg(long, value_name = "KIND")]
    pub(crate) decoy: Option<String>,
    /// How to print it (table or json).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar policy test mine.toml
  belljar policy test --policy default cases.toml

Cases stand in the policy's file, or in one of their own:
  [[test]]
  op = \"connect\"
  object = \"files.example:443\"
  expect = \"allow\"
  by = \"files\"                          # optional: the line that decides
  with = { program = \"/usr/bin/npm\", phase = \"install\" }
`with` knows program, args, parents, phase, uid, dropped, decoy and other.
Exit code 1 if a case fails.")]
pub(crate) struct Test {
    /// Files with cases.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Ask this preset or file instead of each file's own lines.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) policy: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar policy learn run.bjt
  belljar policy learn monday.bjt tuesday.bjt -o learned.toml
  belljar policy check learned.toml && belljar run --policy learned.toml .

Each line names the events that it stands for. Never learned: decoys, what a line
or a person denied, refused addresses, and what a finding of severity high or
critical is about; these are listed with their events.")]
pub(crate) struct Learn {
    /// The traces; their order does not matter.
    #[arg(required = true, value_name = "TRACE")]
    pub(crate) traces: Vec<PathBuf>,
    /// Where to write the policy; it must not exist yet. Default: standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
