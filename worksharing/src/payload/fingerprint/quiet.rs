use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::sync::Once;
use std::thread;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something whose panics on this thread are nobody's business: they are not printed, and the program's hook
/// does not hear of them.
///
/// A panic at a made-up value looks like a bug and is none, and a program whose hook reports or exits would do so.
/// Only a hook of our own can prevent that; no made-up values suit every type. It is put before the program's once,
/// and gives it all other panics. A program that sets its hook later does without ours: it hears of such a panic,
/// which is caught all the same.
pub(super) fn quietly(run: impl FnOnce()) {
    static HOOK: Once = Once::new();
    // Hooks cannot be set while this thread panics.
    if cfg!(panic = "unwind") && !thread::panicking() {
        HOOK.call_once(|| {
            let programs_own = take_hook();
            set_hook(Box::new(move |panic| {
                if !QUIET.try_with(Cell::get).unwrap_or(false) {
                    programs_own(panic);
                }
            }));
        });
    }
    let _loud_again = Restore(QUIET.replace(true));
    run();
}

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        QUIET.set(self.0);
    }
}
