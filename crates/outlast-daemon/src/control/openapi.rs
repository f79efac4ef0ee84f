//! `docs/openapi.json`: the control interface for the tools of others, made from the table of routes and the
//! types that requests are read into and answers written from. In tests alone: nothing of it is in the program.
#![allow(clippy::disallowed_methods, reason = "a test reads and writes files as it likes")]

use super::capabilities::{CapabilityShown, CapabilityWish};
use super::login::LoginWish;
use super::logins::LoginShown;
use super::problem::ProblemDocument;
use super::route::{ROUTES, Verb};
use super::token::TokenShown;
use crate::status::GrantStatus;
use crate::task_api::{
    Begin, Begun, Closed, Complete, Deleted, Fail, Failed, Heard, Heartbeat, Recorded, Resolve, StepShown, TaskShown,
};
use outlast::Code;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// Which keys there are, but for "." and "..", and for the limit of 200 bytes.
const KEY: &str = "^[^\\s/\\\\\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]\
                   ([^/\\\\\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*\
                   [^\\s/\\\\\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069])?$";

/// What is said of a verb beyond its method and path.
struct Said {
    id: &'static str,
    summary: &'static str,
    query: Vec<Value>,
    body: Option<Schema>,
    /// The type of an answer of 200, and its schema.
    answer: (&'static str, Schema),
    problems: &'static [u16],
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<ProblemDocument<'static>>();
    let mut paths = Map::new();
    for (method, path, verb) in &ROUTES {
        let operation = operation(path, said(*verb, &mut schemas), &problem);
        let methods = paths.entry(*path).or_insert_with(|| json!({}));
        methods[method.as_str().to_ascii_lowercase()] = operation;
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The control interface of Outlast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HTTP on a unix socket, for programs of the same user. In words: docs/control.md.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost", "description": "over the unix socket $OUTLAST_SOCKET" }],
        "paths": paths,
        "components": { "schemas": schemas.take_definitions(true) },
    });
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let schemas = &mut document["components"]["schemas"];
    schemas["ProblemDocument"]["properties"]["code"]["enum"] = codes.clone().into();
    let or_none = codes.into_iter().map(Value::from).chain([Value::Null]).collect();
    schemas["Fail"]["properties"]["code"]["enum"] = Value::Array(or_none);
    plain(&mut document);
    document
}

/// Links of Rust's documentation mean nothing here.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(text) if name == "description" => *text = text.replace("[`", "`").replace("`]", "`"),
            _ => plain(value),
        }),
        Value::Array(values) => values.iter_mut().for_each(plain),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

fn operation(path: &str, said: Said, problem: &Schema) -> Value {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names.map(in_path).chain(said.query).collect();
    let mut responses =
        json!({ "200": { "description": "done", "content": { said.answer.0: { "schema": said.answer.1 } } } });
    for status in said.problems {
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses[status.to_string()] = json!({ "description": meaning(*status), "content": content });
    }
    let mut operation = json!({
        "operationId": said.id, "summary": said.summary, "parameters": parameters, "responses": responses,
    });
    if let Some(schema) = said.body {
        let content = json!({ "application/json": { "schema": schema } });
        // Nothing is asked of these that has no usual value.
        let required = !["beginStep", "beginLogin"].contains(&said.id);
        operation["requestBody"] = json!({ "required": required, "content": content });
    }
    operation
}

fn in_path(name: &str) -> Value {
    let (description, schema) = match name {
        "grant" => ("The grant's name", json!({ "type": "string", "minLength": 1 })),
        "key" => (
            "The step's key, percent-encoded: no '/' and no '\\', no control characters, no blanks at its ends",
            json!({ "type": "string", "maxLength": 200, "pattern": KEY }),
        ),
        "task" => ("The task's name", json!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$" })),
        other => panic!("say what {other} is"),
    };
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}

fn in_query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

fn wait(description: &str) -> Value {
    in_query("wait", description, json!({ "type": "string", "pattern": "^[0-9]{1,6}s?$" }))
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "the request is malformed",
        403 => "whoever asks may not",
        404 => "there is no such thing",
        409 => "what is recorded stands against it",
        413 => "it is too large",
        500 => "a mistake of the configuration, the machine, or ours",
        503 => "not at the moment: wait, or ask the owner to sign in",
        other => panic!("say what {other} means"),
    }
}

impl Said {
    /// An answer of JSON.
    fn json<T: JsonSchema>(
        schemas: &mut SchemaGenerator,
        id: &'static str,
        summary: &'static str,
        problems: &'static [u16],
    ) -> Self {
        let answer = ("application/json", schemas.subschema_for::<T>());
        Self { id, summary, query: Vec::new(), body: None, answer, problems }
    }

    fn text(schemas: &mut SchemaGenerator, id: &'static str, summary: &'static str) -> Self {
        let said = Self::json::<String>(schemas, id, summary, &[]);
        Self { answer: ("text/plain", said.answer.1), ..said }
    }

    fn query(mut self, parameter: Value) -> Self {
        self.query.push(parameter);
        self
    }

    fn body<T: JsonSchema>(self, schemas: &mut SchemaGenerator) -> Self {
        Self { body: Some(schemas.subschema_for::<T>()), ..self }
    }
}

