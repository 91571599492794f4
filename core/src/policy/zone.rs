//! Zones as places: one zone has several spellings, and which spellings are equal comes from the provider's
//! own numbers and from nodes that carry two of them.
//!
//! | provider | spellings of one zone |
//! |---|---|
//! | AKS | `eastus-2` on nodes, `2` in Azure's API; `0` and no text stand for no zone |
//! | TKE | `100003` on nodes, `ap-guangzhou-3` in Tencent Cloud's API |
//! | OKE | `PHX-AD-1` on nodes, `fSsN:PHX-AD-1` in Oracle's API |
//! | EKS | `us-east-1a`, and `use1-az6`, which differs from account to account: only nodes tell |
//!
//! Two spellings of different kinds that neither the provider nor a node connects may be the same zone. A rule
//! does not judge what may be right.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{placement::Ternary, pool::ZONE_LABEL, snapshot::NodeRecord};
use crate::kubernetes::name::{Glob, any_matches};

/// The spelling of a provider's zones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSpelling {
    /// The relation between the spellings: whether a provider writes something before the name, or instead of it.
    pub form: ZoneForm,
    /// Spellings that stand for no zone.
    pub none: Vec<String>,
}

/// The relation between the spellings of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ZoneForm {
    /// One name for each zone, so nothing has to connect spellings.
    #[default]
    Name,
    /// A zone number, with or without the region before it: `eastus-2` and `2`.
    RegionalNumber,
    /// A name, with or without the tenancy's own prefix and a colon before it: `fSsN:PHX-AD-1`.
    Prefixed,
    /// A number that stands for a name. The map has, by region, the digits before the four digits of the zone:
    /// `ap-guangzhou` has 10, so `ap-guangzhou-3` is 100003.
    Numbered(BTreeMap<String, u32>),
}

/// The kind of a spelling. Two spellings of one kind are the same zone only if they are equal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `100003`
    Number,
    /// `use1-az6`
    Id,
    /// `us-east-1a`
    Name,
}

impl Kind {
    fn of(zone: &str) -> Self {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        if is_number(zone) {
            Self::Number
        } else if zone.rsplit_once("-az").is_some_and(|(_, number)| is_number(number)) {
            Self::Id
        } else {
            Self::Name
        }
    }
}

impl ZoneSpelling {
    /// The spelling that all spellings known to the provider have in common; `None` if it is no zone.
    fn canonical<'z>(&self, zone: &'z str) -> Option<Cow<'z, str>> {
        if self.none.iter().any(|none| none == zone) {
            return None;
        }
        let numbered = || {
            let (region, number) = zone.rsplit_once('-')?;
            (Kind::of(number) == Kind::Number).then_some((region, number))
        };
        Some(match &self.form {
            ZoneForm::Name => Cow::Borrowed(zone),
            ZoneForm::RegionalNumber => {
                Cow::Borrowed(numbered().map_or(zone, |(_, number)| number))
            }
            ZoneForm::Prefixed => {
                let name = zone.rsplit_once(':').map_or(zone, |(_, name)| name);
                Cow::Owned(name.to_ascii_uppercase())
            }
            ZoneForm::Numbered(regions) => {
                let code = numbered().and_then(|(region, number)| {
                    let number: u32 = number.parse().ok().filter(|number| *number < 10_000)?;
                    Some(format!("{}{number:04}", regions.get(region)?))
                });
                code.map_or(Cow::Borrowed(zone), Cow::Owned)
            }
        })
    }

    /// The zones of a cluster whose nodes are not known.
    pub fn without_nodes(&self) -> Zones {
        Zones { spelling: self.clone(), ..Zones::default() }
    }
}

fn compare(one: &str, other: &str) -> Ternary {
    if one == other {
        Ternary::Yes
    } else if Kind::of(one) == Kind::of(other) {
        Ternary::No
    } else {
        Ternary::Maybe
    }
}

/// The zones of a cluster: the provider's spelling, and what its nodes tell beside it.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    spelling: ZoneSpelling,
    /// The zone of each other spelling that nodes have, in canonical spelling; `None` where nodes contradict
    /// each other.
    aliases: HashMap<String, Option<String>>,
    /// The zones of nodes as their zone label spells them, by canonical spelling.
    on_nodes: BTreeMap<String, BTreeSet<Arc<str>>>,
    /// Zone labels of nodes that are in no zone.
    none_on_nodes: BTreeSet<Arc<str>>,
}

