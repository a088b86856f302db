//! What happens when links break, and when they only seem to be there: real processes, and a
//! network that misbehaves between them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{eventually, run};
use crate::proxy::{Way, Weather};
use crate::site::Site;
use runtime::{JoinError, Receiver, RecvError, Sender, channel, spawn, task};
use rustix::process::{Pid, Signal, kill_process, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const LEASE: Duration = Duration::from_secs(20);
/// For tests that wait for the end of one.
const SHORT_LEASE: Duration = Duration::from_millis(1500);

fn is_alive(process: u32) -> bool {
    Path::new(&format!("/proc/{process}/fd")).exists()
}

/// Says that it is there, then counts.
#[task]
async fn count(ready: Sender<u32>, numbers: Sender<u64>, until: u64) -> u64 {
    ready.send(std::process::id()).await.unwrap();
    for number in 0..until {
        numbers.send(number).await.unwrap();
    }
    until
}

#[task]
async fn pass_on(ready: Sender<u32>, from: Receiver<u64>, to: Sender<u64>) -> u64 {
    ready.send(std::process::id()).await.unwrap();
    let mut passed = 0;
    while let Ok(number) = from.recv().await {
        to.send(number).await.unwrap();
        passed += 1;
    }
    passed
}

/// A stream of numbers from a worker through another to the client, over channels of these
/// capacities, in this weather.
fn stream(capacities: [usize; 2], numbers: u64, weather: Weather) -> u64 {
    stream_from([Weather::Clear, weather], capacities, numbers)
}

/// The same, with the weather in which all of them say hello, and the weather afterwards.
fn stream_from([first, weather]: [Weather; 2], capacities: [usize; 2], numbers: u64) -> u64 {
    let site = Site::start(2, LEASE);
    site.set(first);
    let expected: Vec<u64> = (0..numbers).collect();
    run(site.far_client(), async {
        let (ready_in, ready) = channel(0);
        let (first_in, first) = channel(capacities[0]);
        let (second_in, second) = channel(capacities[1]);
        let passed = spawn(pass_on(ready_in.clone(), first, second_in));
        let counted = spawn(count(ready_in, first_in, numbers));
        ready.recv().await.unwrap();
        ready.recv().await.unwrap();
        site.set(weather);
        let mut received = Vec::new();
        while let Ok(number) = second.recv().await {
            received.push(number);
        }
        assert_eq!(received, expected);
        assert_eq!(second.recv().await, Err(RecvError::Closed));
        assert_eq!((counted.await, passed.await), (Ok(numbers), Ok(numbers)));
        let stats = runtime::stats().await.unwrap();
        assert_eq!(stats.launches, 2, "no worker was lost on the way");
        site.set(Weather::Clear);
    });
    site.network.links() + site.client_network.links()
}

/// D2, D6: links of client and workers break all the time, and nobody sees anything of it.
#[test]
fn links_break_and_nothing_is_lost_or_doubled() {
    for capacities in [[0, 16], [16, 0]] {
        let links = stream(capacities, 500, Weather::CutWithin(6_000));
        assert!(links > 30, "only {links} links were made");
    }
}

/// A hello whose answer is lost is said again, and is not taken for another node's.
#[test]
fn links_break_from_the_first_byte_on() {
    for _ in 0..3 {
        stream_from([Weather::CutWithin(2_000); 2], [1, 0], 20);
    }
}

#[test]
fn a_network_that_is_late_or_slow_carries_everything() {
    stream([0, 4], 20, Weather::Delay(Duration::from_millis(10)));
    stream([4, 0], 200, Weather::Slow(50_000));
}

#[task]
async fn wait_and_mark(ready: Sender<u32>, until: Receiver<u32>, mark: PathBuf) -> u32 {
    ready.send(std::process::id()).await.unwrap();
    let mut sum = 0;
    while let Ok(number) = until.recv().await {
        sum += number;
    }
    fs::write(mark, "done").unwrap();
    sum
}

#[task]
async fn mark_when_told(ready: Sender<u32>, told: PathBuf, mark: PathBuf) -> u32 {
    ready.send(std::process::id()).await.unwrap();
    eventually("it is told", || told.exists()).await;
    fs::write(mark, "done").unwrap();
    7
}

/// D2, D12: a link that is away for less than the lease holds nobody up who needs nothing of it;
/// the others wait, and go on where they were. It is the client's link too.
#[test]
fn tasks_go_on_while_their_link_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let [told, mark, late_mark] = ["told", "mark", "late"].map(|name| folder.path().join(name));
    let site = Site::start(2, LEASE);
    run(site.far_client(), async {
        let (ready_in, ready) = channel(0);
        let (until_in, until) = channel(0);
        let mut alone = spawn(mark_when_told(ready_in.clone(), told.clone(), mark.clone()));
        let waiting = spawn(wait_and_mark(ready_in, until, late_mark.clone()));
        ready.recv().await.unwrap();
        ready.recv().await.unwrap();
        until_in.send(3).await.unwrap();
        site.set(Weather::Closed);
        site.cut();
        fs::write(&told, "go on").unwrap();
        eventually("the task has done its work", || mark.exists()).await;
        let mut sending = Box::pin(until_in.send(4));
        assert!(futures::poll!(sending.as_mut()).is_pending(), "nobody can have it");
        assert!(futures::poll!(&mut alone).is_pending(), "nobody can know");
        let before = site.network.links();
        eventually("a new link was tried", || site.network.links() > before + 3).await;
        site.set(Weather::Clear);
        sending.await.unwrap();
        assert_eq!(alone.await, Ok(7));
        assert!(!late_mark.exists());
        drop(until_in);
        assert_eq!(waiting.await, Ok(7));
        assert_eq!(runtime::stats().await.unwrap().launches, 2);
    });
}

