//! The bar while the job runs: images done, rate, tasks running and workers. Without a terminal it
//! is silent.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use runtime::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use super::pipeline::Row;

/// How often the coordinator is asked for its figures.
const TICK: Duration = Duration::from_millis(200);

/// Shows the bar until the last row has come.
pub(crate) async fn show(total: usize, rows: Receiver<Row>, terminal: bool) {
    let bar = if terminal { bar(total) } else { ProgressBar::hidden() };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            row = rows.recv() => match row {
                Ok(_) => bar.inc(1),
                Err(_) => break,
            },
            _ = ticks.tick(), if terminal => {
                let stats = runtime::stats().await.unwrap_or_default();
                let workers = stats.workers + stats.starting;
                bar.set_message(format!("{} tasks on {workers} workers", stats.running));
            }
        }
    }
    bar.finish_and_clear();
}

fn bar(total: usize) -> ProgressBar {
    let bar = match total {
        usize::MAX => ProgressBar::no_length(),
        total => ProgressBar::new(total as u64),
    };
    let style =
        ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {per_sec:.1} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
