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
use std::time::Duration;

use futures::FutureExt;
use runtime::{Call, Message};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::timeout;

/// Where goroutines run, and with that where their channels are: `FARSPAWN_GOLANG`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Placement {
    /// On the executor of the test: every handle stays in one process.
    Local,
}

impl Placement {
    fn read(setting: Option<&str>) -> Result<Self, String> {
        match setting {
            None | Some("local") => Ok(Self::Local),
            Some(other) => Err(format!("FARSPAWN_GOLANG is `{other}`; it may be `local`")),
        }
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
    match Length::of_environment() {
        Length::Quick => quick,
        Length::Full => full,
    }
}

/// The program that a goroutine is of: goroutines start others, and all belong to the same.
#[derive(Clone)]
struct Program {
    placement: Placement,
    panics: UnboundedSender<String>,
}

tokio::task_local! {
    static PROGRAM: Program;
}

/// Go's `go f(x)`: starts a goroutine and returns at once. A panic in it fails the program, as an
/// unrecovered panic does in Go (C49).
#[track_caller]
pub(crate) fn go<R: Message>(call: Call<R>) {
    let Ok(program) = PROGRAM.try_with(Clone::clone) else {
        panic!("go was called outside of a program");
    };
    match program.placement {
        Placement::Local => {
            let name = format!("{call:?}");
            let panics = program.panics.clone();
            tokio::spawn(PROGRAM.scope(program, async move {
                let ended = AssertUnwindSafe(call.into_future()).catch_unwind().await;
                if let Err(panic) = ended {
                    // Nobody listens when the program is over, and nobody needs to.
                    let _ = panics.send(format!("{name} panicked: {}", panic_text(&*panic)));
                }
            }));
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
    let mut threads = Builder::new_multi_thread();
    run(threads.worker_threads(2).enable_time().build().unwrap(), Location::caller(), body);
}

/// [`program`] with everything on the thread of the test, for programs that measure what their
/// thread uses.
#[track_caller]
pub(crate) fn program_on_one_thread(body: impl Future<Output = ()>) {
    let mut thread = Builder::new_current_thread();
    run(thread.enable_time().build().unwrap(), Location::caller(), body);
}

fn run(executor: Runtime, at: &Location<'_>, body: impl Future<Output = ()>) {
    let deadline = match Length::of_environment() {
        Length::Quick => Duration::from_secs(30),
        Length::Full => Duration::from_secs(600),
    };
    let placement = Placement::read(setting("FARSPAWN_GOLANG").as_deref());
    let placement = placement.unwrap_or_else(|error| panic!("{error}"));
    let (report, mut panics) = mpsc::unbounded_channel();
    let program = Program { placement, panics: report };
    let main = async {
        tokio::select! {
            biased;
            Some(text) = panics.recv() => Err(text),
            ended = timeout(deadline, body) => {
                ended.map_err(|_| format!("it still runs after {deadline:?}"))
            }
        }
    };
    let mut ended = executor.block_on(PROGRAM.scope(program, main));
    if let (Ok(()), Ok(text)) = (&ended, panics.try_recv()) {
        ended = Err(text);
    }
    executor.shutdown_timeout(Duration::from_secs(5));
    if let Err(text) = ended {
        panic!("the program at {at}: {text}");
    }
}

/// Whether an operation blocks: it is asked, all that is on its way is settled, and it is asked
/// again. If its peers are parked or absent, what is pending then is pending for ever.
pub(crate) async fn blocks<F: Future>(mut operation: Pin<&mut F>) -> bool {
    if futures::poll!(operation.as_mut()).is_ready() {
        return false;
    }
    settle().await;
    futures::poll!(operation).is_pending()
}

/// Waits until every operation that was asked has had its effect.
pub(crate) async fn settle() {
    match PROGRAM.with(|program| program.placement) {
        // A channel in this process decides as it is asked.
        Placement::Local => {}
    }
}

#[test]
fn settings_other_than_those_there_are_refused() {
    assert_eq!(Placement::read(None), Ok(Placement::Local));
    assert_eq!(Placement::read(Some("local")), Ok(Placement::Local));
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
    assert_eq!(end.recv_blocking(), Err(runtime::RecvError::Closed));
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
