//! Session to report.
//!
//! Owns: what goes in, in which order, and how much of it. Must not: judge.

use std::sync::Arc;

use belljar_event::{InstallScript, Text, refused_by};
use belljar_recorder::Integrity;

use super::{
    AllowedDestination, BaselineReport, CheckReport, CopiedReport, DecidedBy, DecisionCounts,
    DimensionReport, EnforcementReport, FORMAT, FileCounts, FindingReport, InstallScriptReport,
    InstalledReport, IntegrityReport, LeftOutReport, LimitReport, LostReport, MachineReport, Names,
    NetworkCounts, OpenRule, PhaseReport, ProcessCounts, Ran, ReasonReport, Receipt,
    RefusedDestination, RefusedName, Report, SensitivePath, Toucher, Touches,
};
use crate::baseline::{Dimension, Held};
use crate::escape;
use crate::moment;
use crate::session::{Destination, FileState, Finding, NameRow, PhaseState, Session, Touch, slot};
use crate::suppress::Decided;
use crate::verdict::{self, Reason};

/// Rows of a list; what is beyond is counted.
const MAX_ROWS: usize = 1000;
/// Lineages per destination.
const MAX_WHO: usize = 4;

impl Report {
    /// The report of a session that is over.
    #[must_use]
    pub fn new(session: &Session, integrity: &Integrity) -> Self {
        let judgement = verdict::judge(session, Some(integrity));
        let run = &session.run;
        let sensitive: Vec<&FileState> = session
            .files
            .sorted()
            .filter(|row| is_touched(row))
            .collect();
        let refused_names = || session.network.names().filter(|row| row.refused > 0);
        let report = Self {
            format: FORMAT,
            verdict: judgement.verdict,
            reasons: judgement
                .reasons
                .iter()
                .map(|reason| reason_report(session, reason))
                .collect(),
            ran: ran(session),
            findings: session.findings().iter().map(finding).collect(),
            findings_beyond: session.findings.overflow,
            open_rules: open_rules(session),
            sensitive_beyond: beyond(sensitive.len()),
            sensitive: sensitive
                .iter()
                .take(MAX_ROWS)
                .map(|row| sensitive_path(row))
                .collect(),
            refused: refused(session),
            allowed: allowed(session),
            undecided: undecided(session),
            names: Names {
                asked: session.network.asked_names,
                refused: refused_names().take(MAX_ROWS).map(refused_name).collect(),
                refused_beyond: beyond(refused_names().count()),
            },
            processes: processes(session),
            files: files(session),
            network: network(session),
            decisions: DecisionCounts::of(session),
            phases: run.phases.iter().map(phase).collect(),
            copied: copied(session),
            installed: installed(session),
            limits: run
                .limits
                .iter()
                .map(|reached| LimitReport {
                    what: escape::string(&reached.what),
                    limit: reached.limit,
                    unit: escape::string(&reached.unit),
                })
                .collect(),
            decided: session.rules().suppressions().all().map(escaped).collect(),
            baselines: session.drift.all().map(baseline).collect(),
            lost: LostReport {
                events: run.lost,
                places: run
                    .lost_by
                    .iter()
                    .map(|(place, count)| (escape::string(place), *count))
                    .collect(),
                missing: run.missing,
            },
            machine: machine(session),
            enforcement: enforcement(session),
            integrity: integrity_report(session, integrity),
            receipt: receipt(session, integrity),
        };
        let mut report = report.guarded();
        report.receipt.report = Some(report.digest());
        report
    }
}

fn beyond(rows: usize) -> u64 {
    rows.saturating_sub(MAX_ROWS) as u64
}

