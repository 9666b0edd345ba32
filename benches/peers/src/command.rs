//! A command, timed from outside: wall time with the process's start, and its peak memory.

use std::error::Error;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::milliseconds;

/// Runs it once, its output thrown away, and prints what it took. `--to FILE` before it names a file
/// that it makes: what an earlier round left there is removed before the clock starts.
///
/// The system counts into a child's peak the memory of the process that started it, so this small
/// program starts it, and not a Python script.
pub(crate) fn measure(command: &[String]) -> Result<(), Box<dyn Error>> {
    let command = match command {
        [first, made, command @ ..] if first == "--to" => {
            std::fs::remove_file(made).or_else(|why| match why.kind() {
                ErrorKind::NotFound => Ok(()),
                _ => Err(why),
            })?;
            command
        }
        _ => command,
    };
    let (program, arguments) = command.split_first().ok_or("a command")?;
    let mut child = Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = child.status()?;
    let ms = milliseconds(start.elapsed());
    let cpu_ms = milliseconds(busy(libc::RUSAGE_CHILDREN));
    let peak = usage(libc::RUSAGE_CHILDREN).ru_maxrss;
    let code = status.code().unwrap_or(-1);
    println!("{{\"ms\":{ms},\"cpu_ms\":{cpu_ms},\"peak_kib\":{peak},\"code\":{code}}}");
    Ok(())
}

/// Processor time, the system's for it included.
pub(crate) fn busy(whose: i32) -> Duration {
    let usage = usage(whose);
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let micros = u64::try_from(time.tv_usec).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// What this process took, or the one child it had.
fn usage(whose: i32) -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::zeroed();
    // SAFETY: the system fills a structure of its own type, for which zeros are valid, too.
    unsafe {
        libc::getrusage(whose, usage.as_mut_ptr());
        usage.assume_init()
    }
}
