//! The command line: flags as typed, and their help.
//!
//! Owns: names, help texts, value parsers. Must not: decide anything.

mod corpus;
mod diff;
mod policy;
mod rescore;

use std::path::PathBuf;

pub(crate) use corpus::*;
pub(crate) use diff::*;
pub(crate) use policy::*;
pub(crate) use rescore::*;

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
  belljar run . --phase install='npm ci' --phase run='node index.js'
  belljar run --allow api.example:443 --timeout 5m . -- node server.js
  belljar run https://git.example/tool.git#v2.1

The folder is copied into the guest; nothing in it is changed. Files that look
like credentials, and files that git ignores, stay out (the report names them).
A repository is cloned inside the guest; its host is allowed for that phase.
Without a command a node project is installed; a Python project is installed,
its modules are imported, and its program runs, if it has just one.
Phases run one after the other, up to the first that fails.
The guest has no network card: each connection is judged by the policy and then
made by belljar. The package manager's own registries are allowed.")]
pub(crate) struct Run {
    /// The project's folder, or the https address of a git repository, with
    /// #BRANCH, #TAG or #COMMIT if it is not to be the default branch.
    #[arg(default_value = ".", value_name = "DIR|URL")]
    pub(crate) project: PathBuf,
    /// The command; default: what the project's files tell (see below).
    #[arg(last = true, value_name = "CMD", conflicts_with = "phases")]
    pub(crate) argv: Vec<std::ffi::OsString>,
    /// A phase, NAME='COMMAND' (repeatable; they run in this order).
    #[arg(long = "phase", value_name = "NAME=CMD")]
    pub(crate) phases: Vec<String>,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar npm is-number
  belljar npm left-pad@1.3.0 --headless
  belljar npm @scope/tool@next -o tool.bjt

The package is installed in an empty project inside the guest, then imported
once. Below the report stand the lifecycle scripts that came with it and its
dependencies, and, if the verdict is SAFE, npm's own line that allows them.")]
pub(crate) struct Npm {
    /// NAME or @SCOPE/NAME, with @VERSION.
    #[arg(value_name = "PKG[@V]")]
    pub(crate) package: String,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  belljar pip six
  belljar pip requests==2.32.0 --headless
  belljar pip 'uvicorn[standard]>=0.30'

The package is installed inside the guest; then each module that the install
brought is imported.")]
pub(crate) struct Pip {
    /// NAME, with ==VERSION, extras in brackets, or other conditions.
    #[arg(value_name = "PKG[==V]")]
    pub(crate) package: String,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What every live run can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// No screen, no questions: print the report at the end.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Where to write the trace.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Allow a destination: HOST, HOST:PORT, *.DOMAIN or IP:PORT (repeatable).
    #[arg(long, value_name = "DEST")]
    pub(crate) allow: Vec<String>,
    /// What may be done: default, observe, strict, or a policy file.
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    pub(crate) policy: String,
    /// A runtime's lines in front of it: node, python, none (repeatable). By
    /// default a preset gets those of what the project is written for.
    #[arg(long, value_name = "NAME|none")]
    pub(crate) profile: Vec<String>,
    /// Leave out your own lines (`belljar policy show user`).
    #[arg(long)]
    pub(crate) no_user_policy: bool,
    /// Let decoy credentials be read, to see what follows.
    #[arg(long)]
    pub(crate) lure: bool,
    /// What the guest does while a question is open: stand still, or run on
    /// with only the asking thread held.
    #[arg(long, value_enum, default_value = "pause", value_name = "pause|run")]
    pub(crate) while_asking: WhileAsking,
    /// Deny what is asked when no key was pressed for so long (30s, 5m). Without
    /// it a question waits for ever.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) ask_timeout: Option<std::time::Duration>,
    /// What to do once the verdict is MALICIOUS: end the run (which is what
    /// happens where nobody watches), or go on.
    #[arg(long, value_enum, value_name = "terminate|continue")]
    pub(crate) on_malicious: Option<OnMalicious>,
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
    /// Boot this image: base, node, python, full, or one that was imported.
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<String>,
    /// Boot this kernel: `host` is the one that runs here, else a bzImage file.
    #[arg(long, value_name = "host|FILE")]
    pub(crate) kernel: Option<PathBuf>,
    /// The modules of that kernel, if they are not in /lib/modules.
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Option<PathBuf>,
    /// Which machine to use.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) machine: MachineArg,
    /// Go on with the next phase when one fails.
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// End the run after this time (30s, 10m, 2h). Never SAFE then.
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
    /// Most MiB that one connection may send; 0 is no limit. Reached: never SAFE.
    #[arg(
        long,
        visible_alias = "flow-limit-out",
        value_name = "MIB",
        default_value_t = 64
    )]
    pub(crate) flow_limit: u32,
    /// Most MiB that one connection may receive; 0 is no limit.
    #[arg(long, value_name = "MIB", default_value_t = 0)]
    pub(crate) flow_limit_in: u32,
    /// Do not trace calls: measures what tracing costs. Never SAFE.
    #[arg(long, hide = true)]
    pub(crate) no_trace: bool,
    /// Words for the guest kernel's command line: tests ask for faults with it.
    #[arg(long, hide = true, default_value = "")]
    pub(crate) guest_cmdline: String,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

/// What the guest does while a question is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhileAsking {
    /// Time stops in it.
    Pause,
    /// Only the thread that asks waits.
    Run,
}

