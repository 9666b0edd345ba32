//! What is deeper than a stack has room for.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Levels: a million, or a tenth of it where the compiler was not asked for speed. A frame of three
/// bytes a level would overflow [`SMALL`] all the same, and a call takes sixteen.
pub const DEEP: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// A small stack (bytes).
pub const SMALL: usize = 256 << 10;

/// Runs `work` on a stack of so many bytes.
pub fn on_a_stack_of(bytes: usize, work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(bytes).spawn(work).unwrap().join().unwrap();
}

pub fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    on_a_stack_of(SMALL, work);
}
