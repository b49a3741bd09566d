//! `belljar rules`: what judges, whether files of others can, and what they say of a trace.
//!
//! Owns: reading rule files and folders for every command. Must not: judge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use belljar_replay::rules::{Checked, LoadedRules, Origin, Rule, RuleSet, Status};
use belljar_replay::session::Session;
use belljar_replay::{escape, rules};

use super::open;
use crate::cli::{self, Format, RuleArgs, RulesAction};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// Most files that one argument may lead to.
const MAX_FILES: usize = 20_000;
/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 16;
/// Longest rule file.
const MAX_FILE: u64 = 4 << 20;

pub(crate) fn rules(args: &cli::Rules) -> Result<Exit, AppError> {
    match &args.action {
        RulesAction::List { rules, format } => list(loaded(rules)?.as_ref(), *format),
        RulesAction::Check {
            files,
            quiet,
            format,
        } => check(files, *quiet, *format),
        RulesAction::Explain { id, rules } => explain(id, loaded(rules)?.as_ref()),
        RulesAction::Test { traces, rules } => test(traces, &loaded(rules)?),
    }
}

/// The rules that these arguments ask for. What cannot be evaluated is counted
/// on standard error.
pub(crate) fn loaded(args: &RuleArgs) -> Result<Arc<RuleSet>, AppError> {
    let (rules, (out, all)) = read_quietly(args)?;
    if out > 0 {
        print::error(&format!(
            "belljar: {out} of {all} foreign rules cannot be evaluated and are left out; belljar rules check says why",
        ));
    }
    Ok(rules)
}

/// As [`loaded`], but what cannot be evaluated is only counted: of how many.
pub(super) fn read_quietly(args: &RuleArgs) -> Result<(Arc<RuleSet>, (usize, usize)), AppError> {
    if args.files.is_empty() {
        let rules = super::baseline::settled(RuleSet::builtin(), args)?;
        return Ok((rules, (0, 0)));
    }
    let loaded = read(!args.no_builtin_rules, &args.files)?;
    let out = loaded
        .checked
        .iter()
        .filter(|one| !one.status.is_evaluable());
    let counts = (out.count(), loaded.checked.len());
    Ok((super::baseline::settled(loaded.rules, args)?, counts))
}

fn read(builtin: bool, paths: &[PathBuf]) -> Result<LoadedRules, AppError> {
    let mut sources = Vec::new();
    for path in paths {
        let mut files = Vec::new();
        walk(path, 0, &mut files)?;
        if files.is_empty() {
            return Err(AppError::usage(
                format!("there are no rules in {}", path.display()),
                "rule files end in .yaml or .yml",
            ));
        }
        for file in files {
            sources.push((file.display().to_string(), text(&file)?));
        }
    }
    RuleSet::load_all(builtin, &sources).map_err(|errors| AppError::Rules(errors.to_string()))
}

