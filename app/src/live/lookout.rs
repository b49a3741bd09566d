//! The egress's eyes: canaries of decoys in what flows bring.
//!
//! Owns: which sightings end a flow. Must not: know how a canary is recognised.

use belljar_event::CanarySeen;
use belljar_replay::canary::{Canaries, Watch};
use belljar_vmm::egress::{Eye, Lookout};

/// Looks for the canaries of a run.
#[derive(Debug)]
pub(crate) struct ForCanaries {
    pub(crate) canaries: Canaries,
    /// A flow that brings one ends. False where decoys are meant to be read, to
    /// see what follows.
    pub(crate) cut: bool,
}

struct OneFlow {
    flow: u64,
    canaries: Canaries,
    watch: Watch,
    cut: bool,
}

impl Lookout for ForCanaries {
    fn watch(&self, flow: u64) -> Box<dyn Eye> {
        Box::new(OneFlow {
            flow,
            canaries: self.canaries.clone(),
            watch: self.canaries.watch(),
            cut: self.cut,
        })
    }
}

impl Eye for OneFlow {
    fn look(&mut self, bytes: &[u8]) -> Vec<CanarySeen> {
        let mut all = Vec::new();
        self.watch.look(bytes, &mut |seen| {
            let kind = self.canaries.decoy(seen.decoy);
            all.push(CanarySeen {
                flow: self.flow,
                decoy: seen.decoy,
                kind: kind.map(|decoy| decoy.kind.clone()).unwrap_or_default(),
                encoding: seen.encoding.name().into(),
                at: seen.at,
                cut: self.cut,
            });
        });
        all
    }
}
