//! Credentials, which the SDK takes from the environment as every worker does.
//!
//! A process cannot safely change its environment once it has threads. So a test runs itself again,
//! alone in a child process that was given the right one.

use std::future::Future;
use std::process::Command;
use std::time::Duration;

use farspawn_s3_tests::server::Credentials;

/// Tells the child that it is one.
const CHILD: &str = "FARSPAWN_S3_TEST_CHILD";
/// Only for a call that hangs: no test waits for a time to pass.
const HANG: Duration = Duration::from_secs(60);

/// Runs `body` with the credentials of the server. `test` is the full name of the calling test.
pub(crate) fn with_credentials(test: &str, body: impl Future<Output = ()>) {
    run(test, Some(Credentials::for_tests()), body);
}

/// Runs `body` with a secret key that the server does not know.
pub(crate) fn with_wrong_secret(test: &str, body: impl Future<Output = ()>) {
    let secret_key = "guessed".to_owned();
    run(test, Some(Credentials { secret_key, ..Credentials::for_tests() }), body);
}

/// Runs `body` with an access key that the server does not know.
pub(crate) fn with_wrong_access(test: &str, body: impl Future<Output = ()>) {
    let access_key = "somebody".to_owned();
    run(test, Some(Credentials { access_key, ..Credentials::for_tests() }), body);
}

/// Runs `body` where no credentials can be found.
pub(crate) fn without_credentials(test: &str, body: impl Future<Output = ()>) {
    run(test, None, body);
}

fn run(test: &str, credentials: Option<Credentials>, body: impl Future<Output = ()>) {
    if std::env::var_os(CHILD).is_none() {
        return run_child(test, credentials);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        tokio::time::timeout(HANG, body).await.expect("the test hangs");
    });
}

fn run_child(test: &str, credentials: Option<Credentials>) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().to_uppercase();
        if name.starts_with("AWS_") || name.ends_with("_PROXY") {
            command.env_remove(&name).env_remove(name.to_lowercase());
        }
    }
    command.env(CHILD, "1").env("AWS_EC2_METADATA_DISABLED", "true");
    // Not the profiles of whoever runs the tests.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    if let Some(credentials) = credentials {
        command.env("AWS_ACCESS_KEY_ID", credentials.access_key);
        command.env("AWS_SECRET_ACCESS_KEY", credentials.secret_key);
    }
    let output = command.output().expect("start the child");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    // A name with a typing error would run no test, and succeed.
    let passed = output.status.success() && text.contains("1 passed");
    assert!(passed, "in the child process of {test}:\n{text}\n{errors}");
}
