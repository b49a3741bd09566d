//! YAML text to expectations.
//!
//! Owns: the shape of the file, its limits, errors with their places. Must not:
//! read files.

use globset::GlobBuilder;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{At, Expectation, Number};
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

pub(super) fn load(
    file: &str,
    text: &str,
    rules: &RuleSet,
) -> Result<Vec<Expectation>, RuleErrors> {
    let mut loader = Loader {
        file,
        text,
        rules,
        errors: Vec::new(),
    };
    match (loader.load(), loader.errors.is_empty()) {
        (Some(list), true) => Ok(list),
        _ => Err(RuleErrors(loader.errors)),
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
