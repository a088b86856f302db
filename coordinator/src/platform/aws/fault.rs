//! What AWS says when it says no, in words that say what to do.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;

/// Why there is no answer from Lambda that helps.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// It takes no more for now; it may have said for how long.
    Throttled(String, Duration),
    /// It may well work next time.
    Passing(String),
    /// It will not work until somebody does something.
    Lasting(String),
}

impl Fault {
    /// Of an Invoke call.
    pub(super) fn of_invoke(error: &SdkError<InvokeError>, function: &str) -> Self {
        if let Some(InvokeError::TooManyRequestsException(throttled)) = error.as_service_error() {
            let seconds = throttled.retry_after_seconds().and_then(|text| text.parse().ok());
            let reason = throttled.reason().map_or("no reason given", |reason| reason.as_str());
            let text = format!(
                "Lambda throttles invocations of `{function}` ({reason}): allow fewer workers, or \
                 ask for more concurrency"
            );
            return Self::Throttled(text, Duration::from_secs(seconds.unwrap_or(0)));
        }
        Self::of(error, "lambda:InvokeFunction", function)
    }

    /// Of any call, which needs this permission.
    pub(super) fn of<E>(error: &SdkError<E>, action: &str, function: &str) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let said = answer.err();
                Self::said(said.code(), said.message(), status, action, function)
            }
            SdkError::ConstructionFailure(_) => Self::Lasting(unasked(error)),
            SdkError::DispatchFailure(_) if is_credentials(error) => Self::Lasting(unasked(error)),
            other => Self::Passing(format!(
                "AWS Lambda cannot be reached ({}): see to the network, or to \
                 AWS_ENDPOINT_URL_LAMBDA if it is set",
                chain(other)
            )),
        }
    }

    fn said(
        code: Option<&str>,
        message: Option<&str>,
        status: u16,
        action: &str,
        function: &str,
    ) -> Self {
        let (code, message) = (code.unwrap_or("no code"), message.unwrap_or("no message"));
        let advice = match code {
            "TooManyRequestsException" | "ThrottlingException" => {
                let text = format!("Lambda throttles calls about `{function}`: {message}");
                return Self::Throttled(text, Duration::ZERO);
            }
            _ if status >= 500 => {
                return Self::Passing(format!("Lambda has a fault of its own: {code}: {message}"));
            }
            "ResourceNotFoundException" => format!(
                "there is no Lambda function `{function}` in this account and region: deploy it, \
                 or name another; the region is that of AWS_REGION or of the profile"
            ),
            "AccessDeniedException" => format!(
                "the coordinator may not do this: allow its role `{action}` on the function \
                 `{function}`"
            ),
            "UnrecognizedClientException" | "InvalidClientTokenId" | "AuthFailure" => {
                "AWS does not know these credentials: see to AWS_ACCESS_KEY_ID, to AWS_PROFILE, \
                 or to the role of this machine"
                    .to_owned()
            }
            "ExpiredTokenException" | "ExpiredToken" => {
                "the credentials have expired: get new ones, or use the role of the machine, which \
                 renews its own"
                    .to_owned()
            }
            "InvalidSignatureException" | "SignatureDoesNotMatch" => {
                "the signature is wrong: the secret key is not that of the key id, or this \
                 machine's clock is off by more than five minutes"
                    .to_owned()
            }
            "MissingAuthenticationTokenException" => no_credentials(),
            "InvalidParameterValueException" if message.contains("role") => format!(
                "Lambda cannot use the role of `{function}`: its trust policy must allow \
                 lambda.amazonaws.com to assume it"
            ),
            "ResourceConflictException" | "ResourceNotReadyException" => {
                format!("`{function}` is being deployed or has failed to be: see its state")
            }
            "RequestTooLargeException" => "the payload is too large".to_owned(),
            _ => format!("Lambda refuses to run `{function}`"),
        };
        Self::Lasting(format!("{advice} (AWS says {code}: {message})"))
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Throttled(text, _) | Self::Passing(text) | Self::Lasting(text) => text,
        }
    }
}

fn no_credentials() -> String {
    "no AWS credentials are found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or give this machine a role"
        .to_owned()
}

/// A call that never left.
fn unasked(error: &(dyn std::error::Error + 'static)) -> String {
    let text = chain(error);
    if is_credentials(error) {
        return format!("{} ({text})", no_credentials());
    }
    format!("AWS Lambda cannot be asked: {text}")
}

fn is_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(<dyn std::error::Error>::is::<CredentialsError>)
}

/// An error with its causes: the SDK's own text says only in which part it was.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, message: &str, status: u16, expected: &str) {
        let action = "lambda:InvokeFunction";
        let fault = Fault::said(Some(code), Some(message), status, action, "worker");
        let Fault::Lasting(text) = fault else { panic!("{fault:?}") };
        assert!(text.contains(expected) && text.contains(code), "{text}");
    }

    #[test]
    fn each_no_says_what_to_do() {
        check("ResourceNotFoundException", "", 404, "deploy it");
        check("AccessDeniedException", "", 403, "allow its role `lambda:InvokeFunction`");
        check("UnrecognizedClientException", "", 403, "AWS_PROFILE");
        check("ExpiredTokenException", "", 403, "get new ones");
        check("InvalidSignatureException", "", 403, "clock");
        check("MissingAuthenticationTokenException", "", 403, "AWS_ACCESS_KEY_ID");
        let role = "The role defined for the function cannot be assumed by Lambda.";
        check("InvalidParameterValueException", role, 400, "trust policy");
        check("SnapStartException", "what is this", 400, "what is this");
    }

    #[test]
    fn what_passes_is_told_from_what_lasts() {
        let said = |code, status| Fault::said(Some(code), None, status, "", "worker");
        assert!(matches!(said("ServiceException", 500), Fault::Passing(_)));
        assert!(matches!(said("TooManyRequestsException", 429), Fault::Throttled(..)));
    }
}
