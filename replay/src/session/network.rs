//! Who wanted to go where, and what became of it.
//!
//! Owns: destinations, flows, names. Must not: decide anything, nor trust flow
//! numbers: a decision about a flow that nobody asked for is counted, no more.

use std::net::IpAddr;
use std::sync::Arc;

use belljar_event::{
    Action, Addr, Connect, Decision, Dial, Event, Fact, FlowAsked, FlowClosed, FlowOpened, Name,
    NameAnswer, Outcome, Target, Text,
};

use super::Map;
use super::destination::{Destination, Flow, capped, tally};
use super::process::Lineage;
use super::rows::NameRow;

/// More destinations are folded into one of others.
const MAX_DESTINATIONS: usize = 10_000;
/// More flows have no state of their own.
const MAX_FLOWS: usize = 1 << 18;
/// More names are counted, not kept.
const MAX_NAMES: usize = 10_000;
/// No host name is longer; a longer one is hostile and cut.
const MAX_HOST: usize = 255;
/// Longest name of a question that is kept.
const MAX_QUESTION: usize = 1024;
const OTHERS: &str = "(others)";
/// Who refused a call that never left the guest.
pub(crate) const GUEST: &str = "guest";

const DGRAM: u16 = 2;
/// EPERM, EACCES, ENETUNREACH, ECONNREFUSED, EHOSTUNREACH: how a refused connect or send ends.
const REFUSALS: [u16; 5] = [1, 13, 101, 111, 113];

/// True for addresses that stay inside the guest.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

/// True if the guest's kernel or filter said no to a connect or send.
pub(crate) fn is_refusal(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused(_))
        || outcome
            .errno()
            .is_some_and(|errno| REFUSALS.contains(&errno))
}

type Key = (Arc<str>, u16, bool);

/// The tables. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Network {
    destinations: imbl::Vector<Destination>,
    by_key: imbl::OrdMap<Key, usize>,
    flows: Map<u64, Flow>,
    names: imbl::Vector<NameRow>,
    by_name: Map<Text, usize>,
    others: Option<usize>,
    /// Decisions and closings of flows that nobody asked for.
    pub(crate) stray: u64,
    pub(crate) overflow: u64,
    pub(crate) opened: u64,
    pub(crate) refused: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) asked_names: u64,
}

/// What every fold here needs to know of an event.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) seq: u64,
    pub(crate) process: Option<u64>,
    pub(crate) program: Option<&'a Text>,
    /// Asked for only where it is kept.
    pub(crate) lineage: &'a dyn Fn() -> Lineage,
}

impl Network {
    pub(crate) fn flow(&self, flow: u64) -> Option<&Flow> {
        self.flows.get(&flow)
    }

