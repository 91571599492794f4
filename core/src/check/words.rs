//! Names and numbers in sentences.

/// The largest number of names that a sentence lists one by one.
const NAMED_MAX: usize = 4;

/// Lists names in words: `a`, `a and b`, `a, b, c and 7 others`.
pub(super) fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [name] => (*name).to_owned(),
        names if names.len() <= NAMED_MAX => {
            let (last, rest) = names.split_last().unwrap_or((&"", &[]));
            format!("{} and {last}", rest.join(", "))
        }
        names => {
            let first = names.get(..NAMED_MAX - 1).unwrap_or_default();
            format!("{} and {} others", first.join(", "), names.len() - first.len())
        }
    }
}

/// Returns a number with its noun: `1 node`, `3 nodes`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Returns names with their noun: `node a`, `nodes a and b`.
pub(super) fn named<T: AsRef<str>>(noun: &str, names: &[T]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{noun}{plural} {}", list(names))
}

/// The verb for one, or for several.
pub(super) fn verb<'v, T>(subjects: &[T], one: &'v str, several: &'v str) -> &'v str {
    if subjects.len() == 1 { one } else { several }
}

/// The sentence, with a capital.
pub(super) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = ["a", "b", "c", "d", "e", "f"];
        assert_eq!(list(&names[..0]), "none");
        assert_eq!(list(&names[..1]), "a");
        assert_eq!(list(&names[..4]), "a, b, c and d");
        assert_eq!(list(&names), "a, b, c and 3 others");
        assert_eq!(capital(&named("node", &names[..2])), "Nodes a and b");
    }
}
