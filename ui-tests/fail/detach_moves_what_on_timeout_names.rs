use worksharing::work_shared;

#[work_shared(detach, wait = "2s", on_timeout = name)]
async fn moved(name: String) -> String {
    name
}

fn main() {}
