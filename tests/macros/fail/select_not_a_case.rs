use runtime::{Receiver, select};

async fn misuse(receiver: Receiver<u32>) {
    select! {
        receiver.len() => {}
    }
}

fn main() {}
