//! `test/chan/select4.go`: a `select` goes on with the case that is ready, and what the other case
//! would have done with its value is not evaluated (C34).

use crate::go::program;
use runtime::{channel, select};

struct Place {
    value: u32,
}

#[test]
fn only_the_case_that_is_ready_takes_its_value() {
    program(async {
        let mut place = Place { value: 0 };
        let (ready_in, ready) = channel(1);
        let (_silent_in, silent) = channel::<u32>(0);
        ready_in.send(42).await.unwrap();
        let other = || -> &mut Place { panic!("the place of the other case was asked for") };
        select! {
            value = silent.recv() => other().value = value.unwrap(),
            value = ready.recv() => place.value = value.unwrap(),
        }
        assert_eq!(place.value, 42);
    });
}
