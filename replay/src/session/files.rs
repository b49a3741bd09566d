//! What happened to which path.
//!
//! Owns: the files table, decoys, and who touched what is sensitive.
//! Must not: judge. A path comes in once it is normalised.

use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use belljar_event::{CALLS, Call, Decoy, Decoys, Event, Fact, Open, Outcome};

use super::Map;
use super::credential;
use super::order::Order;
use super::path::{Paths, Place, folder};
use super::process::Lineage;
use super::rows::FileRow;

/// More paths are folded into one row of others.
const MAX_FILES: usize = 200_000;
/// All paths together may take so many bytes.
const TEXT_BUDGET: usize = 64 << 20;
/// More decoys are not known as such.
const MAX_DECOYS: usize = 4096;
/// Processes named per sensitive path.
const MAX_WHO: usize = 16;
/// Folders above a file that are asked whether they are new.
const MAX_DEPTH: usize = 64;
/// The row that stands for all that do not fit.
const OTHERS: &[u8] = b"(others)";

const O_ACCMODE: u32 = 0o3;
const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_DIRECTORY: u32 = 0o200_000;
const O_PATH: u32 = 0o10_000_000;
const EPERM: u16 = 1;
const EACCES: u16 = 13;

/// What an open asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) directory: bool,
}

impl Wants {
    pub(crate) fn of(open: &Open) -> Self {
        const CREAT: u16 = 85;
        let flags = if open.call.0 == CREAT {
            1 | O_CREAT | O_TRUNC
        } else {
            open.flags
        };
        let data = flags & O_PATH == 0;
        let mode = flags & O_ACCMODE;
        Self {
            read: data && (mode == 0 || mode == 2),
            write: data && (mode == 1 || mode == 2 || flags & O_TRUNC != 0),
            create: data && flags & O_CREAT != 0,
            exclusive: data && flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL,
            directory: flags & O_DIRECTORY != 0,
        }
    }
}

/// How a touch ended, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Read,
    Write,
    Create,
    Delete,
    Denied,
    Failed,
    /// It worked and changed nothing: a look, a folder opened.
    Looked,
}

/// One path.
#[derive(Clone, Debug)]
pub(crate) struct FileState {
    pub(crate) path: Arc<[u8]>,
    /// Successes and failures by [`Touch`].
    pub(crate) counts: [u32; 6],
    pub(crate) decoy: Option<Arc<Decoy>>,
    pub(crate) credential: Option<&'static str>,
    /// Created or filled during the run.
    pub(crate) made: bool,
    /// Known to be a folder.
    pub(crate) folder: bool,
    pub(crate) last_seq: u64,
    pub(crate) last_process: Option<u64>,
    /// Who touched it and how often by [`Touch`]; kept for decoys and credentials only.
    pub(crate) who: Option<Arc<Vec<Who>>>,
}

/// Whose event it is.
pub(crate) struct By<'a> {
    pub(crate) seq: u64,
    pub(crate) process: Option<u64>,
    /// Asked for only where it is kept.
    pub(crate) lineage: &'a dyn Fn() -> Lineage,
}

/// A process's dealings with a sensitive path.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) process: Option<u64>,
    /// As it was then.
    pub(crate) lineage: Lineage,
    pub(crate) first_seq: u64,
    pub(crate) counts: [u32; 6],
}

impl FileState {
    fn new(path: Arc<[u8]>) -> Self {
        Self {
            credential: credential::kind(&path),
            path,
            counts: [0; 6],
            decoy: None,
            made: false,
            folder: false,
            last_seq: 0,
            last_process: None,
            who: None,
        }
    }

    pub(crate) fn count(&self, touch: Touch) -> u64 {
        slot(touch)
            .and_then(|at| self.counts.get(at))
            .copied()
            .unwrap_or(0)
            .into()
    }

    pub(crate) fn is_sensitive(&self) -> bool {
        self.decoy.is_some() || self.credential.is_some()
    }

