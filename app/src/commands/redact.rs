//! `belljar redact`: a copy of a trace without what its owner keeps to himself.
//!
//! Owns: patterns from the command line, presets, the list of what was hidden.
//! Must not: give out a file in which a secret was found again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use belljar_event::{Event, Fact, Target};
use belljar_recorder::redact::{Finder, Patterns, RedactError, Redactor};
use belljar_recorder::{Integrity, ReadError, Rewritten, rewrite};
use belljar_replay::cond::FIELDS;
use belljar_replay::escape;

use super::{open, written};
use crate::cli::{self, Preset};
use crate::error::AppError;
use crate::exit::Exit;
use crate::print;

/// The name of the loss, where a newer version's events cannot be looked into.
const PLACE: &str = "belljar redact: of kinds that this version does not know";
/// Rows of the list of what was hidden.
const MAX_ROWS: usize = 1000;
/// What the lines of allowed registries are called.
const REGISTRY: &str = "registry:";

pub(crate) fn redact(args: &cli::Redact) -> Result<Exit, AppError> {
    let patterns = patterns(args)?;
    if patterns.is_empty() {
        return Err(AppError::usage(
            "nothing to redact",
            "say what with --path, --name, --address, --output or --preset",
        ));
    }
    let mut redactor = find(&args.trace, patterns)?;
    let made = match args.to.as_deref().filter(|_| !args.dry_run) {
        None => write(&args.trace, &mut redactor, io::sink())?,
        Some(path) => written(path, |file| {
            let made = write(&args.trace, &mut redactor, file)?;
            prove(path, &redactor)?;
            Ok(made)
        })?,
    };
    list(&redactor, args.dry_run);
    if let Some(path) = args.to.as_deref().filter(|_| !args.dry_run) {
        print::out(&format!(
            "trace: {}, {} events\n",
            path.display(),
            made.events
        ));
    }
    if let Integrity::Cut { why, .. } = &made.integrity {
        print::error(&format!(
            "belljar: trace {} is damaged: {}; the new one ends there too",
            args.trace.display(),
            escape::string(why)
        ));
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Fine)
}

fn patterns(args: &cli::Redact) -> Result<Patterns, AppError> {
    let mut patterns = Patterns::default();
    let mut add = || {
        args.path.iter().try_for_each(|glob| patterns.path(glob))?;
        args.name.iter().try_for_each(|name| patterns.name(name))?;
        args.address
            .iter()
            .try_for_each(|net| patterns.address(net))?;
        args.output
            .iter()
            .try_for_each(|regex| patterns.output(regex))
    };
    add().map_err(unusable)?;
    for preset in &args.preset {
        match preset {
            Preset::Home => patterns.home(),
            Preset::Registries => patterns.hosts("registries", registries(&args.trace)?),
        }
    }
    Ok(patterns)
}

fn unusable(error: RedactError) -> AppError {
    AppError::usage(
        error.to_string(),
        "see `belljar redact --help` for what patterns look like",
    )
}

fn unread(path: &Path, error: ReadError) -> AppError {
    AppError::Rewrite {
        path: path.to_owned(),
        source: error.into(),
    }
}

fn find(trace: &Path, patterns: Patterns) -> Result<Redactor, AppError> {
    let mut finder = Finder::new(patterns);
    let reader = open(trace)?;
    finder.see_start(reader.start());
    for entry in reader {
        finder.see(entry.map_err(|error| unread(trace, error))?.event());
    }
    finder.finish().map_err(unusable)
}

fn write(
    trace: &Path,
    redactor: &mut Redactor,
    sink: impl io::Write,
) -> Result<Rewritten, AppError> {
    let reader = open(trace)?;
    let mut start = reader.start().clone();
    redactor.start(&mut start);
    let sink = io::BufWriter::new(sink);
    let mut keep = |_: u64, event: &mut Event| {
        redactor.event(event);
        true
    };
    rewrite(reader, sink, start, PLACE, &mut keep).map_err(|source| AppError::Rewrite {
        path: trace.to_owned(),
        source,
    })
}

/// Reads the new trace once more and looks for every secret.
fn prove(path: &Path, redactor: &Redactor) -> Result<(), AppError> {
    let reader = open(path)?;
    let start = redactor.survivor_in_start(reader.start());
    let mut left = start.is_some();
    for entry in reader {
        let entry = entry.map_err(|error| unread(path, error))?;
        left |= redactor.survivor(entry.event()).is_some();
    }
    if left {
        return Err(AppError::usage(
            "something is left of what was to be redacted; the new trace was removed",
            "name the whole word with --output; `--dry-run` lists what the patterns match",
        ));
    }
    Ok(())
}

