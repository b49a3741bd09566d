//! Every id of the catalogue has a rule, and the cases say how good each family is.
//! The numbers: `cargo test -p belljar-replay --test catalogue -- --nocapture`
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a case that cannot be read must fail loudly"
)]

#[expect(dead_code, reason = "the rules' own test uses all of it")]
mod support;

#[path = "support/quality.rs"]
mod quality;

use std::path::Path;

use belljar_replay::batch;
use belljar_replay::rules::RuleSet;
use belljar_replay::verdict::Verdict;

use quality::{Measured, percent};

/// Families of the catalogue and the numbers in each; numberless ids stand below.
const FAMILIES: &[(&str, u32)] = &[
    ("L3-SUS", 10),
    ("L3-TIMEOUT", 1),
    ("L3-EXEC", 2),
    ("L4-TIME", 3),
    ("L4-EXFIL", 5),
    ("L4-ENTROPY", 2),
    ("L4-HONEY", 2),
    ("L4-BASE", 3),
    ("L4-ENV", 3),
    ("L4-PROC", 4),
    ("L4-FS", 6),
    ("L4-NET", 5),
    ("L4-SC", 5),
    ("L4-PRIVESC", 5),
    ("L4-PERSIST", 5),
    ("L4-CRYPTO", 6),
    ("L4-CONTAINER", 6),
    ("L4-DEP", 6),
];

/// Ids without a family's number.
const OTHERS: &[&str] = &[
    "L3-SECCOMP-KILL",
    "L3-SANDBOX-DEGRADE",
    "L3-FILE-W-001",
    "L3-NET-OUT-001",
    "L3-PROC-001",
];

/// What the catalogue lacks, and the rule that brings it.
const ADDED: &[(&str, &str)] = &[
    ("executed from memory", "L4-PROC-005"),
    ("dropped, then executed", "L4-FS-002-DROP"),
    ("a library forced into others", "L4-PROC-006"),
    ("ptrace", "L3-SUS-008"),
    ("io_uring", "L4-PRIVESC-007-RING"),
    ("start-up files and user units", "L4-PERSIST-001"),
    ("git hooks", "L4-PERSIST-001-HOOK"),
    (
        "editors and agents, and text for agents",
        "L4-PERSIST-001-EDITOR",
    ),
    ("hiding", "L4-PROC-008"),
    ("logs and histories", "L4-FS-003-LOG"),
    ("addresses without a lookup", "L4-NET-006"),
    ("long and many labels", "L4-ENTROPY-002"),
    ("a shell on a socket", "L4-PROC-001"),
    ("downloaded, then executed", "L4-SC-002-FILE"),
    ("detached by an install", "L4-PROC-007"),
    ("looking for a sandbox", "L4-PROC-009"),
    ("wallets and browsers", "L4-HONEY-005"),
    ("a sweep", "L4-HONEY-003"),
];

/// Ids that another rule covers, because one act would weigh twice.
const COVERED: &[(&str, &str)] = &[
    // Its critical half; mining arguments of dropped programs.
    ("L4-CRYPTO-006", "L4-CRYPTO-002"),
];

#[test]
fn every_id_of_the_catalogue_has_a_rule() {
    let rules = RuleSet::builtin();
    let numbered = FAMILIES
        .iter()
        .flat_map(|(family, most)| (1..=*most).map(move |number| format!("{family}-{number:03}")));
    let others = OTHERS.iter().chain(ADDED.iter().map(|(_, id)| id));
    let ids = numbered.chain(others.map(|id| (*id).to_owned()));
    let missing: Vec<_> = ids.filter(|id| rules.rule(id).is_none()).collect();
    assert!(missing.is_empty(), "no rule for {missing:?}");
    for (id, by) in COVERED {
        assert!(rules.rule(id).is_some() && rules.rule(by).is_some(), "{id}");
    }
    assert!(rules.rule("L4-NET-999").is_none());
}

/// Of the hit cases of a family: how many fire their own rule (recall). Of all
/// miss cases that are called ordinary: how often a rule of the family that
/// weighs fires nevertheless, against how often it fires where it should
/// (precision). The cases are written by those who wrote the rules; the
/// recorded installs below are not.
#[test]
fn quality_of_each_family() {
    let rules = RuleSet::builtin();
    let Measured { rows, ordinary } = quality::of_cases(&rules);
    println!("family        rules  hits  recall  ordinary  wrong  precision");
    for (name, row) in &rows {
        println!(
            "{name:<12} {:>6} {:>5} {:>6}% {:>9} {:>6} {:>9}%",
            row.rules,
            row.hits,
            percent(row.fired, row.hits),
            row.ordinary,
            row.wrong,
            percent(row.fired, row.fired + row.wrong),
        );
    }
    println!(
        "{} rules, {ordinary} cases of ordinary use",
        rules.rules().len()
    );
    for (name, row) in &rows {
        assert_eq!(row.fired, row.hits, "{name}");
        assert_eq!(row.wrong, 0, "{name}");
    }
    assert!(ordinary > 100);
}

/// Recorded installs: ordinary ones are SAFE under all rules, the thief is not.
#[test]
fn recorded_runs_are_judged_as_they_should() {
    let rules = RuleSet::builtin();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/traces");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "bjt") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = if name.contains("thief") {
            Verdict::Malicious
        } else {
            Verdict::Safe
        };
        let file = std::fs::File::open(&path).unwrap();
        let judged = batch::judge(file, &rules).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            judged.report.verdict, expected,
            "{name}: {:?}",
            judged.report.reasons
        );
    }
}
