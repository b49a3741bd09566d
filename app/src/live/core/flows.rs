//! What would leave the guest: lookups and flows, and what the policy says of them.
//!
//! Owns: from a question of the resolver stub or the egress to its answer, and
//! the order in which both are recorded.
//! Must not: resolve, dial, or answer before the decision is recorded.

use std::io::Write;

use belljar_event::wire::{FlowRequest, ToAgent};
use belljar_event::{Action, Decision, FlowAsked, FlowClosed, FlowOpened, Name, NameAnswer, Text};
use belljar_replay::moment::Moment;
use belljar_replay::policy::Question as Lookup;
use belljar_vmm::egress::{Answer as FlowAnswer, Ask};

use super::{Core, CoreError};

impl<W: Write> Core<W> {
    pub(super) fn name_asked(&mut self, id: u64, asked: Asked) -> Result<(), CoreError> {
        // A line may depend on the phase, whose begin may still wait.
        self.publish()?;
        let decided = {
            let name = asked.name.lossy();
            let phase = self.session.phase();
            self.policy.lookup(&Lookup::lookup(&name).during(phase))
        };
        // Lookups never ask: a name that may be asked about gets a stand-in, and
        // the connect to it asks. Where nobody can be asked, ask is deny.
        let asks = decided.action == Action::Ask && self.asking.person;
        let allowed = asked.name.is_whole() && (decided.action == Action::Allow || asks);
        let answer = if allowed {
            asked.answer
        } else {
            NameAnswer::Refused
        };
        // A name that spells a decoy would be handed on by resolvers: nobody may allow that.
        let spelt = self.session.canaries().find_in_name(asked.name.bytes());
        let allowed = allowed && spelt.is_none();
        let answer = if allowed { answer } else { NameAnswer::Refused };
        let by = spelt.map_or(decided.by.clone(), |_| with_canary(&decided.by));
        let fact = Name {
            name: asked.name,
            kind: asked.kind,
            answer,
            by: by.clone(),
        };
        self.append(asked.at, (asked.pid, asked.pid), fact)?;
        self.publish()?;
        // A full queue means an agent that does not read: it hears nothing, which is no.
        let _ = self.agent.try_send(ToAgent::Name { id, allowed, by });
        Ok(())
    }

    pub(super) fn egress_said(&mut self, ask: Ask) -> Result<(), CoreError> {
        match ask {
            Ask::Flow {
                flow,
                request,
                reply,
            } => {
                let answer = self.flow_asked(flow, request)?;
                let _ = reply.send(answer);
            }
            Ask::Opened { flow, how } => self.state(FlowOpened { flow, how })?,
            Ask::Stated {
                flow,
                fact,
                recorded,
            } => {
                let thread = self.flows.get(&flow).copied().unwrap_or_default();
                self.append(self.clock.now(), thread, fact)?;
                self.publish()?;
                // The flow may have ended meanwhile.
                let _ = recorded.send(());
            }
            Ask::Closed {
                flow,
                sent,
                received,
                why,
            } => {
                self.flows.remove(&flow);
                self.state(FlowClosed {
                    flow,
                    sent,
                    received,
                    why,
                })?;
            }
        }
        Ok(())
    }

    /// A flow waits: recorded, decided, recorded, and only then answered.
    fn flow_asked(&mut self, flow: u64, request: FlowRequest) -> Result<FlowAnswer, CoreError> {
        self.flows.insert(flow, (request.pid, request.tid));
        let passed = self.desk.passed(request.pid, &request.target);
        let name = request.target.name().map(str::to_owned);
        let fact = FlowAsked {
            flow,
            target: request.target,
        };
        self.append(request.at, (request.pid, request.tid), fact)?;
        let entry = self.publish()?;
        let decided = entry.map(|entry| self.policy.decide(&Moment::new(&self.session, &entry)));
        let asked = decided.as_ref().is_some_and(|d| d.action == Action::Ask);
        // The connect was asked about; a flow that comes without one is not believed.
        let passed = passed.filter(|_| asked);
        let allow = passed.is_some() || decided.as_ref().is_some_and(|d| d.action == Action::Allow);
        let literal = decided.as_ref().is_some_and(|d| d.literal);
        let spelt = name.is_some_and(|name| {
            let found = self.session.canaries().find_in_name(name.as_bytes());
            found.is_some()
        });
        let by = match (passed, decided) {
            (Some(hold), _) => format!("answer:{hold}"),
            (None, Some(decided)) => decided.by,
            (None, None) => "not recorded".into(),
        };
        let (allow, by) = match spelt {
            true => (false, with_canary(&by)),
            false => (allow, by),
        };
        let action = if allow { Action::Allow } else { Action::Deny };
        self.state(Decision {
            flow,
            action,
            by: by.clone(),
        })?;
        self.publish()?;
        Ok(FlowAnswer { allow, by, literal })
    }
}

/// A question of the guest's resolver stub.
pub(super) struct Asked {
    pub(super) at: u64,
    pub(super) pid: u32,
    pub(super) name: Text,
    pub(super) kind: u16,
    pub(super) answer: NameAnswer,
}

/// Who refuses a name that spells a decoy's canary: the line, and what outranks it.
fn with_canary(line: &str) -> String {
    format!("{line}/canary")
}
