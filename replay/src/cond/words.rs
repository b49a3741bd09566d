//! The right-hand side of a comparison as it is written: words, quotes, lists.
//!
//! Owns: escapes, lists, and other fields in a value's place.
//! Must not: look at types (see `compare`).

use super::change::Change;
use super::error::{CondError, WORD, shown};
use super::parse::{Parser, Side, field_names, is_bare, is_name};
use super::syntax::{Op, Operand, Word};

type Result<T> = std::result::Result<T, CondError>;

impl<'s> Parser<'s> {
    /// A value, or another field: `val(proc.pname)`, `tolower(proc.pname)`.
    pub(super) fn operand(&mut self) -> Result<Operand<'s>> {
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

    pub(super) fn list(&mut self, op: Op) -> Result<Operand<'s>> {
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

    pub(super) fn word(&mut self) -> Result<Word<'s>> {
        self.value(Escapes::All)
    }

    pub(super) fn value(&mut self, escapes: Escapes) -> Result<Word<'s>> {
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
pub(super) enum Escapes {
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
