//! Values of the network's fields.
//!
//! Owns: what counts as direct, refused, and by whom. Must not: decide anything.

use belljar_event::{Action, Addr, Dial, Fact, NameAnswer, Target, Text};

use super::{Moment, Peer, label, summary};
use crate::cond::{Field, Value};
use crate::session::{Flow, GUEST, is_local, is_refusal};

const DNS: u16 = 53;

impl Moment<'_> {
    pub(super) fn network(&self, field: Field) -> Value<'_> {
        if let Fact::Name(name) = &self.event.fact {
            return match field {
                Field::NetName | Field::NetDomain | Field::DnsName => (&name.name).into(),
                Field::DnsLabels | Field::DnsLongestLabel | Field::DnsLabelEntropy => {
                    labels(&name.name, field)
                }
                Field::NetSite => site(&name.name),
                Field::DnsRefused => (name.answer == NameAnswer::Refused).into(),
                Field::NetBy => name.by.as_str().into(),
                _ => Value::Absent,
            };
        }
        match (self.peer(), field) {
            (
                Some(Peer::Call {
                    outgoing: false, ..
                }),
                _,
            )
            | (None, _) => Value::Absent,
            (Some(Peer::Call { name, .. }), Field::NetName | Field::NetDomain) => name.into(),
            (Some(Peer::Call { name, .. }), Field::NetSite) => name
                .and_then(|name| label::site(name.as_bytes()))
                .map(owned)
                .into(),
            (Some(Peer::Call { addr, name, fd, .. }), Field::NetDirect) => match addr {
                Addr::Inet(to) => {
                    (name.is_none() && !is_local(to.ip()) && !self.is_lookup(to.port(), fd)).into()
                }
                Addr::Unreadable => Value::Unknown,
                _ => false.into(),
            },
            (Some(Peer::Call { addr, name, fd, .. }), Field::NetRefused) => match addr {
                Addr::Inet(to) if !is_local(to.ip()) && !self.is_probe(name, fd) => {
                    is_refusal(self.event.outcome).into()
                }
                Addr::Unreadable if is_refusal(self.event.outcome) => Value::Unknown,
                _ => false.into(),
            },
            (Some(Peer::Call { .. }), Field::NetBy) => match self.network(Field::NetRefused) {
                Value::Bool(true) => Value::str(GUEST),
                _ => Value::Absent,
            },
            (Some(Peer::Flow(target, flow)), _) => self.flow_network(field, target, flow),
            _ => Value::Absent,
        }
    }

    /// A datagram to port 53 that worked went to the stub: nothing left the guest.
    fn is_lookup(&self, port: u16, fd: i32) -> bool {
        port == DNS && self.socket(fd) == Some(summary::DGRAM) && !is_refusal(self.event.outcome)
    }

    /// A datagram connect to a looked-up name: resolvers sort addresses so, nothing is sent.
    fn is_probe(&self, name: Option<&str>, fd: i32) -> bool {
        name.is_some() && self.socket(fd) == Some(summary::DGRAM)
    }

    fn flow_network<'v>(
        &'v self,
        field: Field,
        target: &'v Target,
        flow: Option<&'v Flow>,
    ) -> Value<'v> {
        let action = match &self.event.fact {
            Fact::Decision(decision) => Some(decision.action),
            Fact::FlowAsked(_) => None,
            _ => flow.and_then(|flow| flow.action),
        };
        match field {
            Field::NetName | Field::NetDomain => target.name().into(),
            Field::NetSite => {
                let name = target.name();
                name.and_then(|name| label::site(name.as_bytes()))
                    .map(owned)
                    .into()
            }
            Field::NetDirect => target.ip().is_some_and(|ip| !is_local(ip)).into(),
            Field::NetRefused => match (&self.event.fact, action) {
                (Fact::FlowOpened(opened), _) => matches!(opened.how, Dial::Refused { .. }).into(),
                (_, Some(Action::Deny | Action::Kill)) => true.into(),
                (_, Some(Action::Allow)) => flow.is_some_and(|flow| flow.range).into(),
                // Not refused yet: the decision is an event of its own.
                (_, Some(Action::Ask) | None) => false.into(),
            },
            Field::NetAction => action.map(summary::action).into(),
            Field::NetBy => match (&self.event.fact, flow) {
                (Fact::Decision(decision), _) => decision.by.as_str().into(),
                (Fact::FlowAsked(_), _) | (_, None) => Value::Absent,
                (_, Some(flow)) => flow.by.as_ref().into(),
            },
            _ => Value::Absent,
        }
    }
}

fn owned(bytes: Vec<u8>) -> Value<'static> {
    Value::Bytes(bytes.into())
}

/// The end of a name that was cut is unknown, and so whose it is.
fn site(name: &Text) -> Value<'static> {
    match name {
        Text::Whole(bytes) => label::site(bytes).map(owned).into(),
        Text::Cut { .. } | Text::Unreadable => Value::Unknown,
    }
}

/// A name that was cut has at least the labels that are there: nothing exact is known.
fn labels(name: &Text, field: Field) -> Value<'static> {
    if !name.is_whole() {
        return Value::Unknown;
    }
    let longest = label::longest(name.bytes());
    match field {
        Field::DnsLabels => label::count(name.bytes()).into(),
        Field::DnsLongestLabel => (longest.len() as u64).into(),
        _ => label::entropy(longest).into(),
    }
}
