//! The functions of the fuzz targets, over the recorded data: whole, cut and overwritten.

use std::{fs, path::Path, sync::LazyLock};

use proptest::{prelude::*, sample::Index};

use super::{
    invariants::WORLDS,
    texts::{check_config, check_documents, check_dump},
};
use crate::scenario::{data, data_text};

/// The files of a folder.
fn texts(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| fs::read_to_string(path).unwrap()).collect()
}

static REVIEWS: LazyLock<Vec<String>> = LazyLock::new(|| texts(&data("reviews")));

static CONFIGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut configs = texts(&data("../../examples"));
    configs.push(data_text("config.yaml"));
    configs
});

static DUMPS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let dump = data_text("cluster.json");
    let yaml = serde_json::from_str::<serde_json::Value>(&dump).unwrap()["items"][0].to_string();
    vec![dump, yaml.replace(',', ",\n ")]
});

fn check(text: &str) {
    for world in &*WORLDS {
        world.check(text.as_bytes());
    }
    check_documents(text);
    check_config(text);
    check_dump(text);
}

#[test]
fn every_recorded_file_is_an_answer_or_an_error_to_every_reader() {
    let files = REVIEWS.iter().chain(&*CONFIGS).chain(&*DUMPS);
    for text in files.map(String::as_str).chain(["", "\u{feff}", "---", "null", "[]", "{}", "- {}"])
    {
        check(text);
    }
}

/// A file with some of its characters replaced, and its end cut off now and then.
fn edited(files: &'static LazyLock<Vec<String>>) -> impl Strategy<Value = String> {
    let part = "[a-z0-9:,{}\\[\\]\"'&*!|> \n\\\\-]{0,4}";
    let edits = prop::collection::vec((any::<Index>(), 0_usize..8, part), 0..6);
    let cut = prop::option::weighted(0.2, any::<Index>());
    (any::<Index>(), edits, cut).prop_map(|(file, edits, cut)| {
        let mut text = file.get(files).clone();
        for (at, length, with) in edits {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &with);
        }
        if let Some(cut) = cut {
            text.truncate(text.floor_char_boundary(cut.index(text.len() + 1)));
        }
        text
    })
}

proptest! {
    #[test]
    fn no_edit_of_a_recorded_review_breaks_what_holds(text in edited(&REVIEWS)) {
        for world in &*WORLDS {
            world.check(text.as_bytes());
        }
        check_documents(&text);
    }

    #[test]
    fn no_edit_of_a_config_breaks_what_holds(text in edited(&CONFIGS)) {
        check_config(&text);
        check_documents(&text);
    }

    #[test]
    fn no_edit_of_a_dump_breaks_what_holds(text in edited(&DUMPS)) {
        check_dump(&text);
    }
}
