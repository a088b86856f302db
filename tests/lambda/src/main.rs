//! The local Lambda as a program, for trying a function by hand.
//!
//! `farspawn-lambda-local [--name NAME] [--memory MB] [--timeout SECONDS] [--reserved N]
//! [--env NAME=VALUE]… -- PROGRAM [ARGUMENT…]` prints the environment of a client as `NAME=VALUE`
//! lines, then an empty line, and serves until its standard input ends. Then it prints what ran,
//! and the bill.

use std::io::{self, Read};
use std::time::Duration;

use lambda_local::{ACCESS_KEY, Function, LocalLambda, SECRET_KEY};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut function = Function::new("worker", "");
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| wrong(&flag, "a value is missing"));
        match flag.as_str() {
            "--name" => function.name = value()?,
            "--memory" => function.memory_mb = number(&flag, &value()?)? as u32,
            "--timeout" => function.timeout = Duration::from_secs(number(&flag, &value()?)?),
            "--reserved" => function.reserved = Some(number(&flag, &value()?)? as usize),
            "--env" => {
                let value = value()?;
                let pair = value.split_once('=').ok_or_else(|| wrong(&flag, "NAME=VALUE"))?;
                function.environment.push((pair.0.to_owned(), pair.1.to_owned()));
            }
            "--" => break,
            _ => return Err(wrong(&flag, "no such flag")),
        }
    }
    let program = arguments.next().ok_or_else(|| wrong("--", "a program is missing"))?;
    function.program = program.into();
    function.arguments = arguments.map(Into::into).collect();
    let lambda = LocalLambda::start(function)?;
    println!("AWS_ENDPOINT_URL_LAMBDA={}", lambda.endpoint());
    println!("AWS_REGION=us-east-1");
    println!("AWS_ACCESS_KEY_ID={ACCESS_KEY}");
    println!("AWS_SECRET_ACCESS_KEY={SECRET_KEY}\n");
    io::stdin().read_to_end(&mut Vec::new())?;
    for invocation in lambda.invocations() {
        println!("{invocation}");
    }
    println!("{}", lambda.bill());
    Ok(())
}

fn number(flag: &str, text: &str) -> io::Result<u64> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err(wrong(flag, "a number from 1 to 1000000 is expected")),
    }
}

fn wrong(flag: &str, why: &str) -> io::Error {
    io::Error::other(format!("{flag}: {why}"))
}
