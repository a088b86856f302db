//! The real channels beside the model: each step is done to both, and both must agree.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use channels::{Receiver, RecvError, Select, SendError, Sender, TryRecvError, TrySendError};
use futures::FutureExt;
use serde::{Deserialize, Serialize};

use super::model::{Case, Model, Outcome, Side, State};
use super::step::{CaseStep, Step};

const NOTHING: [usize; 0] = [];

/// A value that is counted as long as it exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counted {
    number: u32,
    #[serde(skip)]
    _token: Arc<()>,
}

/// An operation under way. It holds its handles.
type Running = Pin<Box<dyn Future<Output = (usize, Outcome)>>>;

struct Operation {
    future: Option<Running>,
    woken: Arc<Woken>,
}

/// Whether the waker of an operation's last poll was called.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The handles of one channel that no operation has.
struct Handles {
    senders: Vec<Sender<Counted>>,
    receivers: Vec<Receiver<Counted>>,
}

pub(crate) struct Bench {
    model: Model,
    channels: Vec<Handles>,
    operations: Vec<Operation>,
    next_value: u32,
    token: Arc<()>,
}

enum Handle {
    Send(Sender<Counted>),
    Receive(Receiver<Counted>),
    Never,
}

impl Bench {
    pub(crate) fn new(capacities: &[usize]) -> Self {
        let channel = |capacity: &usize| {
            let (sender, receiver) = channels::channel(*capacity);
            Handles { senders: vec![sender], receivers: vec![receiver] }
        };
        Self {
            model: Model::new(capacities),
            channels: capacities.iter().map(channel).collect(),
            operations: Vec::new(),
            next_value: 0,
            token: Arc::default(),
        }
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match step {
            Step::Start { cases } => self.start(cases),
            Step::Poll { operation } => {
                if let Some(operation) = self.under_way(*operation) {
                    self.poll(operation);
                }
            }
            Step::GiveUp { operation } => {
                if let Some(operation) = self.under_way(*operation) {
                    self.operations[operation].future = None;
                    self.model.give_up(operation);
                }
            }
            Step::Now { cases } => self.now(cases),
            Step::TrySend { channel } => self.try_send(self.channel(*channel)),
            Step::TryReceive { channel } => self.try_receive(self.channel(*channel)),
            Step::Close { channel } => self.close(self.channel(*channel)),
            Step::Clone { channel, side } => self.clone_handle(self.channel(*channel), *side),
            Step::Drop { channel, side } => self.drop_handle(self.channel(*channel), *side),
        }
        self.check();
    }

    /// Polls and gives up what is left, and looks at each.
    pub(crate) fn wind_up(&mut self) {
        for operation in 0..self.operations.len() {
            if self.operations[operation].future.is_some() {
                self.poll(operation);
                self.check();
            }
        }
        for operation in 0..self.operations.len() {
            if self.operations[operation].future.take().is_some() {
                self.model.give_up(operation);
                self.check();
            }
        }
        self.channels.clear();
        assert_eq!(Arc::strong_count(&self.token), 1, "nothing is left");
    }

    fn start(&mut self, steps: &[CaseStep]) {
        // Two alike would join their channel's line in an order that is the select's own to draw.
        let mut steps = steps.to_vec();
        steps.sort_by_key(|case| (self.channel(case.channel), case.side));
        steps.dedup_by_key(|case| (self.channel(case.channel), case.side));
        let (cases, handles, values) = self.cases(&steps);
        let future: Running = match <[Handle; 1]>::try_from(handles) {
            Ok([Handle::Never]) => return,
            Ok([Handle::Send(sender)]) => {
                let value = values.into_iter().flatten().next().expect("a send has a value");
                Box::pin(async move { (0, sent(sender.send(value).await)) })
            }
            Ok([Handle::Receive(receiver)]) => {
                Box::pin(async move { (0, received(receiver.recv().await)) })
            }
            Err(handles) => Box::pin(async move {
                let mut chosen = select_of(&handles, values).wait().await;
                let case = chosen.index();
                (case, outcome_of(&handles[case], &mut chosen))
            }),
        };
        self.model.start(cases);
        self.operations.push(Operation { future: Some(future), woken: Arc::default() });
        self.poll(self.operations.len() - 1);
    }

