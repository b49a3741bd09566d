//! How good the rules are: precision and recall of each family.
//!
//! Over the hand-written hit and miss cases, the recorded fixtures, and the
//! traces in the folder that BELLJAR_CORPUS names. What a trace is, hostile or
//! not, its folder's `expect.yaml` says (the file of `belljar test`); in a corpus
//! without one, the folders `hostile` and `benign` do. Others are only counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use belljar_replay::batch;
use belljar_replay::expect::Expectations;
use belljar_replay::rules::RuleSet;
use belljar_replay::verdict::Verdict;

use super::{Result, repo};
use cases::{Measured, Row, family, of_cases, percent, weighs};

#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the rules' own test uses all of it; a case that cannot be read must fail loudly"
)]
#[path = "../../replay/tests/support/mod.rs"]
mod support;

#[path = "../../replay/tests/support/quality.rs"]
mod cases;

/// In how many traces a family weighs.
#[derive(Clone, Copy, Default)]
struct Found {
    hostile: usize,
    benign: usize,
}

/// What is known of whole traces.
#[derive(Default)]
struct Traces {
    families: BTreeMap<String, Found>,
    /// What the trace is, and what it was judged to be.
    verdicts: BTreeMap<(&'static str, Verdict), usize>,
    unreadable: Vec<String>,
}

pub(crate) fn quality() -> Result<()> {
    let rules = RuleSet::builtin();
    let Measured { rows, ordinary } = of_cases(&rules);
    let mut traces = Traces::default();
    traces.folder(&repo("fixtures"), &rules)?;
    match std::env::var_os("BELLJAR_CORPUS").map(PathBuf::from) {
        Some(folder) => traces.folder(&folder, &rules)?,
        None => println!("quality: no BELLJAR_CORPUS, so the recorded fixtures are all the traces"),
    }
    table(&rows, &traces);
    println!(
        "{} rules, {ordinary} cases of ordinary use",
        rules.rules().len()
    );
    traces.sums();
    Ok(())
}

/// Recall counts hit cases; precision counts what fired rightly (hit cases,
/// hostile traces) against what fired wrongly (ordinary cases, benign traces).
fn table(rows: &BTreeMap<String, Row>, traces: &Traces) {
    println!(
        "{:<14} {:>5} {:>5} {:>7} {:>9} {:>6} {:>8} {:>7} {:>10}",
        "family", "rules", "hits", "recall", "ordinary", "wrong", "hostile", "benign", "precision"
    );
    let mut all = (Row::default(), Found::default());
    for (name, row) in rows {
        let found = traces.families.get(name).copied().unwrap_or_default();
        line(name, row, found);
        let (sum, sums) = (&mut all.0, &mut all.1);
        sum.rules += row.rules;
        sum.hits += row.hits;
        sum.fired += row.fired;
        sum.ordinary += row.ordinary;
        sum.wrong += row.wrong;
        sums.hostile += found.hostile;
        sums.benign += found.benign;
    }
    line("all", &all.0, all.1);
}

fn line(name: &str, row: &Row, found: Found) {
    let right = row.fired + found.hostile;
    let wrong = row.wrong + found.benign;
    println!(
        "{name:<14} {:>5} {:>5} {:>6}% {:>9} {:>6} {:>8} {:>7} {:>9}%",
        row.rules,
        row.hits,
        percent(row.fired, row.hits),
        row.ordinary,
        row.wrong,
        found.hostile,
        found.benign,
        percent(right, right + wrong),
    );
}

impl Traces {
    fn folder(&mut self, folder: &Path, rules: &Arc<RuleSet>) -> Result<()> {
        let mut paths = Vec::new();
        walk(folder, 0, &mut paths)?;
        paths.sort();
        let file = folder.join("expect.yaml");
        let expected = match std::fs::read_to_string(&file) {
            Ok(text) => Some(Expectations::load(
                &file.display().to_string(),
                &text,
                rules,
            )?),
            Err(_) => None,
        };
        for path in paths {
            let inner = path.strip_prefix(folder).unwrap_or(&path);
            let label = label(inner, expected.as_ref());
            match batch::judge(std::io::BufReader::new(std::fs::File::open(&path)?), rules) {
                Ok(judged) => self.judged(label, &judged.report, rules),
                Err(error) => self.unreadable.push(format!("{}: {error}", path.display())),
            }
        }
        Ok(())
    }

    fn judged(
        &mut self,
        label: &'static str,
        report: &belljar_replay::report::Report,
        rules: &RuleSet,
    ) {
        *self.verdicts.entry((label, report.verdict)).or_default() += 1;
        let fired = report.findings.iter().map(|finding| finding.rule.as_str());
        let families: BTreeSet<String> = fired.filter(|id| weighs(rules, id)).map(family).collect();
        for name in families {
            let found = self.families.entry(name).or_default();
            found.hostile += usize::from(label == "hostile");
            found.benign += usize::from(label == "benign");
        }
    }

    fn sums(&self) {
        for ((label, verdict), count) in &self.verdicts {
            println!("{label} traces judged {verdict}: {count}");
        }
        let of = |label: &str, flagged: bool| -> usize {
            let rows = self.verdicts.iter();
            rows.filter(|((l, verdict), _)| *l == label && (*verdict > Verdict::Safe) == flagged)
                .map(|(_, count)| count)
                .sum()
        };
        let (found, missed) = (of("hostile", true), of("hostile", false));
        let wrong = of("benign", true);
        println!(
            "traces: recall {}% ({found} of {} hostile are not SAFE), precision {}% ({wrong} benign are not SAFE)",
            percent(found, found + missed),
            found + missed,
            percent(found, found + wrong),
        );
        for what in &self.unreadable {
            println!("not read: {what}");
        }
    }
}

fn label(inner: &Path, expected: Option<&Expectations>) -> &'static str {
    let path = inner.to_string_lossy().replace('\\', "/");
    if let Some(expected) = expected {
        let verdicts = expected.of(&path).find_map(|one| one.verdicts());
        return match verdicts {
            Some(verdicts) if verdicts.contains(&Verdict::Safe) => "benign",
            Some(_) => "hostile",
            None => "unlabelled",
        };
    }
    let within = |name: &str| inner.components().any(|part| part.as_os_str() == name);
    match (within("hostile"), within("benign")) {
        (true, false) => "hostile",
        (false, true) => "benign",
        _ => "unlabelled",
    }
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth < 8 {
            walk(&path, depth + 1, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "bjt") {
            found.push(path);
        }
    }
    Ok(())
}
