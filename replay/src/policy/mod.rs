//! Policy: an ordered list of lines, the first that matches decides.
//!
//! Owns: [`Policy`], [`Line`], deciding, the presets, and the policy's text,
//! which is recorded in the trace and loads back to the same policy.
//! Must not: ask anybody, resolve names, or touch the network. What no policy
//! can allow (refused address ranges) is the egress's business.
//!
//! A line whose condition is undecided, because a value is not known, counts
//! against the guest: `deny`, `kill` and `ask` hold, `allow` does not.

mod allow;
mod kernel;
mod question;
mod text;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

pub use belljar_event::Action;

use crate::cond::{Condition, Field, Subject, Truth, Value};

pub use allow::{Allow, AllowError};
pub use kernel::{Enforced, Enforcer};
pub use question::Question;
pub use text::PolicyError;

/// What decided where no line matched.
pub const BUILT_IN: &str = "built-in";

/// The preset for running untrusted code: nothing leaves but what is allowed.
const DEFAULT: &str = include_str!("../../policies/default.toml");

/// Files are only watched; what leaves is held to the same as in `default`.
const OBSERVE: &str = include_str!("../../policies/observe.toml");
/// Everything that was dropped is asked about before it runs.
const STRICT: &str = include_str!("../../policies/strict.toml");

/// The presets' names.
pub const PRESETS: &[&str] = &["default", "observe", "strict"];

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
}

/// An ordered list of lines.
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
    lines: Vec<Line>,
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

    /// True if it may happen without asking.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.action == Action::Allow
    }
}

impl Policy {
    /// Loads a policy from its text. `name` stands in the ids of lines and in
    /// errors, unless the text names itself.
    ///
    /// # Errors
    /// With the line and column of what is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        text::parse(name, text)
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn preset(name: &str) -> Result<Self, PolicyError> {
        match name {
            "default" => Self::parse("default", DEFAULT),
            "observe" => Self::parse("observe", OBSERVE),
            "strict" => Self::parse("strict", STRICT),
            _ => Err(PolicyError::NoPreset {
                name: name.escape_debug().to_string(),
            }),
        }
    }

    /// The same with `~/` as this folder.
    ///
    /// # Errors
    /// If a condition cannot be read any more, which a plain path does not cause.
    pub fn at_home(&self, home: &str) -> Result<Self, PolicyError> {
        let mut lines = Vec::new();
        for line in &self.lines {
            let condition = line.condition.source();
            let there = condition.replace("~/", &format!("{home}/"));
            let reason = line.reason.clone();
            lines.push(text::line(
                line.id.clone(),
                line.action,
                &there,
                reason,
                line.literal,
            )?);
        }
        Self::from_lines(self.name.clone(), lines)
    }

    /// The policy of a run: registries of the package managers (client, host,
    /// port) and what the user allows, each as a line of its own before the preset's.
    ///
    /// # Errors
    /// If a registry's host is no host name or the result exceeds a limit.
    pub fn compose(
        preset: &Self,
        registries: &[(String, String, u16)],
        allows: &[Allow],
    ) -> Result<Self, PolicyError> {
        let mut lines = Vec::new();
        for (number, allow) in allows.iter().enumerate() {
            let reason = format!("allowed by the user: {allow}");
            lines.push(allow.line(format!("allow:{}", number + 1), reason)?);
        }
        for (number, (client, host, port)) in registries.iter().enumerate() {
            let allow = Allow::registry(host, *port)?;
            let client = text::id_part(client);
            let mut id = format!("registry:{client}");
            if lines.iter().any(|line: &Line| line.id == id) {
                id = format!("{id}-{}", number + 1);
            }
            lines.push(allow.line(id, format!("registry of {client}, from its configuration"))?);
        }
        lines.extend(preset.lines.iter().cloned());
        Self::from_lines(preset.name.clone(), lines)
    }

    /// This policy with a line in front that allows a destination while a
    /// phase of this name runs.
    ///
    /// # Errors
    /// If the phase's name is no plain word, or the id is taken.
    pub fn allow_in_phase(
        &self,
        id: &str,
        allow: &Allow,
        phase: &str,
    ) -> Result<Self, PolicyError> {
        let reason = format!("{allow}, while the phase {phase} runs");
        let mut lines = vec![allow.line_in_phase(id.to_owned(), reason, phase)?];
        lines.extend(self.lines.iter().cloned());
        Self::from_lines(self.name.clone(), lines)
    }

    /// This policy with one more line in front, written as `ACTION CONDITION`:
    /// `allow evt.op = connect and net.name = files.example`.
    ///
    /// # Errors
    /// If it is no such line, or the id is taken.
    pub fn with_line(&self, id: &str, line: &str) -> Result<Self, PolicyError> {
        let failed = |message: &str| PolicyError::Line {
            id: id.to_owned(),
            message: message.to_owned(),
        };
        let (action, condition) = line
            .trim()
            .split_once(' ')
            .ok_or_else(|| failed("write an action and a condition: allow evt.op = exec and …"))?;
        let action = match action {
            "allow" => Action::Allow,
            "deny" => Action::Deny,
            "ask" => Action::Ask,
            "kill" => Action::Kill,
            _ => return Err(failed("a line begins with allow, deny, ask or kill")),
        };
        let mut lines = vec![text::line(
            id.to_owned(),
            action,
            condition.trim(),
            None,
            None,
        )?];
        lines.extend(self.lines.iter().cloned());
        Self::from_lines(self.name.clone(), lines)
    }

    /// This policy with lines of another one in front, but for those whose id it has.
    ///
    /// # Errors
    /// If the result exceeds a limit.
    pub fn behind<'a>(&self, lines: impl Iterator<Item = &'a Line>) -> Result<Self, PolicyError> {
        let front = lines.filter(|line| self.line(&line.id).is_none());
        let mut lines: Vec<_> = front.cloned().collect();
        lines.extend(self.lines.iter().cloned());
        Self::from_lines(self.name.clone(), lines)
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

    /// The line with this id.
    #[must_use]
    pub fn line(&self, id: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == id)
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
        let decides = |line: &&Line| match line.condition.matches(subject) {
            Truth::Yes => true,
            Truth::Maybe => line.action != Action::Allow,
            Truth::No => false,
        };
        self.lines
            .iter()
            .find(decides)
            .map_or_else(|| Decided::built_in(subject), Decided::by)
    }

    /// Whether a name may be given an address, when it is not known yet where
    /// a connect would go: yes if some line may allow (or ask about) one.
    #[must_use]
    pub fn lookup(&self, subject: &dyn Subject) -> Decided {
        let decides = |line: &&Line| match line.condition.matches(subject) {
            Truth::Yes => true,
            Truth::Maybe => matches!(line.action, Action::Allow | Action::Ask),
            Truth::No => false,
        };
        self.lines
            .iter()
            .find(decides)
            .map_or_else(|| Decided::built_in(subject), Decided::by)
    }

    /// Each line up to the one that decides, with what its condition came to.
    #[must_use]
    pub fn explain(&self, subject: &dyn Subject) -> Vec<(&Line, Truth)> {
        let decided = self.decide(subject);
        let end = self.lines.iter().position(|line| line.id == decided.by);
        let asked = self
            .lines
            .iter()
            .take(end.map_or(self.lines.len(), |at| at + 1));
        asked
            .map(|line| (line, line.condition.matches(subject)))
            .collect()
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
