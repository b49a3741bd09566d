use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Fields with fixed values; everything else is absent.
#[derive(Default)]
struct Fixed(BTreeMap<Field, Value<'static>>);

impl Fixed {
    fn with(mut self, field: Field, value: impl Into<Value<'static>>) -> Self {
        self.0.insert(field, value.into());
        self
    }
}

impl Subject for Fixed {
    fn value(&self, field: Field) -> Value<'_> {
        self.0.get(&field).cloned().unwrap_or(Value::Absent)
    }
}

fn names() -> Names {
    let mut names = Names::new();
    names
        .define_list("shells", ["sh", "bash", "\"dash\""])
        .unwrap();
    names.define_list("programs", ["shells", "node"]).unwrap();
    names
        .define_macro("opens", "evt.type in (open, openat)")
        .unwrap();
    names
        .define_macro("shell_opens", "opens and proc.name in (shells)")
        .unwrap();
    names
}

fn sample() -> Fixed {
    Fixed::default()
        .with(Field::EvtType, "openat")
        .with(Field::EvtRawRes, -2i64)
        .with(Field::EvtFailed, true)
        .with(Field::EvtIsOpenRead, true)
        .with(Field::ProcName, "bash")
        .with(Field::ProcCmdline, "bash -c \"cat x\"")
        .with(
            Field::ProcAname,
            Value::List(vec!["node".into(), "npm".into()]),
        )
        .with(Field::ProcAnameAt(1), "node")
        .with(Field::ProcArgs, Value::Cut(b"-c curl"[..].into()))
        .with(Field::FdName, "/home/dev/.ssh/id_rsa")
        .with(Field::FdSport, 443i64)
        .with(
            Field::FdRip,
            "10.1.2.3".parse::<std::net::IpAddr>().unwrap(),
        )
        .with(
            Field::FdSip,
            "::ffff:10.1.2.3".parse::<std::net::IpAddr>().unwrap(),
        )
        .with(Field::NetName, "Files.Host.example")
        .with(Field::NetDomain, "Files.Host.example")
        .with(Field::DnsName, Value::Unknown)
        .with(Field::ProcExe, Value::bytes(b"a\n\xff"))
}

fn ask(source: &str) -> Truth {
    Condition::parse(source, &names())
        .unwrap_or_else(|e| panic!("{source}: {e}"))
        .matches(&sample())
}

