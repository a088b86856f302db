//! Who gets in.

use std::io::{Read, Write};
use std::process::Command;

use farspawn_service_tests::{Site, program};
use serde_json::json;

const PATHS: [&str; 10] = [
    "/v1/tasks",
    "/v1/tasks/00000000000000000000000000000000",
    "/v1/tasks/00000000000000000000000000000000/cancel",
    "/v1/stats",
    "/v1/runs",
    "/metrics",
    "/health",
    "/openapi.json",
    "/",
    "/nowhere",
];
const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"];

#[test]
fn without_a_key_every_route_and_method_is_shut() {
    let site = Site::start(&[]);
    let key = site.key(1);
    let headers = [
        String::new(),
        format!("Authorization: {key}\r\n"),
        format!("Authorization: Basic {key}\r\n"),
        format!("Authorization: bearer {key}\r\n"),
        format!("Authorization: Bearer {}\r\n", &key[1..]),
        format!("Authorization: Bearer {key}0\r\n"),
        format!("Authorization: Bearer {}\r\n", "0".repeat(64)),
        format!("X-Api-Key: {key}\r\n"),
    ];
    for path in PATHS {
        for method in METHODS {
            let answer = site.ask_with(&format!("{method} {path}"), &headers[0], "");
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            assert!(answer.head.to_lowercase().contains("www-authenticate: bearer"));
        }
        for header in &headers {
            let answer = site.ask_with(&format!("GET {path}?key={key}"), header, "");
            assert_eq!(answer.status, 401, "{header} {path}");
        }
    }
    for key in [1, 2, 3].map(|number| site.key(number)) {
        assert_eq!(site.ask("GET /health", Some(&key), "").status, 200, "any key of any");
        let header = format!("Authorization: Bearer {key}\r\nOrigin: https://example.com\r\n");
        assert_eq!(site.ask_with("GET /health", &header, "").status, 403, "from a page");
    }
}

#[test]
fn applications_see_nothing_of_each_other() {
    let site = Site::start(&[]);
    let (own, other) = (site.key(2), site.key(3));
    let submitted = site.submit(&json!({ "task": "application::forever" }));
    let id = submitted.json["id"].as_str().unwrap_or("").to_owned();
    let unknown = site.ask("GET /v1/tasks/00000000000000000000000000000001", Some(&other), "");
    for request in [format!("GET /v1/tasks/{id}"), format!("POST /v1/tasks/{id}/cancel")] {
        let answer = site.ask(&request, Some(&other), "");
        assert_eq!((answer.status, answer.error()), (404, unknown.error()), "as if not there");
    }
    assert_eq!(site.ask("GET /v1/tasks", Some(&other), "").json, json!([]));
    let metrics = site.ask("GET /metrics", Some(&other), "").text;
    assert!(metrics.contains("{application=\"b\"} 0\n") && !metrics.contains("\"a\""));
    // The second key of the first application.
    assert_eq!(site.ask(&format!("GET /v1/tasks/{id}"), Some(&own), "").state(), "pending");
}

#[test]
fn a_key_opens_the_relay_and_nothing_else_does() {
    let site = Site::start(&[]);
    let mut stranger = site.client(1, &["2"]);
    stranger.env("FARSPAWN_KEY", "0".repeat(64));
    let turned = stranger.output().expect("it is built");
    let said = String::from_utf8_lossy(&turned.stderr).into_owned();
    assert_eq!(turned.status.code(), Some(70));
    assert!(said.contains("turned this node away: its secret is not the one"), "{said}");
    for key in [1, 2, 3] {
        let output = site.client(key, &["10"]).output().expect("it is built");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "begun\n285\n", "{key}: {output:?}");
    }
}

#[test]
fn no_secret_is_ever_written_to_the_log() {
    let site = Site::start(&[]);
    let output = site.client(1, &["10"]).output().expect("it is built");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        site.submit(&json!({ "task": "application::nothing", "wait_ms": 60_000 })).state(),
        "returned"
    );
    let secrets = [1, 2, 3].map(|number| site.key(number));
    site.terminate();
    let (status, log) = site.wait();
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("Hello") || log.contains("connected"), "the log is full: {log}");
    for secret in secrets {
        assert!(!log.to_lowercase().contains(&secret), "a key is in the log");
        let bytes: Vec<u8> = (0..32)
            .filter_map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).ok())
            .collect();
        assert!(!log.contains(&format!("{bytes:?}")), "a key is in the log, as numbers");
    }
}

#[test]
fn who_says_nothing_or_too_much_is_let_go() {
    let site = Site::start(&[]);
    let mut long = site.connect();
    long.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX: ").expect("it listens");
    // More than any head may have; the server stops reading it.
    for _ in 0..64 {
        if long.write_all(&[b'x'; 16 << 10]).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    long.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || answer.contains(" 431 "), "{answer}");
    let mut rubbish = site.connect();
    rubbish.write_all(&[0, 1, 2, 3, 13, 10, 13, 10]).expect("it listens");
    let mut answer = Vec::new();
    rubbish.read_to_end(&mut answer).ok();
    assert!(String::from_utf8_lossy(&answer).contains(" 400 "));
    // It goes on.
    assert_eq!(site.ask("GET /health", Some(&site.key(1)), "").status, 200);
}

