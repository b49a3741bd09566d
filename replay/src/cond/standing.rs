//! What can be said of a condition from the process alone.
//!
//! Owns: which fields are the same for every event of a process as long as
//! neither it nor its ancestors execute anything or change places, and what
//! such fields settle of a condition.
//! Must not: be wrong on the narrow side; what is not surely settled is open.

use super::compile::Node;
use super::eval::holds;
use super::fields::Field;
use super::share::Memo;
use super::value::{Subject, Truth};

impl Field {
    /// True for fields that hang on nothing but what the process and its
    /// ancestors execute.
    pub(super) fn is_standing(self) -> bool {
        matches!(
            self,
            Self::ProcName
                | Self::ProcExe
                | Self::ProcExePath
                | Self::ProcScript
                | Self::ProcCmdline
                | Self::ProcArgs
                | Self::ProcExeLine
                | Self::ProcPexeLine
                | Self::ProcPexe
                | Self::ProcAexe
                | Self::ProcComm
                | Self::ProcIsExeFromMemfd
                | Self::ProcCwd
                | Self::ProcPname
                | Self::ProcPcmdline
                | Self::ProcPexePath
                | Self::ProcAname
                | Self::ProcAcmdline
                | Self::ProcAexePath
                | Self::ProcStdinType
                | Self::ProcStdoutType
                | Self::ProcStderrType
                | Self::ProcExeUnlinked
                | Self::ProcExeDropped
                | Self::UserUid
                | Self::UserName
                | Self::ProcAnameAt(_)
                | Self::ProcAcmdlineAt(_)
                | Self::ProcAexePathAt(_)
                | Self::ProcAexeAt(_)
                | Self::ProcArgvAt(_)
        )
    }
}

/// Does the node ask for any such field?
pub(super) fn asks(node: &Node) -> bool {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().any(asks),
        Node::Not(node) => asks(node),
        Node::Shared(shared) => asks(&shared.node),
        Node::Kept { test, .. } => asks(test),
        Node::Test { .. } | Node::Changed(_) | Node::Fields(_) => stands(node),
        Node::Missing(_) => false,
    }
}

/// Is a comparison's answer the same for every event of the process?
fn stands(node: &Node) -> bool {
    match node {
        Node::Test { field, .. } => field.is_standing(),
        Node::Changed(changed) => changed.field.is_standing(),
        Node::Fields(fields) => fields.left.field.is_standing() && fields.right.field.is_standing(),
        Node::Kept { test, .. } => stands(test),
        _ => false,
    }
}

/// What the node is for every event of this process, if that is settled.
pub(super) fn settled(node: &Node, subject: &dyn Subject, memo: &mut Memo<'_>) -> Option<Truth> {
    match node {
        Node::All(nodes) => group(nodes, Truth::Yes, Truth::No, subject, memo),
        Node::Any(nodes) => group(nodes, Truth::No, Truth::Yes, subject, memo),
        Node::Not(node) => settled(node, subject, memo).map(|truth| !truth),
        Node::Shared(shared) => settled(&shared.node, subject, memo),
        Node::Missing(_) => Some(Truth::Maybe),
        Node::Kept { .. } | Node::Test { .. } | Node::Changed(_) | Node::Fields(_) => {
            stands(node).then(|| holds(node, subject, memo))
        }
    }
}

/// One member that is what `decides` settles the group; else all must be settled.
fn group(
    nodes: &[Node],
    empty: Truth,
    decides: Truth,
    subject: &dyn Subject,
    memo: &mut Memo<'_>,
) -> Option<Truth> {
    let (mut truth, mut all) = (empty, true);
    for node in nodes {
        match settled(node, subject, memo) {
            Some(one) if one == decides => return Some(decides),
            Some(one) if decides == Truth::No => truth = truth.and(one),
            Some(one) => truth = truth.or(one),
            None => all = false,
        }
    }
    all.then_some(truth)
}
