//! What goes into the coordinator and what comes out.

use std::fmt;
use std::time::Duration;

use channels::id::SessionId;
use channels::wire::{Build, Frame, Role};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A node whose secret was right said hello.
    Connected {
        /// Its name from now on.
        session: SessionId,
        /// The protocol that it speaks.
        version: u16,
        /// Its program.
        build: Build,
        /// What it is.
        role: Role,
    },
    /// A client came that is in this process, and is of whatever program its workers are.
    Attached {
        /// Its name from now on.
        session: SessionId,
    },
    /// A frame came.
    Received {
        /// From whom.
        session: SessionId,
        /// The frame.
        frame: Frame,
    },
    /// A node gave a sign of life that says nothing else.
    Heard {
        /// Which.
        session: SessionId,
    },
    /// A session cannot go on.
    Lost {
        /// Which.
        session: SessionId,
        /// Why, in words.
        cause: String,
    },
    /// A launch came to nothing, or its worker is known to be dead.
    LaunchEnded {
        /// Which.
        launch: u64,
        /// How, in words.
        cause: String,
    },
    /// A launch waits until others end: it is not late.
    LaunchQueued {
        /// Which.
        launch: u64,
    },
    /// Time has passed.
    Tick,
    /// The time of [`Coordinator::wake_at`](crate::Coordinator::wake_at) has come.
    Wake,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Let a node in, and tell it so.
    Admit {
        /// Its name.
        session: SessionId,
        /// Which incarnation it is.
        epoch: u64,
        /// Silence after which it is fenced.
        lease: Duration,
    },
    /// Send a frame.
    Send {
        /// To whom.
        session: SessionId,
        /// The frame.
        frame: Frame,
    },
    /// End a link, after telling why.
    Close {
        /// Whose.
        session: SessionId,
        /// Why, in words.
        reason: String,
    },
    /// Start a worker.
    Launch {
        /// Its number.
        launch: u64,
    },
    /// End a worker, if it has not ended.
    Stop {
        /// Its number.
        launch: u64,
    },
}

impl Command {
    pub(crate) fn send(session: SessionId, frame: Frame) -> Self {
        Self::Send { session, frame }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { session, role, .. } => write!(out, "{session} connected: {role:?}"),
            Self::Attached { session } => write!(out, "{session} attached"),
            Self::Received { session, frame } => write!(out, "{session} -> {frame}"),
            Self::Heard { session } => write!(out, "{session} heard"),
            Self::Lost { session, cause } => write!(out, "{session} lost: {cause}"),
            Self::LaunchEnded { launch, cause } => write!(out, "launch {launch} ended: {cause}"),
            Self::LaunchQueued { launch } => write!(out, "launch {launch} queued"),
            Self::Tick => out.write_str("tick"),
            Self::Wake => out.write_str("wake"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admit { session, epoch, .. } => write!(out, "{session} let in, epoch {epoch}"),
            Self::Send { session, frame } => write!(out, "{session} <- {frame}"),
            Self::Close { session, reason } => write!(out, "{session} closed: {reason}"),
            Self::Launch { launch } => write!(out, "launch {launch}"),
            Self::Stop { launch } => write!(out, "stop {launch}"),
        }
    }
}
