//! What the errors of the AWS SDK mean.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;

use super::error::{Call, StoreError};
use super::location::Location;

/// Of a call that got no answer, or a refusal.
pub(super) fn failure<E>(
    call: Call<'_>,
    location: &Location,
    error: &SdkError<E, HttpResponse>,
) -> StoreError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let tried = call.on(location);
    match error {
        SdkError::ServiceError(refusal) => {
            let answer = refusal.err();
            let status = refusal.raw().status().as_u16();
            refused(call, location, status, answer.code().unwrap_or(""), answer.message())
        }
        SdkError::TimeoutError(_) => {
            StoreError::Unreachable { tried, reason: "no answer in time".to_owned() }
        }
        SdkError::DispatchFailure(dispatch) if dispatch.is_io() || dispatch.is_timeout() => {
            let cause = dispatch.as_connector_error().and_then(ConnectorError::source);
            let reason = cause.map_or_else(|| chain(error), chain);
            StoreError::Unreachable { tried, reason }
        }
        // They were there when the location was opened, and have expired since.
        _ if has_cause::<CredentialsError>(error) => {
            StoreError::Credentials { tried, reason: chain(error) }
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let reason = format!("the answer (HTTP {status}) is not one of S3: {}", chain(error));
            StoreError::Other { tried, reason }
        }
        _ => StoreError::Other { tried, reason: chain(error) },
    }
}

/// Of an object that stopped coming.
pub(super) fn body_failure(
    call: Call<'_>,
    location: &Location,
    error: &ByteStreamError,
) -> StoreError {
    let reason = format!("the object stopped coming: {}", chain(error));
    StoreError::Unreachable { tried: call.on(location), reason }
}

fn refused(
    call: Call<'_>,
    location: &Location,
    status: u16,
    code: &str,
    message: Option<&str>,
) -> StoreError {
    let tried = call.on(location);
    let name = if code.is_empty() { "no error code" } else { code };
    let reason = format!("{} ({name}, HTTP {status})", message.unwrap_or("refused"));
    match (code, status) {
        ("NoSuchKey", _) => call.missing(location),
        ("NoSuchBucket", _) => StoreError::LocationMissing { location: location.to_string() },
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "NotSignedUp"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "RequestTimeTooSkewed",
            _,
        ) => StoreError::Credentials { tried, reason },
        // What servers say when their disk or a quota is full; S3 itself never is.
        ("XMinioStorageFull" | "QuotaExceeded", _) | (_, 507) => StoreError::Full { tried, reason },
        ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, 301) => {
            let reason = format!("{reason}; if the bucket is in another region set AWS_REGION");
            StoreError::Other { tried, reason }
        }
        ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) | (_, 401 | 403) => {
            StoreError::PermissionDenied { tried, reason }
        }
        _ => StoreError::Other { tried, reason },
    }
}

/// An error and its causes as one sentence; wrappers that only repeat their cause are left out.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

fn has_cause<C: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<C>)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The refusals that a server for tests cannot easily be brought to.
    #[test]
    fn refusals_have_their_meaning() {
        let location = Location::s3("photos/in", None).expect("location");
        let rows = [
            (404, "NoSuchKey", "there is no object"),
            (404, "NoSuchBucket", "does not exist"),
            (403, "ExpiredToken", "no valid credentials"),
            (403, "AccessDenied", "no permission"),
            (403, "", "no permission"),
            (507, "XMinioStorageFull", "no space left"),
            (301, "PermanentRedirect", "set AWS_REGION"),
            (400, "AuthorizationHeaderMalformed", "set AWS_REGION"),
            (503, "SlowDown", "could not read"),
        ];
        for (status, code, expected) in rows {
            let text = refused(Call::Get("a.png"), &location, status, code, None).to_string();
            assert!(text.contains(expected), "{status} {code}: {text}");
            assert!(text.contains("s3://photos/in"), "{text}");
        }
    }
}
