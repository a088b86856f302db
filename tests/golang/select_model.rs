//! The `Select` builder against a model of it: `TestSelect` of Go's `reflect`, and what it leaves
//! out.
//!
//! A select is a set of kinds of cases, in an order. All sets are tried, each in some order that
//! the dice decide. The model knows which cases may be chosen and what they give; afterwards every
//! channel that was not chosen must be as it was, which Go's test does not look at (C38).

use std::fmt;
use std::pin::pin;

use futures::poll;
use runtime::{
    Chosen, Receiver, RecvError, Select, SendError, Sender, TryRecvError, TrySendError, channel,
    task,
};
use serde::{Deserialize, Serialize};

use crate::choices::{Choices, Dice};
use crate::go::{Placement, go, program, rounds, settle};

/// One case, and what is to be expected of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A buffer with room.
    ReadySend,
    /// A buffer with a value.
    ReadyRecv,
    /// A rendezvous that nobody comes to, unless it is the helper's.
    WaitingSend,
    WaitingRecv,
    /// `None` for a channel.
    NilSend,
    NilRecv,
    ClosedSend,
    ClosedRecv,
}

impl Kind {
    fn sends(self) -> bool {
        matches!(self, Self::ReadySend | Self::WaitingSend | Self::NilSend | Self::ClosedSend)
    }

    fn is_nil(self) -> bool {
        matches!(self, Self::NilSend | Self::NilRecv)
    }

    fn is_ready(self) -> bool {
        let ready = [Self::ReadySend, Self::ReadyRecv, Self::ClosedSend, Self::ClosedRecv];
        ready.contains(&self)
    }
}

/// A channel of one of two types: cases of one select need not agree.
#[derive(Serialize, Deserialize, Clone)]
enum Ends {
    Numbers(Sender<u64>, Receiver<u64>),
    Texts(Sender<String>, Receiver<String>),
}

impl Ends {
    fn new(capacity: usize, of_texts: bool) -> Self {
        if of_texts {
            let (texts_in, texts) = channel(capacity);
            Self::Texts(texts_in, texts)
        } else {
            let (numbers_in, numbers) = channel(capacity);
            Self::Numbers(numbers_in, numbers)
        }
    }

    async fn send(&self, n: u64) {
        match self {
            Self::Numbers(numbers, _) => numbers.send(n).await.unwrap(),
            Self::Texts(texts, _) => texts.send(n.to_string()).await.unwrap(),
        }
    }

    async fn recv(&self) -> u64 {
        match self {
            Self::Numbers(_, numbers) => numbers.recv().await.unwrap(),
            Self::Texts(_, texts) => texts.recv().await.unwrap().parse().unwrap(),
        }
    }

    async fn close(&self) {
        match self {
            Self::Numbers(numbers, _) => numbers.close().await.unwrap(),
            Self::Texts(texts, _) => texts.close().await.unwrap(),
        }
    }

    /// Whether a receive that does not wait gives this.
    async fn try_recv_gives(&self, expected: Result<u64, TryRecvError>) -> bool {
        match self {
            Self::Numbers(_, numbers) => numbers.try_recv().await == expected,
            Self::Texts(_, texts) => texts.try_recv().await == expected.map(|n| n.to_string()),
        }
    }

    /// Whether a send that does not wait finds no room, and nobody who waits for it.
    async fn try_send_is_refused(&self) -> bool {
        match self {
            Self::Numbers(numbers, _) => numbers.try_send(0).await == Err(TrySendError::Full(0)),
            Self::Texts(texts, _) => {
                let empty = String::new;
                texts.try_send(empty()).await == Err(TrySendError::Full(empty()))
            }
        }
    }

