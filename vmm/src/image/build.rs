//! Makes an image's files in a folder.
//!
//! Owns: the order of a build's stages and what is taken out of their results.
//! Must not: decide where the folder is or when it counts as whole.

use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::{Clients, FILES, Facts, KERNEL, MODULES, Manifest, is_name};
use super::recipe::{ROOTS, Recipe, url_problem};
use super::tools::{ROOT_TOOLS, Run, TOOLS, USER_TOOLS, require, search_path};
use super::{ImageError, Progress, Stage, modules, subids};

const TEMPORARY: &str = "tmp";
const UNPACKED: &str = "unpacked";
const MAX_ANSWERS: u64 = 1 << 20;

/// Whether this machine can build at all; asked before anything is fetched.
pub(super) fn preflight() -> Result<(), ImageError> {
    let path = search_path();
    if is_root() {
        return require(&[TOOLS, ROOT_TOOLS].concat(), &path);
    }
    require(&[TOOLS, USER_TOOLS].concat(), &path)?;
    subids::check()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Builds `recipe` in `folder`, manifest last.
pub(super) fn build(
    recipe: &Recipe,
    digest: &str,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ImageError> {
    if folder.to_str().is_none() {
        return Err(ImageError::Recipe {
            field: "cache folder",
            value: folder.to_string_lossy().into_owned(),
            why: "must be UTF-8 text",
        });
    }
    let path = search_path();
    root(recipe, folder, &path, progress)?;
    let mut tell = |line: &str| {
        progress(Progress {
            stage: Stage::Modules,
            line: line.to_owned(),
        });
        Stage::Modules
    };
    let kernel_release = unpack_kernel(folder, &path, &mut tell)?;
    tell("ordering modules");
    let modules = take_modules(recipe, folder, &kernel_release)?;
    let (clients, packages) = answers(recipe, folder)?;
    let facts = Facts {
        name: None,
        source: Some(format!(
            "debian {}, {}",
            recipe.suite,
            recipe.flavour.name()
        )),
        recipe: digest.to_owned(),
        kernel_release,
        modules,
        clients,
        packages,
    };
    remove_scaffold(folder)?;
    progress(Progress {
        stage: Stage::Publish,
        line: "writing to disk".to_owned(),
    });
    Manifest::describe(folder, facts)?.write(folder)
}

/// The root file system and the kernel's package.
fn root(
    recipe: &Recipe,
    folder: &Path,
    path: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ImageError> {
    let temporary = folder.join(TEMPORARY);
    fs::create_dir(&temporary).map_err(|error| ImageError::cache("create", &temporary, error))?;
    let mut inputs = recipe.hooks();
    if let Some(pem) = &recipe.host.roots {
        inputs.push((ROOTS.to_owned(), pem.clone()));
    }
    for (name, text) in &inputs {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| ImageError::cache("write", &file, error))?;
    }
    let contained = is_root();
    let mode = if contained {
        "--mode=root"
    } else {
        "--mode=unshare"
    };
    let mut arguments = vec![mode.to_owned()];
    arguments.extend(recipe.arguments(folder, contained));
    // As root the tree grows inside the build's folder and goes with it. An
    // ordinary user's tree belongs to other user ids, which may not reach into
    // this folder and whose files this user may not remove.
    let shared = if contained {
        None
    } else {
        Some(shared_scratch()?)
    };
    let temporary = shared
        .as_ref()
        .map_or(temporary.as_path(), |dir| dir.path());
    let run = Run {
        program: "mmdebstrap",
        arguments,
        temporary: Some(temporary),
        contained,
    };
    let mut stage = Stage::Packages;
    run.run(path, &mut |line| {
        stage = Stage::after(stage, line);
        progress(Progress {
            stage,
            line: line.to_owned(),
        });
        stage
    })
}

/// A folder where other user ids may work as in /tmp itself; `guard.sh` removes it
/// when this process dies.
fn shared_scratch() -> Result<tempfile::TempDir, ImageError> {
    use std::os::unix::fs::PermissionsExt;
    let above = Path::new("/tmp");
    let made = tempfile::Builder::new()
        .prefix("belljar-build-")
        .tempdir_in(above)
        .and_then(|dir| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777))?;
            Ok(dir)
        });
    made.map_err(|source| ImageError::cache("create a folder in", above, source))
}

