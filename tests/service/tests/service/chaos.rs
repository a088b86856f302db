//! Several applications at once, and everything that can break does: every job is accounted for.
//!
//! What breaks: workers are killed, programs are killed in the middle, links are cut (workers reach
//! the coordinator through a relay of this test, which cuts all it has). What must hold: each job
//! has one outcome; one that may run again has its result; jobs of the application to which nothing
//! happens are as they would be alone; nothing is left behind.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use farspawn_service_tests::{Site, eventually};
use serde_json::{Value, json};

/// In each something breaks.
const ROUNDS: u64 = 9;
/// Jobs of each application that are submitted before.
const JOBS: u64 = 8;

/// Carries bytes both ways between whoever comes and one address, and can cut all it carries.
struct Wire {
    links: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl Wire {
    /// Listens at a port that is free now; where it leads to is said later.
    fn start(listener: TcpListener, to: SocketAddr) -> Arc<Self> {
        let wire = Arc::new(Self { links: Mutex::default(), is_over: AtomicBool::new(false) });
        let accepting = wire.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if accepting.is_over.load(SeqCst) {
                    return;
                }
                let Ok(far) = TcpStream::connect(to) else { continue };
                accepting.carry(&near, &far);
                accepting.carry(&far, &near);
            }
        });
        wire
    }

    fn carry(&self, from: &TcpStream, to: &TcpStream) {
        let clone = |stream: &TcpStream| stream.try_clone().expect("there are descriptors");
        let (mut from, mut to) = (clone(from), clone(to));
        self.links.lock().expect("no panic").push(clone(&from));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            // The other way ends as well.
            from.shutdown(Shutdown::Both).ok();
            to.shutdown(Shutdown::Both).ok();
        });
    }

    /// Cuts all links; says how many ends there were.
    fn cut(&self) -> usize {
        let links = std::mem::take(&mut *self.links.lock().expect("no panic"));
        links.iter().filter(|link| link.shutdown(Shutdown::Both).is_ok()).count()
    }
}

/// The workers of this coordinator: its children.
fn workers(site: &Site) -> Vec<String> {
    let output = Command::new("pgrep").args(["-P", &site.process().to_string()]).output();
    let output = output.expect("pgrep is there").stdout;
    String::from_utf8_lossy(&output).lines().map(str::to_owned).collect()
}

fn kill(process: &str) -> bool {
    let killed = Command::new("kill").args(["-KILL", process]).stderr(Stdio::null()).status();
    killed.expect("kill is there").success()
}

/// Submits jobs of an application that are under way for a while; their numbers by their ids.
fn submit(site: &Site, key: u8, retries: u32, round: u64) -> BTreeMap<String, u64> {
    let job = |number: u64| {
        let body = json!({
            "task": "application::slow_square", "arguments": [number, 400], "retries": retries,
        });
        let answer = site.ask("POST /v1/tasks", Some(&site.key(key)), &body.to_string());
        assert_eq!(answer.status, 202, "{answer:?}");
        (answer.json["id"].as_str().unwrap_or("").to_owned(), number)
    };
    (round * JOBS..(round + 1) * JOBS).map(job).collect()
}

/// The outcome of each job.
fn outcomes(site: &Site, key: u8, jobs: &BTreeMap<String, u64>) -> Vec<(u64, Value)> {
    let outcome = |(id, number): (&String, &u64)| {
        let mut told = Value::Null;
        eventually("a job has ended", || {
            let request = format!("GET /v1/tasks/{id}?wait_ms=10000");
            told = site.ask(&request, Some(&site.key(key)), "").json;
            told["state"] != "pending"
        });
        (*number, told)
    };
    jobs.iter().map(outcome).collect()
}

#[test]
fn every_job_is_accounted_for_whatever_breaks() {
    let outside = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let url = format!("ws://{}", outside.local_addr().expect("it is bound"));
    let flags = ["--public-url", &url, "--lease-ms", "5000", "--workers", "3"];
    let site = Site::start(&flags);
    let to = site.relay.trim_start_matches("ws://").parse().expect("IP:PORT");
    let wire = Wire::start(outside, to);
    // Those of `a` may be tried again, those of `b` may not.
    let (mut again, mut once) = (BTreeMap::new(), BTreeMap::new());
    let mut programs = Vec::new();
    let (mut killed, mut cut) = (0, 0);
    for round in 0..ROUNDS {
        again.extend(submit(&site, 1, 1000, round));
        once.extend(submit(&site, 3, 0, round));
        let mut program = site.client(2, &["100000", "10"]);
        let program = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut program = program.expect("it is built");
        let mut begun = [0; 5];
        program.stdout.as_mut().expect("it is piped").read_exact(&mut begun).expect("it begins");
        programs.push(program);
        match round % 3 {
            0 => cut += wire.cut(),
            1 => killed += usize::from(workers(&site).iter().any(|worker| kill(worker))),
            _ => {
                let mut program = programs.remove(0);
                program.kill().expect("it is a child");
                program.wait().expect("it is a child");
            }
        }
    }
    assert!(killed >= 1 && cut >= 1, "{killed} killed, {cut} cut");
    for (number, told) in outcomes(&site, 1, &again) {
        let result = (&told["state"], &told["result"]);
        assert_eq!(result, (&json!("returned"), &json!(number * number)), "{told}");
    }
    for (number, told) in outcomes(&site, 3, &once) {
        match told["state"].as_str() {
            Some("returned") => assert_eq!(told["result"], json!(number * number)),
            // A worker of it was killed; it may not run twice.
            Some("worker_lost") => assert!(told["error"].as_str() > Some(""), "{told}"),
            _ => panic!("{told}"),
        }
    }
    for mut program in programs {
        program.kill().expect("it is a child");
        program.wait().expect("it is a child");
    }
    let empty = |key: u8| {
        ["clients", "jobs_pending", "tasks", "channels", "http_connections"].iter().all(|name| {
            let own = f64::from(u8::from(*name == "http_connections"));
            site.metric(key, &format!("farspawn_{name}{{")) <= own
        })
    };
    eventually("nothing is left behind", || empty(1) && empty(3));
    // Besides them the programs' own, one each.
    assert_eq!(site.metric(1, "farspawn_tasks_ended_total{") as u64, (JOBS + 1) * ROUNDS);
    assert_eq!(site.metric(3, "farspawn_tasks_ended_total{") as u64, JOBS * ROUNDS);
    wire.is_over.store(true, SeqCst);
}
