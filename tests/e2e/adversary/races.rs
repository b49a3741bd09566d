//! Races: while one thread does something to a file that it may change, another
//! turns the name over to one that it may not. Nothing is ever won, on the
//! overlay root and on a file system of its own.

use libtest_mimic::Trial;

use crate::support::*;

pub fn tests() -> Vec<Trial> {
    vec![test(
        "adversary::races_win_nothing_by_any_way",
        &[Need::Guest],
        races,
    )]
}

const SOURCE: &str = include_str!("races.c");
/// Tries of a held call; calls that the kernel judges by itself are tried ten times as often.
const TRIES: u32 = 80;
/// Races, on both file systems together.
const RACES: usize = 31;

fn races() -> Result {
    let dir = tempfile::tempdir()?;
    super::lay(dir.path(), &[("races.c", SOURCE)])?;
    let (trace, project) = (dir.path().join("t.bjt"), dir.path().join("p"));
    let policy = dir
        .path()
        .join("policy.toml")
        .to_string_lossy()
        .into_owned();
    // Two programs: one ends with 0, the other with 7.
    let script = format!(
        "cd src; echo 'int main(){{return 0;}}' > a.c; echo 'int main(){{return 7;}}' > b.c; \
         gcc -o /tmp/a a.c && gcc -o /tmp/b b.c && gcc -O1 -w -pthread -o /tmp/races races.c && \
         cd .. && /tmp/races /tmp {TRIES} /tmp/a /tmp/b && \
         /tmp/races $HOME/project {TRIES} /tmp/a /tmp/b && echo RACED"
    );
    let words = ["--policy", &policy, "--", "sh", "-c", &script];
    let report = json(&output(&mut run(&project, &trace, &words))?)?;
    let printed = terminal(&events(&trace)?);
    let (mut raced, mut tried) = (0, 0);
    for line in printed.lines().filter(|line| line.starts_with("RACE ")) {
        let count = |word: &str| -> u32 {
            let start = format!("{word}=");
            let found = line.split(' ').find_map(|part| part.strip_prefix(&start));
            found.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
        };
        check(line.contains(" won=0 "), || line.to_owned())?;
        // Both names were met, else there was no race.
        check(count("done") > 0 && count("refused") > 0, || {
            format!("{line}: not both were met")
        })?;
        raced += 1;
        tried += count("done") + count("refused") + count("other");
    }
    check(raced == RACES && printed.contains("RACED"), || {
        format!("{raced} races:\n{printed}")
    })?;
    tell(&format!("races: {tried} tries, none won"));
    // What turns names as fast as it can is a flood: a slow host may not keep up, but
    // it says so then.
    check(
        report["lost"]["events"] == 0 || report["verdict"] != "SAFE",
        || format!("{}, {}", report["lost"], report["verdict"]),
    )
}