fn reason_report(session: &Session, reason: &Reason) -> ReasonReport {
    let named = |number: u64| {
        let at = usize::try_from(number.saturating_sub(1)).ok();
        at.and_then(|at| session.findings().get(at))
    };
    let (text, findings) = match reason {
        Reason::Finding { number, .. } => {
            let text = named(*number).map(|f| format!("{}: {}", f.rule.id, f.message));
            (text.unwrap_or_default(), vec![*number])
        }
        Reason::Together { numbers } => {
            let mut ids: Vec<&str> = numbers
                .iter()
                .filter_map(|n| named(*n))
                .map(|f| f.rule.id.as_str())
                .collect();
            ids.sort_unstable();
            ids.dedup();
            (
                format!("{} in one branch of the process tree", ids.join(" and ")),
                numbers.clone(),
            )
        }
        Reason::More { count, .. } => {
            (format!("{count} more findings than are listed"), Vec::new())
        }
        Reason::Incomplete { what } => (format!("incomplete: {what}"), Vec::new()),
    };
    ReasonReport {
        weighs: reason.weighs(),
        text,
        findings,
    }
}

fn ran(session: &Session) -> Ran {
    let run = &session.run;
    let start = run.start.as_deref();
    let say = |text: Option<&String>| text.map(|text| escape::string(text)).unwrap_or_default();
    Ran {
        label: say(start.map(|start| &start.label)),
        command: start
            .map(|start| moment::command(&start.command))
            .unwrap_or_default(),
        image: say(start.map(|start| &start.image)),
        kernel: say(start.map(|start| &start.kernel)),
        nanoseconds: run.now.saturating_sub(run.first_at),
        end: run.end.as_deref().map(moment::end),
        output_bytes: session.output.total,
        redacted: start
            .map(|s| {
                s.redacted
                    .iter()
                    .map(|pattern| escape::string(pattern))
                    .collect()
            })
            .unwrap_or_default(),
    }
}

fn finding(finding: &Finding) -> FindingReport {
    let rule = &finding.rule;
    FindingReport {
        number: finding.number,
        rule: rule.id.clone(),
        title: rule.title.clone(),
        why: rule.why.clone(),
        severity: rule.severity,
        attack: rule.attack.clone(),
        advice: rule.advice.clone(),
        message: finding.message.to_string(),
        subject: finding.subject.to_string(),
        lineage: finding.lineage.to_vec(),
        count: finding.count,
        events: finding.evidence.clone(),
        seqs: finding.seqs.clone(),
        suppressed: finding.suppressed.as_deref().map(escaped),
    }
}

/// A person's words too are shown to a terminal.
fn escaped(decided: &Decided) -> Decided {
    Decided {
        rule: escape::string(&decided.rule),
        subject: decided.subject.as_deref().map(escape::string),
        reason: escape::string(&decided.reason),
        until: escape::string(&decided.until),
        ..decided.clone()
    }
}

fn baseline(held: &Held) -> BaselineReport {
    let dimension = |of: Dimension| {
        let row = held.dimension(of);
        DimensionReport {
            dimension: of.name().to_owned(),
            seen: row.seen,
            expected: held.expected(of),
            unexpected: row.unexpected,
            examples: row.examples.clone(),
            events: row.seqs.clone(),
        }
    };
    BaselineReport {
        phase: held.phase.clone(),
        baseline: escape::string(&held.baseline.name),
        learned: held.baseline.learned,
        drift: held.drift(),
        dimensions: Dimension::ALL.into_iter().map(dimension).collect(),
    }
}

fn open_rules(session: &Session) -> Vec<OpenRule> {
    let open = session.findings.open.values().map(|open| OpenRule {
        rule: open.rule.id.clone(),
        title: open.rule.title.clone(),
        severity: open.rule.severity,
        count: open.count,
        first_seq: open.first_seq,
    });
    open.collect()
}

fn is_touched(row: &FileState) -> bool {
    row.is_sensitive() && row.counts.iter().any(|count| *count > 0)
}

fn touches(counts: &[u32; 6]) -> Touches {
    let count = |touch: Touch| {
        slot(touch)
            .and_then(|at| counts.get(at))
            .copied()
            .unwrap_or(0)
            .into()
    };
    Touches {
        read: count(Touch::Read),
        written: count(Touch::Write),
        created: count(Touch::Create),
        deleted: count(Touch::Delete),
        denied: count(Touch::Denied),
        failed: count(Touch::Failed),
    }
}

