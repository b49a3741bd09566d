//! Who runs: the process table.
//!
//! Owns: keys (creation order, never reused), pid -> key, fork/exec/exit,
//! lineage. Must not: trust the order or the truth of what it is told. Pids
//! come back, forks get lost, traces are forged: an unknown pid becomes a
//! process of its own, a parent is set only where no cycle can follow.

use std::sync::Arc;

use belljar_event::{Addr, Descriptor, Dup, Exec, Fork, Status, Text};

use super::Map;
use super::path::base_name;
use crate::escape;
use crate::rules::Severity;
use crate::steps::took;

/// More processes are counted, not kept.
const MAX_PROCESSES: usize = 1 << 17;
/// How far up a line of ancestors anybody looks.
const MAX_LINE: usize = 256;
/// Generations told in words.
const MAX_LINEAGE: usize = 16;
/// All command lines together may take so much; later ones are cut short.
const TEXT_BUDGET: usize = 64 << 20;
/// A command line is cut here.
const MAX_CMDLINE: usize = 32 << 10;
/// A command line is cut here once the budget is spent.
const SHORT_CMDLINE: usize = 256;
/// Threads counted per process.
const MAX_THREADS: usize = 64;
/// Open sockets remembered per process.
const MAX_SOCKETS: usize = 64;

/// A process and its ancestors in escaped words, as they were at some moment.
/// An exec may change them afterwards, so what is told of an event keeps its own.
pub(crate) type Lineage = Arc<[String]>;

/// What a process executes.
#[derive(Debug)]
pub(crate) struct Program {
    /// Base name of what really runs.
    pub(crate) name: Text,
    /// Arguments as far as kept.
    pub(crate) argv: Arc<[Text]>,
    /// Base name and arguments, joined by spaces.
    pub(crate) cmdline: Box<[u8]>,
    /// All arguments joined by spaces, the name first.
    pub(crate) exeline: Box<[u8]>,
    /// Base name of the path that was executed, as the kernel calls the thread.
    pub(crate) comm: Text,
    /// Where in `cmdline` the arguments begin.
    pub(crate) args_at: usize,
    /// False where `cmdline` goes on.
    pub(crate) whole: bool,
    /// Kernel-resolved program; for a script, its interpreter.
    pub(crate) exe: Option<Text>,
    /// Kernel-resolved script.
    pub(crate) script: Option<Text>,
    pub(crate) cwd: Option<Text>,
    pub(crate) uid: u32,
    /// Descriptors 0, 1, 2 at exec.
    pub(crate) stdio: [Descriptor; 3],
    pub(crate) unlinked: bool,
    /// The file was made during the run; `None` where that is not known.
    pub(crate) dropped: Option<bool>,
}

impl Program {
    fn of(exec: &Exec, dropped: Option<bool>, max: usize) -> Self {
        let runs = exec.interpreter.as_ref().or(exec.file.as_ref());
        let named = runs
            .filter(|text| !text.bytes().is_empty())
            .unwrap_or(&exec.path);
        let name = match named {
            Text::Unreadable => Text::Unreadable,
            Text::Whole(bytes) => Text::new(base_name(bytes)),
            Text::Cut { bytes, length } => Text::Cut {
                bytes: base_name(bytes).into(),
                length: *length,
            },
        };
        let mut cmdline = name.bytes().to_vec();
        let mut whole = true;
        let mut args_at = cmdline.len();
        for (number, arg) in exec.argv.iter().enumerate().skip(1) {
            cmdline.push(b' ');
            if number == 1 {
                args_at = cmdline.len();
            }
            cmdline.extend_from_slice(arg.bytes());
            if !arg.is_whole() || cmdline.len() > max {
                whole = false;
                break;
            }
        }
        // Each argument ends with a NUL in `argv_bytes`.
        let had: u64 = exec.argv.iter().map(|arg| arg.bytes().len() as u64).sum();
        whole &= exec.argv_bytes <= had.saturating_add(exec.argv.len() as u64);
        cmdline.truncate(max);
        let first = exec.argv.first().map(Text::bytes).unwrap_or_default();
        let mut exeline = first.to_vec();
        exeline.extend_from_slice(cmdline.get(name.bytes().len()..).unwrap_or_default());
        exeline.truncate(max);
        Self {
            name,
            exeline: exeline.into(),
            comm: comm(&exec.path),
            argv: keep(&exec.argv, max),
            args_at: args_at.min(cmdline.len()),
            cmdline: cmdline.into(),
            whole,
            exe: runs.cloned(),
            script: exec.interpreter.as_ref().and(exec.file.clone()),
            cwd: exec.cwd.clone(),
            uid: exec.uid,
            stdio: exec.stdio,
            unlinked: exec.unlinked,
            dropped,
        }
    }

