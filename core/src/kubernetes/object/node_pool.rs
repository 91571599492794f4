//! Custom resources that make nodes, such as Karpenter's `NodePool`: where their objects say what the nodes will be.

use jsonptr::PointerBuf;

use super::{RawObject, RawValue};
use crate::{
    json::{Cursor, JsonError, Read, read_object, text::Text},
    kubernetes::{
        labels::{MACHINE_TYPE_LABEL, ZONE_LABEL},
        resource::GroupResource,
        selector::LabelSet,
        taint::Taint,
    },
};

/// The texts that occur in the keys of requirements that leave out machine types by one of their properties.
const OF_MACHINE_TYPES: [&str; 2] = ["/instance-", "/sku-"];

/// The largest number of taints, of labels and of names that is read of an object; no cloud takes so many.
const PARTS_MAX: usize = 1_000;

/// A kind of custom resource whose objects make nodes.
#[derive(Clone, Debug)]
pub struct NodePoolKind {
    /// The resource, in any version.
    pub resource: GroupResource,
    /// The kind, as the API spells it.
    pub kind: String,
    /// Whether its objects are in a namespace.
    pub is_namespaced: bool,
    /// Labels that each node gets, with the text at [`Part::Name`] as their value.
    pub pool_labels: Vec<String>,
    /// The fields in which its objects say something about their nodes.
    pub fields: Vec<NodePoolField>,
    /// Fields that give the nodes their cloud identity.
    pub roles: Vec<PointerBuf>,
    /// The field that names the object which has the role instead.
    pub node_class: Option<PointerBuf>,
}

/// A field that says something of the nodes.
#[derive(Clone, Debug)]
pub struct NodePoolField {
    /// The property of the nodes that the field describes.
    pub part: Part,
    /// The keys that lead to it; `*` stands for every item of a list.
    pub path: Vec<String>,
}

/// The property of the nodes that a field describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The name of the pool; the first such text counts.
    Name,
    /// Labels of the nodes.
    Labels,
    /// Taints of the nodes.
    Taints,
    /// Labels as Karpenter chooses them: `{key, operator, values}`.
    Requirements,
    /// Machine types, one or a list.
    MachineTypes,
    /// Zones, one or a list.
    Zones,
}

impl NodePoolField {
    /// The field as messages name it: `spec.template.spec.taints`.
    pub fn text(&self) -> String {
        self.path.join(".")
    }
}

impl NodePoolKind {
    /// The first of the fields that describe this property, as messages name it.
    pub fn field_text(&self, part: Part) -> Option<String> {
        self.fields_of(part).next().map(NodePoolField::text)
    }

    /// The fields that describe this property.
    pub fn fields_of(&self, part: Part) -> impl Iterator<Item = &NodePoolField> {
        self.fields.iter().filter(move |field| field.part == part)
    }

    /// Reads what an object of this kind says about its nodes. Leaves out everything that cannot be read.
    pub fn read<'a>(&self, object: &RawObject<'a>) -> NodePool<'a> {
        let paths: Vec<&[String]> = self.fields.iter().map(|field| field.path.as_slice()).collect();
        let mut found: Vec<(usize, RawValue<'a>)> = Vec::new();
        object.visit(&paths, &mut |index, value| found.push((index, value)));
        // In the order of the kind's fields.
        found.sort_by_key(|(index, _)| *index);
        let mut pool = NodePool::default();
        let mut name = Text::default();
        for (index, value) in found {
            let Some(field) = self.fields.get(index) else { continue };
            match field.part {
                Part::Name if name.is_empty() => name = value.text().unwrap_or_default(),
                Part::Name => {}
                Part::Labels => pool.add_labels(value),
                Part::Taints => {
                    value.each(|taint: RawValue<'a>| {
                        if pool.taints.len() < PARTS_MAX {
                            pool.taints.extend(read_taint(taint));
                        }
                    });
                }
                Part::Requirements => pool.add_requirements(value, &field.text()),
                Part::MachineTypes => pool.machine_types.add(value, &field.text()),
                Part::Zones => pool.zones.add(value, &field.text()),
            }
        }
        pool.labels.truncate(PARTS_MAX);
        pool.machine_types.names.truncate(PARTS_MAX);
        pool.zones.names.truncate(PARTS_MAX);
        if !name.is_empty() {
            pool.labels
                .extend(self.pool_labels.iter().map(|key| (key.clone().into(), name.clone())));
        }
        pool
    }
}

/// The properties of the nodes that an object makes, as far as the object states them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePool<'a> {
    /// The labels of the nodes, as far as the object has them.
    pub labels: Vec<(Text<'a>, Text<'a>)>,
    /// The taints of the nodes.
    pub taints: Vec<Taint<'a>>,
    /// The machine types of the nodes.
    pub machine_types: Choices<'a>,
    /// The zones of the nodes.
    pub zones: Choices<'a>,
}

/// The values from which a property of the nodes is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices<'a> {
    /// The field that lists them; empty if none does.
    pub field: String,
    /// The listed values.
    pub names: Vec<Text<'a>>,
    /// Whether the field leaves out no value. If it leaves out some and lists none, the choice is not known.
    pub is_open: bool,
}