    /// In the order of their first event.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.iter()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &NameRow> {
        self.names.iter()
    }

    fn destination(&mut self, name: Arc<str>, port: u16, direct: bool, seq: u64) -> usize {
        let key = (name, port, direct);
        if let Some(at) = self.by_key.get(&key) {
            return *at;
        }
        let new = self.destinations.len();
        if new >= MAX_DESTINATIONS {
            self.overflow = self.overflow.saturating_add(1);
            return *self.others.get_or_insert_with(|| {
                self.destinations
                    .push_back(Destination::new(OTHERS.into(), 0, false, seq));
                new
            });
        }
        self.destinations
            .push_back(Destination::new(Arc::clone(&key.0), port, direct, seq));
        self.by_key.insert(key, new);
        new
    }

    fn target(&mut self, target: &Target, seq: u64) -> usize {
        match target {
            Target::Name { name, port } => {
                self.destination(capped(name, MAX_HOST), *port, false, seq)
            }
            Target::Direct(addr) => self.destination(
                addr.ip().to_canonical().to_string().into(),
                addr.port(),
                true,
                seq,
            ),
        }
    }

    /// Folds an event of the network's kinds.
    pub(crate) fn touched(&mut self, event: &Event, seen: Seen<'_>, socket: Option<u16>) {
        match &event.fact {
            Fact::Connect(connect) => self.connect(connect, event.outcome, seen, socket),
            Fact::Send(send) if is_refusal(event.outcome) => self.refuse(&send.addr, None, seen),
            Fact::Name(name) => self.name(name, seen),
            Fact::FlowAsked(asked) => self.asked(asked, seen),
            Fact::Decision(decision) => self.decided(decision, seen.seq),
            Fact::FlowOpened(opened) => self.opened(opened, seen.seq),
            Fact::FlowClosed(closed) => self.closed(closed, seen.seq),
            _ => {}
        }
    }

    fn connect(
        &mut self,
        connect: &Connect,
        outcome: Outcome,
        seen: Seen<'_>,
        socket: Option<u16>,
    ) {
        // A datagram connect sends nothing; resolvers make them to sort addresses.
        let probe = connect.name.is_some() && socket == Some(DGRAM);
        if is_refusal(outcome) && !probe {
            self.refuse(&connect.addr, connect.name.as_deref(), seen);
        }
    }

    /// A call that the guest's kernel refused: no flow was asked for.
    fn refuse(&mut self, addr: &Addr, name: Option<&str>, seen: Seen<'_>) {
        let Addr::Inet(addr) = addr else { return };
        if is_local(addr.ip()) {
            return;
        }
        let at = match name {
            Some(name) => self.destination(capped(name, MAX_HOST), addr.port(), false, seen.seq),
            None => self.target(&Target::Direct(*addr), seen.seq),
        };
        self.refused = self.refused.saturating_add(1);
        if let Some(to) = self.destinations.get_mut(at) {
            to.touched(&seen);
            to.refused(&GUEST.into());
        }
    }

    fn asked(&mut self, asked: &FlowAsked, seen: Seen<'_>) {
        let destination = self.target(&asked.target, seen.seq);
        if let Some(to) = self.destinations.get_mut(destination) {
            to.touched(&seen);
            to.asked = to.asked.saturating_add(1);
        }
        if self.flows.len() >= MAX_FLOWS && !self.flows.contains_key(&asked.flow) {
            self.overflow = self.overflow.saturating_add(1);
            return;
        }
        let target = match &asked.target {
            Target::Name { name, port } => Target::Name {
                name: capped(name, MAX_HOST).as_ref().to_owned(),
                port: *port,
            },
            direct => direct.clone(),
        };
        let flow = Flow {
            target: target.into(),
            destination,
            process: seen.process,
            action: None,
            by: "".into(),
            dialled: None,
            range: false,
            open: false,
        };
        // A number used twice is nonsense, but must not leave a flow open for ever.
        let old = self.flows.insert(asked.flow, flow).filter(|old| old.open);
        if let Some(to) = old.and_then(|old| self.destinations.get_mut(old.destination)) {
            to.open = to.open.saturating_sub(1);
        }
    }

    fn decided(&mut self, decision: &Decision, seq: u64) {
        let Some(flow) = self.flows.get_mut(&decision.flow) else {
            self.stray = self.stray.saturating_add(1);
            return;
        };
        flow.action = Some(decision.action);
        flow.by = capped(&decision.by, MAX_HOST);
        let by = Arc::clone(&flow.by);
        let Some(to) = self.destinations.get_mut(flow.destination) else {
            return;
        };
        to.last_seq = seq;
        match decision.action {
            Action::Deny | Action::Kill => {
                self.refused = self.refused.saturating_add(1);
                to.refused(&by);
            }
            Action::Allow => {
                to.by = Arc::clone(&by);
                tally(&mut to.allowed_by, &by);
            }
            Action::Ask => to.by = by,
        }
    }

    fn opened(&mut self, opened: &FlowOpened, seq: u64) {
        let Some(flow) = self.flows.get_mut(&opened.flow) else {
            self.stray = self.stray.saturating_add(1);
            return;
        };
        let Some(to) = self.destinations.get_mut(flow.destination) else {
            return;
        };
        to.last_seq = seq;
        match &opened.how {
            Dial::Connected(addr) => {
                flow.dialled = Some(addr.ip());
                if !flow.open {
                    flow.open = true;
                    to.open = to.open.saturating_add(1);
                }
                to.flows = to.flows.saturating_add(1);
                self.opened = self.opened.saturating_add(1);
            }
            Dial::Refused { addr, range } => {
                flow.dialled = Some(addr.ip());
                flow.range = true;
                // The line that allowed it, and the range that outranks it.
                flow.by = capped(&format!("{}/{range}", flow.by), MAX_HOST);
                to.ranged = to.ranged.saturating_add(1);
                to.refused(&flow.by);
                self.refused = self.refused.saturating_add(1);
            }
            Dial::Failed(_) => to.failed = to.failed.saturating_add(1),
        }
    }

    fn closed(&mut self, closed: &FlowClosed, seq: u64) {
        let Some(flow) = self.flows.get_mut(&closed.flow) else {
            self.stray = self.stray.saturating_add(1);
            return;
        };
        let Some(to) = self.destinations.get_mut(flow.destination) else {
            return;
        };
        to.last_seq = seq;
        if std::mem::take(&mut flow.open) {
            to.open = to.open.saturating_sub(1);
            to.sent = to.sent.saturating_add(closed.sent);
            to.received = to.received.saturating_add(closed.received);
            self.sent = self.sent.saturating_add(closed.sent);
            self.received = self.received.saturating_add(closed.received);
        }
    }

    fn name(&mut self, name: &Name, seen: Seen<'_>) {
        self.asked_names = self.asked_names.saturating_add(1);
        let refused = u64::from(name.answer == NameAnswer::Refused);
        let text = match &name.name {
            Text::Whole(bytes) => Text::capped(bytes, MAX_QUESTION),
            Text::Cut { bytes, .. } => Text::capped(bytes, MAX_QUESTION),
            Text::Unreadable => Text::Unreadable,
        };
        if let Some(row) = self
            .by_name
            .get(&text)
            .and_then(|at| self.names.get_mut(*at))
        {
            row.asked = row.asked.saturating_add(1);
            row.refused = row.refused.saturating_add(refused);
            row.answer = name.answer;
            row.by = capped(&name.by, MAX_HOST);
            return;
        }
        if self.names.len() >= MAX_NAMES {
            self.overflow = self.overflow.saturating_add(1);
            return;
        }
        self.by_name.insert(text.clone(), self.names.len());
        self.names.push_back(NameRow {
            name: text,
            asked: 1,
            refused,
            answer: name.answer,
            by: capped(&name.by, MAX_HOST),
            first_seq: seen.seq,
            process: seen.process,
            lineage: (seen.lineage)(),
        });
    }
}
