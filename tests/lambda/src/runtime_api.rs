//! The Runtime API of one environment: what `lambda_runtime` in the worker speaks to.
//!
//! A worker *asks* for the next event, and its request is held until there is one. A request whose
//! connection is gone is passed over, so that no event is given to a dead socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use tokio::sync::{Notify, oneshot};

use crate::http::{Asked, Said, say, with};

/// What a worker is given.
pub(crate) struct Delivery {
    pub(crate) request: String,
    pub(crate) arn: String,
    pub(crate) deadline: SystemTime,
    pub(crate) payload: Bytes,
}

/// What a worker answered: its response, or its error.
pub(crate) type Answer = Result<String, String>;

/// One environment's Runtime API.
#[derive(Default)]
pub(crate) struct RuntimeApi {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Requests for the next event.
    asking: VecDeque<oneshot::Sender<Delivery>>,
    /// Events under way.
    pending: BTreeMap<String, oneshot::Sender<Answer>>,
    /// An extension was registered: then SIGTERM is sent before the end.
    has_extension: bool,
    init_error: Option<String>,
}

impl RuntimeApi {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has_extension(&self) -> bool {
        self.state().has_extension
    }

    /// Waits until the worker asks for an event, or says that it cannot start.
    pub(crate) async fn asked(&self) -> Result<(), String> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                state.asking.retain(|asking| !asking.is_closed());
                if let Some(error) = &state.init_error {
                    return Err(error.clone());
                }
                if !state.asking.is_empty() {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// Gives an event to a worker that asks. The answer comes later, if it does.
    pub(crate) fn give(&self, mut delivery: Delivery) -> Option<oneshot::Receiver<Answer>> {
        let mut state = self.state();
        let (answer, answered) = oneshot::channel();
        let request = delivery.request.clone();
        while let Some(asking) = state.asking.pop_front() {
            match asking.send(delivery) {
                Ok(()) => {
                    state.pending.insert(request, answer);
                    return Some(answered);
                }
                Err(refused) => delivery = refused,
            }
        }
        None
    }

    /// Answers one request of the worker.
    pub(crate) async fn answer(self: Arc<Self>, asked: Asked) -> Said {
        match asked.route() {
            ("GET", path) if path[..] == ["2018-06-01", "runtime", "invocation", "next"] => {
                self.next().await
            }
            ("POST", path) if path.starts_with(&["2018-06-01", "runtime", "invocation"]) => {
                match path[3..] {
                    [request, "response"] => self.conclude(request, Ok(text(&asked))),
                    [request, "error"] => self.conclude(request, Err(text(&asked))),
                    _ => say(404, "{}"),
                }
            }
            ("POST", path) if path[..] == ["2018-06-01", "runtime", "init", "error"] => {
                self.state().init_error = Some(text(&asked));
                self.changed.notify_waiters();
                say(202, "{}")
            }
            ("POST", path) if path[..] == ["2020-01-01", "extension", "register"] => {
                self.state().has_extension = true;
                let body = r#"{"functionName":"","functionVersion":"$LATEST","handler":""}"#;
                with(say(200, body), "lambda-extension-identifier", "extension-1")
            }
            // No event was subscribed to.
            ("GET", path) if path[..] == ["2020-01-01", "extension", "event", "next"] => {
                std::future::pending().await
            }
            _ => say(404, "{}"),
        }
    }

    async fn next(&self) -> Said {
        let (ask, given) = oneshot::channel();
        self.state().asking.push_back(ask);
        self.changed.notify_waiters();
        let Ok(Delivery { request, arn, deadline, payload }) = given.await else {
            return say(410, "{}");
        };
        let since = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let said = with(say(200, payload), "lambda-runtime-aws-request-id", &request);
        let said = with(said, "lambda-runtime-deadline-ms", &since.as_millis().to_string());
        with(said, "lambda-runtime-invoked-function-arn", &arn)
    }

    fn conclude(&self, request: &str, answer: Answer) -> Said {
        match self.state().pending.remove(request) {
            Some(pending) => {
                pending.send(answer).ok();
                say(202, "{}")
            }
            None => say(400, r#"{"errorType":"InvalidRequestID"}"#),
        }
    }
}

fn text(asked: &Asked) -> String {
    String::from_utf8_lossy(&asked.body).into_owned()
}