/// D12: a client that is away for longer than the lease is taken for gone, as if `main` had
/// returned: its tasks end, and its own operations are lost.
#[test]
fn tasks_of_a_client_that_stays_away_are_cancelled() {
    let site = Site::start(1, SHORT_LEASE);
    run(site.far_client(), async {
        let (ready_in, ready) = channel(0);
        let (until_in, until) = channel(0);
        let task = spawn(wait_and_mark(ready_in, until, PathBuf::from("/dev/null")));
        let process = ready.recv().await.unwrap();
        assert!(is_alive(process));
        site.client_network.set(Weather::Closed);
        site.client_network.cut();
        assert!(until_in.send(1).await.is_err());
        assert!(matches!(task.await, Err(JoinError::CoordinatorLost(_))));
        eventually("its worker has ended", || !is_alive(process)).await;
    });
}

/// D1, D13: a link that looks whole and carries nothing one way. The worker is fenced at the latest
/// when its lease ends, everybody is told, and it ends by itself: nobody kills it here.
#[test]
fn a_half_open_link_is_no_link() {
    for way in [Way::Up, Way::Down] {
        let site = Site::start(1, SHORT_LEASE);
        run(site.client(), async {
            let (ready_in, ready) = channel(0);
            let (until_in, until) = channel(0);
            let (mark, watched) = (PathBuf::from("/dev/null"), ready_in.clone());
            let task = spawn(wait_and_mark(ready_in, until, mark));
            let process = ready.recv().await.unwrap();
            drop(watched);
            site.network.set(Weather::Swallow(way));
            let error = task.await.unwrap_err();
            assert!(matches!(&error, JoinError::WorkerLost(cause) if cause.contains("worker 1")));
            assert!(matches!(ready.recv().await, Err(RecvError::Lost(_))), "{way:?}");
            assert!(until_in.send(1).await.is_err());
            eventually("the worker has ended", || !is_alive(process)).await;
        });
    }
}

/// Half-open for less than the lease: silence is noticed before, and another link heals it.
#[test]
fn a_link_that_falls_silent_is_replaced() {
    let site = Site::start(1, Duration::from_secs(4));
    run(site.client(), async {
        let (ready_in, ready) = channel(0);
        let (until_in, until) = channel(0);
        let task = spawn(wait_and_mark(ready_in, until, PathBuf::from("/dev/null")));
        ready.recv().await.unwrap();
        let before = site.network.links();
        site.network.set(Weather::Swallow(Way::Down));
        let mut sending = Box::pin(until_in.send(5));
        assert!(futures::poll!(sending.as_mut()).is_pending());
        eventually("a new link was tried", || site.network.links() > before).await;
        site.network.set(Weather::Clear);
        site.network.cut();
        sending.await.unwrap();
        drop(until_in);
        assert_eq!(task.await, Ok(5));
    });
}

/// Writes a line into a file each time that it is polled, as fast as it can.
#[task]
async fn write_lines(ready: Sender<u32>, file: PathBuf) {
    let mut file = fs::File::create(file).unwrap();
    ready.send(std::process::id()).await.unwrap();
    for number in 0_u64.. {
        writeln!(file, "{number}").unwrap();
        tokio::task::yield_now().await;
    }
}

/// From its next step on the process has one processor, and its connection hardly a share of that.
fn let_tasks_go_first(process: u32) {
    let allowed = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap());
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let thread = thread.unwrap();
        let id = Pid::from_raw(thread.file_name().to_string_lossy().parse().unwrap());
        sched_setaffinity(id, &one).unwrap();
        let name = fs::read_to_string(thread.path().join("comm")).unwrap();
        if name.trim() == "farspawn-io" {
            setpriority_process(id, 19).unwrap();
        }
    }
}

/// D1: a worker that was stopped for longer than its lease, and goes on: it is polled no more, and
/// what it did before the fence is all that anybody sees of it.
#[test]
fn a_thawed_worker_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    let site = Site::start(1, SHORT_LEASE);
    run(site.client(), async {
        let (ready_in, ready) = channel(0);
        let (numbers_in, numbers) = channel(16);
        let counting = spawn(count(ready_in.clone(), numbers_in, u64::MAX));
        let writing = spawn(write_lines(ready_in, file.clone()));
        let process = ready.recv().await.unwrap();
        assert_eq!(ready.recv().await, Ok(process));
        for expected in 0..100 {
            assert_eq!(numbers.recv().await, Ok(expected));
        }
        let pid = Pid::from_raw(process as i32).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        for error in [counting.await.unwrap_err(), writing.await.unwrap_err()] {
            assert!(matches!(&error, JoinError::WorkerLost(cause) if cause.contains("silent")));
        }
        let frozen = fs::read_to_string(&file).unwrap();
        assert!(!frozen.is_empty() && is_alive(process));
        let_tasks_go_first(process);
        kill_process(pid, Signal::CONT).unwrap();
        eventually("the worker has ended by itself", || !is_alive(process)).await;
        let thawed = fs::read_to_string(&file).unwrap();
        let more = thawed.strip_prefix(&frozen).expect("a file only grows").lines().count();
        assert!(more <= 1, "it was polled again: {more} lines more");
        // What it sent before is there, without a hole; then comes its end.
        let mut expected = 100;
        let end = loop {
            match numbers.recv().await {
                Ok(number) => assert_eq!(number, expected),
                Err(end) => break end,
            }
            expected += 1;
        };
        assert!(matches!(end, RecvError::Lost(_)), "{end:?}");
        assert!(expected <= 100 + 16 + 1, "no more than there was room for");
    });
}
