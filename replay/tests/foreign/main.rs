//! Rule files of others: the whole upstream sets, and an independent engine's answers.
//!
//! The files lie beside the project, if they are there at all; what needs them is
//! reported as ignored else.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "test helpers, too"
)]

mod peer;
#[path = "../fold/tape.rs"]
#[expect(dead_code, reason = "made for more than this")]
mod tape;
mod witness;

use std::path::{Path, PathBuf};

use belljar_replay::rules::{LoadedRules, RuleSet, Status};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        upstream(
            "the_falco_rules_load_as_they_are",
            "falco-rules",
            |sources| at_least(&sources, 93, 85),
        ),
        upstream(
            "the_sigma_rules_load_as_they_are",
            "sigma-linux",
            |sources| at_least(&sources, 248, 215),
        ),
        upstream("both_load_beside_our_own", "", |sources| {
            let loaded = RuleSet::load_all(true, &sources)?;
            let ours = RuleSet::builtin().rules().len();
            if loaded.rules.rules().len() < ours + 280 {
                return Err(format!("{} rules", loaded.rules.rules().len()).into());
            }
            Ok(())
        }),
        peer::trial(),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

pub(crate) fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(folder)
}

/// A test over the files of a folder, ignored if that is not there.
fn upstream(
    name: &str,
    folder: &'static str,
    run: impl Fn(Vec<(String, String)>) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let there = data(folder).is_dir();
    let trial = Trial::test(name, move || run(files(&data(folder))));
    if there {
        return trial;
    }
    eprintln!("ignored {name}: {} is not there", data(folder).display());
    trial.with_ignored_flag(true)
}

/// Every rule file below a folder, by name.
pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(folder, &mut found);
    found.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        (path.display().to_string(), text)
    };
    found.iter().map(read).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ends = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        if path.is_dir() {
            walk(&path, found);
        } else if ends {
            found.push(path);
        }
    }
}

/// All are rules, none is wrong, and so many can be evaluated.
fn at_least(sources: &[(String, String)], all: usize, evaluable: usize) -> Result<(), Failed> {
    let LoadedRules { checked, .. } = RuleSet::load_all(false, sources)?;
    let mut wrong = Vec::new();
    let mut can = 0;
    for one in &checked {
        match &one.status {
            Status::Evaluable(_) => can += 1,
            Status::Missing(what) if what.is_empty() => wrong.push(one),
            Status::Missing(_) => {}
            Status::Wrong { .. } => wrong.push(one),
        }
    }
    if checked.len() != all || can < evaluable || !wrong.is_empty() {
        let counts = format!("{can} of {} evaluable; wrong: {wrong:?}", checked.len());
        return Err(counts.into());
    }
    Ok(())
}
