//! Text to syntax tree: Falco's condition grammar, by recursive descent.
//!
//! Owns: words, quotes, precedence, limits on size and depth.
//! Must not: look at types or resolve names (see `compile`).
//!
//! The grammar depends on its context (`<` may begin an operator or stand in a
//! bare word), so there is no separate lexer.

use super::change::{CHANGES, Change, MAX_CHANGES};
use super::error::{CondError, WORD, shown};
use super::fields::{ALIASES, FIELDS, Field, MAX_INDEX};
use super::syntax::{Expr, Left, OPS, Op, Operand, Word};
use super::words::Escapes;

/// The longest condition, in bytes.
pub(super) const MAX_SOURCE: usize = 64 << 10;
/// The same, in files that somebody chose to load.
const MAX_FOREIGN: usize = 1 << 20;
/// The deepest nesting of parentheses.
pub(super) const MAX_DEPTH: usize = 64;

type Result<T> = std::result::Result<T, CondError>;

/// Parses a whole condition.
pub(super) fn parse(source: &str) -> Result<Expr<'_>> {
    parse_as(source, false)
}

/// As [`parse`]; in a foreign condition an unknown field is no error but
/// something missing, so that all that is missing can be told at once.
pub(super) fn parse_as(source: &str, foreign: bool) -> Result<Expr<'_>> {
    let longest = if foreign { MAX_FOREIGN } else { MAX_SOURCE };
    if source.len() > longest {
        let message = format!("the condition is longer than {longest} bytes");
        return Err(CondError::new(source, longest, message));
    }
    let mut parser = Parser {
        source,
        at: 0,
        foreign,
    };
    let expr = parser.any(0)?;
    parser.space();
    if !parser.rest().is_empty() {
        return Err(parser.unexpected("`and`, `or` or the end of the condition"));
    }
    Ok(expr)
}

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) at: usize,
    foreign: bool,
}

/// The left side of a comparison, or the name of a field that belljar has not.
pub(super) enum Side<'s> {
    Known(Left),
    Unknown(&'s str),
}

pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

pub(super) fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '=' | '"' | '\'')
}

impl<'s> Parser<'s> {
    pub(super) fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> CondError {
        CondError::new(self.source, at, message)
    }

