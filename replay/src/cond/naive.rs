//! A naive reference evaluator, and properties that hold the compiled one against it.
//!
//! Owns: nothing that is shipped. It walks its own tree, compares byte by byte,
//! and tries what a cut value may go on with.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Text {
        field: usize,
        lower: bool,
        op: &'static str,
        words: Vec<String>,
    },
    Number {
        op: &'static str,
        than: i64,
    },
    Same {
        op: &'static str,
    },
    Flag,
}

/// Text fields; the last has several values.
const TEXTS: [&str; 3] = ["proc.name", "fd.name", "proc.aname"];
const OPS: [&str; 9] = [
    "=",
    "!=",
    "in",
    "contains",
    "icontains",
    "startswith",
    "endswith",
    "glob",
    "exists",
];

#[derive(Clone, Debug)]
struct World(BTreeMap<Field, Value<'static>>);

impl Subject for World {
    fn value(&self, field: Field) -> Value<'_> {
        self.0.get(&field).cloned().unwrap_or(Value::Absent)
    }
}

impl Tree {
    fn text(&self) -> String {
        let joined = |all: &[Tree], by: &str| {
            let each = all.iter().map(|tree| format!("({})", tree.text()));
            each.collect::<Vec<_>>().join(by)
        };
        match self {
            Self::And(all) => joined(all, " and "),
            Self::Or(all) => joined(all, " or "),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::Flag => "evt.is_open_read".to_owned(),
            Self::Number { op, than } => format!("evt.rawres {op} {than}"),
            Self::Same { op } => format!("fd.name {op} val(proc.name)"),
            Self::Text {
                field,
                lower,
                op,
                words,
            } => {
                let name = TEXTS[*field];
                let left = if *lower {
                    format!("tolower({name})")
                } else {
                    name.to_owned()
                };
                let quoted: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                match *op {
                    "exists" => format!("{left} exists"),
                    "in" => format!("{left} in ({})", quoted.join(", ")),
                    op => format!("{left} {op} {}", quoted[0]),
                }
            }
        }
    }

    fn holds(&self, world: &World) -> Truth {
        match self {
            Self::And(all) => all
                .iter()
                .fold(Truth::Yes, |truth, tree| truth.and(tree.holds(world))),
            Self::Or(all) => all
                .iter()
                .fold(Truth::No, |truth, tree| truth.or(tree.holds(world))),
            Self::Not(inner) => !inner.holds(world),
            Self::Flag => match world.value(Field::EvtIsOpenRead) {
                Value::Bool(is) => is.into(),
                Value::Unknown => Truth::Maybe,
                _ => Truth::No,
            },
            Self::Number { op, than } => match world.value(Field::EvtRawRes) {
                Value::Int(is) => match *op {
                    "=" => is == *than,
                    "!=" => is != *than,
                    "<" => is < *than,
                    "<=" => is <= *than,
                    ">" => is > *than,
                    _ => is >= *than,
                }
                .into(),
                Value::Unknown => Truth::Maybe,
                _ => Truth::No,
            },
            Self::Same { op } => {
                let (left, right) = (world.value(Field::FdName), world.value(Field::ProcName));
                match (left, right) {
                    (Value::Absent, _) | (_, Value::Absent) => Truth::No,
                    (Value::Bytes(a), Value::Bytes(b)) => whole(&a, op, &[&b]).into(),
                    _ => Truth::Maybe,
                }
            }
            Self::Text {
                field,
                lower,
                op,
                words,
            } => text_holds(world, *field, *lower, op, words),
        }
    }
}

fn text_holds(world: &World, field: usize, lower: bool, op: &str, words: &[String]) -> Truth {
    let field = Field::named(TEXTS[field], false).unwrap();
    let values = match world.value(field) {
        Value::List(values) => values,
        one => vec![one],
    };
    let mut words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    // What no text in lower case can hold, it does not hold, known or not.
    if lower && !["!=", "exists"].contains(&op) {
        words.retain(|word| !word.iter().any(u8::is_ascii_uppercase));
        if words.is_empty() {
            return Truth::No;
        }
    }
    let fold = |bytes: &[u8]| match lower {
        true => bytes.to_ascii_lowercase(),
        false => bytes.to_vec(),
    };
    values.iter().fold(Truth::No, |truth, value| {
        truth.or(match value {
            Value::Absent => Truth::No,
            _ if op == "exists" => Truth::Yes,
            Value::Unknown => Truth::Maybe,
            Value::Bytes(bytes) => whole(&fold(bytes), op, &words).into(),
            Value::Cut(bytes) => cut(&fold(bytes), op, &words, &fold),
            _ => Truth::No,
        })
    })
}

