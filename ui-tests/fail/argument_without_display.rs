use worksharing::work_shared;

struct User {
    id: u32,
}

#[work_shared(key = "user:{user}")]
fn template(user: &User) -> u32 {
    user.id
}

#[work_shared(key = user)]
fn expression(user: &User) -> u32 {
    user.id
}

#[work_shared(key = "user:{user.name}")]
fn field(user: &User) -> u32 {
    user.id
}

#[work_shared(key = "user:{user}", local = "5s")]
fn local_template(user: &User) -> u32 {
    user.id
}

fn main() {}