#[test]
fn conditions_hold_or_not() {
    use Truth::{Maybe, No, Yes};
    for (source, expected) in [
        ("evt.type=openat", Yes),
        ("evt.type == open", No),
        ("evt.type != open", Yes),
        ("evt.type in (open,openat)", Yes),
        ("proc.name in (sh, bash)", Yes),
        ("proc.name in (shells)", Yes),
        ("proc.name in shells", Yes),
        ("proc.name in ('shells')", No),
        ("proc.name in (programs, perl)", Yes),
        ("proc.name in ()", No),
        ("proc.aname in (shells)", No),
        ("proc.aname = npm", Yes),
        ("proc.aname != npm", Yes),
        ("proc.aname intersects (npm, yarn)", Yes),
        ("proc.aname[1] = node", Yes),
        ("proc.aname[2] = node", No),
        ("proc.aname[2] != node", No),
        ("not proc.aname[2] = node", Yes),
        ("proc.aname[2] exists", No),
        ("proc.aname[1] exists", Yes),
        ("opens", Yes),
        ("shell_opens and fd.name startswith /home/", Yes),
        ("not(opens)", No),
        ("not not opens", Yes),
        ("evt.is_open_read", Yes),
        ("evt.is_open_read=true", Yes),
        ("evt.is_open_read = false", No),
        ("evt.rawres<0", Yes),
        ("evt.rawres >= -2 and evt.rawres <= -2", Yes),
        ("evt.rawres > -2", No),
        ("fd.sport in (80, 443)", Yes),
        ("fd.sport = 0x1bb", Yes),
        ("fd.name endswith id_rsa", Yes),
        (
            "fd.name endswith /very/long/beginning/home/dev/.ssh/id_rsa",
            No,
        ),
        ("fd.name contains '/.ssh/'", Yes),
        ("fd.name icontains /.SSH/", Yes),
        ("fd.name contains /.SSH/", No),
        ("fd.name glob '/home/*/.ssh/*'", Yes),
        ("fd.name glob /home/*", Yes),
        ("fd.name glob '*.ssh'", No),
        ("fd.name iglob '/HOME/*/ID_?sa'", Yes),
        ("fd.name regex '/home/[^/]+/.*'", Yes),
        ("fd.name regex 'home'", No),
        ("proc.exe regex 'a..'", Yes),
        ("fd.name pmatch (/etc, /home/dev)", Yes),
        ("fd.name pmatch (/home/de)", No),
        ("fd.name pmatch (/home/*/.ssh)", Yes),
        ("fd.name pmatch (/*/.ssh)", No),
        ("fd.name pmatch (/)", Yes),
        ("fd.rip = 10.1.2.3", Yes),
        ("fd.rip in (192.168.0.0/16, 10.0.0.0/8)", Yes),
        ("fd.rip in (10.1.2.4/31, 10.1.2.0/31, ::/0)", No),
        ("fd.sip = 10.1.2.3", Yes),
        ("fd.rip != 10.1.2.3", No),
        ("fd.ip in (10.0.0.0/8)", Yes),
        ("net.name = files.host.EXAMPLE.", Yes),
        ("net.name startswith files.", Yes),
        ("dns.name endswith .", Maybe),
        ("net.name in (host.example)", No),
        ("net.domain in (host.example)", Yes),
        ("net.domain in (st.example)", No),
        ("net.domain = host.example", No),
        ("net.name endswith .host.example", Yes),
        ("net.name contains HOST", Yes),
        ("net.name regex 'files\\..*'", Yes),
        ("dns.name = a.example", Maybe),
        ("dns.name != a.example", Maybe),
        ("dns.name exists", Yes),
        ("not dns.name = a.example", Maybe),
        ("dns.name = a.example and opens", Maybe),
        ("dns.name = a.example or opens", Yes),
        ("dns.name = a.example and not opens", No),
        ("proc.args startswith -c", Yes),
        ("proc.args startswith \"-c curl http\"", Maybe),
        ("proc.args startswith -d", No),
        ("proc.args = -c", No),
        ("proc.args = \"-c curl\"", No),
        ("proc.args = \"-c curl x\"", Maybe),
        ("proc.args in (\"-c curl x\", y)", Maybe),
        ("proc.args in (x, y)", No),
        ("proc.args contains curl", Yes),
        ("proc.args contains wget", Maybe),
        ("proc.args endswith wget", Maybe),
        ("proc.args regex .*", Maybe),
        ("proc.cmdline contains \"\\\"cat\"", Yes),
        ("opens or fd.name=x and fd.name=y", Yes),
        ("(opens or fd.name=x) and fd.name=y", No),
        ("\n  opens\n  and\n\tnot (fd.name = x)\n", Yes),
        ("proc.pname = x", No),
        ("proc.pname != x", No),
        ("not proc.pname = x", Yes),
        ("user.uid exists", No),
    ] {
        assert_eq!(ask(source), expected, "{source}");
    }
}

#[test]
fn a_final_dot_of_a_name_says_nothing() {
    let subject = Fixed::default()
        .with(Field::NetName, "Host.example.")
        .with(Field::NetDomain, "Host.example.");
    for source in [
        "net.name = host.example",
        "net.name = host.example.",
        "net.name in (HOST.example)",
        "net.name endswith .example",
        "net.domain in (example)",
        "net.name glob '*.EXAMPLE'",
        "net.name regex 'host\\.example'",
    ] {
        assert!(
            Condition::parse(source, &Names::new())
                .unwrap()
                .matches(&subject)
                .is_yes(),
            "{source}"
        );
    }
}

