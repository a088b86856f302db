//! The product's home of channels, as the models drive it: frames in, frames out.

use channels::id::{ChannelId, SessionId};
use channels::wire::{Frame, Parcel, Passage};
use coordinator::relay::{Relay, Violation};
use coordinator::{Command, Limits};

/// The channel that a model is about.
pub const CHANNEL: ChannelId = ChannelId(1);

/// A frame under way.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct Flying(pub Frame);

/// The relay, and what it has said and nobody has fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home {
    /// The product's.
    pub relay: Relay,
}

impl Home {
    /// A home with these sessions.
    pub fn new(sessions: impl IntoIterator<Item = SessionId>) -> Self {
        let mut relay = Relay::new(Limits::default());
        sessions.into_iter().for_each(|session| relay.enter(session));
        Self { relay }
    }

    /// Gives a session a handle that another has, at once.
    ///
    /// # Panics
    ///
    /// If the other has none.
    pub fn pass(&mut self, from: SessionId, to: SessionId, passage: Passage) {
        let parcel = Parcel { passages: vec![passage], ..Parcel::default() };
        let cargo = self.relay.take_in(from, from, parcel).expect("it has the handle");
        self.relay.hand_over(to, cargo);
    }

    /// A frame came: the answers to it.
    pub fn take(&mut self, session: SessionId, frame: Frame) -> Result<Answers, Violation> {
        let mut commands = Vec::new();
        let (relay, out) = (&mut self.relay, &mut commands);
        match frame {
            Frame::Export { channel, capacity, senders, receivers } => {
                relay.export(session, channel, capacity, [senders, receivers])?;
            }
            Frame::Restore { channel, parcel } => {
                relay.restore(session, channel, (0, parcel), out)?;
            }
            Frame::Send { channel, operation, parcel } => {
                relay.send(session, channel, operation, parcel, out)?;
            }
            Frame::Watch { channel, operation, select } => {
                relay.watch(session, channel, operation, select, out)?;
            }
            Frame::Receive { channel, operation, select } => {
                relay.receive(session, channel, operation, select, out)?;
            }
            Frame::Accept { channel, operation } => {
                relay.accept(session, channel, operation, out)?;
            }
            Frame::Decline { channel, operation } => {
                relay.decline(session, channel, operation, out);
            }
            Frame::CancelSend { channel, operation } => {
                relay.cancel_send(session, channel, operation, out);
            }
            Frame::Close { channel, operation } => relay.close(session, channel, operation, out)?,
            Frame::Detach { channel, side, arrivals } => {
                relay.detach(session, channel, side, arrivals, out)?;
            }
            other => relay.on_lending(session, other, out)?,
        }
        Ok(answers(commands))
    }

    /// Time has passed.
    pub fn tick(&mut self) -> Answers {
        let mut commands = Vec::new();
        self.relay.on_tick(&mut commands);
        answers(commands)
    }

    /// A session is fenced.
    pub fn fence(&mut self, session: SessionId) -> Answers {
        let mut commands = Vec::new();
        self.relay.fence(session, "fenced", &mut commands);
        answers(commands)
    }
}

/// Frames for sessions, in order.
pub type Answers = Vec<(SessionId, Frame)>;

fn answers(commands: Vec<Command>) -> Answers {
    let frames = commands.into_iter().filter_map(|command| match command {
        Command::Send { session, frame } => Some((session, frame)),
        _ => None,
    });
    frames.collect()
}

/// A value of the models: its number.
pub fn parcel(number: u8) -> Parcel {
    Parcel { codec: 0, payload: vec![number].into(), passages: Vec::new() }
}

/// The number of a value.
pub fn number(parcel: &Parcel) -> u8 {
    parcel.payload.first().copied().unwrap_or_default()
}
