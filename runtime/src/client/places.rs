//! Where the workers of a client's own coordinator run.

use std::sync::Arc;
use std::{env, fmt, io};

use coordinator::platform::{Launch, Local, Memory, Platform, Program};

use super::Builder;
use crate::connection::At;
use crate::metrics::machine_memory;
use crate::worker;

/// Where they run.
#[derive(Clone, Debug)]
pub(super) enum Workers {
    Processes(Option<Program>),
    Threads,
    Elsewhere(Maker),
}

/// Makes a platform for a coordinator at an address.
type Make = dyn Fn(&str) -> io::Result<Box<dyn Platform>> + Send + Sync;

#[derive(Clone)]
pub(super) struct Maker(Arc<Make>);

impl fmt::Debug for Maker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Maker")
    }
}

impl Builder {
    /// Workers are threads of this process, for tests and debuggers. They speak to the coordinator
    /// as processes do, through sockets, and nothing is shared but the process.
    pub fn in_memory(mut self) -> Self {
        self.workers = Workers::Threads;
        self
    }

    /// Workers run this program instead of the current one. It must have the same tasks, and call
    /// [`serve_if_worker`](crate::serve_if_worker).
    pub fn worker_program(mut self, program: Program) -> Self {
        self.workers = Workers::Processes(Some(program));
        self
    }

    /// Workers run where this says, such as on AWS Lambda. `make` is given the address of the
    /// coordinator that comes along, on loopback: for workers that are elsewhere, run
    /// `farspawn coordinator` where they can reach it.
    ///
    /// ```
    /// use runtime::Runtime;
    /// use runtime::platform::{Ended, Launch, Platform};
    ///
    /// #[derive(Debug)]
    /// struct Nowhere;
    ///
    /// impl Platform for Nowhere {
    ///     fn launch(&mut self, _: Launch, ended: Ended) {
    ///         ended.tell("no machine is free");
    ///     }
    ///     fn stop(&mut self, _: u64) {}
    /// }
    ///
    /// #[runtime::task] async fn one() -> u8 { 1 }
    ///
    /// let runtime = Runtime::builder().platform(|_| Ok(Box::new(Nowhere))).build()?;
    /// let error = runtime.block_on(async { runtime::spawn(one()).await }).unwrap_err();
    /// assert!(error.to_string().contains("no machine is free"));
    /// # Ok::<(), runtime::StartError>(())
    /// ```
    pub fn platform<F>(mut self, make: F) -> Self
    where
        F: Fn(&str) -> io::Result<Box<dyn Platform>> + Send + Sync + 'static,
    {
        self.workers = Workers::Elsewhere(Maker(Arc::new(make)));
        self
    }

    pub(super) fn make_platform(&self, address: &str) -> io::Result<Box<dyn Platform>> {
        let share = machine_memory() / (self.workers_max as u64 + 1);
        let (threads, memory_bytes) = (self.threads, self.memory_bytes.unwrap_or(share));
        let trial = self.trial;
        let cores = self.emulation.map(|emulation| emulation.cores);
        Ok(match &self.workers {
            Workers::Elsewhere(Maker(make)) => make(address)?,
            Workers::Threads => Box::new(Memory::new(move |launch: Launch| {
                let settings = worker::Settings {
                    coordinator: At { address: launch.coordinator, authorities: None },
                    launch: launch.number,
                    secret: launch.secret,
                    threads,
                    cpus: threads as f64,
                    cores,
                    memory_bytes,
                    trial,
                    until: None,
                    at_end: |_| {},
                };
                match worker::serve(&settings) {
                    Ok(served) => tracing::debug!("worker {} ended: {served}", settings.launch),
                    Err(error) => tracing::warn!("worker {}: {error}", settings.launch),
                }
            })),
            Workers::Processes(program) => {
                let mut program = match program {
                    Some(program) => program.clone(),
                    None => Program {
                        path: env::current_exe()?,
                        arguments: env::args_os().skip(1).collect(),
                        environment: Vec::new(),
                    },
                };
                let threads = ("FARSPAWN_WORKER_THREADS".into(), threads.to_string().into());
                let bytes = ("FARSPAWN_WORKER_MEMORY".into(), memory_bytes.to_string().into());
                program.environment.extend([threads, bytes]);
                let cores = cores.map(|cores| cores.to_string().into());
                let cores = cores.map(|cores| ("FARSPAWN_WORKER_CORES".into(), cores));
                program.environment.extend(cores);
                let place = trial.map(|trial| trial.to_string().into());
                program.environment.extend(place.map(|place| ("FARSPAWN_PLACE".into(), place)));
                Box::new(Local::new(program))
            }
        })
    }
}
