//! What channels should do, said as simply as it can be: Go's rules, and that a receive that is
//! given up returns what it had. Nothing here is fast, shares code with `channels`, or knows how it
//! is made.

/// A value, by its number; each is sent once.
pub(crate) type Value = u32;

/// One case of an operation; most operations have one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    /// Of a value on a channel.
    Send(usize, Value),
    /// From a channel.
    Receive(usize),
    /// Go's nil channel.
    Never,
}

/// What came of the case that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Sent,
    Refused(Value),
    Received(Value),
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Side {
    Send,
    Receive,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    New,
    Waits,
    /// A case happened, and whoever polls next will hear of it.
    Happened(usize, Outcome),
    Over,
}

struct Operation {
    cases: Vec<Case>,
    state: State,
}

struct Channel {
    capacity: usize,
    is_closed: bool,
    /// Handles, those of operations included.
    senders: usize,
    receivers: usize,
    /// All values whose sends have ended, in that order.
    sent: Vec<Value>,
    /// Those of them that nobody has.
    ready: Vec<Value>,
}

/// Some channels, and the operations on them in the order in which they began to wait.
pub(crate) struct Model {
    channels: Vec<Channel>,
    operations: Vec<Operation>,
    waiting: Vec<usize>,
}

impl Model {
    /// Channels with one handle of each side.
    pub(crate) fn new(capacities: &[usize]) -> Self {
        let channel = |capacity: &usize| Channel {
            capacity: *capacity,
            is_closed: false,
            senders: 1,
            receivers: 1,
            sent: Vec::new(),
            ready: Vec::new(),
        };
        let channels = capacities.iter().map(channel).collect();
        Self { channels, operations: Vec::new(), waiting: Vec::new() }
    }

    /// An operation with a handle for each case.
    pub(crate) fn start(&mut self, cases: Vec<Case>) {
        for case in &cases {
            match *case {
                Case::Send(channel, _) => self.clone_handle(channel, Side::Send),
                Case::Receive(channel) => self.clone_handle(channel, Side::Receive),
                Case::Never => {}
            }
        }
        self.operations.push(Operation { cases, state: State::New });
    }

    pub(crate) fn state(&self, operation: usize) -> State {
        self.operations[operation].state
    }

    pub(crate) fn cases(&self, operation: usize) -> &[Case] {
        &self.operations[operation].cases
    }

    /// Which of some cases could happen now: any of them may.
    pub(crate) fn possible(&self, cases: &[Case]) -> Vec<usize> {
        let is_possible = |at: &usize| match cases[*at] {
            Case::Never => false,
            Case::Send(channel, _) => {
                self.channels[channel].is_closed
                    || self.has_room(channel)
                    || self.first(channel, Side::Receive).is_some()
            }
            Case::Receive(channel) => {
                !self.channels[channel].ready.is_empty()
                    || self.first(channel, Side::Send).is_some()
                    || self.is_at_its_end(channel)
            }
        };
        (0..cases.len()).filter(is_possible).collect()
    }

    /// A case that is possible happens.
    pub(crate) fn happen(&mut self, case: Case) -> Outcome {
        match case {
            Case::Never => panic!("it is never possible"),
            Case::Send(channel, value) if self.channels[channel].is_closed => {
                Outcome::Refused(value)
            }
            Case::Send(channel, value) => {
                self.channels[channel].sent.push(value);
                match self.first(channel, Side::Receive) {
                    Some(receive) => self.conclude(receive, Outcome::Received(value)),
                    None => self.channels[channel].ready.push(value),
                }
                Outcome::Sent
            }
            Case::Receive(channel) if !self.channels[channel].ready.is_empty() => {
                let value = self.channels[channel].ready.remove(0);
                self.fill_up(channel);
                Outcome::Received(value)
            }
            Case::Receive(channel) => match self.first(channel, Side::Send) {
                Some(send) => Outcome::Received(self.conclude_send(channel, send)),
                None => Outcome::Closed,
            },
        }
    }

    /// An operation that found nothing possible waits.
    pub(crate) fn wait(&mut self, operation: usize) {
        self.operations[operation].state = State::Waits;
        self.waiting.push(operation);
    }

    /// An operation returns: its handles go.
    pub(crate) fn finish(&mut self, operation: usize) {
        let before = std::mem::replace(&mut self.operations[operation].state, State::Over);
        if let State::Happened(case, Outcome::Received(_)) = before
            && let Case::Receive(channel) = self.operations[operation].cases[case]
        {
            self.settle(channel);
        }
        self.drop_handles(operation);
    }

    /// An operation is dropped. A value that it had returns to its place among the others.
    pub(crate) fn give_up(&mut self, operation: usize) {
        let before = std::mem::replace(&mut self.operations[operation].state, State::Over);
        self.waiting.retain(|waiting| *waiting != operation);
        if let State::Happened(case, Outcome::Received(value)) = before
            && let Case::Receive(channel) = self.operations[operation].cases[case]
        {
            let Channel { ready, sent, .. } = &mut self.channels[channel];
            ready.push(value);
            ready.sort_by_key(|value| sent.iter().position(|sent| sent == value));
            self.settle(channel);
        }
        self.drop_handles(operation);
    }

