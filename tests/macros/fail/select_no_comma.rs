use runtime::{Receiver, select};

async fn misuse(one: Receiver<u32>, other: Receiver<u32>) {
    select! {
        one.recv() => 1
        other.recv() => 2,
    };
}

fn main() {}
