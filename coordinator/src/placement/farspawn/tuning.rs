//! What the policy is told: a mode, which is a point between cheap and quick, and its elements,
//! each of which can be left out to measure what it brings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::placement::Refusal;

/// A point between cheap and quick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Rather another worker than tasks that wait for each other.
    Fast,
    /// The default.
    #[default]
    Balanced,
    /// As few workers as will do.
    Thrift,
}

/// One element of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Element {
    /// Tasks are pushed as soon as a worker has room, instead of waiting for its poll.
    Push,
    /// No core is reserved.
    AllCores,
    /// More tasks than cores, by their expected CPU.
    Overcommit,
    /// The network is a resource as the CPU is.
    Network,
    /// Few transfers at once on a worker.
    TransferGate,
    /// Workers by demand and the time of a start, not by a constant.
    Growth,
    /// An idle worker is kept for a moment.
    Linger,
    /// Tasks go to the fullest worker that has room if another can be released thereby.
    BestFit,
    /// A burst is spread over workers that are there, instead of waiting for room.
    Spread,
    /// What tasks take is learned.
    Learning,
    /// How fast a worker is, is learned.
    Speed,
    /// The stages of a chain go to one worker, and its room is kept for them all.
    Chains,
    /// A message between tasks that share a worker stays in its memory.
    Channels,
    /// Tasks of other kinds go first while the oldest does not fit.
    LookAhead,
    /// The first word of a worker comes over the connection that it keeps.
    QuickRegistration,
    /// As many tasks on the CPU as there are cores, in order. Not one of the default's.
    CpuGate,
    /// What a task spawns begins beside it at once, if there is a seat.
    LocalStart,
}

impl Element {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Push,
        Self::AllCores,
        Self::Overcommit,
        Self::Network,
        Self::TransferGate,
        Self::Growth,
        Self::Linger,
        Self::BestFit,
        Self::Spread,
        Self::Learning,
        Self::Speed,
        Self::Chains,
        Self::Channels,
        Self::LookAhead,
        Self::QuickRegistration,
        Self::CpuGate,
        Self::LocalStart,
    ];
}

impl fmt::Display for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Push => "push",
            Self::AllCores => "all-cores",
            Self::Overcommit => "overcommit",
            Self::Network => "network",
            Self::TransferGate => "transfer-gate",
            Self::Growth => "growth",
            Self::Linger => "linger",
            Self::BestFit => "best-fit",
            Self::Spread => "spread",
            Self::Learning => "learning",
            Self::Speed => "speed",
            Self::Chains => "chains",
            Self::Channels => "channels",
            Self::LookAhead => "look-ahead",
            Self::QuickRegistration => "quick-registration",
            Self::CpuGate => "cpu-gate",
            Self::LocalStart => "local-start",
        })
    }
}

impl FromStr for Element {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|element| element.to_string() == name);
        found.ok_or_else(|| {
            Refusal::Element(
                name.to_owned(),
                Self::ALL.map(|element| element.to_string()).join(", "),
            )
        })
    }
}

/// Which elements the policy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elements(u32);

impl Default for Elements {
    /// All but the gate of the CPU.
    fn default() -> Self {
        Self(u32::MAX).without(Element::CpuGate)
    }
}

impl Elements {
    /// Whether it has this one.
    pub fn has(self, element: Element) -> bool {
        self.0 & (1 << element as u8) != 0
    }

    /// The same with this one.
    #[must_use]
    pub fn with(self, element: Element) -> Self {
        Self(self.0 | (1 << element as u8))
    }

    /// The same without this one.
    #[must_use]
    pub fn without(self, element: Element) -> Self {
        Self(self.0 & !(1 << element as u8))
    }
}

/// What the policy is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// What it has.
    pub elements: Elements,
    /// How full a worker's CPU may be by what its tasks are expected to take; 1.0 is all of it.
    pub fill: f64,
    /// The same of its network.
    pub fill_network: f64,
    /// The time in which the workers should have done all that waits.
    pub drain: Duration,
    /// How long there must be more demand than workers before others are started for it.
    pub hold: Duration,
    /// How full workers may be with a burst.
    pub spread_max: f64,
    /// How full, if that would not do.
    pub spread_back: f64,
    /// What waits is worth a start if it takes longer than this part of one.
    pub start_worth: f64,
    /// How long an idle worker is kept.
    pub linger: Duration,
    /// How long it is kept if there is work for it by the demand.
    pub idle_max: Duration,
    /// Tasks at once that make a burst of which more is not expected.
    pub burst_min: u32,
    /// Kinds that are tried when the oldest task does not fit.
    pub look_ahead: usize,
    /// Transfers at once on a worker.
    pub transfers_max: u32,
    /// The period of polls, without [`Element::Push`].
    pub poll: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self::mode(Mode::Balanced)
    }
}

impl Tuning {
    /// A mode's.
    pub fn mode(mode: Mode) -> Self {
        let (fill, fill_network, drain, hold) = match mode {
            Mode::Fast => (0.8, 0.8, 500, 500),
            Mode::Balanced => (1.0, 1.0, 500, 500),
            Mode::Thrift => (1.25, 1.1, 4000, 1000),
        };
        Self {
            elements: Elements::default(),
            fill,
            fill_network,
            drain: Duration::from_millis(drain),
            hold: Duration::from_millis(hold),
            spread_max: 2.5,
            spread_back: if mode == Mode::Thrift { 1.5 } else { 1.25 },
            start_worth: 0.5,
            linger: Duration::from_millis(20),
            idle_max: Duration::from_millis(500),
            burst_min: 64,
            look_ahead: 8,
            transfers_max: 3,
            poll: Duration::from_millis(50),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Thrift => "thrift",
        })
    }
}

impl FromStr for Mode {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        let modes = [Self::Fast, Self::Balanced, Self::Thrift];
        let found = modes.into_iter().find(|mode| mode.to_string() == name);
        found.ok_or_else(|| {
            Refusal::Mode(name.to_owned(), modes.map(|mode| mode.to_string()).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_switches() {
        for element in Element::ALL {
            assert_eq!(element.to_string().parse(), Ok(element));
            assert!(!Elements::default().without(element).has(element));
            assert!(Elements::default().with(element).has(element));
        }
        assert!(!Elements::default().has(Element::CpuGate));
        let refusal = "pull".parse::<Element>().unwrap_err().to_string();
        assert!(refusal.contains("push, all-cores"), "{refusal}");
        assert!("slow".parse::<Mode>().unwrap_err().to_string().contains("fast, balanced, thrift"));
    }
}
