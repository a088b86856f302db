//! HTTP: tasks for clients in any language, and how the application is.
//!
//! Every route and every method, those that are not there included, wants the key of an
//! application: `Authorization: Bearer` and 64 hexadecimal digits. Then the request is about that
//! application, and nothing of another can be named. Pages of a browser are refused, for a key is
//! not for them. What a request may take in bytes and time is bounded.
//!
//! The description for programs is `openapi.json`, beside this file.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, Query, Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use channels::id::TaskId;
use channels::outcome::Outcome;
use channels::wire::{Secret, SpawnOptions};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::desk::{Desk, Overview, Run};
use super::jobs::{Declined, Job, Jobs, Order, State};
use super::metrics;
use super::standing::Standing;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Time for TLS, for a request's head (from the last answer on), and for its body.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time that a request may wait for a job.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The longest name of a task.
const NAME_CHARACTERS_MAX: usize = 512;
/// Jobs of a list.
const LISTED_MAX: usize = 1000;
const LISTED: usize = 100;
/// Where the description is.
const OPENAPI: &str = include_str!("openapi.json");

/// What all routes share.
pub(super) struct Service {
    desk: Arc<Desk>,
    jobs: Vec<Arc<Jobs>>,
}

/// Whose request it is, by its key.
#[derive(Clone, Copy)]
struct Caller(usize);

/// A request that is not answered with what it asks for.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        let mut response = (status, Json(serde_json::json!({ "error": error }))).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Declined> for Refusal {
    fn from(declined: Declined) -> Self {
        let status = match declined {
            Declined::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        Self(status, declined.to_string())
    }
}

pub(super) fn routes(desk: Arc<Desk>, jobs: Vec<Arc<Jobs>>) -> Router {
    let service = Arc::new(Service { desk, jobs });
    Router::new()
        .route("/v1/tasks", get(list).post(submit))
        .route("/v1/tasks/{id}", get(look))
        .route("/v1/tasks/{id}/cancel", post(cancel))
        .route("/v1/stats", get(stats))
        .route("/v1/runs", get(runs))
        .route("/metrics", get(show_metrics))
        .route("/health", get(health))
        .route("/openapi.json", get(describe))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "there is no such path".to_owned()))
        .method_not_allowed_fallback(async || {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "the path has no such method".to_owned())
        })
        // Around all of them.
        .layer(middleware::from_fn_with_state(service.clone(), admit))
        .with_state(service)
}

/// The one gate.
async fn admit(
    Shared(service): Shared<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) {
        let reason = "a browser's page may not use this address";
        return Err(Refusal(StatusCode::FORBIDDEN, reason.to_owned()));
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = shown.and_then(|text| text.strip_prefix("Bearer ")).and_then(Secret::from_hex);
    let Some(application) = key.and_then(|key| service.desk.find(&key)) else {
        let reason = "the key of an application is expected: `Authorization: Bearer` and 64 \
                      hexadecimal digits";
        return Err(Refusal(StatusCode::UNAUTHORIZED, reason.to_owned()));
    };
    let allowance = &service.desk.allowances[application];
    let standing = request.extensions().get::<Arc<Standing>>();
    if let Some(Err(most)) = standing.map(|standing| standing.show(application, allowance)) {
        let reason = format!("the application has {most} connections, as many as it may have");
        let mut refused = Refusal(StatusCode::TOO_MANY_REQUESTS, reason).into_response();
        refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Ok(refused);
    }
    request.extensions_mut().insert(Caller(application));
    Ok(next.run(request).await)
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    task: String,
    #[serde(default)]
    arguments: Vec<Box<RawValue>>,
    #[serde(default, deserialize_with = "whole")]
    retries: u32,
    #[serde(default, deserialize_with = "whole")]
    timeout_ms: u32,
    #[serde(default, deserialize_with = "whole")]
    wait_ms: u32,
}

