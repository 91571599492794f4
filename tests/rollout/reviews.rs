//! The recorded reviews, and what each must be answered.

use serde_json::{Value, json};

use crate::scenario::data_text;

/// All of them, in turn.
pub(crate) struct Reviews(Vec<Review>);

/// A review.
#[derive(Clone)]
pub(crate) struct Review {
    pub(crate) name: String,
    pub(crate) path: &'static str,
    pub(crate) body: String,
    uid: Value,
    is_allowed: bool,
    is_patched: bool,
}

impl Reviews {
    /// With the outcomes of the table beside them.
    pub(crate) fn recorded() -> Self {
        let table = data_text("reviews/README.md");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let reviews = rows.map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            let outcome = rest.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            let body = data_text(&format!("reviews/{name}.json"));
            let review: Value = serde_json::from_str(&body).unwrap();
            Review {
                name: name.to_owned(),
                path: if name.starts_with("mutate-") { "/mutate" } else { "/validate" },
                uid: review["request"]["uid"].clone(),
                // As compact as an API server sends it.
                body: review.to_string(),
                is_allowed: !outcome.starts_with("deny"),
                is_patched: outcome.starts_with("patch"),
            }
        });
        let (mutating, validating): (Vec<_>, Vec<_>) =
            reviews.partition(|review| review.path == "/mutate");
        // As many for either configuration as it is, more or less, when AutoMQ's pods start.
        let mut all = Vec::new();
        for (index, review) in validating.into_iter().enumerate() {
            all.push(review);
            if index % 4 == 0 {
                all.extend(mutating.get(index / 4 % mutating.len()).cloned());
            }
        }
        Self(all)
    }

    /// The recorded update of a node, as a heartbeat: only the times of its conditions change.
    pub(crate) fn with_heartbeats(mut self) -> Self {
        let name = "node-update-ttl-annotation-by-ttl-controller";
        let recorded = self.0.iter().find(|review| review.name == name).unwrap();
        let mut body: Value = serde_json::from_str(&recorded.body).unwrap();
        body["request"]["object"] = body["request"]["oldObject"].clone();
        for (object, time) in [("oldObject", "10"), ("object", "20")] {
            let condition = json!({"type": "Ready", "status": "True",
                "lastHeartbeatTime": format!("2026-11-23T14:50:{time}Z")});
            body["request"][object]["status"]["conditions"] = json!([condition]);
        }
        body["request"]["userInfo"]["username"] = body["request"]["name"].clone();
        let heartbeat =
            Review { name: "heartbeat".to_owned(), body: body.to_string(), ..recorded.clone() };
        // As in a cluster, every other call is one.
        self.0 = self.0.into_iter().flat_map(|review| [review, heartbeat.clone()]).collect();
        self
    }

    pub(crate) fn get(&self, turn: usize) -> &Review {
        &self.0[turn % self.0.len()]
    }
}

impl Review {
    /// What is wrong with an answer.
    pub(crate) fn complaint(&self, status: u16, body: &[u8]) -> Option<String> {
        let text = || String::from_utf8_lossy(body).into_owned();
        if status != 200 {
            return Some(format!("HTTP {status}: {}", text()));
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return Some(format!("not JSON: {}", text()));
        };
        let response = &answer["response"];
        let is_right = response["uid"] == self.uid
            && response["allowed"] == self.is_allowed
            && response.get("patch").is_some() == self.is_patched;
        (!is_right).then(|| format!("another answer than was recorded: {}", text()))
    }
}
