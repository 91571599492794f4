//! Keys with a few possible values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kubernetes::selector,
    policy::{mode, pool, provider},
};

/// The version of this format.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum ApiVersion {
    #[serde(rename = "poolguard.io/v1alpha1")]
    V1Alpha1,
}

/// The kind of this document.
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
    /// Any other provider.
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
    /// The scheduler does not place such pods on the node.
    NoSchedule,
    /// The scheduler does not place such pods on the node, and Kubernetes evicts those that run there. AutoMQ's
    /// pods tolerate only `NoSchedule`.
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

/// The comparison of a label with values.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum Operator {
    /// The label exists and has one of the values.
    In,
    /// The label does not exist, or has none of the values.
    NotIn,
    /// The label exists.
    Exists,
    /// The label does not exist.
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

/// What the scheduler does with a pod that would break the spread over zones.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(in crate::config) enum ZoneSpread {
    /// The pod stays Pending.
    DoNotSchedule,
    /// The scheduler places it anyway.
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

/// How the catalog of the config changes the built-in one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum CatalogMode {
    /// The types extend the built-in list.
    #[default]
    Extend,
    /// The types replace the built-in list.
    Replace,
}

/// How the webhook configurations are applied.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Registration {
    /// PoolGuard applies them, and restores them if another client changes them.
    #[default]
    Managed,
    /// Another tool applies them. PoolGuard writes only the `caBundle`, and reports differences from the
    /// config.
    External,
}

/// Whether PoolGuard keeps a backstop.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum BackstopMode {
    /// There is no backstop.
    #[default]
    Off,
    /// PoolGuard keeps admission policies with which the API server itself denies intruders and places AutoMQ
    /// pods while PoolGuard does not answer.
    Managed,
}

/// What the API server does with pods that could be intruders while PoolGuard does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnOutage {
    /// The API server rejects every pod that tolerates the taint of a pool or sets `spec.nodeName`, except AutoMQ
    /// pods and exempt pods.
    #[default]
    Closed,
    /// The backstop decides. Until it is in force, the same as `closed`.
    Backstop,
}

/// What a rule does when it finds a violation.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-refusals" = {
    "false": "some tools read an unquoted `off` as false: write `'off'`",
    "true": "write `enforce`, `warn`, `audit` or `'off'`"
}))]
pub(in crate::config) enum Mode {
    /// Deny the request.
    Enforce,
    /// Allow the request, record it, and warn the client.
    Warn,
    /// Allow the request and record it.
    Audit,
    /// PoolGuard does not evaluate the rule.
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
