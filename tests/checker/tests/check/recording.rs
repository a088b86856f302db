//! What is recorded is what happened, also on paper and by many threads.

use std::fs;
use std::thread;

use checker::recorded::{Case, channel};
use checker::{Channel, History, Kind, NEVER, Outcome, Recorded, Recorder, check, monotonic, text};
use futures::FutureExt;
use futures::executor::block_on;

#[test]
fn many_threads_record_and_the_history_is_legal() {
    let recorder = Recorder::new(0, monotonic);
    let (out, here) = channel::<u32>(1, 3);
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for task in 1..=4 {
        let (log, out) = (Recorded::new(recorder.task(task)), out.clone());
        senders.push(thread::spawn(move || {
            for n in 0..500 {
                block_on(log.send(&out, n)).unwrap();
            }
        }));
        let (log, here) = (Recorded::new(recorder.task(10 + task)), here.clone());
        receivers.push(thread::spawn(move || while block_on(log.recv(&here)).is_ok() {}));
    }
    senders.into_iter().for_each(|thread| thread.join().unwrap());
    block_on(Recorded::new(recorder.task(99)).close(&out)).unwrap();
    receivers.into_iter().for_each(|thread| thread.join().unwrap());
    let mut history = History { settled: true, ..History::default() };
    history.channels.push(Channel { id: 1, capacity: 3, held: true });
    history.merge(recorder.records());
    assert!(history.records.len() >= 4000);
    assert!(check(&history).is_empty(), "{}", check(&history)[0]);
}

#[test]
fn each_outcome_is_recorded() {
    let recorder = Recorder::new(3, monotonic);
    let task = Recorded::new(recorder.task(1));
    let ((out, here), (full, _kept)) = (channel(1, 1), channel(2, 1));
    block_on(async {
        assert!(task.try_recv(&here).await.is_err());
        assert!(task.recv(&here).now_or_never().is_none());
        task.send(&out, 1).await.unwrap();
        assert!(task.try_send(&out, 2).await.is_err());
        task.send(&full, 3).await.unwrap();
        task.select(vec![Case::Receive(&here), Case::Send(&full, 4)]).await;
        assert!(task.select_now(vec![Case::Send(&full, 5)]).await.is_none());
        task.close(&out).await.unwrap();
        task.close(&out).await.unwrap_err();
        task.recv(&here).await.unwrap_err();
        task.send(&out, 6).await.unwrap_err();
    });
    use Outcome::{AlreadyClosed, Cancelled, Closed, NotChosen, Ok, WouldBlock};
    let seen: Vec<(Kind, Outcome)> =
        recorder.records().iter().map(|record| (record.kind, record.outcome)).collect();
    assert_eq!(
        seen,
        [
            (Kind::TryReceive, WouldBlock),
            (Kind::Receive, Cancelled),
            (Kind::Send, Ok),
            (Kind::TrySend, WouldBlock),
            (Kind::Send, Ok),
            (Kind::Receive, Ok),
            (Kind::Send, NotChosen),
            (Kind::TrySend, WouldBlock),
            (Kind::Close, Ok),
            (Kind::Close, AlreadyClosed),
            (Kind::Receive, Closed),
            (Kind::Send, Closed),
        ]
    );
    let records = recorder.records();
    assert_eq!(records[5].value, records[2].value, "the receive has the value sent");
    assert_eq!((records[5].select, records[6].select, records[7].select), (1, 1, 2));
    assert!(records.iter().all(|record| record.invoked <= record.returned && record.session == 3));
}

#[test]
fn a_file_keeps_what_a_killed_process_recorded() {
    let path = std::env::temp_dir().join(format!("farspawn-records-{}", std::process::id()));
    let recorder = Recorder::to_file(5, &path).unwrap();
    let task = Recorded::new(recorder.task(1));
    let (out, here) = channel(1, 1);
    block_on(async {
        task.send(&out, 1).await.unwrap();
        task.recv(&here).await.unwrap();
        task.select_now(vec![Case::Receive(&here)]).await;
    });
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(text::read(&written).unwrap(), recorder.records());
    // Cut anywhere, it is what was recorded up to then.
    for length in 0..written.len() {
        let read = text::read(&written[..length]).unwrap();
        assert!(read.len() <= 3);
        assert!(read.iter().all(|r| (r.outcome == Outcome::Pending) == (r.returned == NEVER)));
    }
    assert!(text::read("begin x\n").unwrap_err().contains("begin x"));
    fs::remove_file(path).unwrap();
}