    fn add_send<'a>(&'a self, select: &mut Select<'a>, n: u64, nil: bool) -> usize {
        match self {
            Self::Numbers(numbers, _) => select.send((!nil).then_some(numbers), n),
            Self::Texts(texts, _) => select.send((!nil).then_some(texts), n.to_string()),
        }
    }

    fn add_recv<'a>(&'a self, select: &mut Select<'a>, nil: bool) -> usize {
        match self {
            Self::Numbers(_, numbers) => select.recv((!nil).then_some(numbers)),
            Self::Texts(_, texts) => select.recv((!nil).then_some(texts)),
        }
    }

    /// The value that came, or that came back.
    fn sent(&self, mut chosen: Chosen<'_>) -> Result<(), u64> {
        match self {
            Self::Numbers(numbers, _) => chosen.sent(numbers).map_err(SendError::into_inner),
            Self::Texts(texts, _) => {
                chosen.sent(texts).map_err(|back| back.into_inner().parse().unwrap())
            }
        }
    }

    fn received(&self, mut chosen: Chosen<'_>) -> Result<u64, RecvError> {
        match self {
            Self::Numbers(_, numbers) => chosen.received(numbers),
            Self::Texts(_, texts) => chosen.received(texts).map(|text| text.parse().unwrap()),
        }
    }
}

/// A case of a select, with its channel and its value.
struct Case {
    kind: Kind,
    ends: Ends,
    value: u64,
}

impl fmt::Debug for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if matches!(self.ends, Ends::Numbers(..)) { "numbers" } else { "texts" };
        write!(out, "{:?} of {of}", self.kind)
    }
}

impl Case {
    async fn new(kind: Kind, value: u64, of_texts: bool) -> Self {
        let buffered = matches!(kind, Kind::ReadySend | Kind::ReadyRecv);
        let ends = Ends::new(usize::from(buffered), of_texts);
        match kind {
            Kind::ReadyRecv => ends.send(value).await,
            Kind::ClosedSend | Kind::ClosedRecv => ends.close().await,
            _ => {}
        }
        Self { kind, ends, value }
    }

    fn add<'a>(&'a self, select: &mut Select<'a>) -> usize {
        let nil = self.kind.is_nil();
        if self.kind.sends() {
            self.ends.add_send(select, self.value, nil)
        } else {
            self.ends.add_recv(select, nil)
        }
    }

    /// What its result must be if it was chosen, and that a value sent has arrived.
    async fn check_chosen(&self, chosen: Chosen<'_>) {
        match self.kind {
            Kind::ReadySend => {
                assert_eq!(self.ends.sent(chosen), Ok(()));
                assert_eq!(self.ends.recv().await, self.value);
            }
            Kind::WaitingSend => assert_eq!(self.ends.sent(chosen), Ok(())),
            Kind::ClosedSend => assert_eq!(self.ends.sent(chosen), Err(self.value)),
            Kind::ReadyRecv | Kind::WaitingRecv => {
                assert_eq!(self.ends.received(chosen), Ok(self.value));
            }
            Kind::ClosedRecv => assert_eq!(self.ends.received(chosen), Err(RecvError::Closed)),
            Kind::NilSend | Kind::NilRecv => panic!("a nil channel was chosen"),
        }
        if self.kind == Kind::ReadyRecv {
            assert!(self.ends.try_recv_gives(Err(TryRecvError::Empty)).await);
        }
    }

    /// That nothing happened if it was not chosen, and that it waits no more.
    async fn check_untouched(&self) {
        let expected = match self.kind {
            Kind::ReadyRecv => Ok(self.value),
            Kind::ClosedSend | Kind::ClosedRecv => Err(TryRecvError::Closed),
            _ => Err(TryRecvError::Empty),
        };
        assert!(self.ends.try_recv_gives(expected).await, "{self:?} sent or took something");
        if matches!(self.kind, Kind::WaitingSend | Kind::WaitingRecv) {
            assert!(self.ends.try_send_is_refused().await, "{self:?} still waits");
        }
    }
}

#[task]
async fn come_and_take(ends: Ends, taken: Sender<u64>) {
    taken.send(ends.recv().await).await.unwrap();
}

#[task]
async fn come_and_send(ends: Ends, value: u64) {
    ends.send(value).await;
}

/// Holds handles of channels, so that they are known to another goroutine, until it may let go.
#[task]
async fn keep(handles: Receiver<Option<Ends>>) {
    let mut kept = Vec::new();
    while let Ok(handle) = handles.recv().await {
        match handle {
            Some(ends) => kept.push(ends),
            None => kept.clear(),
        }
    }
}

/// How a select is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// It does not wait.
    Now,
    /// It need not wait.
    Wait,
    /// It waits until somebody comes to this case's channel.
    WaitFor(usize),
}

