#[runtime::task(retries = 3)]
async fn wait() {}

fn main() {}
