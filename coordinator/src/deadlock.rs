//! Whether everything everywhere is asleep for good: the report of deadlocks (C54).
//!
//! States: *calm* -> *asking* (a round: every session was asked, not all have answered) -> *calm*,
//! with a deadlock found or not.
//!
//! A node answers `Asleep` when all that uses channels in its process sleeps, and no waker of it is
//! held by anything but a channel. So only a frame from here can wake it. All frames between
//! processes pass here, and each link keeps their order. Therefore one round is enough: say that
//! every session has answered `Asleep`, and that between the first question and the last answer
//! nothing passed that could wake anybody. What was sent to a node before the question it had taken
//! in before it answered, and nothing was sent after; what it had sent itself has come before its
//! answer, and asleep it sends nothing more. So at the last answer all sleep, nothing is under way,
//! and nobody is left to change that.
//!
//! What passes ends the round: any frame but heartbeats, reports and those of the round itself, any
//! change of the sessions, and any command to a node or to the platform. A node that does not
//! answer holds the round open until it is fenced, which is such a change.
//!
//! A round may cost every task of the program a poll (a node that knows why it is awake answers at
//! once); so after one in vain the next waits longer, unless something has passed since.

use std::collections::BTreeMap;
use std::time::Duration;

use channels::id::SessionId;
use channels::wire::{Frame, TEXT_BYTES_MAX};

use crate::{Command, Event};

/// Between the ends of two rounds without traffic, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Rounds of questions, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Vigil {
    round: u64,
    /// Who was asked, and the reports of those who have answered; none while calm.
    asked: Option<BTreeMap<SessionId, Option<String>>>,
    /// No round before this time, unless something passes.
    not_before: Duration,
    pause: Duration,
}

impl Vigil {
    /// The client suspects a deadlock.
    pub(crate) fn on_suspect(
        &mut self,
        now: Duration,
        sessions: impl Iterator<Item = SessionId>,
        commands: &mut Vec<Command>,
    ) {
        if self.asked.is_some() || now < self.not_before {
            return;
        }
        self.pause = (2 * self.pause).clamp(PAUSE_MIN, PAUSE_MAX);
        self.not_before = now + self.pause;
        self.round += 1;
        let asked: BTreeMap<_, _> = sessions.map(|session| (session, None)).collect();
        let probe =
            |session: &SessionId| Command::send(*session, Frame::Probe { round: self.round });
        commands.extend(asked.keys().map(probe));
        self.asked = Some(asked);
    }

    /// Something passed.
    pub(crate) fn on_traffic(&mut self) {
        self.asked = None;
        self.pause = Duration::ZERO;
        self.not_before = Duration::ZERO;
    }

    /// A node is awake.
    pub(crate) fn on_awake(&mut self, round: u64) {
        if round == self.round {
            self.asked = None;
        }
    }

    /// A node is asleep. If it was the last to say so there is a deadlock: this is the report.
    pub(crate) fn on_asleep(
        &mut self,
        session: SessionId,
        round: u64,
        report: String,
    ) -> Option<String> {
        let asked = self.asked.as_mut().filter(|_| round == self.round)?;
        *asked.get_mut(&session)? = Some(report);
        if asked.values().any(Option::is_none) {
            return None;
        }
        let reports = self.asked.take()?.into_values().flatten();
        Some(join(&reports.collect::<Vec<_>>()))
    }
}

/// The lines of several reports, as many as fit into a frame.
fn join(reports: &[String]) -> String {
    let mut lines = reports.iter().flat_map(|report| report.lines());
    let mut joined = String::new();
    for line in lines.by_ref() {
        if joined.len() + line.len() > TEXT_BYTES_MAX - 64 {
            joined += &format!("and {} more lines\n", 1 + lines.count());
            break;
        }
        joined += line;
        joined.push('\n');
    }
    joined
}

