//! What `rescore` says: each trace that changed, then the sums and the receipt.
//!
//! Owns: the table, the JSON, the counts. Must not: keep what was printed; of a
//! trace only sums stay.

use std::collections::BTreeMap;
use std::path::Path;

use belljar_replay::compare::Rescored;
use belljar_replay::report::jsonl;
use belljar_replay::rules::RuleSet;
use belljar_replay::verdict::Verdict;
use belljar_replay::{escape, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Judged, Old, Outcome};
use crate::cli::{self, Format};
use crate::print;

/// The shape of the JSON. Raised with every change of it.
pub(super) const FORMAT: u32 = 1;
/// Notes of a sort that the table has of one trace.
const SHOWN: usize = 12;
/// Widest message in the table.
const MESSAGE: usize = 110;

/// One set of rules, in digests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Side {
    rules: String,
    count: usize,
    suppressions: Option<String>,
    baselines: Option<String>,
}

impl Side {
    pub(super) fn of(rules: &RuleSet) -> Self {
        Self {
            rules: hex(&rules.digest()),
            count: rules.rules().len(),
            suppressions: rules.suppressions().digest().map(|digest| hex(&digest)),
            baselines: rules.baselines().digest().map(|digest| hex(&digest)),
        }
    }
}

/// How often a rule changed what.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct OfRule {
    appeared: u64,
    disappeared: u64,
    changed: u64,
    traces: u64,
}

/// How many traces came to what.
#[derive(Clone, Debug, Default, Serialize)]
struct Counts {
    traces: u64,
    judged: u64,
    verdict_changed: u64,
    other_findings: u64,
    same: u64,
    /// Without an old score.
    unscored: u64,
    damaged: u64,
    unreadable: u64,
    events: u64,
    recorded_under_old_rules: u64,
}

pub(super) struct Told {
    format: Format,
    findings: bool,
    old: Side,
    new: Side,
    /// The version of belljar that made the old scores, where they were saved.
    saved_by: Option<String>,
    counts: Counts,
    /// `SAFE → WARNING`, how often.
    ways: BTreeMap<(Verdict, Verdict), u64>,
    rules: BTreeMap<String, OfRule>,
    rows: u64,
    traces: blake3::Hasher,
    result: blake3::Hasher,
}

impl Told {
    pub(super) fn new(args: &cli::Rescore, traces: usize, old: &Old, new: Side) -> Self {
        let (old, saved_by) = match old {
            Old::Rules(rules) => (Side::of(rules), None),
            Old::Scores(saved) => (saved.rules.clone(), Some(saved.engine.clone())),
        };
        Self {
            format: args.format,
            findings: args.findings,
            old,
            new,
            saved_by,
            counts: Counts {
                traces: traces as u64,
                ..Counts::default()
            },
            ways: BTreeMap::new(),
            rules: BTreeMap::new(),
            rows: 0,
            traces: blake3::Hasher::new(),
            result: blake3::Hasher::new(),
        }
    }

    pub(super) fn damaged(&self) -> bool {
        self.counts.damaged > 0 || self.counts.unreadable > 0
    }

    pub(super) fn changed(&self) -> bool {
        self.counts.verdict_changed > 0
    }

    pub(super) fn begin(&self) {
        if self.format == Format::Json {
            let (old, new) = (json!(self.old), json!(self.new));
            print::out(&format!(
                "{{\n\"format\": {FORMAT},\n\"old\": {old},\n\"new\": {new},\n\"traces\": ["
            ));
        }
    }

    pub(super) fn row(&mut self, path: &Path, outcome: &Outcome) {
        match outcome {
            Outcome::Unreadable(why) => {
                self.counts.unreadable += 1;
                self.result.update(b"unreadable\n");
                let row = json!({ "trace": path.to_string_lossy(), "unreadable": why });
                self.tell(&row, &|| {
                    format!("{}: ✗ UNREADABLE: {}\n", shown(path), escape::string(why))
                });
            }
            Outcome::Judged(judged) => self.judged(path, judged),
        }
    }

