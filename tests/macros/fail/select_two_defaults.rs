use runtime::{Receiver, select};

async fn misuse(receiver: Receiver<u32>) {
    select! {
        default => {}
        receiver.recv() => {}
        default => {}
    }
}

fn main() {}
