//! Tasks over HTTP.

use farspawn_service_tests::{Answer, Site};
use serde_json::{Value, json};

/// Submits, and waits for the end.
fn run(site: &Site, task: &str, arguments: Value) -> (u16, Value) {
    let task = format!("application::{task}");
    let body = json!({ "task": task, "arguments": arguments, "wait_ms": 60_000 });
    let answer = site.submit(&body);
    let mut told = answer.json;
    if let Some(fields) = told.as_object_mut() {
        let id = fields.remove("id").unwrap_or_default();
        assert_eq!(id.as_str().map(str::len), Some(32), "{fields:?}");
        assert_eq!(fields.remove("task"), Some(task.into()));
    }
    (answer.status, told)
}

#[test]
fn a_task_has_one_outcome_that_is_told() {
    let site = Site::start(&[]);
    let returned = |result: Value| (200, json!({ "state": "returned", "result": result }));
    assert_eq!(run(&site, "add", json!([40, 2])), returned(json!(42)));
    let greeting = json!({ "text": "hello, you", "times": null });
    assert_eq!(run(&site, "greet", json!([{ "text": "you" }])), returned(greeting));
    assert_eq!(run(&site, "nothing", json!([])), returned(Value::Null));

    let ended = |told: (u16, Value), state: &str, why: &str| {
        assert_eq!((told.0, &told.1["state"]), (200, &json!(state)), "{told:?}");
        let error = told.1["error"].as_str().unwrap_or("");
        assert!(error.contains(why) && told.1.get("result").is_none(), "{told:?}");
    };
    ended(run(&site, "fail", json!(["no luck"])), "panicked", "no luck");
    ended(run(&site, "crash", json!([])), "worker_lost", "signal: 6");
    ended(run(&site, "add", json!(["a", 2])), "never_started", "invalid type");
    ended(run(&site, "add", json!([1])), "never_started", "a tuple of size 2");
    ended(run(&site, "add", json!([])), "never_started", "null");
    ended(run(&site, "unknown", json!([])), "never_started", "unknown task");
    ended(run(&site, "handle", json!([])), "panicked", "handle travels only in a message");
    let late = json!({ "task": "application::forever", "timeout_ms": 50, "wait_ms": 60_000 });
    let late = site.submit(&late);
    assert_eq!((late.state(), late.error()), ("deadline_exceeded", "it ran longer than 50 ms"));
}

#[test]
fn a_task_is_found_again_and_can_be_cancelled() {
    let site = Site::start(&[]);
    let key = site.key(1);
    let ask = |request: &str| site.ask(request, Some(&key), "");
    let submitted = site.submit(&json!({ "task": "application::forever" }));
    assert_eq!((submitted.status, submitted.state()), (202, "pending"));
    let id = submitted.json["id"].as_str().unwrap_or("").to_owned();
    let other = site.submit(&json!({ "task": "application::add", "arguments": [1, 1] }));
    let other = other.json["id"].as_str().unwrap_or("").to_owned();
    let told = ask(&format!("GET /v1/tasks/{other}?wait_ms=60000"));
    assert_eq!((told.status, &told.json["result"]), (200, &json!(2)));

    let list = ask("GET /v1/tasks").json;
    let listed = |at: usize, name: &str| list[at][name].as_str().unwrap_or("").to_owned();
    assert_eq!([listed(0, "id"), listed(1, "id")], [other.clone(), id.clone()], "youngest first");
    assert_eq!([listed(0, "state"), listed(1, "state")], ["returned", "pending"]);
    assert!(list[0].get("result").is_none(), "results are told one by one");
    assert_eq!(ask("GET /v1/tasks?limit=1").json.as_array().map(Vec::len), Some(1));

    assert_eq!(ask(&format!("GET /v1/tasks/{id}?wait_ms=1")).state(), "pending");
    assert_eq!(ask(&format!("POST /v1/tasks/{id}/cancel")).status, 202);
    assert_eq!(ask(&format!("GET /v1/tasks/{id}?wait_ms=60000")).state(), "cancelled");
    assert_eq!(ask(&format!("POST /v1/tasks/{id}/cancel")).status, 200, "it has ended before");
    assert_eq!(ask(&format!("POST /v1/tasks/{other}/cancel")).json["result"], json!(2));
}

#[test]
fn a_lost_task_runs_again_if_it_may() {
    let site = Site::start(&[]);
    let body = json!({ "task": "application::crash", "retries": 1, "wait_ms": 60_000 });
    let answer = site.submit(&body);
    assert_eq!(answer.state(), "worker_lost");
    let stats = site.ask("GET /v1/stats", Some(&site.key(1)), "").json;
    assert!(stats["launches"].as_u64() >= Some(2), "{stats}");
    // The next one finds a worker all the same.
    assert_eq!(run(&site, "add", json!([1, 2])).1["result"], json!(3));
}

