//! The coordinator: it decides where tasks run, and it is the home of every channel whose ends are
//! in different processes.
//!
//! [`Coordinator::handle`] is the one door: an [`Event`] and the time go in, [`Command`]s come out.
//! It has no socket, no clock and no thread, so that a simulation can drive it. [`server`] is the
//! shell around it: sockets, processes, time.
//!
//! # The walk of a task
//!
//! `Spawn` frame -> [`server`] -> here -> [`scheduler`] (the request pool) -> [`placement`] (a
//! policy, such as Algorithm 1) -> a `Run` frame, or a `Launch` for the [`platform`] first -> the
//! worker -> `Finished` -> [`scheduler`] -> [`relay`]: the outcome is the one message on the task's
//! result channel.
//!
//! # Architecture invariants
//!
//! - Nothing here decodes what users send.
//! - Only `placement` says whether a worker gets a task. Only `platform` starts workers.
//! - A session outlives its links: a broken one changes nothing here, for frames to it wait in the
//!   shell. It ends when it is silent for the lease, breaks a rule, says goodbye, or its process is
//!   known to be dead; then it is forgotten in one step, and nothing of it is seen afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use channels::chunks::Inbox;
use channels::id::SessionId;
use channels::wire::{Build, Frame, PROTOCOL_VERSION, Place, Role, Stats};

pub mod bill;
mod deadlock;
mod departure;
#[cfg(feature = "service")]
pub mod doctor;
mod event;
mod limits;
pub mod placement;
pub mod platform;
mod policy;
pub mod price;
mod question;
pub mod relay;
pub mod scheduler;
pub mod server;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "cli")]
pub mod sim;
mod task;
#[cfg(feature = "tls")]
pub mod trust;

use bill::{Report, Tariff};
use deadlock::Vigil;
pub use event::{Command, Event};
pub use limits::{Limits, Load, Room};
use relay::{Relay, Violation};
use scheduler::{Health, Policy, Scheduler, Spawn, Totals};

/// What the coordinator is told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How tasks are placed.
    pub policy: Policy,
    /// Silence after which a node is fenced.
    pub lease: Duration,
    /// What each session may have here.
    pub limits: Limits,
    /// How workers are billed.
    pub tariff: Tariff,
}

impl Default for Settings {
    /// A lease of ten seconds.
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            lease: Duration::from_secs(10),
            limits: Limits::default(),
            tariff: Tariff::default(),
        }
    }
}

/// The pure coordinator.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions from now on are of this one: it goes up with each fence.
    epoch: u64,
    scheduler: Scheduler,
    relay: Relay,
    vigil: Vigil,
}

#[derive(Debug)]
struct Session {
    role: Role,
    /// None if it is whatever the others are.
    build: Option<Build>,
    heard: Duration,
    spoke: Duration,
    /// Large values that come in pieces.
    incoming: Inbox,
    /// Why it will leave, if it said so.
    leaving: Option<String>,
}

impl Coordinator {
    /// A coordinator without sessions.
    pub fn new(settings: Settings) -> Self {
        let scheduler = Scheduler::new(settings.policy.clone(), settings.tariff.clone());
        let (sessions, relay) = (BTreeMap::new(), Relay::new(settings.limits));
        let vigil = Vigil::default();
        Self { settings, sessions, epoch: 1, scheduler, relay, vigil }
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.scheduler.totals()
    }

    /// What the run of the present client, or of the last one, has cost by now.
    pub fn report(&self, now: Duration) -> Report {
        self.scheduler.report(now)
    }

    /// When it wants [`Event::Wake`], if it does: sooner than a tick, for the policy.
    pub fn wake_at(&self) -> Option<Duration> {
        self.scheduler.wake_at()
    }

    /// How each worker is, by its own last word.
    pub fn health(&self, now: Duration) -> Vec<Health> {
        self.scheduler.health(now)
    }

    /// How the whole is.
    pub fn stats(&self, now: Duration) -> Stats {
        self.scheduler.stats(now, self.relay.channels())
    }

    /// How many channels have their home here.
    pub fn channels(&self) -> usize {
        self.relay.channels()
    }

    /// What its sessions have together.
    pub fn load(&self) -> Load {
        self.scheduler.load(&self.relay)
    }

    /// What they may have from now on.
    pub fn limit(&mut self, room: Room) {
        self.scheduler.limit(room);
    }

    /// What came of values that are not whole yet, in bytes.
    pub fn incoming(&self) -> usize {
        self.sessions.values().map(|session| session.incoming.bytes()).sum()
    }

