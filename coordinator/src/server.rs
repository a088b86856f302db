//! The shell around [`Coordinator`]: sockets, time, and the platform. It decides nothing.
//!
//! One task accepts, one task a connection reads, one writes (`socket.rs`), and one loop owns the
//! coordinator: it takes all that has come, handles it, and sends each node one batch.
//!
//! A link that breaks leaves its session adrift (`link.rs`): nothing else happens until the node
//! resumes it on another, or the coordinator fences the session. A process that is known to be dead
//! is fenced when the end of its last link was read, so that all that it sent is handled first.

mod alone;
mod backlog;
mod door;
mod inside;
mod link;
mod opening;
mod porch;
mod register;
mod seen;
mod socket;

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use channels::id::SessionId;
use channels::session::{Fault, Received};
use channels::wire::{BATCH_BYTES_MAX, Envelope, Frame, Secret};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::platform::{Ended, Launch, Platform};
use crate::scheduler::Totals;
use crate::{Command, Coordinator, Event, Load, Room, Settings};
use alone::Alone;
pub use alone::serve;
use inside::Inside;
use link::Link;
pub(crate) use register::Register;
pub(crate) use seen::Seen;
use socket::{Leaving, Name, Opening};
#[cfg(feature = "service")]
pub(crate) use {
    door::{Door, Share, Shut, Visit},
    porch::{Guest, Porch},
    socket::{Plain, Wrap, accept, accept_each},
};

/// Batches that have been read and not handled. Beyond that nothing more is read.
pub(crate) const INPUTS_WAITING_MAX: usize = 64;
/// Inputs handled before the answers are sent.
const INPUTS_MAX: usize = 256;
/// Between two wakes at the policy's wish, at least.
const WAKE_MIN: Duration = Duration::from_millis(1);
/// Socket buffers of a connection, in bytes; the library's own would be 256 KiB a worker.
const BUFFER_BYTES: usize = 16 << 10;

/// How the coordinator is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the pure coordinator is told.
    pub settings: Settings,
    /// The client's key; any of these.
    pub client_secrets: Vec<Secret>,
}

/// Limits of every WebSocket, on both sides.
pub fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(2 * BATCH_BYTES_MAX)
        .max_message_size(Some(BATCH_BYTES_MAX))
        .max_frame_size(Some(BATCH_BYTES_MAX))
}

/// What comes in from the tasks around the loop.
pub(crate) enum Input {
    Opening(Box<Opening>),
    Batch {
        name: Name,
        envelope: Envelope,
        frames: Vec<Frame>,
        size: usize,
    },
    /// The socket of a link has taken most of what it had been given, and more waits.
    Drained {
        name: Name,
    },
    /// Nothing is read of a link for now.
    Paused {
        name: Name,
    },
    Left {
        name: Name,
        leaving: Leaving,
    },
    /// How is the whole?
    #[cfg_attr(not(feature = "service"), expect(dead_code, reason = "only the service asks"))]
    Asked(oneshot::Sender<Seen>),
}

pub(crate) struct Server {
    core: Coordinator,
    started: Instant,
    /// Where its workers find it.
    address: String,
    client_secrets: Vec<Secret>,
    platform: Box<dyn Platform>,
    links: BTreeMap<SessionId, Link>,
    /// Secrets of launches that have not said hello.
    launches: BTreeMap<u64, Secret>,
    register: Box<dyn Register>,
    inside: Option<Inside>,
    /// Whether it ends with its last session. It has had one, or will at once.
    ends_unused: bool,
    next_link: u64,
    lease: Duration,
    queued_bytes_max: usize,
    /// What was on its way, in bytes, when somebody last looked.
    in_transit: usize,
    ended: mpsc::UnboundedReceiver<(u64, String)>,
    tell_ended: mpsc::UnboundedSender<(u64, String)>,
    /// Sessions with something to be sent.
    listed: Vec<SessionId>,
    commands: Vec<Command>,
}

