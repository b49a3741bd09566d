//! The condition of a Sigma rule: selections joined by words.
//!
//! Owns: `and`, `or`, `not`, parentheses, `1 of x*`, `all of them`.
//! Must not: look into selections.

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Longest condition.
const MAX_LENGTH: usize = 16 << 10;

/// A condition over selections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    All(Vec<Choice>),
    Any(Vec<Choice>),
    Not(Box<Choice>),
    Selection(String),
}

/// Where a condition does not follow the grammar (byte), and what is wrong.
pub(super) type Wrong = (usize, String);

/// Parses a condition over these selections.
pub(super) fn parse(source: &str, selections: &[&str]) -> Result<Choice, Wrong> {
    if source.len() > MAX_LENGTH {
        return Err((MAX_LENGTH, "the condition is too long".to_owned()));
    }
    let mut parser = Parser {
        source,
        at: 0,
        selections,
    };
    let choice = parser.any(0)?;
    match parser.peek() {
        None => Ok(choice),
        Some("|") => Err((
            parser.at,
            "aggregations behind `|` have become correlation rules".to_owned(),
        )),
        Some(word) => Err((parser.at, format!("unexpected `{}`", word.escape_debug()))),
    }
}

struct Parser<'s> {
    source: &'s str,
    at: usize,
    selections: &'s [&'s str],
}

impl<'s> Parser<'s> {
    /// The next word, which stays.
    fn peek(&mut self) -> Option<&'s str> {
        let rest = self.source.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len();
        let rest = self.source.get(self.at..)?;
        let first = rest.chars().next()?;
        if matches!(first, '(' | ')' | '|') {
            return rest.get(..1);
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|'))
            .unwrap_or(rest.len());
        rest.get(..end)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let here = self
            .peek()
            .is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        if here {
            self.at += wanted.len();
        }
        here
    }

    fn any(&mut self, depth: usize) -> Result<Choice, Wrong> {
        let mut all = vec![self.all(depth)?];
        while self.take("or") {
            all.push(self.all(depth)?);
        }
        Ok(single(all, Choice::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Choice, Wrong> {
        let mut all = vec![self.one(depth)?];
        while self.take("and") {
            all.push(self.one(depth)?);
        }
        Ok(single(all, Choice::All))
    }

    fn one(&mut self, depth: usize) -> Result<Choice, Wrong> {
        if depth > MAX_DEPTH {
            return Err((self.at, "nested too deeply".to_owned()));
        }
        if self.take("not") {
            return Ok(Choice::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            if !self.take(")") {
                return Err((self.at, "expected `)`".to_owned()));
            }
            return Ok(inner);
        }
        let at = self.at;
        let Some(word) = self.peek() else {
            return Err((at, "expected a selection, found the end".to_owned()));
        };
        self.at += word.len();
        if ["1", "any", "all"].contains(&word) && self.take("of") {
            return self.several(word);
        }
        if self.selections.contains(&word) {
            return Ok(Choice::Selection(word.to_owned()));
        }
        let near = crate::cond::nearest(word, self.selections.iter().copied());
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let word = word.escape_debug();
        Err((at, format!("there is no selection `{word}`{hint}")))
    }

    /// `1 of them`, `all of selection_*`.
    fn several(&mut self, how: &str) -> Result<Choice, Wrong> {
        let at = self.at;
        let word = self.peek().unwrap_or_default();
        self.at += word.len();
        let pattern = super::value::Pattern::parse(word);
        let wanted = |name: &&&str| match word {
            "them" => !name.starts_with('_'),
            _ => pattern.matches(name),
        };
        let found = self.selections.iter().filter(wanted);
        let found: Vec<_> = found
            .map(|name| Choice::Selection((*name).to_owned()))
            .collect();
        if found.is_empty() {
            let word = word.escape_debug();
            return Err((at, format!("no selection is called `{word}`")));
        }
        Ok(single(
            found,
            if how == "all" {
                Choice::All
            } else {
                Choice::Any
            },
        ))
    }
}

fn single(mut all: Vec<Choice>, wrap: fn(Vec<Choice>) -> Choice) -> Choice {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            wrap(all)
        }
        None => wrap(all),
    }
}
