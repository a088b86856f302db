struct Shop;

impl Shop {
    #[runtime::task]
    async fn sell(&self) {}
}

fn main() {}
