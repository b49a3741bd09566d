use proptest::prelude::*;

use super::insert_line;
use crate::escape::quoted;
use crate::policy::{Policy, Source, Syntax};

fn source(text: &str, syntax: Syntax) -> Source<'_> {
    Source {
        name: "mine",
        file: "mine",
        text,
        syntax,
    }
}

const LINE: &str = "allow evt.op = connect and net.name = files.example and fd.sport = 443";

/// What is there stays, byte for byte and in its order.
fn is_kept(before: &str, after: &str) -> bool {
    (0..=before.len()).any(|at| {
        let Some((head, tail)) = before.split_at_checked(at) else {
            return false;
        };
        after.starts_with(head) && after.ends_with(tail) && after.len() >= before.len()
    })
}

#[test]
fn the_line_stands_in_front_and_comments_stay() {
    for (syntax, text) in [
        (Syntax::Toml, ""),
        (Syntax::Toml, "# mine\nname = \"mine\" # its name"),
        (
            Syntax::Toml,
            "# mine\n\nname = \"mine\"\n\n# why this is denied\n[[rule]] # the first\nid='a'\naction = 'deny'\ncondition = 'net.direct'\n\n[[test]]\nop = 'exec'\nobject = '/x'\nexpect = 'allow'\n\n# end\n",
        ),
        (
            Syntax::Toml,
            "[[test]]\nop = 'exec'\nobject = '/x'\nexpect = 'allow'\r\n\r\n[[rule]]\r\naction = 'deny'\r\ncondition = 'net.direct'\r\n",
        ),
        (
            Syntax::Toml,
            "[[restrict]]\naction = 'deny'\ncondition = 'net.direct'\n",
        ),
        (Syntax::Yaml, ""),
        (Syntax::Yaml, "# mine\nname: mine\n"),
        (
            Syntax::Yaml,
            "# mine\nname: mine\nrule: # the lines\n  # why\n  - action: deny # no\n    condition: net.direct\n  - {action: ask, condition: net.name exists}\n# end",
        ),
        (
            Syntax::Yaml,
            "rule:\n- action: deny\n  condition: >\n    net.direct\n",
        ),
    ] {
        let (after, id) = insert_line(&source(text, syntax), LINE, "why").unwrap();
        assert!(is_kept(text, &after), "{text:?} became {after:?}");
        assert_eq!(id, "mine:saved-1");
        let policy = Policy::read(&source(&after, syntax)).unwrap();
        assert_eq!(policy.lines()[0].id, id);
        assert_eq!(policy.lines()[0].reason.as_deref(), Some("why"));
        // And once more, in front of that.
        let (again, id) = insert_line(&source(&after, syntax), "deny net.direct", "x").unwrap();
        assert!(is_kept(&after, &again), "{after:?} became {again:?}");
        assert_eq!(id, "mine:saved-2");
        let policy = Policy::read(&source(&again, syntax)).unwrap();
        assert_eq!(
            (policy.lines()[0].id.as_str(), policy.lines()[1].id.as_str()),
            ("mine:saved-2", "mine:saved-1")
        );
    }
}

#[test]
fn what_has_no_room_for_it_is_left_alone() {
    for (syntax, text, line, part) in [
        (
            Syntax::Toml,
            "rule = [{action = 'deny', condition = 'net.direct'}]",
            LINE,
            "by hand",
        ),
        (
            Syntax::Yaml,
            "rule: [{action: deny, condition: net.direct}]",
            LINE,
            "by hand",
        ),
        (Syntax::Yaml, "{rule: []}", LINE, ""),
        (Syntax::Toml, "rule = 7", LINE, "mine:1"),
        (Syntax::Toml, "", "allow", "an action and a condition"),
        (Syntax::Toml, "", "permit net.direct", "begins with"),
        (Syntax::Toml, "", "allow net.dirct", "did you mean"),
    ] {
        let error = insert_line(&source(text, syntax), line, "")
            .expect_err(text)
            .to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

proptest! {
    /// Whatever a guest calls a file, a line about it says exactly that, in both forms.
    #[test]
    fn guest_text_stays_in_its_literal(name in any::<String>(), yaml in any::<bool>()) {
        let path = format!("/tmp/{name}");
        let line = format!("deny evt.op = exec and fd.name = {}", quoted(path.as_bytes()));
        let syntax = if yaml { Syntax::Yaml } else { Syntax::Toml };
        let (text, _) = insert_line(&source("", syntax), &line, &name).unwrap();
        let policy = Policy::read(&source(&text, syntax)).unwrap();
        prop_assert_eq!(policy.lines().len(), 1);
        // Not even the home's sign is taken for what it is not.
        let policy = policy.at_home("/home/u").unwrap();
        let case = |path: &str| crate::policy::Case {
            path: Some(path.to_owned()),
            ..crate::policy::Case::parse("exec", "/x", "/home/u").unwrap()
        };
        prop_assert!(!policy.decide(&case(&path)).is_allowed());
        let longer = format!("{path}x");
        prop_assert!(policy.decide(&case(&longer)).is_allowed());
        prop_assert!(policy.decide(&case("/tmp/other-file")).is_allowed() || name == "other-file");
        let condition = policy.lines()[0].condition.source();
        prop_assert!(condition.chars().all(|c| c == '\\' || crate::escape::is_plain(c)));
    }
}