    fn touched(&mut self, touch: Touch, by: &By<'_>) {
        bump(&mut self.counts, touch);
        let By { seq, process, .. } = *by;
        self.last_seq = seq;
        self.last_process = process;
        if self.is_sensitive() && slot(touch).is_some() {
            let who = Arc::make_mut(self.who.get_or_insert_default());
            if let Some(known) = who.iter_mut().find(|known| known.process == process) {
                bump(&mut known.counts, touch);
            } else if who.len() < MAX_WHO {
                let mut counts = [0; 6];
                bump(&mut counts, touch);
                who.push(Who {
                    process,
                    lineage: (by.lineage)(),
                    first_seq: seq,
                    counts,
                });
            }
        }
    }

    pub(crate) fn row(&self) -> FileRow {
        FileRow {
            path: Arc::clone(&self.path),
            reads: self.count(Touch::Read),
            writes: self.count(Touch::Write),
            creates: self.count(Touch::Create),
            deletes: self.count(Touch::Delete),
            failed: self.count(Touch::Failed),
            denied: self.count(Touch::Denied),
            decoy: self.decoy.as_ref().map(|decoy| decoy.kind.as_str().into()),
            credential: self.credential,
            last_seq: self.last_seq,
            last_process: self.last_process,
        }
    }
}

/// Where a touch is counted.
pub(crate) fn slot(touch: Touch) -> Option<usize> {
    match touch {
        Touch::Read => Some(0),
        Touch::Write => Some(1),
        Touch::Create => Some(2),
        Touch::Delete => Some(3),
        Touch::Denied => Some(4),
        Touch::Failed => Some(5),
        Touch::Looked => None,
    }
}

fn bump(counts: &mut [u32; 6], touch: Touch) {
    if let Some(count) = slot(touch).and_then(|at| counts.get_mut(at)) {
        *count = count.saturating_add(1);
    }
}

/// True for an outcome that says "you may not".
pub(crate) fn is_denied(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused(_)) || matches!(outcome.errno(), Some(EPERM | EACCES))
}

/// The table. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Files {
    rows: imbl::Vector<FileState>,
    ids: Map<Arc<[u8]>, u32>,
    order: Order,
    /// In the order of paths, so that what lies in a folder stands together.
    decoys: imbl::OrdMap<Arc<[u8]>, Arc<Decoy>>,
    others: Option<Arc<FileState>>,
    kept: usize,
    /// Touches of paths that had no row of their own.
    pub(crate) overflow: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) decoys_read: u64,
    /// How many decoys were laid; `decoys` also holds their later names.
    laid: usize,
    /// A later name found no room.
    pub(crate) decoys_lost: bool,
}

impl Files {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn decoys(&self) -> usize {
        self.laid
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<&FileState> {
        self.rows.get(usize::try_from(*self.ids.get(path)?).ok()?)
    }

    pub(crate) fn decoy(&self, path: &[u8]) -> Option<&Decoy> {
        if self.decoys.is_empty() {
            return None;
        }
        self.decoys.get(path).map(AsRef::as_ref)
    }

    /// In the order of paths.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = &FileState> {
        self.window_of(0, usize::MAX)
    }

    /// `take` rows from `skip` on.
    pub(crate) fn window(&self, skip: usize, take: usize) -> Vec<FileRow> {
        let rows = self.window_of(skip, take);
        rows.map(FileState::row).collect()
    }

    fn window_of(&self, skip: usize, take: usize) -> impl Iterator<Item = &FileState> {
        let rows = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let path = |row: u32| self.rows.get(row as usize).map(|row| &row.path);
        let order = self.order.of(rows, path);
        let shown = skip.min(order.len())..skip.saturating_add(take).min(order.len());
        shown.filter_map(move |at| self.rows.get(*order.get(at)? as usize))
    }

    pub(crate) fn others(&self) -> Option<&FileState> {
        self.others.as_deref()
    }

    pub(crate) fn laid(&mut self, decoys: &Decoys) {
        for decoy in decoys.decoys.iter().take(MAX_DECOYS) {
            if self.mark(decoy.path.bytes().into(), Arc::new(decoy.clone())) {
                self.laid += 1;
            }
        }
    }

