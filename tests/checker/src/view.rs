//! One channel's operations, sorted so that each rule is a walk over them.
//!
//! What the dead did is uncertain in two ways, and the view says so once for all rules: a value
//! that was on offer to a receive that ended without it may have been *returned*, and overtaken
//! meanwhile (D6); and a receive that a dead session never recorded the end of may have *consumed*
//! one (D3). Rules excuse what these explain, so that they never raise a false alarm.

use crate::history::{Channel, History};
use crate::record::{NEVER, Outcome, Record, Redelivered, ValueId};

/// A value that was sent, and all that received it.
pub(crate) struct Value<'h> {
    pub(crate) id: ValueId,
    pub(crate) send: &'h Record,
    pub(crate) takes: Vec<&'h Record>,
    /// When the first receive of it began; [`NEVER`] if nobody received it.
    pub(crate) taken_from: u64,
    /// When the first receive of it had returned.
    pub(crate) taken_by: u64,
    /// Whether its sender is alive or is known to have returned, so that Ok means delivered.
    pub(crate) binding: bool,
    /// Whether it was reported as lost: other rules leave it alone.
    pub(crate) lost: bool,
    /// Whether it may have been on offer to a receive that gave it back.
    pub(crate) may_return: bool,
    /// Whether it did, if whoever received it was told.
    pub(crate) returned: Redelivered,
}

impl Value<'_> {
    pub(crate) fn is_sent(&self) -> bool {
        self.send.outcome == Outcome::Ok
    }

    pub(crate) fn is_taken(&self) -> bool {
        !self.takes.is_empty()
    }

    /// Whether its send may have put it into the channel.
    pub(crate) fn may_be_there(&self) -> bool {
        matches!(self.send.outcome, Outcome::Ok | Outcome::Pending | Outcome::Cancelled)
            || self.is_taken()
    }
}

/// One channel.
pub(crate) struct View<'h> {
    pub(crate) history: &'h History,
    pub(crate) channel: Channel,
    /// By value.
    pub(crate) values: Vec<Value<'h>>,
    /// Takes of values that nobody sent here.
    pub(crate) strays: Vec<&'h Record>,
    /// Sends of a value that another send had.
    pub(crate) repeated: Vec<&'h Record>,
    /// Receives without a value, and closes.
    pub(crate) receives: Vec<&'h Record>,
    pub(crate) closes: Vec<&'h Record>,
    pub(crate) returns: Returns,
    /// Receives of dead sessions that may have taken a value before they could say so.
    pub(crate) consumers: usize,
    /// When the first of them began.
    pub(crate) consumed_from: u64,
}

