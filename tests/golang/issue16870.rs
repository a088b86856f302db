//! `test/fixedbugs/issue16870.go`: every form of a receive tells whether it got a value that was
//! sent (C25): the operation, a `select` of one case, with `default`, and of two cases; with the
//! value taken and with it thrown away; and the same after the close. (Its parts on maps and
//! assertions of types are not of channels.)

use crate::go::program;
use runtime::{Receiver, RecvError, channel, select};

#[derive(Clone, Copy, Debug)]
enum Form {
    Operation,
    OneCase,
    OrDefault,
    TwoCases,
}

const FORMS: [Form; 4] = [Form::Operation, Form::OneCase, Form::OrDefault, Form::TwoCases];

async fn receive(form: Form, from: &Receiver<u32>) -> Result<u32, RecvError> {
    let (_silent_in, silent) = channel::<u32>(0);
    match form {
        Form::Operation => from.recv().await,
        Form::OneCase => select! {
            received = from.recv() => received,
        },
        Form::OrDefault => select! {
            received = from.recv() => received,
            default => panic!("it is ready"),
        },
        Form::TwoCases => select! {
            received = from.recv() => received,
            _ = silent.recv() => panic!("nobody sends here"),
        },
    }
}

/// Whether a value came; the value is thrown away.
async fn receive_any(form: Form, from: &Receiver<u32>) -> bool {
    let (_silent_in, silent) = channel::<u32>(0);
    match form {
        Form::Operation => from.recv().await.is_ok(),
        Form::OneCase => select! {
            Ok(_) | Err(_) = from.recv() => true,
        },
        Form::OrDefault => select! {
            from.recv() => true,
            default => panic!("it is ready"),
        },
        Form::TwoCases => select! {
            _ = from.recv() => true,
            silent.recv() => panic!("nobody sends here"),
        },
    }
}

#[test]
fn every_receive_tells_whether_it_got_a_value() {
    program(async {
        let (to, from) = channel(1);
        for form in FORMS {
            to.send(42).await.unwrap();
            assert_eq!(receive(form, &from).await, Ok(42), "{form:?}");
            to.send(42).await.unwrap();
            assert!(receive_any(form, &from).await, "{form:?}");
            assert!(from.is_empty().await, "{form:?}");
        }
        to.close().await.unwrap();
        for form in FORMS {
            assert_eq!(receive(form, &from).await, Err(RecvError::Closed), "{form:?}");
        }
    });
}
