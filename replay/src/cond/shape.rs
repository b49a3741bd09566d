//! A condition's shape, for whoever must do with less than evaluating it: the
//! guest's kernel enforces only what can be told from paths and operations.
//!
//! Owns: a plain copy of the syntax tree. Must not: interpret it.

use super::error::CondError;
use super::fields::Field;
use super::parse;
use super::syntax::{Expr, Operand};

/// A condition, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Any(Vec<Shape>),
    All(Vec<Shape>),
    Not(Box<Shape>),
    /// A boolean field by itself, or a comparison: operator and operands as written.
    Test {
        field: Field,
        op: &'static str,
        operands: Vec<String>,
    },
    /// A macro, or a comparison that only an evaluation can answer.
    Name,
}

/// The shape of a condition's text.
pub(crate) fn shape(source: &str) -> Result<Shape, CondError> {
    Ok(of(&parse::parse(source)?))
}

/// Recursion is bounded by the parser's limit on depth.
fn of(expr: &Expr<'_>) -> Shape {
    match expr {
        Expr::Or(all) => Shape::Any(all.iter().map(of).collect()),
        Expr::And(all) => Shape::All(all.iter().map(of).collect()),
        Expr::Not(inner) => Shape::Not(Box::new(of(inner))),
        Expr::Name(_) | Expr::Missing { .. } => Shape::Name,
        // A changed value, or one field against another: for who evaluates only.
        Expr::Test { left, operand, .. }
            if !left.changes.is_empty() || matches!(operand, Operand::Other(_)) =>
        {
            Shape::Name
        }
        Expr::Flag { field, .. } => Shape::Test {
            field: *field,
            op: "=",
            operands: vec!["true".to_owned()],
        },
        Expr::Test { left, op, operand } => Shape::Test {
            field: left.field,
            op: op.name(),
            operands: match operand {
                Operand::None | Operand::Other(_) => Vec::new(),
                Operand::One(word) => vec![word.text.clone().into_owned()],
                Operand::Many(words) => {
                    let text = |word: &super::syntax::Word<'_>| word.text.clone().into_owned();
                    words.iter().map(text).collect()
                }
            },
        },
    }
}
