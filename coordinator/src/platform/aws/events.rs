//! What Lambda does with a launch that it has accepted and cannot run, or that fails.

use std::time::Duration;

use aws_sdk_lambda::error::ProvideErrorMetadata;

use super::fault::Fault;
use super::{Options, check, client, configuration};

/// What Lambda does if nothing is configured.
const DEFAULT: Events =
    Events { retries: 2, age_max: Duration::from_secs(6 * 3600), is_configured: false };

/// How asynchronous invocations of a function are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// How often one that fails is run again.
    pub retries: u32,
    /// How long one may wait.
    pub age_max: Duration,
    /// Whether somebody has said so, or it is Lambda's default.
    pub is_configured: bool,
}

impl Events {
    /// Asks AWS.
    ///
    /// # Errors
    ///
    /// If it does not say, with what to do.
    pub async fn look(options: &Options) -> Result<Self, String> {
        let config = configuration(options).await;
        check(&config, options)?;
        let asked = client(&config, true)
            .get_function_event_invoke_config()
            .function_name(&options.function)
            .send()
            .await;
        match asked {
            Ok(said) => {
                let retries = said.maximum_retry_attempts().map(|count| count.max(0) as u32);
                let age = said.maximum_event_age_in_seconds().map(|age| age.max(0) as u64);
                Ok(Self {
                    retries: retries.unwrap_or(DEFAULT.retries),
                    age_max: age.map_or(DEFAULT.age_max, Duration::from_secs),
                    is_configured: true,
                })
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(DEFAULT),
            Err(error) => {
                let action = "lambda:GetFunctionEventInvokeConfig";
                Err(Fault::of(&error, action, &options.function).text())
            }
        }
    }
}
