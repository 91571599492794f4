//! Keys with a few possible values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kubernetes::selector,
    policy::{mode, pool, provider},
};

/// Version of this format.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum ApiVersion {
    #[serde(rename = "poolguard.io/v1alpha1")]
    V1Alpha1,
}

/// Kind of this document.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum Kind {
    PoolGuardConfig,
}

/// A cloud with its managed Kubernetes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-refusals" = {
    "eks": "EKS is the provider `aws`",
    "amazon": "EKS is the provider `aws`",
    "gke": "GKE is the provider `gcp`",
    "google": "GKE is the provider `gcp`",
    "gce": "GKE is the provider `gcp`",
    "aks": "AKS is the provider `azure`",
    "ack": "ACK is the provider `alibaba`",
    "alicloud": "ACK is the provider `alibaba`",
    "aliyun": "ACK is the provider `alibaba`",
    "cce": "CCE is the provider `huawei`",
    "huaweicloud": "CCE is the provider `huawei`",
    "tke": "TKE is the provider `tencent`",
    "qcloud": "TKE is the provider `tencent`",
    "tencentcloud": "TKE is the provider `tencent`",
    "oke": "OKE is the provider `oracle`",
    "oci": "OKE is the provider `oracle`",
    "openshift": "name the cloud that OpenShift runs on, or `other`"
}))]
pub(in crate::config) enum Provider {
    /// Amazon EKS
    Aws,
    /// Google GKE
    Gcp,
    /// Azure AKS
    Azure,
    /// Alibaba Cloud ACK
    Alibaba,
    /// Huawei Cloud CCE
    Huawei,
    /// Tencent Cloud TKE
    Tencent,
    /// Oracle Cloud OKE
    Oracle,
    /// Anything else.
    Other,
}

impl From<Provider> for provider::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Aws => Self::Aws,
            Provider::Gcp => Self::Gcp,
            Provider::Azure => Self::Azure,
            Provider::Alibaba => Self::Alibaba,
            Provider::Huawei => Self::Huawei,
            Provider::Tencent => Self::Tencent,
            Provider::Oracle => Self::Oracle,
            Provider::Other => Self::Other,
        }
    }
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum Effect {
    /// Keeps them from being scheduled.
    NoSchedule,
    /// Keeps them from being scheduled, and evicts those that run. AutoMQ's own pods tolerate
    /// `NoSchedule` only.
    NoExecute,
}

impl Effect {
    pub(in crate::config) fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => crate::kubernetes::taint::NO_SCHEDULE,
            Self::NoExecute => crate::kubernetes::taint::NO_EXECUTE,
        }
    }
}

/// How a label is compared with values.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum Operator {
    /// The label is there, with one of the values.
    In,
    /// The label is absent, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl From<Operator> for selector::Operator {
    fn from(operator: Operator) -> Self {
        match operator {
            Operator::In => Self::In,
            Operator::NotIn => Self::NotIn,
            Operator::Exists => Self::Exists,
            Operator::DoesNotExist => Self::DoesNotExist,
        }
    }
}

/// What happens to a pod that cannot be spread over the zones.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum ZoneSpread {
    /// It waits.
    DoNotSchedule,
    /// It is scheduled all the same.
    ScheduleAnyway,
}

impl From<ZoneSpread> for pool::ZoneSpread {
    fn from(spread: ZoneSpread) -> Self {
        match spread {
            ZoneSpread::DoNotSchedule => Self::DoNotSchedule,
            ZoneSpread::ScheduleAnyway => Self::ScheduleAnyway,
        }
    }
}

/// How the catalog of the config goes with the built-in one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum CatalogMode {
    /// The types are added to the built-in list.
    #[default]
    Extend,
    /// The types stand in place of the built-in list.
    Replace,
}

/// Who writes the webhook configurations.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Registration {
    /// PoolGuard writes them and heals them.
    #[default]
    Managed,
    /// Others apply them; PoolGuard writes the `caBundle` only, and reports drift.
    External,
}

/// What a rule does when it finds something.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-refusals" = {
    "false": "some tools turn an unquoted `off` into false: put it in quotes",
    "true": "say what the rule is to do"
}))]
pub(in crate::config) enum Mode {
    /// Deny.
    Enforce,
    /// Allow, record, and warn the client.
    Warn,
    /// Allow, and record.
    Audit,
    /// The rule is not asked.
    Off,
}

impl From<Mode> for mode::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Warn => Self::Warn,
            Mode::Audit => Self::Audit,
            Mode::Off => Self::Off,
        }
    }
}