fn sensitive_path(row: &FileState) -> SensitivePath {
    let by = row
        .who
        .iter()
        .flat_map(|who| who.iter())
        .map(|who| Toucher {
            lineage: who.lineage.to_vec(),
            first_seq: who.first_seq,
            ended: touches(&who.counts),
        });
    SensitivePath {
        path: escape::bytes(&row.path),
        kind: match (&row.decoy, row.credential) {
            (Some(decoy), _) => escape::string(&decoy.kind),
            (None, kind) => kind.unwrap_or_default().to_owned(),
        },
        decoy: row.decoy.is_some(),
        ended: touches(&row.counts),
        by: by.collect(),
    }
}

fn destination(to: &Destination) -> String {
    let name = escape::string(&to.name);
    if to.name.contains(':') {
        format!("[{name}]:{}", to.port)
    } else {
        format!("{name}:{}", to.port)
    }
}

fn decided(by: &[(Arc<str>, u64)]) -> Vec<DecidedBy> {
    by.iter()
        .map(|(by, count)| DecidedBy {
            by: escape::string(by),
            count: *count,
        })
        .collect()
}

/// The lines' names.
fn lines(by: &[(Arc<str>, u64)]) -> String {
    let names: Vec<String> = by.iter().map(|(by, _)| escape::string(by)).collect();
    names.join(", ")
}

fn programs(programs: &[Text]) -> Vec<String> {
    programs.iter().map(escape::text).collect()
}

fn refused(session: &Session) -> Vec<RefusedDestination> {
    let rows = session.network.destinations().filter(|to| to.refused > 0);
    let report = |to: &Destination| RefusedDestination {
        destination: destination(to),
        direct: to.direct,
        attempts: to.refused,
        by: decided(&to.refused_by),
        says: refused_by(&lines(&to.refused_by)),
        state: to.state(),
        programs: programs(&to.programs),
        who: to
            .who
            .iter()
            .take(MAX_WHO)
            .map(|(_, lineage)| lineage.to_vec())
            .collect(),
        first_seq: to.first_seq,
    };
    rows.map(report).collect()
}

fn allowed(session: &Session) -> Vec<AllowedDestination> {
    let rows = session
        .network
        .destinations()
        .filter(|to| to.flows > 0 || !to.allowed_by.is_empty());
    let report = |to: &Destination| AllowedDestination {
        destination: destination(to),
        direct: to.direct,
        flows: to.flows,
        open: to.open,
        unreached: to.failed,
        sent: to.sent,
        received: to.received,
        by: decided(&to.allowed_by),
        programs: programs(&to.programs),
    };
    let mut rows: Vec<_> = rows.map(report).collect();
    rows.sort_by(|a, b| a.destination.cmp(&b.destination));
    rows
}

fn undecided(session: &Session) -> Vec<String> {
    let rows = session.network.destinations();
    let open = rows.filter(|to| to.refused == 0 && to.flows == 0 && to.allowed_by.is_empty());
    open.map(destination).collect()
}

fn refused_name(row: &NameRow) -> RefusedName {
    RefusedName {
        name: escape::text(&row.name),
        count: row.refused,
        by: escape::string(&row.by),
        says: refused_by(&escape::string(&row.by)),
        lineage: row.lineage.to_vec(),
    }
}

fn processes(session: &Session) -> ProcessCounts {
    let counts = session.counts();
    ProcessCounts {
        started: counts.processes,
        killed: counts.killed,
        running: counts.running,
        execs: counts.execs,
        not_followed: session.processes.overflow,
    }
}

fn files(session: &Session) -> FileCounts {
    let counts = session.counts();
    FileCounts {
        paths: counts.files,
        reads: counts.reads,
        writes: counts.writes,
        decoys: session.files.decoys() as u64,
        decoys_read: counts.decoys_read,
        beyond: session.files.overflow,
    }
}

