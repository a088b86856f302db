//! `test/chan/select7.go`: a value that is received and thrown away is received all the same: three
//! forms of a receive against three forms of a send, and either may come first (C40).

use std::pin::pin;

use crate::go::{blocks, go, program};
use futures::join;
use runtime::{Receiver, Sender, channel, select, task};
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Form {
    Operation,
    OneCase,
    TwoCases,
}

const FORMS: [Form; 3] = [Form::Operation, Form::OneCase, Form::TwoCases];

async fn receive(form: Form, from: &Receiver<u32>) {
    let (_other_in, other) = channel::<u32>(0);
    match form {
        Form::Operation => drop(from.recv().await),
        Form::OneCase => select! {
            from.recv() => {}
        },
        Form::TwoCases => select! {
            from.recv() => {}
            other.recv() => panic!("nobody sends on the other"),
        },
    }
}

async fn send(form: Form, to: &Sender<u32>) {
    let (other, _other_out) = channel(0);
    match form {
        Form::Operation => to.send(1).await.unwrap(),
        Form::OneCase => select! {
            to.send(1) => {}
        },
        Form::TwoCases => select! {
            to.send(1) => {}
            other.send(1) => panic!("nobody receives from the other"),
        },
    }
}

#[task]
async fn receiver(form: Form, from: Receiver<u32>, received: Sender<()>) {
    receive(form, &from).await;
    received.send(()).await.unwrap();
}

#[test]
fn a_value_may_be_received_and_thrown_away() {
    program(async {
        for of_receive in FORMS {
            for of_send in FORMS {
                let (to, from) = channel(0);
                let (received_in, received) = channel(0);
                go(receiver(of_receive, from, received_in));
                yield_now().await;
                send(of_send, &to).await;
                received.recv().await.unwrap();
            }
        }
    });
}

/// The same with the order given: whoever comes first waits for the other.
#[test]
fn whoever_comes_first_waits() {
    program(async {
        for of_receive in FORMS {
            for of_send in FORMS {
                let (to, from) = channel(0);
                let mut first = pin!(receive(of_receive, &from));
                assert!(blocks(first.as_mut()).await, "{of_receive:?}");
                join!(send(of_send, &to), first);

                let mut first = pin!(send(of_send, &to));
                assert!(blocks(first.as_mut()).await, "{of_send:?}");
                join!(receive(of_receive, &from), first);
            }
        }
    });
}