    /// From now on this path is a decoy's. False where there is no room.
    fn mark(&mut self, path: Arc<[u8]>, decoy: Arc<Decoy>) -> bool {
        if self.decoys.len() >= MAX_DECOYS {
            self.decoys_lost = true;
            return false;
        }
        let row = self
            .ids
            .get(&path)
            .and_then(|id| self.rows.get_mut(*id as usize));
        if let Some(row) = row {
            row.decoy = Some(Arc::clone(&decoy));
        }
        self.decoys.insert(path, decoy);
        true
    }

    /// A folder or file got another name: decoys in it are decoys there too. The
    /// old names stay decoys; whoever asks for one still gives himself away.
    pub(crate) fn moved(&mut self, from: &[u8], to: &[u8]) {
        let inside: Vec<_> = self
            .decoys
            .range::<_, [u8]>((Bound::Included(from), Bound::Unbounded))
            .map_while(|(path, decoy)| Some((path.strip_prefix(from)?, decoy)))
            .filter(|(rest, _)| rest.is_empty() || rest.starts_with(b"/") || from == b"/")
            .map(|(rest, decoy)| ([to, rest].concat(), Arc::clone(decoy)))
            .collect();
        for (path, decoy) in inside {
            if !self.mark(path.into(), decoy) {
                return;
            }
        }
    }

    /// Folds a file event. Gives the rows of its two paths, so that nobody need look them up again.
    pub(crate) fn touched(
        &mut self,
        event: &Event,
        paths: &Paths<'_>,
        by: &By<'_>,
    ) -> [Option<u32>; 2] {
        let (first, second) = touches(event);
        let [first_made, second_made] = made(event);
        [
            (&paths.first, first, first_made),
            (&paths.second, second, second_made),
        ]
        .map(|(place, touch, made)| self.touch(place.as_ref()?, touch?, made, by))
    }

    /// Whether the file came to be during the run, or a folder that it is in.
    /// `None` where the table has left something out.
    pub(crate) fn made(&self, path: &[u8]) -> Option<bool> {
        let mut at = path;
        for _ in 0..MAX_DEPTH {
            if self.get(at).is_some_and(|row| row.made) {
                return Some(true);
            }
            at = folder(at);
            if at.len() <= 1 {
                break;
            }
        }
        (self.overflow == 0).then_some(false)
    }

    pub(crate) fn row(&self, id: u32) -> Option<&FileState> {
        self.rows.get(id as usize)
    }

    fn touch(
        &mut self,
        place: &Place<'_>,
        touch: Touch,
        (made, folder): (bool, bool),
        by: &By<'_>,
    ) -> Option<u32> {
        match touch {
            Touch::Read => self.reads = self.reads.saturating_add(1),
            Touch::Write | Touch::Create | Touch::Delete => {
                self.writes = self.writes.saturating_add(1);
            }
            Touch::Denied | Touch::Failed | Touch::Looked => {}
        }
        let known = self.ids.get(&*place.bytes).copied();
        // A row is changed where it stands, or before it is put there.
        let mut new = known.is_none().then(|| self.new_row(&place.bytes));
        let row = match (&mut new, known) {
            (Some(new), _) => new.as_mut(),
            (None, known) => known.and_then(|id| self.rows.get_mut(id as usize)),
        };
        let Some(row) = row else {
            self.overflow = self.overflow.saturating_add(1);
            let others = self
                .others
                .get_or_insert_with(|| Arc::new(FileState::new(OTHERS.into())));
            Arc::make_mut(others).touched(touch, by);
            return None;
        };
        row.touched(touch, by);
        row.made |= made;
        row.folder |= folder;
        if touch == Touch::Read && row.decoy.is_some() && row.count(Touch::Read) == 1 {
            self.decoys_read = self.decoys_read.saturating_add(1);
        }
        match new.flatten() {
            Some(new) => self.add(new),
            None => known,
        }
    }

