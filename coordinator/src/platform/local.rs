//! Workers as processes of this machine: by default, more of the client's own program.
//!
//! No process outlives the client. A worker asks the kernel to be killed with its parent, watches
//! its standard input, which only the parent holds open, and ends when its connection does. What is
//! still there when the coordinator ends is killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Ended, Launch, Platform};

/// How long a worker that was told to end has until it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What a worker process runs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Environment variables besides the inherited ones.
    pub environment: Vec<(OsString, OsString)>,
}

/// Starts worker processes on this machine.
#[derive(Debug)]
pub struct Local {
    program: Program,
    running: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Local {
    /// Every worker will run this program.
    pub fn new(program: Program) -> Self {
        Self { program, running: BTreeMap::new() }
    }

    fn command(&self, launch: &Launch) -> Command {
        let mut command = Command::new(&self.program.path);
        command
            .args(&self.program.arguments)
            .envs(self.program.environment.iter().map(|(name, value)| (name, value)))
            .env("FARSPAWN_ROLE", "worker")
            .env("FARSPAWN_COORDINATOR", &launch.coordinator)
            .env("FARSPAWN_LAUNCH", launch.number.to_string())
            .env("FARSPAWN_SECRET", launch.secret.to_hex())
            .env("FARSPAWN_PARENT", std::process::id().to_string())
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Platform for Local {
    fn launch(&mut self, launch: Launch, ended: Ended) {
        self.running.retain(|_, stop| !stop.is_closed());
        match self.command(&launch).spawn() {
            Ok(child) => {
                let (stop, stopped) = oneshot::channel();
                self.running.insert(launch.number, stop);
                tokio::spawn(watch(child, stopped, ended));
            }
            Err(error) => {
                ended.tell(format!("{} cannot be run: {error}", self.program.path.display()));
            }
        }
    }

    fn stop(&mut self, number: u64) {
        if let Some(stop) = self.running.remove(&number) {
            stop.send(()).ok();
        }
    }
}

/// Waits for a worker's end, and reaps it.
async fn watch(mut child: Child, stopped: oneshot::Receiver<()>, ended: Ended) {
    // The worker takes the end of this pipe for the end of its parent.
    let _stdin = child.stdin.take();
    let status = tokio::select! {
        status = child.wait() => status,
        _ = stopped => match timeout(GRACE, child.wait()).await {
            Ok(status) => status,
            Err(_) => match child.start_kill() {
                Ok(()) => child.wait().await,
                Err(error) => Err(error),
            },
        },
    };
    match status {
        Ok(status) => ended.tell(format!("its process ended: {status}")),
        Err(error) => ended.tell(format!("its process cannot be waited for: {error}")),
    }
}
