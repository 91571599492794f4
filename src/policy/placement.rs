//! Can a pod land on a node? Equal to the Kubernetes scheduler's own functions.
//!
//! - A pod keeps off a node whose `NoSchedule` or `NoExecute` taint it does not tolerate
//!   ([`super::taint`]).
//! - `nodeSelector` and the required node affinity must both match ([`node_affinity`]).
//! - `spec.nodeName` lands there and nowhere else, whatever the taints.
//!
//! [`reach`] asks this of all dedicated nodes of a snapshot at once, by class, so that the cost of
//! an answer does not grow with the number of nodes in a pool.

mod affinity;
mod confined;
mod reach;

pub use affinity::{
    Answer, LabelFact, NameFact, NodeFacts, TermError, check_term, node_affinity, requirement_holds,
};
pub use confined::missing_in_term;
pub use reach::{Landing, Reach, Witness, reach, reach_of_node};
