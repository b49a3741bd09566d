//! Syntax tree to compiled form: names resolved, constants folded.
//!
//! Owns: [`Node`], the limits on the result, what is settled when it is made.
//! Must not: evaluate events. What may be compared with what: see `compare`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::Change;
use super::check::Check;
use super::error::{CondError, WORD, shown};
use super::fields::{Field, Type};
use super::names::Names;
use super::pattern::Patterns;
use super::syntax::{Expr, Left, Op, Operand, Word};
use super::value::{Truth, Value};

/// Most comparisons in one condition, those of its macros included.
pub(super) const MAX_NODES: usize = 4096;
/// The same, in files that somebody chose to load.
const MAX_FOREIGN_NODES: usize = 1 << 16;
/// Most list items in one condition, and in one list, after expansion.
pub(super) const MAX_ITEMS: usize = 16_384;
/// Deepest nesting, that of macros included.
const MAX_LEVELS: usize = 256;

/// The compiled form.
#[derive(Clone, Debug)]
pub(super) enum Node {
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    /// A macro, compiled once for all who use it.
    Shared(Arc<Compiled>),
    Test {
        field: Field,
        negated: bool,
        /// Shared with the forms of the tree that are made for one event type.
        check: Arc<Check>,
    },
    /// A comparison of a field's changed value.
    Changed(Arc<Changed>),
    /// One field against another.
    Fields(Arc<Fields>),
    /// Something that belljar does not have, in a foreign rule: never decided.
    Missing(Arc<str>),
    /// A comparison that several conditions share: where its answer is kept.
    Kept {
        slot: u32,
        test: Arc<Node>,
    },
}

#[derive(Debug)]
pub(super) struct Changed {
    pub(super) field: Field,
    pub(super) changes: Vec<Change>,
    pub(super) negated: bool,
    pub(super) check: Check,
}

#[derive(Debug)]
pub(super) struct Fields {
    pub(super) left: Left,
    pub(super) op: Op,
    pub(super) right: Left,
}

/// A compiled tree with its measures.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) node: Node,
    pub(super) nodes: usize,
    pub(super) levels: usize,
    /// Patterns built for it, those of its macros not counted.
    pub(super) patterns: usize,
    /// Calls that it names and that are not recorded, those of its macros too.
    pub(super) unseen: BTreeSet<String>,
    /// It names a call that is recorded.
    pub(super) seen: bool,
}

pub(super) type Result<T> = std::result::Result<T, CondError>;

pub(super) fn compile(source: &str, names: &Names, expr: &Expr<'_>) -> Result<Compiled> {
    let mut compiler = Compiler {
        source,
        names,
        patterns: Patterns::within(names.is_foreign()),
        nodes: 0,
        items: 0,
        unseen: BTreeSet::new(),
        seen: false,
    };
    let (node, levels) = compiler.node(expr)?;
    Ok(Compiled {
        node,
        nodes: compiler.nodes,
        levels,
        patterns: compiler.patterns.built,
        unseen: compiler.unseen,
        seen: compiler.seen,
    })
}

pub(super) struct Compiler<'a> {
    pub(super) source: &'a str,
    pub(super) names: &'a Names,
    pub(super) patterns: Patterns,
    nodes: usize,
    pub(super) items: usize,
    pub(super) unseen: BTreeSet<String>,
    pub(super) seen: bool,
}

