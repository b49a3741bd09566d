//! Phases: what runs, one after the other.
//!
//! Owns: [`Step`], the phases of each way in, what users write behind `--phase`.

use std::ffi::OsString;

use super::package::Package;
use crate::error::AppError;

/// Cloning a repository: the only phase in which its host may be reached.
pub(crate) const CLONE: &str = "clone";
/// The install of a way in.
pub(crate) const INSTALL: &str = "install";
/// Asks which files of which ecosystem there are.
pub(crate) const MARKS: &str = "marks";
/// Asks which modules an install brought.
pub(crate) const MODULES: &str = "modules";
/// Asks which lifecycle scripts an install brought.
pub(crate) const SCRIPTS: &str = "scripts";
/// Phases that ask, and what their answers are for.
const ASKING: &[&str] = &[MARKS, MODULES, SCRIPTS];

/// So many may be asked for.
const MAX_PHASES: usize = 32;

/// Characters that only a shell understands.
const SHELL: &[char] = &[
    '|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '[', ']', '#', '~',
    '=', '%', '{', '}', '!', '\n',
];

/// One phase that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) argv: Vec<OsString>,
    pub(crate) env: Vec<(String, String)>,
}

impl Step {
    pub(crate) fn new<W: Into<OsString>>(name: &str, argv: impl IntoIterator<Item = W>) -> Self {
        Self {
            name: name.to_owned(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
        }
    }

    /// With the system's own programs only: what was installed before must
    /// not answer in their place.
    fn of_the_system(mut self) -> Self {
        self.env
            .push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
        self
    }

    /// True for a phase of belljar's own, which asks. Its failure stops nothing.
    pub(crate) fn asks(&self) -> bool {
        ASKING.contains(&self.name.as_str())
    }
}

/// `NAME=CMD` as typed. A command that needs no shell gets none.
pub(crate) fn parse_all(texts: &[String]) -> Result<Vec<Step>, AppError> {
    let hint = "write --phase NAME='COMMAND', as in --phase install='npm ci'";
    if texts.len() > MAX_PHASES {
        return Err(AppError::usage(
            format!("more than {MAX_PHASES} phases"),
            "put several commands into one phase: 'a && b'",
        ));
    }
    let mut steps: Vec<Step> = Vec::new();
    for text in texts {
        let shown: String = text.chars().take(80).collect();
        let wrong = |why: &str| Err(AppError::usage(format!("--phase {shown:?}: {why}"), hint));
        let Some((name, command)) = text.split_once('=') else {
            return wrong("there is no `=` between name and command");
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return wrong("a name has up to 32 small letters, digits, `-` and `_`");
        }
        if name == CLONE || ASKING.contains(&name) {
            return wrong("belljar has a phase of this name itself; choose another");
        }
        if command.trim().is_empty() || command.contains('\0') {
            return wrong("there is no command");
        }
        if steps.iter().any(|step| step.name == name) {
            return wrong("there are two phases of this name");
        }
        steps.push(if command.contains(SHELL) {
            Step::new(name, ["sh", "-c", command])
        } else {
            Step::new(name, command.split_whitespace())
        });
    }
    Ok(steps)
}

/// `npm PKG`: an install in an empty folder, a look at what it brought, and a first import.
pub(crate) fn npm(package: &Package) -> Vec<Step> {
    let import = format!("await import({:?})", package.name);
    vec![
        Step::new(INSTALL, ["npm", "install", &package.spec]),
        Step::new(SCRIPTS, ["node", "-e", SCRIPTS_PROGRAM]).of_the_system(),
        Step::new("import", ["node", "--input-type=module", "-e", &import]),
    ]
}

/// `pip PKG`; the import follows from the answer.
pub(crate) fn pip(package: &Package) -> Vec<Step> {
    vec![
        Step::new(INSTALL, ["pip", "install", &package.spec]),
        modules(&package.name),
    ]
}

/// A Python project; import and run follow from the answer.
pub(crate) fn python(is_package: bool) -> Vec<Step> {
    let install: &[&str] = if is_package {
        &["pip", "install", "."]
    } else {
        &["pip", "install", "-r", "requirements.txt"]
    };
    vec![Step::new(INSTALL, install.iter().copied()), modules(".")]
}

/// A node project.
pub(crate) fn node() -> Vec<Step> {
    vec![Step::new(INSTALL, ["npm", "install"])]
}

/// Asks for the files that tell an ecosystem.
pub(crate) fn marks(files: &[&str]) -> Step {
    let program = format!(
        "for f in {}; do [ -f \"$f\" ] && echo \"$f\"; done; :",
        files.join(" ")
    );
    Step::new(MARKS, ["sh", "-c", &program]).of_the_system()
}

/// Asks for what an install brought; `own` is a package's name, or `.` for the project.
fn modules(own: &str) -> Step {
    // -I: neither the user's folders nor the project's take part, so nothing
    // of what was installed runs while it is looked at.
    Step::new(MODULES, ["python3", "-I", "-c", MODULES_PROGRAM, own]).of_the_system()
}

/// Imports these, each though another fails.
pub(crate) fn import(modules: &[String]) -> Step {
    match modules {
        [one] => Step::new(
            "import",
            ["python3".into(), "-c".into(), format!("import {one}")],
        ),
        several => {
            // The names come first, because lists show the first line.
            let program = format!("# import {}\n{IMPORT_PROGRAM}", several.join(", "));
            let head = ["python3".to_owned(), "-c".to_owned(), program];
            Step::new("import", head.iter().chain(several).cloned())
        }
    }
}

const IMPORT_PROGRAM: &str = "\
import importlib, sys, traceback
failed = 0
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException:
        traceback.print_exc()
        failed = 1
sys.exit(failed)
";

/// Prints one line of JSON: `{"packages": n, "modules": [[name, own]], "run": script or null}`.
const MODULES_PROGRAM: &str = r#"# belljar asks: which modules did the install bring?
import json, re, site, sys
from importlib import metadata
norm = lambda name: re.sub(r"[-_.]+", "-", name or "").lower()
def tops(dist):
    found = set()
    for file in list(dist.files or [])[:20000]:
        parts = file.parts
        if len(parts) == 1:
            stem, dot, end = parts[0].partition(".")
            if end == "py" or end.endswith("so"):
                found.add(stem)
        elif parts[-1].endswith((".py", ".so")) and parts[0].isidentifier() and parts[0] != "__pycache__":
            found.add(parts[0])
    return sorted(found)
def is_own(dist):
    if sys.argv[1] != ".":
        return norm(dist.metadata["Name"]) == norm(sys.argv[1])
    return "dir_info" in json.loads(dist.read_text("direct_url.json") or "{}")
modules, run, packages = [], None, 0
for dist in sorted(metadata.distributions(path=[site.getusersitepackages()]), key=lambda d: norm(d.metadata["Name"])):
    own, packages = is_own(dist), packages + 1
    modules += [[name, own] for name in tops(dist)]
    if own:
        scripts = [point.name for point in dist.entry_points if point.group == "console_scripts"]
        same = [name for name in scripts if norm(name) == norm(dist.metadata["Name"])]
        run = (same or (scripts if len(scripts) == 1 else [None]))[0]
print(json.dumps({"packages": packages, "modules": modules[:1000], "run": run}))
"#;

/// Prints one line of JSON: `{"packages": n, "scripts": [{name, version, scripts}], "more": n}`.
const SCRIPTS_PROGRAM: &str = r#"// belljar asks: which lifecycle scripts did the install bring?
const fs = require("node:fs"), path = require("node:path");
const out = []; let packages = 0, more = 0;
const cut = (text) => String(text).slice(0, 300);
const list = (dir) => { try { return fs.readdirSync(dir, { withFileTypes: true }).filter((e) => e.isDirectory() && e.name[0] !== "."); } catch { return []; } };
const read = (file) => { try { const s = fs.lstatSync(file); return s.isFile() && s.size < 4e6 ? JSON.parse(fs.readFileSync(file, "utf8")) : {}; } catch { return {}; } };
function look(dir, name) {
  if (++packages > 20000) return;
  const about = read(path.join(dir, "package.json")) || {}, has = {};
  for (const key of ["preinstall", "install", "postinstall"])
    if (about.scripts && typeof about.scripts[key] === "string") has[key] = cut(about.scripts[key]);
  if (!has.install && !has.preinstall && fs.existsSync(path.join(dir, "binding.gyp"))) has.install = "node-gyp rebuild";
  if (Object.keys(has).length === 0) { /* none */ }
  else if (out.length < 200) out.push({ name: cut(name), version: cut(about.version), scripts: has });
  else more++;
  within(path.join(dir, "node_modules"));
}
function within(dir) {
  for (const entry of list(dir)) {
    const here = path.join(dir, entry.name);
    if (entry.name[0] === "@") for (const inner of list(here)) look(path.join(here, inner.name), entry.name + "/" + inner.name);
    else look(here, entry.name);
  }
}
within("node_modules");
console.log(JSON.stringify({ packages, scripts: out, more }));
"#;
