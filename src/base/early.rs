//! Sends what is written on to the disk while more is being written, so that little is left to
//! wait for at the end. Systems begin that late: after many seconds, or gigabytes.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes written before the disk is asked to take them.
const STRETCH: usize = 32 << 20;

/// A file whose disk is kept busy.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Bytes since the disk was asked last.
    waiting: usize,
    asked: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
}

impl Early {
    /// Told of so many bytes more in `file`. What cannot be done early is done at the end.
    pub(super) fn wrote(&mut self, file: &File, count: usize) {
        self.waiting = self.waiting.saturating_add(count);
        if self.waiting < STRETCH {
            return;
        }
        self.waiting = 0;
        if self.asked.is_none() {
            self.asked = begin(file);
        }
        if let Some((ask, _)) = &self.asked {
            // One request that waits is enough: it is for all that is written by then.
            let _ = ask.try_send(());
        }
    }

    /// Waits for what was begun.
    ///
    /// # Errors
    /// What the disk said of it: the system says so once only.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some((ask, thread)) = self.asked else { return Ok(()) };
        drop(ask);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("writing to the disk ended early")))
    }
}

fn begin(file: &File) -> Option<(SyncSender<()>, JoinHandle<io::Result<()>>)> {
    let file = file.try_clone().ok()?;
    let (ask, asked) = sync_channel(1);
    let sync = move || asked.iter().try_for_each(|()| file.sync_data());
    let thread = thread::Builder::new().name("disk".to_owned()).spawn(sync).ok()?;
    Some((ask, thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_says_is_not_lost() {
        let good = tempfile::tempfile().unwrap();
        let mut early = Early::default();
        early.wrote(&good, STRETCH - 1);
        assert!(early.asked.is_none(), "small files need no thread");
        (0..5).for_each(|_| early.wrote(&good, STRETCH));
        assert!(early.asked.is_some());
        early.finish().unwrap();

        // A pipe has no disk.
        #[cfg(unix)]
        {
            let (_reader, writer) = std::io::pipe().unwrap();
            let pipe = File::from(std::os::fd::OwnedFd::from(writer));
            let mut early = Early::default();
            early.wrote(&pipe, STRETCH);
            early.finish().unwrap_err();
        }
    }
}