/// A number without a fraction, which JSON may write as `1.0`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
    let whole = number.as_u64().or_else(|| float().map(|float| float as u64));
    let whole = whole.and_then(|whole| u32::try_from(whole).ok());
    whole.ok_or_else(|| {
        let unexpected = Unexpected::Other("another number");
        D::Error::invalid_value(unexpected, &"a whole number from 0 to 4294967295")
    })
}

impl Submission {
    fn read(body: &[u8]) -> Result<Self, String> {
        let expected = "a JSON object is expected: {\"task\": \"crate::function\", \"arguments\": \
                        [1, \"two\"]}, and if wanted \"retries\", \"timeout_ms\", \"wait_ms\"";
        let read: Self =
            serde_json::from_slice(body).map_err(|error| format!("{expected}; {error}"))?;
        if read.task.is_empty() || read.task.chars().count() > NAME_CHARACTERS_MAX {
            return Err(format!("a task's name has 1 to {NAME_CHARACTERS_MAX} characters"));
        }
        Ok(read)
    }

    /// The arguments as one JSON value. Without any, it is what a function without any reads.
    fn payload(&self) -> Bytes {
        if self.arguments.is_empty() {
            return Bytes::from_static(b"null");
        }
        let texts: Vec<&str> = self.arguments.iter().map(|argument| argument.get()).collect();
        format!("[{}]", texts.join(",")).into()
    }
}

async fn submit(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
    body: Body,
) -> Result<Response, Refusal> {
    let late = |_| Refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned());
    let read = async {
        let _turn = service.desk.allowances[application].bodies.acquire().await;
        to_bytes(body, BODY_BYTES_MAX).await
    };
    let body = timeout(READ_TIMEOUT, read).await.map_err(late)?;
    let body = body.map_err(|_| {
        let reason = format!("a body of at most {BODY_BYTES_MAX} bytes is expected");
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, reason)
    })?;
    let submission =
        Submission::read(&body).map_err(|reason| Refusal(StatusCode::BAD_REQUEST, reason))?;
    let patience = patience(submission.wait_ms)?;
    let (retries, timeout_ms) = (submission.retries, submission.timeout_ms.into());
    let options = SpawnOptions { retries, timeout_ms, ..SpawnOptions::default() };
    let arguments = submission.payload();
    let jobs = &service.jobs[application];
    let id = jobs.submit(Order { task: submission.task, arguments, options })?;
    let job = jobs.wait(id, patience).await.ok_or_else(forgotten)?;
    let status = match job.state {
        State::Pending => StatusCode::ACCEPTED,
        State::Ended(_) => StatusCode::OK,
    };
    Ok((status, Json(Told::from(job))).into_response())
}

#[derive(Deserialize)]
struct Waiting {
    #[serde(default)]
    wait_ms: u32,
}

#[derive(Deserialize)]
struct Listing {
    limit: Option<usize>,
}

