//! How an application is, as Prometheus reads it (text format 0.0.4).

use std::fmt::Write;

use super::desk::Overview;
use super::quota::Quota;

/// One application's metrics.
pub(super) fn write(application: &str, jobs: usize, overview: &Overview) -> String {
    let Overview { clients, stats, usage, billed_ms, dollars, .. } = overview;
    let seconds = |us: u64| us as f64 / 1e6;
    let gauges = [
        ("clients", "Clients that are connected, or may resume.", *clients as f64),
        ("jobs_pending", "Tasks that came over HTTP and have not ended.", jobs as f64),
        ("workers", "Workers that are there.", f64::from(stats.workers)),
        ("workers_starting", "Workers launched that have not said hello.", stats.starting.into()),
        ("tasks_running", "Tasks on workers.", stats.running.into()),
        ("tasks_waiting", "Tasks that wait for a worker.", stats.pooled.into()),
        ("connections", "Connections of clients and workers.", usage.connections as f64),
        ("http_connections", "HTTP connections.", usage.http_connections as f64),
        ("tasks", "Tasks that wait or run, as --tasks counts them.", usage.load.tasks as f64),
        ("memory_bytes", "What --memory-mb counts.", usage.load.bytes as f64),
        ("in_transit_bytes", "Values on their way.", usage.load.in_transit as f64),
        ("channels", "Channels whose home is the coordinator.", stats.channels as f64),
    ];
    let counters = [
        ("tasks_ended", "Tasks that ended, however.", stats.ended as f64),
        ("launches", "Workers launched; on Lambda, invocations.", stats.launches as f64),
        ("worker_seconds", "Time that workers were there.", seconds(stats.workers_us)),
        ("task_seconds", "Time that tasks ran.", seconds(stats.tasks_us)),
        ("billed_seconds", "Time that workers are billed for.", *billed_ms as f64 / 1e3),
        ("dollars", "What workers have cost, their requests included.", *dollars),
    ];
    let mut text = String::new();
    let mut add = |name: &str, kind: &str, help: &str, value: f64| {
        // Writing to a string cannot fail.
        write!(
            text,
            "# HELP farspawn_{name} {help}\n# TYPE farspawn_{name} {kind}\n\
             farspawn_{name}{{application=\"{application}\"}} {value}\n"
        )
        .ok();
    };
    for (name, help, value) in gauges {
        add(name, "gauge", help, value);
    }
    for (name, help, value) in counters {
        add(&format!("{name}_total"), "counter", help, value);
    }
    write!(
        text,
        "# HELP farspawn_excesses_total How often there was more than it may have.\n\
         # TYPE farspawn_excesses_total counter\n"
    )
    .ok();
    for ((_, quota), count) in Quota::ALL.iter().zip(usage.excesses) {
        let labels = format!("application=\"{application}\",quota=\"{quota}\"");
        writeln!(text, "farspawn_excesses_total{{{labels}}} {count}").ok();
    }
    text
}