impl Zones {
    /// Reads the spellings off the nodes. `labels` are the keys of labels that name a zone.
    pub(in crate::policy) fn of_nodes(
        spelling: &ZoneSpelling,
        labels: &[Glob],
        nodes: &[&NodeRecord],
    ) -> Self {
        let mut zones = spelling.without_nodes();
        let mut is_of_zone: HashMap<&str, bool> = HashMap::new();
        for node in nodes {
            let Some(zone) = node.label(ZONE_LABEL) else { continue };
            let Some(canonical) = spelling.canonical(zone) else {
                zones.none_on_nodes.insert(Arc::clone(zone));
                continue;
            };
            for (key, value) in &node.labels {
                let names_zone = is_of_zone.entry(key).or_insert_with(|| any_matches(labels, key));
                if *names_zone && value != zone {
                    zones.add_alias(value, &canonical);
                }
            }
            match zones.on_nodes.get_mut(&*canonical) {
                Some(spellings) if spellings.contains(zone) => {}
                Some(spellings) => drop(spellings.insert(Arc::clone(zone))),
                None => {
                    let spellings = BTreeSet::from([Arc::clone(zone)]);
                    zones.on_nodes.insert(canonical.into_owned(), spellings);
                }
            }
        }
        zones
    }

    /// Adds a spelling that a node has beside its zone. Two names of one kind are two zones, even if a node
    /// carries both.
    fn add_alias(&mut self, alias: &str, zone: &str) {
        let Some(alias) = self.spelling.canonical(alias) else { return };
        if Kind::of(&alias) == Kind::of(zone) {
            return;
        }
        match self.aliases.get_mut(&*alias) {
            Some(known) if known.as_deref() == Some(zone) => {}
            Some(known) => *known = None,
            None => drop(self.aliases.insert(alias.into_owned(), Some(zone.to_owned()))),
        }
    }

    fn canonical<'z>(&'z self, zone: &'z str) -> Option<Cow<'z, str>> {
        let zone = self.spelling.canonical(zone)?;
        match self.aliases.get(&*zone) {
            Some(Some(known)) => Some(Cow::Borrowed(known)),
            Some(None) | None => Some(zone),
        }
    }

    /// Whether two spellings name one zone.
    pub fn compare(&self, one: &str, other: &str) -> Ternary {
        match (self.canonical(one), self.canonical(other)) {
            (Some(one), Some(other)) => compare(&one, &other),
            (None, _) | (_, None) => Ternary::Maybe,
        }
    }

    /// Whether a spelling may be one of these zones: the best answer of all.
    pub fn find<'z>(&self, zone: &str, zones: impl IntoIterator<Item = &'z str>) -> Ternary {
        zones.into_iter().map(|it| self.compare(zone, it)).max().unwrap_or(Ternary::No)
    }

    /// The zones that a pool declares, as nodes spell them.
    pub(super) fn of_pool(&self, declared: &[String]) -> PoolZones {
        let mut zones = PoolZones::default();
        for zone in declared {
            let canonical = self.canonical(zone);
            match canonical.as_ref().and_then(|it| self.on_nodes.get(&**it)) {
                Some(spellings) => zones.names.extend(spellings.iter().cloned()),
                None => zones.names.push(self.respelled(zone, canonical.as_deref())),
            }
        }
        if declared.is_empty() {
            return zones;
        }
        let unclear =
            self.on_nodes.values().flatten().filter(|zone| {
                self.find(zone, declared.iter().map(String::as_str)) == Ternary::Maybe
            });
        zones.unclear = unclear.chain(&self.none_on_nodes).cloned().collect();
        zones
    }

    /// A zone that no node is in, as a node there would spell it.
    fn respelled(&self, zone: &str, canonical: Option<&str>) -> Arc<str> {
        let own = || -> Arc<str> { zone.into() };
        let Some(canonical) = canonical else { return own() };
        let mut spelled = self.on_nodes.values().flatten();
        match &self.spelling.form {
            ZoneForm::Prefixed => canonical.into(),
            ZoneForm::Numbered(_) if spelled.any(|it| Kind::of(it) == Kind::Number) => {
                canonical.into()
            }
            ZoneForm::Name | ZoneForm::Numbered(_) => own(),
            ZoneForm::RegionalNumber => match spelled.find_map(|it| it.rsplit_once('-')) {
                Some((region, _)) if Kind::of(canonical) == Kind::Number => {
                    format!("{region}-{canonical}").into()
                }
                Some(_) | None => own(),
            },
        }
    }
}

