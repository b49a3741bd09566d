use std::path::PathBuf;

use super::*;
use crate::seam::Mounted;

fn mounts() -> MountTable {
    let at = |device, at: &str| Mounted {
        device,
        at: PathBuf::from(at),
    };
    MountTable {
        mounts: vec![at(1, "/"), at(2, "/tmp"), at(3, "/dev/shm")],
    }
}

fn line(by: &str, action: Action, ops: &[Op], places: Vec<Place>) -> KernelLine {
    KernelLine {
        by: by.into(),
        action,
        ops: ops.iter().map(|op| op.bit()).sum(),
        places,
    }
}

fn path(path: &str) -> Place {
    Place::Path(path.into())
}

fn below(path: &str) -> Place {
    Place::Below(path.into())
}

fn lines(lines: Vec<KernelLine>) -> Lines {
    Lines::new(lines, 0, mounts(), 7).unwrap()
}

#[test]
fn the_first_line_decides() {
    let lines = lines(vec![
        line(
            "p:1",
            Action::Allow,
            &[Op::Read],
            vec![path("/home/u/.ssh/known_hosts")],
        ),
        line(
            "p:2",
            Action::Deny,
            &[Op::Read, Op::Write],
            vec![below("/home/u/.ssh")],
        ),
        line(
            "p:3",
            Action::Ask,
            &[Op::Read],
            vec![Place::Name(b".env".to_vec())],
        ),
        line("p:4", Action::Ask, &[Op::Exec], vec![]),
    ]);
    let by = |op, path: &str| {
        lines
            .first(op, path.as_bytes())
            .map(|said| said.by.to_owned())
    };
    assert_eq!(
        by(Op::Read, "/home/u/.ssh/known_hosts").as_deref(),
        Some("p:1")
    );
    assert_eq!(
        by(Op::Write, "/home/u/.ssh/known_hosts").as_deref(),
        Some("p:2")
    );
    assert_eq!(by(Op::Read, "/home/u/.ssh").as_deref(), Some("p:2"));
    assert_eq!(by(Op::Read, "/home/u/.sshx"), None);
    assert_eq!(by(Op::Read, "/tmp/a/.env").as_deref(), Some("p:3"));
    assert_eq!(by(Op::Exec, "/bin/sh").as_deref(), Some("p:4"));
    assert_eq!(by(Op::Write, "/bin/sh"), None);
}

#[test]
fn tables_say_the_same() {
    let lines = lines(vec![
        line(
            "p:1",
            Action::Allow,
            &[Op::Read],
            vec![path("/home/u/.npmrc")],
        ),
        line("p:2", Action::Deny, &[Op::Read], vec![below("/")]),
        line("p:3", Action::Deny, &[Op::Write], vec![path("/tmp/x/y")]),
    ]);
    let tables = lines.tables().unwrap();
    assert_eq!(
        tables.paths[&lines.hash(b"/home/u/.npmrc")][Op::Read.index()],
        1
    );
    assert_eq!(tables.folders[&lines.hash(b"/")][Op::Read.index()], 2);
    // The line about everything goes on in what is mounted below.
    assert_eq!(tables.folders[&lines.hash(b"/tmp")][Op::Read.index()], 2);
    assert_eq!(
        tables.folders[&lines.hash(b"/dev/shm")][Op::Read.index()],
        2
    );
    assert!(tables.roofs.contains(&lines.hash(b"/tmp/x")));
    assert!(tables.roofs.contains(&lines.hash(b"/home/u")));
    assert!(!tables.roofs.contains(&lines.hash(b"/tmp/x/y")));
    assert_eq!(tables.watched[Op::Read.index()], SOME | MANY);
    assert_eq!(tables.watched[Op::Write.index()], SOME);
    assert_eq!(tables.watched[Op::Exec.index()], 0);
    assert_eq!(tables.watched[Op::Link.index()], SOME | MANY);
    assert_ne!(lines.hash(b"/tmp/x"), lines.hasher.path(1, b"/tmp/x"));
}

#[test]
fn names_and_paths_hash_by_what_they_are() {
    let hasher = Hasher::new(7);
    assert_ne!(hasher.name(b"a"), hasher.name(b"a\0"));
    assert_ne!(hasher.name(b"12345678"), hasher.name(b"123456789"));
    assert_ne!(hasher.path(1, b"/ab/c"), hasher.path(1, b"/a/bc"));
    assert_ne!(hasher.path(1, b"/a"), hasher.path(2, b"/a"));
    assert_eq!(hasher.path(1, b"/a//b"), hasher.path(1, b"a/b"));
    assert_ne!(Hasher::new(8).name(b"a"), hasher.name(b"a"));
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    let bad = |place| {
        let lines = vec![line("p:1", Action::Deny, &[Op::Read], vec![place])];
        Lines::new(lines, 0, mounts(), 7).is_err()
    };
    for place in [
        path("relative"),
        path("/a/../b"),
        below(""),
        Place::Name(b"a/b".to_vec()),
    ] {
        assert!(bad(place.clone()), "{place:?}");
    }
    let kill = vec![line("p:1", Action::Kill, &[Op::Exec], vec![])];
    assert_eq!(
        Lines::new(kill.clone(), 0, mounts(), 7).unwrap_err(),
        LinesError::Kill("p:1".into())
    );
    assert!(Lines::new(kill, Op::Exec.bit(), mounts(), 7).is_ok());
    let many = vec![line("p", Action::Deny, &[Op::Read], vec![]); 1022];
    assert!(matches!(
        Lines::new(many, 0, mounts(), 7),
        Err(LinesError::Lines(_))
    ));
}
