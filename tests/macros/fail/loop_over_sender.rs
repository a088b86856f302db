use runtime::Sender;

fn misuse(sender: Sender<u32>) {
    for n in sender {
        drop(n);
    }
}

fn main() {}
