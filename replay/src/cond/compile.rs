//! Syntax tree to compiled form: names resolved, types checked, patterns built.
//!
//! Owns: [`Node`], what may be compared with what, the limits on the result.
//! Must not: evaluate.

use std::cmp::Ordering;
use std::sync::Arc;

use super::check::{Check, Matcher};
use super::error::{CondError, WORD, shown};
use super::fields::{Field, Type};
use super::names::Names;
use super::pattern::{Patterns, finder};
use super::sets::{IpSet, WordSet};
use super::syntax::{Expr, Op, Operand, Word};
use super::types::Types;

/// Most comparisons in one condition, those of its macros included.
pub(super) const MAX_NODES: usize = 4096;
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
}

/// A compiled tree with its measures.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) node: Node,
    pub(super) nodes: usize,
    pub(super) levels: usize,
    /// Patterns built for it, those of its macros not counted.
    pub(super) patterns: usize,
}

type Result<T> = std::result::Result<T, CondError>;

pub(super) fn compile(source: &str, names: &Names, expr: &Expr<'_>) -> Result<Compiled> {
    let mut compiler = Compiler {
        source,
        names,
        patterns: Patterns::default(),
        nodes: 0,
        items: 0,
    };
    let (node, levels) = compiler.node(expr)?;
    Ok(Compiled {
        node,
        nodes: compiler.nodes,
        levels,
        patterns: compiler.patterns.built,
    })
}

struct Compiler<'a> {
    source: &'a str,
    names: &'a Names,
    patterns: Patterns,
    nodes: usize,
    items: usize,
}

/// What the comparison's right-hand side needs for a good message.
#[derive(Clone, Copy)]
struct Place {
    field: Field,
    at: usize,
    op: Op,
}

