//! Progress bars: on a terminal, and only for work that lasts.

use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over bytes, on standard error.
pub(crate) struct Progress(ProgressBar);

/// Work that is done sooner shows no bar.
const PATIENCE: u64 = 64 << 20;

impl Progress {
    /// A bar for `total` bytes; hidden unless `wanted`, on a terminal, and worth it.
    pub(crate) fn new(what: &'static str, total: u64, wanted: bool) -> Self {
        if !wanted || total < PATIENCE {
            return Self(ProgressBar::hidden());
        }
        let bar =
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template(
            "{msg} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// A bar for the bytes of a file, as [`new`](Self::new); of a folder there is none.
    pub(crate) fn of_file(what: &'static str, path: &Path, wanted: bool) -> Self {
        let facts = std::fs::metadata(path).ok().filter(Metadata::is_file);
        Self::new(what, facts.map_or(0, |facts| facts.len()), wanted)
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

/// A bar over files, on standard error.
pub(crate) struct Counter(ProgressBar);

/// Fewer files show no bar.
const MANY: usize = 64;

impl Counter {
    /// A bar for `total` files; hidden unless `wanted`, on a terminal, and worth it.
    pub(crate) fn new(what: &'static str, total: usize, wanted: bool) -> Self {
        if !wanted || total < MANY {
            return Self(ProgressBar::hidden());
        }
        let total = Some(total as u64);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        let style =
            ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} files {per_sec} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
