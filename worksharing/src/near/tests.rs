use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::*;
use crate::changes::Epochs;
use crate::events::functions::Functions;

static FUNCTION: LazyLock<Arc<Function>> = LazyLock::new(|| Functions::default().of("test"));

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split_whitespace().nth(1).unwrap();
    pages.parse::<usize>().unwrap() * 4_096
}

fn fill(epochs: &Epochs, text: &str, bytes: usize) -> Fill {
    let (key, stamp) = (Key::new(text), epochs.stamp());
    Fill {
        stamp,
        until: stamp.at + time_of(Duration::from_secs(3_600)),
        bytes,
        digests: vec![*key.digest()],
        key,
        version: 0,
        salt: Salt::NONE,
        function: Arc::clone(&FUNCTION),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_million_keys_stay_within_the_bound() {
    const BOUND: usize = 32 << 20;
    let epochs = Arc::new(Epochs::alone());
    let near = Near::new(BOUND, Duration::from_secs(1));
    let keeping = Keeping::<String>::new();
    epochs.stamp();
    let before = resident();
    for number in 0..1_000_000 {
        let value = format!("the value of {number}, and some more of it");
        let fill = fill(&epochs, &format!("key:{number}"), 160 + value.len());
        keeping.keep(&near, &epochs, &fill, &value);
    }
    let grown = resident().saturating_sub(before);
    let whose = fill(&epochs, "key:999999", 0);
    let found = keeping.find(&near, &epochs, whose.whose());
    println!("grown by {} KiB; the last one: {found:?}", grown >> 10);
    assert!(grown < BOUND, "{grown}");
}
