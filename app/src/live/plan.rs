//! What a run will do, decided and checked before anything starts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use belljar_event::Text;
use belljar_replay::policy::Allow;
use belljar_replay::rules::RuleSet;
use belljar_vmm::MachineChoice;
use belljar_vmm::egress::Limits;

use crate::cli::{self, MachineArg};
use crate::error::AppError;
use crate::project::{self, Ecosystem};

/// A checked run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The folder that is copied in.
    pub(crate) project: PathBuf,
    /// What it is called.
    pub(crate) label: String,
    /// The command.
    pub(crate) argv: Vec<OsString>,
    /// Which clients' registries are allowed.
    pub(crate) ecosystem: Ecosystem,
    /// `install` or `run`.
    pub(crate) phase: &'static str,
    pub(crate) allows: Vec<Allow>,
    pub(crate) machine: MachineChoice,
    pub(crate) allow_degraded: bool,
    pub(crate) cpus: u32,
    pub(crate) memory: u32,
    pub(crate) disk: u32,
    pub(crate) pids: u32,
    pub(crate) timeout: Duration,
    pub(crate) flow_limits: Limits,
    pub(crate) observe: bool,
    pub(crate) registries: bool,
    pub(crate) guest_cmdline: String,
    pub(crate) rules: Arc<RuleSet>,
}

impl Plan {
    pub(crate) fn new(args: &cli::Run, rules: Arc<RuleSet>) -> Result<Self, AppError> {
        let project = args
            .project
            .canonicalize()
            .map_err(|source| AppError::file("find the project", &args.project, source))?;
        if !project.is_dir() {
            return Err(AppError::usage(
                format!("{} is not a folder", args.project.display()),
                "name the project's folder; a command goes behind `--`: belljar run . -- npm test",
            ));
        }
        if args.disk >= args.memory {
            return Err(AppError::usage(
                format!(
                    "--disk {} does not fit into --memory {}: changed files live in memory",
                    args.disk, args.memory
                ),
                "ask for more memory or less disk",
            ));
        }
        let ecosystem = project::detect(&project, &args.argv);
        let argv = match args.argv.is_empty() {
            false => args.argv.clone(),
            true => project::default_command(ecosystem).ok_or_else(|| no_command(&args.project))?,
        };
        let allows = args
            .allow
            .iter()
            .map(|text| {
                Allow::parse(text).map_err(|e| {
                    AppError::usage(e.to_string(), "write HOST, HOST:PORT, *.DOMAIN or IP:PORT")
                })
            })
            .collect::<Result<_, _>>()?;
        let label = project.file_name().map_or_else(
            || "project".into(),
            |name| name.to_string_lossy().into_owned(),
        );
        Ok(Self {
            phase: if is_install(&argv) { "install" } else { "run" },
            project,
            label,
            argv,
            ecosystem,
            allows,
            // Both names mean QEMU until there is a second hypervisor.
            machine: match args.machine {
                MachineArg::Auto | MachineArg::Qemu => MachineChoice::Auto,
            },
            allow_degraded: args.allow_degraded,
            cpus: args.cpus,
            memory: args.memory,
            disk: args.disk,
            pids: args.pids,
            timeout: args.timeout,
            flow_limits: Limits {
                sent: mebibytes(args.flow_limit),
                received: mebibytes(args.flow_limit_in),
            },
            observe: !args.no_trace,
            registries: !args.no_registries,
            guest_cmdline: args.guest_cmdline.clone(),
            rules,
        })
    }

    /// The command for the trace.
    pub(crate) fn command(&self) -> Vec<Text> {
        self.argv
            .iter()
            .map(|word| Text::new(word.as_bytes()))
            .collect()
    }
}

/// Bytes; nothing where there is no limit.
fn mebibytes(mebibytes: u32) -> Option<u64> {
    (mebibytes > 0).then_some(u64::from(mebibytes) << 20)
}

fn no_command(project: &std::path::Path) -> AppError {
    AppError::usage(
        format!(
            "{} has no package.json, so there is no default command",
            project.display()
        ),
        "say what to run: belljar run DIR -- CMD…",
    )
}

/// `npm install`, `npm ci`, `pip install` …
fn is_install(argv: &[OsString]) -> bool {
    argv.iter().skip(1).any(|word| {
        ["install", "i", "ci", "add"]
            .iter()
            .any(|verb| word == verb)
    })
}
