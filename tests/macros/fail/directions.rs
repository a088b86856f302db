use futures::StreamExt;
use runtime::{Receiver, Sender, channel};

fn takes_a_sender(_: Sender<u32>) {}
fn takes_a_receiver(_: Receiver<u32>) {}

async fn misuse(n: u32) {
    let (sender, receiver) = channel::<u32>(1);
    receiver.send(1).await;
    receiver.try_send(1).await;
    receiver.close().await;
    sender.recv().await;
    sender.try_recv().await;
    sender.next().await;
    takes_a_sender(receiver.clone());
    takes_a_receiver(sender.clone());
    n.send(1).await;
    n.recv().await;
    n.close().await;
}

fn main() {}