fn whole(is: &[u8], op: &str, words: &[&[u8]]) -> bool {
    let any = |test: &dyn Fn(&[u8]) -> bool| words.iter().any(|word| test(word));
    match op {
        "=" | "in" => any(&|word| is == word),
        "!=" => !any(&|word| is == word),
        "contains" => any(&|word| found(is, word)),
        "icontains" => any(&|word| found(&is.to_ascii_lowercase(), &word.to_ascii_lowercase())),
        "startswith" => any(&|word| is.len() >= word.len() && &is[..word.len()] == word),
        "endswith" => any(&|word| is.len() >= word.len() && &is[is.len() - word.len()..] == word),
        _ => any(&|word| glob(is, word)),
    }
}

/// Some of what may follow: if all give the same, that is the answer. A search
/// that was not found so far, an end, and a pattern are always open.
fn cut(is: &[u8], op: &str, words: &[&[u8]], fold: &dyn Fn(&[u8]) -> Vec<u8>) -> Truth {
    let mut tails: Vec<Vec<u8>> = vec![b"\x01".to_vec(), b"\x02\x03".to_vec()];
    for word in words {
        for at in 0..word.len() {
            tails.push(word[at..].to_vec());
        }
    }
    let mut answers = tails
        .iter()
        .map(|tail| whole(&[is, &fold(tail)].concat(), op, words));
    let first = answers.next().unwrap();
    let open = matches!(op, "endswith" | "glob");
    if !open && answers.all(|answer| answer == first) {
        return first.into();
    }
    Truth::Maybe
}

fn found(is: &[u8], word: &[u8]) -> bool {
    (0..=is.len()).any(|at| is[at..].starts_with(word))
}

fn glob(is: &[u8], pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => is.is_empty(),
        Some((b'*', rest)) => (0..=is.len()).any(|at| glob(&is[at..], rest)),
        Some((b'?', rest)) => !is.is_empty() && glob(&is[1..], rest),
        Some((byte, rest)) => is.first() == Some(byte) && glob(&is[1..], rest),
    }
}

fn word() -> BoxedStrategy<String> {
    "[abAB/]{0,4}".boxed()
}

fn value() -> BoxedStrategy<Value<'static>> {
    prop_oneof![
        1 => Just(Value::Absent),
        1 => Just(Value::Unknown),
        6 => word().prop_map(Value::from),
        2 => word().prop_map(|word| Value::Cut(word.into_bytes().into())),
    ]
    .boxed()
}

fn world() -> impl Strategy<Value = World> {
    let number = prop_oneof![
        Just(Value::Absent),
        Just(Value::Unknown),
        (-3i64..3).prop_map(Value::Int)
    ];
    let flag = prop_oneof![
        Just(Value::Absent),
        Just(Value::Unknown),
        any::<bool>().prop_map(Value::Bool)
    ];
    let many = prop::collection::vec(value(), 0..4);
    (value(), value(), many, number, flag).prop_map(|(name, file, many, number, flag)| {
        World(BTreeMap::from([
            (Field::EvtType, Value::str("openat")),
            (Field::ProcName, name),
            (Field::FdName, file),
            (Field::ProcAname, Value::List(many)),
            (Field::EvtRawRes, number),
            (Field::EvtIsOpenRead, flag),
        ]))
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let words = prop::collection::vec(word(), 1..4);
    let text = (
        0..TEXTS.len(),
        any::<bool>(),
        prop::sample::select(&OPS[..]),
        words,
    );
    let leaf = prop_oneof![
        6 => text.prop_map(|(field, lower, op, mut words)| {
            if op == "glob" {
                // A pattern with something in it.
                words[0] = format!("{}*{}?", words[0], words[words.len() - 1]);
            }
            if op != "in" {
                words.truncate(1);
            }
            // Ignoring case in two ways at once says nothing more.
            let lower = lower && op != "glob" && op != "icontains";
            Tree::Text { field, lower, op, words }
        }),
        1 => (prop::sample::select(&["=", "!=", "<", "<=", ">", ">="][..]), -3i64..3)
            .prop_map(|(op, than)| Tree::Number { op, than }),
        1 => prop::sample::select(&["=", "!=", "contains", "startswith", "endswith"][..])
            .prop_map(|op| Tree::Same { op }),
        1 => Just(Tree::Flag),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Or),
            inner.prop_map(|tree| Tree::Not(Box::new(tree))),
        ]
    })
}