    fn judged(&mut self, path: &Path, judged: &Judged) {
        let change = &judged.change;
        self.count(judged);
        let digest = judged.digest.as_deref().unwrap_or("cut");
        self.traces.update(digest.as_bytes());
        // Where the traces lie is no part of the result.
        let result = json!([digest, change]).to_string();
        self.result.update(result.as_bytes()).update(b"\n");
        let row = json!({
            "trace": path.to_string_lossy(), "events": judged.events,
            "digest": judged.digest, "recorded_under": judged.recorded_under,
            "damaged": judged.damaged, "change": change, "score": judged.score,
        });
        let listed =
            |change: &Rescored| change.verdict_changed() || self.findings && !change.is_same();
        let listed = change.as_ref().filter(|change| listed(change));
        let damaged = judged.damaged.as_ref();
        self.tell(&row, &|| {
            let mut out = String::new();
            if let Some(why) = damaged {
                let (path, why) = (shown(path), escape::string(why));
                out.push_str(&format!(
                    "{path}: ✗ DAMAGED: {why}; its good part was judged\n"
                ));
            }
            if let Some(change) = listed {
                out.push_str(&format!(
                    "{}: {}\n{}",
                    shown(path),
                    way(change),
                    why(change)
                ));
            }
            out
        });
    }

    fn count(&mut self, judged: &Judged) {
        let (counts, change) = (&mut self.counts, &judged.change);
        counts.judged += 1;
        counts.events = counts.events.saturating_add(judged.events);
        counts.damaged += u64::from(judged.damaged.is_some());
        counts.recorded_under_old_rules += u64::from(judged.recorded_under == self.old.rules);
        let Some(change) = change else {
            counts.unscored += 1;
            return;
        };
        match (change.verdict_changed(), change.is_same()) {
            (true, _) => counts.verdict_changed += 1,
            (_, true) => counts.same += 1,
            _ => counts.other_findings += 1,
        }
        if change.verdict_changed() {
            *self.ways.entry((change.from, change.to)).or_default() += 1;
        }
        let mut of: BTreeMap<&str, OfRule> = BTreeMap::new();
        for note in &change.appeared {
            of.entry(&note.rule).or_default().appeared += 1;
        }
        for note in &change.disappeared {
            of.entry(&note.rule).or_default().disappeared += 1;
        }
        for note in &change.changed {
            of.entry(&note.rule).or_default().changed += 1;
        }
        for (rule, row) in of {
            let sum = self.rules.entry(rule.to_owned()).or_default();
            sum.appeared += row.appeared;
            sum.disappeared += row.disappeared;
            sum.changed += row.changed;
            sum.traces += 1;
        }
    }

    /// Prints a row at once: nothing of it is kept.
    fn tell(&mut self, row: &Value, table: &dyn Fn() -> String) {
        let line = jsonl::guarded(&row.to_string());
        match self.format {
            Format::Table => print::out(&table()),
            Format::Jsonl => print::out(&format!("{line}\n")),
            Format::Json => {
                let comma = if self.rows == 0 { "" } else { "," };
                print::out(&format!("{comma}\n{line}"));
            }
        }
        self.rows += 1;
    }

    pub(super) fn end(&self, interrupted: bool) {
        let ways = self.ways.iter();
        let ways: Vec<_> = ways
            .map(|((from, to), count)| json!({"from": from, "to": to, "traces": count}))
            .collect();
        let receipt = json!({
            "engine": env!("CARGO_PKG_VERSION"), "saved_by": self.saved_by,
            "old_rules": self.old.rules, "new_rules": self.new.rules,
            "traces": self.traces.finalize().to_hex().to_string(),
            "result": self.result.finalize().to_hex().to_string(),
        });
        match self.format {
            Format::Table => print::out(&self.sums(interrupted, &receipt)),
            Format::Json => print::out(&format!(
                "\n],\n\"verdicts\": {},\n\"rules\": {},\n\"counts\": {},\n\"interrupted\": {interrupted},\n\"receipt\": {receipt}\n}}\n",
                Value::from(ways),
                json!(self.rules),
                json!(self.counts),
            )),
            Format::Jsonl => {
                let end = json!({
                    "format": FORMAT, "old": self.old, "new": self.new, "verdicts": ways,
                    "rules": self.rules, "counts": self.counts,
                    "interrupted": interrupted, "receipt": receipt,
                });
                print::out(&format!("{end}\n"));
            }
        }
    }

