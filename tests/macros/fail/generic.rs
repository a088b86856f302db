#[runtime::task]
async fn first<T>(of: Vec<T>) -> T {
    of.into_iter().next().unwrap()
}

fn main() {}