fn said(verb: Verb, schemas: &mut SchemaGenerator) -> Said {
    const GRANT: &[u16] = &[404, 500, 503];
    match verb {
        Verb::CapabilityMint => {
            let said = Said::json::<CapabilityShown>(
                schemas,
                "mintCapability",
                "A capability for the proxy",
                &[400, 404, 500],
            );
            said.body::<CapabilityWish>(schemas)
        }
        Verb::Grant => Said::json::<GrantStatus>(schemas, "showGrant", "How a grant stands", GRANT),
        Verb::Grants => Said::json::<Vec<GrantStatus>>(schemas, "listGrants", "How all grants stand", &[500, 503]),
        Verb::Health => Said::text(schemas, "health", "Whether the sidecar runs"),
        Verb::LoginBegin | Verb::LoginCancel | Verb::LoginShow => login(verb, schemas),
        Verb::Metrics => Said::text(schemas, "metrics", "Counters for Prometheus"),
        Verb::StepBegin
        | Verb::StepComplete
        | Verb::StepFail
        | Verb::StepHeartbeat
        | Verb::StepResolve
        | Verb::StepShow => step(verb, schemas),
        Verb::TaskClose | Verb::TaskDelete | Verb::TaskShow | Verb::Tasks => task(verb, schemas),
        Verb::Token => {
            let least = json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
            Said::json::<TokenShown>(schemas, "getToken", "An access token", &[400, 404, 409, 500, 503])
                .query(in_query("min_ttl", "The seconds that it should have left", least))
                .query(in_query(
                    "renew",
                    "1 for another token than the one held",
                    json!({ "enum": ["", "0", "1", "false", "true"] }),
                ))
        }
    }
}

fn login(verb: Verb, schemas: &mut SchemaGenerator) -> Said {
    const PROBLEMS: &[u16] = &[400, 403, 404, 409, 500, 503];
    let number = json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
    match verb {
        Verb::LoginBegin => {
            let said = Said::json::<LoginShown>(
                schemas,
                "beginLogin",
                "Begins a login, or hands in what was pasted",
                PROBLEMS,
            );
            said.body::<LoginWish>(schemas)
        }
        Verb::LoginCancel => Said::json::<LoginShown>(schemas, "cancelLogin", "Calls a login off", PROBLEMS),
        _ => Said::json::<LoginShown>(schemas, "showLogin", "How the last login stands", PROBLEMS)
            .query(in_query("wait", "Answer once it is over: seconds, at most 60", number.clone()))
            .query(in_query("after", "Answer as soon as there is another version than this", number)),
    }
}

fn step(verb: Verb, schemas: &mut SchemaGenerator) -> Said {
    const ENDED: &[u16] = &[400, 403, 404, 409, 413, 500, 503];
    match verb {
        Verb::StepBegin => {
            Said::json::<Begun>(schemas, "beginStep", "The step's output, or the right to run it", ENDED)
                .query(wait("Wait for what keeps the step from beginning: seconds, at most 60"))
                .body::<Begin>(schemas)
        }
        Verb::StepComplete => {
            Said::json::<Recorded>(schemas, "completeStep", "Says that a step came to its end", ENDED)
                .body::<Complete>(schemas)
        }
        Verb::StepFail => {
            Said::json::<Failed>(schemas, "failStep", "Says that a step failed", ENDED).body::<Fail>(schemas)
        }
        Verb::StepHeartbeat => Said::json::<Heard>(schemas, "heartbeatStep", "Says that a step still runs", ENDED)
            .body::<Heartbeat>(schemas),
        Verb::StepResolve => {
            Said::json::<Recorded>(schemas, "resolveStep", "Decides on a step", ENDED).body::<Resolve>(schemas)
        }
        _ => Said::json::<StepShown>(schemas, "showStep", "How a step stands", &[400, 403, 404, 500, 503]),
    }
}

fn task(verb: Verb, schemas: &mut SchemaGenerator) -> Said {
    const PROBLEMS: &[u16] = &[400, 403, 404, 500, 503];
    match verb {
        Verb::TaskClose => Said::json::<Closed>(schemas, "closeTask", "Ends a task", PROBLEMS),
        Verb::TaskDelete => {
            Said::json::<Deleted>(schemas, "deleteTask", "Removes a task with all it recorded", PROBLEMS)
        }
        Verb::TaskShow => Said::json::<TaskShown>(schemas, "showTask", "How a task stands", PROBLEMS)
            .query(wait("Answer as soon as none of the task's grants needs a person: seconds, at most 60")),
        _ => Said::json::<Vec<TaskShown>>(schemas, "listTasks", "How all tasks stand", &[500, 503]),
    }
}

/// With OUTLAST_WRITE_OPENAPI=1 it is written instead.
#[test]
fn the_openapi_file_says_what_the_routes_and_types_say() {
    let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var("OUTLAST_WRITE_OPENAPI").is_ok_and(|write| write == "1") {
        std::fs::write(FILE, &made).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        kept == made,
        "docs/openapi.json is not what the code says: OUTLAST_WRITE_OPENAPI=1 cargo test -p outlast-daemon openapi"
    );
}