/// Unpacks the kernel's package and takes the kernel; answers its release.
fn unpack_kernel(
    folder: &Path,
    path: &[PathBuf],
    watch: &mut dyn FnMut(&str) -> Stage,
) -> Result<String, ImageError> {
    let unpacked = folder.join(UNPACKED);
    let words = [folder.join("kernel.deb"), unpacked.clone()];
    let mut arguments = vec!["-x".to_owned()];
    arguments.extend(words.iter().map(|path| path.to_string_lossy().into_owned()));
    let run = Run {
        program: "dpkg-deb",
        arguments,
        temporary: None,
        contained: false,
    };
    run.run(path, watch)?;
    // Newer releases put modules under /usr.
    let shelf = ["lib/modules", "usr/lib/modules"].map(|below| unpacked.join(below));
    let release = shelf
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let mut names = release.filter_map(|entry| entry.file_name().into_string().ok());
    let release = names
        .find(|name| is_name(name))
        .ok_or_else(|| ImageError::module("kernel package", "holds no modules"))?;
    let from = unpacked.join("boot").join(format!("vmlinuz-{release}"));
    let to = folder.join(KERNEL);
    fs::rename(&from, &to)
        .map_err(|error| ImageError::cache("take the kernel from", &from, error))?;
    Ok(release)
}

/// Puts the needed modules into their own folder, names in load order.
fn take_modules(recipe: &Recipe, folder: &Path, release: &str) -> Result<Vec<String>, ImageError> {
    let unpacked = folder.join(UNPACKED);
    let shelf = ["lib/modules", "usr/lib/modules"].map(|below| unpacked.join(below).join(release));
    let tree = shelf.iter().find(|path| path.is_dir()).unwrap_or(&unpacked);
    let target = folder.join(MODULES);
    fs::create_dir(&target).map_err(|error| ImageError::cache("create", &target, error))?;
    put_modules(&modules::in_load_order(tree, &recipe.modules)?, &target)
}

/// Writes modules into a folder; answers their files' names.
pub(super) fn put_modules(
    modules: &[modules::Module],
    target: &Path,
) -> Result<Vec<String>, ImageError> {
    let names: Vec<String> = super::kernel::file_names(modules).collect();
    for (name, module) in names.iter().zip(modules) {
        let file = target.join(name);
        fs::write(&file, &module.content)
            .map_err(|error| ImageError::cache("write", &file, error))?;
    }
    Ok(names)
}

/// What the image's own clients and package database said.
fn answers(recipe: &Recipe, folder: &Path) -> Result<(Clients, Vec<String>), ImageError> {
    let text = read(&folder.join("packages"))?;
    let mut packages: Vec<String> = text.lines().map(str::to_owned).collect();
    let answers = read(&folder.join("clients"))?;
    let answer = |wanted: &str| {
        let mut lines = answers.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.trim().to_owned())
    };
    let url = |wanted: &'static str| match answer(wanted) {
        Some(url) if url_problem(&url).is_none() => Ok(Some(url)),
        Some(url) => Err(ImageError::Answer {
            question: wanted,
            answer: url,
        }),
        None => Ok(None),
    };
    let tools: &[&'static str] = match recipe.flavour.has_node() {
        true => &["node", "npm"],
        false => &[],
    };
    for tool in tools {
        let version = answer(tool).ok_or(ImageError::Answer {
            question: tool,
            answer: String::new(),
        });
        packages.push(format!("{tool} {}", version?));
    }
    let clients = Clients {
        npm_registry: url("npm_registry")?,
        pip_index: url("pip_index")?,
        pip_files: url("pip_files")?,
    };
    Ok((clients, packages))
}

fn read(path: &Path) -> Result<String, ImageError> {
    let length = fs::metadata(path).map(|data| data.len());
    let length = length.map_err(|error| ImageError::cache("read", path, error))?;
    if length > MAX_ANSWERS {
        return Err(ImageError::Answer {
            question: "clients",
            answer: "too much".to_owned(),
        });
    }
    fs::read_to_string(path).map_err(|error| ImageError::cache("read", path, error))
}

/// Leaves only what belongs to the image.
pub(super) fn remove_scaffold(folder: &Path) -> Result<(), ImageError> {
    let list = fs::read_dir(folder).map_err(|error| ImageError::cache("list", folder, error))?;
    for entry in list {
        let path = entry
            .map_err(|error| ImageError::cache("list", folder, error))?
            .path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if FILES.contains(&name) {
            continue;
        }
        let gone = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        gone.map_err(|error| ImageError::cache("remove", &path, error))?;
    }
    Ok(())
}
