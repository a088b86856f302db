//! An application of the service: started by hand it is a client, started by the coordinator a
//! worker. Its tasks can be submitted over HTTP as well.

use std::time::Duration;

use runtime::{Receiver, Sender, channel, spawn, task};
use serde::{Deserialize, Serialize};

/// A number to be squared, and a place where it goes.
#[task]
async fn squares(numbers: Receiver<u64>, squares: Sender<u64>) {
    while let Ok(number) = numbers.recv().await {
        if squares.send(number * number).await.is_err() {
            break;
        }
    }
}

/// For HTTP: numbers in, a number out.
#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Takes its time.
#[task]
async fn slow_square(number: u64, milliseconds: u64) -> u64 {
    runtime::after(Duration::from_millis(milliseconds)).recv().await.ok();
    number * number
}

/// What JSON calls an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Greeting {
    text: String,
    times: Option<u32>,
}

/// Objects in, objects out.
#[task]
async fn greet(mut greeting: Greeting) -> Greeting {
    greeting.text = format!("hello, {}", greeting.text);
    greeting
}

/// Nothing in, nothing out.
#[task]
async fn nothing() {}

/// Says why it ends.
#[task]
async fn fail(why: String) {
    panic!("{why}");
}

/// Takes its worker along.
#[task]
fn crash() {
    std::process::abort();
}

/// Never ends by itself.
#[task]
async fn forever() {
    std::future::pending::<()>().await;
}

/// Never ends by itself, and holds something meanwhile.
#[task]
async fn keep(text: String) {
    std::future::pending::<()>().await;
    drop(text);
}

/// A result that only a Rust program could use.
#[task]
async fn handle() -> Receiver<u32> {
    channel(1).1
}

/// A large text.
#[task]
async fn large(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Spawns so many tasks, waits for all, and then for one more.
async fn crowd(count: usize) {
    let tasks: Vec<_> = (0..count).map(|_| spawn(nothing())).collect();
    let mut ended = 0;
    for task in tasks {
        match task.await {
            Ok(()) => ended += 1,
            Err(error) => println!("{error}"),
        }
    }
    if spawn(nothing()).await.is_ok() {
        println!("{ended} and one");
    }
}

#[runtime::main]
async fn main() {
    if std::env::args().nth(1).as_deref() == Some("crowd") {
        let count = std::env::args().nth(2).and_then(|text| text.parse().ok());
        return crowd(count.unwrap_or(1)).await;
    }
    let count: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100);
    let pause = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(0);
    let (numbers, numbers_there) = channel(0);
    let (squares_there, squared) = channel(16);
    let worker = spawn(squares(numbers_there, squares_there));
    let mut sum = 0;
    for number in 0..count {
        numbers.send(number).await.expect("the worker is there");
        sum += squared.recv().await.expect("the worker is there");
        if number == 0 {
            println!("begun");
        }
        runtime::after(Duration::from_millis(pause)).recv().await.ok();
    }
    drop(numbers);
    worker.await.expect("the worker is there");
    println!("{sum}");
}
