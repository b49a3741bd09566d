//! `belljar policy explain`: which line decides in a case, why, and who enforces it.

use std::path::Path;

use belljar_replay::cond::Truth;
use belljar_replay::escape;
use belljar_replay::policy::{Action, Allow, Case, Decided, Explained, Policy, Settled, Weighed};
use serde_json::{Value, json};

use super::check::action;
use crate::cli::{self, Format, YesNo};
use crate::error::AppError;
use crate::exit::Exit;
use crate::policies::{self, Chosen, Policies, SOME_HOME, decoy_paths, decoys};
use crate::print;
use crate::ways::ecosystem;

/// Longest condition of a line that does not decide, in characters.
const MAX_CONDITION: usize = 110;

pub(super) fn explain(args: &cli::Explain) -> Result<Exit, AppError> {
    let policy = composed(args)?;
    let case = case(args)?;
    let explained = policy
        .explain(&case, &decoy_paths(SOME_HOME))
        .map_err(|error| AppError::Rules(error.to_string()))?;
    let range = refused_range(&case, &explained);
    match args.format {
        Format::Table => print::out(&table(&case, &explained, range)),
        Format::Json => print::out(&format!("{:#}\n", as_json(&case, &explained, range))),
        Format::Jsonl => print::out(&format!("{}\n", as_json(&case, &explained, range))),
    }
    Ok(Exit::Fine)
}

/// The policy that a run would have, but for the registries.
fn composed(args: &cli::Explain) -> Result<Policy, AppError> {
    let chosen = Chosen::read(&args.policy)?;
    let marks = args.project.as_deref().map(ecosystem::marks);
    let ecosystems: Vec<_> = marks
        .iter()
        .flatten()
        .take(1)
        .map(|mark| mark.ecosystem)
        .collect();
    let allow = |text: &String| {
        Allow::parse(text).map_err(|error| {
            AppError::usage(
                error.to_string(),
                "write HOST, HOST:PORT, *.DOMAIN or IP:PORT",
            )
        })
    };
    let policies = Policies {
        profiles: policies::profiles(&args.profile, &chosen, &ecosystems)?,
        chosen,
        own: match args.no_user_policy {
            true => None,
            false => policies::own()?,
        },
        project: match &args.project {
            Some(project) => policies::of_project(project)?,
            None => None,
        },
        allows: args.allow.iter().map(allow).collect::<Result<_, _>>()?,
    }
    .checked()?;
    policies
        .compose(&[], SOME_HOME, false)
        .map_err(|error| AppError::Rules(error.to_string()))
}

fn case(args: &cli::Explain) -> Result<Case, AppError> {
    let object = from_shell(&args.object);
    let wrong = |error: belljar_replay::policy::CaseError| {
        AppError::usage(
            error.to_string(),
            "belljar policy explain connect files.example:443, exec /tmp/x, read '~/.ssh/id_rsa'",
        )
    };
    let parsed = Case::parse(&args.op, &object, SOME_HOME).map_err(wrong)?;
    let other = match &args.other {
        // Read the way the first path is.
        Some(other) => {
            Case::parse("read", &from_shell(other), SOME_HOME)
                .map_err(wrong)?
                .path
        }
        None => None,
    };
    let known = decoys(SOME_HOME).into_iter();
    let mut known = known.filter(|(path, _)| Some(path) == parsed.path.as_ref());
    Ok(Case {
        other,
        program: args.program.clone(),
        args: args.args.clone(),
        parents: (!args.parent.is_empty()).then(|| args.parent.clone()),
        phase: args.phase.clone(),
        uid: args.uid,
        dropped: args.dropped.map(|dropped| dropped == YesNo::Yes),
        decoy: args
            .decoy
            .clone()
            .or_else(|| known.next().map(|(_, kind)| kind.to_owned())),
        ..parsed
    })
}

/// `~/x` was made this user's home by the shell; the payload's home is meant.
fn from_shell(object: &str) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    let rest = Some(home.as_str())
        .filter(|home| Path::new(home).is_absolute() && *home != "/")
        .and_then(|home| object.strip_prefix(home));
    match rest {
        Some(rest) if rest.starts_with('/') => format!("~{rest}"),
        _ => object.to_owned(),
    }
}

/// The range that is refused whatever a policy says.
fn refused_range(case: &Case, explained: &Explained<'_>) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        let ip = case.target.as_ref()?.ip()?;
        let range = belljar_vmm::egress::refused::range(ip)?;
        (!explained.decided.literal).then_some(range)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (case, explained);
        None
    }
}

