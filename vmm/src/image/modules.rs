//! Which kernel modules a guest needs, and in which order they load.
//!
//! Owns: reading `.modinfo` out of module files and ordering them, each after
//! what it depends on. Must not: run depmod, or load anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ImageError;

/// Largest module file that is read.
const MAX_MODULE: u64 = 32 << 20;
/// Most files looked at under one kernel's folder.
const MAX_FILES: usize = 50_000;

/// One module in load order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// Name as the kernel knows it, with underscores.
    pub(super) name: String,
    /// The uncompressed module.
    pub(super) content: Vec<u8>,
}

impl Module {
    /// The kernel release that it is made for, as it says itself.
    pub(super) fn release(&self) -> Option<String> {
        let info = section(&self.content, b".modinfo")?;
        info.split(|byte| *byte == 0).find_map(|entry| {
            let magic = std::str::from_utf8(entry).ok()?.strip_prefix("vermagic=")?;
            magic.split(' ').next().map(str::to_owned)
        })
    }
}

/// The modules `wanted` and everything below them, in load order. A module that
/// is built into the kernel needs no loading and is left out.
pub(super) fn in_load_order(tree: &Path, wanted: &[String]) -> Result<Vec<Module>, ImageError> {
    ordered(&Shelf::open(tree)?, wanted)
}

/// The same for a kernel of another making: of what is `wanted`, it must have what
/// is `essential`. The rest comes and goes between kernels.
pub(super) fn in_load_order_of(
    tree: &Path,
    wanted: &[String],
    essential: &[&str],
) -> Result<Vec<Module>, ImageError> {
    let shelf = Shelf::open(tree)?;
    let wanted: Vec<String> = wanted
        .iter()
        .filter(|name| essential.contains(&name.as_str()) || shelf.has(&plain(name)))
        .cloned()
        .collect();
    ordered(&shelf, &wanted)
}

fn ordered(shelf: &Shelf, wanted: &[String]) -> Result<Vec<Module>, ImageError> {
    let mut order = Order {
        shelf,
        seen: BTreeSet::new(),
        modules: Vec::new(),
    };
    for name in wanted {
        order.visit(&plain(name), None)?;
    }
    Ok(order.modules)
}

/// Files and the kernel's own list say `virtio-rng`, dependencies say `virtio_rng`.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

struct Shelf {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

impl Shelf {
    fn open(tree: &Path) -> Result<Self, ImageError> {
        let list = tree.join("modules.builtin");
        let text =
            fs::read_to_string(&list).map_err(|source| ImageError::cache("read", &list, source))?;
        let builtin = text
            .lines()
            .filter_map(|line| module_name(Path::new(line)))
            .collect();
        let mut files = BTreeMap::new();
        let mut folders = vec![tree.join("kernel")];
        let mut looked = 0_usize;
        while let Some(folder) = folders.pop() {
            let list = fs::read_dir(&folder)
                .map_err(|source| ImageError::cache("list", &folder, source))?;
            for entry in list {
                let entry = entry.map_err(|source| ImageError::cache("list", &folder, source))?;
                looked = looked.saturating_add(1);
                if looked > MAX_FILES {
                    return Err(ImageError::module(
                        "folder of modules",
                        "holds too many files",
                    ));
                }
                let path = entry.path();
                // The entry's own type: links out of the tree are not followed.
                let kind = entry
                    .file_type()
                    .map_err(|source| ImageError::cache("look at", &path, source))?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file()
                    && let Some(name) = module_name(&path)
                {
                    files.insert(name, path);
                }
            }
        }
        Ok(Self { files, builtin })
    }

    fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || self.builtin.contains(name)
    }
}

/// `…/virtio-rng.ko.xz` is module `virtio_rng`.
fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (stem, rest) = file.split_once(".ko")?;
    ["", ".xz", ".zst", ".gz"]
        .contains(&rest)
        .then(|| plain(stem))
}

struct Order<'a> {
    shelf: &'a Shelf,
    seen: BTreeSet<String>,
    modules: Vec<Module>,
}

