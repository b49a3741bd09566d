//! Rules of others: which file is whose, what can be evaluated, and why not.
//!
//! Owns: [`Checked`], [`Status`], loading files of every kind together.
//! Must not: know the languages; see `falco` and `sigma`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Options;

use super::{Place, Rule, RuleError, RuleErrors, RuleSet, load};
use crate::cond::{nearest, shown};
use crate::{falco, sigma};

/// Longest foreign file in bytes.
const MAX_FILE: usize = 4 << 20;
/// Most foreign files.
const MAX_FILES: usize = 20_000;
/// Longest slug.
const MAX_SLUG: usize = 100;

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One of belljar's form.
    Own,
    /// Of a Falco file.
    Falco,
    /// Of a Sigma file.
    Sigma,
}

impl Origin {
    /// As shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "belljar",
            Self::Falco => "falco",
            Self::Sigma => "sigma",
        }
    }

    /// By the id that a rule has once it is loaded.
    #[must_use]
    pub fn of_id(id: &str) -> Self {
        match id.split_once(':') {
            Some(("falco", _)) => Self::Falco,
            Some(("sigma", _)) => Self::Sigma,
            _ => Self::Own,
        }
    }
}

/// A foreign rule, or something wrong in a foreign file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its id here; empty if it is no rule at all.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The file that it stands in, as that was named.
    pub file: String,
    /// The line that it begins at.
    pub line: usize,
    /// False: its file says that it is off.
    pub enabled: bool,
    /// Whether it can be evaluated.
    pub status: Status,
}

/// Whether a rule can be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Yes, with these reservations.
    Evaluable(Vec<String>),
    /// No: it asks for this, which belljar does not have.
    Missing(Vec<String>),
    /// No: its text does not hold together.
    Wrong {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl Status {
    pub(crate) fn not(why: impl Into<String>) -> Self {
        Self::Missing(vec![why.into()])
    }

    /// True if the rule can be evaluated.
    #[must_use]
    pub fn is_evaluable(&self) -> bool {
        matches!(self, Self::Evaluable(_))
    }
}

/// Rules with what became of the foreign ones.
#[derive(Clone, Debug)]
pub struct LoadedRules {
    /// Everything that can be evaluated and is not switched off.
    pub rules: Arc<RuleSet>,
    /// Every foreign rule, in order of the files.
    pub checked: Vec<Checked>,
}

impl RuleSet {
    /// Loads files of every kind: belljar's, Falco's, Sigma's. `builtin`: beside
    /// the rules that come with belljar. Foreign rules that cannot be evaluated
    /// are left out, and named. Falco files override each other in this order.
    ///
    /// # Errors
    /// Everything that is wrong in any of belljar's form.
    pub fn load_all(
        builtin: bool,
        sources: &[(String, String)],
    ) -> Result<LoadedRules, RuleErrors> {
        let (mut own, mut of_falco, mut of_sigma) = (Vec::new(), Vec::new(), Vec::new());
        if builtin {
            own.extend_from_slice(Self::builtin_sources());
        }
        if let Some((file, _)) = sources.get(MAX_FILES) {
            return Err(RuleErrors(vec![RuleError {
                file: file.clone(),
                line: 1,
                column: 1,
                message: format!("more than {MAX_FILES} rule files"),
            }]));
        }
        for (file, text) in sources {
            let source = (file.as_str(), text.as_str());
            match origin(text) {
                Origin::Falco => of_falco.push(source),
                Origin::Sigma => of_sigma.push(source),
                Origin::Own => own.push(source),
            }
        }
        let load::Loaded {
            mut rules,
            names,
            mut digest,
        } = load::load(&own)?;
        let mut checked = falco::load(&of_falco, &mut rules);
        checked.extend(sigma::load(&of_sigma, &mut rules));
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        if !of_falco.is_empty() || !of_sigma.is_empty() {
            digest = mixed(digest, &of_falco, &of_sigma);
        }
        Ok(LoadedRules {
            rules: Arc::new(Self::of(rules, names, digest)),
            checked,
        })
    }
}

/// Whose file it is, by its first words.
fn origin(text: &str) -> Origin {
    if falco::is_file(text) {
        Origin::Falco
    } else if sigma::is_file(text) {
        Origin::Sigma
    } else {
        Origin::Own
    }
}

/// Falco files in their order, which matters; Sigma files in order of their texts.
fn mixed(own: [u8; 32], of_falco: &[(&str, &str)], of_sigma: &[(&str, &str)]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"belljar rules of others 1\n");
    hasher.update(&own);
    let mut sorted: Vec<_> = of_sigma.iter().map(|(_, text)| *text).collect();
    sorted.sort_unstable();
    let texts = of_falco.iter().map(|(_, text)| (b'f', *text));
    for (whose, text) in texts.chain(sorted.into_iter().map(|text| (b's', text))) {
        hasher.update(&[whose]);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Files of others may be long, and may have anchors; they may not multiply.
pub(crate) fn foreign_options(len: usize) -> Options {
    let mut budget = serde_saphyr::Budget::default();
    budget.max_reader_input_bytes = Some(MAX_FILE);
    budget.max_events = 2_000_000;
    budget.max_nodes = 1_000_000;
    budget.max_depth = 32;
    budget.max_aliases = 1000;
    budget.max_anchors = 1000;
    budget.max_total_scalar_bytes = len.saturating_mul(4).max(1 << 16);
    let mut options = Options::default();
    options.budget = Some(budget);
    options
}

/// A whole file, or where it is wrong.
pub(crate) fn foreign_yaml<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, (Place, String)> {
    if text.len() > MAX_FILE {
        let message = format!("the file is longer than {MAX_FILE} bytes");
        return Err((Place { line: 1, column: 1 }, message));
    }
    serde_saphyr::from_str_with_options(text, foreign_options(text.len()))
        .map_err(|error| load::yaml_error(&error))
}

/// `directory-traversal-monitored-file-read`.
pub(crate) fn slug(title: &str) -> String {
    let mut out = String::new();
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() >= MAX_SLUG {
            break;
        }
    }
    let slug = out.trim_end_matches('-');
    if slug.is_empty() {
        shown("unnamed", MAX_SLUG)
    } else {
        slug.to_owned()
    }
}

/// The id itself, or with a number behind it if it is taken.
pub(crate) fn listed_once(taken: &mut BTreeSet<String>, id: String) -> String {
    if taken.insert(id.clone()) {
        return id;
    }
    let mut number = 2u32;
    loop {
        let other = format!("{id}-{number}");
        if taken.insert(other.clone()) {
            return other;
        }
        number = number.saturating_add(1);
    }
}

impl Rule {
    /// Whose rule it is.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::of_id(&self.id)
    }
}

/// The id that is nearest to one that no rule has.
#[must_use]
pub fn nearest_id<'r>(rules: &'r RuleSet, id: &str) -> Option<&'r str> {
    let ids = rules.rules().iter().map(|rule| rule.id.as_str());
    nearest(id, ids)
}
