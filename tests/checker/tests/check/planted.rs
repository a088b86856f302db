//! Each violation is reported, as what it is and as nothing else; its innocent twin is not.

use checker::Outcome::{AlreadyClosed, Cancelled, Closed, Lost, NotChosen, Pending, WouldBlock};
use checker::generate::{Mix, generate};
use checker::{History, Kind, NEVER, Outcome, Record, Rule, TaskEnd, broken, check};

use crate::script::Script;

#[track_caller]
fn is(script: &Script, rule: Rule) {
    let found = check(&script.0);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(broken(&script.0).into_iter().collect::<Vec<_>>(), [rule], "{}", told.join("\n"));
}

#[track_caller]
fn is_legal(script: &Script) {
    let found = check(&script.0);
    assert!(found.is_empty(), "{}", found[0]);
}

#[test]
fn a_duplicate() {
    let one = || Script::new(2).send(1, 1, [0, 2]).take(2, (1, 1), [1, 3]);
    is_legal(&one());
    is(&one().take(3, (1, 1), [4, 5]), Rule::Duplicate);
}

#[test]
fn a_loss() {
    let sent = || Script::new(2).send(1, 1, [0, 1]).send(1, 2, [2, 3]);
    let ended = |script: Script| script.close(1, [10, 11]).ended(2, [12, 13]);
    is_legal(&ended(sent().take(2, (1, 1), [4, 5]).take(2, (1, 2), [6, 7])));
    is(&ended(sent().take(2, (1, 1), [4, 5])), Rule::Loss);
    // Without an end to drain to, a younger value tells.
    is_legal(&sent().take(2, (1, 1), [4, 5]));
    is(&sent().take(2, (1, 2), [4, 5]), Rule::Loss);
}

#[test]
fn a_reorder_across_receivers() {
    let sent = || Script::new(2).send(1, 1, [0, 1]).send(4, 1, [2, 3]);
    is_legal(&sent().take(2, (1, 1), [4, 6]).take(3, (4, 1), [5, 7]));
    is_legal(&sent().take(3, (4, 1), [4, 6]).take(2, (1, 1), [6, 8]));
    is(&sent().take(3, (4, 1), [4, 6]).take(2, (1, 1), [7, 8]), Rule::Order);
    // Sends that overlap have no order.
    let sent = || Script::new(2).send(1, 1, [0, 2]).send(4, 1, [2, 3]);
    is_legal(&sent().take(3, (4, 1), [4, 6]).take(2, (1, 1), [7, 8]));
}

#[test]
fn a_reorder_of_one_sender_at_one_receiver() {
    let sent = || Script::new(2).send(1, 1, [0, 1]).send(1, 2, [1, 3]);
    is_legal(&sent().take(2, (1, 1), [4, 6]).take(2, (1, 2), [6, 7]));
    is(&sent().take(2, (1, 2), [4, 6]).take(2, (1, 1), [6, 7]), Rule::Order);
}

/// A receive that was given up may have had the older value for a while (D6).
#[test]
fn a_value_that_returned_may_be_overtaken() {
    let sent = |until| {
        let script = Script::new(2).send(1, 1, [10, 11]).send(4, 1, [12, 13]);
        let taken = script.take(3, (4, 1), [14, 16]).take(2, (1, 1), [17, 18]);
        taken.other(5, Kind::Receive, Cancelled, [0, until])
    };
    is_legal(&sent(15));
    is(&sent(5), Rule::Order);
    // The home may have offered it before it heard that the receive was given up.
    let mut script = sent(5);
    script.0.lag = 7;
    is_legal(&script);
    script.0.lag = 6;
    is(&script, Rule::Order);
}

/// It explains nothing that had not begun when the younger one was received, nor of what was sent
/// when the home had long heard of it.
#[test]
fn a_value_is_overtaken_only_while_it_is_away() {
    let overtaken = |[from, until]: [u64; 2]| {
        let script = Script::new(9).send(1, 1, [10, 11]).send(4, 1, [22, 23]);
        let taken = script.take(3, (4, 1), [24, 26]).take(2, (1, 1), [37, 38]);
        let mut script = taken.other(5, Kind::Receive, Cancelled, [from, until]);
        script.0.lag = 5;
        script
    };
    is_legal(&overtaken([20, 21]));
    is_legal(&overtaken([12, 17]));
    is_legal(&overtaken([26, 30]));
    is(&overtaken([12, 16]), Rule::Order);
    is(&overtaken([27, 30]), Rule::Order);
}

