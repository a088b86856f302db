//! How the programs of this folder run: what Go's `go` and `main` are here.
//!
//! Every goroutine is a [`task`](runtime::task), so that the same programs can run with their tasks
//! on other workers: only [`go`] knows where a goroutine runs. Nothing here waits for a while;
//! whether an operation blocks is seen by asking it ([`blocks`]).

use std::any::Any;
use std::env;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, Location};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use runtime::{Call, JoinError, Message, RecvError, Trial};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::timeout;

/// Where goroutines run and where their channels are: `FARSPAWN_GOLANG`, with the words of
/// `FARSPAWN_PLACE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Placement {
    /// On the executor of the test: every handle stays in one process.
    Local,
    /// There too, but every operation on a channel goes through a coordinator.
    Relayed,
    /// On two workers or in the client, by chance, and so with channels. Channels that no goroutine
    /// takes along, and what does not travel, stay where they were made.
    Random(u64),
}

impl Placement {
    fn read(setting: Option<&str>) -> Result<Self, String> {
        let Some(text) = setting else { return Ok(Self::Local) };
        match text.parse() {
            Ok(Trial::Local) => Ok(Self::Local),
            Ok(Trial::Remote) => Ok(Self::Relayed),
            Ok(Trial::Random(seed)) => Ok(Self::Random(seed)),
            Err(()) => Err(format!(
                "FARSPAWN_GOLANG is `{text}`; it may be `local`, `remote`, `random` or \
                 `random:SEED`"
            )),
        }
    }

    /// That of this test's process.
    pub(crate) fn of_environment() -> Self {
        static PLACEMENT: OnceLock<Placement> = OnceLock::new();
        *PLACEMENT.get_or_init(|| {
            let placement = Self::read(setting("FARSPAWN_GOLANG").as_deref());
            let placement = placement.unwrap_or_else(|error| panic!("{error}"));
            if let Self::Random(seed) = placement {
                println!("FARSPAWN_GOLANG=random:{seed}");
            }
            placement
        })
    }
}

/// Whether the programs run Go's own number of rounds: `FARSPAWN_LONG`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Quick,
    Full,
}

impl Length {
    fn read(setting: Option<&str>) -> Result<Self, String> {
        match setting {
            None | Some("0") => Ok(Self::Quick),
            Some("1") => Ok(Self::Full),
            Some(other) => Err(format!("FARSPAWN_LONG is `{other}`; it may be `0` or `1`")),
        }
    }