    fn kept(&self) -> usize {
        self.cmdline.len().saturating_mul(3)
    }
}

/// What the kernel calls a thread that has executed this path: 15 bytes at most.
fn comm(path: &Text) -> Text {
    const LONGEST: usize = 15;
    match path {
        Text::Whole(bytes) => {
            let name = base_name(bytes);
            Text::new(name.get(..LONGEST).unwrap_or(name))
        }
        _ => Text::Unreadable,
    }
}

/// The first arguments, as many as fit.
fn keep(argv: &[Text], max: usize) -> Arc<[Text]> {
    let mut left = max;
    let mut kept = Vec::new();
    for arg in argv {
        if left == 0 {
            break;
        }
        kept.push(match arg {
            Text::Whole(bytes) => Text::capped(bytes, left),
            other => other.clone(),
        });
        left = left.saturating_sub(arg.bytes().len().saturating_add(1));
    }
    kept.into()
}

/// One process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) parent: Option<u64>,
    pub(crate) pid: u32,
    pub(crate) started: u64,
    pub(crate) program: Option<Arc<Program>>,
    /// A socket came to descriptor 0, 1 or 2 by dup after the exec.
    pub(crate) dup_net: bool,
    pub(crate) ended: Option<(u64, Option<Status>)>,
    pub(crate) worst: Option<Severity>,
    pub(crate) children: u32,
    /// Nobody reported its birth (yet).
    pub(crate) orphan: bool,
    /// The command of a phase.
    pub(crate) payload: bool,
    threads: Arc<Vec<u32>>,
    /// Its sockets, newest last.
    sockets: Arc<Vec<Sock>>,
}

/// An open socket, as far as it was seen.
#[derive(Clone, Debug)]
struct Sock {
    fd: i32,
    /// SOCK_*.
    kind: u16,
    bound: Option<Addr>,
}

impl Process {
    fn new(pid: u32, at: u64) -> Self {
        Self {
            parent: None,
            pid,
            started: at,
            program: None,
            dup_net: false,
            ended: None,
            worst: None,
            children: 0,
            orphan: true,
            payload: false,
            threads: Arc::default(),
            sockets: Arc::default(),
        }
    }

    /// What it runs, in one escaped line.
    pub(crate) fn line(&self) -> String {
        match &self.program {
            Some(program) if !program.cmdline.is_empty() => {
                let shown = program.cmdline.get(..160).unwrap_or(&program.cmdline);
                escape::clip(&escape::bytes(shown), 80)
            }
            _ => format!("pid {}", self.pid),
        }
    }

    /// The SOCK_* type behind a descriptor, if its making was seen.
    pub(crate) fn socket(&self, fd: i32) -> Option<u16> {
        self.sock(fd).map(|sock| sock.kind)
    }

    /// What the socket behind a descriptor was bound to, if that was seen.
    pub(crate) fn bound(&self, fd: i32) -> Option<&Addr> {
        self.sock(fd)?.bound.as_ref()
    }

    fn sock(&self, fd: i32) -> Option<&Sock> {
        self.sockets.iter().rev().find(|known| known.fd == fd)
    }

    /// Threads seen besides the first.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len()
    }
}

/// The table. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Processes {
    table: imbl::Vector<Process>,
    by_pid: Map<u32, u64>,
    /// The process of the event before: most events come in runs.
    last: Option<(u32, u64)>,
    kept: usize,
    /// How often what some process executes, or who its parent is, has changed.
    turns: u64,
    pub(crate) overflow: u64,
    pub(crate) ended: u64,
    pub(crate) killed: u64,
    pub(crate) execs: u64,
}

