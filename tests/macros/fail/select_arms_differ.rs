use runtime::{Receiver, select};

async fn misuse(receiver: Receiver<u32>) {
    let _ = select! {
        receiver.recv() => 1,
        default => "none",
    };
}

fn main() {}
