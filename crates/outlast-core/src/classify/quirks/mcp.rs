//! Servers of the Model Context Protocol.

use super::rule::Sign::{Code, Status};
use super::rule::{Table, resource};
use crate::classify::meaning::Meaning::{AccessTokenInvalid, InsufficientScope};

const SPEC: &str = "https://modelcontextprotocol.io/specification/2025-06-18/basic/authorization";
const SCOPES: &str = "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization";

pub(super) static TABLE: Table = Table {
    name: "mcp",
    also_named: &["mcp-generic", "model-context-protocol"],
    errors_on_success: false,
    recognised_by: &[],
    rules: &[
        resource(&[Status(401), Code("insufficient_scope")], InsufficientScope, SCOPES),
        resource(&[Status(401), Code("invalid_request")], AccessTokenInvalid, SPEC),
        resource(&[Status(403), Code("insufficient_scope")], InsufficientScope, SCOPES),
    ],
};
