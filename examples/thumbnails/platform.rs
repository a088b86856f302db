//! Where the workers run: as processes of this machine, or on a Lambda that is played here.

use clap::{Args, ValueEnum};

/// The part of the command line that says so.
#[derive(Debug, Args)]
pub(crate) struct PlatformFlags {
    /// Where workers run
    #[arg(long, value_enum, default_value_t = Platform::Processes)]
    platform: Platform,
    /// Memory of each function of --platform lambda-local, in MB
    #[arg(long, value_name = "MB", default_value_t = 2048)]
    #[arg(value_parser = clap::value_parser!(u32).range(128..=10_240))]
    lambda_memory: u32,
    /// Time limit of its invocations, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=900))]
    lambda_timeout: u64,
}

/// Where workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// Processes of this machine
    Processes,
    /// A small AWS Lambda on this machine (built with --features lambda-local)
    LambdaLocal,
}

/// The Lambda that is played, if one is.
#[cfg(not(feature = "lambda-local"))]
pub(crate) struct Stage;

#[cfg(not(feature = "lambda-local"))]
impl PlatformFlags {
    /// Sets the stage.
    pub(crate) fn choose<B>(&self, builder: B) -> anyhow::Result<(B, Option<Stage>)> {
        if self.platform == Platform::LambdaLocal {
            anyhow::bail!(
                "--platform lambda-local: {} MB for {} s cannot be had, for this program was built \
                 without it: cargo run --release --features lambda-local --example thumbnails",
                self.lambda_memory,
                self.lambda_timeout
            );
        }
        Ok((builder, None))
    }
}

#[cfg(not(feature = "lambda-local"))]
impl Stage {
    /// There was none.
    pub(crate) fn close(self) -> String {
        String::new()
    }
}

#[cfg(feature = "lambda-local")]
mod played {
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;
    use std::{env, io};

    use lambda_local::{ACCESS_KEY, Function, LocalLambda, SECRET_KEY};
    use runtime::Builder;
    use runtime::platform::aws::{Aws, Options};

    use super::{Platform, PlatformFlags};

    /// How long invocations may take to end after the job.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// The Lambda that is played.
    pub(crate) struct Stage(Arc<OnceLock<LocalLambda>>);

    impl PlatformFlags {
        /// Sets the stage.
        pub(crate) fn choose(&self, builder: Builder) -> anyhow::Result<(Builder, Option<Stage>)> {
            if self.platform == Platform::Processes {
                return Ok((builder, None));
            }
            let mut function = Function::new("thumbnails", env::current_exe()?);
            function.memory_mb = self.lambda_memory;
            function.timeout = Duration::from_secs(self.lambda_timeout);
            let logs = env::var("RUST_LOG").map(|filter| ("RUST_LOG".to_owned(), filter));
            function.environment.extend(logs.ok());
            let lambda = Arc::<OnceLock<LocalLambda>>::default();
            let stage = Stage(lambda.clone());
            let builder = builder.platform(move |address| {
                let mut function = function.clone();
                function.environment.push(("FARSPAWN_COORDINATOR".into(), address.into()));
                let played = LocalLambda::start(function)?;
                let options = Options {
                    endpoint: Some(played.endpoint().to_owned()),
                    credentials: Some((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())),
                    ..Options::new("thumbnails")
                };
                let aws = Aws::connect(options).map_err(io::Error::other)?;
                lambda.set(played).ok();
                Ok(Box::new(aws))
            });
            Ok((builder, Some(stage)))
        }
    }

    impl Stage {
        /// After the job: says what it would have cost.
        pub(crate) fn close(self) -> String {
            let Some(lambda) = self.0.get() else { return "no Lambda was played".to_owned() };
            let all = if lambda.settle(PATIENCE) { "" } else { "; some have not ended" };
            format!("on Lambda it would have been: {}{all}", lambda.bill())
        }
    }
}
