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

struct Parser<'s> {
    source: &'s str,
    at: usize,
    foreign: bool,
}

/// The left side of a comparison, or the name of a field that belljar has not.
enum Side<'s> {
    Known(Left),
    Unknown(&'s str),
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '=' | '"' | '\'')
}

impl<'s> Parser<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn error(&self, at: usize, message: impl Into<String>) -> CondError {
        CondError::new(self.source, at, message)
    }

    fn unexpected(&self, wanted: &str) -> CondError {
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end".into(),
        };
        self.error(self.at, format!("expected {wanted}, found {found}"))
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes as many characters as `wanted` accepts.
    fn take(&mut self, wanted: fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes this sign if it comes next.
    fn sign(&mut self, sign: &str) -> bool {
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
    fn side(&mut self, first: &'s str, at: usize) -> Result<Side<'s>> {
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

    /// A value, or another field: `val(proc.pname)`, `tolower(proc.pname)`.
    fn operand(&mut self) -> Result<Operand<'s>> {
        self.space();
        let begun = self.at;
        let name = self.take(is_name);
        let called =
            self.rest().starts_with('(') && (name == "val" || Change::named(name).is_some());
        if !called {
            self.at = begun;
            return Ok(Operand::One(self.word()?));
        }
        let side = if name == "val" {
            self.sign("(");
            self.space();
            let at = self.at;
            let name = self.take(is_name);
            let side = self.side(name, at)?;
            if !self.sign(")") {
                return Err(self.unexpected("`)`"));
            }
            side
        } else {
            self.side(name, begun)?
        };
        match side {
            Side::Known(left) => Ok(Operand::Other(left)),
            Side::Unknown(name) => {
                let message = format!("unknown field `{}`", shown(name, WORD));
                Err(self.error(begun, message).near(name, field_names()))
            }
        }
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

    fn list(&mut self, op: Op) -> Result<Operand<'s>> {
        let at = {
            self.space();
            self.at
        };
        if !self.sign("(") {
            return match self.word() {
                Ok(word) => Ok(Operand::Many(vec![word])),
                Err(_) => Err(self.error(at, format!("`{}` takes a list: `(a, b)`", op.name()))),
            };
        }
        let mut items = Vec::new();
        if self.sign(")") {
            return Ok(Operand::Many(items));
        }
        loop {
            items.push(self.word()?);
            if self.sign(")") {
                return Ok(Operand::Many(items));
            }
            if !self.sign(",") {
                return Err(if self.rest().is_empty() {
                    self.error(at, "this list is never closed")
                } else {
                    self.unexpected("`,` or `)`")
                });
            }
        }
    }

    fn word(&mut self) -> Result<Word<'s>> {
        self.value(Escapes::All)
    }

    fn value(&mut self, escapes: Escapes) -> Result<Word<'s>> {
        self.space();
        let at = self.at;
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote, escapes),
            Some(c) if is_bare(c) => Ok(Word {
                text: self.take(is_bare).into(),
                at,
                quoted: false,
            }),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// `\\`, `\"`, `\'`, `\n`, `\r`, `\t`, `\x1b` and `\u{202e}` are escapes; before
    /// anything else the backslash stays, so that patterns need no doubling.
    fn quoted(&mut self, quote: char, escapes: Escapes) -> Result<Word<'s>> {
        let at = self.at;
        let body = self.rest().get(1..).unwrap_or_default();
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((end, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = at + 1 + end + 1;
                    return Ok(Word {
                        text: text.into(),
                        at,
                        quoted: true,
                    });
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '"' | '\''))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => {
                        let code = match escapes {
                            Escapes::All => code(c, chars.as_str()),
                            Escapes::Few => None,
                        };
                        match code {
                            Some((named, length)) => {
                                text.push(named);
                                // All of them are ASCII.
                                chars.by_ref().take(length).for_each(drop);
                            }
                            None => text.extend(['\\', c]),
                        }
                    }
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.error(at, "this quote is never closed"))
    }
}

/// Which escapes a quoted value has.
#[derive(Clone, Copy)]
enum Escapes {
    All,
    /// Without characters by their codes.
    Few,
}

/// The character behind `\x` or `\u`, and how many bytes name it.
fn code(letter: char, rest: &str) -> Option<(char, usize)> {
    let (digits, length) = match letter {
        'x' => (rest.get(..2)?, 2),
        'u' => {
            let digits = rest.strip_prefix('{')?.split_once('}')?.0;
            (digits, digits.len() + 2)
        }
        _ => return None,
    };
    let hex = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16).ok().filter(|_| hex)?;
    // Two digits name characters of one byte: those are what `\x` is written for.
    let named = char::from_u32(code).filter(|c| letter == 'u' || c.is_ascii())?;
    Some((named, length))
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

fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS
        .iter()
        .map(|row| row.name)
        .chain(ALIASES.iter().map(|(name, _)| *name))
        .chain(CHANGES.iter().map(|(name, _)| *name))
}
