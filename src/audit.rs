//! One line of the log for every record of a decision.
//!
//! Nothing of a pod's environment or of a secret enters it: a record names objects and fields.

use tracing::{info, warn};

use crate::policy::{
    request::Request,
    verdict::{Decision, Record, Verdict},
};

/// Writes the records of a decision into the log. A plain allow has none.
pub fn log(request: &Request<'_>, verdict: &Verdict) {
    for record in &verdict.records {
        write(request, record);
    }
}

/// The fields of a record, at the level of its decision.
macro_rules! line {
    ($level:ident, $request:ident, $record:ident) => {
        $level!(
            target: "poolguard::audit",
            decision = $record.decision.as_str(),
            rule = $record.rule.map(|rule| rule.as_str()),
            mode = $record.mode.map(|mode| mode.as_str()),
            operation = $request.target.operation.as_str(),
            resource = $request.target.full_resource(),
            namespace = $request.target.namespace.as_str(),
            name = $request.target.name.as_str(),
            user = $request.user.name.as_str(),
            pool = $record.pool,
            node = $record.node,
            field = $record.field,
            exempt = $record.exemption,
            dry_run = $request.dry_run,
            uid = $request.uid.as_str(),
            "{}", $record.message
        )
    };
}

fn write(request: &Request<'_>, record: &Record) {
    match record.decision {
        Decision::Deny | Decision::BreakGlass => line!(warn, request, record),
        Decision::Audit
        | Decision::Unknown
        | Decision::Exempt
        | Decision::Patch
        | Decision::Warn => line!(info, request, record),
    }
}