/// The declared zones of a pool, as nodes spell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolZones {
    /// The names of the zones. If there are none, zones are not judged.
    pub names: Vec<Arc<str>>,
    /// Zones of nodes that may be one of them in another spelling.
    pub unclear: Vec<Arc<str>>,
}

impl PoolZones {
    /// The zones of a pool that declares none.
    pub const NONE: Self = Self { names: Vec::new(), unclear: Vec::new() };

    /// Whether nodes of this zone may be the pool's: it is declared, may be declared in another spelling, or no
    /// zone is declared.
    pub fn may_have(&self, zone: &str) -> bool {
        let mut known = self.names.iter().chain(&self.unclear);
        self.names.is_empty() || known.any(|it| **it == *zone)
    }

    /// Whether the zones tell where pods of the pool belong: some are declared, and it is known which they are.
    pub fn are_clear(&self) -> bool {
        !self.names.is_empty() && self.unclear.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn azure() -> ZoneSpelling {
        ZoneSpelling { form: ZoneForm::RegionalNumber, none: vec!["0".to_owned(), String::new()] }
    }

    fn tencent() -> ZoneSpelling {
        let regions =
            BTreeMap::from([("ap-guangzhou".to_owned(), 10), ("ap-beijing".to_owned(), 80)]);
        ZoneSpelling { form: ZoneForm::Numbered(regions), none: Vec::new() }
    }

    fn oracle() -> ZoneSpelling {
        ZoneSpelling { form: ZoneForm::Prefixed, none: Vec::new() }
    }

    fn node(name: &str, labels: &[(&str, &str)]) -> NodeRecord {
        let mut labels: Vec<(Arc<str>, Arc<str>)> =
            labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        labels.sort();
        NodeRecord { name: name.into(), labels, ..NodeRecord::default() }
    }

    fn zones_of(spelling: &ZoneSpelling, nodes: &[NodeRecord]) -> Zones {
        let globs: Vec<Glob> = ["topology.kubernetes.io/zone", "topology.*/zone", "*/zone-id"]
            .iter()
            .map(|text| Glob::parse(text).expect("is a glob"))
            .collect();
        Zones::of_nodes(spelling, &globs, &nodes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn spellings_are_compared_by_the_provider_s_own_numbers() {
        use Ternary::{Maybe, No, Yes};
        let name = ZoneSpelling::default();
        for (spelling, one, other, expected) in [
            (&azure(), "2", "eastus-2", Yes),
            (&azure(), "1", "eastus-2", No),
            (&azure(), "eastus-2", "eastus-3", No),
            (&azure(), "0", "eastus-2", Maybe),
            (&azure(), "", "eastus-2", Maybe),
            (&azure(), "eastus", "2", Maybe),
            (&tencent(), "100003", "ap-guangzhou-3", Yes),
            (&tencent(), "100004", "ap-guangzhou-3", No),
            (&tencent(), "800003", "ap-beijing-3", Yes),
            (&tencent(), "990001", "ap-nowhere-1", Maybe),
            (&tencent(), "ap-nowhere-2", "ap-nowhere-1", No),
            (&tencent(), "ap-guangzhou-99999999999", "100003", Maybe),
            (&oracle(), "fSsN:PHX-AD-1", "PHX-AD-1", Yes),
            (&oracle(), "fSsN:PHX-AD-1", "phx-ad-1", Yes),
            (&oracle(), "fSsN:PHX-AD-1", "PHX-AD-2", No),
            (&name, "us-east-1a", "us-east-1b", No),
            (&name, "use1-az6", "us-east-1b", Maybe),
            (&name, "use1-az6", "use1-az1", No),
            (&name, "1", "eastus-1", Maybe),
        ] {
            let zones = spelling.without_nodes();
            assert_eq!(zones.compare(one, other), expected, "{one} and {other}");
            assert_eq!(zones.compare(other, one), expected, "{other} and {one}");
        }
    }

    #[test]
    fn nodes_connect_the_spellings_that_they_carry() {
        let nodes = [
            node("a", &[(ZONE_LABEL, "us-east-1a"), ("topology.k8s.aws/zone-id", "use1-az6")]),
            node("b", &[(ZONE_LABEL, "us-east-1b"), ("topology.k8s.aws/zone-id", "use1-az1")]),
        ];
        let zones = zones_of(&ZoneSpelling::default(), &nodes);
        assert_eq!(zones.compare("use1-az6", "us-east-1a"), Ternary::Yes);
        assert_eq!(zones.compare("use1-az6", "us-east-1b"), Ternary::No);
        assert_eq!(zones.compare("use1-az4", "us-east-1a"), Ternary::Maybe);
        let pool = zones.of_pool(&["use1-az6".to_owned()]);
        assert_eq!(pool.names, ["us-east-1a".into()]);
        assert!(pool.are_clear() && !pool.may_have("us-east-1b"));
    }

    #[test]
    fn a_node_merges_no_two_zones() {
        let csi = "topology.example.com/zone";
        let same_kind = [node("a", &[(ZONE_LABEL, "us-east-1a"), (csi, "us-east-1b")])];
        let zones = zones_of(&ZoneSpelling::default(), &same_kind);
        assert_eq!(zones.compare("us-east-1a", "us-east-1b"), Ternary::No);
        let contradiction = [
            node("a", &[(ZONE_LABEL, "us-east-1a"), (csi, "use1-az6")]),
            node("b", &[(ZONE_LABEL, "us-east-1b"), (csi, "use1-az6")]),
        ];
        let zones = zones_of(&ZoneSpelling::default(), &contradiction);
        assert_eq!(zones.compare("use1-az6", "us-east-1a"), Ternary::Maybe);
        assert_eq!(zones.compare("us-east-1a", "us-east-1b"), Ternary::No);
    }

    #[test]
    fn the_zones_of_a_pool_are_spelled_as_on_nodes() {
        let in_zones = |zones: &[&str]| {
            zones.iter().map(|zone| node(zone, &[(ZONE_LABEL, zone)])).collect::<Vec<_>>()
        };
        for (spelling, nodes, declared, names, unclear) in [
            (
                azure(),
                vec!["eastus-1", "eastus-2"],
                vec!["1", "3"],
                vec!["eastus-1", "eastus-3"],
                vec![],
            ),
            (azure(), vec![], vec!["1"], vec!["1"], vec![]),
            (azure(), vec!["0"], vec!["1"], vec!["1"], vec!["0"]),
            (azure(), vec!["0"], vec![], vec![], vec![]),
            (
                tencent(),
                vec!["100003"],
                vec!["ap-guangzhou-3", "ap-guangzhou-4"],
                vec!["100003", "100004"],
                vec![],
            ),
            (tencent(), vec![], vec!["ap-guangzhou-3"], vec!["ap-guangzhou-3"], vec![]),
            (
                oracle(),
                vec!["PHX-AD-1"],
                vec!["fSsN:PHX-AD-1", "fSsN:PHX-AD-2"],
                vec!["PHX-AD-1", "PHX-AD-2"],
                vec![],
            ),
            (
                ZoneSpelling::default(),
                vec!["us-east-1a"],
                vec!["use1-az6"],
                vec!["use1-az6"],
                vec!["us-east-1a"],
            ),
        ] {
            let zones = zones_of(&spelling, &in_zones(&nodes));
            let declared: Vec<String> = declared.into_iter().map(str::to_owned).collect();
            let expected = |texts: Vec<&str>| texts.into_iter().map(Arc::from).collect();
            let expected = PoolZones { names: expected(names), unclear: expected(unclear) };
            assert_eq!(zones.of_pool(&declared), expected, "{declared:?} among {nodes:?}");
        }
    }
}
