//! A node leaves of its own will.
//!
//! A worker whose time is nearly over, or that was told by its platform to end, is *working* ->
//! *leaving* (it said so, and was told that no task will come any more; what came before that and
//! was not begun comes back) -> *gone*, by goodbye. If it says goodbye with tasks under way it is
//! fenced: they were cut off in the middle, so what they had open is lost, and not closed. Before
//! that it says of each how long it ran: one that came late may run again, and is none the worse
//! for it; one that had the worker's whole time would never end, and fails.

use std::time::Duration;

use channels::id::SessionId;
use channels::wire::{Frame, Role};

use crate::relay::Violation;
use crate::task::CutOff;
use crate::{Command, Coordinator};

impl Coordinator {
    /// What a node says on its way out.
    pub(crate) fn on_departure(
        &mut self,
        now: Duration,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Draining { reason } => {
                let Some(known) = self.sessions.get_mut(&session) else { return Ok(()) };
                if matches!(known.role, Role::Client { .. }) {
                    return Err(Violation::Unexpected("Draining"));
                }
                known.leaving = Some(reason);
                self.scheduler.on_draining(now, session);
                commands.push(Command::send(session, Frame::Shutdown {}));
                Ok(())
            }
            Frame::Unstarted { task, attempt, arguments } => {
                let (scheduler, relay) = (&mut self.scheduler, &mut self.relay);
                scheduler.on_unstarted(now, session, (task, attempt), arguments, relay, commands)
            }
            Frame::CutOff { task, attempt, ran_ms, life_ms } => {
                let [ran, life] = [ran_ms, life_ms].map(Duration::from_millis);
                self.scheduler.on_cut_off(session, (task, attempt), CutOff { ran, life });
                Ok(())
            }
            other => self.relay.on_lending(session, other, commands),
        }
    }

    pub(crate) fn on_goodbye(
        &mut self,
        now: Duration,
        session: SessionId,
        commands: &mut Vec<Command>,
    ) {
        if self.scheduler.has_tasks(session) {
            let known = self.sessions.get(&session);
            let reason = known.and_then(|known| known.leaving.as_deref());
            let reason = reason.unwrap_or("it did not say why");
            let cause = format!("it left with tasks under way: {reason}");
            return self.cut(now, session, cause, commands);
        }
        self.relay.leave(session, commands);
        self.forget(now, session, "the worker left", commands);
        commands.push(Command::Close { session, reason: "goodbye".to_owned() });
    }
}
