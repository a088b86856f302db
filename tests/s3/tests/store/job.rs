//! The main job with its objects in S3: the real program, its workers, and a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{BUCKET, Bench};

/// The program with the AWS SDK. Cargo builds this package's examples before it runs its tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let program = profile.join("examples/thumbnails");
    assert!(program.exists(), "cargo builds {program:?} unless only `--test store` was asked for");
    program
}

async fn run(program: &Path, bench: &Bench, arguments: &[&str]) -> (Output, String) {
    let credentials = &bench.server.credentials;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["--json", "--workers", "2"])
        .env("AWS_ACCESS_KEY_ID", &credentials.access_key)
        .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_key)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    // The server is on this thread, so somebody else waits for the program.
    let waiting = tokio::task::spawn_blocking(move || command.output());
    let output = waiting.await.expect("no panic").expect("the program starts");
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    (output, text)
}

#[tokio::test]
async fn photographs_in_a_bucket_become_thumbnails_in_it() {
    let program = program();
    let bench = Bench::start().await;
    let endpoint = bench.server.endpoint.as_str();
    let place = format!("{BUCKET}/job");
    let arguments = ["--s3", &place, "--endpoint", endpoint];
    let own = ["--generate", "--count", "6", "--photo-size", "320x240"];
    let (output, text) = run(&program, &bench, &[&arguments[..], &own].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    let thumbnails = bench.folder.path().join(BUCKET).join("job/thumbnails");
    let jpeg = |name: &Path| std::fs::read(name).is_ok_and(|bytes| bytes.starts_with(b"\xff\xd8"));
    let made = std::fs::read_dir(thumbnails).expect("a folder of thumbnails").flatten();
    assert_eq!(made.filter(|entry| jpeg(&entry.path())).count(), 6);

    let missing = ["--s3", "no-such-bucket", "--endpoint", endpoint];
    let (output, text) = run(&program, &bench, &missing).await;
    assert_eq!(output.status.code(), Some(70), "no photo could be looked at: {text}");
    assert!(text.contains("no-such-bucket") && text.contains("does not exist"), "{text}");

    let closed = ["--s3", &place, "--endpoint", "http://127.0.0.1:9"];
    let (output, text) = run(&program, &bench, &closed).await;
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("127.0.0.1:9"), "{text}");
}