#[test]
fn what_cannot_be_read_is_told_what_was_expected() {
    let site = Site::start(&[]);
    let key = site.key(1);
    let submit = |body: &str| site.ask("POST /v1/tasks", Some(&key), body);
    for (body, why) in [
        ("", "a JSON object is expected"),
        ("[]", "a JSON object is expected"),
        ("{}", "missing field `task`"),
        (r#"{"task": 7}"#, "expected a string"),
        (r#"{"task": ""}"#, "1 to 512 characters"),
        (r#"{"task": "a", "arguments": {}}"#, "expected a sequence"),
        (r#"{"task": "a", "retries": -1}"#, "expected a whole number"),
        (r#"{"task": "a", "retries": 0.5}"#, "expected a whole number"),
        (r#"{"task": "a", "wait_ms": 60001}"#, "at most 60000"),
        (r#"{"task": "a", "argument": []}"#, "unknown field `argument`"),
        (r#"{"task": "a"} {"#, "trailing characters"),
        ("\u{0}", "a JSON object is expected"),
    ] {
        let answer = submit(body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.error().contains(why), "{body}: {answer:?}");
    }
    assert_eq!(submit(&format!(r#"{{"task": "{}"}}"#, "x".repeat(513))).status, 400);
    let deep = format!(r#"{{"task": "application::nothing", "arguments": [{}]}}"#, "[".repeat(99));
    assert_eq!(submit(&deep).status, 400);
    let large = format!(r#"{{"task": "a", "arguments": ["{}"]}}"#, "x".repeat(17 << 20));
    assert_eq!(submit(&large).status, 413);
    for (request, status) in [
        ("GET /v1/tasks/xyz", 400),
        ("GET /v1/tasks/00000000000000000000000000000000", 404),
        ("GET /v1/tasks/+0000000000000000000000000000001", 400),
        ("POST /v1/tasks/00000000000000000000000000000000/cancel", 404),
        ("DELETE /v1/tasks/00000000000000000000000000000000", 405),
        ("GET /v1/tasks?limit=many", 400),
        ("GET /v1/tasks?limit=1001", 400),
        ("GET /v1/tasks/00000000000000000000000000000000?wait_ms=-1", 400),
        ("GET /nowhere", 404),
        ("PATCH /v1/tasks", 405),
    ] {
        let answer = site.ask(request, Some(&key), "");
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        assert!(!answer.error().is_empty(), "{request}: {answer:?}");
    }
    // Nothing of this has left a task.
    assert_eq!(site.ask("GET /v1/tasks", Some(&key), "").json, json!([]));
}

#[test]
fn large_results_come_whole_and_the_service_says_how_it_is() {
    let site = Site::start(&[]);
    let key = site.key(1);
    let (status, told) = run(&site, "large", json!([3_000_000]));
    let length = told["result"].as_str().map(str::len);
    assert_eq!((status, length), (200, Some(3_000_000)));
    let stats = site.ask("GET /v1/stats", Some(&key), "").json;
    assert_eq!((&stats["application"], &stats["tasks_ended"]), (&json!("a"), &json!(1)));
    assert_eq!((&stats["jobs_pending"], &stats["clients"]), (&json!(0), &json!(0)));
    let metrics = site.ask("GET /metrics", Some(&key), "");
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{metrics:?}");
    assert!(metrics.text.contains("\nfarspawn_tasks_ended_total{application=\"a\"} 1\n"));
    let names: Vec<&str> = metrics.text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(names.len(), 24);
    let runs = site.ask("GET /v1/runs", Some(&key), "").json;
    let run = &runs[0];
    assert_eq!((&run["client"], &run["has_ended"]), (&json!("http"), &json!(false)), "{runs}");
    assert_eq!(
        (&run["report"]["tasks"], run["workers"].as_array().map(Vec::len)),
        (&json!(1), Some(1))
    );
    let output = site.client(1, &["10"]).output().expect("it is built");
    assert!(output.status.success(), "{output:?}");
    let ended = |answer: &Answer| {
        let mut runs = answer.json.as_array().into_iter().flatten();
        runs.find(|run| run["client"] == "program" && run["has_ended"] == true).cloned()
    };
    let answer = site.ask_until("GET /v1/runs", |answer| ended(answer).is_some());
    let run = ended(&answer).unwrap_or_default();
    assert_eq!(run["report"]["tasks"], json!(1), "{run}");
    assert!(run["report"]["dollars"].as_f64() > Some(0.0), "{run}");
    assert_eq!(site.ask("GET /health", Some(&key), "").json["status"], json!("ok"));
}

/// What waits is bounded in bytes too, and too much of it costs nobody his jobs.
#[test]
fn heavy_arguments_are_declined_before_they_are_too_many() {
    let site = Site::start(&[]);
    let key = site.key(1);
    let text = "x".repeat(15 << 20);
    let body = json!({ "task": "application::keep", "arguments": [text] }).to_string();
    let submit = || site.ask("POST /v1/tasks", Some(&key), &body);
    let mut ids = Vec::new();
    let declined = loop {
        let answer = submit();
        if answer.status != 202 {
            break answer;
        }
        ids.push(answer.json["id"].as_str().unwrap_or("").to_owned());
        assert!(ids.len() < 20, "nothing is declined");
    };
    assert_eq!((declined.status, ids.len()), (429, 17), "{declined:?}");
    assert!(declined.error().contains("268435456 bytes already"), "{declined:?}");
    for id in &ids {
        let told = site.ask(&format!("POST /v1/tasks/{id}/cancel"), Some(&key), "");
        assert_eq!(told.state(), "pending", "{id} was lost");
    }
    let last = format!("GET /v1/tasks/{}?wait_ms=60000", ids[16]);
    assert_eq!(site.ask(&last, Some(&key), "").state(), "cancelled");
    assert_eq!(submit().status, 202, "there is room again");
}
