//! Whether a condition can hold only where another does.
//!
//! Owns: a comparison of shapes, sound and not complete: "no" means not known.
//! Must not: decide about events.

use crate::cond::{Field, Shape, Type};

/// Wherever `narrow` holds or may hold, `wide` does at least as much.
pub(super) fn covers(wide: &Shape, narrow: &Shape) -> bool {
    if wide == narrow && is_told(wide) {
        return true;
    }
    match (wide, narrow) {
        (_, Shape::Any(all)) => all.iter().all(|one| covers(wide, one)),
        (Shape::All(all), _) => all.iter().all(|one| covers(one, narrow)),
        (Shape::Any(all), _) if all.iter().any(|one| covers(one, narrow)) => true,
        (_, Shape::All(all)) if all.iter().any(|one| covers(wide, one)) => true,
        (Shape::Not(wide), Shape::Not(narrow)) => covers(narrow, wide),
        (
            Shape::Test {
                field: wide,
                op,
                operands,
            },
            Shape::Test {
                field,
                op: narrow_op,
                operands: narrow,
            },
        ) => wide == field && test_covers(*field, (op, operands), (narrow_op, narrow)),
        _ => false,
    }
}

/// Everything that it compares is in the shape.
fn is_told(shape: &Shape) -> bool {
    match shape {
        Shape::Any(all) | Shape::All(all) => all.iter().all(is_told),
        Shape::Not(inner) => is_told(inner),
        Shape::Name => false,
        Shape::Test { .. } => true,
    }
}

type Comparison<'s> = (&'s str, &'s [String]);

fn test_covers(field: Field, wide: Comparison<'_>, narrow: Comparison<'_>) -> bool {
    let same = |one: &str, other: &str| {
        if folds(field) {
            one.eq_ignore_ascii_case(other)
        } else {
            one == other
        }
    };
    let one_of = |item: &String| wide.1.iter().any(|wide| same(wide, item));
    let begins = |item: &String| {
        let begun = |wide: &String| item.get(..wide.len()).is_some_and(|head| same(head, wide));
        wide.1.iter().any(begun)
    };
    match (wide.0, narrow.0) {
        ("exists", _) => true,
        // Of a domain `in` means every name below it too.
        ("=", "in") if field.kind() == Type::Domain => false,
        ("=" | "in", "=" | "in") => narrow.1.iter().all(one_of),
        ("startswith", "=" | "in" | "startswith") => narrow.1.iter().all(begins),
        _ => false,
    }
}

fn folds(field: Field) -> bool {
    matches!(field.kind(), Type::Name | Type::Domain)
}