/// The next set of kinds, in some order, and how it is asked.
fn draw(choices: &mut Choices, dice: &mut Dice) -> (Vec<Kind>, Asked) {
    let (mut kinds, mut helpers) = (Vec::new(), Vec::new());
    for kind in [Kind::ReadySend, Kind::ReadyRecv] {
        choices.maybe().then(|| kinds.push(kind));
    }
    for kind in [Kind::WaitingSend, Kind::WaitingRecv] {
        let with_or_without_helper = choices.choose(3);
        if with_or_without_helper > 0 {
            kinds.push(kind);
        }
        if with_or_without_helper > 1 {
            helpers.push(kind);
        }
    }
    for kind in [Kind::NilSend, Kind::NilRecv, Kind::ClosedSend, Kind::ClosedRecv] {
        choices.maybe().then(|| kinds.push(kind));
    }
    let one_is_ready = kinds.iter().any(|kind| kind.is_ready());
    dice.shuffle(&mut kinds);
    let asked = if !one_is_ready && helpers.is_empty() || choices.maybe() {
        Asked::Now
    } else if one_is_ready {
        Asked::Wait
    } else {
        let helper = helpers[choices.choose(helpers.len())];
        Asked::WaitFor(kinds.iter().position(|kind| *kind == helper).unwrap())
    };
    (kinds, asked)
}

/// Runs one select, and starts its helper when it has been seen to wait.
async fn run(cases: &[Case], asked: Asked) -> Option<Chosen<'_>> {
    let mut select = Select::new();
    for (n, case) in cases.iter().enumerate() {
        assert_eq!(case.add(&mut select), n, "cases are numbered as they come");
    }
    match asked {
        Asked::Now => select.try_now().await,
        Asked::Wait => Some(select.wait().await),
        Asked::WaitFor(n) => {
            let (taken_in, taken) = channel(1);
            let mut wait = pin!(select.wait());
            assert!(poll!(wait.as_mut()).is_pending(), "nobody has come yet: {cases:?}");
            settle().await;
            assert!(poll!(wait.as_mut()).is_pending(), "nobody has come yet: {cases:?}");
            let Case { kind, ends, value } = &cases[n];
            if *kind == Kind::WaitingSend {
                go(come_and_take(ends.clone(), taken_in));
            } else {
                go(come_and_send(ends.clone(), *value));
            }
            let chosen = wait.await;
            if *kind == Kind::WaitingSend {
                assert_eq!(taken.recv().await, Ok(*value));
            }
            Some(chosen)
        }
    }
}

async fn check(cases: &[Case], asked: Asked) {
    let chosen = run(cases, asked).await;
    let index = chosen.as_ref().map(Chosen::index);
    let may_be = |n: usize| cases[n].kind.is_ready() || asked == Asked::WaitFor(n);
    match index {
        Some(n) => assert!(may_be(n), "{asked:?}: {n} was chosen of {cases:?}"),
        None => assert!(!(0..cases.len()).any(may_be), "{asked:?}: none was chosen of {cases:?}"),
    }
    if let Some(chosen) = chosen {
        cases[chosen.index()].check_chosen(chosen).await;
    }
    for (n, case) in cases.iter().enumerate() {
        if Some(n) != index {
            case.check_untouched().await;
        }
    }
}

/// C21, C26, C33, C36-C38, C42.
#[test]
fn the_builder_does_as_the_model_does() {
    program(async {
        let (keeper_in, handles) = channel(0);
        go(keep(handles));
        for seed in 0..rounds(1, 90) as u64 {
            let (mut choices, mut dice) = (Choices::default(), Dice(seed));
            while choices.next_path() {
                let (kinds, asked) = draw(&mut choices, &mut dice);
                let mut cases = Vec::new();
                for (n, kind) in kinds.into_iter().enumerate() {
                    let case = Case::new(kind, n as u64 + 100, dice.roll(2) == 0).await;
                    if dice.roll(2) == 0 {
                        keeper_in.send(Some(case.ends.clone())).await.unwrap();
                    }
                    cases.push(case);
                }
                check(&cases, asked).await;
                keeper_in.send(None).await.unwrap();
            }
        }
    });
}

