//! The coordinator as a process of its own, and clients that come and go.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::cluster::{built, example};

/// A coordinator process, ended with the test.
struct Coordinator {
    process: Child,
    address: String,
    key: String,
}

impl Coordinator {
    fn start(folder: &Path, worker: &Path) -> Self {
        let key_file = folder.join("key");
        let mut process = Command::new(built("farspawn"))
            .args(["coordinator", "--workers", "1", "--key-file"])
            .arg(&key_file)
            .arg("--")
            .arg(worker)
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo test --workspace has built the program");
        let mut address = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut address).unwrap();
        let key = std::fs::read_to_string(key_file).unwrap();
        Self { process, address: address.trim().to_owned(), key }
    }

    fn client(&self, program: &str, key: &str) -> Output {
        Command::new(example(program))
            .env("FARSPAWN_COORDINATOR", &self.address)
            .env("FARSPAWN_KEY", key)
            .output()
            .unwrap()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn clients_come_and_go_and_need_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path(), &example("hello"));
    for _ in 0..3 {
        let done = coordinator.client("hello", &coordinator.key);
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{errors}");
        assert!(String::from_utf8_lossy(&done.stdout).contains("5 squared is 25"));
    }
    let turned = coordinator.client("hello", &"0".repeat(64));
    let errors = String::from_utf8_lossy(&turned.stderr);
    assert_eq!(turned.status.code(), Some(70));
    assert!(errors.contains("secret"), "{errors}");
    // Its workers are of another program: no task of this client can run, and it says why.
    let other = coordinator.client("map_reduce", &coordinator.key);
    assert!(!other.status.success());
    let errors = String::from_utf8_lossy(&other.stderr);
    assert!(errors.contains("no worker can be started"), "{errors}");
}

#[test]
fn it_refuses_to_listen_to_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Command::new(built("farspawn"))
        .args(["coordinator", "--listen", "0.0.0.0:0", "--key-file"])
        .arg(folder.path().join("key"))
        .args(["--", "true"])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("loopback"));
}
