//! The check whether a pod can run on a node, equal to the Kubernetes scheduler's own functions.
//!
//! - A pod keeps off a node whose `NoSchedule` or `NoExecute` taint it does not tolerate
//!   ([`crate::kubernetes::taint`]).
//! - `nodeSelector` and the required node affinity must both match ([`Constraints`]).
//! - A pod with `spec.nodeName` runs on this node and on no other; taints do not matter.
//!
//! [`reach`] asks this of all dedicated nodes of a snapshot at once, by class, and of the nodes to come,
//! so that the cost of an answer does not grow with the number of nodes in a pool. The work of an answer
//! has a budget: a pod whose constraints exceed it is judged to land.

mod budget;
mod confined;
mod constraints;
mod fit;
mod label_test;
mod reach;
mod term;
mod tolerated;
mod values;

pub use confined::missing_in_term;
pub use constraints::Constraints;
pub(in crate::policy) use fit::{Candidates, Fit, Obstacle, TermFault};
pub use label_test::LabelKnowledge;
pub use reach::{Landing, Reach, UnknownNames, Witness, reach, reach_of_node};
pub use term::{TermError, check_term};

/// Whether something matches, where not every fact is known. The order makes AND a minimum and OR
/// a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ternary {
    /// The facts do not match, for any value of the unknown facts.
    No,
    /// The result depends on a fact that is not known.
    Maybe,
    /// The facts match, for every value of the unknown facts.
    Yes,
}

impl From<bool> for Ternary {
    fn from(matches: bool) -> Self {
        if matches { Self::Yes } else { Self::No }
    }
}
