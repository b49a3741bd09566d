//! Cases written beside a policy, and what they come to.
//!
//! Owns: `[[test]]` entries. Must not: know a run; a case is what it says.

use belljar_event::Action;

use super::file::{Source, WrittenTest};
use super::{Case, Explained, Policy, PolicyError};
use crate::rules::Place;

/// The cases of a file.
#[derive(Clone, Debug)]
pub struct Cases {
    cases: Vec<Expected>,
}

#[derive(Clone, Debug)]
struct Expected {
    line: usize,
    case: Case,
    expect: Action,
    by: Option<String>,
}

/// What a case came to.
#[derive(Clone, Debug)]
pub struct CaseResult<'p> {
    /// Where in the file it stands.
    pub line: usize,
    /// The case.
    pub case: Case,
    /// What it is to come to.
    pub expect: Action,
    /// The line that is to decide, if that was said.
    pub by: Option<String>,
    /// What it came to.
    pub explained: Explained<'p>,
}

impl CaseResult<'_> {
    /// It came to what it is to.
    #[must_use]
    pub fn passed(&self) -> bool {
        let decided = &self.explained.decided;
        let by = |by: &String| *by == decided.by || decided.by.ends_with(&format!(":{by}"));
        decided.action == self.expect && self.by.as_ref().is_none_or(by)
    }
}

impl Cases {
    /// The cases in a file; `home` is what `~/` stands for. `decoy` says what a decoy at
    /// a path pretends to be.
    ///
    /// # Errors
    /// With the place of what is wrong.
    pub fn read(
        source: &Source<'_>,
        home: &str,
        decoy: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PolicyError> {
        let file = source.written()?;
        let read = |test: &WrittenTest| -> Result<Expected, PolicyError> {
            Ok(Expected {
                line: Place::at(source.text, test.op.offset).line,
                case: case(source, test, home, decoy)?,
                expect: test.expect.value,
                by: test.by.clone(),
            })
        };
        let cases = file.tests.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { cases })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// What each comes to under a policy, in the file's order.
    ///
    /// # Errors
    /// If the policy cannot be enforced.
    pub fn run<'p>(
        &self,
        policy: &'p Policy,
        decoys: &[Vec<u8>],
    ) -> Result<Vec<CaseResult<'p>>, PolicyError> {
        let mut results = Vec::new();
        for expected in &self.cases {
            results.push(CaseResult {
                line: expected.line,
                case: expected.case.clone(),
                expect: expected.expect,
                by: expected.by.clone(),
                explained: policy.explain(&expected.case, decoys)?,
            });
        }
        Ok(results)
    }
}

fn case(
    source: &Source<'_>,
    test: &WrittenTest,
    home: &str,
    decoy: &dyn Fn(&str) -> Option<String>,
) -> Result<Case, PolicyError> {
    let parsed = Case::parse(&test.op.value, &test.object.value, home);
    let parsed = parsed.map_err(|error| {
        let at = match error {
            super::CaseError::Op(_) => test.op.offset,
            _ => test.object.offset,
        };
        source.error_at(at, error.to_string())
    })?;
    let facts = test.facts.clone();
    let other = facts
        .other
        .map(|other| super::case::full_path(&other, home))
        .transpose()
        .map_err(|error| source.error_at(test.object.offset, error.to_string()))?;
    let known = parsed.path.as_deref().and_then(decoy);
    Ok(Case {
        other,
        program: facts.program,
        args: facts.args,
        parents: facts.parents,
        phase: facts.phase,
        uid: facts.uid,
        dropped: facts.dropped,
        decoy: facts.decoy.or(known),
        ..parsed
    })
}
