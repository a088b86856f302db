use runtime::{Receiver, select};

async fn misuse(receiver: Receiver<u32>) {
    select! {
        Ok(value) = receiver.recv() => drop(value),
    }
}

fn main() {}
