//! Calls into the engine: a panic becomes a value, and nothing is printed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::errors::Failure;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Run `call`; a panic in it is a `Failure::Panic` that says where the engine stopped.
pub fn guarded<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    quiet_hook();
    INSIDE.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    INSIDE.set(false);
    result.unwrap_or_else(|payload| Err(Failure::Panic(describe(payload.as_ref()))))
}

/// Drop what the engine has open without letting it write: it commits when it is dropped, but not while a panic unwinds.
///
/// On a damaged file that commit can panic, and then once more in a destructor, which would end the process.
pub fn let_go<T>(owned: T) {
    quiet_hook();
    INSIDE.set(true);
    let unwound = panic::catch_unwind(AssertUnwindSafe(move || {
        let _owned = owned;
        panic!("let go");
    }));
    INSIDE.set(false);
    drop(unwound);
}

/// Keep the panics of guarded calls off standard error. The hook is this library's own: Rust's standard library is
/// linked into it, so other extension modules have theirs.
fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                // The file's name only: its folder is one of the machine that built this.
                let place = info
                    .location()
                    .map(|at| format!("{}:{}", at.file().rsplit(['/', '\\']).next().unwrap_or(""), at.line()));
                let place = place.unwrap_or_default();
                PLACE.with_borrow_mut(|last| *last = place);
            } else {
                usual(info);
            }
        }));
    });
}

fn describe(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("panic");
    PLACE.with_borrow(|place| format!("{text} ({place})"))
}
