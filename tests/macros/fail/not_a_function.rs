#[runtime::task]
struct Task;

fn main() {}
