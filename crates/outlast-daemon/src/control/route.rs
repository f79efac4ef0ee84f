//! Which requests there are: the one table that requests are sent by, and that `docs/openapi.json` is made from.

use http::Method;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    CapabilityMint,
    Grant,
    Grants,
    Health,
    LoginBegin,
    LoginCancel,
    LoginShow,
    Metrics,
    StepBegin,
    StepComplete,
    StepFail,
    StepHeartbeat,
    StepResolve,
    StepShow,
    TaskClose,
    TaskDelete,
    TaskShow,
    Tasks,
    Token,
}

/// Method, path with names in braces for its variable segments, and what it is.
type Row = (Method, &'static str, Verb);

pub(super) static ROUTES: [Row; 19] = [
    (Method::GET, "/healthz", Verb::Health),
    (Method::GET, "/metrics", Verb::Metrics),
    (Method::POST, "/v1/capabilities", Verb::CapabilityMint),
    (Method::GET, "/v1/grants", Verb::Grants),
    (Method::GET, "/v1/grants/{grant}", Verb::Grant),
    (Method::DELETE, "/v1/grants/{grant}/login", Verb::LoginCancel),
    (Method::GET, "/v1/grants/{grant}/login", Verb::LoginShow),
    (Method::POST, "/v1/grants/{grant}/login", Verb::LoginBegin),
    (Method::GET, "/v1/grants/{grant}/token", Verb::Token),
    (Method::GET, "/v1/tasks", Verb::Tasks),
    (Method::DELETE, "/v1/tasks/{task}", Verb::TaskDelete),
    (Method::GET, "/v1/tasks/{task}", Verb::TaskShow),
    (Method::POST, "/v1/tasks/{task}/close", Verb::TaskClose),
    (Method::GET, "/v1/tasks/{task}/steps/{key}", Verb::StepShow),
    (Method::POST, "/v1/tasks/{task}/steps/{key}/begin", Verb::StepBegin),
    (Method::POST, "/v1/tasks/{task}/steps/{key}/complete", Verb::StepComplete),
    (Method::POST, "/v1/tasks/{task}/steps/{key}/fail", Verb::StepFail),
    (Method::POST, "/v1/tasks/{task}/steps/{key}/heartbeat", Verb::StepHeartbeat),
    (Method::POST, "/v1/tasks/{task}/steps/{key}/resolve", Verb::StepResolve),
];

/// What a request leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The verb, and the variable segments of its path as they were sent: the first and the second, empty where
    /// there is none.
    Verb(Verb, &'a str, &'a str),
    /// The path is one of ours; these are the methods it takes.
    OtherMethods(String),
    Nothing,
}

pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let mut others = Vec::new();
    for (known, template, verb) in &ROUTES {
        let Some((first, second)) = matched(template, path) else { continue };
        if known == method {
            return Found::Verb(*verb, first, second);
        }
        others.push(known.as_str());
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others.join(", ")) }
}

/// The variable segments of a path, if it is one of that template.
fn matched<'a>(template: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut variable = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => break,
            (Some(name), Some(segment)) if name.starts_with('{') => variable.push(segment),
            (Some(fixed), Some(segment)) if fixed == segment => {}
            (Some(_) | None, _) => return None,
        }
    }
    let at = |index: usize| variable.get(index).copied().unwrap_or_default();
    Some((at(0), at(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_verb_with_its_names_or_to_nothing() {
        let step = find(&Method::POST, "/v1/tasks/harvest/steps/page%2017/begin");
        assert_eq!(step, Found::Verb(Verb::StepBegin, "harvest", "page%2017"));
        assert_eq!(find(&Method::GET, "/v1/grants/crm"), Found::Verb(Verb::Grant, "crm", ""));
        for nothing in
            ["/", "", "/v1", "/v1/tasks/", "/v1/tasks/a/steps", "/v1/tasks/a/steps/b/begin/", "/v1/tasks/a//b"]
        {
            let found = find(&Method::GET, nothing);
            assert!(matches!(found, Found::Nothing | Found::Verb(_, "", "")), "{nothing} {found:?}");
        }
    }

    #[test]
    fn another_method_is_told_which_ones_there_are() {
        let Found::OtherMethods(methods) = find(&Method::PUT, "/v1/grants/crm/login") else { panic!("no methods") };
        assert_eq!(methods, "DELETE, GET, POST");
    }
}
