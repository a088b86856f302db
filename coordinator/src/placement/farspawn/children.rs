//! Tasks that workers begin by themselves: a task that waits for what it spawned leaves its place
//! to it.

use super::*;
use crate::placement::farspawn::profile::MEMORY_PART;

impl Farspawn {
    /// As many as a worker may be full with, and none while others should come first there: when it
    /// is to end, is kept for one task, or has no memory left.
    pub(super) fn seats_of(&mut self, number: WorkerNo) -> u32 {
        let may = self.has(Element::LocalStart) && self.has(Element::Push);
        let fill = self.tuning.fill;
        let Some(worker) = at(&mut self.workers, number.0) else { return 0 };
        let has_memory = worker.memory_kept() < MEMORY_PART * worker.free_memory();
        if !may || worker.stage != Stage::Open || worker.is_sealed || !has_memory {
            return 0;
        }
        (worker.shape.cores * fill).max(1.0) as u32
    }

    /// One of them is there for longer. It holds what its kind does, whatever the limits say.
    pub(super) fn on_began(&mut self, number: TaskNo, spawned: Spawned, worker: WorkerNo) {
        let Spawned { kind, parent, app } = spawned;
        let above = parent.and_then(|parent| at(&mut self.tasks, parent.0));
        let depth = above.map_or(0, |above| above.depth.saturating_add(1));
        let holds = self.profiles.get(kind).need.hold();
        let Some(place) = at(&mut self.workers, worker.0) else { return };
        let load = place.cpu_load().max(place.network_load()) as f32;
        place.tasks += 1;
        place.cpu += f64::from(holds.cpu);
        place.network += f64::from(holds.network);
        place.memory += f64::from(holds.memory);
        place.idle_since = None;
        let task = Task {
            kind,
            app,
            depth,
            place: Place::default(),
            worker: Some(worker),
            holds,
            load,
            exceeds: false,
            children: None,
            parent,
        };
        put(&mut self.tasks, number.0, task);
        self.resident.share += f64::from(holds.share);
        self.resident.work += f64::from(holds.work);
        self.resident.count += 1;
        self.reorder(worker);
    }

    /// Some have ended: what they took on the average says as much as one run.
    pub(super) fn on_tallied(&mut self, kind: KindNo, worker: WorkerNo, usage: &Usage) {
        let Some(place) = at(&mut self.workers, worker.0) else { return };
        let load = place.cpu_load().max(place.network_load());
        self.relearn(kind, |profiles| profiles.learn(kind, usage, load));
    }

    /// Something is learned of a kind, and what the pool will take changes with it.
    pub(super) fn relearn(&mut self, kind: KindNo, learn: impl FnOnce(&mut Profiles)) {
        let (old, pooled) = {
            let profile = self.profiles.get(kind);
            (profile.need, f64::from(profile.pooled))
        };
        learn(&mut self.profiles);
        let new = self.profiles.get(kind).need;
        self.pooled.share += pooled * (new.share - old.share);
        self.pooled.work += pooled * (new.work - old.work);
    }
}
