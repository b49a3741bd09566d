//! A destination that somebody wants to reach, before it is an event.
//!
//! Owns: [`Question`], the [`Subject`] for flows and lookups.
//! Must not: know sessions; fields of the process come from another subject, if there is one.

use std::net::IpAddr;

use belljar_event::Target;

use crate::cond::{Field, Subject, Value};

/// A lookup or a flow, as policy sees it.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    name: Option<&'a str>,
    address: Option<IpAddr>,
    port: Option<u16>,
    process: Option<&'a dyn Subject>,
    phase: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// May this name be known? Port and address are open.
    #[must_use]
    pub fn lookup(name: &'a str) -> Self {
        Self {
            name: Some(name),
            address: None,
            port: None,
            process: None,
            phase: None,
        }
    }

    /// May this flow go?
    #[must_use]
    pub fn flow(target: &'a Target) -> Self {
        Self {
            name: target.name(),
            address: target.ip(),
            port: Some(target.port()),
            process: None,
            phase: None,
        }
    }

    /// With the fields of the process that asks (`proc.*`, `user.*`, `phase.*`).
    #[must_use]
    pub fn by(self, process: &'a dyn Subject) -> Self {
        Self {
            process: Some(process),
            ..self
        }
    }

    /// While this phase runs.
    #[must_use]
    pub fn during(self, phase: Option<&'a str>) -> Self {
        Self { phase, ..self }
    }

    fn is_lookup(&self) -> bool {
        self.port.is_none()
    }

    fn address(&self) -> Value<'_> {
        // By name, the address is known only once the host has resolved it.
        self.address.map_or(Value::Unknown, Value::Ip)
    }
}

impl Subject for Question<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            // A line about lookups and one about flows both concern a name that is asked for.
            Field::EvtType if self.is_lookup() => Value::Unknown,
            Field::EvtType => Value::str("flow"),
            // A lookup is only ever for a connect.
            Field::EvtOp => Value::str("connect"),
            Field::NetName | Field::NetDomain => self.name.into(),
            Field::DnsName if self.is_lookup() => self.name.into(),
            Field::NetDirect => Value::Bool(self.name.is_none()),
            Field::FdRip | Field::FdSip => self.address(),
            Field::FdSport => self.port.map_or(Value::Unknown, Value::from),
            Field::FdL4proto if self.is_lookup() => Value::Unknown,
            Field::FdL4proto => Value::str("tcp"),
            Field::FdType | Field::FdTypechar => match self.address {
                None => Value::Unknown,
                Some(ip) => Value::str(family(field, ip)),
            },
            Field::FdName => match (self.address, self.port) {
                (Some(ip), Some(port)) => std::net::SocketAddr::new(ip, port).to_string().into(),
                _ => Value::Unknown,
            },
            Field::PhaseName if self.phase.is_some() => self.phase.into(),
            field => self.process.map_or(Value::Absent, |process| {
                if is_of_process(field) {
                    process.value(field)
                } else {
                    Value::Absent
                }
            }),
        }
    }
}

fn family(field: Field, ip: IpAddr) -> &'static str {
    match (field, ip) {
        (Field::FdType, IpAddr::V4(_)) => "ipv4",
        (Field::FdType, IpAddr::V6(_)) => "ipv6",
        (_, IpAddr::V4(_)) => "4",
        (_, IpAddr::V6(_)) => "6",
    }
}

/// Fields that belong to whoever asks, not to what is asked.
fn is_of_process(field: Field) -> bool {
    ["proc.", "user.", "phase.", "thread."]
        .iter()
        .any(|family| field.name().starts_with(family))
}
