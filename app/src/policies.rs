//! Where policies come from: presets, profiles, files, the user's own lines, a
//! project's folder.
//!
//! Owns: their names, where they lie, and the order in which a run asks them.
//! Must not: decide. A policy that could not be enforced is refused here, before
//! anything starts, with file, line and column.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use belljar_replay::policy::{
    Allow, PRESETS, PROFILES, Policy, PolicyError, REPOSITORY, Source, Syntax,
};

use crate::error::AppError;
use crate::ways::ecosystem::Ecosystem;

/// The file in a project's folder that can tighten the policy.
pub(crate) const PROJECT_FILE: &str = ".belljar.toml";
/// What the user's own lines are called.
pub(crate) const USER: &str = "user";
/// Longer files are refused by the loader; one byte more shows that there is more.
const MAX_FILE: u64 = (128 << 10) + 1;
/// A home to try a policy with. Each run has another.
pub(crate) const SOME_HOME: &str = "/home/user";

/// A policy in a file.
#[derive(Clone, Debug)]
pub(crate) struct PolicyFile {
    pub(crate) path: PathBuf,
    /// As the user named it: what errors begin with.
    pub(crate) shown: String,
    /// Stands in the ids of its lines.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl PolicyFile {
    pub(crate) fn read(path: &Path) -> Result<Self, AppError> {
        let open = |path: &Path| File::open(path);
        let text = text_of(path, open)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        let name: String = stem
            .unwrap_or_default()
            .to_ascii_lowercase()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .take(40)
            .collect();
        let taken = name.is_empty() || [USER, REPOSITORY].contains(&name.as_str());
        Ok(Self {
            path: path.to_owned(),
            shown: path.display().to_string(),
            name: if taken { "policy".to_owned() } else { name },
            text,
        })
    }

    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            file: &self.shown,
            text: &self.text,
            syntax: Syntax::of(&self.shown),
        }
    }

    fn load(&self) -> Result<Policy, PolicyError> {
        Policy::read(&self.source())
    }
}

fn text_of(
    path: &Path,
    open: impl FnOnce(&Path) -> std::io::Result<File>,
) -> Result<String, AppError> {
    let failed = |source| AppError::file("read policy", path, source);
    let mut bytes = Vec::new();
    open(path)
        .map_err(failed)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let head = error.as_bytes().get(..good).unwrap_or_default();
        let line = head.iter().filter(|byte| **byte == b'\n').count() + 1;
        AppError::Rules(format!("{}:{line}:1: it is no UTF-8", path.display()))
    })
}

/// Which policy is asked last.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    /// One of belljar's own.
    Preset(String),
    /// A file's.
    File(PolicyFile),
}

impl Chosen {
    /// A preset's name, or a file.
    pub(crate) fn read(named: &str) -> Result<Self, AppError> {
        if PRESETS.contains(&named) {
            return Ok(Self::Preset(named.to_owned()));
        }
        let path = Path::new(named);
        if !path.exists() && Syntax::of(named) == Syntax::Toml && !named.contains(['/', '.']) {
            return Err(AppError::usage(
                format!("there is no preset `{named}`, and no file of that name"),
                format!("presets: {}; or name a policy file", PRESETS.join(", ")),
            ));
        }
        Ok(Self::File(PolicyFile::read(path)?))
    }

    /// The policy by itself.
    pub(crate) fn load(&self) -> Result<Policy, PolicyError> {
        match self {
            Self::Preset(name) => Policy::preset(name),
            Self::File(file) => file.load(),
        }
    }
}

/// Everything that a run's policy is made of, but what is known only with the image.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    pub(crate) chosen: Chosen,
    pub(crate) profiles: Vec<&'static str>,
    /// The user's own lines.
    pub(crate) own: Option<PolicyFile>,
    /// What the project's folder says.
    pub(crate) project: Option<PolicyFile>,
    pub(crate) allows: Vec<Allow>,
}

impl Policies {
    /// The policy of a run whose payload lives in `home`, with what the clients' own
    /// registries (client, host, port) add. `lure`: decoys may be read.
    pub(crate) fn compose(
        &self,
        registries: &[(String, String, u16)],
        home: &str,
        lure: bool,
    ) -> Result<Policy, PolicyError> {
        let mut policy = self.chosen.load()?;
        for profile in self.profiles.iter().rev() {
            policy = policy.led_by(&Policy::profile(profile)?)?;
        }
        policy = Policy::compose(&policy, registries, &[])?;
        if let Some(own) = &self.own {
            policy = policy.led_by(&own.load()?)?;
        }
        if lure {
            // Reads of decoys succeed, so that what follows is seen.
            policy = policy.with_line("lure", "allow evt.op = read and path.decoy")?;
        }
        policy = Policy::compose(&policy, &[], &self.allows)?;
        if let Some(project) = &self.project {
            policy = policy.restricted(&project.source())?;
        }
        policy.at_home(home)
    }