    fn sums(&self, interrupted: bool, receipt: &Value) -> String {
        let counts = &self.counts;
        let mut out = String::new();
        if !self.rules.is_empty() {
            out.push_str("\nRules\n");
            let widest = self.rules.keys().map(|id| id.chars().count()).max();
            let width = widest.unwrap_or(0).min(60);
            for (id, row) in &self.rules {
                out.push_str(&format!(
                    "  {:width$}  +{} findings, -{}, ~{} in {}\n",
                    escape::string(id),
                    row.appeared,
                    row.disappeared,
                    row.changed,
                    traces(row.traces)
                ));
            }
        }
        let done = counts.judged.saturating_add(counts.unreadable);
        if interrupted {
            let all = traces(counts.traces);
            out.push_str(&format!("\nINTERRUPTED: {done} of {all} were looked at\n"));
        }
        out.push_str(&format!(
            "\n{}, {} events: {} with another verdict, {} with other findings only, {} the same; {} damaged, {} unreadable\n",
            traces(done),
            counts.events,
            counts.verdict_changed,
            counts.other_findings,
            counts.same,
            counts.damaged,
            counts.unreadable
        ));
        for ((from, to), count) in &self.ways {
            out.push_str(&format!("  {from} → {to}: {}\n", traces(*count)));
        }
        if counts.other_findings > 0 && !self.findings {
            out.push_str("  --findings lists those with other findings too\n");
        }
        if counts.unscored > 0 {
            let unscored = traces(counts.unscored);
            out.push_str(&format!(
                "{unscored} without a saved score: nothing to compare\n"
            ));
        }
        if let Some(engine) = &self.saved_by {
            let engine = escape::string(engine);
            out.push_str(&format!("old scores saved by belljar {engine}\n"));
        }
        out.push_str(&format!(
            "{} recorded under the old rules: there the old verdict is what the run was told\n",
            traces(counts.recorded_under_old_rules)
        ));
        let word = |name: &str| {
            receipt
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        for (name, digest) in [
            ("suppressions", &self.new.suppressions),
            ("baselines", &self.new.baselines),
        ] {
            if let Some(digest) = digest {
                out.push_str(&format!("new rules with {name} {digest}\n"));
            }
        }
        out.push_str(&format!(
            "receipt: rules {} → {}, traces {}, result {}, belljar {}\n",
            word("old_rules"),
            word("new_rules"),
            word("traces"),
            word("result"),
            word("engine")
        ));
        out
    }
}

fn traces(n: u64) -> String {
    match n {
        1 => "1 trace".to_owned(),
        n => format!("{n} traces"),
    }
}

fn shown(path: &Path) -> String {
    escape::string(&path.to_string_lossy())
}

fn way(change: &Rescored) -> String {
    match change.verdict_changed() {
        true => format!("{} → {}", change.from, change.to),
        false => format!("{} as before, other findings", change.to),
    }
}

/// A line for each thing that changed.
fn why(change: &Rescored) -> String {
    let mut out = String::new();
    let event = |seq: Option<u64>| seq.map_or_else(String::new, |seq| format!("  #{seq}"));
    for (sign, notes) in [('+', &change.appeared), ('-', &change.disappeared)] {
        for note in notes.iter().take(SHOWN) {
            let quiet = if note.suppressed { " (suppressed)" } else { "" };
            let (rule, message) = (
                escape::string(&note.rule),
                escape::clip(&note.message, MESSAGE),
            );
            let (severity, event) = (note.severity, event(note.event));
            out.push_str(&format!(
                "  {sign} {severity:8} {rule}{quiet}  {message}{event}\n"
            ));
        }
        rest(&mut out, notes.len());
    }
    for note in change.changed.iter().take(SHOWN) {
        let (rule, message) = (
            escape::string(&note.rule),
            escape::clip(&note.message, MESSAGE),
        );
        let (from, to, event) = (&note.from, &note.to, event(note.event));
        out.push_str(&format!("  ~ {from} → {to}  {rule}  {message}{event}\n"));
    }
    rest(&mut out, change.changed.len());
    for (words, texts) in [
        ("now", &change.now_open),
        ("no longer", &change.no_longer_open),
    ] {
        for text in texts.iter().take(SHOWN) {
            out.push_str(&format!("  ? {words} {text}\n"));
        }
        rest(&mut out, texts.len());
    }
    if change.beyond > 0 {
        out.push_str(&format!("    … {} more than are kept\n", change.beyond));
    }
    out
}

fn rest(out: &mut String, all: usize) {
    if let more @ 1.. = all.saturating_sub(SHOWN) {
        out.push_str(&format!("    … {more} more; --format json has them\n"));
    }
}