/// `TestSelectNop`: a select without cases, and one whose cases are all nil, has nothing to choose.
#[test]
fn a_select_without_cases_has_nothing_to_choose() {
    program(async {
        assert!(Select::new().try_now().await.is_none());
        let mut select = Select::new();
        select.recv(None::<&Receiver<u8>>);
        select.send(None::<&Sender<u8>>, 1);
        assert!(select.try_now().await.is_none());
        let select = Select::new();
        let mut wait = pin!(select.wait());
        assert!(poll!(wait.as_mut()).is_pending());
        assert!(poll!(wait).is_pending());
    });
}

/// `TestSelectMaxCases`: many cases, on one channel and on as many.
#[test]
fn a_select_has_as_many_cases_as_one_likes() {
    program(async {
        for count in [1, 2, 100, rounds(4096, 65536)] {
            let (closed_in, closed) = channel::<u32>(0);
            closed_in.close().await.unwrap();
            let mut select = Select::new();
            for _ in 0..count {
                select.recv(&closed);
            }
            let mut chosen = select.wait().await;
            assert!(chosen.index() < count);
            assert_eq!(chosen.received(&closed), Err(RecvError::Closed));

            let (ends_in, ends): (Vec<_>, Vec<_>) = (0..count).map(|_| channel::<u32>(1)).unzip();
            let ready = count * 2 / 3;
            ends_in[ready].send(7).await.unwrap();
            let mut select = Select::new();
            for receiver in &ends {
                select.recv(receiver);
            }
            let mut chosen = select.wait().await;
            assert_eq!(chosen.index(), ready);
            assert_eq!(chosen.received(&ends[ready]), Ok(7));
            assert_eq!(ends[ready].len().await, 0);
        }
    });
}

/// C39: one channel in all cases, in both directions: the one case that can happens.
#[test]
fn one_channel_may_be_in_all_cases() {
    program(async {
        let mut dice = Dice(1);
        for _ in 0..rounds(200, 5000) {
            let (numbers_in, numbers) = channel(1);
            let full = dice.roll(2) == 0;
            if full {
                numbers_in.send(0).await.unwrap();
            }
            let directions: Vec<_> = (0..1 + dice.roll(6)).map(|_| dice.roll(2) == 0).collect();
            let mut select = Select::new();
            for (n, sends) in directions.iter().enumerate() {
                let added =
                    if *sends { select.send(&numbers_in, n + 1) } else { select.recv(&numbers) };
                assert_eq!(added, n);
            }
            match select.try_now().await {
                None => assert!(directions.iter().all(|sends| *sends == full)),
                Some(mut chosen) if directions[chosen.index()] => {
                    assert!(!full);
                    let value = chosen.index() + 1;
                    assert_eq!(chosen.sent(&numbers_in), Ok(()));
                    assert_eq!(numbers.try_recv().await, Ok(value));
                }
                Some(mut chosen) => {
                    assert!(full);
                    assert_eq!(chosen.received(&numbers), Ok(0));
                    assert_eq!(numbers.try_recv().await, Err(TryRecvError::Empty));
                }
            }
        }
    });
}

/// Ours: a select that is dropped while it waits leaves no trace, and a value that it was given and
/// did not look at goes to the next receive.
#[test]
fn a_select_that_is_dropped_has_done_nothing() {
    program(async {
        let ((a_in, a), (b_in, b)) = (channel(0), channel(0));
        for given in [false, true] {
            // Elsewhere what is given to a select that does not look is not taken yet (contract
            // D2), and whoever tries to send it waits to hear of that.
            if given && Placement::of_environment() != Placement::Local {
                continue;
            }
            let mut select = Select::new();
            select.recv(&a);
            select.send(&b_in, 7);
            select.recv(&a);
            {
                let mut wait = pin!(select.wait());
                assert!(poll!(wait.as_mut()).is_pending());
                if given {
                    assert_eq!(a_in.try_send(1).await, Ok(()), "the select waits for it");
                }
            }
            let left = a.try_recv().await;
            assert_eq!(left, if given { Ok(1) } else { Err(TryRecvError::Empty) });
            assert_eq!(a_in.try_send(2).await, Err(TrySendError::Full(2)), "nobody waits for it");
            assert_eq!(b.try_recv().await, Err(TryRecvError::Empty), "nobody offers it");
        }
    });
}
