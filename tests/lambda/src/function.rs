//! What is configured of a function.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The function that a [`LocalLambda`](crate::LocalLambda) runs.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The executable: `bootstrap` of a package.
    pub program: PathBuf,
    /// Its arguments. Lambda has none, but a test program may need some.
    pub arguments: Vec<OsString>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// Memory of each environment, in MB; more is not survived.
    pub memory_mb: u32,
    /// The time limit of an invocation.
    pub timeout: Duration,
    /// Whether it is for arm64, which is cheaper.
    pub is_arm: bool,
    /// Environments at once, if some are reserved.
    pub reserved: Option<usize>,
    /// Invocations at once in one environment; more than one on managed instances, where nothing is
    /// frozen.
    pub concurrency: usize,
    /// What a cold start takes besides the program's own start.
    pub cold_start: Duration,
    /// How long an environment is kept that has nothing to do.
    pub keep_warm: Duration,
    /// How often a failed event is tried again: `MaximumRetryAttempts`.
    pub retries: u32,
    /// The pause before the first retry; the second waits twice as long.
    pub retry_pause: Duration,
    /// How long an event may wait: `MaximumEventAgeInSeconds`.
    pub event_age_max: Duration,
}

impl Function {
    /// A function with Lambda's own defaults, but for what would keep a test waiting: a retry comes
    /// after a tenth of a second and not after a minute.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            memory_mb: 2048,
            timeout: Duration::from_secs(60),
            is_arm: false,
            reserved: None,
            concurrency: 1,
            cold_start: Duration::ZERO,
            keep_warm: Duration::from_secs(300),
            retries: 2,
            retry_pause: Duration::from_millis(100),
            event_age_max: Duration::from_secs(6 * 3600),
        }
    }

    /// Its full name.
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:lambda:us-east-1:123456789012:function:{}", self.name)
    }
}
