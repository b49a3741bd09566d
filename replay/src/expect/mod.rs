//! What somebody expects the rules to find in recorded traces.
//!
//! Owns: the file of expectations, and holding reports against it. Must not:
//! read files or judge; whoever calls has the reports.

#[cfg(test)]
mod tests;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::cond::nearest;
use crate::report::Report;
use crate::rules::{
    Place, RuleError, RuleErrors, RuleSet, foreign_options, nearest_id, offset_of, yaml_error,
};
use crate::verdict::Verdict;

/// Longest file in bytes.
const MAX_FILE: usize = 4 << 20;
/// Most entries.
const MAX_ENTRIES: usize = 20_000;
/// Most rules of an entry.
const MAX_RULES: usize = 5000;
/// Errors beyond this many are not collected.
const MAX_ERRORS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    expect: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    trace: Spanned<String>,
    #[serde(default)]
    verdict: Option<Spanned<Verdicts>>,
    #[serde(default)]
    rules: Vec<RuleEntry>,
    #[serde(default)]
    others: Option<Spanned<Bounds>>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Verdicts {
    One(String),
    Any(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    rule: Spanned<String>,
    #[serde(default)]
    exactly: Option<u64>,
    #[serde(default)]
    at_least: Option<u64>,
    #[serde(default)]
    at_most: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    #[serde(default)]
    exactly: Option<u64>,
    #[serde(default)]
    at_least: Option<u64>,
    #[serde(default)]
    at_most: Option<u64>,
}

/// How many findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    least: u64,
    most: Option<u64>,
}

impl Number {
    fn of(exactly: Option<u64>, at_least: Option<u64>, at_most: Option<u64>) -> Option<Self> {
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
        let mut loader = Loader {
            file,
            text,
            rules,
            errors: Vec::new(),
        };
        let list = loader.load();
        match (list, loader.errors.is_empty()) {
            (Some(list), true) => Ok(Self { list }),
            _ => Err(RuleErrors(loader.errors)),
        }
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

struct Loader<'f> {
    file: &'f str,
    text: &'f str,
    rules: &'f RuleSet,
    errors: Vec<RuleError>,
}

impl Loader<'_> {
    fn fail(&mut self, place: Place, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(RuleError {
                file: self.file.to_owned(),
                line: place.line,
                column: place.column,
                message,
            });
        }
    }

    fn place<T>(&self, of: &Spanned<T>) -> Place {
        Place::at(self.text, offset_of(of))
    }

    fn at<T>(&self, of: &Spanned<T>) -> At {
        let Place { line, column } = self.place(of);
        At { line, column }
    }

    fn load(&mut self) -> Option<Vec<Expectation>> {
        let top = Place { line: 1, column: 1 };
        if self.text.len() > MAX_FILE {
            self.fail(top, format!("longer than {MAX_FILE} bytes"));
            return None;
        }
        let raw: File = match serde_saphyr::from_str_with_options(
            self.text,
            foreign_options(self.text.len()),
        ) {
            Ok(raw) => raw,
            Err(error) => {
                let (place, message) = yaml_error(&error);
                self.fail(place, message);
                return None;
            }
        };
        if raw.expect.is_empty() || raw.expect.len() > MAX_ENTRIES {
            self.fail(
                top,
                format!("write 1 to {MAX_ENTRIES} entries below `expect`"),
            );
            return None;
        }
        Some(
            raw.expect
                .iter()
                .filter_map(|one| self.entry(one))
                .collect(),
        )
    }

    fn entry(&mut self, raw: &Entry) -> Option<Expectation> {
        let place = self.place(&raw.trace);
        let glob = GlobBuilder::new(&raw.trace.value)
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        let glob = match glob {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                self.fail(place, format!("no path and no glob: {}", error.kind()));
                return None;
            }
        };
        if raw.verdict.is_none() && raw.rules.is_empty() && raw.others.is_none() {
            let what = "expect something: a verdict, `rules`, or `others`";
            self.fail(place, what.to_owned());
        }
        if raw.rules.len() > MAX_RULES {
            self.fail(place, format!("more than {MAX_RULES} rules"));
            return None;
        }
        Some(Expectation {
            trace: raw.trace.value.clone(),
            at: self.at(&raw.trace),
            glob,
            verdict: raw.verdict.as_ref().and_then(|one| self.verdicts(one)),
            rules: raw.rules.iter().filter_map(|one| self.rule(one)).collect(),
            others: raw.others.as_ref().and_then(|one| self.others(one)),
        })
    }

    fn verdicts(&mut self, raw: &Spanned<Verdicts>) -> Option<(Vec<Verdict>, At)> {
        let words = match raw.value.clone() {
            Verdicts::One(word) => vec![word],
            Verdicts::Any(words) => words,
        };
        let all = [Verdict::Safe, Verdict::Warning, Verdict::Malicious];
        let mut verdicts = Vec::new();
        for word in &words {
            match all.iter().find(|verdict| verdict.word() == word) {
                Some(verdict) => verdicts.push(*verdict),
                None => {
                    let place = self.place(raw);
                    self.fail(
                        place,
                        format!("{word:?} is no verdict: SAFE, WARNING or MALICIOUS"),
                    );
                }
            }
        }
        (!verdicts.is_empty()).then(|| (verdicts, self.at(raw)))
    }

    fn rule(&mut self, raw: &RuleEntry) -> Option<(String, Number, At)> {
        let id = &raw.rule.value;
        let place = self.place(&raw.rule);
        if self.rules.rule(id).is_none() {
            let near = nearest_id(self.rules, id);
            let hint = near.map_or_else(
                || "`belljar rules list` names them".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            self.fail(place, format!("there is no rule {id:?}; {hint}"));
            return None;
        }
        let number = Number::of(raw.exactly, raw.at_least, raw.at_most);
        self.number(place, number)
            .map(|number| (id.clone(), number, self.at(&raw.rule)))
    }

    fn others(&mut self, raw: &Spanned<Bounds>) -> Option<(Number, At)> {
        let bounds = &raw.value;
        let number = Number::of(bounds.exactly, bounds.at_least, bounds.at_most);
        let place = self.place(raw);
        self.number(place, number)
            .map(|number| (number, self.at(raw)))
    }

    fn number(&mut self, place: Place, number: Option<Number>) -> Option<Number> {
        if number.is_none() {
            let what = "say how many: `exactly: N`, or `at_least: N`, `at_most: N` or both";
            self.fail(place, what.to_owned());
        }
        number
    }
}