#[test]
fn a_capacity() {
    let sent = || Script::new(2).send(1, 1, [0, 1]).send(1, 2, [2, 3]).send(1, 3, [4, 6]);
    let rest = |script: Script| script.take(2, (1, 2), [8, 9]).take(2, (1, 3), [10, 11]);
    is_legal(&rest(sent().take(2, (1, 1), [6, 7])));
    is(&rest(sent().take(2, (1, 1), [7, 8])), Rule::Capacity);
}

#[test]
fn a_rendezvous_without_overlap() {
    let sent = || Script::new(0).send(1, 1, [0, 4]);
    is_legal(&sent().take(2, (1, 1), [4, 6]));
    is(&sent().take(2, (1, 1), [5, 6]), Rule::Rendezvous);
}

#[test]
fn a_select_that_happened_twice() {
    let other = |outcome| {
        let script = Script::new(1).send(1, 1, [0, 1]);
        let script = script.take(2, (1, 1), [2, 9]).case(1, Outcome::Ok);
        script.send(2, 1, [2, 9]).case(1, outcome)
    };
    is_legal(&other(NotChosen));
    is(&other(Outcome::Ok), Rule::Select);
    is(&other(NotChosen).take(3, (2, 1), [5, 7]), Rule::Select);
}

#[test]
fn a_send_after_close() {
    let closed = || Script::new(2).close(1, [2, 4]);
    is_legal(&closed().send(2, 1, [4, 6]).take(3, (2, 1), [5, 7]));
    is(&closed().send(2, 1, [5, 6]).take(3, (2, 1), [5, 7]), Rule::Close);
}

#[test]
fn an_end_that_comes_too_early() {
    let sent = || Script::new(2).send(1, 1, [0, 1]).close(1, [2, 3]);
    is_legal(&sent().take(2, (1, 1), [4, 6]).ended(3, [5, 6]));
    is(&sent().take(2, (1, 1), [7, 8]).ended(3, [5, 6]), Rule::Close);
    is(&Script::new(2).ended(3, [0, 1]).close(1, [2, 3]), Rule::Close);
    is(&Script::new(2).other(3, Kind::Receive, Lost, [0, 1]), Rule::Close);
    // Its close came home; of the answer it heard nothing before it was fenced.
    let close = |script: Script| script.other(9, Kind::Close, AlreadyClosed, [0, 9]);
    is_legal(&close(Script::new(2).fenced(9)).ended(3, [2, 3]));
    is(&close(Script::new(2)).ended(3, [2, 3]), Rule::Close);
}

#[test]
fn two_closes_that_both_closed() {
    let closed = |second| Script::new(1).close(1, [0, 1]).other(2, Kind::Close, second, [0, 3]);
    is_legal(&closed(AlreadyClosed));
    is(&closed(Outcome::Ok), Rule::Close);
}

#[test]
fn a_value_from_nowhere() {
    is(&Script::new(1).take(2, (9, 1), [0, 1]), Rule::Provenance);
    is(&Script::new(1).take(2, (1, 1), [0, 1]).send(1, 1, [2, 3]), Rule::Provenance);
    let refused = Script::new(1).close(3, [0, 5]).failed(1, 1, (Kind::Send, Closed), [0, 3]);
    is(&refused.take(2, (1, 1), [1, 4]), Rule::Provenance);
}

#[test]
fn an_answer_that_is_not_true() {
    let sent = || Script::new(1).send(1, 1, [0, 2]);
    let empty = |script: Script| script.other(3, Kind::TryReceive, WouldBlock, [3, 4]);
    is_legal(&empty(sent().take(2, (1, 1), [4, 6])));
    is(&empty(sent().take(2, (1, 1), [5, 6])), Rule::WouldBlock);
    let full = |script: Script| script.failed(3, 1, (Kind::TrySend, WouldBlock), [7, 8]);
    is_legal(&full(sent().take(2, (1, 1), [4, 7])));
    is(&full(sent().take(2, (1, 1), [4, 6])), Rule::WouldBlock);
}

