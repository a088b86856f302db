//! What goes wrong between the coordinator and AWS, in words; and whom a worker trusts.

use std::process::Command;
use std::time::Duration;

use lambda_local::{ACCESS_KEY, Function, LocalLambda, Refusal};
use runtime::platform::aws::{Aws, Events, Options};
use runtime::{JoinError, spawn, task};

use crate::site::{answer, eventually, function, on_lambda, options, workers};

#[task]
async fn nothing() {}

fn refusal(options: Options) -> String {
    Aws::connect(options).map(|aws| format!("{aws:?}")).unwrap_err().to_string()
}

#[test]
fn the_function_is_looked_at() {
    let mut function = Function {
        memory_mb: 1769,
        timeout: Duration::from_secs(90),
        is_arm: true,
        reserved: Some(7),
        ..function()
    };
    let address = "wss://a.example".to_owned();
    function.environment.push(("FARSPAWN_COORDINATOR".to_owned(), address.clone()));
    let lambda = LocalLambda::start(function).unwrap();
    let aws = Aws::connect(options(&lambda)).unwrap();
    let seen = aws.function();
    assert_eq!((seen.memory_mb, seen.timeout.as_secs(), seen.reserved), (1769, 90, Some(7)));
    assert_eq!((seen.shape().threads, &seen.coordinator), (1, &Some(address)));
    assert_eq!(seen.architecture, runtime::platform::aws::Architecture::Arm);
    assert!(seen.arn.ends_with(":function:worker"));
    let by_arn = Options { function: seen.arn.clone(), ..options(&lambda) };
    assert_eq!(Aws::connect(by_arn).unwrap().function(), seen);
}

/// What Lambda does with launches that fail.
#[test]
fn retries_are_looked_at() {
    let look = |function: Function| {
        let lambda = LocalLambda::start(function).unwrap();
        let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
        executor.unwrap().block_on(Events::look(&options(&lambda))).unwrap()
    };
    let default = look(function());
    assert_eq!((default.retries, default.age_max.as_secs()), (2, 21_600));
    assert!(!default.is_configured);
    let age = Duration::from_secs(60);
    let frugal = look(Function { retries: 0, event_age_max: age, ..function() });
    assert_eq!((frugal.retries, frugal.age_max, frugal.is_configured), (0, age, true));
}

#[test]
fn what_is_wrong_with_the_account_is_said_with_what_to_do() {
    let lambda = LocalLambda::start(function()).unwrap();
    let other = Options { function: "wroker".to_owned(), ..options(&lambda) };
    let text = refusal(other);
    assert!(text.contains("no Lambda function `wroker`") && text.contains("AWS_REGION"), "{text}");

    let stranger = Some(("stranger".to_owned(), "secret".to_owned()));
    let text = refusal(Options { credentials: stranger, ..options(&lambda) });
    assert!(text.contains("does not know these credentials"), "{text}");

    lambda.refuse(Refusal::denied("lambda:GetFunctionConfiguration"));
    let text = refusal(options(&lambda));
    assert!(text.contains("allow its role `lambda:GetFunctionConfiguration`"), "{text}");
    lambda.relent();
    lambda.refuse(Refusal::denied("lambda:GetFunctionConcurrency"));
    assert_eq!(Aws::connect(options(&lambda)).unwrap().function().reserved, None);

    let nobody = Some("http://127.0.0.1:9".to_owned());
    let text = refusal(Options { endpoint: nobody, ..options(&lambda) });
    assert!(text.contains("cannot be reached"), "{text}");

    let stopped = LocalLambda::start(Function { reserved: Some(0), ..function() }).unwrap();
    let text = refusal(options(&stopped));
    assert!(text.contains("reserved concurrency is 0"), "{text}");
}

/// What [`credentials_that_are_nowhere_are_missed`] runs: with nothing in its environment.
#[test]
fn process_without_credentials() {
    if let Ok(endpoint) = std::env::var("FARSPAWN_TEST_ENDPOINT") {
        let options = Options { endpoint: Some(endpoint), ..Options::new("worker") };
        println!("refusal={}", refusal(options));
    }
}

