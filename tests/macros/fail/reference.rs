#[runtime::task]
async fn length(of: &str) -> usize {
    of.len()
}

fn main() {}