    fn of_environment() -> Self {
        Self::read(setting("FARSPAWN_LONG").as_deref()).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn setting(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// How many rounds a program runs: `quick`, or with `FARSPAWN_LONG=1` the `full` number of Go's.
pub(crate) fn rounds(quick: usize, full: usize) -> usize {
    match (Length::of_environment(), Placement::of_environment()) {
        (Length::Quick, Placement::Local) => quick,
        (Length::Quick, _) => quick.div_ceil(AWAY_PART),
        (Length::Full, Placement::Local) => full,
        (Length::Full, _) => full.div_ceil(AWAY_PART),
    }
}

/// Away an operation takes so many times as long: so many fewer rounds are run.
const AWAY_PART: usize = 20;

/// The program that a goroutine is of: goroutines start others, and all belong to the same.
#[derive(Clone)]
struct Program {
    placement: Placement,
    panics: UnboundedSender<String>,
}

tokio::task_local! {
    static PROGRAM: Program;
}

/// The one program whose goroutines are on workers, which are threads of this process.
static PLACED: Mutex<Option<Program>> = Mutex::new(None);

fn placed() -> MutexGuard<'static, Option<Program>> {
    PLACED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Go's `go f(x)`: starts a goroutine and returns at once. A panic in it fails the program, as an
/// unrecovered panic does in Go (C49).
#[track_caller]
pub(crate) fn go<R: Message>(call: Call<R>) {
    let program = PROGRAM.try_with(Clone::clone).ok().or_else(|| placed().clone());
    let Some(program) = program else { panic!("go was called outside of a program") };
    let name = format!("{call:?}");
    let panics = program.panics.clone();
    // Nobody listens when the program is over, and nobody needs to.
    let report = move |text: &str| drop(panics.send(format!("{name} panicked: {text}")));
    match program.placement {
        Placement::Local | Placement::Relayed => {
            tokio::spawn(PROGRAM.scope(program, async move {
                let ended = AssertUnwindSafe(call.into_future()).catch_unwind().await;
                if let Err(panic) = ended {
                    report(&panic_text(&*panic));
                }
            }));
        }
        Placement::Random(_) => {
            let goroutine = runtime::spawn(call);
            tokio::spawn(async move {
                match goroutine.await {
                    Ok(_) | Err(JoinError::Cancelled | JoinError::CoordinatorLost(_)) => {}
                    Err(error) => report(&error.to_string()),
                }
            });
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it gave no text".to_owned())
}

/// Runs a program: `body` is Go's `main`, and two threads run its goroutines. When it returns,
/// goroutines that still run end (C48). It fails by the name of its file if it hangs, or if a
/// goroutine panics.
#[track_caller]
pub(crate) fn program(body: impl Future<Output = ()>) {
    run(Threads::Two, Location::caller(), body);
}

/// [`program`] with everything on the thread of the test, for programs that measure what their
/// thread uses. Elsewhere it is the thread of `main` alone that is measured.
#[track_caller]
pub(crate) fn program_on_one_thread(body: impl Future<Output = ()>) {
    run(Threads::One, Location::caller(), body);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Threads {
    One,
    Two,
}

fn run(threads: Threads, at: &Location<'_>, body: impl Future<Output = ()>) {
    let placement = Placement::of_environment();
    let deadline = match (Length::of_environment(), placement) {
        (Length::Quick, Placement::Local) => Duration::from_secs(30),
        (Length::Quick, _) => Duration::from_secs(60),
        (Length::Full, _) => Duration::from_secs(3600),
    };
    let (report, mut panics) = mpsc::unbounded_channel();
    let program = Program { placement, panics: report };
    let main = async {
        tokio::select! {
            biased;
            Some(text) = panics.recv() => Err(text),
            ended = timeout(deadline, body) => {
                ended.map_err(|_| format!("it still runs after {deadline:?}"))
            }
        }?;
        // As long as goroutines are not being ended: one that is sees others go.
        panics.try_recv().map_or(Ok(()), Err)
    };
    let ended = match placement {
        Placement::Local => run_here(threads, PROGRAM.scope(program, main)),
        Placement::Relayed => with_workers(Trial::Remote, PROGRAM.scope(program, main)),
        Placement::Random(seed) => {
            static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
            let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            *placed() = Some(program);
            with_workers(Trial::Random(seed), main)
        }
    };
    if let Err(text) = ended {
        panic!("the program at {at}: {text}");
    }
}

fn run_here<R>(threads: Threads, main: impl Future<Output = R>) -> R {
    let mut executor = match threads {
        Threads::One => Builder::new_current_thread(),
        Threads::Two => Builder::new_multi_thread(),
    };
    let executor = executor.worker_threads(2).enable_time().build().unwrap();
    let ended = executor.block_on(main);
    executor.shutdown_timeout(Duration::from_secs(5));
    ended
}

fn with_workers<R>(trial: Trial, main: impl Future<Output = R>) -> R {
    let runtime = runtime::Runtime::builder().workers(2).trial(trial).in_memory();
    runtime.build().expect("loopback works").block_on(main)
}

/// Questions and answers after which an operation that is still pending has nothing under way. A
/// program that does several before it waits needs a few for each.
const SETTLED_AFTER: usize = 6;

/// Whether an operation blocks: it is asked, all that is on its way is settled, and it is asked
/// again. If its peers are parked or absent, what is pending then is pending for ever.
pub(crate) async fn blocks<F: Future>(mut operation: Pin<&mut F>) -> bool {
    let rounds = match Placement::of_environment() {
        Placement::Local => 1,
        Placement::Relayed | Placement::Random(_) => SETTLED_AFTER,
    };
    for _ in 0..rounds {
        if futures::poll!(operation.as_mut()).is_ready() {
            return false;
        }
        settle().await;
    }
    futures::poll!(operation).is_pending()
}

/// Waits until every operation that was asked has had its effect.
pub(crate) async fn settle() {
    match Placement::of_environment() {
        // A channel in this process decides as it is asked.
        Placement::Local => {}
        // The coordinator answers in order: first what was asked before.
        Placement::Relayed | Placement::Random(_) => {
            runtime::stats().await.expect("the coordinator is there");
        }
    }
}

#[test]
fn settings_other_than_those_there_are_refused() {
    assert_eq!(Placement::read(None), Ok(Placement::Local));
    assert_eq!(Placement::read(Some("local")), Ok(Placement::Local));
    assert_eq!(Placement::read(Some("remote")), Ok(Placement::Relayed));
    assert_eq!(Placement::read(Some("random:7")), Ok(Placement::Random(7)));
    assert!(Placement::read(Some("moon")).unwrap_err().contains("it may be `local`"));
    assert_eq!(Length::read(None), Ok(Length::Quick));
    assert_eq!(Length::read(Some("1")), Ok(Length::Full));
    assert!(Length::read(Some("yes")).unwrap_err().contains("it may be `0` or `1`"));
}

#[runtime::task]
async fn fail() {
    panic!("as it was asked to");
}

#[runtime::task]
async fn start_one_that_fails() {
    go(fail());
}

#[test]
#[should_panic(expected = "as it was asked to")]
fn a_panic_in_a_goroutine_fails_the_program() {
    program(async {
        go(start_one_that_fails());
        std::future::pending::<()>().await;
    });
}

#[runtime::task]
async fn hold(_held: runtime::Sender<()>) {
    std::future::pending::<()>().await;
}

/// C48: `main` does not wait for goroutines, and they do not outlive it.
#[test]
fn goroutines_end_with_their_program() {
    let (held, end) = runtime::channel::<()>(0);
    program(async { go(hold(held)) });
    let ended = end.recv_blocking();
    // A channel that a goroutine took away had its home in the program, and is lost with it.
    let is_lost = matches!(ended, Err(RecvError::Lost(_)));
    let may_be_lost = matches!(Placement::of_environment(), Placement::Random(_));
    assert!(ended == Err(RecvError::Closed) || may_be_lost && is_lost, "{ended:?}");
}

/// C46: the call's arguments belong to the goroutine from then on, and `go` does not wait for it.
#[test]
fn go_does_not_wait() {
    program(async {
        let (held, end) = runtime::channel::<()>(0);
        go(hold(held));
        assert!(blocks(std::pin::pin!(end.recv())).await);
    });
}