/// Runs `farspawn coordinator` with flags that cannot be.
fn refused(flags: &[&str]) -> String {
    let output = Command::new(program("farspawn")).arg("coordinator").args(flags).output();
    let output = output.expect("it is built");
    assert!(!output.status.success(), "{flags:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_would_be_open_to_all_is_not_started() {
    let site = Site::start(&[]);
    let file = |name: &str| site.folder.path().join(name).display().to_string();
    let app = format!("a={}", file("1.key"));
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let far = "--listen=0.0.0.0:0";
    for (flags, why) in [
        (vec!["--", "x"], "nobody gets in without a key"),
        (vec!["--app", &app], "a worker's program is needed"),
        (vec!["--app", "a", "--", "x"], "NAME=FILE is expected"),
        (vec!["--app", "a b=c", "--", "x"], "letters, digits"),
        (vec!["--app", "a=", "--", "x"], "a file is expected"),
        (vec!["--app", &app, "--app", &app.replace("a=", "b="), "--", "x"], "this key already"),
        (vec!["--app", &app, "--app-program", "c=x", "--", "x"], "there is no --app c"),
        (vec!["--app", &app, far, "--", "x"], "must be encrypted"),
        (vec!["--app", &app, "--http=0.0.0.0:0", "--", "x"], "must be encrypted"),
        (vec!["--app", &app, "--tls-cert", &certificate, "--", "x"], "--tls-key"),
        (vec!["--app", &app, "--tls-cert", &key, "--tls-key", &key, "--", "x"], "certificates"),
        (
            vec!["--app", &app, "--tls-cert", &certificate, "--tls-key", "/none", "--", "x"],
            "/none: a PEM file with a private key is expected",
        ),
    ] {
        let said = refused(&flags);
        assert!(said.contains(why), "{flags:?}: {said}");
    }
}

/// The description names what is there, and nothing else.
#[test]
fn the_description_is_of_this_server() {
    let site = Site::start(&[]);
    let key = site.key(1);
    let described = site.ask("GET /openapi.json", Some(&key), "").json;
    let paths = described["paths"].as_object().cloned().unwrap_or_default();
    let served = |method: &str, path: &str| {
        let path = path.replace("{id}", "00000000000000000000000000000000");
        let answer = site.ask(&format!("{method} {path}"), Some(&key), "");
        answer.status != 405 && answer.error() != "there is no such path"
    };
    for (path, operations) in &paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let is_described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(served(method, path), is_described, "{method} {path}");
        }
    }
    for path in PATHS {
        let path = path.replace("00000000000000000000000000000000", "{id}");
        let is_served = served("GET", &path) || served("POST", &path);
        assert_eq!(is_served, paths.contains_key(&path), "{path}");
    }
}

/// What `farspawn doctor` finds; whether all is well.
fn doctor(site: &Site, flags: &[&str]) -> (bool, String) {
    let mut command = Command::new(program("farspawn"));
    command.arg("doctor").args(flags).env_remove("FARSPAWN_KEY");
    let key = site.folder.path().join("1.key").display().to_string();
    if !flags.contains(&"--key-file") {
        command.args(["--key-file", &key]);
    }
    if !flags.contains(&"--coordinator") {
        command.args(["--coordinator", &site.relay]);
    }
    let output = command.output().expect("it is built");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_doctor_says_what_is_wrong_and_how_to_mend_it() {
    let site = Site::encrypted(&[]);
    let file = |name: &str| site.folder.path().join(name).display().to_string();
    let (ca, http) = (file("ca.pem"), format!("https://localhost:{}", site.http.port()));
    let (is_well, told) = doctor(&site, &["--ca", &ca, "--http", &http]);
    assert!(is_well, "{told}");
    for step in ["key", "name", "connection", "encryption", "hello", "http", "clock"] {
        assert!(told.contains(step), "{step}: {told}");
    }
    // It has left nothing behind.
    site.ask_until("GET /v1/stats", |answer| answer.json["clients"] == json!(0));
    let strange = "0".repeat(64);
    std::fs::write(file("0.key"), &strange).expect("a folder");
    let port = site.relay.rsplit(':').next().unwrap_or("");
    let plain = format!("ws://localhost:{port}");
    let other = format!("wss://localhost:{}", site.http.port());
    for (flags, why) in [
        (vec!["--ca", &ca, "--key-file", "/none"], "No such file"),
        (vec!["--ca", &ca, "--key-file", &ca], "holds no key"),
        (vec!["--ca", &ca, "--key-file", &file("0.key")], "is this key that of an --app"),
        (vec!["--ca", &file("stranger.pem")], "name who signed it"),
        (vec!["--ca", &file("1.key")], "a PEM file with certificates is expected"),
        (vec!["--ca", &ca, "--coordinator", "http://a"], "wss://HOST[:PORT] or ws://"),
        (vec!["--ca", &ca, "--coordinator", "ws://localhost:1"], "is the coordinator running"),
        (vec!["--ca", &ca, "--coordinator", "wss://nobody.invalid"], "does DNS know it"),
        (vec!["--ca", &ca, "--coordinator", &plain], "is it the relay's address"),
        (vec!["--ca", &ca, "--coordinator", &other], "is it the relay's address"),
        (vec!["--ca", &ca, "--http", "https://localhost:1"], "FAIL  connection"),
    ] {
        let (is_well, told) = doctor(&site, &flags);
        assert!(!is_well && told.contains(why), "{flags:?}: {told}");
    }
}
