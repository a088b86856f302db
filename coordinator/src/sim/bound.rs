//! What no policy can beat: bounds of cost and time that follow from the work alone.
//!
//! Each holds by itself, so the largest does: all CPU time at full use of whole workers, all bytes
//! at full use of their networks, all memory, the longest task, and, if the client keeps only so
//! many tasks under way, those tasks one after the other. Latency is ignored, so that at low load
//! the bound of the cost cannot be reached without making tasks wait for company.

use super::model::Model;
use super::workload::{Client, Workload};

/// The least that a workload can take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bound {
    /// Dollars, at least one request included.
    pub dollars: f64,
    /// From the first request to the last result.
    pub makespan: f64,
}

/// The bound of a workload with at most so many workers.
pub fn bound(model: &Model, workload: &Workload, workers_max: usize) -> Bound {
    let shape = model.shape();
    let connection = model.network.1;
    let mut sums = [0.0; 4];
    let (mut longest, mut least_waiting, mut last_end) = (0.0_f64, f64::MAX, 0.0_f64);
    for job in &workload.jobs {
        let work = &job.work;
        let alone = work.alone(connection);
        sums[0] += f64::from(work.cpu);
        // What stages hand over may stay within a worker.
        let (read, written) = (
            if job.is_second { 0.0 } else { work.read },
            if job.hands_over.is_some() { 0.0 } else { work.written },
        );
        sums[1] += f64::from(read + written);
        sums[2] += f64::from(work.memory) * alone;
        sums[3] += alone;
        let is_staged = job.is_second || job.hands_over.is_some();
        longest = longest.max(if is_staged { f64::from(work.cpu) } else { alone });
        least_waiting = least_waiting.min(alone - f64::from(work.cpu));
        last_end = last_end.max(job.arrival + f64::from(work.cpu));
    }
    let [cpu, bytes, memory, alone] = sums;
    let free = (shape.memory - shape.memory_base) as f64;
    let window = match workload.client {
        Client::Window(window) => alone / window as f64,
        Client::Open => 0.0,
    };
    let workers = [cpu / shape.cores, bytes / shape.network, memory / free, window, longest];
    let worker_seconds = workers.into_iter().fold(0.0, f64::max);
    let per_second = model.prices.per_ms(model.architecture, model.memory_mb) * 1000.0;
    let at_once = workers_max.max(1) as f64;
    let waiting = if least_waiting < f64::MAX { least_waiting } else { 0.0 };
    let times =
        [longest, window, cpu / (shape.cores * at_once) + waiting, bytes / shape.network / at_once];
    Bound {
        dollars: worker_seconds * per_second + model.prices.requests(1),
        makespan: times.into_iter().fold(last_end, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::workload::Load;

    /// SCHEDULER's limits for a hundred thumbnails at 10240 MB: 16.7 $ a million by CPU.
    #[test]
    fn of_the_papers_test() {
        let model = Model::default();
        let open = Load::Burst.generate(1, 100, 0.6);
        let bound_b = bound(&model, &open, 8);
        assert!((bound_b.dollars * 1e4 - 16.7).abs() < 0.8, "{bound_b:?}");
        assert!((bound_b.makespan - 1.45).abs() < 0.1, "{bound_b:?}");
        let window = Workload { client: Client::Window(8), ..open };
        let bound_a = bound(&model, &window, 1000);
        assert!((bound_a.makespan - 10.2).abs() < 0.3, "{bound_a:?}");
    }
}
