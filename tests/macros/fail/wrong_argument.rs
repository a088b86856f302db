#[runtime::task]
async fn double(n: u64) -> u64 {
    2 * n
}

#[runtime::main]
async fn main() {
    runtime::spawn(double("two")).await.unwrap();
}
