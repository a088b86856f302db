//! What whoever asks a server is told.

#![cfg_attr(not(feature = "service"), expect(dead_code, reason = "only the service asks"))]

use channels::wire::Stats;

use super::Server;
use crate::bill::Report;
use crate::scheduler::Health;

/// How the whole is at one moment, and what it has cost by then.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) stats: Stats,
    pub(crate) report: Report,
    pub(crate) workers: Vec<Health>,
}

impl Server {
    pub(super) fn look(&self) -> Seen {
        let now = self.started.elapsed();
        let (stats, report) = (self.core.stats(now), self.core.report(now));
        Seen { stats, report, workers: self.core.health(now) }
    }
}