    /// A row for a path that has none; `None` where there is no room for it.
    fn new_row(&self, path: &[u8]) -> Option<FileState> {
        let mut row = FileState::new(path.into());
        row.decoy = self.decoys.get(path).cloned();
        // What is sensitive always has a row: a flood of names must not hide it. Both
        // lists of places are finite only in kind, so even they have a last resort.
        let full = self.rows.len() >= MAX_FILES || self.kept > TEXT_BUDGET;
        let full_even_so = self.rows.len() >= 2 * MAX_FILES || self.kept > 2 * TEXT_BUDGET;
        (!full_even_so && (!full || row.is_sensitive())).then_some(row)
    }

    fn add(&mut self, row: FileState) -> Option<u32> {
        let id = u32::try_from(self.rows.len()).ok()?;
        let name = Arc::clone(&row.path);
        self.kept = self.kept.saturating_add(name.len());
        self.ids.insert(name, id);
        self.rows.push_back(row);
        Some(id)
    }
}

/// What an event does to its first and its second path.
fn touches(event: &Event) -> (Option<Touch>, Option<Touch>) {
    let done = event.outcome.succeeded();
    let missed = || {
        Some(if is_denied(event.outcome) {
            Touch::Denied
        } else {
            Touch::Failed
        })
    };
    match &event.fact {
        Fact::Open(open) if done => (Some(opened(Wants::of(open))), None),
        Fact::Open(_) => (missed(), None),
        Fact::Look(_) => (if done { Some(Touch::Looked) } else { missed() }, None),
        Fact::Change(change) => {
            let (first, second) = changed(change.call);
            if done {
                (first, second)
            } else {
                (first.and(missed()), second.and(missed()))
            }
        }
        _ => (None, None),
    }
}

/// Whether an event made its first and second path, and whether each is a folder.
fn made(event: &Event) -> [(bool, bool); 2] {
    let none = (false, false);
    if !event.outcome.succeeded() {
        return [none; 2];
    }
    match &event.fact {
        Fact::Open(open) => {
            let wants = Wants::of(open);
            let truncates = open.flags & O_TRUNC != 0;
            let made = wants.write && (wants.create || truncates);
            [(made, wants.directory), none]
        }
        Fact::Change(change) => {
            match changed(change.call) {
                (Some(Touch::Create), _) => [(true, change.call.name().starts_with("mkdir")), none],
                // Whatever a name is moved or linked to was not there before.
                (_, Some(Touch::Create)) => [none, (true, false)],
                _ => [none; 2],
            }
        }
        _ => [none; 2],
    }
}

fn opened(wants: Wants) -> Touch {
    match wants {
        Wants {
            exclusive: true, ..
        } => Touch::Create,
        Wants { write: true, .. } => Touch::Write,
        Wants {
            read: true,
            directory: false,
            ..
        } => Touch::Read,
        _ => Touch::Looked,
    }
}

/// What a change means for its first and second path, by the call's stem.
const CHANGES: &[(&str, Option<Touch>, Option<Touch>)] = &[
    ("mkdir", Some(Touch::Create), None),
    ("mknod", Some(Touch::Create), None),
    ("unlink", Some(Touch::Delete), None),
    ("rmdir", Some(Touch::Delete), None),
    ("rename", Some(Touch::Delete), Some(Touch::Create)),
    ("link", Some(Touch::Looked), Some(Touch::Create)),
    ("symlink", None, Some(Touch::Create)),
];

/// What a call does to its two paths.
type Deed = (Option<Touch>, Option<Touch>);

/// [`CHANGES`] for every call there is: most changes ask three times.
static DEEDS: LazyLock<Box<[Deed]>> =
    LazyLock::new(|| CALLS.iter().map(|row| deed(row.name)).collect());

fn changed(call: Call) -> Deed {
    let known = call.place().and_then(|at| DEEDS.get(at)).copied();
    known.unwrap_or((Some(Touch::Write), None))
}

fn deed(call: &str) -> Deed {
    // unlink, unlinkat; rename, renameat, renameat2 …
    let stem = call.trim_end_matches('2').trim_end_matches("at");
    let row = CHANGES
        .iter()
        .find(|(name, _, _)| *name == stem || *name == call);
    row.map_or((Some(Touch::Write), None), |(_, first, second)| {
        (*first, *second)
    })
}
