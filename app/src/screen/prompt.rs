//! A line that is typed: a filter, or a line of the policy.
//!
//! Owns: its text, its cursor, and what is wrong with it so far.
//! Must not: apply anything; [`super::act`] does.

use belljar_event::Action as Verb;
use belljar_replay::cond::{CondError, Condition, FIELDS, Names};
use belljar_replay::escape::is_plain;
use belljar_replay::session::Session;

use super::complete;
use super::keys::Action;

/// Longest filter, in bytes.
const MAX: usize = 4096;

/// A line being edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    text: String,
    /// Byte offset, at a character's start.
    cursor: usize,
    /// What is wrong with the text as it stands.
    error: Option<CondError>,
    /// Somebody has tried to use it as it stands.
    tried: bool,
    kind: Kind,
    /// What the word before the cursor may become.
    choices: Vec<String>,
    /// Where that word begins.
    from: usize,
}

/// What a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// A condition.
    #[default]
    Filter,
    /// An action, and a condition behind it.
    Line,
    /// Any text: the note of an event.
    Note(u64),
    /// Any text.
    Plain,
}

/// The actions that answer a question.
const ANSWERS: [(&str, Verb); 3] = [
    ("allow", Verb::Allow),
    ("deny", Verb::Deny),
    ("kill", Verb::Kill),
];

