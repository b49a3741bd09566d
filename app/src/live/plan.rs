//! What a run will do, decided and checked before anything starts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use belljar_event::Text;
use belljar_replay::policy::Allow;
use belljar_replay::rules::RuleSet;
use belljar_vmm::MachineChoice;
use belljar_vmm::egress::Limits;

use crate::cli::{self, MachineArg, OnMalicious, Options, WhileAsking};
use crate::error::AppError;
use crate::policies::{self, Chosen, Policies};
use crate::ways::ecosystem::{self, Ecosystem};
use crate::ways::git::{self, Repository};
use crate::ways::package;
use crate::ways::phase::{self, Step};

/// A checked run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The folder that is copied in, if one is.
    pub(crate) project: Option<PathBuf>,
    /// What is cloned in the guest, if something is.
    pub(crate) repository: Option<Repository>,
    /// What it is called.
    pub(crate) label: String,
    /// What runs, one after the other.
    pub(crate) steps: Vec<Step>,
    /// Goes on behind a phase that fails.
    pub(crate) keep_going: bool,
    /// Which clients' registries are allowed.
    pub(crate) ecosystems: Vec<Ecosystem>,
    pub(crate) machine: MachineChoice,
    /// The program, if not the one in `PATH`.
    pub(crate) cloud_hypervisor: Option<PathBuf>,
    /// Boots, and keeps nothing of the machine for later ones.
    pub(crate) cold: bool,
    pub(crate) allow_degraded: bool,
    pub(crate) cpus: u32,
    pub(crate) memory: u32,
    pub(crate) disk: u32,
    pub(crate) pids: u32,
    pub(crate) event_rate: u32,
    pub(crate) timeout: Duration,
    pub(crate) flow_limits: Limits,
    pub(crate) observe: bool,
    pub(crate) registries: bool,
    pub(crate) guest_cmdline: String,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) policies: Policies,
    /// Decoys may be read.
    pub(crate) lure: bool,
    /// Time stops in the guest while a question is open.
    pub(crate) pause: bool,
    /// Without a key for so long what is asked is denied.
    pub(crate) patience: Option<Duration>,
    /// Whether the run ends once its verdict is MALICIOUS; without a word: if nobody watches.
    pub(crate) terminate: Option<bool>,
}

/// Where a plan begins: everything that the way in decides.
struct Way {
    project: Option<PathBuf>,
    repository: Option<Repository>,
    label: String,
    steps: Vec<Step>,
    ecosystems: Vec<Ecosystem>,
}

impl Plan {
    /// `run DIR` or `run URL`.
    pub(crate) fn of_run(args: &cli::Run, rules: Arc<RuleSet>) -> Result<Self, AppError> {
        let mut steps = phase::parse_all(&args.phases)?;
        if !args.argv.is_empty() {
            let name = if is_install(&args.argv) {
                "install"
            } else {
                "run"
            };
            steps.push(Step::new(name, args.argv.iter().cloned()));
        }
        let repository = args.project.to_str().and_then(git::parse).transpose()?;
        let way = match repository {
            Some(repository) => cloned(repository, steps),
            None => folder(&args.project, steps)?,
        };
        Self::new(way, &args.options, rules)
    }

    /// `npm PKG`.
    pub(crate) fn of_npm(args: &cli::Npm, rules: Arc<RuleSet>) -> Result<Self, AppError> {
        let package = package::npm(&args.package)?;
        let way = Way {
            project: None,
            repository: None,
            steps: phase::npm(&package),
            label: package.spec,
            ecosystems: vec![Ecosystem::Node],
        };
        Self::new(way, &args.options, rules)
    }

    /// `pip PKG`.
    pub(crate) fn of_pip(args: &cli::Pip, rules: Arc<RuleSet>) -> Result<Self, AppError> {
        let package = package::pip(&args.package)?;
        let way = Way {
            project: None,
            repository: None,
            steps: phase::pip(&package),
            label: package.spec,
            ecosystems: vec![Ecosystem::Python],
        };
        Self::new(way, &args.options, rules)
    }

    fn new(way: Way, options: &Options, rules: Arc<RuleSet>) -> Result<Self, AppError> {
        if options.disk >= options.memory {
            return Err(AppError::usage(
                format!(
                    "--disk {} does not fit into --memory {}: changed files live in memory",
                    options.disk, options.memory
                ),
                "ask for more memory or less disk",
            ));
        }
        let policies = chosen_policies(&way, options)?;
        Ok(Self {
            project: way.project,
            repository: way.repository,
            label: way.label,
            steps: way.steps,
            keep_going: options.keep_going,
            ecosystems: way.ecosystems,
            machine: match options.machine {
                MachineArg::Auto => MachineChoice::Auto,
                MachineArg::CloudHypervisor => MachineChoice::CloudHypervisor,
                MachineArg::Qemu => MachineChoice::Qemu,
            },
            cloud_hypervisor: options.cloud_hypervisor.clone(),
            cold: options.cold,
            allow_degraded: options.allow_degraded,
            cpus: options.cpus,
            memory: options.memory,
            disk: options.disk,
            pids: options.pids,
            event_rate: options.event_rate,
            timeout: options.timeout,
            flow_limits: Limits {
                sent: mebibytes(options.flow_limit),
                received: mebibytes(options.flow_limit_in),
            },
            observe: !options.no_trace,
            registries: !options.no_registries,
            guest_cmdline: options.guest_cmdline.clone(),
            rules,
            policies,
            lure: options.lure,
            pause: options.while_asking == WhileAsking::Pause,
            patience: options.ask_timeout,
            terminate: options
                .on_malicious
                .map(|what| what == OnMalicious::Terminate),
        })
    }

