use worksharing::work_shared;

#[work_shared]
const fn constant() -> u32 {
    1
}

#[work_shared]
unsafe fn dangerous() -> u32 {
    1
}

#[work_shared]
extern "C" fn foreign() -> u32 {
    1
}

// All at once.
#[work_shared(ttl = "0s", banana)]
const unsafe extern "C" fn all() -> &'static str {
    "a"
}

fn main() {
    const ONE: u32 = constant();
    let _ = ONE + foreign() + unsafe { dangerous() };
}
