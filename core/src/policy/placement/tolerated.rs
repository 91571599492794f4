//! The taints of a snapshot that a pod tolerates, found once a decision.

use std::collections::{HashMap, HashSet};

use super::budget::{Budget, Exceeded};
use crate::{
    kubernetes::{
        object::PodSpec,
        taint::{ComparisonOperators, Taint, Toleration, tolerating},
    },
    policy::snapshot::TaintId,
};

/// The largest number of comparisons that are made one by one, which is faster than hashing.
const FEW: usize = 512;

/// The taints of a snapshot that a pod tolerates, as one flag for each taint.
#[derive(Clone, Debug)]
pub(super) struct Tolerated(Vec<bool>);

impl Tolerated {
    pub(super) fn of(
        spec: &PodSpec<'_>,
        taints: &[Taint<'static>],
        comparison: ComparisonOperators,
        budget: &mut Budget,
    ) -> Result<Self, Exceeded> {
        let tolerations = spec.tolerations();
        if tolerations.len() * taints.len() <= FEW {
            let is_tolerated = |taint| tolerating(tolerations, taint, comparison).is_some();
            return Ok(Self(taints.iter().map(is_tolerated).collect()));
        }
        let mut by_key: HashMap<&str, Vec<usize>> = HashMap::new();
        for (id, taint) in taints.iter().enumerate() {
            by_key.entry(&taint.key).or_default().push(id);
        }
        let mut tolerated = vec![false; taints.len()];
        let mut seen: HashSet<&Toleration<'_>> = HashSet::new();
        for toleration in tolerations {
            budget.spend(1)?;
            let mut compare = |ids: &mut dyn Iterator<Item = usize>| {
                for id in ids {
                    if let (Some(taint), Some(place)) = (taints.get(id), tolerated.get_mut(id)) {
                        *place = *place || toleration.tolerates(taint, comparison);
                    }
                }
            };
            if !toleration.key.is_empty() {
                let ids = by_key.get(toleration.key.as_str()).map(Vec::as_slice);
                budget.spend(ids.map_or(0, <[usize]>::len))?;
                compare(&mut ids.unwrap_or_default().iter().copied());
            } else if seen.insert(toleration) {
                budget.spend(taints.len())?;
                compare(&mut (0..taints.len()));
            }
        }
        Ok(Self(tolerated))
    }

    /// Takes this taint as tolerated.
    pub(super) fn assume(&mut self, taint: TaintId) {
        if let Some(place) = self.0.get_mut(taint.index()) {
            *place = true;
        }
    }

    pub(super) fn has(&self, taint: TaintId) -> bool {
        self.0.get(taint.index()).copied().unwrap_or_default()
    }

    pub(super) fn has_all(&self, taints: &[TaintId]) -> bool {
        taints.iter().all(|taint| self.has(*taint))
    }
}
