#[runtime::task]
async fn name(n: u64) -> String {
    n
}

fn main() {}
