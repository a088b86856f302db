//! `farspawn coordinator`: the coordinator as a process of its own. `farspawn sim`: its policies in
//! virtual time.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use channels::wire::Secret;
use clap::{Parser, Subcommand};
use coordinator::Settings;
use coordinator::bill::Tariff;
use coordinator::placement::{self, Choice};
use coordinator::platform::{Local, Platform, Program};
use coordinator::price::{Architecture, Prices};
use coordinator::scheduler::Policy;
use coordinator::server::{Config, serve};
use coordinator::sim::flags::Flags;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// Goroutines and channels across processes.
#[derive(Debug, Parser)]
#[command(name = "farspawn", version)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Schedules tasks, relays channels, and starts workers on this machine.
    ///
    /// Prints its address. A client finds it by FARSPAWN_COORDINATOR=ws://ADDRESS and FARSPAWN_KEY,
    /// the key file's content; one client at a time. Built with the feature `service` it has
    /// several applications and clients (--app), TLS, and HTTP as well.
    Coordinator(Box<Coordinate>),
    /// Runs the policies in virtual time, on a model of Lambda: what a workload costs, and how long
    /// it takes.
    ///
    /// Without flags: the paper's Figures 2, 3 and 4, in both readings of its test.
    Sim(Box<Flags>),
    /// Checks the way to a coordinator elsewhere, and says what is wrong and how to mend it.
    #[cfg(feature = "service")]
    Doctor(coordinator::doctor::Flags),
}

#[derive(Debug, Parser)]
struct Coordinate {
    /// Where to listen: a loopback address, for the link is not encrypted
    #[arg(long, default_value = "127.0.0.1:0", value_name = "IP:PORT")]
    listen: SocketAddr,
    /// 64 hexadecimal digits that every client must know; made if the file is not there
    #[arg(long, value_name = "FILE", required = cfg!(not(feature = "service")))]
    key_file: Option<PathBuf>,
    /// At most so many workers, unless the client asks for another number
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    workers: u32,
    /// Threads of each worker
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Silence in milliseconds after which a node counts as lost
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..))]
    lease_ms: u64,
    /// Where tasks run and how many workers there are: conventional, paper or farspawn
    #[arg(long, value_name = "NAME", default_value_t)]
    policy: placement::choice::Policy,
    /// A table of prices instead of the built-in one, which is coordinator/src/prices.json
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// The workers' processors, for their price: x86 or arm [default: this machine's]
    #[arg(long)]
    architecture: Option<Architecture>,
    /// Memory that workers are billed for, in MB [default: by the paper's Table 1 for the threads]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10_240))]
    billed_mb: Option<u32>,
    /// Workers are invocations of this AWS Lambda function (built with the feature `aws`); how many
    /// threads each has follows from its memory
    #[arg(long, value_name = "NAME", conflicts_with_all = ["program", "threads"])]
    function: Option<String>,
    #[cfg(feature = "service")]
    #[command(flatten)]
    service: coordinator::service::flags::Flags,
    /// What a worker on this machine runs: the client's own program, and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    logs.with_env_filter(EnvFilter::from_default_env()).init();
    match Arguments::parse().command {
        Subcommands::Coordinator(flags) => coordinate(*flags).await,
        Subcommands::Sim(flags) => {
            std::io::stdout().write_all(flags.run()?.as_bytes())?;
            Ok(())
        }
        #[cfg(feature = "service")]
        Subcommands::Doctor(flags) => {
            let is_well = flags.run(|finding| println!("{finding}")).await;
            // What is wrong has been said.
            std::process::exit(i32::from(!is_well))
        }
    }
}

async fn coordinate(flags: Coordinate) -> anyhow::Result<()> {
    let key = flags.key_file.as_deref().map(read_or_make_key).transpose()?;
    #[cfg(feature = "service")]
    if flags.service.is_wanted() || key.is_none() {
        return serve_applications(flags, key).await;
    }
    if !flags.listen.ip().is_loopback() {
        bail!("--listen {}: only loopback addresses are allowed, such as 127.0.0.1", flags.listen);
    }
    let workers = flags.workers_at(flags.function.as_deref(), None)?;
    let (settings, platform) = (flags.settings(&workers)?, workers.platform()?);
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("--listen {}", flags.listen))?;
    println!("ws://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        tokio::signal::ctrl_c().await.ok();
        stop.send(()).ok();
    });
    let config = Config { settings, client_secrets: key.into_iter().collect() };
    let totals = serve(listener, config, platform, stopped).await?;
    tracing::info!("ended: {totals:?}");
    Ok(())
}

