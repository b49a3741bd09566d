//! The phases of one run as it goes on: what has run, what comes next.
//!
//! Owns: the queue, stopping at the first failure, the phases that follow from
//! answers. Must not: start anything; the core sends what it is given.

use std::collections::VecDeque;

use belljar_event::Status;
use belljar_event::wire::Launch;

use super::phase::{MARKS, MODULES, Step};
use super::transcript::Transcript;
use super::{answer, ecosystem, phase};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    running: Option<Step>,
    keep_going: bool,
    failed: Option<Status>,
    last: Status,
}

impl Script {
    pub(crate) fn new(steps: Vec<Step>, keep_going: bool) -> Self {
        Self {
            steps: steps.into(),
            running: None,
            keep_going,
            failed: None,
            last: Status::Code(0),
        }
    }

    /// The phase to start now; `None`: the run is over.
    pub(crate) fn next(&mut self) -> Option<Launch> {
        let step = self.steps.pop_front()?;
        let launch = Launch {
            phase: step.name.clone(),
            argv: step
                .argv
                .iter()
                .map(|word| word.as_encoded_bytes().to_vec())
                .collect(),
            env: step.env.clone(),
            rows: 40,
            columns: 120,
        };
        self.running = Some(step);
        Some(launch)
    }

    /// The running phase has ended, and all that it wrote is in `said`.
    pub(crate) fn ended(&mut self, status: Status, said: &Transcript) {
        let Some(step) = self.running.take() else {
            return;
        };
        if step.asks() {
            self.follow(&step, said);
            return;
        }
        self.last = status;
        if status != Status::Code(0) {
            self.failed.get_or_insert(status);
            if !self.keep_going {
                self.steps.clear();
            }
        }
    }

    /// The name of the running phase, if it is one that asks.
    pub(crate) fn asking(&self) -> Option<&str> {
        let step = self.running.as_ref().filter(|step| step.asks())?;
        Some(&step.name)
    }

    /// How the run ended: as the first phase that failed, else as the last.
    pub(crate) fn status(&self) -> Status {
        self.failed.unwrap_or(self.last)
    }

    fn follow(&mut self, step: &Step, said: &Transcript) {
        let output = said.of(&step.name).unwrap_or_default();
        match step.name.as_str() {
            MARKS => self
                .steps
                .extend(ecosystem::default_steps(&answer::marks(output))),
            MODULES => {
                let found = answer::modules(output).unwrap_or_default();
                if !found.imports.is_empty() {
                    self.steps.push_back(phase::import(&found.imports));
                }
                // A package that was asked for by name is not run: only the project is.
                let is_project = step.argv.last().is_some_and(|own| own == ".");
                if let Some(program) = found.run.filter(|_| is_project) {
                    self.steps.push_back(Step::new("run", [program]));
                }
            }
            _ => {}
        }
    }
}