    fn poll(&mut self, at: usize) {
        let operation = &mut self.operations[at];
        operation.woken = Arc::default();
        let waker = Waker::from(operation.woken.clone());
        let future = operation.future.as_mut().expect("it is under way");
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        match (self.model.state(at), polled) {
            (State::Over, _) => panic!("only what is under way is polled"),
            (State::New, Poll::Pending) => {
                assert_eq!(
                    self.model.possible(self.model.cases(at)),
                    NOTHING,
                    "it could have gone"
                );
                self.model.wait(at);
            }
            (State::New, Poll::Ready((case, outcome))) => {
                self.model_agrees(self.model.cases(at).to_vec(), case, outcome);
                self.operations[at].future = None;
                self.model.finish(at);
            }
            (State::Waits, polled) => assert_eq!(polled, Poll::Pending, "nothing has happened"),
            (State::Happened(case, outcome), polled) => {
                assert_eq!(polled, Poll::Ready((case, outcome)));
                self.operations[at].future = None;
                self.model.finish(at);
            }
        }
    }

    fn now(&mut self, steps: &[CaseStep]) {
        let (cases, handles, values) = self.cases(steps);
        let chosen = select_of(&handles, values).try_now().now_or_never().expect("it is here");
        match chosen {
            None => assert_eq!(self.model.possible(&cases), NOTHING, "the default ran too early"),
            Some(mut chosen) => {
                let case = chosen.index();
                let outcome = outcome_of(&handles[case], &mut chosen);
                drop(chosen);
                self.model_agrees(cases, case, outcome);
            }
        }
    }

    fn try_send(&mut self, channel: usize) {
        let Some(sender) = self.channels[channel].senders.last().cloned() else { return };
        let value = self.value();
        let case = Case::Send(channel, value.number);
        match sender.try_send(value).now_or_never().expect("it is here") {
            Err(TrySendError::Full(_)) => assert_eq!(self.model.possible(&[case]), NOTHING, "full"),
            Ok(()) => self.model_agrees(vec![case], 0, Outcome::Sent),
            Err(error) => {
                self.model_agrees(vec![case], 0, Outcome::Refused(error.into_inner().number));
            }
        }
    }

    fn try_receive(&mut self, channel: usize) {
        let Some(receiver) = self.channels[channel].receivers.last().cloned() else { return };
        let case = Case::Receive(channel);
        match receiver.try_recv().now_or_never().expect("it is here") {
            Err(TryRecvError::Empty) => assert_eq!(self.model.possible(&[case]), NOTHING, "empty"),
            Ok(value) => self.model_agrees(vec![case], 0, Outcome::Received(value.number)),
            Err(_) => self.model_agrees(vec![case], 0, Outcome::Closed),
        }
    }

    fn close(&mut self, channel: usize) {
        let Some(sender) = self.channels[channel].senders.last() else { return };
        let closed = sender.close().now_or_never().expect("it is here");
        assert_eq!(closed.is_ok(), self.model.close(channel));
    }

    fn clone_handle(&mut self, channel: usize, side: Side) {
        let Handles { senders, receivers } = &mut self.channels[channel];
        let is_there = match side {
            Side::Send => senders.last().cloned().map(|sender| senders.push(sender)),
            Side::Receive => receivers.last().cloned().map(|receiver| receivers.push(receiver)),
        };
        if is_there.is_some() {
            self.model.clone_handle(channel, side);
        }
    }

    fn drop_handle(&mut self, channel: usize, side: Side) {
        let Handles { senders, receivers } = &mut self.channels[channel];
        let was_there = match side {
            Side::Send => senders.pop().is_some(),
            Side::Receive => receivers.pop().is_some(),
        };
        if was_there {
            self.model.drop_handle(channel, side);
        }
    }

