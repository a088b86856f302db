//! What an application may have, and that what it does costs no other anything.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use farspawn_service_tests::{Site, eventually};
use serde_json::json;

/// A request that says how long its body is, and sends none of it.
fn begin_body(site: &Site, key: u8) -> TcpStream {
    let mut stream = TcpStream::connect(site.http).expect("it listens");
    let key = site.key(key);
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Authorization: Bearer {key}\r\nContent-Length: 31\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
}

const BODY: &str = r#"{"task": "application::nothing"}"#;

fn is_unanswered(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("it is a socket");
    let mut bytes = [0; 1];
    let peeked = stream.peek(&mut bytes);
    stream.set_nonblocking(false).expect("it is a socket");
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The turns to send a body are each application's own.
#[test]
fn slow_bodies_of_one_application_hold_no_other_up() {
    let site = Site::start(&["--http-bodies", "2"]);
    let mut slow = [begin_body(&site, 1), begin_body(&site, 2)];
    let begun = || site.metric(1, "farspawn_http_connections{") >= 3.0;
    eventually("both are being read, besides this one", begun);
    let answer = site.ask("POST /v1/tasks", Some(&site.key(3)), BODY);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(slow.iter().all(is_unanswered), "the other did not wait for their end");
    // Its own third waits for one of them.
    let mut third = begin_body(&site, 1);
    third.write_all(&BODY.as_bytes()[..31]).expect("it reads");
    eventually("it is there", || site.metric(1, "farspawn_http_connections{") >= 4.0);
    slow[0].write_all(&BODY.as_bytes()[..31]).expect("it reads");
    for stream in [&mut slow[0], &mut third] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 400"), "it is one byte short: {answer}");
    }
}

#[test]
fn http_connections_are_each_applications_own() {
    let site = Site::start(&["--http-connections", "2", "--guests", "4"]);
    let request = |key: u8| {
        let key = site.key(key);
        format!("GET /health HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n")
    };
    let keep = |key: u8| {
        let mut stream = TcpStream::connect(site.http).expect("it listens");
        stream.write_all(request(key).as_bytes()).expect("it reads");
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).expect("it answers");
        (stream, String::from_utf8_lossy(&bytes).into_owned())
    };
    let kept = [keep(1), keep(2)];
    assert!(kept.iter().all(|(_, status)| status.ends_with("200")), "{kept:?}");
    let refused = site.ask("GET /health", Some(&site.key(1)), "");
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.error().contains("has 2 connections"), "{refused:?}");
    assert!(refused.head.to_lowercase().contains("connection: close"), "{refused:?}");
    // Those of the other application, and as many that say nothing as there are places.
    let silent: Vec<_> =
        (0..40).map(|_| TcpStream::connect(site.http).expect("it listens")).collect();
    assert_eq!(site.ask("GET /health", Some(&site.key(3)), "").status, 200);
    drop((kept, silent));
    site.ask_until("GET /health", |answer| answer.status == 200);
    assert!(site.metric(3, "farspawn_excesses_total{application=\"b\",quota=\"http_") == 0.0);
}

/// Whoever says nothing makes room for whoever comes later.
#[test]
fn silent_connections_keep_nobody_out() {
    let site = Site::start(&["--guests", "4"]);
    let relay = site.relay.trim_start_matches("ws://").to_owned();
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(&relay).expect("it listens")).collect();
    let output = site.client(3, &["10"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "begun\n285\n", "{output:?}");
    let mut oldest = &silent[0];
    let mut bytes = Vec::new();
    oldest.read_to_end(&mut bytes).ok();
    assert!(site.log().contains("others came that said as little"), "it was pushed out");
}

#[test]
fn links_are_each_applications_own() {
    let site = Site::start(&["--connections", "2", "--lease-ms", "4000"]);
    let mut client = begin(&site, 1);
    let turned = site.client(2, &["1"]).output().expect("it is built");
    let said = String::from_utf8_lossy(&turned.stderr).into_owned();
    assert!(said.contains("has 2 connections, as many as it may have"), "{said}");
    let other = site.client(3, &["10"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&other.stdout), "begun\n285\n", "{other:?}");
    client.kill().expect("it is a child");
    client.wait().expect("it is a child");
    let free = || site.metric(1, "farspawn_connections{") == 0.0;
    eventually("its places are free", free);
    let after = site.client(2, &["10"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&after.stdout), "begun\n285\n", "{after:?}");
}

