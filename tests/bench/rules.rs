//! Folding and judging with the built-in rules alone, and with those of others,
//! and events and rules made to cost much.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belljar_recorder::{Entry, Reader};
use belljar_replay::rules::RuleSet;
use belljar_replay::session::Session;

use super::{RUNS, Result, bounds, median, peer, repo, timed, trace};

/// How often the trace is gone through in one timing.
const PASSES: u32 = 40;

/// Where the rules of others lie, if they lie beside the project.
const FOREIGN: [&str; 2] = ["../shared/data/falco-rules", "../shared/data/sigma-linux"];

pub(crate) fn rules() -> Result<()> {
    let bytes = std::fs::read(trace())?;
    let entries: Vec<Entry> =
        Reader::open(bytes.as_slice())?.collect::<std::result::Result<_, _>>()?;
    println!("rules: {} events", entries.len());
    let none = RuleSet::load_all(false, &[])?.rules;
    measure("folded, not judged", &entries, &none)?;
    let ours = measure("our rules", &entries, &RuleSet::builtin())?;
    let peer = peer::reads();
    beside(ours, &peer);
    let mut files = Vec::new();
    for folder in FOREIGN {
        let folder = repo(folder);
        if !folder.is_dir() {
            println!("  skipped: {} is not there", folder.display());
            return bounds::bounds(&RuleSet::builtin());
        }
        walk(&folder, &mut files)?;
    }
    files.sort();
    let read = |path: &PathBuf| -> Result<(String, String)> {
        Ok((path.display().to_string(), std::fs::read_to_string(path)?))
    };
    let sources = files.iter().map(read).collect::<Result<Vec<_>>>()?;
    let loaded = RuleSet::load_all(true, &sources)?;
    let evaluable = loaded
        .checked
        .iter()
        .filter(|one| one.status.is_evaluable());
    println!(
        "  {} foreign rules, {} of them evaluable",
        loaded.checked.len(),
        evaluable.count()
    );
    beside(
        measure("ours and all of these", &entries, &loaded.rules)?,
        &peer,
    );
    bounds::bounds(&RuleSet::builtin())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ends = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        if path.is_dir() {
            walk(&path, files)?;
        } else if ends {
            files.push(path);
        }
    }
    Ok(())
}

/// What that is of `sysdig -r` with one filter: captures differ, so ratios only.
fn beside(ours: f64, peer: &std::result::Result<f64, String>) {
    match peer {
        Ok(theirs) => println!(
            "    {:.2} of what `sysdig -r` reads with one filter ({theirs:.0} events/s)",
            ours / theirs
        ),
        Err(why) => println!("    beside sysdig: skipped, {why}"),
    }
}

fn measure(name: &str, entries: &[Entry], rules: &Arc<RuleSet>) -> Result<f64> {
    let pass = || -> Result<()> {
        let mut session = Session::new(Arc::clone(rules));
        entries.iter().for_each(|entry| session.push(entry));
        std::hint::black_box(session.counts());
        Ok(())
    };
    // What is asked of each event type is worked out once, when the first comes.
    pass()?;
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        seconds.push(timed(|| (0..PASSES).try_for_each(|_| pass()))?.0);
    }
    let rate = entries.len() as f64 * f64::from(PASSES) / median(seconds);
    println!("  {name:<28} {rate:>10.0} events/s");
    Ok(rate)
}
