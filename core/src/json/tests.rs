//! What is read, what is skipped, and the bounds of either.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

#[derive(Default)]
struct Skipped;

impl<'a> Read<'a> for Skipped {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.skip()
    }
}

fn skips(text: &str) -> bool {
    from_request::<Skipped>(text).is_ok()
}

#[test]
fn what_is_skipped_is_json_all_the_same() {
    for json in [
        "0",
        "-1.5e+10",
        "true",
        "null",
        "\"\"",
        "\"\\u00e9\\n\"",
        "[]",
        "{}",
        " [ 1 , {\"a\":[]} ] ",
        "\"ünïcode that is longer than one word\"",
    ] {
        assert!(skips(json), "{json}");
    }
    for other in [
        "",
        "nul",
        "[1,]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "[}",
        "\"open",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"line\nbreak\"",
        "01",
        "1.",
        "-",
        "1e",
        "+1",
        "[] []",
        "tru",
        "'a'",
    ] {
        assert!(!skips(other), "{other}");
    }
}

#[test]
fn what_is_skipped_is_as_deep_as_serde_json_reads() {
    for depth in [1, 63, 64, 65, DEPTH_MAX, DEPTH_MAX + 1, 100_000] {
        let arrays = "[".repeat(depth) + "1" + &"]".repeat(depth);
        let objects = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        for text in [&arrays, &objects] {
            assert_eq!(skips(text), depth <= DEPTH_MAX, "{depth}");
            assert_eq!(skips(text), serde_json::from_str::<Value>(text).is_ok(), "{depth}");
            assert!(!skips(&text[..text.len() - 1]), "{depth}");
            assert!(!skips(&format!("{text}]")), "{depth}");
        }
    }
    for depth in [1, 31, 32, 33, 63] {
        let mixed = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth);
        assert!(skips(&mixed), "{depth}");
        let crossed = "[{\"a\":".repeat(depth) + "1" + &"]}".repeat(depth);
        assert!(!skips(&crossed), "{depth}");
    }
}

#[test]
fn json_of_more_values_than_any_object_has_is_not_read() {
    let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    let map = |count: usize| format!("{{{}\"\":[]}}", "\"\":{},".repeat(count - 1));
    for text in [list(VALUES_MAX), map(VALUES_MAX), format!("[{}]", list(VALUES_MAX - 1))] {
        assert!(skips(&text), "{}", &text[..20]);
    }
    for text in [list(VALUES_MAX + 1), map(VALUES_MAX + 1), format!("[{}]", list(VALUES_MAX))] {
        let error = from_request::<Skipped>(&text).err().unwrap();
        assert!(error.is_bound(), "{error}");
        assert!(error.to_string().contains("expected no more than 100000 values"), "{error}");
    }
    // Nor is one that repeats a key.
    let repeated = |count: usize| {
        let text = map(count);
        let read = Cursor::of_request(&text).object(|_, cursor| cursor.skip());
        read.map_err(|error: JsonError| error.is_bound())
    };
    assert_eq!(repeated(VALUES_MAX), Ok(()));
    assert_eq!(repeated(VALUES_MAX + 1), Err(true));
}

#[test]
fn strings_are_borrowed_unless_they_are_escaped() {
    assert_eq!(from_str::<Text<'_>>("\"a\\u0062\"").unwrap(), "ab");
    assert_eq!(from_str::<Text<'_>>("null").unwrap(), "");
    assert_eq!(from_str::<Vec<Text<'_>>>("[\"a\", null]").unwrap(), ["a", ""]);
    assert!(from_str::<Text<'_>>("\"\\ud800\"").is_err());
}

#[test]
fn json_lists_are_read_up_to_a_bound() {
    let list = |count: usize| format!("[{}null]", "null,".repeat(count - 1));
    assert_eq!(from_request::<Vec<bool>>(&list(ITEMS_MAX)).unwrap().len(), ITEMS_MAX);
    let error = from_request::<Vec<bool>>(&list(ITEMS_MAX + 1)).unwrap_err().to_string();
    assert!(error.contains("no more than 65536 items"), "{error}");
    // Skipped values take no memory: more of them may be there.
    assert!(skips(&list(ITEMS_MAX + 1)));
}

#[test]
fn json_of_the_api_server_and_of_dumps_is_read_however_much_it_holds() {
    let list = |count: usize| format!("[{}null]", "null,".repeat(count - 1));
    assert!(from_str::<Vec<bool>>(&list(VALUES_MAX + 1)).is_ok());
    assert!(from_str::<Skipped>(&list(VALUES_MAX + 1)).is_ok());
    let escaped = format!("\"{}\"", "\\n".repeat(ESCAPED_BYTES_MAX));
    assert!(from_str::<Text<'_>>(&escaped).is_ok());
}

#[test]
fn escaped_text_is_read_up_to_a_bound() {
    let text = |count: usize| format!("\"{}\"", "\\n".repeat(count));
    assert_eq!(from_request::<Text<'_>>(&text(1 << 20)).unwrap().len(), 1 << 20);
    let error = from_request::<Text<'_>>(&text((1 << 20) + 1)).unwrap_err();
    assert!(error.is_bound(), "{error}");
    assert!(skips(&text((1 << 20) + 1)));
}

#[test]
fn an_error_says_where() {
    let error = from_str::<Vec<bool>>("[true,\n  7]").unwrap_err();
    assert_eq!(error.to_string(), "[1]: expected true or false at line 2, column 3");
}

proptest! {
    #[test]
    fn skipping_agrees_with_serde_json(text in "[\\[\\]{}:,\"\\\\0-9eE.+tfn a-zäu-]{0,24}") {
        prop_assert_eq!(skips(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn strings_agree_with_serde_json(text in "[a-zü]{0,150}([\"\\\\\n]?[nu\"0-9a-f]{0,9}[a-zü]{0,70}){0,3}") {
        let text = format!("\"{text}\"");
        let read = from_str::<Text<'_>>(&text).ok().map(|text| text.to_string());
        prop_assert_eq!(&read, &serde_json::from_str::<String>(&text).ok(), "{}", text);
        prop_assert_eq!(skips(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
    }
}
