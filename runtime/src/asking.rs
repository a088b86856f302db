//! What a program may ask of the whole.

use channels::wire::Stats;
use coordinator::bill::Report;

use crate::client::{current, here};

/// The number of the worker that runs the calling task, counted from 1, or `None` in the client.
///
/// ```
/// #[runtime::task]
/// async fn where_am_i() -> Option<u64> { runtime::current_worker() }
///
/// #[runtime::main]
/// async fn main() {
///     assert_eq!(runtime::current_worker(), None);
///     assert_eq!(runtime::spawn(where_am_i()).await.unwrap(), Some(1));
/// }
/// ```
pub fn current_worker() -> Option<u64> {
    here().and_then(|here| here.launch)
}

/// How the whole is: workers, tasks, and what was used so far. `None` outside of a runtime or when
/// the coordinator is lost.
///
/// # Cancel safety
///
/// Nothing is lost but the answer.
///
/// ```
/// #[runtime::main]
/// async fn main() {
///     let stats = runtime::stats().await.unwrap();
///     assert_eq!((stats.workers, stats.pooled), (0, 0));
/// }
/// ```
pub async fn stats() -> Option<Stats> {
    let node = current()?;
    node.inspect().await
}

/// What the run has cost by now: billed time and dollars of each worker, where they went, and what
/// the same tasks would have cost as conventional functions. `Display` makes a table of it, serde
/// JSON. `None` outside of a runtime or when the coordinator is lost.
///
/// Set `FARSPAWN_REPORT` to have it at the end of a program without a change to it.
///
/// # Cancel safety
///
/// Nothing is lost but the answer.
///
/// ```
/// #[runtime::task]
/// async fn one() -> u8 { 1 }
///
/// #[runtime::main]
/// async fn main() {
///     runtime::spawn(one()).await.unwrap();
///     let report = runtime::report().await.unwrap();
///     assert_eq!((report.tasks, report.invocations), (1, 1));
///     assert!(report.dollars > 0.0 && report.prices.region == "eu-west-3");
///     println!("{report}");
/// }
/// ```
pub async fn report() -> Option<Report> {
    let report = current()?.bill().await?;
    serde_json::from_slice(&report).ok()
}
