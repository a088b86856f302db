//! The server as a program, for tests that run whole processes.
//!
//! `farspawn-s3-server FOLDER` prints the environment of a client as `NAME=VALUE` lines, then an
//! empty line, and serves until its standard input ends: so it never outlives who started it.

use std::io;
use std::path::PathBuf;

use farspawn_s3_tests::server;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("expected: FOLDER, whose folders are the buckets"));
    };
    let server = server::start(&folder).await?;
    println!("AWS_ENDPOINT_URL_S3={}", server.endpoint);
    println!("AWS_ACCESS_KEY_ID={}", server.credentials.access_key);
    println!("AWS_SECRET_ACCESS_KEY={}\n", server.credentials.secret_key);
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    server.stop().await;
    Ok(())
}