    /// Takes one event in; what is to be done is added to `commands`, in order. `now` is the time
    /// since the start, and never goes back.
    pub fn handle(&mut self, now: Duration, event: Event, commands: &mut Vec<Command>) {
        let from = commands.len();
        let is_calm = deadlock::is_calm_event(&event);
        match event {
            Event::Connected { session, version, build, role } => {
                self.on_connected(now, session, version, build, role, commands);
            }
            Event::Attached { session } => self.on_attached(now, session, commands),
            Event::Received { session, frame } => self.on_received(now, session, frame, commands),
            Event::Heard { session } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.heard = now;
                }
            }
            Event::Lost { session, cause } => self.fence(now, session, &cause, commands),
            Event::LaunchEnded { launch, cause } => {
                self.on_launch_ended(now, launch, cause, commands);
            }
            Event::LaunchQueued { launch } => self.scheduler.on_launch_queued(now, launch),
            Event::Tick => self.on_tick(now, commands),
            Event::Wake => self.scheduler.on_wake(now),
        }
        while let Some((session, excess)) = self.relay.take_excess() {
            self.cut(now, session, excess, commands);
        }
        while let Some(excess) = self.scheduler.excess(&self.relay)
            && let Some(session) = self.relay.heaviest()
        {
            self.cut(now, session, excess, commands);
        }
        self.scheduler.place(now, &mut self.relay, commands);
        if !is_calm || !commands[from..].iter().all(deadlock::is_calm_command) {
            self.vigil.on_traffic();
        }
        for command in &commands[from..] {
            if let Command::Send { session, .. } = command
                && let Some(session) = self.sessions.get_mut(session)
            {
                session.spoke = now;
            }
        }
    }

    fn on_connected(
        &mut self,
        now: Duration,
        session: SessionId,
        version: u16,
        build: Build,
        role: Role,
        commands: &mut Vec<Command>,
    ) {
        if let Err(reason) = self.admit(now, session, version, &build, &role) {
            commands.push(Command::Close { session, reason });
            return;
        }
        self.enter(now, session, role, Some(build), commands);
    }

    /// The client is in this process. It has no program of its own, and no wishes.
    fn on_attached(&mut self, now: Duration, session: SessionId, commands: &mut Vec<Command>) {
        match self.admit_client(now, 0, Place::Auto) {
            Ok(()) => {
                let role = Role::Client { workers_max: 0, place: Place::Auto };
                self.enter(now, session, role, None, commands);
            }
            Err(reason) => commands.push(Command::Close { session, reason }),
        }
    }

    fn enter(
        &mut self,
        now: Duration,
        session: SessionId,
        role: Role,
        build: Option<Build>,
        commands: &mut Vec<Command>,
    ) {
        let (incoming, leaving) = (Inbox::default(), None);
        let session_now = Session { role, build, heard: now, spoke: now, incoming, leaving };
        self.sessions.insert(session, session_now);
        self.relay.enter(session);
        let (epoch, lease) = (self.epoch, self.settings.lease);
        commands.push(Command::Admit { session, epoch, lease });
        self.scheduler.grant_seats(session, commands);
    }

    fn admit_client(
        &mut self,
        now: Duration,
        workers_max: u32,
        place: Place,
    ) -> Result<(), String> {
        if self.sessions.values().any(|other| matches!(other.role, Role::Client { .. })) {
            return Err("this coordinator has a client already".to_owned());
        }
        // With the last client all of its workers went.
        self.relay.clear();
        self.scheduler.on_client(now, workers_max, place);
        Ok(())
    }

    fn admit(
        &mut self,
        now: Duration,
        session: SessionId,
        version: u16,
        build: &Build,
        role: &Role,
    ) -> Result<(), String> {
        if version != PROTOCOL_VERSION {
            return Err(format!(
                "it speaks protocol version {version}, the coordinator {PROTOCOL_VERSION}"
            ));
        }
        // All that are here are of one.
        let other = self.sessions.values().find_map(|other| other.build.as_ref());
        if let Some(other) = other.filter(|other| *other != build) {
            return Err(format!(
                "its program is another than the client's: {build}, where {other} is expected"
            ));
        }
        match role {
            Role::Client { workers_max, place } => self.admit_client(now, *workers_max, *place),
            Role::Worker { launch, threads, memory_bytes, .. } => {
                let has = (*threads, *memory_bytes);
                let expected = self.scheduler.on_worker(now, session, *launch, has);
                expected.then_some(()).ok_or_else(|| format!("nobody waits for launch {launch}"))
            }
        }
    }

    fn on_received(
        &mut self,
        now: Duration,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        known.heard = now;
        let complete = known.incoming.receive(frame).map_err(Violation::from);
        let done = complete.and_then(|frame| match frame {
            Some(frame) => self.on_frame(now, session, frame, commands),
            None => Ok(()),
        });
        if let Err(violation) = done {
            let reason = format!("it broke the protocol: {violation}");
            self.cut(now, session, reason, commands);
        }
    }

    fn on_frame(
        &mut self,
        now: Duration,
        session: SessionId,
        frame: Frame,
        commands: &mut Vec<Command>,
    ) -> Result<(), Violation> {
        let relay = &mut self.relay;
        match frame {
            Frame::Heartbeat {} => Ok(()),
            Frame::Goodbye {} => {
                self.on_goodbye(now, session, commands);
                Ok(())
            }
            Frame::Export { channel, capacity, senders, receivers } => {
                relay.export(session, channel, capacity, [senders, receivers])
            }
            Frame::Restore { channel, parcel } => {
                relay.restore(session, channel, (0, parcel), commands)
            }
            Frame::Send { channel, operation, parcel } => {
                relay.send(session, channel, operation, parcel, commands)
            }
            Frame::TrySend { channel, operation, parcel } => {
                relay.try_send(session, channel, operation, parcel, commands)
            }
            Frame::Watch { channel, operation, select } => {
                relay.watch(session, channel, operation, select, commands)
            }
            Frame::TryReceive { channel, operation } => {
                relay.try_receive(session, channel, operation, commands)
            }
            Frame::CancelSend { channel, operation } => {
                relay.cancel_send(session, channel, operation, commands);
                Ok(())
            }
            Frame::Receive { channel, operation, select } => {
                relay.receive(session, channel, operation, select, commands)
            }
            Frame::Accept { channel, operation } => {
                relay.accept(session, channel, operation, commands)
            }
            Frame::Decline { channel, operation } => {
                relay.decline(session, channel, operation, commands);
                Ok(())
            }
            Frame::Close { channel, operation } => {
                relay.close(session, channel, operation, commands)
            }
            Frame::Detach { channel, side, arrivals } => {
                relay.detach(session, channel, side, arrivals, commands)
            }
            Frame::Spawn { task, name, signature, options, result, arguments } => {
                let result = Some(result);
                let spawn = Spawn { task, name, signature, options, result };
                self.scheduler.on_spawn(now, session, spawn, arguments, relay, commands)
            }
            Frame::Abort { task } => {
                self.scheduler.on_abort(task, relay, commands);
                Ok(())
            }
            Frame::Finished { task, attempt, outcome, usage } => {
                let attempt = (task, attempt, usage);
                self.scheduler.on_finished(now, session, attempt, outcome, relay, commands)
            }
            word @ (Frame::Report { .. }
            | Frame::Measures { .. }
            | Frame::Tally { .. }
            | Frame::Began { .. }) => {
                self.scheduler.on_word(now, session, word, commands);
                Ok(())
            }
            other => self.on_question(now, session, other, commands),
        }
    }

    /// Whatever its links look like, a worker that is dead will not come back.
    fn on_launch_ended(
        &mut self,
        now: Duration,
        launch: u64,
        cause: String,
        commands: &mut Vec<Command>,
    ) {
        let answers =
            |role: &Role| matches!(role, Role::Worker { launch: of, .. } if *of == launch);
        let worker = self.sessions.iter().find(|(_, session)| answers(&session.role));
        match worker.map(|(session, _)| *session) {
            Some(session) => self.cut(now, session, cause, commands),
            None => {
                self.scheduler.on_launch_failed(now, launch, &cause, &mut self.relay, commands);
            }
        }
    }

    /// Fences whoever was silent for the lease; says something to whoever heard nothing for long.
    fn on_tick(&mut self, now: Duration, commands: &mut Vec<Command>) {
        self.scheduler.on_tick(now, &mut self.relay, commands);
        self.relay.on_tick(commands);
        let lease = self.settings.lease;
        let silent = |since: Duration| now.saturating_sub(since) > lease;
        let dead: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| silent(session.heard))
            .map(|(id, _)| *id)
            .collect();
        for session in dead {
            let reason = format!("it was silent for {:.1} s", lease.as_secs_f64());
            self.cut(now, session, reason, commands);
        }
        for (id, session) in &self.sessions {
            if now.saturating_sub(session.spoke) > lease / 3 {
                commands.push(Command::send(*id, Frame::Heartbeat {}));
            }
        }
    }

    /// Fences a session, and ends its link.
    fn cut(
        &mut self,
        now: Duration,
        session: SessionId,
        reason: String,
        commands: &mut Vec<Command>,
    ) {
        if self.sessions.contains_key(&session) {
            self.fence(now, session, &reason, commands);
            commands.push(Command::Close { session, reason });
        }
    }

    /// Forgets a session that did not say goodbye, in one step.
    fn fence(
        &mut self,
        now: Duration,
        session: SessionId,
        cause: &str,
        commands: &mut Vec<Command>,
    ) {
        let Some(known) = self.sessions.get(&session) else { return };
        self.epoch += 1;
        let who = match known.role {
            Role::Client { .. } => "client".to_owned(),
            Role::Worker { launch, process, .. } => format!("worker {launch} (process {process})"),
        };
        let cause = format!("{who}: {cause}");
        // Tasks first: one that will run again keeps the handles in its arguments alive.
        self.forget(now, session, &cause, commands);
        self.relay.fence(session, &cause, commands);
    }

    fn forget(
        &mut self,
        now: Duration,
        session: SessionId,
        cause: &str,
        commands: &mut Vec<Command>,
    ) {
        let Some(known) = self.sessions.remove(&session) else { return };
        match known.role {
            Role::Worker { .. } => {
                self.scheduler.on_worker_gone(now, session, cause, &mut self.relay, commands);
            }
            Role::Client { .. } => {
                self.scheduler.on_client_gone(&mut self.relay, commands);
                let workers: Vec<SessionId> = self.sessions.keys().copied().collect();
                for worker in workers {
                    let reason = "the client is gone".to_owned();
                    self.relay.leave(worker, commands);
                    self.forget(now, worker, &reason, commands);
                    commands.push(Command::Close { session: worker, reason });
                }
            }
        }
    }
}