#[test]
fn errors_say_where_and_what() {
    for (source, line, column, part, nearest) in [
        ("", 1, 1, "found the end", None),
        (
            "proc.nmae = x",
            1,
            1,
            "unknown field `proc.nmae`",
            Some("proc.name"),
        ),
        (
            "evt.type = open and\n  fd.nme = x",
            2,
            3,
            "unknown field `fd.nme`",
            Some("fd.name"),
        ),
        (
            "evt.type = opnat",
            1,
            12,
            "unknown event type",
            Some("openat"),
        ),
        (
            "evt.type in (open, conect)",
            1,
            20,
            "unknown event type",
            Some("connect"),
        ),
        (
            "proc.name startwith x",
            1,
            11,
            "unknown operator",
            Some("startswith"),
        ),
        ("shell_open", 1, 1, "unknown macro", Some("shell_opens")),
        ("shells", 1, 1, "unknown macro", None),
        ("proc = x", 1, 1, "is no field", None),
        ("proc.name", 1, 1, "is text: compare it", None),
        (
            "proc.name = ",
            1,
            13,
            "expected a value, found the end",
            None,
        ),
        ("proc.name in (a b)", 1, 17, "expected `,` or `)`", None),
        ("proc.name in (a,", 1, 17, "expected a value", None),
        ("proc.name in (a", 1, 14, "never closed", None),
        ("(opens", 1, 1, "never closed", None),
        (
            "(opens fd.name = x)",
            1,
            8,
            "expected `and`, `or` or `)`",
            None,
        ),
        ("opens)", 1, 6, "expected `and`, `or` or the end", None),
        ("opens and or opens", 1, 11, "expected a field", None),
        ("opens garbage", 1, 7, "expected `and`", None),
        ("fd.name = \"x", 1, 11, "quote is never closed", None),
        ("fd.sport = https", 1, 12, "is no number", None),
        (
            "fd.sport contains 4",
            1,
            1,
            "cannot be compared with `contains`",
            None,
        ),
        ("fd.name < 4", 1, 1, "cannot be compared with `<`", None),
        (
            "fd.rip in (10.0.0.0/33)",
            1,
            12,
            "neither an address nor a network",
            None,
        ),
        ("fd.rip contains 10", 1, 1, "cannot be compared", None),
        (
            "path.decoy = yes",
            1,
            14,
            "neither `true` nor `false`",
            None,
        ),
        (
            "path.decoy in (true)",
            1,
            1,
            "cannot be compared with `in`",
            None,
        ),
        ("proc.aname[32] = x", 1, 12, "from 0 to 31", None),
        ("proc.aname[x] = x", 1, 12, "from 0 to 31", None),
        ("proc.name[1] = x", 1, 1, "takes no index", None),
        ("evt.arg = 1", 1, 1, "needs an index", None),
        ("fd.name regex '('", 1, 15, "bad pattern", None),
        ("fd.name regex 'a)|(b'", 1, 15, "bad pattern", None),
        ("fd.name glob '[z-a]'", 1, 14, "bad glob", None),
        (
            "net.domain in (*.host.example)",
            1,
            16,
            "without its beginning",
            None,
        ),
        (
            "fd.name = é and proc.nme = x",
            1,
            17,
            "unknown field",
            Some("proc.name"),
        ),
    ] {
        let error = Condition::parse(source, &names()).expect_err(source);
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{source}: {error}"
        );
        assert!(error.message.contains(part), "{source}: {error}");
        assert_eq!(error.nearest.as_deref(), nearest, "{source}: {error}");
    }
}

#[test]
fn an_error_reads_well() {
    let error = Condition::parse("proc.nmae = x", &Names::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 1: unknown field `proc.nmae`; did you mean `proc.name`?"
    );
}

#[test]
fn kleene_tables() {
    use Truth::{Maybe, No, Yes};
    let all = [No, Maybe, Yes];
    let subject = Fixed::default()
        .with(Field::PathDecoy, false)
        .with(Field::NetDirect, Value::Unknown)
        .with(Field::NetRefused, true);
    let names = [
        (No, "path.decoy"),
        (Maybe, "net.direct"),
        (Yes, "net.refused"),
    ];
    let and = [[No, No, No], [No, Maybe, Maybe], [No, Maybe, Yes]];
    let or = [[No, Maybe, Yes], [Maybe, Maybe, Yes], [Yes, Yes, Yes]];
    for (row, (left, a)) in names.iter().enumerate() {
        for (column, (right, b)) in names.iter().enumerate() {
            let ask = |source: String| {
                Condition::parse(&source, &Names::new())
                    .unwrap()
                    .matches(&subject)
            };
            assert_eq!(ask(format!("{a} and {b}")), and[row][column], "{a} and {b}");
            assert_eq!(ask(format!("{a} or {b}")), or[row][column], "{a} or {b}");
            assert_eq!(left.and(*right), and[row][column]);
            assert_eq!(left.or(*right), or[row][column]);
        }
        assert_eq!(!*left, [Yes, Maybe, No][row]);
        assert!(all.contains(left));
    }
}

#[test]
fn event_types_are_derived() {
    let types = |source: &str| Condition::parse(source, &names()).unwrap().event_types();
    assert_eq!(types("opens"), Some(vec!["open", "openat"]));
    assert_eq!(types("opens and not evt.type = open"), Some(vec!["openat"]));
    assert_eq!(
        types("evt.type startswith flow"),
        Some(vec!["flow", "flow_closed", "flow_opened"])
    );
    assert_eq!(
        types("opens and fd.name = x or evt.type = dns"),
        Some(vec!["dns", "open", "openat"])
    );
    assert_eq!(types("fd.name = x"), None);
    assert_eq!(types("opens or fd.name = x"), None);
    assert_eq!(types("not (opens and fd.name = x)"), None);
    assert_eq!(types("evt.type = dns and evt.type = open"), Some(vec![]));
    assert_eq!(types("opens or not opens"), None);
    assert!(!types("not opens").unwrap().contains(&"open"));
}