impl<'a> Choices<'a> {
    fn add(&mut self, value: RawValue<'a>, field: &str) {
        let before = self.names.len();
        match value.text() {
            Some(name) => self.names.push(name),
            None => drop(value.each(|name: Text<'a>| self.names.push(name))),
        }
        if self.names.len() > before && self.field.is_empty() {
            field.clone_into(&mut self.field);
        }
    }
}

impl LabelSet for NodePool<'_> {
    /// Returns the value of a label. The last of equal keys counts.
    fn value(&self, key: &str) -> Option<&str> {
        let found = self.labels.iter().rev().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }
}

impl<'a> NodePool<'a> {
    /// Adds the labels of a map, or of a list of `{key, value}` or `{name, value}`.
    fn add_labels(&mut self, value: RawValue<'a>) {
        match value.read::<LabelMap<'a>>() {
            Some(LabelMap(labels)) => self.labels.extend(labels),
            None => drop(value.each(|LabelItem { key, name, value }: LabelItem<'a>| {
                self.labels.push((if key.is_empty() { name } else { key }, value));
            })),
        }
    }

    /// Adds requirements with the operator `In`. If a requirement has one value only, all nodes have it as a label.
    /// Machine types and zones may have several values.
    fn add_requirements(&mut self, value: RawValue<'a>, field: &str) {
        let (mut index, mut is_open) = (0, true);
        value.each(|Requirement { key, operator, values }: Requirement<'a>| {
            let listed = |names| Choices {
                field: format!("{field}[{index}].values"),
                names,
                is_open: false,
            };
            is_open &= !OF_MACHINE_TYPES.iter().any(|part| key.contains(part));
            match key.as_str() {
                _ if operator != "In" => {}
                MACHINE_TYPE_LABEL => self.machine_types = listed(values),
                ZONE_LABEL => self.zones = listed(values),
                _ => {
                    if let [only] = values.as_slice() {
                        self.labels.push((key, only.clone()));
                    }
                }
            }
            index += 1;
        });
        if is_open {
            self.machine_types = Choices { field: field.to_owned(), names: Vec::new(), is_open };
        }
    }
}

/// A taint as `{key, value, effect}`, with the effect in any of the spellings of clouds, or as
/// `key=value:Effect`.
fn read_taint(value: RawValue<'_>) -> Option<Taint<'static>> {
    match value.text() {
        Some(text) => Taint::parse(&text),
        None => value
            .read::<Taint<'_>>()
            .map(|taint| Taint::of_cloud(&taint.key, &taint.value, &taint.effect)),
    }
}

#[derive(Default)]
struct LabelItem<'a> {
    key: Text<'a>,
    name: Text<'a>,
    value: Text<'a>,
}

read_object!(LabelItem { "key" => key, "name" => name, "value" => value });

#[derive(Default)]
struct LabelMap<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Read<'a> for LabelMap<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.object(|key, cursor| {
            cursor.count_item()?;
            self.0.push((key, cursor.value()?));
            Ok(())
        })
    }
}

#[derive(Default)]
struct Requirement<'a> {
    key: Text<'a>,
    operator: Text<'a>,
    values: Vec<Text<'a>>,
}

read_object!(Requirement { "key" => key, "operator" => operator, "values" => values });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn kind(fields: &[(Part, &str)]) -> NodePoolKind {
        let path = |text: &str| text.split('.').map(str::to_owned).collect();
        NodePoolKind {
            resource: GroupResource::parse("pools.example.com").unwrap(),
            kind: "Pool".to_owned(),
            is_namespaced: false,
            pool_labels: vec!["pool".to_owned()],
            fields: fields
                .iter()
                .map(|(part, text)| NodePoolField { part: *part, path: path(text) })
                .collect(),
            roles: Vec::new(),
            node_class: None,
        }
    }

    fn read<'a>(kind: &NodePoolKind, text: &'a str) -> NodePool<'a> {
        kind.read(&json::from_str(text).unwrap())
    }

    #[test]
    fn labels_are_a_map_or_a_list_and_the_name_is_the_first_that_is_there() {
        let kind = kind(&[
            (Part::Name, "spec.name"),
            (Part::Name, "metadata.name"),
            (Part::Labels, "spec.labels"),
        ]);
        for (text, expected) in [
            (r#"{"metadata": {"name": "a"}, "spec": {"labels": {"x": "1"}}}"#, "x=1 pool=a"),
            (
                r#"{"metadata": {"name": "a"}, "spec": {"name": "b", "labels": [{"name": "x", "value": "1"}]}}"#,
                "x=1 pool=b",
            ),
            (r#"{"metadata": {"name": "a"}, "spec": {"labels": 7}}"#, "pool=a"),
            (r#"{"spec": null}"#, ""),
        ] {
            let labels = read(&kind, text).labels;
            let labels: Vec<_> =
                labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(labels.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn machine_types_are_collected_from_every_place() {
        let kind =
            kind(&[(Part::MachineTypes, "spec.type"), (Part::MachineTypes, "spec.more.*.type")]);
        let read =
            read(&kind, r#"{"spec": {"more": [{"type": "b"}, {}, {"type": "c"}], "type": ["a"]}}"#);
        let Choices { field, names, is_open } = read.machine_types;
        assert_eq!((field.as_str(), is_open), ("spec.type", false));
        assert_eq!(names.iter().map(Text::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn what_is_read_of_an_object_is_bounded() {
        let kind = kind(&[(Part::Taints, "spec.taints"), (Part::Zones, "spec.zones")]);
        let many = |item: &str| vec![item; 2 * PARTS_MAX].join(",");
        let (taints, zones) = (many(r#""a=b:NoSchedule""#), many(r#""z""#));
        let text = format!(r#"{{"spec": {{"taints": [{taints}], "zones": [{zones}]}}}}"#);
        let NodePool { taints, zones, .. } = read(&kind, &text);
        assert_eq!((taints.len(), zones.names.len()), (PARTS_MAX, PARTS_MAX));
    }
}