/// Who has the last word, in words.
fn who(explained: &Explained<'_>) -> &'static str {
    match (explained.settled, explained.decided.action) {
        (Settled::Kernel, _) => "kernel: the guest's kernel does it by itself",
        (Settled::Hold, Action::Ask) => {
            "hold: the call waits for a person; with nobody there it is denied"
        }
        (Settled::Hold, _) => "hold: the call waits for the host's answer",
        (Settled::Host, _) => "host: decided when the flow reaches it",
    }
}

/// With the home's sign again.
fn shown(text: &str) -> String {
    escape::string(&text.replace(&format!("{SOME_HOME}/"), "~/"))
}

fn condition(row: &Weighed<'_>) -> String {
    let words: Vec<_> = row.line.condition.source().split_whitespace().collect();
    shown(&words.join(" "))
}

fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::Yes => "yes",
        Truth::No => "no",
        Truth::Maybe => "maybe",
    }
}

fn decided(decided: &Decided) -> String {
    let reason = decided.reason.as_deref().map(shown);
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    format!(
        "{}, by {}{reason}",
        action(decided.action),
        shown(&decided.by)
    )
}

fn table(case: &Case, explained: &Explained<'_>, range: Option<&'static str>) -> String {
    let mut out = format!("{} {}\n", case.op.name(), shown(&case.object()));
    let mut row = |label: &str, text: &str| out.push_str(&format!("  {label:<9} {text}\n"));
    if let Some(range) = range {
        let text = format!("deny: a refused range ({range}), whatever a policy says");
        row("answer", &text);
        row("the policy", &decided(&explained.decided));
    } else {
        row("answer", &decided(&explained.decided));
    }
    row("enforced", who(explained));
    let by = &explained.decided.by;
    let deciding = explained.weighed.iter().find(|row| row.line.id == *by);
    if let Some(deciding) = deciding {
        row("line", &condition(deciding));
        if let Some(at) = &deciding.line.origin {
            row(
                "written",
                &shown(&format!("{}:{}:{}", at.file, at.line, at.column)),
            );
        }
        if !deciding.unknown.is_empty() {
            row("not known", &unknown(deciding));
        }
    }
    if let Some(op) = explained.implied {
        let text = format!(
            "it is a line about {}: what it names stays where it is",
            op.name()
        );
        row("because", &text);
    }
    if explained.of_other
        && let Some(other) = &case.other
    {
        row("object", &shown(other));
    }
    if let Some(lookup) = &explained.lookup {
        row(
            "lookup",
            &format!(
                "{} (of the name, before there is a connect)",
                decided(lookup)
            ),
        );
    }
    let others: Vec<_> = explained
        .weighed
        .iter()
        .filter(|row| row.line.id != *by)
        .collect();
    if !others.is_empty() {
        out.push_str("asked before it\n");
    }
    for row in others {
        let mut text = escape::clip(&condition(row), MAX_CONDITION);
        if row.truth == Truth::Maybe {
            text.push_str(&format!("  [not known: {}]", unknown(row)));
        }
        out.push_str(&format!(
            "  {:<6} {:<5} {}  {text}\n",
            word(row.truth),
            action(row.line.action),
            shown(&row.line.id)
        ));
    }
    out
}

fn unknown(row: &Weighed<'_>) -> String {
    let names: Vec<_> = row.unknown.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn as_json(case: &Case, explained: &Explained<'_>, range: Option<&'static str>) -> Value {
    let said = |decided: &Decided| {
        json!({
            "action": action(decided.action),
            "by": decided.by,
            "reason": decided.reason,
        })
    };
    let weighed: Vec<_> = explained
        .weighed
        .iter()
        .map(|row| {
            json!({
                "line": row.line.id,
                "action": action(row.line.action),
                "condition": row.line.condition.source(),
                "truth": word(row.truth),
                "restricts": row.restricts,
                "unknown": row.unknown.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "op": case.op.name(),
        "object": case.object(),
        "answer": match range {
            Some(_) => "deny",
            None => action(explained.decided.action),
        },
        "refused_range": range,
        "policy": said(&explained.decided),
        "enforced": explained.settled.name(),
        "implied_by": explained.implied.map(|op| op.name()),
        "lookup": explained.lookup.as_ref().map(said),
        "weighed": weighed,
    })
}
