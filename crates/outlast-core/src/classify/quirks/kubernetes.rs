//! Kubernetes: a Status object.

use super::rule::Sign::{Code, Under};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, NotAuth, PermissionDenied, RateLimited};

const STATUS: &str = "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/";

pub(super) static TABLE: Table = Table {
    name: "kubernetes",
    also_named: &["k8s", "openshift", "eks", "gke", "aks"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Code("Unauthorized"), Under("code", "401")], AccessTokenInvalid, STATUS),
        resource(&[Code("Forbidden"), Under("code", "403")], PermissionDenied, STATUS),
        resource(&[Code("TooManyRequests")], RateLimited, STATUS),
        resource(&[Code("Expired"), Under("code", "410")], NotAuth, STATUS),
    ],
};
