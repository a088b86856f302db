//! The client of S3: made once in a process for each endpoint, because it holds the connections,
//! the root certificates and the credentials.
//!
//! Its connections belong to the tokio runtime that first used them, so a process should have one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{ProvideCredentials, RequestChecksumCalculation, SharedHttpClient};
use aws_smithy_http_client::{Builder, tls};
use tokio::sync::OnceCell;

use super::error::{Call, StoreError};
use super::location::Location;
use super::s3_failure::chain;

/// A job has one endpoint or two; beyond this the first one in order is forgotten.
const CLIENT_MAX: usize = 8;
const ATTEMPT_MAX: u32 = 3;
/// Short, so that a wrong endpoint is reported while someone still watches.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Up to the first byte of the answer. A body that stops coming is noticed by the SDK itself.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// What servers other than AWS expect when they are told nothing.
const ENDPOINT_REGION: &str = "us-east-1";

static CLIENTS: Mutex<BTreeMap<Option<String>, Arc<OnceCell<Client>>>> =
    Mutex::new(BTreeMap::new());

/// The client for an endpoint, or for AWS. `location` is for messages.
///
/// Tasks that start at the same time wait for one of them to make it; a failure is not kept, so the
/// next call tries again. Cancel safe.
pub(super) async fn client(
    location: &Location,
    endpoint: Option<&str>,
) -> Result<Client, StoreError> {
    cell(endpoint).get_or_try_init(|| connect(location, endpoint)).await.cloned()
}

fn cell(endpoint: Option<&str>) -> Arc<OnceCell<Client>> {
    let endpoint = endpoint.map(str::to_owned);
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if clients.len() >= CLIENT_MAX && !clients.contains_key(&endpoint) {
        // Stores that were opened with it keep it alive.
        clients.pop_first();
    }
    Arc::clone(clients.entry(endpoint).or_default())
}

async fn connect(location: &Location, endpoint: Option<&str>) -> Result<Client, StoreError> {
    let config = configuration(endpoint).await;
    if config.region().is_none() {
        let reason = "no region is known; set AWS_REGION on every worker";
        return Err(Call::Open.other(location, reason));
    }
    check_credentials(location, &config).await?;
    let mut builder = aws_sdk_s3::config::Builder::from(&config);
    if endpoint.is_some() {
        // Buckets as parts of the host name need DNS that a local server does not have, and many
        // servers do not know the checksums that the SDK adds by itself. The signature still
        // covers the content.
        builder = builder
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    }
    Ok(Client::from_conf(builder.build()))
}

async fn configuration(endpoint: Option<&str>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPT_MAX)
        .with_initial_backoff(BACKOFF_FIRST)
        .with_max_backoff(BACKOFF_MAX);
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(timeouts)
        .retry_config(retries);
    let Some(endpoint) = endpoint else { return loader.load().await };
    // The default chain would go on to ask the metadata server of EC2, which is slow elsewhere.
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ENDPOINT_REGION);
    loader.endpoint_url(endpoint).region(region).load().await
}

/// Speaks http as well, when the endpoint does.
fn http_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// Otherwise the first call would tell that there are none, in the middle of the job.
async fn check_credentials(location: &Location, config: &SdkConfig) -> Result<(), StoreError> {
    let refused = |reason| StoreError::Credentials { tried: Call::Open.on(location), reason };
    let provider = config.credentials_provider().ok_or_else(|| refused("none".to_owned()))?;
    provider.provide_credentials().await.map(drop).map_err(|error| refused(chain(&error)))
}