#[test]
fn names_are_checked() {
    let mut names = names();
    assert!(
        names
            .define_list("shells", [])
            .unwrap_err()
            .message
            .contains("defined twice")
    );
    assert!(
        names
            .define_macro("opens", "opens")
            .unwrap_err()
            .message
            .contains("defined twice")
    );
    assert!(
        names
            .define_macro("round", "round")
            .unwrap_err()
            .message
            .contains("unknown macro")
    );
    assert!(
        names
            .define_list("a-b", [])
            .unwrap_err()
            .message
            .contains("is no name")
    );
    assert!(
        names
            .define_macro("and", "opens")
            .unwrap_err()
            .message
            .contains("keyword")
    );
}

/// Runs `f`, which must come back soon even in a debug build on a busy machine.
fn soon<T>(what: &str, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = f();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{what} took {:?}",
        start.elapsed()
    );
    out
}

#[test]
fn hostile_conditions_are_bounded() {
    let no = |what: &str, source: String| {
        let error = soon(what, || Condition::parse(&source, &Names::new())).expect_err(what);
        assert!(error.to_string().len() < 400, "{what}");
        error.message
    };
    assert!(no("depth", "(".repeat(50_000)).contains("nested deeper"));
    assert!(no("depth with not", "not (".repeat(10_000)).contains("nested deeper"));
    assert!(no("size", "a".repeat(1 << 20)).contains("longer than"));
    assert!(no("long word", format!("{}.x = 1", "a".repeat(60_000))).contains("unknown field"));
    assert!(no("count", vec!["path.decoy"; 4_500].join(" or ")).contains("more than 4096"));
    assert!(no("regex memory", "fd.name regex 'a{1000}{1000}{1000}'".into()).contains("memory"));
    assert!(
        no(
            "regex nesting",
            format!("fd.name regex '{}'", "(".repeat(900))
        )
        .contains("bad pattern")
    );
    assert!(no("patterns", vec!["fd.name regex 'a{500}'"; 200].join(" or ")).contains("patterns"));
    assert!(
        no(
            "long pattern",
            format!("fd.name glob '{}'", "*a".repeat(5_000))
        )
        .contains("longer than")
    );
    let nots = "not ".repeat(10_000) + "path.decoy";
    soon("not chain", || Condition::parse(&nots, &Names::new())).unwrap();
    let list = format!("proc.name in ({})", vec!["a"; 30_000].join(","));
    assert!(no("list", list).contains("list items"));
}

#[test]
fn names_cannot_multiply() {
    let mut names = Names::new();
    names
        .define_macro("m0", "path.decoy or path.credential")
        .unwrap();
    let mut stopped = None;
    for level in 1..64 {
        let source = format!("m{0} and m{0} or m{0}", level - 1);
        if let Err(error) = names.define_macro(&format!("m{level}"), &source) {
            stopped = Some(error.message);
            break;
        }
    }
    assert!(stopped.unwrap().contains("more than 4096 comparisons"));

    names.define_list("l0", ["a", "b"]).unwrap();
    let mut stopped = None;
    for level in 1..64 {
        let before = format!("l{}", level - 1);
        if let Err(error) = names.define_list(&format!("l{level}"), vec![before.as_str(); 8]) {
            stopped = Some(error.message);
            break;
        }
    }
    assert!(stopped.unwrap().contains("too many items"));
    names.define_macro("chain0", "path.decoy").unwrap();
    let last = (1..600).find_map(|level| {
        names
            .define_macro(&format!("chain{level}"), &format!("chain{}", level - 1))
            .err()
    });
    assert!(last.unwrap().message.contains("nested deeper"));
}

