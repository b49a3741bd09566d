//! An event in its session: what conditions are asked about.
//!
//! Owns: the value of every field for an event, its one-line summary, and what
//! a finding about it is filed under. Must not: change anything, or look at
//! entries after its own.

mod canary;
mod errno;
mod fields;
mod foreign;
mod label;
mod more;
mod net;
mod summary;
mod value;

pub(crate) use fields::{descriptor, open_flags};
pub(crate) use summary::{action, command, end, object, scope, status, who};
pub(crate) use value::is_hidden;

use std::cell::OnceCell;

use belljar_event::{Addr, Event, Fact, Outcome, Target};
use belljar_recorder::Entry;

use crate::session::{FileState, Flow, Paths, Place, Process, Program, Session};

/// An entry, seen from the session that has folded it (and nothing after it).
#[derive(Clone)]
pub struct Moment<'a> {
    session: &'a Session,
    seq: u64,
    event: &'a Event,
    process: Option<u64>,
    paths: Paths<'a>,
    /// The file rows of the paths, once somebody has asked.
    rows: OnceCell<[Option<&'a FileState>; 2]>,
    /// What is special about its files, once somebody has asked.
    marks: OnceCell<Marks>,
    /// Its process, once somebody has asked.
    who: OnceCell<Option<&'a Process>>,
    /// The canary in it, once somebody has asked.
    canary: OnceCell<Option<canary::Sighting<'a>>>,
}

/// What is special about the files of an event: rules ask for it of each.
#[derive(Clone, Copy)]
struct Marks {
    decoy: bool,
    credential: bool,
    /// All its paths could be read in full, and it has some.
    known: bool,
}

/// Something on the network that an event is about.
#[derive(Clone, Copy)]
enum Peer<'a> {
    /// A socket call with an address of its own.
    Call {
        addr: &'a Addr,
        name: Option<&'a str>,
        fd: i32,
        outgoing: bool,
    },
    /// A flow out of the guest.
    Flow(&'a Target, Option<&'a Flow>),
}

impl<'a> Moment<'a> {
    /// The entry in this session. Right only as long as the session has not
    /// gone on: tables, not snapshots, answer for process and flow.
    #[must_use]
    pub fn new(session: &'a Session, entry: &'a Entry) -> Self {
        Self::of(
            session,
            entry.seq(),
            entry.event(),
            session.processes.key_of(entry.event().pid),
        )
    }

    pub(crate) fn of(
        session: &'a Session,
        seq: u64,
        event: &'a Event,
        process: Option<u64>,
    ) -> Self {
        Self {
            session,
            seq,
            event,
            process,
            paths: Paths::of(event),
            rows: OnceCell::new(),
            marks: OnceCell::new(),
            who: OnceCell::new(),
            canary: OnceCell::new(),
        }
    }

    /// As [`Moment::of`], with what the fold has worked out already.
    pub(crate) fn with_paths(
        session: &'a Session,
        seq: u64,
        event: &'a Event,
        process: Option<u64>,
        paths: Paths<'a>,
        rows: Option<[Option<u32>; 2]>,
    ) -> Self {
        let row = |id: Option<u32>| session.files.row(id?);
        let rows = rows.map_or_else(OnceCell::new, |rows| OnceCell::from(rows.map(row)));
        Self {
            session,
            seq,
            event,
            process,
            paths,
            rows,
            marks: OnceCell::new(),
            who: OnceCell::new(),
            canary: OnceCell::new(),
        }
    }

    /// The first or second path with its row, if it has one.
    fn files(&self) -> impl Iterator<Item = (&Place<'a>, Option<&'a FileState>)> {
        let look = |place: &Option<Place<'a>>| self.session.files.get(&place.as_ref()?.bytes);
        let [first, second] = *self
            .rows
            .get_or_init(|| [look(&self.paths.first), look(&self.paths.second)]);
        let pairs = [(&self.paths.first, first), (&self.paths.second, second)];
        pairs
            .into_iter()
            .filter_map(|(place, row)| Some((place.as_ref()?, row)))
    }

    /// The entry's number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What happened.
    #[must_use]
    pub fn event(&self) -> &'a Event {
        self.event
    }

    /// What `evt.type` says: the call's name, or the kind's where it is no call.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        crate::rules::event_type(self.event)
    }

    /// The key of the process that it is about: of a decision, the one that wants the flow.
    #[must_use]
    pub fn process_key(&self) -> Option<u64> {
        self.process
            .or_else(|| self.flow().and_then(|flow| flow.process))
    }

    fn process(&self) -> Option<&'a Process> {
        let found = || self.session.processes.get(self.process_key()?);
        *self.who.get_or_init(found)
    }

    fn program(&self) -> Option<&'a Program> {
        self.process()?.program.as_deref()
    }

    /// The ancestor so many generations up; 0 is the process itself.
    fn ancestor(&self, generations: usize) -> Option<&'a Process> {
        let key = self.process_key()?;
        self.session
            .processes
            .line(key)
            .nth(generations)
            .map(|(_, process)| process)
    }

    fn flow(&self) -> Option<&'a Flow> {
        let number = match &self.event.fact {
            Fact::FlowAsked(asked) => asked.flow,
            Fact::Decision(decision) => decision.flow,
            Fact::FlowOpened(opened) => opened.flow,
            Fact::FlowClosed(closed) => closed.flow,
            Fact::TlsHello(hello) => hello.flow,
            Fact::HttpRequest(request) => request.flow,
            Fact::CanarySeen(seen) => seen.flow,
            _ => return None,
        };
        self.session.network.flow(number)
    }

    fn peer(&self) -> Option<Peer<'a>> {
        let call = |addr, name, fd, outgoing| {
            Some(Peer::Call {
                addr,
                name,
                fd,
                outgoing,
            })
        };
        match &self.event.fact {
            Fact::Connect(connect) => {
                call(&connect.addr, connect.name.as_deref(), connect.fd, true)
            }
            Fact::Send(send) => call(&send.addr, None, send.fd, true),
            Fact::Bind(bind) => call(&bind.addr, None, bind.fd, false),
            Fact::Listen(listen) => call(self.bound(listen.fd)?, None, listen.fd, false),
            Fact::Accept(accept) => call(self.bound(accept.fd)?, None, accept.fd, false),
            Fact::FlowAsked(asked) => Some(Peer::Flow(&asked.target, self.flow())),
            Fact::Held(held) => held.target.as_ref().map(|target| Peer::Flow(target, None)),
            _ => self
                .flow()
                .map(|flow| Peer::Flow(flow.target.as_ref(), Some(flow))),
        }
    }

    /// What a socket was bound to, if that was seen.
    fn bound(&self, fd: i32) -> Option<&'a Addr> {
        self.process()?.bound(fd)
    }

    /// The SOCK_* type of the socket that a call works on, if its making was seen.
    fn socket(&self, fd: i32) -> Option<u16> {
        match &self.event.fact {
            Fact::Send(_) => Some(self.process()?.socket(fd).unwrap_or(summary::DGRAM)),
            _ => self.process()?.socket(fd),
        }
    }

    /// The errno's name, `SUCCESS`, or the number of an errno without a name.
    fn result(&self) -> Option<std::borrow::Cow<'static, str>> {
        match self.event.outcome {
            Outcome::None => None,
            Outcome::Died => Some("DIED".into()),
            outcome => Some(match outcome.errno() {
                None => "SUCCESS".into(),
                Some(errno) => {
                    errno::name(errno).map_or_else(|| format!("E{errno}").into(), Into::into)
                }
            }),
        }
    }
}