impl Order<'_> {
    /// Depth is bounded by the number of modules: each is entered once.
    fn visit(&mut self, name: &str, needed_by: Option<&str>) -> Result<(), ImageError> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = self.shelf.files.get(name) else {
            if self.shelf.builtin.contains(name) {
                return Ok(());
            }
            let why = match needed_by {
                Some(parent) => format!("is not among the kernel's modules, and {parent} needs it"),
                None => "is not among the kernel's modules".to_owned(),
            };
            return Err(ImageError::module(name, why));
        };
        let content = read(name, path)?;
        let info = Info::of(&content)
            .ok_or_else(|| ImageError::module(name, "is not a module with a .modinfo section"))?;
        for below in info.depends {
            self.visit(&below, Some(name))?;
        }
        // A soft dependency helps where it exists; its absence is no fault.
        for below in info.soft {
            if self.shelf.files.contains_key(&below) {
                self.visit(&below, Some(name))?;
            }
        }
        self.modules.push(Module {
            name: name.to_owned(),
            content,
        });
        Ok(())
    }
}

/// Newer kernels ship their modules compressed; the guest's agent loads plain ones.
fn read(name: &str, path: &Path) -> Result<Vec<u8>, ImageError> {
    let file = fs::File::open(path).map_err(|source| ImageError::cache("read", path, source))?;
    let tool = match path.extension().and_then(|end| end.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return bounded(file, name, path),
    };
    let mut child = Command::new(tool)
        .arg("-dc")
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| {
            ImageError::module(
                name,
                format!("is compressed, and {tool} cannot be run: {source}"),
            )
        })?;
    let content = match child.stdout.take() {
        Some(pipe) => bounded(pipe, name, path),
        None => Err(ImageError::module(name, "cannot be unpacked")),
    };
    let status = child
        .wait()
        .map_err(|source| ImageError::cache("unpack", path, source))?;
    let content = content?;
    if !status.success() {
        return Err(ImageError::module(
            name,
            format!("cannot be unpacked: {tool} gave {status}"),
        ));
    }
    Ok(content)
}

fn bounded(from: impl Read, name: &str, path: &Path) -> Result<Vec<u8>, ImageError> {
    let mut content = Vec::new();
    let took: io::Result<usize> = from.take(MAX_MODULE + 1).read_to_end(&mut content);
    let took = took.map_err(|source| ImageError::cache("read", path, source))?;
    if u64::try_from(took).is_ok_and(|took| took <= MAX_MODULE) {
        Ok(content)
    } else {
        Err(ImageError::module(name, "is larger than 32 MiB"))
    }
}

/// What a module says it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Info {
    depends: Vec<String>,
    soft: Vec<String>,
}

impl Info {
    fn of(elf: &[u8]) -> Option<Self> {
        let mut info = Self::default();
        for entry in section(elf, b".modinfo")?.split(|byte| *byte == 0) {
            let Ok(entry) = std::str::from_utf8(entry) else {
                continue;
            };
            if let Some(list) = entry.strip_prefix("depends=") {
                info.depends
                    .extend(list.split(',').filter(|name| !name.is_empty()).map(plain));
            } else if let Some(list) = entry
                .strip_prefix("softdep=")
                .and_then(|list| list.trim().strip_prefix("pre:"))
            {
                let names = list.split_whitespace().take_while(|name| *name != "post:");
                info.soft.extend(names.map(plain));
            }
        }
        Some(info)
    }
}

/// The content of a section of a 64-bit little-endian ELF file.
fn section<'a>(elf: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = number(elf, 0x28, 8)?;
    let size = number(elf, 0x3a, 2)?;
    let count = number(elf, 0x3c, 2)?;
    let names_at = number(elf, 0x3e, 2)?;
    let header = |index: usize| -> Option<&'a [u8]> {
        let start = table.checked_add(index.checked_mul(size)?)?;
        elf.get(start..start.checked_add(64)?)
    };
    let body = |header: &[u8]| -> Option<&'a [u8]> {
        let start = number(header, 0x18, 8)?;
        elf.get(start..start.checked_add(number(header, 0x20, 8)?)?)
    };
    let names = body(header(names_at)?)?;
    for index in 0..count {
        let header = header(index)?;
        let name = names.get(number(header, 0, 4)?..)?;
        if name.split(|byte| *byte == 0).next() == Some(wanted) {
            return body(header);
        }
    }
    None
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    let value = field
        .iter()
        .rev()
        .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    usize::try_from(value).ok()
}

#[cfg(test)]
pub(super) mod tests;
