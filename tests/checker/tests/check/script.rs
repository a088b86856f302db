//! Small histories, written as one line an operation.

use checker::{Channel, History, Kind, NEVER, Outcome, Record, ValueId};

/// A history of one channel (1, unless told otherwise) that the program holds open.
pub(crate) struct Script(pub(crate) History);

impl Script {
    pub(crate) fn new(capacity: u32) -> Self {
        Self::of(&[capacity])
    }

    /// Channels 1, 2, … of these capacities.
    pub(crate) fn of(capacities: &[u32]) -> Self {
        let mut history = History { settled: true, ..History::default() };
        for (id, capacity) in (1..).zip(capacities) {
            history.channels.push(Channel { id, capacity: *capacity, held: true });
        }
        Self(history)
    }

    /// A session that was fenced. Task 7 runs in session 7 if it is fenced, else in 0.
    pub(crate) fn fenced(mut self, session: u32) -> Self {
        self.0.fenced.insert(session);
        self
    }

    pub(crate) fn put(mut self, record: Record) -> Self {
        self.0.records.push(record);
        self
    }

    fn record(&self, channel: u32, task: u32, kind: Kind, [from, to]: [u64; 2]) -> Record {
        let session = if self.0.fenced.contains(&task) { task } else { 0 };
        let outcome = if to == NEVER { Outcome::Pending } else { Outcome::Ok };
        Record { returned: to, outcome, ..Record::begun(channel, task, session, kind, from) }
    }

    /// A task sends its `number`-th value.
    pub(crate) fn send(self, task: u32, number: u32, when: [u64; 2]) -> Self {
        self.send_on(1, task, number, when)
    }

    pub(crate) fn send_on(self, channel: u32, task: u32, number: u32, when: [u64; 2]) -> Self {
        let value = Some(ValueId { task, number });
        let record = Record { value, ..self.record(channel, task, Kind::Send, when) };
        self.put(record)
    }

    /// A task receives the `number`-th value of another.
    pub(crate) fn take(self, task: u32, (of, number): (u32, u32), when: [u64; 2]) -> Self {
        self.take_on(1, task, (of, number), when)
    }

    pub(crate) fn take_on(
        self,
        channel: u32,
        task: u32,
        (of, number): (u32, u32),
        when: [u64; 2],
    ) -> Self {
        let value = Some(ValueId { task: of, number });
        let record = Record { value, ..self.record(channel, task, Kind::Receive, when) };
        self.put(record)
    }

    /// An operation without a value.
    pub(crate) fn other(self, task: u32, kind: Kind, outcome: Outcome, when: [u64; 2]) -> Self {
        let record = Record { outcome, ..self.record(1, task, kind, when) };
        self.put(record)
    }

    /// A send that failed.
    pub(crate) fn failed(
        self,
        task: u32,
        number: u32,
        (kind, outcome): (Kind, Outcome),
        when: [u64; 2],
    ) -> Self {
        let value = Some(ValueId { task, number });
        let record = Record { value, outcome, ..self.record(1, task, kind, when) };
        self.put(record)
    }

    pub(crate) fn close(self, task: u32, when: [u64; 2]) -> Self {
        self.other(task, Kind::Close, Outcome::Ok, when)
    }

    /// A receive that sees the end.
    pub(crate) fn ended(self, task: u32, when: [u64; 2]) -> Self {
        self.other(task, Kind::Receive, Outcome::Closed, when)
    }

    /// The last operation is a case of a select, with this outcome.
    pub(crate) fn case(mut self, select: u32, outcome: Outcome) -> Self {
        let last = self.0.records.last_mut().expect("there is one");
        (last.select, last.outcome) = (select, outcome);
        self
    }
}