#[cfg(feature = "service")]
async fn serve_applications(flags: Coordinate, first: Option<Secret>) -> anyhow::Result<()> {
    use coordinator::service::flags::Own;
    let has_keys = first.is_some() || flags.service.has_applications();
    anyhow::ensure!(
        has_keys,
        "--app NAME=KEY_FILE or --key-file FILE is needed: nobody gets in without a key"
    );
    let site = |own: Own<'_>| {
        let function = match own {
            Own::Program(_) => None,
            Own::Function(name) => Some(name),
            Own::None => flags.function.as_deref(),
        };
        let program = if let Own::Program(path) = own { Some(path) } else { None };
        let workers = flags.workers_at(function, program)?;
        let settings = flags.settings(&workers)?;
        let make = move || workers.platform();
        Ok((settings, Box::new(make) as coordinator::service::MakePlatform))
    };
    flags.service.clone().run(flags.listen, first, read_or_make_key, site).await
}

/// Where an application's workers run.
enum Workers {
    Processes(Program),
    #[cfg(feature = "aws")]
    Function(coordinator::platform::aws::Aws),
}

impl Workers {
    /// For one coordinator.
    fn platform(&self) -> std::io::Result<Box<dyn Platform>> {
        Ok(match self {
            Self::Processes(program) => Box::new(Local::new(program.clone())),
            #[cfg(feature = "aws")]
            Self::Function(aws) => Box::new(aws.again()?),
        })
    }

    /// Sets what a policy must know of them. True if they cost something while they wait.
    fn prepare(&self, policy: &mut Policy) -> bool {
        match self {
            Self::Processes(program) => {
                Local::new(program.clone()).prepare(policy);
                false
            }
            #[cfg(feature = "aws")]
            Self::Function(aws) => {
                aws.prepare(policy);
                true
            }
        }
    }
}

impl Coordinate {
    fn settings(&self, workers: &Workers) -> anyhow::Result<Settings> {
        let (workers_max, threads) = (self.workers as usize, self.threads);
        let mut policy = Policy { workers_max, threads, ..Policy::default() };
        let is_billed = workers.prepare(&mut policy);
        policy = policy.with(self.policy);
        if is_billed {
            // Nor is a worker kept longer than pays.
            let shape = policy.worker_shape();
            policy.placement = Some(Choice::new(self.policy, shape, policy.workers_max));
        }
        let (lease, tariff) = (Duration::from_millis(self.lease_ms), self.tariff()?);
        Ok(Settings { policy, lease, tariff, ..Settings::default() })
    }

    /// How workers are billed.
    fn tariff(&self) -> anyhow::Result<Tariff> {
        let mut tariff = Tariff { memory_mb: self.billed_mb, ..Tariff::default() };
        if let Some(file) = &self.prices {
            tariff.prices = Prices::read(file).map_err(|fault| anyhow!("--prices {fault}"))?;
        }
        tariff.architecture = self.architecture.unwrap_or(tariff.architecture);
        if !tariff.prices.architectures.contains_key(&tariff.architecture) {
            bail!("the table of prices has no price for {:?}", tariff.architecture);
        }
        Ok(tariff)
    }

    /// Invocations of a function, or processes: of an application's own program, or of all.
    fn workers_at(&self, function: Option<&str>, own: Option<&Path>) -> anyhow::Result<Workers> {
        if let Some(function) = function {
            return lambda(function);
        }
        let given = self.program.split_first();
        let (path, arguments) = match (own, given) {
            (Some(own), _) => (own.to_owned(), Vec::new()),
            (None, Some((path, arguments))) => (path.into(), arguments.to_vec()),
            (None, None) => {
                bail!("a worker's program is needed: `-- PROGRAM [ARGUMENTS]`, or --function NAME")
            }
        };
        let threads = ("FARSPAWN_WORKER_THREADS".into(), self.threads.to_string().into());
        Ok(Workers::Processes(Program { path, arguments, environment: vec![threads] }))
    }
}

/// Workers as invocations of a function.
#[cfg(feature = "aws")]
fn lambda(function: &str) -> anyhow::Result<Workers> {
    use coordinator::platform::aws::{Aws, Options};
    let aws = Aws::connect(Options::new(function)).context("--function")?;
    tracing::info!("workers are invocations of {}", aws.function());
    Ok(Workers::Function(aws))
}

#[cfg(not(feature = "aws"))]
fn lambda(function: &str) -> anyhow::Result<Workers> {
    bail!(
        "--function {function}: this program was built without AWS; build it with \
         `cargo build --release -p farspawn-coordinator --features aws`"
    )
}

/// Reads the key, or makes one that only this user can read.
fn read_or_make_key(file: &Path) -> anyhow::Result<Secret> {
    use std::os::unix::fs::OpenOptionsExt;
    let name = file.display();
    if !file.exists() {
        let mut options = fs::OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(file);
        let mut made = made.with_context(|| format!("--key-file {name} cannot be made"))?;
        made.write_all(Secret::random().to_hex().as_bytes())?;
    }
    let text = fs::read_to_string(file).with_context(|| format!("--key-file {name}"))?;
    let key = Secret::from_hex(text.trim());
    key.with_context(|| format!("--key-file {name}: 64 hexadecimal digits are expected"))
}