impl Prompt {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.len(),
            ..Self::default()
        }
    }

    /// A line of the policy: `allow evt.op = exec and …`.
    pub(super) fn policy_line(text: &str) -> Self {
        Self {
            kind: Kind::Line,
            ..Self::new(text)
        }
    }

    /// What is said of an event.
    pub(super) fn note(seq: u64, text: &str) -> Self {
        Self {
            kind: Kind::Note(seq),
            ..Self::new(text)
        }
    }

    /// Any text, none so far.
    pub(super) fn plain() -> Self {
        Self {
            kind: Kind::Plain,
            ..Self::default()
        }
    }

    /// Any text, this so far.
    pub(super) fn plain_with(text: &str) -> Self {
        Self {
            kind: Kind::Plain,
            ..Self::new(text)
        }
    }

    /// The event that this is a note of.
    pub(super) fn noted(&self) -> Option<u64> {
        match self.kind {
            Kind::Note(seq) => Some(seq),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn error(&self) -> Option<&CondError> {
        self.error.as_ref()
    }

    pub(super) fn tried(&self) -> bool {
        self.tried
    }

    /// Puts a character in. One that nobody would see is left out.
    pub(super) fn insert(&mut self, c: char, names: &Names) {
        if (is_plain(c) || c == '\\') && self.text.len() + c.len_utf8() <= MAX {
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
            self.check(names);
        }
    }

    /// Puts text from the clipboard in; a line's end becomes a space, and what nobody
    /// would see is left out. Bounded by the longest line.
    pub(super) fn paste(&mut self, text: &str, names: &Names) {
        for c in text.chars().take(MAX) {
            let c = if c.is_whitespace() { ' ' } else { c };
            if (is_plain(c) || c == '\\') && self.text.len() + c.len_utf8() <= MAX {
                self.text.insert(self.cursor, c);
                self.cursor += c.len_utf8();
            }
        }
        self.check(names);
    }

    /// Moves the cursor or removes text.
    pub(super) fn edit(&mut self, action: Action, names: &Names) {
        let before = self.head().chars().next_back().map_or(0, char::len_utf8);
        let after = self.tail().chars().next().map_or(0, char::len_utf8);
        match action {
            Action::Left => self.cursor -= before,
            Action::Right => self.cursor += after,
            Action::LineStart => self.cursor = 0,
            Action::LineEnd => self.cursor = self.text.len(),
            Action::Erase => self.remove(self.cursor - before, self.cursor),
            Action::EraseNext => self.remove(self.cursor, self.cursor + after),
            Action::EraseWord => {
                let head = self.head().trim_end();
                let start = head.rfind(' ').map_or(0, |at| at + 1);
                self.remove(start, self.cursor);
            }
            Action::EraseAll => self.remove(0, self.text.len()),
            Action::Complete => self.complete(),
            _ => return,
        }
        self.check(names);
    }

    /// The condition, if it is one; `Err` keeps what is wrong.
    pub(super) fn parse(&mut self, names: &Names) -> Option<Condition> {
        self.tried = true;
        match Condition::parse(&self.text, names) {
            Ok(condition) => Some(condition),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// The action of a policy line, if it is one; `None` keeps what is wrong.
    pub(super) fn parse_line(&mut self, names: &Names) -> Option<Verb> {
        self.tried = true;
        match self.read_line(names) {
            Ok((verb, _)) => Some(verb),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    fn read_line(&self, names: &Names) -> Result<(Verb, Condition), CondError> {
        let text = self.text.trim_start();
        let indent = self.text.len() - text.len();
        let (word, condition) = text.split_once(' ').unwrap_or((text, ""));
        let Some((_, verb)) = ANSWERS.iter().find(|(name, _)| *name == word) else {
            return Err(CondError {
                offset: indent,
                line: 1,
                column: 1,
                message: "begin with allow, deny or kill".to_owned(),
                nearest: None,
            });
        };
        match Condition::parse(condition, names) {
            Ok(condition) => Ok((*verb, condition)),
            Err(mut error) => {
                error.offset += indent + word.len() + 1;
                Err(error)
            }
        }
    }

    fn check(&mut self, names: &Names) {
        self.tried = false;
        self.error = match self.text.trim() {
            "" => None,
            _ if matches!(self.kind, Kind::Note(_) | Kind::Plain) => None,
            _ if self.kind == Kind::Line => self.read_line(names).err(),
            _ => Condition::parse(&self.text, names).err(),
        };
    }

    fn head(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn tail(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    fn remove(&mut self, from: usize, to: usize) {
        let mut text = self.text.get(..from).unwrap_or_default().to_owned();
        text.push_str(self.text.get(to..).unwrap_or_default());
        self.text = text;
        self.cursor = from;
    }

    /// What the word before the cursor may become, as far as that was looked up.
    pub(super) fn choices(&self) -> &[String] {
        &self.choices
    }

    /// Looks up what the word before the cursor may become: a value of `session`, or
    /// the name of a field.
    pub(super) fn look_up(&mut self, session: &Session) {
        self.choices.clear();
        if !matches!(self.kind, Kind::Filter | Kind::Line) {
            return;
        }
        if let Some(begun) = complete::begun(self.head()) {
            (self.from, self.choices) = (begun.from, complete::values(session, begun));
            return;
        }
        let name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        self.from = self.head().trim_end_matches(name).len();
        let word = self.head().get(self.from..).unwrap_or_default();
        let known = FIELDS.iter().map(|info| info.name);
        let fitting = known.filter(|name| !word.is_empty() && name.starts_with(word));
        self.choices = fitting.map(str::to_owned).collect();
    }

    /// Completes the word as far as all that it may become agree.
    fn complete(&mut self) {
        let Some(first) = self.choices.first() else {
            return;
        };
        let common = |length: &usize| {
            let head = first.get(..*length);
            head.is_some() && self.choices.iter().all(|one| one.get(..*length) == head)
        };
        let length = (0..=first.len()).rev().find(common).unwrap_or(0);
        let whole = first.get(..length).unwrap_or_default().to_owned();
        // Quoted or not, a choice never becomes shorter than what was typed of it.
        let typed = self.cursor.saturating_sub(self.from);
        if whole.len() >= typed && self.text.len() - typed + whole.len() <= MAX {
            self.remove(self.from, self.cursor);
            self.text.insert_str(self.cursor, &whole);
            self.cursor += whole.len();
        }
    }
}
