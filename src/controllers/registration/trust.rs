//! The authorities that every registered entry trusts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    api::list_watch::single_object::ObservedObject,
    controllers::certificates::{Bundle, Registered, bundle},
};

/// Returns the authorities that every entry of the two configurations has in its `caBundle`.
pub fn registered(seen: [&ObservedObject; 2]) -> Registered {
    for seen in seen {
        if let ObservedObject::Unknown(why) = seen {
            return Registered::Unknown(why.clone());
        }
    }
    let webhooks = |seen: &ObservedObject| -> Vec<Value> {
        let webhooks = seen.object().and_then(|object| object.get("webhooks"));
        webhooks.and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut common: Option<Bundle> = None;
    for entry in seen.into_iter().flat_map(webhooks) {
        let text = entry.pointer("/clientConfig/caBundle").and_then(Value::as_str);
        let pem = text.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        let trusted = bundle::certificates(&pem);
        match &mut common {
            None => common = Some(trusted),
            Some(common) => common.retain(|certificate| trusted.contains(certificate)),
        }
    }
    common.map_or(Registered::Nothing, Registered::Trusts)
}
