//! Guarded fields, as far as CEL can follow their pointers.

use jsonptr::PointerBuf;

use crate::{
    admission::webhooks::cel::{Cel, CelPath, list},
    policy::protection::{Field, FieldChange},
};

/// Guarded fields of one object, told apart by their last key.
pub(super) struct Siblings {
    parent: Vec<String>,
    /// The last keys of the fields. If there are none, CEL cannot tell the fields, and whatever the parent holds may be
    /// one of them.
    keys: Vec<String>,
    once_set: bool,
}

/// The fields as far as CEL can follow their pointers. What is inside a list is guarded as the whole
/// list.
pub(super) fn by_parent(fields: &[Field]) -> Vec<Siblings> {
    let mut all: Vec<Siblings> = Vec::new();
    for Field { pointer, change } in fields {
        let once_set = match change {
            FieldChange::OnceSet => true,
            FieldChange::Any | FieldChange::Items(_) => false,
        };
        let mut parent = keys(pointer);
        let key = parent.pop();
        let is_sibling = |it: &&mut Siblings| {
            it.parent == parent && it.once_set == once_set && !it.keys.is_empty()
        };
        match (all.iter_mut().find(is_sibling), key) {
            (Some(siblings), Some(key)) => siblings.keys.push(key),
            (_, key) => all.push(Siblings { parent, keys: Vec::from_iter(key), once_set }),
        }
    }
    all
}

fn keys(pointer: &PointerBuf) -> Vec<String> {
    let is_index = |token: &str| token == "-" || token.bytes().all(|it| it.is_ascii_digit());
    let tokens = pointer.tokens().map(|token| token.decoded().into_owned());
    tokens.take_while(|token| !is_index(token)).collect()
}

impl Siblings {
    /// The object that holds the fields, and whether it is one.
    fn parent(&self, root: &CelPath) -> (CelPath, Cel) {
        let (mut path, mut is_there) = (root.clone(), Vec::new());
        for (depth, key) in self.parent.iter().enumerate() {
            let of_metadata = self.parent.first().is_some_and(|first| first == "metadata");
            match depth {
                // Every object has it, and what it has is known.
                0 if of_metadata => {}
                1 if of_metadata => is_there.push(path.holds(key)),
                _ => is_there.extend([path.has(key), path.key(key).is_object()]),
            }
            path = path.key(key);
        }
        (path, Cel::all(is_there))
    }

    /// Whether one of the fields is there.
    pub(super) fn is_held(&self, root: &CelPath) -> Cel {
        let (parent, is_there) = self.parent(root);
        let held = match self.keys.as_slice() {
            [] => Cel::Always,
            [key] => parent.holds(key),
            keys => {
                Cel::term(format!("{}.exists(k, k in {parent} && {parent}[k] != null)", list(keys)))
            }
        };
        Cel::all([is_there, held])
    }

    /// Whether one of the fields changes.
    pub(super) fn change(&self) -> Cel {
        let (new, is_there) = self.parent(&CelPath::object());
        let (old, was_there) = self.parent(&CelPath::old_object());
        let keys = match self.keys.as_slice() {
            // A pointer of nothing but indexes.
            [] => return Cel::Always,
            [key] if !self.once_set => {
                let differs = new.differs(&old, key);
                return change_of(differs, new.has(key), old.has(key), is_there, was_there);
            }
            keys => list(keys),
        };
        let is_in = |parent: &CelPath| Cel::term(format!("k in {parent}"));
        let differs = Cel::term(format!("{new}[k] != {old}[k]"));
        let was_set = Cel::all([is_in(&old), Cel::term(format!("{old}[k] != null"))]);
        let differs = if self.once_set {
            let is_gone = Cel::not(Cel::all([is_there, is_in(&new)]));
            let changes = Cel::all([was_set, Cel::any([is_gone, differs])]);
            return Cel::all([was_there, Cel::exists(keys, "k", changes)]);
        } else {
            let one = Cel::term(format!("(k in {new}) != (k in {old})"));
            Cel::any([one, Cel::all([is_in(&new), differs])])
        };
        let exists = |of: Cel| Cel::exists(&keys, "k", of);
        change_of(exists(differs), exists(is_in(&new)), exists(is_in(&old)), is_there, was_there)
    }
}

/// A change of a field whose parent may be absent on either side.
fn change_of(differs: Cel, is_in_new: Cel, was_in_old: Cel, is_there: Cel, was_there: Cel) -> Cel {
    if is_there == Cel::Always && was_there == Cel::Always {
        return differs;
    }
    Cel::any([
        Cel::all([is_there.clone(), was_there.clone(), differs]),
        Cel::all([is_there.clone(), Cel::not(was_there.clone()), is_in_new]),
        Cel::all([was_there, Cel::not(is_there), was_in_old]),
    ])
}
