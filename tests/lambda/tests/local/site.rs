//! A client, its coordinator, and a local Lambda that runs this test program as a function.

use std::env;
use std::future::{Future, ready};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lambda_local::{ACCESS_KEY, Function, Invocation, LocalLambda, Outcome, SECRET_KEY};
use runtime::platform::aws::{Aws, Options};
use runtime::{Builder, Place, Runtime};
use tokio::time::{Instant, sleep};

/// A function that runs this program as a worker.
pub(crate) fn function() -> Function {
    let program = env::current_exe().expect("a running program has a path");
    let mut function = Function::new("worker", program);
    function.arguments = ["worker_process", "--exact", "--nocapture"].map(Into::into).to_vec();
    function
}

/// How the coordinator reaches a local Lambda.
pub(crate) fn options(lambda: &LocalLambda) -> Options {
    let credentials = Some((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned()));
    let endpoint = Some(lambda.endpoint().to_owned());
    Options { endpoint, credentials, ..Options::new("worker") }
}

/// Runs a test's body with workers on a Lambda of its own; one task to each as far as they go. A
/// body that hangs fails instead. What the function is told goes besides the coordinator's address.
pub(crate) fn on_lambda<F: Future>(
    function: Function,
    builder: Builder,
    body: impl FnOnce(Arc<LocalLambda>) -> F,
) -> F::Output {
    on_lambda_with(function, builder, |_| {}, body)
}

/// The same, with other options of the platform.
pub(crate) fn on_lambda_with<F: Future>(
    function: Function,
    builder: Builder,
    adjust: fn(&mut Options),
    body: impl FnOnce(Arc<LocalLambda>) -> F,
) -> F::Output {
    let slot = Arc::<OnceLock<Arc<LocalLambda>>>::default();
    let made = slot.clone();
    let builder = builder.platform(move |address| {
        let mut function = function.clone();
        function.environment.push(("FARSPAWN_COORDINATOR".to_owned(), address.to_owned()));
        let lambda = Arc::new(LocalLambda::start(function)?);
        let mut options = options(&lambda);
        adjust(&mut options);
        made.set(lambda).ok();
        Ok(Box::new(Aws::connect(options).map_err(std::io::Error::other)?))
    });
    let runtime = builder.build().expect("loopback works");
    let lambda = slot.get().expect("it was made").clone();
    let output = runtime.block_on(async {
        let limit = Duration::from_secs(90);
        tokio::time::timeout(limit, body(lambda)).await.expect("it does not hang")
    });
    drop(runtime);
    output
}

/// Up to so many workers, each of which ends soon when it has nothing to do.
pub(crate) fn workers(workers: usize) -> Builder {
    let builder = Runtime::builder().workers(workers).place(Place::Apart);
    builder.idle_timeout(Duration::from_millis(50))
}

/// Waits until something holds that nobody announces, such as the end of an invocation.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !ready(holds()).await {
        assert!(started.elapsed() < Duration::from_secs(30), "after 30 s still not: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// What an invocation answered. It must have.
pub(crate) fn answer(invocation: &Invocation) -> serde_json::Value {
    match &invocation.outcome {
        Outcome::Answered(text) => serde_json::from_str(text).expect("the answer is JSON"),
        other => panic!("{other:?}"),
    }
}