    /// Whether it had not been closed before.
    pub(crate) fn close(&mut self, channel: usize) -> bool {
        if std::mem::replace(&mut self.channels[channel].is_closed, true) {
            return false;
        }
        while let Some((send, case)) = self.first(channel, Side::Send) {
            let Case::Send(_, value) = self.operations[send].cases[case] else { unreachable!() };
            self.conclude((send, case), Outcome::Refused(value));
        }
        self.settle(channel);
        true
    }

    pub(crate) fn clone_handle(&mut self, channel: usize, side: Side) {
        *self.handles(channel, side) += 1;
    }

    pub(crate) fn drop_handle(&mut self, channel: usize, side: Side) {
        *self.handles(channel, side) -= 1;
        if *self.handles(channel, side) == 0 {
            self.close(channel);
            if side == Side::Receive {
                self.channels[channel].ready.clear();
            }
        }
    }

    pub(crate) fn len(&self, channel: usize) -> usize {
        self.channels[channel].ready.len()
    }

    /// How many values exist: in channels, and in operations that are not over.
    pub(crate) fn values(&self) -> usize {
        let in_operation = |operation: &Operation| {
            let sends = operation.cases.iter().filter(|case| matches!(case, Case::Send(..)));
            match operation.state {
                State::Over => 0,
                State::Happened(_, Outcome::Sent) => sends.count() - 1,
                State::Happened(_, Outcome::Received(_)) => sends.count() + 1,
                _ => sends.count(),
            }
        };
        let in_channels: usize = self.channels.iter().map(|channel| channel.ready.len()).sum();
        in_channels + self.operations.iter().map(in_operation).sum::<usize>()
    }

    /// The operation that has waited longest with such a case, and the case. Those of one operation
    /// join in their order.
    fn first(&self, channel: usize, side: Side) -> Option<(usize, usize)> {
        let is_such = |case: &Case| match case {
            Case::Send(of, _) => (*of, side) == (channel, Side::Send),
            Case::Receive(of) => (*of, side) == (channel, Side::Receive),
            Case::Never => false,
        };
        self.waiting.iter().find_map(|operation| {
            let case = self.operations[*operation].cases.iter().position(is_such)?;
            Some((*operation, case))
        })
    }

    fn has_room(&self, channel: usize) -> bool {
        self.channels[channel].ready.len() < self.channels[channel].capacity
    }

    /// Whether a receive finds the channel closed and drained. A value that is with a receive which
    /// has not returned may yet come back.
    fn is_at_its_end(&self, channel: usize) -> bool {
        let may_return = self.operations.iter().any(|operation| match operation.state {
            State::Happened(case, Outcome::Received(_)) => {
                operation.cases[case] == Case::Receive(channel)
            }
            _ => false,
        });
        let Channel { is_closed, ready, .. } = &self.channels[channel];
        *is_closed && ready.is_empty() && !may_return
    }

    fn conclude(&mut self, (operation, case): (usize, usize), outcome: Outcome) {
        self.operations[operation].state = State::Happened(case, outcome);
        self.waiting.retain(|waiting| *waiting != operation);
    }

    fn conclude_send(&mut self, channel: usize, (send, case): (usize, usize)) -> Value {
        let Case::Send(_, value) = self.operations[send].cases[case] else { unreachable!() };
        self.conclude((send, case), Outcome::Sent);
        self.channels[channel].sent.push(value);
        value
    }

    /// Sends that wait go into the room that there is.
    fn fill_up(&mut self, channel: usize) {
        while self.has_room(channel)
            && let Some(send) = self.first(channel, Side::Send)
        {
            let value = self.conclude_send(channel, send);
            self.channels[channel].ready.push(value);
        }
    }

    /// Receives that wait get what there is, or hear of the end.
    fn settle(&mut self, channel: usize) {
        while !self.channels[channel].ready.is_empty()
            && let Some(receive) = self.first(channel, Side::Receive)
        {
            let value = self.channels[channel].ready.remove(0);
            self.conclude(receive, Outcome::Received(value));
            self.fill_up(channel);
        }
        while self.is_at_its_end(channel)
            && let Some(receive) = self.first(channel, Side::Receive)
        {
            self.conclude(receive, Outcome::Closed);
        }
    }

    fn handles(&mut self, channel: usize, side: Side) -> &mut usize {
        let Channel { senders, receivers, .. } = &mut self.channels[channel];
        match side {
            Side::Send => senders,
            Side::Receive => receivers,
        }
    }

    fn drop_handles(&mut self, operation: usize) {
        for case in self.operations[operation].cases.clone() {
            match case {
                Case::Send(channel, _) => self.drop_handle(channel, Side::Send),
                Case::Receive(channel) => self.drop_handle(channel, Side::Receive),
                Case::Never => {}
            }
        }
    }
}