#[test]
fn credentials_that_are_nowhere_are_missed() {
    let lambda = LocalLambda::start(function()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["platform::process_without_credentials", "--exact", "--nocapture"])
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("FARSPAWN_TEST_ENDPOINT", lambda.endpoint())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("refusal=no AWS credentials are found"), "{text}");
}

/// What lasts ends the tasks that wait; what passes does not.
#[test]
fn a_launch_that_is_refused_says_why_and_one_that_fails_for_now_is_made_again() {
    on_lambda(function(), workers(1), async |lambda| {
        let denied = "lambda:InvokeFunction";
        lambda.refuse(Refusal::denied(denied));
        let error = spawn(nothing()).await.unwrap_err();
        let JoinError::NeverStarted(why) = &error else { panic!("{error}") };
        assert!(why.contains("allow its role `lambda:InvokeFunction`"), "{why}");
        lambda.relent();
        let (status, code) = (500, "ServiceException".to_owned());
        let (action, message) = (denied.to_owned(), "Service encountered an error".to_owned());
        lambda.refuse(Refusal { action, status, code, message });
        let before = lambda.refused();
        let task = spawn(nothing());
        eventually("it has failed", || lambda.refused() > before).await;
        lambda.relent();
        assert_eq!(task.await, Ok(()));
    });
}

/// A worker believes its configuration, not who invokes it; without a coordinator that answers the
/// invocation fails, and Lambda tries it again.
#[test]
fn a_worker_does_not_go_where_its_payload_says() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    let mut function = function();
    function.retry_pause = Duration::from_millis(1);
    let configured = ("FARSPAWN_COORDINATOR".to_owned(), "ws://127.0.0.1:9".to_owned());
    function.environment.push(configured);
    let lambda = LocalLambda::start(function).unwrap();
    let token = "00".repeat(32);
    let payload = format!(r#"{{"launch":1,"token":"{token}","coordinator":"ws://{address}"}}"#);
    let invoke = |payload: &str, kind: &str| {
        let path = "/2015-03-31/functions/worker/invocations";
        let authorisation = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/x");
        post(
            lambda.endpoint(),
            path,
            payload,
            &[("Authorization", &authorisation), ("X-Amz-Invocation-Type", kind)],
        )
    };
    let answer = invoke(&payload, "RequestResponse");
    assert!(answer.contains("cannot be reached") && answer.contains("127.0.0.1:9"), "{answer}");
    assert!(elsewhere.accept().is_err(), "nobody came");
    let answer = invoke("{}", "RequestResponse");
    assert!(answer.contains("launch"), "{answer}");
    assert!(invoke(&payload, "Event").starts_with("HTTP/1.1 202"));
    let tries = || lambda.invocations().iter().map(|one| one.attempt).max();
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    executor.block_on(eventually("it was tried three times", || tries() == Some(3)));
    let processes: Vec<u32> = lambda.invocations().iter().map(|one| one.process).collect();
    assert!(processes.iter().all(|process| *process == processes[0]), "an error ends no process");
}

/// One request, by hand.
fn post(endpoint: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> String {
    use std::io::{Read, Write};
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A function of another program is turned away by name; its invocation ends at once.
#[test]
fn a_token_that_nobody_gave_out_is_turned_away() {
    on_lambda(function(), workers(1), async |lambda| {
        let token = "ab".repeat(32);
        let payload = format!(r#"{{"launch":99,"token":"{token}"}}"#);
        let authorisation = format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/x");
        let path = "/2015-03-31/functions/worker/invocations";
        let headers = [("Authorization", &*authorisation), ("X-Amz-Invocation-Type", "Event")];
        assert!(post(lambda.endpoint(), path, &payload, &headers).starts_with("HTTP/1.1 202"));
        eventually("it has ended", || !lambda.invocations().is_empty()).await;
        let account = answer(&lambda.invocations()[0]);
        assert_eq!((&account["served"], &account["launch"]), (&false.into(), &99.into()));
        assert_eq!(spawn(nothing()).await, Ok(()));
    });
}