/// Whether an event cannot lead to anything that wakes a node.
pub(crate) fn is_calm_event(event: &Event) -> bool {
    match event {
        Event::Tick | Event::Wake | Event::Heard { .. } | Event::LaunchQueued { .. } => true,
        Event::Received { frame, .. } => matches!(
            frame,
            Frame::Heartbeat {}
                | Frame::Report { .. }
                | Frame::Measures { .. }
                | Frame::Tally { .. }
                | Frame::Began { .. }
                | Frame::Suspect {}
                | Frame::Asleep { .. }
                | Frame::Awake { .. }
        ),
        _ => false,
    }
}

/// Whether a command wakes nobody.
pub(crate) fn is_calm_command(command: &Command) -> bool {
    let Command::Send { frame, .. } = command else { return false };
    matches!(
        frame,
        Frame::Heartbeat {} | Frame::Probe { .. } | Frame::Deadlock { .. } | Frame::Seats { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(7);

    fn asked(vigil: &mut Vigil, now: Duration, sessions: &[u64]) -> Option<u64> {
        let mut commands = Vec::new();
        vigil.on_suspect(now, sessions.iter().copied().map(SessionId), &mut commands);
        assert!(commands.is_empty() || commands.len() == sessions.len(), "all are asked or none");
        assert!(commands.iter().all(is_calm_command));
        (!commands.is_empty()).then_some(vigil.round)
    }

    fn asleep(vigil: &mut Vigil, session: u64, round: u64) -> Option<String> {
        vigil.on_asleep(SessionId(session), round, format!("node {session}\n"))
    }

    #[test]
    fn the_last_who_is_asleep_makes_it_a_deadlock() {
        let mut vigil = Vigil::default();
        let round = asked(&mut vigil, NOW, &[1, 2]).unwrap();
        assert_eq!(asked(&mut vigil, NOW, &[1, 2]), None, "one round at a time");
        assert_eq!(asleep(&mut vigil, 2, round), None);
        assert_eq!(asleep(&mut vigil, 2, round), None, "once is enough");
        assert_eq!(asleep(&mut vigil, 3, round), None, "it was not asked");
        assert_eq!(asleep(&mut vigil, 1, round).as_deref(), Some("node 1\nnode 2\n"));
        assert_eq!(asleep(&mut vigil, 1, round), None, "it was told");
    }

    #[test]
    fn traffic_and_whoever_is_awake_end_the_round() {
        let mut vigil = Vigil::default();
        let round = asked(&mut vigil, NOW, &[1, 2]).unwrap();
        asleep(&mut vigil, 1, round);
        vigil.on_traffic();
        assert_eq!(asleep(&mut vigil, 2, round), None);
        let next = asked(&mut vigil, NOW, &[1, 2]).unwrap();
        assert_eq!(asleep(&mut vigil, 1, round), None, "an answer to the round before");
        vigil.on_awake(round);
        assert_eq!(asleep(&mut vigil, 2, next), None);
        vigil.on_awake(next);
        assert_eq!(asleep(&mut vigil, 1, next), None, "the other was awake");
    }

    #[test]
    fn rounds_in_vain_become_rare_until_something_passes() {
        let mut vigil = Vigil::default();
        let rounds = (0..600).filter(|second| {
            let round = asked(&mut vigil, Duration::from_secs(*second), &[1]);
            round.inspect(|round| vigil.on_awake(*round)).is_some()
        });
        let rounds = rounds.count();
        assert!((70..90).contains(&rounds), "{rounds} rounds in ten minutes");
        vigil.on_traffic();
        assert!(asked(&mut vigil, Duration::from_secs(600), &[1]).is_some());
    }

    #[test]
    fn a_long_report_is_cut_at_a_line() {
        let reports = vec!["waits somewhere\n".repeat(2000); 5];
        let joined = join(&reports);
        assert!(joined.len() <= TEXT_BYTES_MAX, "{}", joined.len());
        assert!(joined.ends_with("more lines\n"), "{}", &joined[joined.len() - 40..]);
    }
}