#[test]
fn hostile_values_are_matched_in_bounded_time() {
    let long = "a.".repeat(500_000);
    let subject = Fixed::default()
        .with(Field::NetDomain, long.clone())
        .with(Field::FdName, "/a".repeat(500_000))
        .with(Field::ProcArgs, "a".repeat(1_000_000));
    for source in [
        "net.domain in (a.example, b.example)",
        "fd.name pmatch (/b, /a/b, /x/*/y)",
        "proc.args regex '(a*)*b' or proc.args glob '*a*a*a*a*a*a*b'",
        "proc.args contains aaaaaaaaaaaaaaaab or proc.args icontains AAAAAAAAAAAb",
    ] {
        let condition = Condition::parse(source, &Names::new()).unwrap();
        assert_eq!(
            soon(source, || condition.matches(&subject)),
            Truth::No,
            "{source}"
        );
    }
}

#[test]
fn fields_are_listed_once() {
    let mut seen = std::collections::BTreeSet::new();
    for row in FIELDS {
        assert!(seen.insert((row.name, row.indexed)), "{} twice", row.name);
        assert!(row.doc.ends_with('.'), "{}", row.name);
        assert_eq!(Field::named(row.name, row.indexed), Some(row.field));
        assert_eq!((row.field.name(), row.field.kind()), (row.name, row.kind));
    }
    for (alias, field) in ALIASES {
        assert!(
            !seen.contains(&(alias, false)),
            "{alias} is a field already"
        );
        assert_eq!(Field::named(alias, false), Some(*field));
    }
    assert_eq!(Field::ProcAnameAt(2).to_string(), "proc.aname[2]");
}

/// Conditions that mostly parse, from the grammar's own words.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "evt.type",
        "proc.name",
        "fd.rip",
        "fd.sport",
        "net.domain",
        "path.decoy",
        "proc.aname[",
        "2]",
        "=",
        "!=",
        "<",
        "in",
        "(",
        ")",
        ",",
        "and",
        "or",
        "not",
        "exists",
        "glob",
        "regex",
        "pmatch",
        "contains",
        "open",
        "\"a b\"",
        "'*'",
        "10.0.0.0/8",
        "443",
        "shells",
        "opens",
        "true",
        "\\",
        "\"",
        "é",
        "\0",
        "[",
        "{",
        "*.example",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

/// What is cut off can only lie below the folders that are still there.
#[test]
fn a_cut_path_lies_below_what_is_left_of_it() {
    for (path, cut, want) in [
        ("//", "//", Truth::Yes),
        ("/a", "/a/", Truth::Yes),
        ("/a", "/a", Truth::Maybe),
        ("/a/", "/", Truth::Maybe),
        ("/a", "/b/a", Truth::No),
    ] {
        let source = format!("fd.name pmatch ('{path}')");
        let condition = Condition::parse(&source, &Names::new()).unwrap();
        let cut = Value::Cut(cut.as_bytes().to_vec().into());
        let subject = Fixed::default().with(Field::FdName, cut);
        assert_eq!(condition.matches(&subject), want, "{source}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(source in any::<String>()) {
        let _ = Condition::parse(&source, &names());
    }

    #[test]
    fn arbitrary_words_never_panic(source in words()) {
        match Condition::parse(&source, &names()) {
            Ok(condition) => { let _ = condition.matches(&sample()); }
            Err(error) => {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(error.offset <= source.len());
            }
        }
    }

    /// The candidate index may never lose an event type that the condition can hold for.
    #[test]
    fn derived_types_cover_every_match(source in words(), at in 0usize..80) {
        let Ok(condition) = Condition::parse(&source, &names()) else { return Ok(()) };
        let names: Vec<_> = Types::names().collect();
        let name = names[at % names.len()];
        let subject = sample().with(Field::EvtType, name);
        if condition.matches(&subject) != Truth::No {
            prop_assert!(condition.event_types().is_none_or(|types| types.contains(&name)), "{source} {name}");
        }
    }

    #[test]
    fn a_cut_value_never_decides_against_its_whole(
        whole in "[ab./]{1,8}", keep in 0usize..8, literal in "[ab./]{1,8}",
        op in prop::sample::select(vec!["=", "!=", "startswith", "endswith", "contains", "glob", "in", "pmatch"]),
    ) {
        let keep = keep % whole.len();
        let right = if op == "in" || op == "pmatch" { format!("('{literal}')") } else { format!("'{literal}'") };
        let condition = Condition::parse(&format!("fd.name {op} {right}"), &Names::new()).unwrap();
        let cut = Value::Cut(whole.as_bytes()[..keep].to_vec().into());
        let decided = condition.matches(&Fixed::default().with(Field::FdName, cut));
        let truth = condition.matches(&Fixed::default().with(Field::FdName, whole.clone()));
        prop_assert!(decided == Truth::Maybe || decided == truth, "{op} {literal} on {whole} cut to {keep}");
    }
}