/// What to do once the verdict is MALICIOUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnMalicious {
    /// End the run.
    Terminate,
    /// Go on, and see what follows.
    Continue,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar replay run.bjt\n  belljar replay --at 12.5 run.bjt\n  belljar replay run.bjt --policy strict\n  belljar replay run.bjt --policy mine.toml --format json\n\nKeys: space pauses, arrows jump 5 s, , and . step, [ and ] go to findings, ? shows all.\n\nWith --policy nothing is shown on a screen: the differences are printed. The exit\ncode is 1 if that policy would have denied something that the run allowed."
)]
pub(crate) struct Replay {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Say what this policy would have decided, and where that differs: default,
    /// observe, strict, or a policy file. It stands behind the run's own --allow,
    /// registries and profiles.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "at")]
    pub(crate) policy: Option<String>,
    /// List what both policies agree on, too.
    #[arg(long, requires = "policy")]
    pub(crate) all: bool,
    /// How to print what differs (table or json).
    #[arg(long, value_enum, default_value = "table", requires = "policy")]
    pub(crate) format: Format,
    /// Start at this second, paused.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<f64>,
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
#[command(after_help = "\
Examples:
  belljar export run.bjt -o run.html                     a page that replays it
  belljar export run.bjt -o run.cast --speed 4           for asciinema's players
  belljar export run.bjt -o run.svg --keys 'End'         a picture of its end
  belljar export run.bjt -o run.svg --animate --size 100x30
  belljar export run.bjt -o run.html --keys '1s ] 2s Enter 3s Esc ] 2s'

Keys are those of the screen, typed one after the other; 1.5s waits. Enter, Esc,
Tab, Space, Up, Down, Left, Right, Home, End, PageUp, PageDown and Backspace are
named, other words are typed letter by letter. The film ends when the keys are
used up and the recording stands.")]
pub(crate) struct Export {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Where to write: the ending says what (.svg, .cast or .html). It must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Columns and rows.
    #[arg(long, value_name = "COLSxROWS", default_value = "120x36")]
    pub(crate) size: crate::export::Size,
    /// Keys to press, with pauses.
    #[arg(long, value_name = "KEYS", default_value = "")]
    pub(crate) keys: crate::export::Script,
    /// Play so many times faster: 1, 2, 4, 8, 16, 32 or 64.
    #[arg(long, default_value = "1", value_parser = ["1", "2", "4", "8", "16", "32", "64"])]
    pub(crate) speed: String,
    /// Pictures a second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub(crate) rate: u32,
    /// Start at this second of the recording, paused.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<f64>,
    /// Of an .svg: the whole film, not its last picture.
    #[arg(long)]
    pub(crate) animate: bool,
    /// What it is called.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  belljar doctor\n  belljar doctor --format json")]
pub(crate) struct Doctor {
    /// How to print it (table or json).
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
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

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar traces list\n  belljar traces rm 1700000000-left-padded\n  belljar traces gc --keep 20\n  belljar traces gc --older 30d --dry-run"
)]
pub(crate) struct Traces {
    #[command(subcommand)]
    pub(crate) command: TracesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TracesCommand {
    /// List the traces, the newest first, with what they amount to.
    List {
        /// Do not judge: quick, but without verdicts.
        #[arg(long)]
        quick: bool,
        /// How to print it (table or json).
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Remove traces by name.
    Rm {
        /// Names as `list` shows them.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove old traces.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Gc {
        /// Keep so many of the newest.
        #[arg(long, group = "which", value_name = "N")]
        keep: Option<usize>,
        /// Remove those older than this (12h, 30d).
        #[arg(long, group = "which", value_name = "AGE", value_parser = age)]
        older: Option<std::time::Duration>,
        /// Say what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `30d`, `12h`, `90m`, `10s`.
fn age(text: &str) -> Result<std::time::Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'd')) => (text.get(..at), 24 * 3600),
        Some((at, 'h')) => (text.get(..at), 3600),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 's')) => (text.get(..at), 1),
        _ => (None, 1),
    };
    number
        .and_then(|n| n.parse::<u64>().ok())
        .and_then(|n| n.checked_mul(unit))
        .map(std::time::Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is no age; write 30d, 12h or 90m"))
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  belljar image build --flavour python\n  belljar image import alpine-rootfs.tar.gz --name alpine\n  docker save NAME | gzip > i.tar.gz && belljar image import i.tar.gz --name mine\n  belljar image import docker://registry.example/team/app:1.2 --name app\n  belljar run --image mine . -- make test\n  belljar image rm --unused"
)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub(crate) action: ImageAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageAction {
    /// Build belljar's own image, unless it is there.
    Build {
        /// How much is in it.
        #[arg(long, value_enum, default_value = "full")]
        flavour: FlavourArg,
        /// Debian mirror.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Make an image of a root file system (tar), an OCI or Docker archive, or an
    /// image in a registry.
    Import {
        /// A file (plain, gzip or zstd), or docker://HOST/REPOSITORY with :TAG or @DIGEST.
        source: String,
        /// What to call it.
        #[arg(long)]
        name: String,
        /// Kernel: `host` or a bzImage file; default: that of belljar's own image.
        #[arg(long, value_name = "host|FILE")]
        kernel: Option<PathBuf>,
        /// Its modules, if they are not in /lib/modules.
        #[arg(long, value_name = "DIR", requires = "kernel")]
        modules: Option<PathBuf>,
    },
    /// List images.
    List {
        /// How to print it (table or json).
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Remove images.
    Rm {
        /// Names or digests (at least 6 digits).
        #[arg(required_unless_present = "unused")]
        images: Vec<String>,
        /// Every image that no name and no present setting leads to.
        #[arg(long)]
        unused: bool,
    },
}

/// How much is in belljar's own image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FlavourArg {
    /// git and ordinary tools.
    Base,
    /// And node with npm.
    Node,
    /// And Python with pip.
    Python,
    /// Both, and compilers for native add-ons.
    Full,
}

#[cfg(target_os = "linux")]
impl FlavourArg {
    pub(crate) fn of(self) -> belljar_vmm::image::Flavour {
        use belljar_vmm::image::Flavour;
        match self {
            Self::Base => Flavour::Base,
            Self::Node => Flavour::Node,
            Self::Python => Flavour::Python,
            Self::Full => Flavour::Full,
        }
    }
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
    fn ages() {
        assert_eq!(age("30d"), Ok(std::time::Duration::from_secs(30 * 86_400)));
        for wrong in ["", "d", "30", "-1d", "99999999999999999999d", "1y"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
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