#[test]
fn a_wake_up_that_got_lost() {
    is_legal(&Script::new(1).other(2, Kind::Receive, Pending, [0, NEVER]));
    let sent = || Script::new(1).send(1, 1, [0, 2]);
    is(&sent().other(2, Kind::Receive, Pending, [0, NEVER]), Rule::Stuck);
    is_legal(&sent().send(3, 1, [3, NEVER]));
    is(&sent().take(2, (1, 1), [3, 4]).send(3, 1, [3, NEVER]), Rule::Stuck);
    let closed = Script::new(1).close(1, [0, 1]);
    is(&closed.other(2, Kind::Receive, Pending, [0, NEVER]), Rule::Stuck);
    // A select that sends and receives on one rendezvous never meets itself.
    let alone = || Script::new(0).send(1, 1, [0, NEVER]).case(1, Pending);
    let receive = |script: Script| script.other(1, Kind::Receive, Pending, [0, NEVER]);
    is_legal(&receive(alone()).case(1, Pending));
    is(&receive(alone()).case(2, Pending), Rule::Stuck);
}

#[test]
fn a_hole_in_what_a_fenced_session_sent() {
    let sent = || Script::new(3).fenced(1).send(1, 1, [0, 1]).send(1, 2, [2, 3]).send(1, 3, [4, 5]);
    is_legal(&sent().take(2, (1, 1), [6, 7]));
    is_legal(&sent().take(2, (1, 1), [6, 7]).take(3, (1, 2), [6, 7]));
    is(&sent().take(2, (1, 1), [6, 7]).take(3, (1, 3), [6, 7]), Rule::Prefix);
    // A receive that died without a word may have had the missing one.
    let script = sent().fenced(9).take(2, (1, 1), [6, 7]).take(3, (1, 3), [6, 7]);
    is_legal(&script.other(9, Kind::Receive, Pending, [6, NEVER]));
}

/// D3: what a dead receiver took and nobody saw an effect of may be received again, once.
#[test]
fn a_value_taken_by_the_dead() {
    let taken = || Script::new(2).fenced(9).send(1, 1, [0, 1]).take(9, (1, 1), [2, 3]);
    is_legal(&taken().close(1, [4, 5]).ended(2, [6, 7]));
    is_legal(&taken().take(2, (1, 1), [4, 5]));
    is(&taken().take(2, (1, 1), [4, 5]).take(3, (1, 1), [6, 7]), Rule::Duplicate);
    // What it sent afterwards was seen, so it had acknowledged.
    let spoke = |script: Script| script.send(9, 1, [4, 5]).take(3, (9, 1), [6, 7]);
    is_legal(&spoke(taken()));
    is(&spoke(taken()).take(2, (1, 1), [6, 7]), Rule::Duplicate);
}

/// The dead took it, the home did not hear of that, and the sender was told that nobody would.
#[test]
fn a_refused_value_that_the_dead_had_for_a_moment() {
    let taken = || {
        let script = Script::new(0).fenced(9).take(9, (1, 1), [2, 3]);
        script.failed(1, 1, (Kind::TrySend, WouldBlock), [0, 9])
    };
    is_legal(&taken());
    is(&taken().send(9, 1, [4, 5]).take(3, (9, 1), [4, 7]), Rule::Provenance);
}

/// D4: what a task sent before it returned is there, though its worker died afterwards.
#[test]
fn a_loss_of_what_a_finished_task_sent() {
    let ended = |end| {
        let script = Script::new(2).fenced(1).send(1, 1, [0, 1]).close(3, [4, 5]);
        let mut script = script.ended(2, [6, 7]);
        script.0.ends.push((1, end));
        script
    };
    is_legal(&ended(TaskEnd::WorkerLost));
    is(&ended(TaskEnd::Returned), Rule::Loss);
}