impl Compiler<'_> {
    fn error(&self, at: usize, message: impl Into<String>) -> CondError {
        CondError::new(self.source, at, message)
    }

    fn count(&mut self, nodes: usize, at: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(self.error(at, format!("more than {MAX_NODES} comparisons")));
        }
        Ok(())
    }

    /// The compiled node and how many levels it has.
    fn node(&mut self, expr: &Expr<'_>) -> Result<(Node, usize)> {
        match expr {
            Expr::And(all) => self.group(all, Node::All),
            Expr::Or(all) => self.group(all, Node::Any),
            Expr::Not(inner) => {
                let (node, levels) = self.node(inner)?;
                Ok((Node::Not(Box::new(node)), levels + 1))
            }
            Expr::Name(word) => self.named(word),
            Expr::Flag { field, at } => {
                self.count(1, *at)?;
                if field.kind() != Type::Bool {
                    let message = format!("`{field}` is {}: compare it", field.kind().name());
                    return Err(self.error(*at, message));
                }
                Ok((
                    Node::Test {
                        field: *field,
                        negated: false,
                        check: Arc::new(Check::Is(true)),
                    },
                    1,
                ))
            }
            Expr::Test {
                field,
                at,
                op,
                operand,
            } => {
                self.count(1, *at)?;
                let check = self.check(
                    Place {
                        field: *field,
                        at: *at,
                        op: *op,
                    },
                    operand,
                )?;
                Ok((
                    Node::Test {
                        field: *field,
                        negated: *op == Op::Differs,
                        check: Arc::new(check),
                    },
                    1,
                ))
            }
        }
    }

    /// Cheap members go first: `and` and `or` do not depend on the order.
    fn group(&mut self, all: &[Expr<'_>], wrap: fn(Box<[Node]>) -> Node) -> Result<(Node, usize)> {
        let mut nodes = Vec::with_capacity(all.len());
        let mut deepest = 0;
        for expr in all {
            let (node, levels) = self.node(expr)?;
            deepest = deepest.max(levels);
            nodes.push(node);
        }
        nodes.sort_by_cached_key(|node| node.cost(0));
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
        let levels = found.levels + 1;
        if levels > MAX_LEVELS {
            return Err(self.error(word.at, format!("macros nested deeper than {MAX_LEVELS}")));
        }
        Ok((Node::Shared(Arc::clone(found)), levels))
    }

    fn check(&mut self, place: Place, operand: &Operand<'_>) -> Result<Check> {
        match operand {
            Operand::None => Ok(Check::Exists),
            Operand::One(word) => self.against_one(place, word),
            Operand::Many(words) => {
                let items = self.expand(words)?;
                self.against_many(place, &items)
            }
        }
    }

    /// Bare words that name a list stand for its items.
    fn expand(&mut self, words: &[Word<'_>]) -> Result<Vec<(String, usize)>> {
        let mut items = Vec::with_capacity(words.len());
        for word in words {
            let list = self.names.list(&word.text).filter(|_| !word.quoted);
            self.items = self.items.saturating_add(list.map_or(1, <[String]>::len));
            if self.items > MAX_ITEMS {
                return Err(self.error(word.at, format!("more than {MAX_ITEMS} list items")));
            }
            match list {
                Some(list) => items.extend(list.iter().map(|item| (item.clone(), word.at))),
                None => items.push((word.text.clone().into_owned(), word.at)),
            }
        }
        Ok(items)
    }

    fn mismatch(&self, place: Place) -> CondError {
        let Place { field, at, op } = place;
        let kind = field.kind().name();
        self.error(
            at,
            format!(
                "`{field}` is {kind} and cannot be compared with `{}`",
                op.name()
            ),
        )
    }

    fn against_one(&mut self, place: Place, word: &Word<'_>) -> Result<Check> {
        let equality = matches!(place.op, Op::Equal | Op::Differs);
        match place.field.kind() {
            Type::Bool if equality => match word.text.as_ref() {
                "true" => Ok(Check::Is(true)),
                "false" => Ok(Check::Is(false)),
                other => {
                    let message = format!("`{}` is neither `true` nor `false`", shown(other, WORD));
                    Err(self.error(word.at, message))
                }
            },
            Type::Int => {
                let (order, or_equal) = match place.op {
                    Op::Equal | Op::Differs => (Ordering::Equal, false),
                    Op::Less => (Ordering::Less, false),
                    Op::AtMost => (Ordering::Less, true),
                    Op::Greater => (Ordering::Greater, false),
                    Op::AtLeast => (Ordering::Greater, true),
                    _ => return Err(self.mismatch(place)),
                };
                Ok(Check::Int {
                    order,
                    or_equal,
                    than: self.number(&word.text, word.at)?,
                })
            }
            Type::Ip if equality => {
                Ok(Check::Ip(IpSet::new(&[self.network(&word.text, word.at)?])))
            }
            kind if kind.is_text() => self.text(place, word),
            _ => Err(self.mismatch(place)),
        }
    }

    fn text(&mut self, place: Place, word: &Word<'_>) -> Result<Check> {
        let kind = place.field.kind();
        let fold = matches!(kind, Type::Name | Type::Domain);
        let text = word.text.as_ref();
        let matcher = match place.op {
            Op::Equal | Op::Differs => {
                if kind == Type::EventType {
                    self.event_type(text, word.at)?;
                }
                Ok(Matcher::Equal(if fold {
                    host(text)
                } else {
                    lower(text, false)
                }))
            }
            Op::StartsWith => Ok(Matcher::StartsWith(lower(text, fold))),
            Op::EndsWith => Ok(Matcher::EndsWith(lower(text, fold))),
            Op::Contains => finder(text, fold).map(Matcher::Contains),
            Op::ContainsFold => finder(text, true).map(Matcher::Contains),
            Op::Glob => self.patterns.glob(text, fold).map(Matcher::Pattern),
            Op::GlobFold => self.patterns.glob(text, true).map(Matcher::Pattern),
            Op::Regex => self.patterns.whole(text, fold).map(Matcher::Pattern),
            _ => return Err(self.mismatch(place)),
        };
        let matcher = matcher.map_err(|message| self.error(word.at, message))?;
        Ok(Check::Text { matcher, fold })
    }

    fn against_many(&mut self, place: Place, items: &[(String, usize)]) -> Result<Check> {
        let kind = place.field.kind();
        let fold = matches!(kind, Type::Name | Type::Domain);
        match (kind, place.op) {
            (Type::Int, Op::In | Op::Intersects) => {
                let numbers = items.iter().map(|(item, at)| self.number(item, *at));
                let mut numbers = numbers.collect::<Result<Vec<_>>>()?;
                numbers.sort_unstable();
                Ok(Check::IntIn(numbers.into()))
            }
            (Type::Ip, Op::In | Op::Intersects) => {
                let nets = items.iter().map(|(item, at)| self.network(item, *at));
                Ok(Check::Ip(IpSet::new(&nets.collect::<Result<Vec<_>>>()?)))
            }
            (Type::Text, Op::PathMatch) => {
                let at = items.first().map_or(place.at, |(_, at)| *at);
                let set = self
                    .patterns
                    .paths(items.iter().map(|(item, _)| item.as_str()));
                let matcher = Matcher::Path(set.map_err(|message| self.error(at, message))?);
                Ok(Check::Text {
                    matcher,
                    fold: false,
                })
            }
            (kind, Op::In | Op::Intersects) if kind.is_text() => {
                for (item, at) in items {
                    match kind {
                        Type::EventType => self.event_type(item, *at)?,
                        Type::Domain if item.starts_with("*.") || item.starts_with('.') => {
                            let message = format!(
                                "write `{item}` without its beginning: `in` covers every name below"
                            );
                            return Err(self.error(*at, message));
                        }
                        _ => {}
                    }
                }
                let word = |(item, _): &(String, usize)| {
                    if fold { host(item) } else { lower(item, false) }
                };
                let set = WordSet::new(items.iter().map(word).collect());
                let domain = kind == Type::Domain;
                let matcher = if domain {
                    Matcher::Domain(set)
                } else {
                    Matcher::In(set)
                };
                Ok(Check::Text { matcher, fold })
            }
            _ => Err(self.mismatch(place)),
        }
    }

    fn event_type(&self, name: &str, at: usize) -> Result<()> {
        if Types::known(name) {
            return Ok(());
        }
        Err(self
            .error(at, format!("unknown event type `{}`", shown(name, WORD)))
            .near(name, Types::names()))
    }

    fn number(&self, text: &str, at: usize) -> Result<i64> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| self.error(at, format!("`{}` is no number", shown(text, WORD))))
    }

    fn network(&self, text: &str, at: usize) -> Result<ipnet::IpNet> {
        IpSet::item(text).ok_or_else(|| {
            self.error(
                at,
                format!(
                    "`{}` is neither an address nor a network (`10.0.0.0/8`)",
                    shown(text, WORD)
                ),
            )
        })
    }
}

/// A host name as it is compared: in lower case, without a final dot.
fn host(text: &str) -> Box<[u8]> {
    lower(text.strip_suffix('.').unwrap_or(text), true)
}

fn lower(text: &str, fold: bool) -> Box<[u8]> {
    match fold {
        true => text.to_ascii_lowercase().into_bytes().into(),
        false => text.as_bytes().into(),
    }
}

impl Node {
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
        }
    }
}
