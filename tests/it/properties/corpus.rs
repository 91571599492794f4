//! The functions of the fuzz targets, over the recorded data: whole, cut and overwritten.

use std::{fs, path::Path, sync::LazyLock};

use proptest::{prelude::*, sample::Index};

use serde_json::Value;

use super::{
    audit_lines::check_audit,
    invariants::WORLDS,
    objects::{CHANGED_TO, check_map_roles, check_object, check_placed},
    texts::{check_config, check_documents, check_dump, check_plan},
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
    let yaml = serde_json::from_str::<Value>(&dump).unwrap()["items"][0].to_string();
    vec![dump, yaml.replace(',', ",\n ")]
});

static PLANS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let cases = fs::read_dir(data("cases")).unwrap().map(|case| case.unwrap().path());
    let plans = cases.map(|case| case.join("plan.json")).filter(|plan| plan.is_file());
    let mut plans: Vec<String> = plans.map(|plan| fs::read_to_string(plan).unwrap()).collect();
    plans.extend(texts(&data("terraform")).into_iter().filter(|text| text.starts_with('{')));
    plans
});

/// What the recorded reviews ask, in the three lines that `check_object` takes.
static OBJECTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let reviews = REVIEWS.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    reviews.map(|review| three_lines(&review["request"])).collect()
});

fn three_lines(request: &Value) -> String {
    let text = |pointer: &str| request.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut resource = text("/resource/resource").to_owned();
    if !text("/resource/group").is_empty() {
        resource = format!("{}/{resource}", text("/resource/group"));
    }
    if !text("/subResource").is_empty() {
        resource = format!("{resource}:{}", text("/subResource"));
    }
    let words = ["/operation", "/namespace", "/userInfo/username", "/name"];
    let words = words.map(|pointer| match text(pointer) {
        "" => "-",
        word => word,
    });
    let object = |key: &str| request.get(key).filter(|object| !object.is_null());
    let line = |key: &str| object(key).map(Value::to_string).unwrap_or_default();
    format!("{resource} {}\n{}\n{}", words.join(" "), line("object"), line("oldObject"))
}

/// What the recorded reviews create, in the two lines that `check_placed` takes.
static PLACED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let objects = OBJECTS.iter().filter_map(|text| {
        let mut lines = text.lines();
        let (head, object) = (lines.next()?, lines.next()?);
        let mut words = head.split(' ');
        match words.next()? {
            "nodes" => Some(format!("nodes\n{object}")),
            "pods" => Some(format!("automq-instance-1\n{object}")),
            _ => None,
        }
    });
    objects.collect()
});

static MAP_ROLES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let item = "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  username: system:node:{{EC2PrivateDNSName}}\n  \
                groups: [system:bootstrappers, system:nodes]\n";
    let other = "- rolearn: &a arn:aws:iam::111122223333:role/other\n  username: |-\n    a b\n  groups:\n  - *a\n";
    let flow = r#"[{"rolearn":"arn:aws:iam::111122223333:role/automq-node","username":"x"}]"#;
    let pairs = [(item, other), (other, flow), (flow, item), (item, "[]"), ("", flow)];
    pairs.map(|(old, new)| format!("{old}{CHANGED_TO}{new}")).to_vec()
});

static AUDITED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let lines = data_text("audit.jsonl");
    REVIEWS.iter().map(String::as_str).chain(lines.lines()).map(str::to_owned).collect()
});

fn check(text: &str) {
    for world in &*WORLDS {
        world.check(text.as_bytes());
    }
    check_documents(text);
    check_config(text);
    check_dump(text);
    check_plan(text);
}

#[test]
fn every_recorded_file_is_an_answer_or_an_error_to_every_reader() {
    let files = REVIEWS.iter().chain(&*CONFIGS).chain(&*DUMPS).chain(&*PLANS);
    for text in files.map(String::as_str).chain(["", "\u{feff}", "---", "null", "[]", "{}", "- {}"])
    {
        check(text);
    }
}

#[test]
fn what_is_made_of_the_recorded_files_holds() {
    OBJECTS.iter().for_each(|text| check_object(text));
    PLACED.iter().for_each(|text| check_placed(text));
    MAP_ROLES.iter().for_each(|text| check_map_roles(text));
    AUDITED.iter().for_each(|text| check_audit(text.as_bytes()));
    for text in ["", "\n\n", "pods CREATE", "nodes\nnull", "[]", "{}", "\u{1b}"] {
        check_object(text);
        check_placed(text);
        check_map_roles(text);
        check_audit(text.as_bytes());
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

    #[test]
    fn no_edit_of_a_plan_breaks_what_holds(text in edited(&PLANS)) {
        check_plan(&text);
    }

    #[test]
    fn no_edit_of_an_object_breaks_what_holds(text in edited(&OBJECTS)) {
        check_object(&text);
    }

    #[test]
    fn no_edit_of_what_is_placed_breaks_what_holds(text in edited(&PLACED)) {
        check_placed(&text);
    }

    #[test]
    fn no_edit_of_the_roles_of_aws_auth_breaks_what_holds(text in edited(&MAP_ROLES)) {
        check_map_roles(&text);
    }

    #[test]
    fn no_edit_of_an_audit_line_breaks_what_holds(text in edited(&AUDITED)) {
        check_audit(text.as_bytes());
    }
}