impl<'h> View<'h> {
    pub(crate) fn new(
        history: &'h History,
        channel: Channel,
        records: &[&'h Record],
        is_binding: impl Fn(&Record) -> bool,
    ) -> Self {
        let (mut sends, mut takes) = (Vec::new(), Vec::new());
        let (mut receives, mut closes) = (Vec::new(), Vec::new());
        for &record in records {
            match record.value {
                Some(value) if record.is_send() => sends.push((value, record)),
                Some(value) if record.is_take() => takes.push((value, record)),
                _ if record.is_receive() => receives.push(record),
                _ => closes.push(record),
            }
        }
        sends.sort_unstable_by_key(|(value, record)| (*value, record.invoked));
        takes.sort_unstable_by_key(|(value, record)| (*value, record.invoked));
        let returns = Returns::new(history, &receives, &takes);
        let dead = |record: &&&Record| {
            record.outcome == Outcome::Pending && history.is_fenced(record.session)
        };
        let consumers = receives.iter().filter(dead).count();
        let consumed_from = receives.iter().filter(dead).map(|record| record.invoked).min();
        let mut view = Self {
            history,
            channel,
            values: Vec::with_capacity(sends.len()),
            strays: Vec::new(),
            repeated: Vec::new(),
            receives,
            closes,
            returns,
            consumers,
            consumed_from: consumed_from.unwrap_or(NEVER),
        };
        view.pair(&sends, &takes, is_binding);
        view
    }

    /// Brings sends and takes together; both are sorted by value.
    fn pair(
        &mut self,
        sends: &[(ValueId, &'h Record)],
        takes: &[(ValueId, &'h Record)],
        is_binding: impl Fn(&Record) -> bool,
    ) {
        let mut at = 0;
        for &(id, send) in sends {
            if self.values.last().is_some_and(|value| value.id == id) {
                self.repeated.push(send);
                continue;
            }
            while at < takes.len() && takes[at].0 < id {
                self.strays.push(takes[at].1);
                at += 1;
            }
            let from = at;
            while at < takes.len() && takes[at].0 == id {
                at += 1;
            }
            let takes: Vec<&Record> = takes[from..at].iter().map(|(_, take)| *take).collect();
            let is_taken = !takes.is_empty();
            let taken_from = takes.iter().map(|take| take.invoked).min().unwrap_or(NEVER);
            let taken_by = takes.iter().map(|take| take.returned).min().unwrap_or(NEVER);
            let told = |told| move |take: &&Record| take.redelivered == told;
            let returned = if takes.iter().any(told(Redelivered::Yes)) {
                Redelivered::Yes
            } else if is_taken && takes.iter().all(told(Redelivered::No)) {
                Redelivered::No
            } else {
                Redelivered::Unknown
            };
            let may_return = match returned {
                Redelivered::Yes => true,
                Redelivered::No => false,
                Redelivered::Unknown => self.returns.may_have(send.invoked, taken_by),
            };
            let binding = is_binding(send);
            let lost = false;
            self.values.push(Value {
                id,
                send,
                takes,
                taken_from,
                taken_by,
                binding,
                lost,
                may_return,
                returned,
            });
        }
        self.strays.extend(takes[at..].iter().map(|(_, take)| *take));
    }

    pub(crate) fn is_dead(&self, record: &Record) -> bool {
        self.history.is_fenced(record.session)
    }

    /// Whether somebody alive saw the end of the channel.
    pub(crate) fn is_drained(&self) -> bool {
        self.receives.iter().any(|receive| self.saw_end(receive))
    }

    /// Whether a receive says that the channel has ended. The dead hear that of their own end too.
    pub(crate) fn saw_end(&self, receive: &Record) -> bool {
        matches!(receive.outcome, Outcome::Closed | Outcome::Lost) && !self.is_dead(receive)
    }

    /// From when on a value may have been out of the channel, as far as anybody can tell.
    pub(crate) fn gone_from(&self, value: &Value<'_>) -> u64 {
        if value.is_taken() { value.taken_from } else { self.consumed_from }
    }

    /// Whether a value may have overtaken one that returned: somebody may have had the other, and
    /// not given it back yet, when this one was sent and received. It is no excuse that the other
    /// returned before this one was sent, or was given to nobody until this one was received.
    pub(crate) fn may_overtake(&self, value: &Value<'_>) -> bool {
        self.returns.may_have(value.send.invoked, value.taken_by)
    }

    /// Whether a value whose send returned stayed in the channel until somebody received it.
    pub(crate) fn must_be_there(&self, value: &Value<'_>) -> bool {
        value.is_sent() && !value.lost && (value.is_taken() || value.binding)
    }
}

/// Receives that may have had a value and given it back: the future was dropped, another case was
/// chosen, or the session was fenced. Each is an interval, to the instant when the home has heard.
pub(crate) struct Returns {
    /// By beginning: the beginning, and the latest end of all up to here.
    until: Vec<(u64, u64)>,
}

impl Returns {
    fn new(history: &History, receives: &[&Record], takes: &[(ValueId, &Record)]) -> Self {
        let gave_up = receives.iter().filter_map(|receive| {
            let given_up = matches!(receive.outcome, Outcome::Cancelled | Outcome::NotChosen);
            match history.is_fenced(receive.session) {
                true => Some((receive.invoked, NEVER)),
                false => {
                    let heard = receive.returned.saturating_add(history.lag);
                    given_up.then_some((receive.invoked, heard))
                }
            }
        });
        let died = takes.iter().filter(|(_, take)| history.is_fenced(take.session));
        let died = died.map(|(_, take)| (take.invoked, NEVER));
        let mut until: Vec<(u64, u64)> = gave_up.chain(died).collect();
        until.sort_unstable();
        let mut latest = 0;
        for (_, end) in &mut until {
            latest = latest.max(*end);
            *end = latest;
        }
        Self { until }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// How many had begun at an instant.
    pub(crate) fn begun(&self, at: u64) -> usize {
        self.until.partition_point(|(from, _)| *from <= at)
    }

    /// Whether one of them may have had a value that was in the channel in this interval.
    pub(crate) fn may_have(&self, from: u64, to: u64) -> bool {
        let begun = self.begun(to);
        begun > 0 && self.until[begun - 1].1 >= from
    }
}