    /// The command for the trace: that of the first phase, which names what the user named,
    /// or all of them.
    pub(crate) fn command(&self) -> Vec<Text> {
        let mut words = Vec::new();
        for (number, step) in self.steps.iter().filter(|step| !step.asks()).enumerate() {
            if number > 0 {
                words.push(Text::new(b"&&".as_slice()));
            }
            words.extend(step.argv.iter().map(|word| Text::new(word.as_bytes())));
        }
        words
    }
}

/// Everything that the run's policy is made of. A repository that is cloned lies in
/// the guest, so what it says of policies is not read.
fn chosen_policies(way: &Way, options: &Options) -> Result<Policies, AppError> {
    let allow = |text: &String| {
        Allow::parse(text).map_err(|e| {
            AppError::usage(e.to_string(), "write HOST, HOST:PORT, *.DOMAIN or IP:PORT")
        })
    };
    let allows = options.allow.iter().map(allow).collect::<Result<_, _>>()?;
    let chosen = Chosen::read(&options.policy)?;
    let profiles = policies::profiles(&options.profile, &chosen, &way.ecosystems)?;
    let own = match options.no_user_policy {
        true => None,
        false => policies::own()?,
    };
    let project = match &way.project {
        Some(project) => policies::of_project(project)?,
        None => None,
    };
    Policies {
        chosen,
        profiles,
        own,
        project,
        allows,
    }
    .checked()
}

/// Bytes; nothing where there is no limit.
fn mebibytes(mebibytes: u32) -> Option<u64> {
    (mebibytes > 0).then_some(u64::from(mebibytes) << 20)
}

/// A folder of this machine.
fn folder(named: &Path, mut steps: Vec<Step>) -> Result<Way, AppError> {
    let project = named
        .canonicalize()
        .map_err(|source| AppError::file("find the project", named, source))?;
    if !project.is_dir() {
        return Err(AppError::usage(
            format!("{} is not a folder", named.display()),
            "name the project's folder; a command goes behind `--`: belljar run . -- npm test",
        ));
    }
    let marks = ecosystem::marks(&project);
    let mut ecosystems = told_by(&steps);
    if ecosystems.is_empty() {
        ecosystems.extend(marks.first().map(|mark| mark.ecosystem));
    }
    if steps.is_empty() {
        steps = ecosystem::default_steps(&marks);
    }
    if steps.is_empty() {
        return Err(no_command(named));
    }
    let label = project.file_name().map_or_else(
        || "project".into(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(Way {
        project: Some(project),
        repository: None,
        label,
        steps,
        ecosystems,
    })
}

/// A repository. What it is written for is known only in the guest.
fn cloned(repository: Repository, commands: Vec<Step>) -> Way {
    let mut ecosystems = told_by(&commands);
    if ecosystems.is_empty() {
        ecosystems = vec![Ecosystem::Node, Ecosystem::Python];
    }
    let mut steps = vec![repository.step()];
    if commands.is_empty() {
        let files: Vec<_> = ecosystem::MARKS.iter().map(|mark| mark.file).collect();
        steps.push(phase::marks(&files));
    }
    steps.extend(commands);
    Way {
        project: None,
        label: repository.label.clone(),
        repository: Some(repository),
        steps,
        ecosystems,
    }
}

/// The ecosystems that commands tell by their programs.
fn told_by(steps: &[Step]) -> Vec<Ecosystem> {
    let mut all = Vec::new();
    for word in steps.iter().flat_map(|step| first_words(&step.argv)) {
        if let Some(ecosystem) = ecosystem::of_program(&word)
            && !all.contains(&ecosystem)
        {
            all.push(ecosystem);
        }
    }
    all
}

/// The program; of a shell's command every word could be one.
fn first_words(argv: &[OsString]) -> Vec<OsString> {
    match argv {
        [shell, option, command] if shell == "sh" && option == "-c" => command
            .to_string_lossy()
            .split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')'))
            .map(OsString::from)
            .collect(),
        argv => argv.first().cloned().into_iter().collect(),
    }
}

fn no_command(project: &Path) -> AppError {
    let files: Vec<_> = ecosystem::MARKS.iter().map(|mark| mark.file).collect();
    AppError::usage(
        format!(
            "{} has none of {}, so there is no default command",
            project.display(),
            files.join(", ")
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
