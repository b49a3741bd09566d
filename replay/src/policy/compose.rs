//! One policy out of several.
//!
//! Owns: the order in which lines of different origin stand, and that lines of
//! a repository can only tighten. Must not: decide.

use belljar_event::Action;

use super::file::Source;
use super::text::{self, Kind};
use super::{Allow, Line, Policy, PolicyError};

/// What the lines of a repository's file are called.
pub const REPOSITORY: &str = "repository";

impl Policy {
    /// The same with `~/` as this folder.
    ///
    /// # Errors
    /// If a condition cannot be read any more, which a plain path does not cause.
    pub fn at_home(&self, home: &str) -> Result<Self, PolicyError> {
        let there = |line: &Line| {
            let condition = line.condition.source().replace("~/", &format!("{home}/"));
            let (id, reason) = (line.id.clone(), line.reason.clone());
            let moved = text::line(id, line.action, &condition, reason, line.literal)?;
            Ok::<_, PolicyError>(Line {
                origin: line.origin.clone(),
                ..moved
            })
        };
        let moved = |lines: &[Line]| lines.iter().map(there).collect::<Result<Vec<_>, _>>();
        Self::build(self.name.clone(), moved(&self.lines)?, moved(&self.guards)?)
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
        preset.after(lines)
    }

    /// This policy with all of another in front: that is asked first.
    ///
    /// # Errors
    /// If two lines have the same id, or the result exceeds a limit.
    pub fn led_by(&self, front: &Self) -> Result<Self, PolicyError> {
        let mut lines = front.lines.clone();
        lines.extend(self.lines.iter().cloned());
        let mut guards = front.guards.clone();
        guards.extend(self.guards.iter().cloned());
        Self::build(self.name.clone(), lines, guards)
    }

    /// This policy with lines of another one in front, but for those whose id it has.
    ///
    /// # Errors
    /// If the result exceeds a limit.
    pub fn behind<'a>(&self, lines: impl Iterator<Item = &'a Line>) -> Result<Self, PolicyError> {
        let front = lines.filter(|line| self.line(&line.id).is_none());
        self.after(front.cloned().collect())
    }

    /// This policy with the restrictions of another one, but for those whose id it has.
    ///
    /// # Errors
    /// If the result exceeds a limit.
    pub fn restricted_as(&self, other: &Self) -> Result<Self, PolicyError> {
        let more = other.guards.iter();
        let more = more.filter(|guard| self.line(&guard.id).is_none());
        let guards = self.guards.iter().chain(more).cloned().collect();
        Self::build(self.name.clone(), self.lines.clone(), guards)
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
        self.after(vec![allow.line_in_phase(id.to_owned(), reason, phase)?])
    }

    /// This policy with one more line in front, written as `ACTION CONDITION`:
    /// `allow evt.op = connect and net.name = files.example`.
    ///
    /// # Errors
    /// If it is no such line, or the id is taken.
    pub fn with_line(&self, id: &str, line: &str) -> Result<Self, PolicyError> {
        let (action, condition) = split_line(line).map_err(|message| PolicyError::Line {
            id: id.to_owned(),
            message: message.to_owned(),
        })?;
        let line = text::line(id.to_owned(), action, condition, None, None)?;
        self.after(vec![line])
    }

    /// This policy, tightened by a repository's file: its lines are asked besides,
    /// and the stricter answer counts. So none of them can loosen anything,
    /// whatever it says and wherever it stands.
    ///
    /// # Errors
    /// If the file has a line that allows, or is wrong otherwise.
    pub fn restricted(&self, source: &Source<'_>) -> Result<Self, PolicyError> {
        let file = source.written()?;
        if let Some(name) = &file.name {
            let message = "a repository's file has no name: its lines are `repository:…`";
            return Err(source.error_at(name.offset, message));
        }
        let mut guards = self.guards.clone();
        for (number, rule) in file.restrict.iter().chain(&file.rules).enumerate() {
            if rule.action.value == Action::Allow {
                let message = "a repository can only tighten the policy that it runs under: \
                    deny, ask and kill may stand here, allow may not";
                return Err(source.error_at(rule.action.offset, message));
            }
            if let Some(id) = rule.id.as_ref().filter(|id| id.value.contains(':')) {
                let message = "an id in a repository's file names no origin: \
                    write it without `:`";
                return Err(source.error_at(id.offset, message));
            }
            guards.push(source.line(REPOSITORY, number + 1, rule, Kind::Restrict)?);
        }
        Self::build(self.name.clone(), self.lines.clone(), guards)
    }

    fn after(&self, mut front: Vec<Line>) -> Result<Self, PolicyError> {
        front.extend(self.lines.iter().cloned());
        Self::build(self.name.clone(), front, self.guards.clone())
    }
}

/// `allow evt.op = …`: what to do, and when.
pub(super) fn split_line(line: &str) -> Result<(Action, &str), &'static str> {
    let (action, condition) = line
        .trim()
        .split_once(' ')
        .ok_or("write an action and a condition: allow evt.op = exec and …")?;
    let action = match action {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "ask" => Action::Ask,
        "kill" => Action::Kill,
        _ => return Err("a line begins with allow, deny, ask or kill"),
    };
    Ok((action, condition.trim()))
}

#[cfg(test)]
mod tests;