impl Server {
    pub(crate) fn new(address: String, config: Config, platform: Box<dyn Platform>) -> Self {
        let (tell_ended, ended) = mpsc::unbounded_channel();
        Self {
            lease: config.settings.lease,
            queued_bytes_max: config.settings.limits.queued_bytes_max,
            in_transit: 0,
            core: Coordinator::new(config.settings),
            started: Instant::now(),
            address,
            client_secrets: config.client_secrets,
            platform,
            links: BTreeMap::new(),
            launches: BTreeMap::new(),
            register: Box::new(Alone::default()),
            inside: None,
            ends_unused: false,
            next_link: 0,
            ended,
            tell_ended,
            listed: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// It is one of several, and ends with its last session.
    #[cfg(feature = "service")]
    pub(crate) fn within(self, register: Box<dyn Register>) -> Self {
        Self { register, ends_unused: true, ..self }
    }

    /// Serves until it is told to stop, and why, or has no session any more; then every link is
    /// ended.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        stop: impl Future<Output = String>,
    ) -> Totals {
        let mut ticks = interval(self.tick_period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stop = pin!(stop);
        let mut end = "the coordinator has ended".to_owned();
        let mut came = Vec::with_capacity(INPUTS_MAX);
        let mut woken = self.started;
        let mut alarm = pin!(sleep_until(woken));
        loop {
            let wake = self.core.wake_at();
            if let Some(wake) = wake.map(|wake| (self.started + wake).max(woken + WAKE_MIN))
                && alarm.deadline() != wake
            {
                alarm.as_mut().reset(wake);
            }
            tokio::select! {
                count = inputs.recv_many(&mut came, INPUTS_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.core.limit(self.register.room());
                    came.drain(..).for_each(|input| self.on_input(input));
                }
                Some((launch, cause)) = self.ended.recv() => self.on_ended(launch, cause),
                () = Inside::rung(self.inside.as_ref()) => {
                    self.core.limit(self.register.room());
                    self.on_rung();
                }
                _ = ticks.tick() => self.on_tick(),
                () = &mut alarm, if wake.is_some() => {
                    woken = Instant::now();
                    self.handle(Event::Wake);
                }
                why = &mut stop => {
                    end = why;
                    break;
                }
            }
            self.flush();
            let in_transit = self.in_transit;
            self.register.on_load(Load { in_transit, ..self.core.load() });
            if self.ends_unused && self.links.is_empty() && self.inside.is_none() {
                break;
            }
        }
        while let Some(session) = self.links.keys().next().copied() {
            self.close(session, end.clone());
        }
        let last = self.look();
        self.register.on_end(last);
        self.core.totals()
    }

    fn tick_period(&self) -> Duration {
        (self.lease / 8).max(Duration::from_millis(1))
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Opening(opening) => self.on_opening(*opening),
            Input::Batch { name, envelope, frames, size } => {
                self.on_batch(name, envelope, frames, size);
            }
            Input::Drained { name } => {
                if self.links.get(&name.session).is_some_and(|known| known.is_on(name.link)) {
                    self.list(name.session);
                }
            }
            Input::Paused { name } => {
                if self.links.get(&name.session).is_some_and(|known| known.is_on(name.link)) {
                    self.handle(Event::Heard { session: name.session });
                }
            }
            Input::Left { name, leaving } => self.on_left(name, leaving),
            // Whoever asked may have gone.
            Input::Asked(answer) => drop(answer.send(self.look())),
        }
    }

    /// A batch came. One on a link that has been replaced is not looked at.
    fn on_batch(&mut self, name: Name, envelope: Envelope, frames: Vec<Frame>, size: usize) {
        let Name { session, link } = name;
        let Some(known) = self.links.get_mut(&session).filter(|known| known.is_on(link)) else {
            return;
        };
        match known.receive(envelope, &frames, size) {
            Ok(received) => {
                self.list(session);
                if received == Received::Repeated || frames.is_empty() {
                    return self.handle(Event::Heard { session });
                }
                for frame in frames {
                    if let Frame::Decline { channel, operation } = frame
                        && let Some(known) = self.links.get_mut(&session)
                    {
                        known.give_up_offer(channel, operation);
                    }
                    self.handle(Event::Received { session, frame });
                }
            }
            Err(gap @ Fault::Gap { .. }) => {
                self.on_left(name, Leaving::Broke(gap.to_string()));
            }
            Err(broken) => self.cut(session, broken.to_string()),
        }
    }

    /// A link ended. The session goes on without, unless its node writes rubbish or is dead.
    fn on_left(&mut self, Name { session, link }: Name, leaving: Leaving) {
        let Some(known) = self.links.get_mut(&session).filter(|known| known.is_on(link)) else {
            return;
        };
        match leaving {
            Leaving::Broke(cause) => {
                tracing::debug!("{session} is adrift: {cause}");
                known.detach();
                if let (Some(launch), Some((_, cause))) = (known.launch, known.dead.take()) {
                    self.handle(Event::LaunchEnded { launch, cause });
                }
            }
            Leaving::Garbled(cause) => self.cut(session, cause),
        }
    }

    /// A worker's process ended. What it sent before may still be on its way.
    fn on_ended(&mut self, launch: u64, cause: String) {
        self.launches.remove(&launch);
        self.register.on_launch_ended(launch);
        let now = self.started.elapsed();
        let mut links = self.links.values_mut();
        let linked = links.find(|link| link.launch == Some(launch) && !link.is_adrift());
        match linked {
            Some(link) => link.dead = Some((now, cause)),
            None => self.handle(Event::LaunchEnded { launch, cause }),
        }
    }

    fn on_tick(&mut self) {
        let now = self.started.elapsed();
        let late = now.saturating_sub(self.tick_period());
        let (mut stuck, mut dead) = (Vec::new(), Vec::new());
        let (mut unread, mut slowest) = (0, (0, None));
        for (session, link) in &mut self.links {
            if let Some(cause) = link.tick(now) {
                stuck.push((*session, cause));
            }
            unread += link.waiting();
            slowest = slowest.max((link.waiting(), Some(*session)));
            // The end of its link may never come, through a network that swallows it.
            if let (Some(launch), Some(since)) = (link.launch, &link.dead)
                && since.0 <= late
            {
                dead.push((launch, since.1.clone()));
            }
        }
        self.in_transit = unread + self.core.incoming();
        let Room(Load { in_transit: most, .. }) = self.register.room();
        if let (true, (_, Some(session))) = (self.in_transit > most, slowest) {
            stuck
                .push((session, format!("more than {most} bytes wait to be read, or are to come")));
        }
        for (session, cause) in stuck {
            self.cut(session, cause);
        }
        for (launch, cause) in dead {
            self.handle(Event::LaunchEnded { launch, cause });
        }
        self.hear_inside();
        for launch in self.platform.queued() {
            self.handle(Event::LaunchQueued { launch });
        }
        self.handle(Event::Tick);
    }

    /// The one place where an event meets the coordinator: the log is the walk.
    fn handle(&mut self, event: Event) {
        tracing::trace!(target: "farspawn::event", "{event}");
        let mut commands = std::mem::take(&mut self.commands);
        self.core.handle(self.started.elapsed(), event, &mut commands);
        for command in commands.drain(..) {
            tracing::trace!(target: "farspawn::command", "{command}");
            self.perform(command);
        }
        self.commands = commands;
    }

    fn perform(&mut self, command: Command) {
        let Some(command) = self.perform_inside(command) else { return };
        match command {
            Command::Admit { session, epoch, lease } => {
                if let Some(link) = self.links.get_mut(&session) {
                    link.welcome(session, epoch, lease);
                }
            }
            Command::Send { session, frame } => {
                if let Some(link) = self.links.get_mut(&session) {
                    link.push(frame);
                    self.list(session);
                }
            }
            Command::Close { session, reason } => self.close(session, reason),
            Command::Launch { launch: number } => {
                let secret = Secret::random();
                self.launches.insert(number, secret.clone());
                self.register.on_launch(number, &secret);
                let coordinator = self.address.clone();
                let ended = Ended::new(number, self.tell_ended.clone());
                self.platform.launch(Launch { number, secret, coordinator }, ended);
            }
            Command::Stop { launch } => self.platform.stop(launch),
        }
    }

    /// Ends a session after its last words.
    fn close(&mut self, session: SessionId, reason: String) {
        tracing::debug!("{session} closed: {reason}");
        if let Some(link) = self.links.remove(&session) {
            link.part(reason);
            self.register.on_over(session);
        }
    }

    /// A session that cannot go on.
    fn cut(&mut self, session: SessionId, cause: String) {
        self.close(session, cause.clone());
        self.handle(Event::Lost { session, cause });
    }

    /// A session has something to send.
    fn list(&mut self, session: SessionId) {
        if let Some(link) = self.links.get_mut(&session).filter(|link| !link.is_listed) {
            link.is_listed = true;
            self.listed.push(session);
        }
    }

    /// Sends every node what it is due, as one batch.
    fn flush(&mut self) {
        for session in self.listed.drain(..) {
            if let Some(link) = self.links.get_mut(&session) {
                link.is_listed = false;
                link.flush();
            }
        }
    }
}

#[cfg(test)]
mod tests;