fn list(redactor: &Redactor, dry: bool) {
    let rows = redactor.replaced();
    let places: u64 = rows.iter().map(|row| row.count).sum();
    let verb = if dry { "would be replaced" } else { "replaced" };
    print::out(&format!(
        "{} different things in {places} places {verb}\n",
        rows.len()
    ));
    if !dry {
        // Who redacts does not want to read it all on a shared screen.
        return;
    }
    for row in rows.iter().take(MAX_ROWS) {
        print::out(&format!(
            "{:>8}  {:<8} {}  ->  {}\n",
            row.count,
            row.kind.name(),
            escape::bytes(&row.secret),
            row.placeholder
        ));
    }
    if let Some(more) = rows.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        print::out(&format!("          and {more} more\n"));
    }
}

/// The hosts that lines of registries allowed, and those that the policy names for them.
fn registries(trace: &Path) -> Result<BTreeSet<String>, AppError> {
    let mut hosts = BTreeSet::new();
    let mut flows = BTreeMap::new();
    for entry in open(trace)? {
        let entry = entry.map_err(|error| unread(trace, error))?;
        match &entry.event().fact {
            Fact::Name(name) if name.by.starts_with(REGISTRY) => {
                hosts.insert(name.name.lossy().into_owned());
            }
            Fact::FlowAsked(asked) => {
                if let Target::Name { name, .. } = &asked.target {
                    flows.insert(asked.flow, name.clone());
                }
            }
            Fact::Decision(decision) if decision.by.starts_with(REGISTRY) => {
                hosts.extend(flows.get(&decision.flow).cloned());
            }
            Fact::Policy(policy) => hosts.extend(named(&policy.source)),
            _ => {}
        }
    }
    Ok(hosts)
}

/// The host names in a policy's lines for registries.
fn named(policy: &str) -> Vec<String> {
    let Ok(table) = policy.parse::<toml::Table>() else {
        return Vec::new();
    };
    let lines = table.get("rule").and_then(|rules| rules.as_array());
    let text = |line: &toml::Value, key| Some(line.get(key)?.as_str()?.to_owned());
    let conditions = lines.into_iter().flatten().filter_map(|line| {
        text(line, "id").filter(|id| id.starts_with(REGISTRY))?;
        text(line, "condition")
    });
    let mut names = Vec::new();
    for condition in conditions {
        let words = condition.split(|c: char| !c.is_ascii_alphanumeric() && !"-._".contains(c));
        let is_field = |word: &str| FIELDS.iter().any(|row| row.name == word);
        let hosts = words.filter(|word| word.contains('.') && !is_field(word));
        names.extend(hosts.map(str::to_owned));
    }
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_trace_is_redacted_into_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("new.bjt");
        let mut args = cli::Redact {
            trace: Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../fixtures/traces/npm-credential-thief.bjt"),
            to: Some(to.clone()),
            path: vec![],
            name: vec![],
            address: vec![],
            output: vec![],
            preset: vec![],
            dry_run: false,
        };
        assert!(redact(&args).is_err(), "nothing to redact");
        args.preset = vec![Preset::Home, Preset::Registries];
        args.dry_run = true;
        assert_eq!(redact(&args).unwrap(), Exit::Fine);
        assert!(!to.exists());
        args.dry_run = false;
        assert_eq!(redact(&args).unwrap(), Exit::Fine);
        let reader = open(&to).unwrap();
        assert_eq!(
            reader.start().redacted,
            ["preset home", "preset registries"]
        );
        assert_eq!(reader.count(), open(&args.trace).unwrap().count());
        assert!(redact(&args).is_err(), "the file is there");
    }

    #[test]
    fn a_policy_names_its_registries() {
        let policy = r#"
name = "x"
[[rule]]
id = "registry:npm"
action = "allow"
condition = "net.name = registry.host.example and fd.sport = 443"
[[rule]]
id = "allow:1"
action = "allow"
condition = "net.name = api.host.example"
"#;
        assert_eq!(named(policy), ["registry.host.example"]);
        assert!(named("no toml [").is_empty());
    }
}