    /// A case has happened at once: it was possible, and its outcome is the right one.
    fn model_agrees(&mut self, cases: Vec<Case>, case: usize, outcome: Outcome) {
        assert!(self.model.possible(&cases).contains(&case), "case {case} of {cases:?}");
        assert_eq!(outcome, self.model.happen(cases[case]));
    }

    /// What can be seen at any time.
    fn check(&self) {
        for (at, operation) in self.operations.iter().enumerate() {
            let is_woken = operation.woken.0.load(Ordering::Relaxed);
            match self.model.state(at) {
                State::Waits => assert!(!is_woken, "operation {at} was woken for nothing"),
                State::Happened(..) => assert!(is_woken, "operation {at} was not woken"),
                State::New | State::Over => {}
            }
        }
        for (channel, handles) in self.channels.iter().enumerate() {
            let of_sender = handles.senders.last().map(|sender| sender.len().now_or_never());
            let of_receiver =
                handles.receivers.last().map(|receiver| receiver.len().now_or_never());
            for len in of_sender.into_iter().chain(of_receiver) {
                assert_eq!(len, Some(self.model.len(channel)));
            }
        }
        assert_eq!(Arc::strong_count(&self.token) - 1, self.model.values(), "values");
    }

    fn cases(&mut self, steps: &[CaseStep]) -> (Vec<Case>, Vec<Handle>, Vec<Option<Counted>>) {
        let (mut cases, mut handles, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            let channel = self.channel(step.channel);
            let Handles { senders, receivers } = &self.channels[channel];
            let (case, handle, value) = match (step.side, senders.last(), receivers.last()) {
                (Some(Side::Send), Some(sender), _) => {
                    let sender = sender.clone();
                    let value = self.value();
                    (Case::Send(channel, value.number), Handle::Send(sender), Some(value))
                }
                (Some(Side::Receive), _, Some(receiver)) => {
                    (Case::Receive(channel), Handle::Receive(receiver.clone()), None)
                }
                _ => (Case::Never, Handle::Never, None),
            };
            cases.push(case);
            handles.push(handle);
            values.push(value);
        }
        (cases, handles, values)
    }

    fn value(&mut self) -> Counted {
        self.next_value += 1;
        Counted { number: self.next_value, _token: self.token.clone() }
    }

    fn channel(&self, drawn: usize) -> usize {
        drawn % self.channels.len()
    }

    /// One of the operations that are not over, counted from the youngest.
    fn under_way(&self, drawn: usize) -> Option<usize> {
        let under_way = (0..self.operations.len()).rev();
        let under_way = under_way.filter(|at| self.operations[*at].future.is_some());
        let under_way: Vec<usize> = under_way.collect();
        under_way.get(drawn % under_way.len().max(1)).copied()
    }
}

fn select_of(handles: &[Handle], values: Vec<Option<Counted>>) -> Select<'_> {
    let mut select = Select::new();
    for (handle, value) in handles.iter().zip(values) {
        match (handle, value) {
            (Handle::Send(sender), Some(value)) => select.send(sender, value),
            (Handle::Receive(receiver), _) => select.recv(receiver),
            _ => select.recv::<Counted>(None),
        };
    }
    select
}

fn outcome_of(handle: &Handle, chosen: &mut channels::Chosen<'_>) -> Outcome {
    match handle {
        Handle::Send(sender) => sent(chosen.sent(sender)),
        Handle::Receive(receiver) => received(chosen.received(receiver)),
        Handle::Never => panic!("it never happens"),
    }
}

fn sent(result: Result<(), SendError<Counted>>) -> Outcome {
    match result {
        Ok(()) => Outcome::Sent,
        Err(error) => Outcome::Refused(error.into_inner().number),
    }
}

fn received(result: Result<Counted, RecvError>) -> Outcome {
    match result {
        Ok(value) => Outcome::Received(value.number),
        Err(_) => Outcome::Closed,
    }
}
