//! What the screen, the report and the tests ask of a session.
//!
//! Owns: copying rows out of the tables, in a stable order.
//! Must not: change the session.

use std::collections::BTreeSet;
use std::sync::Arc;

use belljar_event::Text;

use super::rows::{
    Counts, DestinationRow, FileRow, Finding, Living, NameRow, Overview, PhaseRow, ProcessRow,
};
use super::{FileState, Process, Program, QuestionRow, Session};
use crate::canary::Canaries;
use crate::moment::is_hidden;
use crate::verdict::{self, Judgement};

impl Session {
    /// The header's facts.
    #[must_use]
    pub fn overview(&self) -> Overview<'_> {
        let run = &self.run;
        Overview {
            label: run.start.as_ref().map(|start| start.label.as_str()),
            phase: run.current(),
            first_at: run.first_at,
            now: run.now,
            events: run.events,
            rate: run.rate,
            lost: run.lost,
            armed: run.held(),
            machine: run.machine.as_deref(),
            policy_digest: run.policy.as_ref().map(|policy| crate::hex(&policy.digest)),
            ended: run.end.as_deref(),
            counts: self.counts(),
        }
    }

    /// The phase that runs now; `None` before the first and after the last.
    #[must_use]
    pub fn phase(&self) -> Option<&str> {
        self.run.current()
    }

    /// The verdict so far with its reasons. A run that goes on is not blamed for
    /// having no end; [`crate::report::Report`] holds the final one.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        verdict::judge(self, None)
    }

    /// What is counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (processes, network, files) = (&self.processes, &self.network, &self.files);
        let seen = processes.len() as u64;
        Counts {
            processes: seen,
            running: seen.saturating_sub(processes.ended),
            killed: processes.killed,
            execs: processes.execs,
            files: files.len() as u64,
            reads: files.reads,
            writes: files.writes,
            decoys_read: files.decoys_read,
            flows: network.opened,
            refused: network.refused,
            sent: network.sent,
            received: network.received,
            names: network.asked_names,
            findings: self.findings.list.len() as u64,
        }
    }

    /// The phases so far, in order.
    #[must_use]
    pub fn phases(&self) -> Vec<PhaseRow> {
        let row = |phase: &super::PhaseState| PhaseRow {
            name: phase.name.clone(),
            began: phase.began,
            process: phase.process,
        };
        self.run.phases.iter().map(row).collect()
    }

    /// The process tree: each parent right above its children, in order of birth.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessRow> {
        let total = self.processes.len();
        let mut first_child: Vec<Option<u64>> = vec![None; total];
        let mut next_sibling: Vec<Option<u64>> = vec![None; total];
        let mut roots = Vec::new();
        // Backwards, so that each chain of siblings comes out oldest first.
        let all: Vec<(u64, &Process)> = self.processes.iter().collect();
        for (key, process) in all.iter().rev() {
            let slot = process
                .parent
                .and_then(|parent| first_child.get_mut(usize::try_from(parent).ok()?));
            match slot {
                Some(first) => {
                    if let Some(next) = usize::try_from(*key)
                        .ok()
                        .and_then(|at| next_sibling.get_mut(at))
                    {
                        *next = first.replace(*key);
                    }
                }
                None => roots.push(*key),
            }
        }
        let at = |list: &[Option<u64>], key: u64| {
            usize::try_from(key).ok().and_then(|at| *list.get(at)?)
        };
        let mut rows = Vec::with_capacity(total);
        let mut stack: Vec<(u64, u16)> = roots.into_iter().map(|key| (key, 0)).collect();
        // Each process is pushed once, as a root or as one parent's child.
        while let Some((key, depth)) = stack.pop() {
            if let Some(process) = self.processes.get(key) {
                rows.push(row(key, process, depth));
            }
            // A root's siblings are roots, which are on the stack already.
            if depth > 0
                && let Some(next) = at(&next_sibling, key)
            {
                stack.push((next, depth));
            }
            if let Some(child) = at(&first_child, key) {
                stack.push((child, depth.saturating_add(1)));
            }
        }
        rows
    }

    /// One process; its depth is counted from its root.
    #[must_use]
    pub fn process(&self, key: u64) -> Option<ProcessRow> {
        let depth = self.processes.line(key).skip(1).count();
        Some(row(
            key,
            self.processes.get(key)?,
            u16::try_from(depth).unwrap_or(u16::MAX),
        ))
    }

    /// Threads of a process seen besides its first (at most 64 are told apart).
    #[must_use]
    pub fn threads(&self, key: u64) -> usize {
        self.processes.get(key).map_or(0, Process::threads)
    }

    /// The process, its parent and so on up to the payload's first, in escaped words.
    #[must_use]
    pub fn lineage(&self, key: u64) -> Vec<String> {
        self.processes.lineage(key).to_vec()
    }

    /// True if the process is `root` or comes from it; both by their pids now.
    #[must_use]
    pub fn is_from(&self, pid: u32, root: u32) -> bool {
        let line = self
            .processes
            .key_of(pid)
            .map(|key| self.processes.line(key));
        line.is_some_and(|mut line| line.any(|(_, process)| process.pid == root))
    }

    /// The key of the process that has this pid now.
    #[must_use]
    pub fn key_of(&self, pid: u32) -> Option<u64> {
        self.processes.key_of(pid)
    }

    /// The processes among `roots` and below them that have not ended. What comes of a
    /// root goes in there, so that its children are found when it is asked again.
    #[must_use]
    pub fn living_below(&self, roots: &mut BTreeSet<u64>) -> Vec<Living> {
        let mut living = Vec::new();
        for (key, process) in self.processes.iter() {
            if !roots.contains(&key) && !process.parent.is_some_and(|up| roots.contains(&up)) {
                continue;
            }
            roots.insert(key);
            if process.ended.is_none() {
                let above = process.parent.and_then(|up| self.processes.get(up));
                living.push(Living {
                    key,
                    pid: process.pid,
                    adrift: above.is_some_and(|above| above.ended.is_some()),
                });
            }
        }
        living
    }

    /// The pid of whoever started this process; itself where that is not known.
    #[must_use]
    pub fn starter(&self, pid: u32) -> u32 {
        let key = self.processes.key_of(pid);
        let parent = key.and_then(|key| self.processes.line(key).nth(1));
        parent.map_or(pid, |(_, process)| process.pid)
    }

    /// The canaries of the decoys that were laid out.
    #[must_use]
    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// Every question so far, oldest first.
    pub fn questions(&self) -> impl DoubleEndedIterator<Item = &Arc<QuestionRow>> {
        self.holds.questions()
    }

    /// Whether the person has stopped the machine.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.holds.frozen
    }

    /// The questions that wait for an answer.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<QuestionRow>> {
        self.holds.questions().filter(|row| row.answer.is_none())
    }

    /// Every path, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<FileRow> {
        self.file_rows(0, usize::MAX)
    }

    /// How many paths there are.
    #[must_use]
    pub fn files_len(&self) -> usize {
        self.files.len()
    }

    /// `take` paths from `skip` on, sorted: what a window shows.
    #[must_use]
    pub fn file_rows(&self, skip: usize, take: usize) -> Vec<FileRow> {
        self.files.window(skip, take)
    }

    /// One path.
    #[must_use]
    pub fn file(&self, path: &[u8]) -> Option<FileRow> {
        self.files.get(path).map(FileState::row)
    }

    /// What happened to paths beyond the table's limit, as one row.
    #[must_use]
    pub fn other_files(&self) -> Option<FileRow> {
        self.files.others().map(FileState::row)
    }

    /// Every destination, in the order of its first event.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationRow> {
        self.network
            .destinations()
            .map(super::Destination::row)
            .collect()
    }

    /// Every name asked for, in the order of its first question.
    #[must_use]
    pub fn names(&self) -> Vec<NameRow> {
        self.network.names().cloned().collect()
    }

    /// The findings, oldest first.
    #[must_use]
    pub fn findings(&self) -> &imbl::Vector<Finding> {
        &self.findings.list
    }

    /// Rules that could not be decided, and for how many events.
    pub fn left_open(&self) -> impl Iterator<Item = (&str, u64)> {
        let open = self.findings.open.values();
        open.map(|open| (open.rule.id.as_str(), open.count))
    }

    /// The end of the terminal output, at most 256 KiB, raw.
    #[must_use]
    pub fn output(&self) -> Vec<u8> {
        self.output.tail()
    }

    /// Bytes of terminal output in all.
    #[must_use]
    pub fn output_total(&self) -> u64 {
        self.output.total
    }
}

fn row(key: u64, process: &Process, depth: u16) -> ProcessRow {
    let program = process.program.as_deref();
    let hidden = |program: &Program| {
        let files = [&program.script, &program.exe];
        let mut files = files.into_iter().flatten();
        program.unlinked || files.any(|file| is_hidden(file.bytes()))
    };
    ProcessRow {
        key,
        parent: process.parent,
        depth,
        pid: process.pid,
        name: program.map_or_else(|| Text::new(""), |program| program.name.clone()),
        argv: program.map_or_else(|| Arc::from([]), |program| Arc::clone(&program.argv)),
        exe: program.and_then(|program| program.exe.clone()),
        dropped: program.is_some_and(|program| program.dropped == Some(true)),
        hidden: program.is_some_and(hidden),
        started: process.started,
        ended: process.ended,
        worst: process.worst,
        children: process.children as usize,
    }
}
