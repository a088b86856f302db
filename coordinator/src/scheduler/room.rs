//! What tasks, channels and values take together, and what they may take.

use super::Scheduler;
use crate::limits::{Load, Room};
use crate::relay::Relay;

/// What a task takes, about, besides its channel and its arguments.
const TASK_BYTES: usize = 512;

impl Scheduler {
    /// Why a task that has just come cannot be kept.
    pub(super) fn has_no_room(&self, relay: &Relay) -> Option<String> {
        let (Room(room), load) = (self.room, self.load(relay));
        if load.tasks > room.tasks {
            return Some(format!("as many tasks are under way as may be, here {}", room.tasks));
        }
        let text =
            || format!("values, tasks and channels take as much as they may, here {}", room.bytes);
        (load.bytes > room.bytes).then(text)
    }

    /// What tasks and channels take.
    pub fn load(&self, relay: &Relay) -> Load {
        let tasks = self.tasks.len();
        Load { tasks, bytes: relay.bytes().saturating_add(tasks * TASK_BYTES), in_transit: 0 }
    }

    /// What they may take from now on.
    pub fn limit(&mut self, room: Room) {
        self.room = room;
    }

    /// Whether they take more, and what.
    pub fn excess(&self, relay: &Relay) -> Option<String> {
        let (Room(room), load) = (self.room, self.load(relay));
        let text = || {
            format!(
                "values, tasks and channels take more than {} bytes here, and it has the most",
                room.bytes
            )
        };
        (load.bytes > room.bytes).then(text)
    }
}