fn place() -> usize {
    Types::names().position(|name| name == "openat").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_evaluator_agrees_with_the_naive_one(
        trees in prop::collection::vec(tree(), 1..8),
        worlds in prop::collection::vec(world(), 1..8),
    ) {
        let conditions: Vec<_> = trees
            .iter()
            .map(|tree| Condition::parse(&tree.text(), &Names::new()).unwrap())
            .collect();
        // As rules are asked: for one event type, sharing what they have in common.
        let mut kept = Kept::default();
        let left: Vec<_> = conditions.iter().map(|one| one.special(place())).collect();
        left.iter().flatten().for_each(|special| kept.count(special));
        kept.settle();
        let shared: Vec<_> = left
            .iter()
            .map(|special| special.as_ref().map(|special| kept.share(special)))
            .collect();
        let mut trails = Trails::default();
        for world in &worlds {
            let mut room = [0; MAX_KEPT];
            let mut memo = Memo::new(&kept, &mut room, trails.of(0, kept.searches()));
            for ((tree, condition), special) in trees.iter().zip(&conditions).zip(&shared) {
                let expected = tree.holds(world);
                prop_assert_eq!(condition.matches(world), expected, "{}", tree.text());
                let asked = special
                    .as_ref()
                    .map_or(Truth::No, |special| special.matches(world, &mut memo));
                prop_assert_eq!(asked, expected, "asked as a rule: {}", tree.text());
            }
        }
    }
}

/// The same process, something else that happens.
fn instead(world: &World, other: &World) -> World {
    let of_process = [Field::ProcName, Field::ProcAname];
    let kept = world
        .0
        .iter()
        .filter(|(field, _)| of_process.contains(field));
    let mut all = other.0.clone();
    all.extend(kept.map(|(field, value)| (*field, value.clone())));
    World(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// What neither literals nor the process leave to be asked does not hold.
    #[test]
    fn nothing_that_may_hold_is_left_unasked(
        trees in prop::collection::vec(tree(), 1..70),
        process in world(),
        worlds in prop::collection::vec(world(), 1..8),
    ) {
        let conditions = trees.iter().filter_map(|tree| {
            let condition = Condition::parse(&tree.text(), &Names::new()).unwrap();
            Some((tree, condition.special(place())?))
        });
        let mut kept = Kept::default();
        let conditions: Vec<_> = conditions.collect();
        conditions.iter().for_each(|(_, special)| kept.count(special));
        kept.settle();
        let shared: Vec<_> = conditions.iter().map(|(_, special)| kept.share(special)).collect();
        let gates = Gates::of(&kept, shared.iter()).unwrap();
        let mut room = [0; MAX_KEPT];
        let alive = gates.alive(&mut Memo::new(&kept, &mut room, &mut []), &process, shared.iter());
        let mut trails = Trails::default();
        for world in worlds.iter().map(|world| instead(&process, world)) {
            for alive in [None, Some(&*alive)] {
                let mut memo = Memo::new(&kept, &mut room, trails.of(0, kept.searches()));
                let mut open = vec![0; gates.words()];
                gates.open(&mut memo, &world, alive, &mut open);
                let mut rows = members(&open).peekable();
                for (row, ((tree, _), special)) in conditions.iter().zip(&shared).enumerate() {
                    let asked = rows.next_if_eq(&row).is_some();
                    let answer = if asked {
                        special.matches(&world, &mut memo)
                    } else {
                        Truth::No
                    };
                    prop_assert_eq!(answer, tree.holds(&world), "{}", tree.text());
                }
            }
        }
    }
}

/// The reference itself must be able to differ.
#[test]
fn a_wrong_answer_is_noticed() {
    let tree = Tree::Text {
        field: 0,
        lower: false,
        op: "contains",
        words: vec!["a".into()],
    };
    let world = World(BTreeMap::from([(Field::ProcName, Value::str("A"))]));
    let folded = Condition::parse("proc.name icontains a", &Names::new()).unwrap();
    assert_ne!(folded.matches(&world), tree.holds(&world));
}
