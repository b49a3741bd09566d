use super::*;

fn point(expected: &str, held: bool) -> Point {
    Point {
        expected: expected.into(),
        found: "0".into(),
        held,
        at: "e.yaml:4:9".into(),
    }
}

fn trace(name: &str) -> Traced {
    Traced {
        trace: name.into(),
        verdict: Some("SAFE"),
        points: Vec::new(),
        unexpected: false,
        damaged: None,
        unreadable: None,
    }
}

fn tested(traces: Vec<Traced>) -> Tested {
    Tested {
        format: 0,
        traces,
        unmatched: Vec::new(),
        strict: false,
        interrupted: false,
        rules: "0".repeat(64),
    }
}

#[test]
fn the_exit_code_says_what_is_worst() {
    let mut good = trace("a.bjt");
    good.points.push(point("verdict SAFE", true));
    let mut all = tested(vec![good]);
    assert_eq!(all.exit(), Exit::Fine);
    let mut other = trace("b.bjt");
    other.unexpected = true;
    all.traces.push(other);
    assert_eq!(all.exit(), Exit::Fine);
    all.strict = true;
    assert_eq!((all.exit(), all.misses()), (Exit::Verdict, 1));
    all.strict = false;
    all.unmatched.push(Unmatched {
        trace: "c.bjt".into(),
        at: "e.yaml:9:3".into(),
        near: Some("b.bjt".into()),
    });
    assert_eq!((all.exit(), all.misses()), (Exit::Verdict, 1));
    let mut broken = trace("d.bjt");
    broken.unreadable = Some("no trace".into());
    all.traces.push(broken);
    assert_eq!(all.exit(), Exit::Damaged);
    all.interrupted = true;
    assert_eq!(all.exit(), Exit::Interrupted);
}

/// With names that XML and a terminal must not take as they are.
fn hostile() -> Tested {
    let mut one = trace("a<&\">\u{1b}[2J.bjt");
    one.points.push(point("verdict SAFE", true));
    one.points.push(point("L4-HONEY-001 exactly 6", false));
    let mut two = trace("b.bjt");
    two.unexpected = true;
    let mut three = trace("c.bjt");
    three.unreadable = Some("]]> no trace".into());
    let mut all = tested(vec![one, two, three]);
    all.unmatched.push(Unmatched {
        trace: "x.bjt".into(),
        at: "e.yaml:9:3".into(),
        near: Some("b.bjt".into()),
    });
    all
}

#[test]
fn the_table_names_each_miss_with_its_place() {
    let table = told::table(&hostile());
    for part in [
        "✗ MISS a<&\">\\x1b[2J.bjt: L4-HONEY-001 exactly 6, found 0\n    e.yaml:4:9\n",
        "! warning b.bjt: no expectation fits it\n",
        "✗ UNREADABLE c.bjt: ]]> no trace\n",
        "✗ MISS x.bjt: no trace fits; did you mean b.bjt?\n    e.yaml:9:3\n",
        "1 of 2 expectations held over 3 traces; 2 misses, 1 damaged or unreadable",
    ] {
        assert!(table.contains(part), "{part:?} is not in\n{table}");
    }
}

#[test]
fn the_xml_is_whole_and_says_the_same() {
    let xml = junit::xml(&hostile()).unwrap();
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((read.tests, read.failures, read.errors), (5, 2, 1));
    assert!(!xml.contains('\u{1b}'), "{xml}");
    assert!(
        xml.contains("message=\"found 0\"") && xml.contains("e.yaml:4:9"),
        "{xml}"
    );
    assert!(xml.contains("did you mean b.bjt?"), "{xml}");
    // No time in it: the same outcome is the same file.
    assert_eq!(xml, junit::xml(&hostile()).unwrap());
    assert!(!xml.contains("timestamp"), "{xml}");
}
