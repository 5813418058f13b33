use worksharing::work_shared;

#[work_shared(key = "profile:{user}", tags("user:{usr}", "{}", "user:{user"))]
fn templates(user: u64) -> u64 {
    user
}

#[work_shared(key = "a", tags)]
fn no_list() -> u64 {
    1
}

#[work_shared(key = "b", tags = "reports")]
fn one_value() -> u64 {
    1
}

#[work_shared(key = "c", tags())]
fn none() -> u64 {
    1
}

#[work_shared(key = "{user}", tags("", user, functio, 5, format!("user:{user}"), b"bytes"))]
fn no_texts(user: u64) -> u64 {
    user
}

#[work_shared(key = "{user}", tags("user:{user}", "reports", "user:{user}", function, function))]
fn twice(user: u64) -> u64 {
    user
}

#[work_shared(key = "d", tags("a" "b"))]
fn no_comma() -> u64 {
    1
}

#[work_shared(key = "e", tag("a"), depends_on("b"))]
fn other_names() -> u64 {
    1
}

struct Silent;

#[work_shared(key = "f", tags("{silent}"))]
fn without_display(silent: &Silent) -> u64 {
    1
}

fn main() {}
