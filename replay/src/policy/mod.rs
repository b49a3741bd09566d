//! Policy: an ordered list of lines, the first that matches decides.
//!
//! Owns: [`Policy`], [`Line`], deciding, and what goes with it: the presets, the
//! policy's text (recorded in the trace, it loads back to the same policy), who
//! enforces each line, explaining, testing and learning.
//! Must not: ask anybody, resolve names, or touch files or the network. What no
//! policy can allow (refused address ranges) is the egress's business.
//!
//! A line whose condition is undecided, because a value is not known, counts
//! against the guest: `deny`, `kill` and `ask` hold, `allow` does not.
//!
//! Besides its lines a policy may have some that restrict: each is asked, in any
//! order, and of all answers the strictest counts. They can only tighten.

mod allow;
mod case;
mod cases;
mod check;
mod compose;
mod cover;
mod edit;
mod explain;
mod file;
mod kernel;
mod learn;
mod object;
mod own;
mod question;
mod text;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

pub use belljar_event::Action;

use crate::cond::{Condition, Field, Subject, Truth, Value};

pub use allow::{Allow, AllowError};
pub use case::{Case, CaseError, Deed};
pub use cases::{CaseResult, Cases};
pub use check::{Checked, Covered};
pub use compose::REPOSITORY;
pub use edit::{EditError, insert_line};
pub use explain::{Explained, Settled, Weighed};
pub use file::{Source, Syntax};
pub use kernel::{Enforced, Enforcer};
pub use learn::{Learned, Learner, NotLearned};
pub use object::Object;
pub use own::{PRESETS, PROFILES, preset_text, profile_text};
pub use question::Question;
pub use text::PolicyError;

/// What decided where no line matched.
pub const BUILT_IN: &str = "built-in";

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// `default:egress`, `registry:npm`, `allow:1`.
    pub id: String,
    /// What it says.
    pub action: Action,
    /// When.
    pub condition: Condition,
    /// Why, for people.
    pub reason: Option<String>,
    /// The literal address that an `--allow IP:PORT` line stands for: the only
    /// way to an address in a refused range.
    pub literal: Option<SocketAddr>,
    /// Where it was written, if that was in a file.
    pub origin: Option<Origin>,
}

/// Where a line's condition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As the caller named it.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// An ordered list of lines.
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
    lines: Vec<Line>,
    /// Lines that only restrict.
    guards: Vec<Line>,
    source: String,
}

/// What was decided, and by which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What to do. `Ask` where nobody can be asked means `Deny`: the caller's business.
    pub action: Action,
    /// The line's id, or [`BUILT_IN`].
    pub by: String,
    /// The line's reason.
    pub reason: Option<String>,
    /// The line is a literal address: refused ranges do not apply.
    pub literal: bool,
}

impl Decided {
    /// Nothing leaves unless a line says so; files are denied only by lines.
    fn built_in(subject: &dyn Subject) -> Self {
        let file =
            matches!(subject.value(Field::EvtOp), Value::Bytes(op) if op.as_ref() != b"connect");
        Self {
            action: if file { Action::Allow } else { Action::Deny },
            by: BUILT_IN.into(),
            reason: Some("no line matches".to_owned()),
            literal: false,
        }
    }

    fn by(line: &Line) -> Self {
        Self {
            action: line.action,
            by: line.id.clone(),
            reason: line.reason.clone(),
            literal: line.literal.is_some() && line.action == Action::Allow,
        }
    }

    /// Of two answers the stricter; of two that are alike the first.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if strictness(other.action) > strictness(self.action) {
            other
        } else {
            self
        }
    }

    /// True if it may happen without asking.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.action == Action::Allow
    }
}

/// Of two answers the larger one is stricter.
#[must_use]
pub fn strictness(action: Action) -> u8 {
    match action {
        Action::Allow => 0,
        Action::Ask => 1,
        Action::Deny => 2,
        Action::Kill => 3,
    }
}

impl Line {
    /// Undecided lines count against the guest.
    fn decides(&self, subject: &dyn Subject) -> bool {
        match self.condition.matches(subject) {
            Truth::Yes => true,
            Truth::Maybe => self.action != Action::Allow,
            Truth::No => false,
        }
    }

    /// Of a lookup port and address are not known: what may allow decides.
    fn decides_lookup(&self, subject: &dyn Subject) -> bool {
        match self.condition.matches(subject) {
            Truth::Yes => true,
            Truth::Maybe => matches!(self.action, Action::Allow | Action::Ask),
            Truth::No => false,
        }
    }
}

impl Policy {
    /// Loads a policy from its text in TOML. `name` stands in the ids of lines and
    /// in errors, unless the text names itself.
    ///
    /// # Errors
    /// With the line and column of what is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        Self::parse_toml(name, text)
    }

    /// Loads a policy from a file's text, TOML or YAML.
    ///
    /// # Errors
    /// With the file, line and column of what is wrong first.
    pub fn read(source: &Source<'_>) -> Result<Self, PolicyError> {
        text::read(source).map_err(|errors| {
            let first = errors.into_iter().next();
            first.unwrap_or_else(|| source.error_at(0, "cannot be read"))
        })
    }

    /// As [`Policy::read`], with everything that is wrong.
    ///
    /// # Errors
    /// One for each line that is wrong.
    pub fn read_all(source: &Source<'_>) -> Result<Self, Vec<PolicyError>> {
        text::read(source)
    }

    /// The name: `default`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines, in order.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines that only restrict, in no order.
    #[must_use]
    pub fn restrictions(&self) -> &[Line] {
        &self.guards
    }

    /// The line with this id.
    #[must_use]
    pub fn line(&self, id: &str) -> Option<&Line> {
        let mut all = self.guards.iter().chain(&self.lines);
        all.find(|line| line.id == id)
    }

    /// The text in its one canonical form: [`Policy::parse`] makes the same policy of it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// blake3 of [`Policy::source`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(self.source.as_bytes()).as_bytes()
    }

    /// What may be done. Undecided lines count against the guest.
    #[must_use]
    pub fn decide(&self, subject: &dyn Subject) -> Decided {
        let mut lines = self.lines.iter();
        let first = lines.find(|line| line.decides(subject));
        let said = first.map_or_else(|| Decided::built_in(subject), Decided::by);
        self.tightened(said, subject, Truth::Maybe)
    }

    /// Whether a name may be given an address, when it is not known yet where
    /// a connect would go: yes if some line may allow (or ask about) one.
    #[must_use]
    pub fn lookup(&self, subject: &dyn Subject) -> Decided {
        let mut lines = self.lines.iter();
        let first = lines.find(|line| line.decides_lookup(subject));
        let said = first.map_or_else(|| Decided::built_in(subject), Decided::by);
        // What only may restrict is asked again at the connect, which is certain.
        self.tightened(said, subject, Truth::Yes)
    }

    /// The strictest of what was said and all restrictions that hold at least so much.
    fn tightened(&self, said: Decided, subject: &dyn Subject, least: Truth) -> Decided {
        let mut strictest = None;
        let mut most = strictness(said.action);
        for guard in &self.guards {
            if strictness(guard.action) > most && guard.condition.matches(subject) >= least {
                most = strictness(guard.action);
                strictest = Some(guard);
            }
        }
        strictest.map_or(said, Decided::by)
    }

    /// The literal addresses that may be connected to without a name.
    #[must_use]
    pub fn direct(&self) -> Vec<SocketAddr> {
        let allowed = self
            .lines
            .iter()
            .filter(|line| line.action == Action::Allow);
        let mut all: Vec<_> = allowed.filter_map(|line| line.literal).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Policy {}