/// A task of a session that died sent x on one channel, then y on another. Somebody has y, or a
/// value that was sent because of y; x is gone.
#[test]
fn an_effect_without_its_cause() {
    let sent = |second: fn(Script) -> Script| {
        let script = Script::of(&[1, 1, 1]).fenced(7).send(7, 1, [0, 1]);
        second(script.send_on(2, 7, 1, [2, 3])).close(5, [20, 21]).ended(5, [22, 23])
    };
    is_legal(&sent(|script| script));
    is(&sent(|script| script.take_on(2, 3, (7, 1), [4, 5])), Rule::Causality);
    let passed_on = |script: Script| {
        let script = script.fenced(8).take_on(2, 8, (7, 1), [4, 5]);
        script.send_on(3, 8, 1, [6, 7]).take_on(3, 3, (8, 1), [8, 9])
    };
    is(&sent(passed_on), Rule::Causality);
    let before = |script: Script| {
        let script = script.fenced(8).take_on(2, 8, (7, 1), [4, 9]);
        script.send_on(3, 8, 1, [6, 7]).take_on(3, 3, (8, 1), [8, 9])
    };
    is_legal(&sent(before));
}

#[test]
fn a_task_that_ends_twice_or_goes_on() {
    let ends = |ends: &[TaskEnd]| {
        let mut script = Script::new(1).other(1, Kind::Receive, Pending, [0, NEVER]);
        script.0.ends = ends.iter().map(|end| (1, *end)).collect();
        script
    };
    is_legal(&ends(&[TaskEnd::Stopped]));
    is(&ends(&[TaskEnd::Returned]), Rule::Task);
    is(&ends(&[TaskEnd::NeverStarted]), Rule::Task);
    is(&ends(&[TaskEnd::Stopped, TaskEnd::WorkerLost]), Rule::Task);
}

/// In a history of thousands of operations.
#[test]
fn one_among_many() {
    let (closes, capacity_min) = (0, 1);
    let mix = Mix { operations: 5000, whims: false, closes, capacity_min, ..Mix::default() };
    let plant = |seed, rule, bug: &dyn Fn(&mut History)| {
        let (mut history, _) = generate(seed, &mix);
        bug(&mut history);
        assert_eq!(broken(&history).into_iter().collect::<Vec<_>>(), [rule], "seed {seed}");
    };
    for seed in 0..20 {
        plant(seed, Rule::Loss, &|history| {
            let at = history.records.iter().position(Record::is_take);
            history.records.remove(at.expect("somebody receives"));
        });
        plant(seed, Rule::Capacity, &|history| {
            history.channels.iter_mut().for_each(|channel| channel.capacity -= 1);
            history.channels.retain(|channel| channel.capacity > 0);
        });
        plant(seed, Rule::Order, &swap_two_takes);
    }
}

/// Two values that were inside together and left one after the other change places.
fn swap_two_takes(history: &mut History) {
    let records = &history.records;
    let send_of = |take: &Record| {
        let same = |r: &&Record| r.is_send() && (r.channel, r.value) == (take.channel, take.value);
        *records.iter().find(same).expect("it was sent")
    };
    let takes = || (0..records.len()).filter(|at| records[*at].is_take()).take(100);
    let pair = takes().find_map(|one| {
        let (first, sent) = (&records[one], send_of(&records[one]));
        let fits = |other: &usize| {
            let (second, later) = (&records[*other], send_of(&records[*other]));
            second.channel == first.channel
                && sent.returned < later.invoked
                && later.returned < first.invoked
                && first.returned < second.invoked
        };
        takes().find(fits).map(|other| (one, other))
    });
    let (one, other) = pair.expect("two values were inside together");
    let value = history.records[one].value;
    history.records[one].value = history.records[other].value;
    history.records[other].value = value;
}

/// Violations say what is wrong in words, with the operations that show it; of very many a few are
/// told.
#[test]
fn a_report_can_be_acted_upon() {
    let script = Script::new(2).send(1, 1, [0, 2]).take(2, (1, 1), [1, 3]);
    let found = check(&script.take(3, (1, 1), [4, 5]).0);
    let text = found[0].to_string();
    assert!(text.contains("Duplicate: channel 1: value 1.1 was received 2 times"), "{text}");
    assert!(
        text.contains("[4, 5] task 3 of session 0: Receive on channel 1 -> value 1.1"),
        "{text}"
    );
    let many = (1..=50).fold(Script::new(9), |script, n| script.take(2, (9, n), [0, 1]));
    let found = check(&many.0);
    assert_eq!(found.len(), 4);
    assert!(found[3].to_string().contains("and 47 more"), "{}", found[3]);
}