    pub(super) fn unexpected(&self, wanted: &str) -> CondError {
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end".into(),
        };
        self.error(self.at, format!("expected {wanted}, found {found}"))
    }

    pub(super) fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes as many characters as `wanted` accepts.
    pub(super) fn take(&mut self, wanted: fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes this sign if it comes next.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        self.space();
        let here = self.rest().starts_with(sign);
        if here {
            self.at += sign.len();
        }
        here
    }

    /// True if this keyword comes next.
    fn at_keyword(&mut self, word: &str) -> bool {
        self.space();
        self.rest()
            .strip_prefix(word)
            .is_some_and(|rest| !rest.starts_with(is_name))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let here = self.at_keyword(word);
        if here {
            self.at += word.len();
        }
        here
    }

    fn any(&mut self, depth: usize) -> Result<Expr<'s>> {
        let mut all = vec![self.all(depth)?];
        while self.keyword("or") {
            all.push(self.all(depth)?);
        }
        Ok(single(all, Expr::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Expr<'s>> {
        let mut all = vec![self.factor(depth)?];
        while self.keyword("and") {
            all.push(self.factor(depth)?);
        }
        Ok(single(all, Expr::And))
    }

    fn factor(&mut self, depth: usize) -> Result<Expr<'s>> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let expr = self.primary(depth)?;
        Ok(if negated {
            Expr::Not(Box::new(expr))
        } else {
            expr
        })
    }

    fn primary(&mut self, depth: usize) -> Result<Expr<'s>> {
        self.space();
        let at = self.at;
        if self.sign("(") {
            if depth >= MAX_DEPTH {
                return Err(self.error(at, format!("nested deeper than {MAX_DEPTH} parentheses")));
            }
            let inner = self.any(depth + 1)?;
            if !self.sign(")") {
                let message = "this parenthesis is never closed";
                return Err(if self.rest().is_empty() {
                    self.error(at, message)
                } else {
                    self.unexpected("`and`, `or` or `)`")
                });
            }
            return Ok(inner);
        }
        let name = self.take(is_name);
        if name.is_empty() || ["and", "or", "in"].contains(&name) {
            self.at = at;
            return Err(self.unexpected("a field, a macro, `not` or `(`"));
        }
        let called = Change::named(name).is_some() && self.rest().starts_with('(');
        if !name.contains('.') && !called {
            return self.name(Word {
                text: name.into(),
                at,
                quoted: false,
            });
        }
        let side = self.side(name, at)?;
        self.test(side, at)
    }

    /// A field, with transformers around it: `tolower(proc.name)`.
    pub(super) fn side(&mut self, first: &'s str, at: usize) -> Result<Side<'s>> {
        let (mut name, mut changes) = (first, Vec::new());
        let mut stands = at;
        while let Some(change) = Change::named(name).filter(|_| self.sign("(")) {
            changes.push(change);
            if changes.len() > MAX_CHANGES {
                return Err(self.error(at, format!("more than {MAX_CHANGES} transformers")));
            }
            self.space();
            stands = self.at;
            name = self.take(is_name);
        }
        let side = self.field(name, stands)?;
        for _ in &changes {
            if !self.sign(")") {
                return Err(self.unexpected("`)`"));
            }
        }
        changes.reverse();
        Ok(match side {
            Some(field) => Side::Known(Left {
                field,
                at: stands,
                changes,
            }),
            None => Side::Unknown(self.source.get(stands..self.at).unwrap_or(name)),
        })
    }

    fn name(&mut self, word: Word<'s>) -> Result<Expr<'s>> {
        let after = self.at;
        if let Ok(Some(op)) = self.operator() {
            let message = format!(
                "`{}` stands before `{}` but is no field",
                shown(&word.text, WORD),
                op.name()
            );
            return Err(self.error(word.at, message).near(&word.text, field_names()));
        }
        self.at = after;
        Ok(Expr::Name(word))
    }

    /// `None`: a foreign rule's field that belljar does not have.
    fn field(&mut self, name: &'s str, at: usize) -> Result<Option<Field>> {
        let indexed = self.rest().starts_with('[');
        if let Some(field) = Field::absent(name) {
            self.bracket();
            return Ok(Some(field));
        }
        let Some(field) = Field::named(name, indexed) else {
            if self.foreign && name.contains('.') {
                self.bracket();
                return Ok(None);
            }
            let message = match Field::named(name, !indexed) {
                Some(_) if indexed => format!("`{name}` takes no index"),
                Some(_) => format!("`{name}` needs an index, such as `{name}[1]`"),
                None => {
                    let message = format!("unknown field `{}`", shown(name, WORD));
                    return Err(self.error(at, message).near(name, field_names()));
                }
            };
            return Err(self.error(at, message));
        };
        if !indexed {
            return Ok(Some(field));
        }
        self.at += 1;
        let at = self.at;
        let digits = self.take(|c| c.is_ascii_digit());
        let index = digits
            .parse::<u8>()
            .ok()
            .filter(|index| *index <= MAX_INDEX);
        let closed = self.rest().starts_with(']');
        match index {
            Some(index) if closed => {
                self.at += 1;
                Ok(Some(field.at(index)))
            }
            _ => Err(self.error(
                at,
                format!("`{name}[…]` takes a number from 0 to {MAX_INDEX}"),
            )),
        }
    }

    /// Passes over an argument in brackets, whatever it says.
    fn bracket(&mut self) {
        let rest = self.rest();
        if rest.starts_with('[')
            && let Some(end) = rest.find(']')
        {
            self.at += end + 1;
        }
    }

    fn test(&mut self, side: Side<'s>, at: usize) -> Result<Expr<'s>> {
        let op = self.operator()?;
        let operand = match op {
            None | Some(Op::Exists) => Operand::None,
            Some(op) if op.takes_list() => self.list(op)?,
            // Patterns have these escapes themselves, with the same letters.
            Some(Op::Regex) => Operand::One(self.value(Escapes::Few)?),
            Some(_) => self.operand()?,
        };
        Ok(match (side, op) {
            (Side::Unknown(name), _) => Expr::Missing {
                what: name.into(),
                at,
            },
            (Side::Known(Left { field, changes, .. }), None) if changes.is_empty() => {
                Expr::Flag { field, at }
            }
            (Side::Known(_), None) => return Err(self.unexpected("an operator")),
            (Side::Known(left), Some(op)) => Expr::Test { left, op, operand },
        })
    }

    /// The operator that comes next; `None` where the field stands alone.
    fn operator(&mut self) -> Result<Option<Op>> {
        self.space();
        let at = self.at;
        let word = self.take(|c| c.is_ascii_alphabetic());
        if !word.is_empty() {
            if word == "and" || word == "or" {
                self.at = at;
                return Ok(None);
            }
            let known = OPS.iter().find(|(name, _)| *name == word);
            return known.map(|(_, op)| Some(*op)).ok_or_else(|| {
                self.error(at, format!("unknown operator `{}`", shown(word, WORD)))
                    .near(word, OPS.iter().map(|(name, _)| *name))
            });
        }
        let found = OPS.iter().find(|(sign, _)| self.rest().starts_with(sign));
        if let Some((sign, op)) = found {
            self.at += sign.len();
            return Ok(Some(*op));
        }
        match self.rest().chars().next() {
            None | Some(')') => Ok(None),
            Some(_) => Err(self.unexpected("an operator")),
        }
    }
}

fn single<'s>(mut all: Vec<Expr<'s>>, wrap: fn(Vec<Expr<'s>>) -> Expr<'s>) -> Expr<'s> {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            wrap(all)
        }
        None => wrap(all),
    }
}

pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS
        .iter()
        .map(|row| row.name)
        .chain(ALIASES.iter().map(|(name, _)| *name))
        .chain(CHANGES.iter().map(|(name, _)| *name))
}