/// A file as it is named; of a folder, everything in it that ends like a rule file.
pub(super) fn walk(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), AppError> {
    let fail = |source| AppError::file("read rules from", path, source);
    let kind = std::fs::metadata(path).map_err(fail)?;
    if !kind.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // Links are not followed: no folder leads back into itself.
        let kind = entry.file_type().map_err(fail)?;
        let name = entry.path();
        let ends = name
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        if kind.is_dir() && depth < MAX_DEPTH || kind.is_file() && ends {
            inside.push(name);
        }
    }
    inside.sort();
    for name in inside {
        if files.len() >= MAX_FILES {
            return Err(AppError::usage(
                format!("more than {MAX_FILES} rule files in {}", path.display()),
                "name a smaller folder",
            ));
        }
        walk(&name, depth + 1, files)?;
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, AppError> {
    let fail = |source| AppError::file("read rules from", path, source);
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE {
        return Err(AppError::usage(
            format!("{} is longer than {MAX_FILE} bytes", path.display()),
            "it can hardly be rules",
        ));
    }
    std::fs::read_to_string(path).map_err(fail)
}

fn list(rules: &RuleSet, format: Format) -> Result<Exit, AppError> {
    let rows = rules.rules();
    if format != Format::Table {
        let rows = rows.iter().map(|rule| {
            serde_json::json!({
                "id": rule.id,
                "title": rule.title,
                "severity": rule.severity.name(),
                "attack": rule.attack,
                "from": rule.origin().name(),
            })
        });
        let rows: Vec<_> = rows.collect();
        print::out(&format!("{}\n", serde_json::Value::from(rows)));
        return Ok(Exit::Fine);
    }
    let width = rows
        .iter()
        .map(|rule| rule.id.len())
        .max()
        .unwrap_or(0)
        .min(48);
    for rule in rows {
        print::out(&format!(
            "{:width$}  {:8}  {}\n",
            escape::string(&rule.id),
            rule.severity,
            escape::string(&rule.title)
        ));
    }
    print::out(&format!("{} rules\n", rows.len()));
    Ok(Exit::Fine)
}

fn check(paths: &[PathBuf], quiet: bool, format: Format) -> Result<Exit, AppError> {
    let loaded = read(false, paths)?;
    let own = loaded.rules.rules().iter();
    let own = own.filter(|rule| rule.origin() == Origin::Own).count();
    let wrong = loaded
        .checked
        .iter()
        .any(|one| matches!(one.status, Status::Wrong { .. }));
    if format == Format::Table {
        for one in &loaded.checked {
            if !(quiet && one.status.is_evaluable()) {
                print::out(&row(one));
            }
        }
        print::out(&sum(&loaded.checked, own));
    } else {
        let rows: Vec<_> = loaded.checked.iter().map(json).collect();
        print::out(&format!("{}\n", serde_json::Value::from(rows)));
    }
    Ok(if wrong { Exit::Verdict } else { Exit::Fine })
}

/// `evaluable  falco:…  Title`, with what is missing below it.
fn row(one: &Checked) -> String {
    let (word, more): (&str, Vec<String>) = match &one.status {
        Status::Evaluable(notes) => ("evaluable", notes.clone()),
        Status::Missing(what) => ("missing", what.clone()),
        Status::Wrong {
            line,
            column,
            message,
        } => (
            "wrong",
            vec![format!("{}:{line}:{column}: {message}", one.file)],
        ),
    };
    let off = if one.enabled {
        ""
    } else {
        " (off in its file)"
    };
    let title = escape::string(&one.title);
    let mut out = format!("{word:9}  {title}{off}\n");
    for line in more {
        out.push_str(&format!("           {}\n", escape::string(&line)));
    }
    out
}

fn json(one: &Checked) -> serde_json::Value {
    let (word, more) = match &one.status {
        Status::Evaluable(notes) => ("evaluable", notes.clone()),
        Status::Missing(what) => ("missing", what.clone()),
        Status::Wrong {
            line,
            column,
            message,
        } => ("wrong", vec![format!("{line}:{column}: {message}")]),
    };
    serde_json::json!({
        "id": one.id, "title": one.title, "file": one.file, "line": one.line,
        "enabled": one.enabled, "status": word, "notes": more,
    })
}

fn sum(checked: &[Checked], own: usize) -> String {
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for one in checked {
        let (all, evaluable, partly) = counts.entry(Origin::of_id(&one.id).name()).or_default();
        *all += 1;
        if let Status::Evaluable(notes) = &one.status {
            *evaluable += 1;
            *partly += usize::from(!notes.is_empty());
        }
    }
    let mut out = String::new();
    for (name, (all, evaluable, partly)) in counts {
        out.push_str(&format!(
            "{name}: {evaluable} of {all} evaluable, {partly} of them with reservations\n"
        ));
    }
    if own > 0 {
        out.push_str(&format!("belljar: {own} of {own} evaluable\n"));
    }
    out
}

fn explain(id: &str, rules: &RuleSet) -> Result<Exit, AppError> {
    let Some(rule) = rules.rule(id) else {
        let near = rules::nearest_id(rules, id);
        return Err(AppError::usage(
            format!("there is no rule {}", escape::string(id)),
            near.map_or_else(
                || "belljar rules list names them".to_owned(),
                |near| format!("did you mean {near}?"),
            ),
        ));
    };
    print::out(&explained(rule));
    Ok(Exit::Fine)
}

fn explained(rule: &Rule) -> String {
    let clean = |text: &str| {
        let lines = text.lines().map(|line| escape::string(line.trim_end()));
        lines.collect::<Vec<_>>().join("\n  ")
    };
    let mut out = format!("{}  {}\n", escape::string(&rule.id), clean(&rule.title));
    let mut part = |name: &str, text: &str| {
        if !text.is_empty() {
            out.push_str(&format!("\n{name}\n  {text}\n"));
        }
    };
    part("Severity", rule.severity.name());
    part("ATT&CK", &rule.attack.join(", "));
    part("Why", &clean(&rule.why));
    match &rule.beyond {
        None => part("Holds when", &clean(&rule.condition.spelled_out())),
        Some(beyond) => {
            part("Holds when", &beyond.to_string());
            for (number, step) in (1..).zip(&beyond.steps) {
                part(&format!("Event {number}"), &clean(&step.spelled_out()));
            }
        }
    }
    part("Says", &clean(rule.message.source()));
    part("What to do", &clean(&rule.advice));
    part("Since", &rule.since);
    out
}

/// Which rules fire on a trace, how often, and which are left open.
fn test(traces: &[PathBuf], rules: &Arc<RuleSet>) -> Result<Exit, AppError> {
    let mut any = false;
    for path in traces {
        let reader = open(path)?;
        let mut session = Session::new(Arc::clone(rules)).with_start(reader.start());
        let mut events = 0u64;
        for entry in reader.map_while(Result::ok) {
            session.push(&entry);
            events += 1;
        }
        let mut fired: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for finding in session.findings() {
            let (count, first) = fired
                .entry(&finding.rule.id)
                .or_insert((0, finding.seqs.first().copied().unwrap_or(0)));
            *count += finding.count;
            *first = (*first).min(finding.seqs.first().copied().unwrap_or(*first));
        }
        any |= !fired.is_empty();
        print::out(&format!("{}: {events} events\n", path.display()));
        for (id, (count, first)) in &fired {
            print::out(&format!(
                "  {:5} events, first #{first}: {}\n",
                count,
                escape::string(id)
            ));
        }
        for (id, count) in session.left_open() {
            print::out(&format!(
                "  {count:5} events undecided: {}\n",
                escape::string(id)
            ));
        }
    }
    Ok(if any { Exit::Verdict } else { Exit::Fine })
}