fn network(session: &Session) -> NetworkCounts {
    let counts = session.counts();
    NetworkCounts {
        flows: counts.flows,
        refused: counts.refused,
        sent: counts.sent,
        received: counts.received,
        beyond: session.network.overflow,
        stray: session.network.stray,
    }
}

fn phase(phase: &PhaseState) -> PhaseReport {
    PhaseReport {
        name: escape::string(&phase.name),
        command: moment::command(&phase.argv),
        nanoseconds: phase.ended.map(|(at, _)| at.saturating_sub(phase.began)),
        status: phase.ended.map(|(_, status)| moment::status(status)),
    }
}

fn copied(session: &Session) -> Option<CopiedReport> {
    let copied = session.run.copied.as_deref()?;
    let left_out = copied.left_out.iter().map(|left| LeftOutReport {
        path: escape::text(&left.path),
        why: escape::string(&left.why),
    });
    Some(CopiedReport {
        files: copied.files,
        bytes: copied.bytes,
        left_out: left_out.collect(),
        left_out_total: copied.left_out_total,
    })
}

fn installed(session: &Session) -> Option<InstalledReport> {
    let installed = session.run.installed.as_deref()?;
    let script = |script: &InstallScript| InstallScriptReport {
        package: escape::text(&script.package),
        version: script.version.as_ref().map(escape::text),
        script: escape::string(&script.script),
        command: escape::text(&script.command),
        ran: script.ran,
    };
    Some(InstalledReport {
        client: escape::string(&installed.client),
        answered: installed.answered,
        packages: installed.packages,
        scripts: installed.scripts.iter().map(script).collect(),
        more: installed.more,
    })
}

fn machine(session: &Session) -> Option<MachineReport> {
    let machine = session.run.machine.as_deref()?;
    Some(MachineReport {
        hypervisor: escape::string(&machine.hypervisor),
        accelerator: escape::string(&machine.accelerator),
        degraded: machine.degraded,
        cpus: machine.cpus,
        memory_mib: machine.memory_mib,
    })
}

fn enforcement(session: &Session) -> Option<EnforcementReport> {
    let armed = session.run.armed.as_deref()?;
    let check = |check: &belljar_event::Check| CheckReport {
        name: escape::string(&check.name),
        held: check.held,
    };
    Some(EnforcementReport {
        armed: session.run.held() == Some(true),
        kernel: escape::string(&armed.kernel),
        checks: armed.checks.iter().map(check).collect(),
    })
}

/// Neither byte offsets nor the chain: they depend on how the blocks were cut.
fn integrity_report(session: &Session, integrity: &Integrity) -> IntegrityReport {
    match integrity {
        Integrity::Complete { receipt } => IntegrityReport {
            complete: true,
            events: receipt.events,
            unknown: receipt.unknown,
            why: None,
        },
        Integrity::Cut { entries, why, .. } => IntegrityReport {
            complete: false,
            events: *entries,
            unknown: session.run.missing,
            why: Some(escape::string(why)),
        },
    }
}

fn receipt(session: &Session, integrity: &Integrity) -> Receipt {
    let start = session.start();
    let say = |text: Option<&String>| text.map(|text| escape::string(text)).unwrap_or_default();
    Receipt {
        recorded_by: say(start.map(|start| &start.engine)),
        judged_by: env!("CARGO_PKG_VERSION").to_owned(),
        trace: integrity
            .receipt()
            .map(|receipt| crate::hex(&receipt.digest)),
        rules: crate::hex(&session.rules().digest()),
        rules_recorded: say(start.map(|start| &start.rules)),
        baselines: session.rules().baselines().digest().map(|d| crate::hex(&d)),
        suppressions: session
            .rules()
            .suppressions()
            .digest()
            .map(|d| crate::hex(&d)),
        policy: session
            .run
            .policy
            .as_ref()
            .map(|p| blake3::hash(p.source.as_bytes()).to_hex().to_string()),
        report: None,
    }
}
