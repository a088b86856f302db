use runtime::{Receiver, Sender, select};

async fn misuse(sender: Sender<u32>, receiver: Receiver<u32>) {
    select! {
        receiver.send(1) => {}
        default => {}
    }
    select! {
        value = sender.recv() => drop(value),
    }
    select! {
        sender.send("one") => {}
    }
}

fn main() {}