impl Compiler<'_> {
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> CondError {
        CondError::new(self.source, at, message)
    }

    fn count(&mut self, nodes: usize, at: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        let most = if self.names.is_foreign() {
            MAX_FOREIGN_NODES
        } else {
            MAX_NODES
        };
        if self.nodes > most {
            return Err(self.error(at, format!("more than {most} comparisons")));
        }
        Ok(())
    }

    /// The compiled node and how many levels it has.
    fn node(&mut self, expr: &Expr<'_>) -> Result<(Node, usize)> {
        match expr {
            Expr::And(all) => self.group(all, false),
            Expr::Or(all) => self.group(all, true),
            Expr::Not(inner) => {
                let (node, levels) = self.node(inner)?;
                Ok(match node.settled() {
                    Some(is) => (Node::always(!is), 1),
                    None => (Node::Not(Box::new(node)), levels + 1),
                })
            }
            Expr::Name(word) => self.named(word),
            Expr::Missing { what, at } => {
                self.count(1, *at)?;
                let what: &str = what;
                Ok((Node::Missing(what.into()), 1))
            }
            Expr::Flag { field, at } => {
                self.count(1, *at)?;
                if field.kind() != Type::Bool {
                    let message = format!("`{field}` is {}: compare it", field.kind().name());
                    return Err(self.error(*at, message));
                }
                let check = Arc::new(Check::Is(true));
                Ok((test(*field, false, check), 1))
            }
            Expr::Test { left, op, operand } => {
                self.count(1, left.at)?;
                Ok((self.comparison(left, *op, operand)?, 1))
            }
        }
    }

    fn comparison(&mut self, left: &Left, op: Op, operand: &Operand<'_>) -> Result<Node> {
        if let Operand::Other(right) = operand {
            return self.fields(left, op, right);
        }
        let place = self.place(left, op)?;
        let check = self.check(place, operand)?;
        let negated = op == Op::Differs;
        if place.applied || left.changes.is_empty() {
            return Ok(test(place.field, negated, Arc::new(check)));
        }
        Ok(Node::Changed(Arc::new(Changed {
            field: left.field,
            changes: left.changes.clone(),
            negated,
            check,
        })))
    }

    fn fields(&mut self, left: &Left, op: Op, right: &Left) -> Result<Node> {
        let texts = left.field.kind().is_text() && right.field.kind().is_text();
        let numbers = left.field.kind() == Type::Int && right.field.kind() == Type::Int;
        let fits = match op {
            Op::Equal | Op::Differs => texts || left.field.kind() == right.field.kind(),
            Op::Contains | Op::StartsWith | Op::EndsWith => texts,
            Op::Less | Op::AtMost | Op::Greater | Op::AtLeast => numbers,
            _ => false,
        };
        if !fits || right.field.is_many() {
            let message = format!(
                "`{}` cannot be compared with `{}` by `{}`",
                left.field,
                right.field,
                op.name()
            );
            return Err(self.error(right.at, message));
        }
        Ok(Node::Fields(Arc::new(Fields {
            left: left.clone(),
            op,
            right: right.clone(),
        })))
    }

    /// Cheap members go first: `and` and `or` do not depend on the order. What
    /// one member settles is settled.
    fn group(&mut self, all: &[Expr<'_>], decides: bool) -> Result<(Node, usize)> {
        let mut nodes = Vec::with_capacity(all.len());
        let (mut deepest, mut settled) = (0, false);
        for expr in all {
            let (node, levels) = self.node(expr)?;
            match node.settled() {
                Some(is) => settled |= is == decides,
                None => {
                    deepest = deepest.max(levels);
                    nodes.push(node);
                }
            }
        }
        if settled || nodes.is_empty() {
            return Ok((Node::always(settled == decides), 1));
        }
        if decides {
            nodes = searched_together(nodes);
        }
        nodes.sort_by_cached_key(|node| node.cost(0));
        if nodes.len() == 1
            && let Some(only) = nodes.pop()
        {
            return Ok((only, deepest + 1));
        }
        let wrap = if decides { Node::Any } else { Node::All };
        Ok((wrap(nodes.into()), deepest + 1))
    }

    fn named(&mut self, word: &Word<'_>) -> Result<(Node, usize)> {
        let Some(found) = self.names.find(&word.text) else {
            let message = format!("unknown macro `{}`", shown(&word.text, WORD));
            return Err(self
                .error(word.at, message)
                .near(&word.text, self.names.macros()));
        };
        self.count(found.nodes, word.at)?;
        self.unseen.extend(found.unseen.iter().cloned());
        self.seen |= found.seen;
        if let Some(is) = found.node.settled() {
            return Ok((Node::always(is), 1));
        }
        let levels = found.levels + 1;
        if levels > MAX_LEVELS {
            return Err(self.error(word.at, format!("macros nested deeper than {MAX_LEVELS}")));
        }
        Ok((Node::Shared(Arc::clone(found)), levels))
    }
}

