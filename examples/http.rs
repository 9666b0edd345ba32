//! Lists a checkpoint that lies on a web server, and says how little of it was fetched.
//!
//!     cargo run --example http -- http://localhost:8000/model.pth
//!
//! The server must answer range requests (RFC 9110, 14.2), as object stores and most web servers
//! do. `python -m http.server` does not.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use depickle::Source;
use depickle::torch::Options;

/// A file on a web server, read by range requests.
pub(crate) struct HttpSource {
    agent: ureq::Agent,
    url: String,
    len: u64,
    fetched: Arc<AtomicU64>,
}

impl HttpSource {
    /// Asks for the file's length.
    pub(crate) fn open(url: &str) -> io::Result<Self> {
        let agent = ureq::Agent::new_with_defaults();
        let head = agent.head(url).call().map_err(io::Error::other)?;
        let len =
            head.headers().get("content-length").and_then(|len| len.to_str().ok()?.parse().ok());
        let len = len.ok_or_else(|| io::Error::other("the server does not say how long it is"))?;
        Ok(Self { agent, url: url.to_owned(), len, fetched: Arc::default() })
    }

    /// Bytes that were fetched so far.
    pub(crate) fn fetched(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fetched)
    }
}

impl Source for HttpSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let Some(last) = (into.len() as u64).checked_sub(1) else { return Ok(()) };
        let range = format!("bytes={at}-{}", at.saturating_add(last));
        let answer = self.agent.get(&self.url).header("range", range).call();
        let answer = answer.map_err(io::Error::other)?;
        // 200 would be the whole file.
        if answer.status() != 206 {
            return Err(io::Error::other(format!("no part of it is served: {}", answer.status())));
        }
        self.fetched.fetch_add(into.len() as u64, Ordering::Relaxed);
        answer.into_body().into_reader().read_exact(into)
    }
}

/// Lists what is at an address: names and shapes, and how many bytes that took.
pub(crate) fn list(url: &str) -> Result<(Vec<String>, u64), Box<dyn std::error::Error>> {
    let source = HttpSource::open(url)?;
    let fetched = source.fetched();
    let checkpoint = Options::default().read(source)?;
    let mut lines = Vec::new();
    for entry in checkpoint.tensors()? {
        lines.push(match entry.on(&checkpoint) {
            Ok(tensor) => format!("{} {} {:?}", tensor.name(), tensor.dtype(), tensor.shape()),
            Err(why) => why.to_string(),
        });
    }
    Ok((lines, fetched.load(Ordering::Relaxed)))
}

#[allow(dead_code, reason = "the test of this example calls `list`")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(url) = std::env::args().nth(1) else {
        return Err("which address?".into());
    };
    let len = HttpSource::open(&url)?.len();
    let (lines, fetched) = list(&url)?;
    for line in lines {
        println!("{line}");
    }
    println!("{fetched} bytes of {len} were fetched");
    Ok(())
}
