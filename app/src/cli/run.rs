//! What runs: `belljar run`, `npm`, `pip`: flags as typed, and their help.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{FailOn, Format, RuleArgs, duration};

/// Which machine to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MachineArg {
    /// The best that really works here: cloud-hypervisor where it is there and
    /// KVM works, else QEMU.
    Auto,
    /// cloud-hypervisor, which needs KVM, or an error.
    CloudHypervisor,
    /// QEMU, with KVM where that works, else emulated if you consented to it.
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
    /// The program to use for cloud-hypervisor; without this it is looked for in PATH.
    #[arg(long, value_name = "FILE", env = "BELLJAR_CLOUD_HYPERVISOR")]
    pub(crate) cloud_hypervisor: Option<PathBuf>,
    /// Boot the machine anew, even where one that has booted already is kept to
    /// go on from; nothing of this one is kept either.
    #[arg(long)]
    pub(crate) cold: bool,
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
    /// Most events that the payload may make in a second of the guest's time; 0
    /// is no limit. Reached: it stands still for the rest of the second, nothing
    /// is lost, and the run is never SAFE.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) event_rate: u32,
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
