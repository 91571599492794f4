//! `poolguard render webhooks`.

use std::io::Write;

use serde_json::{Value, json};

use super::{poolguard, run, said};
use crate::scenario::documents_of;

#[test]
fn the_recorded_config_asks_for_these_webhooks() {
    let said = run(&["render", "webhooks", "--config", "config.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    said.assert_plain();
    insta::assert_snapshot!("webhooks", said.out.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = run(&["render", "webhooks", "--config", "config.yaml"]);
    let list = run(&["render", "webhooks", "--config", "config.yaml", "-o", "json"]).json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("List"), &json!("v1")));
    assert_eq!(list["items"], Value::Array(documents_of(&yaml.out)));
}

#[test]
fn flags_and_their_variables_say_where_poolguard_is() {
    let by_flags = run(&[
        "render",
        "webhooks",
        "-o",
        "json",
        "--namespace",
        "ops",
        "--service",
        "guard",
        "--service-port",
        "8443",
        "--name",
        "mine",
    ]);
    let by_environment = said(poolguard(&["render", "webhooks", "-o", "json"]).envs([
        ("POOLGUARD_NAMESPACE", "ops"),
        ("POOLGUARD_SERVICE", "guard"),
        ("POOLGUARD_SERVICE_PORT", "8443"),
        ("POOLGUARD_NAME", "mine"),
    ]));
    assert_eq!(by_flags.out, by_environment.out);
    let list = by_flags.json();
    for object in list["items"].as_array().unwrap() {
        assert_eq!(object["metadata"]["name"], "mine");
        for webhook in object["webhooks"].as_array().unwrap() {
            let service = &webhook["clientConfig"]["service"];
            assert_eq!((&service["name"], &service["namespace"]), (&json!("guard"), &json!("ops")));
            assert_eq!(service["port"], 8443);
        }
    }
}

#[test]
fn a_bundle_without_a_certificate_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "no certificate").unwrap();
    let path = &file.path().to_str().unwrap().to_owned();
    let said = run(&["render", "webhooks", "--ca-bundle", path]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("contains no PEM certificate"), "{}", said.err);
    let key = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    writeln!(file, "{}", key.cert.pem()).unwrap();
    let list = run(&["render", "webhooks", "--ca-bundle", path, "-o", "json"]).json();
    assert!(list["items"][0]["webhooks"][0]["clientConfig"]["caBundle"].is_string());
}

#[test]
fn an_address_is_a_service_or_a_url_in_https() {
    for arguments in [
        &["--webhook-url", "http://a"][..],
        &["--webhook-url", "https://a", "--service", "b"],
        &["--service-port", "0"],
    ] {
        let said = run(&[&["render", "webhooks"], arguments].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {}", said.err);
    }
}
