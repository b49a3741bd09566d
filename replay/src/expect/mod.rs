//! What somebody expects the rules to find in recorded traces.
//!
//! Owns: the file of expectations, and holding reports against it. Must not:
//! read files or judge; whoever calls has the reports.

mod load;

#[cfg(test)]
mod tests;

use globset::GlobMatcher;

use crate::cond::nearest;
use crate::report::Report;
use crate::rules::{RuleErrors, RuleSet};
use crate::verdict::Verdict;

/// How many findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    least: u64,
    most: Option<u64>,
}

impl Number {
    pub(super) fn of(
        exactly: Option<u64>,
        at_least: Option<u64>,
        at_most: Option<u64>,
    ) -> Option<Self> {
        match (exactly, at_least, at_most) {
            (Some(n), None, None) => Some(Self {
                least: n,
                most: Some(n),
            }),
            (None, None, None) | (Some(_), ..) => None,
            (None, least, most) => {
                let least = least.unwrap_or(0);
                let sound = most.is_none_or(|most| least <= most);
                sound.then_some(Self { least, most })
            }
        }
    }

    /// True if so many are as expected.
    #[must_use]
    pub fn holds(self, n: u64) -> bool {
        n >= self.least && self.most.is_none_or(|most| n <= most)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.least, self.most) {
            (0, Some(most)) => write!(f, "at most {most}"),
            (least, Some(most)) if least == most => write!(f, "exactly {most}"),
            (least, Some(most)) => write!(f, "{least} to {most}"),
            (least, None) => write!(f, "at least {least}"),
        }
    }
}

/// Where an expectation stands: line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// What is expected of the traces that a path or a glob fits.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The path or glob, as it is written.
    pub trace: String,
    /// Where it is written.
    pub at: At,
    glob: GlobMatcher,
    verdict: Option<(Vec<Verdict>, At)>,
    rules: Vec<(String, Number, At)>,
    others: Option<(Number, At)>,
}

/// One thing that was expected, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What was expected: `verdict SAFE`, `L4-HONEY-001 exactly 6`.
    pub expected: String,
    /// What was found, in words.
    pub found: String,
    /// Whether it is as expected.
    pub held: bool,
    /// Where the expectation stands.
    pub at: At,
}

/// A file of expectations.
#[derive(Clone, Debug)]
pub struct Expectations {
    list: Vec<Expectation>,
}

impl Expectations {
    /// Reads a file. `rules` are the ids that there are.
    ///
    /// # Errors
    /// Everything that is wrong in it, and where.
    pub fn load(file: &str, text: &str, rules: &RuleSet) -> Result<Self, RuleErrors> {
        load::load(file, text, rules).map(|list| Self { list })
    }

    /// What is expected of the trace with this path, seen from the corpus.
    pub fn of(&self, path: &str) -> impl Iterator<Item = &Expectation> {
        self.list.iter().filter(move |one| one.glob.is_match(path))
    }

    /// The expectations that fit none of these paths, each with the path that
    /// was perhaps meant.
    #[must_use]
    pub fn unmatched<'e, 'p>(
        &'e self,
        paths: &'p [String],
    ) -> Vec<(&'e Expectation, Option<&'p str>)> {
        let known = || paths.iter().map(String::as_str);
        let lost = self
            .list
            .iter()
            .filter(|one| !known().any(|path| one.glob.is_match(path)));
        lost.map(|one| (one, nearest_path(&one.trace, paths)))
            .collect()
    }
}

/// By a few letters, or of the same name in another folder.
fn nearest_path<'p>(wrong: &str, paths: &'p [String]) -> Option<&'p str> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    nearest(wrong, paths.iter().map(String::as_str)).or_else(|| {
        let wrong = name(wrong);
        let mut same = paths.iter().filter(|path| name(path) == wrong);
        same.next().map(String::as_str)
    })
}

impl Expectation {
    /// The verdicts of which one is expected, if any is.
    #[must_use]
    pub fn verdicts(&self) -> Option<&[Verdict]> {
        self.verdict
            .as_ref()
            .map(|(verdicts, _)| verdicts.as_slice())
    }

    /// What is expected of a trace, held against its report.
    #[must_use]
    pub fn check(&self, report: &Report) -> Vec<Held> {
        let mut all = Vec::new();
        if let Some((verdicts, at)) = &self.verdict {
            let words: Vec<&str> = verdicts.iter().map(|verdict| verdict.word()).collect();
            let held = verdicts.contains(&report.verdict);
            all.push(Held {
                expected: format!("verdict {}", words.join(" or ")),
                found: match held {
                    true => report.verdict.word().to_owned(),
                    false => because(report),
                },
                held,
                at: *at,
            });
        }
        for (rule, number, at) in &self.rules {
            all.push(count(rule, *number, *at, report, &|id| id == rule));
        }
        if let Some((number, at)) = self.others {
            let named = |id: &str| self.rules.iter().any(|(rule, ..)| rule == id);
            all.push(count("other rules", number, at, report, &|id| !named(id)));
        }
        all
    }
}

/// The verdict, with the reasons that weigh most.
fn because(report: &Report) -> String {
    let reasons = report.reasons.iter().take(3);
    let reasons: Vec<&str> = reasons.map(|reason| reason.text.as_str()).collect();
    match reasons.is_empty() {
        true => report.verdict.word().to_owned(),
        false => format!("{}: {}", report.verdict.word(), reasons.join("; ")),
    }
}

fn count(
    what: &str,
    number: Number,
    at: At,
    report: &Report,
    counts: &dyn Fn(&str) -> bool,
) -> Held {
    let weighing = report
        .findings
        .iter()
        .filter(|one| one.suppressed.is_none());
    let mut ids: Vec<&str> = weighing
        .map(|finding| finding.rule.as_str())
        .filter(|id| counts(id))
        .collect();
    let n = ids.len() as u64;
    // What is not listed may be of any rule: no upper bound holds for certain.
    let sure = report.findings_beyond == 0 || number.most.is_none();
    ids.sort_unstable();
    ids.dedup();
    let mut found = format!("{n}");
    if what != ids.join(", ") && !ids.is_empty() {
        found = format!("{n} ({})", ids.join(", "));
    }
    if !sure {
        found.push_str(", and findings that are not listed");
    }
    Held {
        expected: format!("{what} {number}"),
        found,
        held: sure && number.holds(n),
        at,
    }
}
