//! Fields of what few rules ask about: attempts to start programs, ends,
//! signals, bytes of flows, requests, baselines.
//!
//! Owns: their values. Must not: judge what they mean.

use belljar_event::{End, Exec, Fact, Status, Step, Text};

use super::{Moment, label};
use crate::cond::{Field, Value};
use crate::session::path::base_name;

const NANOS_PER_MILLI: u64 = 1_000_000;
const MICROS_PER_MILLI: u64 = 1000;
/// Longest command line that is put together for an event.
const MAX_LINE: usize = 8192;

impl Moment<'_> {
    pub(super) fn more(&self, field: Field) -> Value<'_> {
        match (&self.event.fact, field) {
            (Fact::Exec(exec), Field::ExecName) => name_of(&exec.path),
            (Fact::Exec(exec), Field::ExecCmdline) => self.line_of(exec),
            (Fact::Exit(exit), _) => ended(exit.status, field),
            (Fact::Signal(sent), Field::SignalNumber) => i64::from(sent.signal).into(),
            (Fact::Signal(sent), Field::SignalTarget) => i64::from(sent.target).into(),
            (Fact::Ended(ended), Field::RunEnd) => Value::str(end(&ended.how)),
            (Fact::Armed(armed), Field::RunFailedCheck) => {
                let failed = armed.checks.iter().find(|check| !check.held);
                failed.map(|check| check.name.as_str()).into()
            }
            (Fact::LimitReached(reached), Field::LimitWhat) => reached.what.as_str().into(),
            (Fact::Sample(sample), Field::SampleCpuMs) => (sample.cpu_us / MICROS_PER_MILLI).into(),
            (Fact::FlowClosed(closed), Field::NetSent) => closed.sent.into(),
            (Fact::FlowClosed(closed), Field::NetReceived) => closed.received.into(),
            (Fact::TlsHello(hello), Field::TlsName) => hello.name.as_ref().into(),
            (Fact::HttpRequest(request), Field::HttpMethod) => (&request.method).into(),
            (Fact::HttpRequest(request), Field::HttpTarget) => (&request.target).into(),
            (Fact::HttpRequest(request), Field::HttpHost) => request.host.as_ref().into(),
            (_, Field::BaselineOver) => {
                let left = self.session.drift.left;
                left.map(|of| of.name()).into()
            }
            (
                _,
                Field::BaselineName
                | Field::BaselineLearned
                | Field::BaselineFlows
                | Field::BaselineProcesses
                | Field::BaselineDrift,
            ) => self.held(field),
            (_, Field::PathEntropy) => self.name_entropy(),
            (_, Field::PhaseMs) => self.phase_time(),
            (Fact::Phase(phase), Field::ExitStatus | Field::ExitSignal) => match phase.step {
                Step::End(status) => ended(status, field),
                Step::Begin { .. } => Value::Absent,
            },
            _ => Value::Absent,
        }
    }

    /// Of a failed exec fewer words are read; what they are is what is known of
    /// it, and what did not start needs no more.
    fn line_of(&self, exec: &Exec) -> Value<'_> {
        let mut line = base_name(exec.path.bytes()).to_vec();
        let mut whole = exec.path.is_whole();
        for argument in exec.argv.iter().skip(1) {
            line.push(b' ');
            line.extend_from_slice(argument.bytes());
            whole &= argument.is_whole();
            if line.len() > MAX_LINE {
                whole = false;
                break;
            }
        }
        let had: u64 = exec.argv.iter().map(|arg| arg.bytes().len() as u64).sum();
        whole &= exec.argv_bytes <= had.saturating_add(exec.argv.len() as u64);
        if whole || !self.event.outcome.succeeded() {
            Value::Bytes(line.into())
        } else {
            Value::Cut(line.into())
        }
    }

    fn held(&self, field: Field) -> Value<'_> {
        let Some(held) = self.session.drift.now() else {
            return Value::Absent;
        };
        match field {
            Field::BaselineName => held.baseline.name.as_str().into(),
            Field::BaselineLearned => held.baseline.learned.into(),
            Field::BaselineFlows => held.baseline.expects.flows.into(),
            Field::BaselineProcesses => held.baseline.expects.processes.into(),
            _ => held.drift().into(),
        }
    }

    fn name_entropy(&self) -> Value<'_> {
        match &self.paths.first {
            Some(place) if place.whole => label::entropy(base_name(&place.bytes)).into(),
            Some(_) => Value::Unknown,
            None => Value::Absent,
        }
    }

    fn phase_time(&self) -> Value<'_> {
        let phase = self.session.run.phases.last();
        let since = phase.map(|phase| self.event.at.saturating_sub(phase.began) / NANOS_PER_MILLI);
        since.into()
    }
}

fn name_of(path: &Text) -> Value<'_> {
    match path {
        Text::Whole(bytes) => Value::bytes(base_name(bytes)),
        _ => Value::Unknown,
    }
}

fn ended(status: Status, field: Field) -> Value<'static> {
    match (status, field) {
        (Status::Code(code), Field::ExitStatus) => i64::from(code).into(),
        (Status::Signal(signal), Field::ExitSignal) => i64::from(signal).into(),
        _ => Value::Absent,
    }
}

fn end(how: &End) -> &'static str {
    match how {
        End::Finished(_) => "finished",
        End::Interrupted => "interrupted",
        End::TimedOut => "timed out",
        End::GuestLost(_) => "guest lost",
        End::Failed(_) => "failed",
        End::Stopped(_) => "stopped",
    }
}