    /// What is wrong with them is said before anything starts.
    pub(crate) fn checked(self) -> Result<Self, AppError> {
        self.compose(&[], SOME_HOME, false)
            .and_then(|policy| policy.enforced(&decoy_paths(SOME_HOME)))
            .map_err(|error| AppError::Rules(error.to_string()))?;
        Ok(self)
    }

    /// The file that an answer is saved in: that of the line which asked, else the one
    /// that was named for the run, else the user's own.
    #[cfg(target_os = "linux")]
    pub(crate) fn saved_in(&self, asked_by: &str) -> Option<PathBuf> {
        let own = || user_file();
        match &self.chosen {
            Chosen::File(file) if !asked_by.starts_with("user:") => Some(file.path.clone()),
            Chosen::File(_) | Chosen::Preset(_) => own(),
        }
    }
}

/// The profiles of a run: those that are named; else, with a preset, those of what the
/// project is written for. A file of the user's says all by itself.
pub(crate) fn profiles(
    named: &[String],
    chosen: &Chosen,
    ecosystems: &[Ecosystem],
) -> Result<Vec<&'static str>, AppError> {
    if named.iter().any(|name| name == "none") {
        return match named {
            [_] => Ok(Vec::new()),
            _ => Err(AppError::usage(
                "--profile none stands beside other profiles",
                "name profiles, or none",
            )),
        };
    }
    let mut all: Vec<&'static str> = Vec::new();
    if named.is_empty() && matches!(chosen, Chosen::Preset(_)) {
        all.extend(ecosystems.iter().map(|ecosystem| match ecosystem {
            Ecosystem::Node => "node",
            Ecosystem::Python => "python",
        }));
    }
    for name in named {
        let known = PROFILES.iter().find(|known| *known == name);
        all.push(known.ok_or_else(|| {
            AppError::usage(
                format!("there is no profile `{name}`"),
                format!("profiles: {}, none", PROFILES.join(", ")),
            )
        })?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Where the user's own lines lie, whether they do or not.
pub(crate) fn user_file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.config_dir().join("belljar").join("policy.toml"))
}

/// The user's own lines, if there are any.
pub(crate) fn own() -> Result<Option<PolicyFile>, AppError> {
    let Some(path) = user_file().filter(|path| path.exists()) else {
        return Ok(None);
    };
    let mut file = PolicyFile::read(&path)?;
    file.name = USER.to_owned();
    Ok(Some(file))
}

/// The file in a project's folder, if there is one. It comes from whoever wrote the
/// project: it is read only if it is a plain file, and can only tighten.
pub(crate) fn of_project(project: &Path) -> Result<Option<PolicyFile>, AppError> {
    let path = project.join(PROJECT_FILE);
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AppError::file("look at", &path, source)),
        Ok(meta) if !meta.is_file() => {
            return Err(AppError::usage(
                format!("{} is no plain file", path.display()),
                "it can tighten the policy, so it is not passed over: remove it, or make it a file",
            ));
        }
        Ok(_) => {}
    }
    let text = text_of(&path, open_plain)?;
    let shown = path.display().to_string();
    Ok(Some(PolicyFile {
        path,
        shown,
        name: REPOSITORY.to_owned(),
        text,
    }))
}

/// Follows no link, and waits for nobody.
fn open_plain(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

/// Paths of the decoys of every run, and what each pretends to be.
pub(crate) fn decoys(home: &str) -> Vec<(String, &'static str)> {
    #[cfg(target_os = "linux")]
    {
        let places = crate::decoys::places();
        places
            .map(|(path, kind)| (format!("{home}/{path}"), kind))
            .collect()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = home;
        Vec::new()
    }
}

/// The same, as the division of a policy wants them.
pub(crate) fn decoy_paths(home: &str) -> Vec<Vec<u8>> {
    let paths = decoys(home).into_iter();
    paths.map(|(path, _)| path.into_bytes()).collect()
}