/// A client that stays, with a worker.
fn begin(site: &Site, key: u8) -> Child {
    let mut command = site.client(key, &["100000", "10"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it is built");
    let mut begun = [0; 5];
    child.stdout.as_mut().expect("it is piped").read_exact(&mut begun).expect("it says so");
    child
}

/// What comes too fast waits, for longer than the lease, and nothing of it is lost.
#[test]
#[expect(clippy::disallowed_methods, reason = "it must take so long, at least")]
fn who_spawns_too_fast_is_slowed_down_and_nobody_else() {
    let site = Site::start(&["--spawns", "30", "--lease-ms", "4000"]);
    let begun = Instant::now();
    let mut crowd = site.client(1, &["crowd", "260"]);
    let crowd = crowd.stdout(Stdio::piped()).spawn().expect("it is built");
    let slowed = || {
        site.metric(3, "farspawn_excesses_total{application=\"b\",quota=\"spawns") == 0.0
            && site.metric(1, "farspawn_excesses_total{application=\"a\",quota=\"spawns") > 0.0
    };
    eventually("it is slowed down", slowed);
    let refused = site.submit(&json!({ "task": "application::nothing" }));
    assert_eq!((refused.status, refused.error().contains("30 tasks a second")), (429, true));
    let other = site.ask("POST /v1/tasks", Some(&site.key(3)), BODY);
    assert_eq!(other.status, 202, "{other:?}");
    let output = crowd.wait_with_output().expect("it is a child");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "260 and one\n", "{}", site.log());
    // 60 at once, and then 30 a second.
    assert!(begun.elapsed() > Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it must take so long, at least")]
fn hellos_take_turns_and_all_are_heard() {
    let site = Site::start(&["--hellos", "1"]);
    let begun = Instant::now();
    // Each is two: a client, and its worker.
    let start = |_| {
        let mut command = site.client(1, &["10"]);
        command.stdout(Stdio::piped()).spawn().expect("it is built")
    };
    let clients: Vec<_> = (0..3).map(start).collect();
    for client in clients {
        let output = client.wait_with_output().expect("it is a child");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "begun\n285\n", "{}", site.log());
    }
    // Two at once, and then one a second.
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(site.metric(1, "farspawn_excesses_total{application=\"a\",quota=\"hellos") > 0.0);
    assert!(site.metric(3, "farspawn_excesses_total{application=\"b\",quota=\"hellos") == 0.0);
}

/// Over all clients of an application: what came over HTTP leaves a program no room.
#[test]
fn tasks_are_counted_over_all_clients_of_an_application() {
    let site = Site::start(&["--tasks", "3"]);
    let submit = || site.submit(&json!({ "task": "application::forever" }));
    let ids: Vec<_> = (0..3).map(|_| submit().json["id"].clone()).collect();
    eventually("they are counted", || site.metric(1, "farspawn_tasks{") == 3.0);
    let declined = submit();
    assert_eq!(declined.status, 429, "{declined:?}");
    assert!(declined.error().contains("may have 3 tasks"), "{declined:?}");
    let crowd = || {
        let output = site.client(2, &["crowd", "2"]).output().expect("it is built");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = crowd();
    assert_eq!(said.matches("as many tasks are under way as may be").count(), 2, "{said}");
    let other = site.client(3, &["crowd", "3"]).output().expect("it is built");
    assert_eq!(String::from_utf8_lossy(&other.stdout), "3 and one\n", "{other:?}");
    for id in ids {
        let request = format!("POST /v1/tasks/{}/cancel", id.as_str().unwrap_or(""));
        site.ask(&request, Some(&site.key(1)), "");
    }
    eventually("they have ended", || site.metric(1, "farspawn_tasks{") == 0.0);
    assert_eq!(crowd(), "2 and one\n");
}

#[test]
fn memory_is_counted_over_all_clients_of_an_application() {
    let site = Site::start(&["--memory-mb", "1"]);
    let body = |bytes: usize| {
        let text = "x".repeat(bytes);
        json!({ "task": "application::keep", "arguments": [text], "retries": 1 })
    };
    assert_eq!(site.submit(&body(700_000)).status, 202);
    eventually("it is counted", || site.metric(1, "farspawn_memory_bytes{") > 700_000.0);
    let declined = site.submit(&body(700_000));
    assert_eq!(declined.status, 429, "{declined:?}");
    assert!(declined.error().contains("may take 1048576 bytes"), "{declined:?}");
    assert_eq!(site.submit(&body(7)).status, 202, "the first has cost nobody his jobs");
    let other = site.ask("POST /v1/tasks", Some(&site.key(3)), &body(700_000).to_string());
    assert_eq!(other.status, 202, "{other:?}");
}
