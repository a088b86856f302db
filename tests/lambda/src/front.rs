//! The front door: what the AWS SDK speaks to.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use serde_json::json;

use crate::ACCESS_KEY;
use crate::fleet::{Fleet, Outcome};
use crate::http::{self, Asked, Said, say, with};

/// The largest payload of an event, in bytes, and that of a call that waits for its answer.
const EVENT_BYTES_MAX: usize = 1 << 20;
const PAYLOAD_BYTES_MAX: usize = 6 << 20;

/// A no that a test orders.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The action that is refused, such as `lambda:InvokeFunction`; all if empty.
    pub action: String,
    /// The HTTP status.
    pub status: u16,
    /// AWS's code.
    pub code: String,
    /// AWS's text.
    pub message: String,
}

impl Refusal {
    /// As for a role that has no permission.
    pub fn denied(action: &str) -> Self {
        Self {
            action: action.to_owned(),
            status: 403,
            code: "AccessDeniedException".to_owned(),
            message: format!(
                "User: arn:aws:sts::123456789012:assumed-role/coordinator/i-1 is not authorized to \
                 perform: {action} on resource"
            ),
        }
    }
}

pub(crate) async fn serve(listener: TcpListener, fleet: Arc<Fleet>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    http::serve(listener, move |asked| answer(fleet.clone(), asked)).await
}

async fn answer(fleet: Arc<Fleet>, asked: Asked) -> Said {
    let (method, path) = asked.route();
    let (action, name) = match (method, &path[..]) {
        ("POST", ["2015-03-31", "functions", name, "invocations"]) => {
            ("lambda:InvokeFunction", *name)
        }
        ("GET", ["2015-03-31", "functions", name, "configuration"]) => {
            ("lambda:GetFunctionConfiguration", *name)
        }
        ("GET", ["2019-09-30", "functions", name, "concurrency"]) => {
            ("lambda:GetFunctionConcurrency", *name)
        }
        ("GET", ["2019-09-25", "functions", name, "event-invoke-config"]) => {
            ("lambda:GetFunctionEventInvokeConfig", *name)
        }
        _ => return no(404, "UnknownOperationException", "no such operation here"),
    };
    if let Some(refused) = unauthorised(&fleet, &asked, action) {
        return refused;
    }
    let function = fleet.function();
    let names = [function.name.clone(), function.arn()].map(|name| name.replace(':', "%3A"));
    if !names.iter().any(|known| known.eq_ignore_ascii_case(&name.replace(':', "%3A"))) {
        let message = format!("Function not found: {}", function.arn().replace(&names[0], name));
        return no(404, "ResourceNotFoundException", &message);
    }
    match action {
        "lambda:InvokeFunction" => invoke(&fleet, &asked).await,
        "lambda:GetFunctionConcurrency" => match function.reserved {
            Some(reserved) => {
                say(200, json!({ "ReservedConcurrentExecutions": reserved }).to_string())
            }
            None => say(200, "{}"),
        },
        "lambda:GetFunctionEventInvokeConfig" => {
            let (retries, age) = (function.retries, function.event_age_max.as_secs());
            if (retries, age) == (2, 6 * 3600) {
                let message = "The function doesn't have an EventInvokeConfig";
                return no(404, "ResourceNotFoundException", message);
            }
            let body = json!({ "MaximumRetryAttempts": retries, "MaximumEventAgeInSeconds": age });
            say(200, body.to_string())
        }
        _ => {
            let architecture = if function.is_arm { "arm64" } else { "x86_64" };
            let variables: BTreeMap<_, _> = function.environment.iter().cloned().collect();
            let body = json!({
                "FunctionName": function.name,
                "FunctionArn": function.arn(),
                "Runtime": "provided.al2023",
                "MemorySize": function.memory_mb,
                "Timeout": function.timeout.as_secs().max(1),
                "Architectures": [architecture],
                "Environment": { "Variables": variables },
                "State": "Active",
                "LastUpdateStatus": "Successful",
            });
            say(200, body.to_string())
        }
    }
}

/// The no for a call that may not be made.
fn unauthorised(fleet: &Fleet, asked: &Asked, action: &str) -> Option<Said> {
    let authorisation = asked.header("authorization");
    let Some((_, rest)) = authorisation.split_once("Credential=") else {
        let code = "MissingAuthenticationTokenException";
        return Some(no(403, code, "Missing Authentication Token"));
    };
    if rest.split('/').next() != Some(ACCESS_KEY) {
        let message = "The security token included in the request is invalid.";
        return Some(no(403, "UnrecognizedClientException", message));
    }
    fleet.order(|faults| {
        let mut refusals = faults.refusals.iter();
        let refusal = refusals.find(|at| at.action.is_empty() || at.action == action)?;
        faults.refused += 1;
        Some(no(refusal.status, &refusal.code, &refusal.message))
    })
}

async fn invoke(fleet: &Arc<Fleet>, asked: &Asked) -> Said {
    let is_event = asked.header("x-amz-invocation-type") == "Event";
    let is_throttled = fleet.order(|faults| {
        let is_throttled = faults.throttled > 0;
        faults.throttled -= u32::from(is_throttled);
        is_throttled
    });
    if is_throttled {
        return throttled("CallerRateLimitExceeded");
    }
    let most = if is_event { EVENT_BYTES_MAX } else { PAYLOAD_BYTES_MAX };
    if asked.body.len() > most {
        return no(413, "RequestTooLargeException", &format!("at most {most} bytes"));
    }
    if is_event {
        let request = fleet.name_request();
        fleet.accept(&request, &asked.body);
        return with(say(202, ""), "x-amzn-requestid", &request);
    }
    match fleet.invoke_now(asked.body.clone()).await {
        Some(Outcome::Answered(text)) => say(200, text),
        Some(Outcome::Failed(text)) => with(say(200, text), "x-amz-function-error", "Unhandled"),
        Some(outcome) => {
            let body = json!({ "errorMessage": format!("{outcome:?}") }).to_string();
            with(say(200, body), "x-amz-function-error", "Unhandled")
        }
        None => throttled("ReservedFunctionConcurrentInvocationLimitExceeded"),
    }
}

fn throttled(reason: &str) -> Said {
    let body = json!({ "Type": "User", "Reason": reason, "message": "Rate Exceeded." });
    with(say(429, body.to_string()), "x-amzn-errortype", "TooManyRequestsException")
}

fn no(status: u16, code: &str, message: &str) -> Said {
    let body = json!({ "Type": "User", "message": message, "Message": message });
    with(say(status, body.to_string()), "x-amzn-errortype", code)
}
