//! A condition's text with its macros replaced by what they stand for.
//!
//! Owns: the replacement, within a limit. Must not: change what is meant.

use super::names::Names;
use super::syntax::Expr;

/// A longer text keeps the names of its macros.
const MAX_LENGTH: usize = 32 << 10;

/// The text, spelled out.
pub(super) fn out(source: &str, expr: &Expr<'_>, names: &Names) -> String {
    let mut words = Vec::new();
    collect(expr, &mut words);
    words.sort_unstable();
    let mut out = String::new();
    let mut done = 0;
    for (at, name) in words {
        let Some(text) = names.source(name) else {
            continue;
        };
        if out.len() + text.len() + source.len() > MAX_LENGTH {
            return source.to_owned();
        }
        out.push_str(source.get(done..at).unwrap_or_default());
        out.push('(');
        out.push_str(text.trim());
        out.push(')');
        done = at + name.len();
    }
    out.push_str(source.get(done..).unwrap_or_default());
    out
}

/// Every macro's name with its place. Recursion is bounded by the parser.
fn collect<'e>(expr: &'e Expr<'_>, words: &mut Vec<(usize, &'e str)>) {
    match expr {
        Expr::Or(all) | Expr::And(all) => all.iter().for_each(|expr| collect(expr, words)),
        Expr::Not(inner) => collect(inner, words),
        Expr::Name(word) => words.push((word.at, &word.text)),
        Expr::Flag { .. } | Expr::Test { .. } | Expr::Missing { .. } => {}
    }
}