async fn look(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
    Path(id): Path<String>,
    waiting: Result<Query<Waiting>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Told>, Refusal> {
    let id = read_id(&id)?;
    let Query(Waiting { wait_ms }) = waiting.map_err(|error| bad_query(&error))?;
    let job = service.jobs[application].wait(id, patience(wait_ms)?).await;
    job.map(|job| Json(Told::from(job))).ok_or_else(forgotten)
}

async fn list(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
    listing: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<Told>>, Refusal> {
    let Query(Listing { limit }) = listing.map_err(|error| bad_query(&error))?;
    let count = limit.unwrap_or(LISTED);
    if count > LISTED_MAX {
        let reason = format!("`limit` is at most {LISTED_MAX}");
        return Err(Refusal(StatusCode::BAD_REQUEST, reason));
    }
    // Results may be large: they are told one by one.
    let told = service.jobs[application].list(count).into_iter();
    Ok(Json(told.map(|job| Told { result: None, ..Told::from(job) }).collect()))
}

async fn cancel(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let job = service.jobs[application].cancel(read_id(&id)?).ok_or_else(forgotten)?;
    let status = match job.state {
        State::Pending => StatusCode::ACCEPTED,
        State::Ended(_) => StatusCode::OK,
    };
    Ok((status, Json(Told::from(job))).into_response())
}

/// How the application is.
#[derive(Serialize)]
struct Summary {
    application: String,
    clients: usize,
    jobs_pending: usize,
    workers: u32,
    workers_starting: u32,
    tasks_running: u32,
    tasks_waiting: u32,
    tasks_ended: u64,
    launches: u64,
    worker_seconds: f64,
    task_seconds: f64,
    channels: u64,
    billed_seconds: f64,
    dollars: f64,
}

async fn stats(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
) -> Json<Summary> {
    let Overview { clients, stats, billed_ms, dollars, .. } = service.desk.look(application).await;
    Json(Summary {
        application: service.desk.applications[application].name.clone(),
        clients,
        jobs_pending: service.jobs[application].pending(),
        workers: stats.workers,
        workers_starting: stats.starting,
        tasks_running: stats.running,
        tasks_waiting: stats.pooled,
        tasks_ended: stats.ended,
        launches: stats.launches,
        worker_seconds: stats.workers_us as f64 / 1e6,
        task_seconds: stats.tasks_us as f64 / 1e6,
        channels: stats.channels,
        billed_seconds: billed_ms as f64 / 1e3,
        dollars,
    })
}

async fn runs(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
) -> Response {
    let runs = service.desk.look(application).await.runs;
    Json(runs.iter().map(|run| &**run).collect::<Vec<&Run>>()).into_response()
}

async fn show_metrics(
    Shared(service): Shared<Arc<Service>>,
    Extension(Caller(application)): Extension<Caller>,
) -> Response {
    let overview = service.desk.look(application).await;
    let name = &service.desk.applications[application].name;
    let text = metrics::write(name, service.jobs[application].pending(), &overview);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn health(Shared(service): Shared<Arc<Service>>) -> Result<Json<serde_json::Value>, Refusal> {
    if service.desk.is_stopping() {
        let reason = "the coordinator is stopping".to_owned();
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, reason));
    }
    Ok(Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })))
}

async fn describe() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// A job, as it is told.
#[derive(Serialize)]
struct Told {
    id: String,
    task: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Job> for Told {
    fn from(Job { id, task, state }: Job) -> Self {
        let (state, result, error) = match state {
            State::Pending => ("pending", None, None),
            State::Ended(outcome) => match &*outcome {
                // What a worker wrote is looked at before it becomes a part of an answer.
                Outcome::Returned(text) => match RawValue::from_string(text.clone()) {
                    Ok(result) => ("returned", Some(result), None),
                    Err(error) => ("panicked", None, Some(format!("no JSON came: {error}"))),
                },
                Outcome::Panicked(text) => ("panicked", None, Some(text.clone())),
                Outcome::Cancelled => ("cancelled", None, None),
                Outcome::DeadlineExceeded(ms) => {
                    ("deadline_exceeded", None, Some(format!("it ran longer than {ms} ms")))
                }
                Outcome::WorkerLost(cause) => ("worker_lost", None, Some(cause.clone())),
                Outcome::NeverStarted(why) => ("never_started", None, Some(why.clone())),
            },
        };
        Self { id: format!("{:032x}", id.0), task, state, result, error }
    }
}

fn patience(ms: u32) -> Result<Duration, Refusal> {
    let patience = Duration::from_millis(ms.into());
    let reason = || format!("`wait_ms` is at most {}", WAIT_MAX.as_millis());
    let allowed = (patience <= WAIT_MAX).then_some(patience);
    allowed.ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, reason()))
}

fn read_id(text: &str) -> Result<TaskId, Refusal> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
    let reason = || "a task's id has 32 hexadecimal digits".to_owned();
    number.map(TaskId).ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, reason()))
}

fn bad_query(error: &axum::extract::rejection::QueryRejection) -> Refusal {
    let text = error.body_text();
    Refusal(StatusCode::BAD_REQUEST, format!("`wait_ms` and `limit` are whole numbers: {text}"))
}

fn forgotten() -> Refusal {
    let reason = "there is no such task, or its outcome is not kept any more";
    Refusal(StatusCode::NOT_FOUND, reason.to_owned())
}
