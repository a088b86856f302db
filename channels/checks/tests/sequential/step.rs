//! What a random history is made of.

use proptest::prelude::*;

use super::model::Side;

/// One thing that is done. What it names is taken modulo what there is, so that every history can
/// run, and a shorter one means much the same.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Begins an operation, and polls it.
    Start {
        cases: Vec<CaseStep>,
    },
    Poll {
        operation: usize,
    },
    GiveUp {
        operation: usize,
    },
    /// A select with a default.
    Now {
        cases: Vec<CaseStep>,
    },
    TrySend {
        channel: usize,
    },
    TryReceive {
        channel: usize,
    },
    Close {
        channel: usize,
    },
    Clone {
        channel: usize,
        side: Side,
    },
    Drop {
        channel: usize,
        side: Side,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct CaseStep {
    pub(crate) channel: usize,
    /// `None` is Go's nil channel.
    pub(crate) side: Option<Side>,
}

const CHANNELS_MAX: usize = 3;

pub(crate) fn capacities() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..=3usize, 1..=CHANNELS_MAX)
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..80)
}

fn step() -> impl Strategy<Value = Step> {
    let operation = 0..16usize;
    prop_oneof![
        16 => case(1).prop_map(|case| Step::Start { cases: vec![case] }),
        8 => prop::collection::vec(case(12), 2..=4).prop_map(|cases| Step::Start { cases }),
        12 => operation.clone().prop_map(|operation| Step::Poll { operation }),
        8 => operation.prop_map(|operation| Step::GiveUp { operation }),
        4 => prop::collection::vec(case(12), 0..=3).prop_map(|cases| Step::Now { cases }),
        4 => channel().prop_map(|channel| Step::TrySend { channel }),
        4 => channel().prop_map(|channel| Step::TryReceive { channel }),
        1 => channel().prop_map(|channel| Step::Close { channel }),
        1 => (channel(), side()).prop_map(|(channel, side)| Step::Clone { channel, side }),
        1 => (channel(), side()).prop_map(|(channel, side)| Step::Drop { channel, side }),
    ]
}

fn channel() -> impl Strategy<Value = usize> {
    0..CHANNELS_MAX
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Send), Just(Side::Receive)]
}

/// A case; with the given odds it has a channel.
fn case(odds: u32) -> impl Strategy<Value = CaseStep> {
    let side = prop_oneof![odds => side().prop_map(Some), u32::from(odds > 1) => Just(None)];
    (channel(), side).prop_map(|(channel, side)| CaseStep { channel, side })
}
