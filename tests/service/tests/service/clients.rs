//! Programs that use a coordinator elsewhere.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use farspawn_service_tests::{Answer, Site, program, signal};
use serde_json::json;

/// Starts a client, and waits until it is at work.
fn begin(
    site: &Site,
    key: u8,
    arguments: &[&str],
) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut command = site.client(key, arguments);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is built");
    let stdout = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("begun"), "{}", site.log());
    (child, lines)
}

#[test]
fn several_clients_are_there_at_once() {
    let site = Site::start(&["--clients", "2"]);
    let (mut one, mut one_says) = begin(&site, 1, &["40", "50"]);
    let (mut two, mut two_says) = begin(&site, 2, &["40", "50"]);
    let (mut other, mut other_says) = begin(&site, 3, &["40", "50"]);
    let stats = site.ask("GET /v1/stats", Some(&site.key(1)), "").json;
    assert_eq!((&stats["clients"], &stats["workers"]), (&json!(2), &json!(2)), "{stats}");
    let third = site.client(1, &["1"]).output().expect("it is built");
    let said = String::from_utf8_lossy(&third.stderr).into_owned();
    assert!(said.contains("has 2 clients, as many as it may have"), "{said}");
    for (child, says) in [(&mut one, &mut one_says as &mut dyn Iterator<Item = String>)]
        .into_iter()
        .chain([(&mut two, &mut two_says as _), (&mut other, &mut other_says as _)])
    {
        assert_eq!(says.next().as_deref(), Some("20540"));
        assert!(child.wait().expect("it is a child").success());
    }
    let after = site.client(1, &["10"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&after.stdout), "begun\n285\n", "there is room again");
}

#[test]
fn a_killed_client_leaves_nothing_behind() {
    let site = Site::start(&["--clients", "1", "--lease-ms", "4000"]);
    let (mut killed, _says) = begin(&site, 1, &["100000", "10"]);
    killed.kill().expect("it is a child");
    killed.wait().expect("it is a child");
    // It is noticed once its lease is over.
    let gone = |answer: &Answer| answer.json["clients"] == json!(0);
    let stats = site.ask_until("GET /v1/stats", gone).json;
    assert_eq!((&stats["workers"], &stats["channels"]), (&json!(0), &json!(0)));
    let after = site.client(1, &["10"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&after.stdout), "begun\n285\n");
}

#[test]
fn links_are_encrypted_from_end_to_end() {
    let site = Site::encrypted(&["--public-url", "wss://localhost:1"]);
    assert!(site.relay.starts_with("wss://localhost:"), "{}", site.relay);
    // Workers look where they are told; nobody is there.
    let body = json!({ "task": "application::nothing", "wait_ms": 60_000 });
    let answer = site.submit(&body);
    assert_eq!(answer.state(), "never_started", "{answer:?}");
    drop(site);

    let port = free_port();
    let (listen, url) = (format!("--listen=127.0.0.1:{port}"), format!("wss://localhost:{port}"));
    let site = Site::encrypted(&[&listen, "--public-url", &url]);
    let output = site.client(1, &["2000"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "begun\n2664667000\n", "{output:?}");
    let sum = json!({ "task": "application::add", "arguments": [1, 2], "wait_ms": 60_000 });
    assert_eq!(site.submit(&sum).json["result"], json!(3));
    let large = json!({ "task": "application::large", "arguments": [3_000_000],
        "wait_ms": 60_000 });
    assert_eq!(site.submit(&large).json["result"].as_str().map(str::len), Some(3_000_000));

    let mut fooled = site.client(1, &["1"]);
    fooled.env("FARSPAWN_CA", site.folder.path().join("stranger.pem"));
    let fooled = fooled.output().expect("it is built");
    let said = String::from_utf8_lossy(&fooled.stderr).into_owned();
    assert!(!fooled.status.success() && said.contains("certificate"), "{said}");
    let mut plain = site.client(1, &["1"]);
    plain.env("FARSPAWN_COORDINATOR", site.relay.replace("wss", "ws"));
    let plain = plain.output().expect("it is built");
    assert!(!plain.status.success(), "without encryption nobody is heard");
}

/// A port that nobody listens at now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn a_coordinator_that_stops_lets_its_clients_end() {
    let site = Site::start(&[]);
    let (mut client, mut says) = begin(&site, 1, &["40", "50"]);
    let pending = site.submit(&json!({ "task": "application::forever" }));
    assert_eq!(pending.status, 202);
    site.terminate();
    site.ask_until("GET /health", |answer| answer.status != 200);
    let refused = site.submit(&json!({ "task": "application::nothing" }));
    assert_eq!((refused.status, refused.error()), (503, "the coordinator is stopping"));
    let late = site.client(1, &["1"]).output().expect("it is built");
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(said.contains("the coordinator is stopping"), "{said}");
    assert_eq!(says.next().as_deref(), Some("20540"));
    assert!(client.wait().expect("it is a child").success());
    let (status, log) = site.wait();
    assert_eq!(status, 0, "{log}");
}

#[test]
fn who_does_not_end_in_time_is_told() {
    let site = Site::start(&["--drain-ms", "100"]);
    let (client, _says) = begin(&site, 1, &["100000", "10"]);
    site.terminate();
    let output = client.wait_with_output().expect("it is a child");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("the coordinator has ended"), "{said}");
    assert_eq!(site.wait().0, 0);
}

/// Without any application, for one client, it stops as gracefully.
#[test]
fn a_coordinator_for_one_client_tells_it_that_it_stops() {
    for name in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let key = folder.path().join("key");
        let mut command = Command::new(program("farspawn"));
        command.args(["coordinator", "--key-file"]).arg(&key).arg("--");
        command.arg(program("application")).stdout(Stdio::piped());
        let mut coordinator = command.spawn().expect("it is built");
        let mut line = String::new();
        let stdout = coordinator.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it is");
        let mut client = Command::new(program("application"));
        client.args(["100000", "10"]).env("FARSPAWN_COORDINATOR", line.trim());
        client.env("FARSPAWN_KEY", std::fs::read_to_string(&key).expect("it was made"));
        client.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("it is built");
        let mut begun = [0; 5];
        client.stdout.as_mut().expect("it is piped").read_exact(&mut begun).expect("it begins");
        signal(&coordinator, name);
        assert_eq!(coordinator.wait().expect("it is a child").code(), Some(0), "{name}");
        let output = client.wait_with_output().expect("it is a child");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("the coordinator has ended"), "{said}");
    }
}
