//! Frames that ask, and change nothing: of a channel, of the whole, and whether all sleep.

use std::time::Duration;

use channels::id::SessionId;
use channels::wire::{Frame, Role};

use crate::relay::Violation;
use crate::{Command, Coordinator};

impl Coordinator {
    /// A node asks, and nothing changes.
    pub(crate) fn on_question(
        &mut self,
        now: Duration,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Measure { channel, operation } => {
                self.relay.measure(session, channel, operation, commands)
            }
            Frame::Survey { operation, cases } => {
                self.relay.survey(session, operation, &cases, commands)
            }
            // Frames of a session are taken in one after the other, so all before it are.
            Frame::Flush { operation } => {
                commands.push(Command::send(session, Frame::Flushed { operation }));
                Ok(())
            }
            Frame::Inspect { operation } => {
                let stats = self.stats(now);
                commands.push(Command::send(session, Frame::Inspected { operation, stats }));
                Ok(())
            }
            Frame::Bill { operation } => {
                let report = serde_json::to_vec(&self.report(now));
                // Numbers, texts and lists: nothing that JSON has not.
                let report = report.unwrap_or_default().into();
                commands.push(Command::send(session, Frame::Billed { operation, report }));
                Ok(())
            }
            other => self.on_sleep(now, session, other, commands),
        }
    }

    /// What concerns deadlocks.
    fn on_sleep(
        &mut self,
        now: Duration,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Suspect {} if self.scheduler.is_at_rest() => {
                self.vigil.on_suspect(now, self.sessions.keys().copied(), commands);
            }
            Frame::Suspect {} => {}
            Frame::Awake { round } => self.vigil.on_awake(round),
            Frame::Asleep { round, report } => {
                let found = self.vigil.on_asleep(session, round, report);
                let mut sessions = self.sessions.iter();
                let client = sessions.find(|(_, at)| matches!(at.role, Role::Client { .. }));
                if let (Some(report), Some((client, _))) = (found, client) {
                    commands.push(Command::send(*client, Frame::Deadlock { report }));
                }
            }
            other => return self.on_departure(now, session, other, commands),
        }
        Ok(())
    }
}
