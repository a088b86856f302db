use runtime::{Receiver, select};

fn misuse(receiver: Receiver<u32>) {
    select! {
        receiver.recv() => {}
    }
}

fn main() {}