/// Literals that are searched for in the same field become one search.
fn searched_together(nodes: Vec<Node>) -> Vec<Node> {
    let mut groups: Vec<(Field, Vec<Arc<Check>>)> = Vec::new();
    let mut left = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node {
            Node::Test {
                field,
                negated: false,
                check,
            } if check.is_folded_search() => {
                match groups.iter_mut().find(|(known, _)| *known == field) {
                    Some((_, checks)) => checks.push(check),
                    None => groups.push((field, vec![check])),
                }
            }
            other => left.push(other),
        }
    }
    for (field, checks) in groups {
        match Check::joined(&checks) {
            Some(joined) => left.push(Node::Test {
                field,
                negated: false,
                check: Arc::new(joined),
            }),
            None => left.extend(checks.into_iter().map(|check| Node::Test {
                field,
                negated: false,
                check,
            })),
        }
    }
    left
}

/// A comparison; settled at once where the field is the same for every event.
fn test(field: Field, negated: bool, check: Arc<Check>) -> Node {
    // An event always has a type.
    if check.is_empty() && (!negated || field == Field::EvtType) {
        return Node::always(negated);
    }
    if let Some(value) = field.fixed() {
        let truth = match (negated, &value) {
            (true, Value::Absent) => Truth::No,
            (true, value) => !check.holds(value),
            (false, value) => check.holds(value),
        };
        return Node::always(truth.is_yes());
    }
    Node::Test {
        field,
        negated,
        check,
    }
}

/// A host name as it is compared: in lower case, without a final dot.
pub(super) fn host(text: &str) -> Box<[u8]> {
    lower(text.strip_suffix('.').unwrap_or(text), true)
}

pub(super) fn lower(text: &str, fold: bool) -> Box<[u8]> {
    let text = if fold {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    };
    text.as_bytes().into()
}

impl Node {
    pub(super) fn always(is: bool) -> Self {
        if is {
            Self::All(Box::default())
        } else {
            Self::Any(Box::default())
        }
    }

    /// What it is for every event, if that is known already.
    pub(super) fn settled(&self) -> Option<bool> {
        match self {
            Self::All(nodes) if nodes.is_empty() => Some(true),
            Self::Any(nodes) if nodes.is_empty() => Some(false),
            Self::Shared(shared) => shared.node.settled(),
            _ => None,
        }
    }

    /// Everything in it that belljar does not have.
    pub(super) fn missing(&self, found: &mut BTreeSet<Arc<str>>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => {
                nodes.iter().for_each(|node| node.missing(found));
            }
            Self::Not(node) => node.missing(found),
            Self::Kept { test, .. } => test.missing(found),
            Self::Shared(shared) => shared.node.missing(found),
            Self::Missing(what) => {
                found.insert(Arc::clone(what));
            }
            Self::Test { .. } | Self::Changed(_) | Self::Fields(_) => {}
        }
    }

    /// A rough price, looked up only a few levels deep.
    pub(super) fn cost(&self, level: usize) -> u32 {
        let sum = |nodes: &[Self]| {
            nodes
                .iter()
                .fold(1u32, |sum, node| sum.saturating_add(node.cost(level + 1)))
        };
        match self {
            _ if level > 4 => 50,
            Self::All(nodes) | Self::Any(nodes) => sum(nodes),
            Self::Not(node) => node.cost(level + 1),
            Self::Shared(shared) => shared.node.cost(level + 1),
            Self::Test {
                field: Field::EvtType,
                ..
            } => 0,
            Self::Test { field, check, .. } => check.cost() + field.price(),
            Self::Changed(changed) => 20 + changed.check.cost() + changed.field.price(),
            Self::Fields(fields) => 10 + fields.left.field.price() + fields.right.field.price(),
            Self::Kept { test, .. } => test.cost(level),
            Self::Missing(_) => 0,
        }
    }
}
