struct Local;

#[runtime::task]
async fn look(at: Local) {
    drop(at);
}

fn main() {}