impl Processes {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Process> {
        took(1);
        self.table.get(usize::try_from(key).ok()?)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Process> {
        self.table.get_mut(usize::try_from(key).ok()?)
    }

    /// While this stays the same, every process known by then and its ancestors do.
    pub(crate) fn turns(&self) -> u64 {
        self.turns
    }

    /// It is the first process of a phase.
    pub(crate) fn is_payload(&mut self, key: u64) {
        self.turns = self.turns.saturating_add(1);
        if let Some(process) = self.get_mut(key) {
            process.payload = true;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Process)> {
        (0u64..).zip(self.table.iter())
    }

    /// The process that has this pid now.
    pub(crate) fn key_of(&self, pid: u32) -> Option<u64> {
        match self.last {
            Some((last, key)) if last == pid => Some(key),
            _ => self.by_pid.get(&pid).copied(),
        }
    }

    /// The process of an event; a new one where the pid is unknown. `None`: no
    /// process is meant, or the table is full.
    pub(crate) fn seen(&mut self, pid: u32, tid: u32, at: u64) -> Option<u64> {
        let key = self.at_pid(pid, at)?;
        if tid != pid && tid != 0 {
            self.thread(key, tid);
        }
        Some(key)
    }

    /// The process that has this pid now; a new one where it is unknown.
    pub(crate) fn at_pid(&mut self, pid: u32, at: u64) -> Option<u64> {
        if pid == 0 {
            return None;
        }
        let key = match self.key_of(pid) {
            Some(key) => key,
            None => self.add(Process::new(pid, at))?,
        };
        self.last = Some((pid, key));
        Some(key)
    }

    fn thread(&mut self, key: u64, tid: u32) {
        let known = self
            .get(key)
            .is_none_or(|p| p.threads.len() >= MAX_THREADS || p.threads.contains(&tid));
        if !known && let Some(process) = self.get_mut(key) {
            Arc::make_mut(&mut process.threads).push(tid);
        }
    }

    fn add(&mut self, process: Process) -> Option<u64> {
        if self.table.len() >= MAX_PROCESSES {
            self.overflow = self.overflow.saturating_add(1);
            return None;
        }
        let key = self.table.len() as u64;
        self.by_pid.insert(process.pid, key);
        self.last = Some((process.pid, key));
        self.table.push_back(process);
        Some(key)
    }

    pub(crate) fn forked(&mut self, parent: Option<u64>, fork: &Fork, at: u64) {
        if fork.child == 0 {
            return;
        }
        let current = self.key_of(fork.child);
        if let (Some(child), Some(parent)) = (current, parent)
            && self.adopt(child, parent)
        {
            return;
        }
        if let Some(old) = current.and_then(|key| self.get_mut(key)) {
            // Its exit was not seen, but its pid is somebody else's now.
            if old.ended.is_none() {
                old.ended = Some((at, None));
                self.ended = self.ended.saturating_add(1);
            }
        }
        let mut child = Process::new(fork.child, at);
        if let Some(from) = parent.and_then(|key| self.get(key)) {
            child.orphan = false;
            child.parent = parent;
            child.program = from.program.clone();
            child.dup_net = from.dup_net;
            child.sockets = Arc::clone(&from.sockets);
        }
        if self.add(child).is_some() {
            if let Some(from) = parent.and_then(|key| self.get_mut(key)) {
                from.children = from.children.saturating_add(1);
            }
        } else {
            // Not kept: later events of this pid must not be laid to its former owner.
            self.by_pid.remove(&fork.child);
            self.last = None;
        }
    }

    /// Gives a process whose birth was not seen its parent. False if it has one,
    /// has ended, or if the parent descends from it.
    fn adopt(&mut self, child: u64, parent: u64) -> bool {
        let Some(orphan) = self.get(child) else {
            return false;
        };
        if !orphan.orphan || orphan.ended.is_some() {
            return false;
        }
        let mut above = Some(parent);
        for _ in 0..MAX_LINE {
            match above {
                None => break,
                Some(key) if key == child => return false,
                Some(key) => above = self.get(key).and_then(|p| p.parent),
            }
        }
        if above.is_some() {
            return false;
        }
        let Some(from) = self.get_mut(parent) else {
            return false;
        };
        from.children = from.children.saturating_add(1);
        let program = from.program.clone();
        self.turns = self.turns.saturating_add(1);
        if let Some(orphan) = self.get_mut(child) {
            orphan.parent = Some(parent);
            orphan.orphan = false;
            orphan.program = orphan.program.take().or(program);
        }
        true
    }

    pub(crate) fn executed(&mut self, key: u64, exec: &Exec, dropped: Option<bool>) {
        self.execs = self.execs.saturating_add(1);
        self.turns = self.turns.saturating_add(1);
        let max = if self.kept < TEXT_BUDGET {
            MAX_CMDLINE
        } else {
            SHORT_CMDLINE
        };
        let program = Program::of(exec, dropped, max);
        self.kept = self.kept.saturating_add(program.kept());
        if let Some(process) = self.get_mut(key) {
            process.program = Some(Arc::new(program));
            process.dup_net = false;
        }
        if self.get(key).is_some_and(|process| process.orphan)
            && let Some(parent) = self.by_pid.get(&exec.parent).copied()
        {
            self.adopt(key, parent);
        }
    }

    pub(crate) fn exited(&mut self, key: u64, at: u64, status: Status) {
        let Some(process) = self.get_mut(key) else {
            return;
        };
        if process.ended.is_some() {
            return;
        }
        process.ended = Some((at, Some(status)));
        self.ended = self.ended.saturating_add(1);
        if matches!(status, Status::Signal(_)) {
            self.killed = self.killed.saturating_add(1);
        }
    }

    pub(crate) fn duplicated(&mut self, key: u64, dup: &Dup) {
        if dup.what == Descriptor::NetSocket
            && let Some(process) = self.get_mut(key)
        {
            process.dup_net = true;
        }
    }

    pub(crate) fn opened_socket(&mut self, key: u64, fd: i64, kind: u16) {
        let (Ok(fd), Some(process)) = (i32::try_from(fd), self.get_mut(key)) else {
            return;
        };
        let sockets = Arc::make_mut(&mut process.sockets);
        sockets.retain(|known| known.fd != fd);
        if sockets.len() >= MAX_SOCKETS {
            sockets.remove(0);
        }
        sockets.push(Sock {
            fd,
            kind,
            bound: None,
        });
    }

    pub(crate) fn bound(&mut self, key: u64, fd: i32, addr: &Addr) {
        let Some(process) = self.get_mut(key) else {
            return;
        };
        let mut sockets = Arc::make_mut(&mut process.sockets).iter_mut();
        if let Some(sock) = sockets.find(|known| known.fd == fd) {
            sock.bound = Some(addr.clone());
        }
    }

    /// The process, its parent and so on up to the payload's first, in escaped words.
    pub(crate) fn lineage(&self, key: u64) -> Lineage {
        let mut line: Vec<String> = Vec::new();
        for (_, process) in self.line(key) {
            let words = process.line();
            // A fork that executed nothing is its parent once more.
            if line.last() != Some(&words) {
                line.push(words);
            }
            if process.payload || line.len() >= MAX_LINEAGE {
                break;
            }
        }
        line.into()
    }

    /// The branch of the tree that a process belongs to: the child of the payload's
    /// first process that it comes from; that first process is a branch of its own.
    pub(crate) fn branch(&self, key: u64) -> u64 {
        let mut branch = key;
        for (above, process) in self.line(key) {
            if process.payload || process.parent.is_none() {
                break;
            }
            branch = above;
        }
        branch
    }

    /// When the nearest ancestor that did not wait for this process ended.
    pub(crate) fn detached(&self, key: u64) -> Option<u64> {
        let mut line = self.line(key).skip(1);
        line.find_map(|(_, above)| above.ended.map(|(at, _)| at))
    }

    /// The process and its ancestors, at most [`MAX_LINE`] of them.
    pub(crate) fn line(&self, key: u64) -> impl Iterator<Item = (u64, &Process)> {
        let mut next = Some(key);
        std::iter::from_fn(move || {
            let key = next?;
            let process = self.get(key)?;
            next = process.parent;
            Some((key, process))
        })
        .take(MAX_LINE)
    }
}
